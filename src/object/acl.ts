/** The ACL of a version: read and set. Kept in the version's own metadata under a key that MinIO ignores; see bucket/acl.ts. */
import { ACL_KEY, type Acl, decodeAcl, encodeAcl, isPrivate } from "../bucket/acl.ts";
import { bucketOf, type ObjectContext } from "./context.ts";
import { notFound } from "./errors.ts";
import { demandAlive, expiryOfVersion } from "./expiry.ts";
import { demandVisible } from "./get-object.ts";
import { checkKey } from "./names.ts";
import { patchVersion } from "./patch-version.ts";
import type { TaggingRequest, VersionInfo } from "./types.ts";
import { versionInfo } from "./version-info.ts";

export async function getObjectAcl(
  ctx: ObjectContext,
  request: TaggingRequest,
  bucketOwner: string,
): Promise<{ readonly acl: Acl; readonly info: VersionInfo }> {
  checkKey(request.key);
  const bucket = await bucketOf(ctx, request.bucket);
  const version = await ctx.store.readVersion(request.bucket, request.key, request.versionId);
  if (version === null) throw notFound(request.versionId);
  demandVisible(version, request.versionId);
  demandAlive(ctx, expiryOfVersion(ctx, bucket, request.key, version), request.versionId);
  return {
    acl: decodeAcl(version.metaSys.get(ACL_KEY), bucketOwner),
    info: versionInfo(request.bucket, request.key, version),
  };
}

/** Sets what `change` makes of the present list; the owner stays. Returns the version touched. */
export async function putObjectAcl(
  ctx: ObjectContext,
  request: TaggingRequest,
  means: { readonly bucketOwner: string; readonly change: (current: Acl) => Acl },
): Promise<{ readonly versionId: string }> {
  return await patchVersion(ctx, request, (current) => {
    const acl = means.change(decodeAcl(current.metaSys.get(ACL_KEY), means.bucketOwner));
    return { metaSys: new Map([[ACL_KEY, storedAcl(acl, means.bucketOwner)]]) };
  });
}

/** null = nothing needs to be stored. */
export function storedAcl(acl: Acl, bucketOwner: string): Uint8Array | null {
  return acl.owner === bucketOwner && isPrivate(acl) ? null : encodeAcl(acl);
}
