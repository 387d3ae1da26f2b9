/** Owners as listings show them: accounts by canonical id and name. */
import { escapeXml } from "../core/xml.ts";
import { ACL_KEY, decodeAcl } from "../bucket/acl.ts";
import { bucketOf } from "../object/context.ts";
import { displayNameOf } from "./acl-document.ts";
import type { Call } from "./call.ts";
import type { XmlNode } from "./xml.ts";

export function ownerNode(call: Call, id: string, element = "Owner"): XmlNode {
  const name = displayNameOf(id, call.access.identities);
  return [
    element,
    [
      ["ID", id],
      ["DisplayName", name],
    ],
  ];
}

/** The bucket's owner's canonical id. */
export async function bucketOwner(call: Call): Promise<string> {
  return call.access.settings(await bucketOf(call.objects, call.bucket)).owner;
}

/** Of a version, or of what an upload becomes, by its internal entries. */
export function ownerOf(internal: ReadonlyMap<string, Uint8Array>, ofBucket: string): string {
  return decodeAcl(internal.get(ACL_KEY), ofBucket).owner;
}

/** `<Owner>` of a listed version by the owner that its list names, "" = none. Where lists are off all is the bucket owner's. */
export type OwnerXml = (owner: string) => string;

export async function ownerXmlOf(call: Call): Promise<OwnerXml> {
  const settings = call.access.settings(await bucketOf(call.objects, call.bucket));
  const hasLists = call.access.ownershipOf(settings) !== "BucketOwnerEnforced";
  const known = new Map<string, string>();
  return (owner) => {
    const id = hasLists && owner !== "" ? owner : settings.owner;
    let xml = known.get(id);
    if (xml === undefined) {
      const name = displayNameOf(id, call.access.identities);
      xml = `<Owner><ID>${escapeXml(id)}</ID><DisplayName>${escapeXml(name)}</DisplayName></Owner>`;
      known.set(id, xml);
    }
    return xml;
  };
}
