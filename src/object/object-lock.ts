/**
 * Object lock on versions: what a new version gets, retention and legal hold of those that are there, and the null version
 * that an overwrite may not take. All of it is decided under the key's lock. Source: s3-api.md §4.11.
 */
import type { Bucket } from "../bucket/catalog.ts";
import {
  isProtected,
  LOCK_HOLD_KEY,
  LOCK_MODE_KEY,
  LOCK_UNTIL_KEY,
  lockMetadata,
  type LockWish,
  mayChangeRetention,
  type Retention,
  retentionOf,
} from "../bucket/object-lock.ts";
import type { CommitRequest, StoredVersion, VersionLookup } from "../erasure/store.ts";
import { bucketOf, type ObjectContext } from "./context.ts";
import { ObjectError } from "./errors.ts";
import { checkKey } from "./names.ts";
import { patchVersion } from "./patch-version.ts";
import { hasWriteConditions } from "./precondition.ts";
import { getTagging } from "./tagging.ts";
import type { Conditions, LockChange, TaggingRequest, VersionInfo } from "./types.ts";

const NULL_VERSION = "null";

export function hasObjectLock(bucket: Bucket): boolean {
  return bucket.metadata.documents.objectLock.length > 0;
}

/** Lock metadata of a version made now. */
export function lockOfNewVersion(ctx: ObjectContext, bucket: Bucket, wish: LockWish): ReadonlyMap<string, string> {
  demandLockable(bucket, wish);
  return lockMetadata(bucket.metadata.documents.objectLock, wish, ctx.clock.nowMs());
}

/** Throws when a lock is asked for where there can be none. Before the body is taken. */
export function demandLockable(bucket: Bucket, wish: LockWish): void {
  if ((wish.retention !== null || wish.legalHold !== null) && !hasObjectLock(bucket))
    throw new ObjectError("InvalidRequest", "Bucket is missing Object Lock Configuration", { bucket: bucket.name });
}

/** What a write has to see: a null version in its way may be locked. */
export function readsForWrite(bucket: Bucket, versionId: string, conditions: Conditions): CommitRequest["reads"] {
  return hasWriteConditions(conditions) || (versionId === NULL_VERSION && hasObjectLock(bucket)) ? "latest" : "none";
}

/** A null version is replaced by the next one: not while it is locked, whoever asks. */
export function demandReplaceable(ctx: ObjectContext, versionId: string, versionOf: VersionLookup): void {
  const replaced = versionId === NULL_VERSION ? versionOf(versionId) : null;
  if (replaced !== null && isProtected(replaced.metaUsr, ctx.clock.nowMs(), false)) throw locked(replaced);
}

export function locked(version: StoredVersion): ObjectError {
  return new ObjectError("ObjectLocked", "Object is WORM protected and cannot be overwritten or removed.", {
    versionId: version.versionId,
  });
}

/** The version that retention or hold are asked of. */
export async function lockedVersion(ctx: ObjectContext, request: TaggingRequest): Promise<VersionInfo> {
  const info = await getTagging(ctx, request);
  await lockBucket(ctx, request);
  return info;
}

async function lockBucket(ctx: ObjectContext, request: TaggingRequest): Promise<void> {
  checkKey(request.key);
  const bucket = await bucketOf(ctx, request.bucket);
  if (!hasObjectLock(bucket))
    throw new ObjectError("InvalidRequest", "Bucket is missing Object Lock Configuration", { bucket: bucket.name });
}

/** null removes the retention. Returns the version touched. */
export async function putRetention(
  ctx: ObjectContext,
  request: LockChange & { readonly retention: Retention | null; readonly bypassGovernance: boolean },
): Promise<{ readonly versionId: string }> {
  const { retention } = request;
  if (retention !== null && Date.parse(retention.until) <= ctx.clock.nowMs())
    throw new ObjectError("InvalidArgument", "The retain until date must be in the future!");
  const change = new Map([
    [LOCK_MODE_KEY, retention?.mode ?? null],
    [LOCK_UNTIL_KEY, retention?.until ?? null],
  ]);
  return await patch(ctx, request, change, (current) => {
    const now = ctx.clock.nowMs();
    if (!mayChangeRetention(retentionOf(current.metaUsr), retention, now, request.bypassGovernance))
      throw locked(current);
  });
}

export async function putLegalHold(
  ctx: ObjectContext,
  request: LockChange & { readonly legalHold: "ON" | "OFF" },
): Promise<{ readonly versionId: string }> {
  return await patch(ctx, request, new Map([[LOCK_HOLD_KEY, request.legalHold]]), () => undefined);
}

async function patch(
  ctx: ObjectContext,
  request: LockChange,
  metaUsr: ReadonlyMap<string, string | null>,
  demand: (current: StoredVersion) => void,
): Promise<{ readonly versionId: string }> {
  await lockBucket(ctx, request);
  return await patchVersion(ctx, request, (current) => {
    demand(current);
    return { metaUsr };
  });
}
