/**
 * MinIO's extension of listings, `metadata=true`: what an object has beside its content, for whom it may be shown to. Without
 * the parameter there is nothing. Source: s3-api.md §4.3.6.
 */
import { escapeXml } from "../core/xml.ts";
import { type ListedMetadata, listedMetadataOf } from "../object/listed-metadata.ts";
import type { ListedObject } from "../object/types.ts";
import { onObject } from "./authorize.ts";
import type { Call } from "./call.ts";
import { encryptionHeaders } from "./encryption-headers.ts";

/** XML for each object of a page. */
export async function listedMetadata(call: Call, page: readonly ListedObject[]): Promise<readonly string[]> {
  if (call.query.get("metadata") !== "true") return page.map(() => "");
  const allowed = (action: string, { key, version }: ListedObject): Promise<boolean> =>
    call.access.may(onObject(action, call.bucket, key, version.versionId === "null" ? undefined : version.versionId));
  const found = await listedMetadataOf(call.objects, call.bucket, page, (object) => allowed("s3:GetObject", object));
  const out: string[] = [];
  for (const [i, object] of page.entries()) {
    const one = found[i] ?? null;
    const showsTags = one !== null && one.tagging !== "" && (await allowed("s3:GetObjectTagging", object));
    out.push(one === null ? "" : elements(one, showsTags ? one.tagging : ""));
  }
  return out;
}

function elements(one: ListedMetadata, tagging: string): string {
  const tags = tagging === "" ? "" : `<UserTags>${escapeXml(tagging)}</UserTags>`;
  return `<UserMetadata>${userMetadata(one)}</UserMetadata>${tags}<Internal><K>${one.dataShards}</K><M>${one.parityShards}</M></Internal>`;
}

/** Names become elements: one that is no name of XML is left out. */
function userMetadata({ metadata, encryption }: ListedMetadata): string {
  return [...Object.entries(encryptionHeaders(encryption)), ...[...metadata].filter(([name]) => isShown(name))]
    .filter(([name]) => /^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name))
    .map(([name, value]) => `<${name}>${escapeXml(value)}</${name}>`)
    .join("");
}

function isShown(name: string): boolean {
  return !/^(etag|x-amz-tagging|x-amz-meta-x-amz-unencrypted-content-.*)$/i.test(name);
}
