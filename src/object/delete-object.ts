/** DeleteObject: a delete marker, or a version for good, by the bucket's versioning. Source: s3-api.md §4.7. */
import type { Cancellation } from "../core/cancellation.ts";
import { isProtected } from "../bucket/object-lock.ts";
import { modeOf } from "../bucket/versioning.ts";
import type { StoredVersion } from "../erasure/store.ts";
import { bucketOf, knownBucket, type ObjectContext } from "./context.ts";
import { ObjectError } from "./errors.ts";
import { type EtagOf, etagForConditions } from "./known-etag.ts";
import { checkKey } from "./names.ts";
import { demandReplaceable, locked } from "./object-lock.ts";
import { hasWriteConditions, judgeWrite } from "./precondition.ts";
import { NULL_VERSION } from "./put-object.ts";
import type { Conditions, DeleteObjectRequest, DeleteObjectResult } from "./types.ts";
import { actualSize, modTimeMs } from "./version-info.ts";

export async function deleteObject(ctx: ObjectContext, request: DeleteObjectRequest): Promise<DeleteObjectResult> {
  checkKey(request.key);
  const bucket = knownBucket(ctx, request.bucket) ?? (await bucketOf(ctx, request.bucket));
  const mode = modeOf(bucket.versioning, request.key);
  const etagOf = await etagForConditions(ctx, request, request.conditions, request.versionId);
  if (request.versionId !== undefined) return await deleteVersion(ctx, request, request.versionId, etagOf);
  if (mode === "unversioned" || request.key.endsWith("/")) {
    await ctx.store.commit({
      ...target(request),
      reads: hasWriteConditions(request.conditions) ? "latest" : { versionId: NULL_VERSION },
      decide(current) {
        demandDeletable(request.conditions, current, etagOf);
        if (current === null) return null;
        demandUnlocked(ctx, request, current);
        return { kind: "delete-version", versionId: current.versionId };
      },
    });
    return { versionId: null, isDeleteMarker: false };
  }
  const versionId = mode === "enabled" ? ctx.rng.uuid() : NULL_VERSION;
  let isMade = false;
  await ctx.store.commit({
    ...target(request),
    reads: "latest",
    decide(current, versionOf) {
      demandDeletable(request.conditions, current, etagOf);
      isMade = current !== null || !hasWriteConditions(request.conditions);
      if (!isMade) return null; // what is not there is no version that conditions speak of
      demandReplaceable(ctx, versionId, versionOf);
      return { kind: "delete-marker", versionId };
    },
  });
  return isMade ? { versionId, isDeleteMarker: true } : { versionId: null, isDeleteMarker: false };
}

async function deleteVersion(
  ctx: ObjectContext,
  request: DeleteObjectRequest,
  versionId: string,
  etagOf: EtagOf,
): Promise<DeleteObjectResult> {
  let wasMarker = false;
  await ctx.store.commit({
    ...target(request),
    reads: { versionId },
    decide(current) {
      demandDeletable(request.conditions, current, etagOf);
      if (current === null) return null;
      demandUnlocked(ctx, request, current);
      wasMarker = current.isDeleteMarker;
      return { kind: "delete-version", versionId };
    },
  });
  return { versionId, isDeleteMarker: wasMarker };
}

function target(request: DeleteObjectRequest): { bucket: string; key: string; signal: Cancellation } {
  return { bucket: request.bucket, key: request.key, signal: request.signal };
}

/** A version under retention or legal hold stays. */
function demandUnlocked(ctx: ObjectContext, request: DeleteObjectRequest, current: StoredVersion): void {
  if (isProtected(current.metaUsr, ctx.clock.nowMs(), request.bypassGovernance)) throw locked(current);
}

/**
 * If-Match asks for something that is there, `*` too (s3-api.md §4.1); size and time say what may be deleted, and where nothing is they do
 * not fail (AWS). A delete marker is something, but has no tag, size or time to match.
 */
function demandDeletable(conditions: Conditions, current: StoredVersion | null, etagOf: EtagOf): void {
  if (current === null ? conditions.ifMatch === undefined : current.isDeleteMarker && isAnything(conditions)) return;
  const asksMore = conditions.ifMatchSizeBytes !== undefined || conditions.ifMatchModTimeMs !== undefined;
  const found =
    current === null || current.isDeleteMarker
      ? null
      : { etag: etagOf(current), modTimeMs: modTimeMs(current), sizeBytes: actualSize(current) };
  if ((asksMore && current?.isDeleteMarker === true) || judgeWrite(conditions, found) !== "go")
    throw new ObjectError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold.");
}

function isAnything({ ifMatch, ifNoneMatch, ifMatchSizeBytes, ifMatchModTimeMs }: Conditions): boolean {
  const asksMore = ifNoneMatch !== undefined || ifMatchSizeBytes !== undefined || ifMatchModTimeMs !== undefined;
  return !asksMore && ifMatch?.includes("*") === true;
}
