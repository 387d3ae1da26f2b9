/** Object tags: read, set, remove; kept URL-encoded in the version's metadata. */
import { bucketOf, type ObjectContext } from "./context.ts";
import { notFound } from "./errors.ts";
import { demandAlive, expiryOfVersion } from "./expiry.ts";
import { demandVisible } from "./get-object.ts";
import { checkKey } from "./names.ts";
import { patchVersion } from "./patch-version.ts";
import type { TaggingRequest, VersionInfo } from "./types.ts";
import { versionInfo } from "./version-info.ts";

const TAGGING_KEY = "X-Amz-Tagging";

export async function getTagging(ctx: ObjectContext, request: TaggingRequest): Promise<VersionInfo> {
  checkKey(request.key);
  const bucket = await bucketOf(ctx, request.bucket);
  const version = await ctx.store.readVersion(request.bucket, request.key, request.versionId);
  if (version === null) throw notFound(request.versionId);
  demandVisible(version, request.versionId);
  demandAlive(ctx, expiryOfVersion(ctx, bucket, request.key, version), request.versionId);
  return versionInfo(request.bucket, request.key, version);
}

/** "" removes all tags. Returns the version touched. */
export async function putTagging(
  ctx: ObjectContext,
  request: TaggingRequest & { readonly tagging: string },
): Promise<{ readonly versionId: string }> {
  const metaUsr = new Map([[TAGGING_KEY, request.tagging === "" ? null : request.tagging]]);
  return await patchVersion(ctx, request, () => ({ metaUsr }));
}
