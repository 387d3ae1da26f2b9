/**
 * Access control lists on the wire: the AccessControlPolicy document, canned names and x-amz-grant-* headers, in and out.
 * Grantees must exist. Throws WireError: MalformedACLError, InvalidArgument, InvalidRequest, UnresolvableGrantByEmailAddress.
 */
import { escapeXml } from "../core/xml.ts";
import {
  type Acl,
  CANNED,
  cannedAcl,
  type Grant,
  GRANTS_MAX,
  GROUPS,
  isGroup,
  type Permission,
  PERMISSIONS,
} from "../bucket/acl.ts";
import { type Identities, ROOT_ACCOUNT_ID, ROOT_DISPLAY_NAME } from "../iam/principal.ts";
import type { Call } from "./call.ts";
import { WireError } from "./wire-error.ts";
import { child, childrenOf, childText, parseXml, type XmlElement } from "./xml.ts";

export const GRANT_HEADERS: readonly (readonly [string, Permission])[] = [
  ["x-amz-grant-read", "READ"],
  ["x-amz-grant-write", "WRITE"],
  ["x-amz-grant-read-acp", "READ_ACP"],
  ["x-amz-grant-write-acp", "WRITE_ACP"],
  ["x-amz-grant-full-control", "FULL_CONTROL"],
];

export interface AclOwners {
  readonly owner: string;
  readonly bucketOwner: string;
}

/** What headers (or a form's fields) ask for; null = nothing. */
export function aclFromHeaders(
  call: Pick<Call, "parameter">,
  identities: Identities,
  { owner, bucketOwner }: AclOwners,
): Acl | null {
  const canned = call.parameter("x-amz-acl");
  const grants = grantsFrom(call, identities);
  if (canned === undefined || canned === "") return grants.length === 0 ? null : { owner, grants: bounded(grants) };
  if (grants.length > 0)
    throw new WireError("InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed");
  return cannedAcl(cannedName(canned), owner, bucketOwner);
}

function grantsFrom(call: Pick<Call, "parameter">, identities: Identities): Grant[] {
  const grants: Grant[] = [];
  for (const [header, permission] of GRANT_HEADERS) {
    const value = call.parameter(header);
    if (value === undefined) continue;
    for (const grantee of granteesOf(value, identities)) grants.push({ grantee, permission });
  }
  return grants;
}

function cannedName(canned: string): (typeof CANNED)[number] {
  const name = CANNED.find((known) => known === canned);
  if (name === undefined)
    throw new WireError("InvalidArgument", "", { argumentName: "x-amz-acl", argumentValue: canned.slice(0, 128) });
  return name;
}

/** `id="…", uri="…", emailAddress="…"` */
function granteesOf(header: string, identities: Identities): string[] {
  return header.split(",").map((item) => {
    const equals = item.indexOf("=");
    const kind = item.slice(0, Math.max(0, equals)).trim().toLowerCase();
    const value = item
      .slice(equals + 1)
      .trim()
      .replaceAll('"', "");
    if (kind === "id") return accountOf(value, identities);
    if (kind === "uri") return groupOf(value);
    if (kind === "emailaddress") return mailOf(value, identities);
    throw new WireError("InvalidArgument", "Argument format not recognized", {
      argumentName: "x-amz-grant",
      argumentValue: item.slice(0, 128),
    });
  });
}

function accountOf(id: string, identities: Identities): string {
  if (id === ROOT_ACCOUNT_ID || identities.accountById(id) !== null) return id;
  throw new WireError("InvalidArgument", "Invalid id", {
    argumentName: "CanonicalUser/ID",
    argumentValue: id.slice(0, 128),
  });
}
function groupOf(uri: string): string {
  if (GROUPS.includes(uri)) return uri;
  throw new WireError("InvalidArgument", "Invalid group uri", {
    argumentName: "Group/URI",
    argumentValue: uri.slice(0, 128),
  });
}
function mailOf(address: string, identities: Identities): string {
  const account = identities.accountByName(address);
  if (account !== null && address.includes("@")) return account.canonicalId;
  throw new WireError(
    "UnresolvableGrantByEmailAddress",
    "The e-mail address you provided does not match any account on record.",
  );
}

function bounded(grants: Grant[]): Grant[] {
  if (grants.length > GRANTS_MAX)
    throw new WireError("MalformedACLError", `A list can have at most ${GRANTS_MAX} grants.`);
  return grants;
}

/** An AccessControlPolicy document; its owner must be the one that is. */
export function aclFromDocument(bytes: Uint8Array, identities: Identities, owner: string): Acl {
  const root = documentOf(bytes);
  const list = child(root, "AccessControlList");
  const ownerElement = child(root, "Owner");
  if (list === undefined || ownerElement === undefined) throw malformed();
  const named = childText(ownerElement, "ID");
  if (named !== undefined && named !== owner) throw new WireError("AccessDenied", "Access Denied.");
  const grants = childrenOf(list, "Grant").map((grant): Grant => {
    const grantee = child(grant, "Grantee");
    const permission = PERMISSIONS.find((p) => p === childText(grant, "Permission"));
    if (grantee === undefined || permission === undefined) throw malformed();
    return { grantee: granteeOf(grantee, identities), permission };
  });
  return { owner, grants: bounded(grants) };
}

function documentOf(bytes: Uint8Array): XmlElement {
  try {
    return parseXml(bytes, "AccessControlPolicy");
  } catch (cause) {
    if (cause instanceof Error) throw new WireError("MalformedACLError", malformed().message, {}, { cause });
    throw cause;
  }
}

function granteeOf(grantee: XmlElement, identities: Identities): string {
  const id = childText(grantee, "ID");
  if (id !== undefined) return accountOf(id, identities);
  const uri = childText(grantee, "URI");
  if (uri !== undefined) return groupOf(uri);
  const mail = childText(grantee, "EmailAddress");
  if (mail !== undefined) return mailOf(mail, identities);
  throw malformed();
}

function malformed(): WireError {
  return new WireError(
    "MalformedACLError",
    "The XML you provided was not well-formed or did not validate against our published schema",
  );
}

export function aclDocument({ owner, grants }: Acl, identities: Identities): string {
  const account = (id: string): string =>
    `<ID>${escapeXml(id)}</ID><DisplayName>${escapeXml(displayNameOf(id, identities))}</DisplayName>`;
  const grantee = (name: string): string =>
    isGroup(name)
      ? `<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>${escapeXml(name)}</URI></Grantee>`
      : `<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">${account(name)}</Grantee>`;
  const groupsFirst = [...grants.filter((g) => isGroup(g.grantee)), ...grants.filter((g) => !isGroup(g.grantee))];
  const list = groupsFirst.map((g) => `<Grant>${grantee(g.grantee)}<Permission>${g.permission}</Permission></Grant>`);
  return `<?xml version="1.0" encoding="UTF-8"?>\n<AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner>${account(owner)}</Owner><AccessControlList>${list.join("")}</AccessControlList></AccessControlPolicy>`;
}

/** "" for an account that is gone. */
export function displayNameOf(id: string, identities: Identities): string {
  return id === ROOT_ACCOUNT_ID ? ROOT_DISPLAY_NAME : (identities.accountById(id)?.displayName ?? "");
}
