/**
 * Access control lists: who owns a bucket or version, and what it grants to accounts and groups. Pure. Stored as JSON under
 * keys of our own, which MinIO ignores; what is not stored is the default: the bucket's owner has everything.
 * Source: AWS's documented model of owners, grants and canned lists.
 */
export const PERMISSIONS = ["FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP"] as const;
export type Permission = (typeof PERMISSIONS)[number];

export const ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers";
export const AUTHENTICATED_USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
export const LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery";
export const GROUPS: readonly string[] = [ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY];
/** The owner of what an anonymous caller makes, as on AWS. */
export const ANONYMOUS_ID = "65a011a29cdf8ec533ec3d1ccaae921c";
export const GRANTS_MAX = 100;
/** Key in MetaSys of a version. */
export const ACL_KEY = "x-sherd-acl";

export interface Grant {
  /** A canonical id, or the URI of a group. */
  readonly grantee: string;
  readonly permission: Permission;
}
export interface Acl {
  /** Canonical id. */
  readonly owner: string;
  readonly grants: readonly Grant[];
}

export const CANNED = [
  "private",
  "public-read",
  "public-read-write",
  "authenticated-read",
  "bucket-owner-read",
  "bucket-owner-full-control",
  "log-delivery-write",
  "aws-exec-read",
] as const;
export type CannedAcl = (typeof CANNED)[number];

export function isGroup(grantee: string): boolean {
  return grantee.startsWith("http://");
}

export function privateAcl(owner: string): Acl {
  return { owner, grants: [{ grantee: owner, permission: "FULL_CONTROL" }] };
}

export function isPrivate({ owner, grants }: Acl): boolean {
  return grants.length === 1 && grants[0]?.grantee === owner && grants[0].permission === "FULL_CONTROL";
}

export function isPublic({ grants }: Acl): boolean {
  return grants.some(({ grantee }) => grantee === ALL_USERS || grantee === AUTHENTICATED_USERS);
}

/** What a canned name stands for on something of `owner` in a bucket of `bucketOwner`. */
export function cannedAcl(name: CannedAcl, owner: string, bucketOwner: string): Acl {
  const given = (grantee: string, ...permissions: Permission[]): Grant[] =>
    permissions.map((permission) => ({ grantee, permission }));
  const more = (): Grant[] => {
    switch (name) {
      case "public-read":
        return given(ALL_USERS, "READ");
      case "public-read-write":
        return given(ALL_USERS, "READ", "WRITE");
      case "authenticated-read":
        return given(AUTHENTICATED_USERS, "READ");
      case "bucket-owner-read":
        return bucketOwner === owner ? [] : given(bucketOwner, "READ");
      case "bucket-owner-full-control":
        return bucketOwner === owner ? [] : given(bucketOwner, "FULL_CONTROL");
      case "log-delivery-write":
        return given(LOG_DELIVERY, "WRITE", "READ_ACP");
      case "private":
      case "aws-exec-read":
        return [];
    }
  };
  return { owner, grants: [...privateAcl(owner).grants, ...more()] };
}

/** Does the list give `permission` to this account? "" = the anonymous caller. `ignorePublic`: grants to everybody do not count. */
export function allows(acl: Acl, permission: Permission, account: string, ignorePublic: boolean): boolean {
  if (account === acl.owner && (permission === "READ_ACP" || permission === "WRITE_ACP")) return true;
  return acl.grants.some(({ grantee, permission: granted }) => {
    if (granted !== permission && granted !== "FULL_CONTROL") return false;
    if (grantee === ALL_USERS) return !ignorePublic;
    if (grantee === AUTHENTICATED_USERS) return !ignorePublic && account !== "";
    return grantee === account && account !== "";
  });
}

export function encodeAcl({ owner, grants }: Acl): Uint8Array {
  const list = grants.map(({ grantee, permission }) => [grantee, permission]);
  return new TextEncoder().encode(JSON.stringify({ owner, grants: list }));
}

/** What cannot be read grants nothing to anybody but the owner. */
export function decodeAcl(bytes: Uint8Array | undefined, owner: string): Acl {
  if (bytes === undefined || bytes.length === 0) return privateAcl(owner);
  try {
    const found = JSON.parse(new TextDecoder().decode(bytes)) as { owner?: unknown; grants?: unknown };
    if (typeof found.owner !== "string" || !Array.isArray(found.grants)) return privateAcl(owner);
    const grants = found.grants.flatMap((item: unknown): Grant[] => {
      const [grantee, permission] = Array.isArray(item) ? (item as unknown[]) : [];
      const known = PERMISSIONS.find((p) => p === permission);
      return typeof grantee === "string" && known !== undefined ? [{ grantee, permission: known }] : [];
    });
    return { owner: found.owner, grants };
  } catch (error) {
    if (error instanceof SyntaxError) return privateAcl(owner);
    throw error;
  }
}
