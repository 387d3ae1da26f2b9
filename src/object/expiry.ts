/** What a bucket's lifecycle rules make of its versions now: an expired one is gone for readers, at once. Source: s3-api.md §4.13.2. */
import type { Bucket } from "../bucket/catalog.ts";
import { type Due, expiryOf, hasExpiration } from "../bucket/lifecycle.ts";
import { isProtected } from "../bucket/object-lock.ts";
import type { StoredVersion } from "../erasure/store.ts";
import type { ObjectContext } from "./context.ts";
import { notFound } from "./errors.ts";
import { actualSize, modTimeMs } from "./version-info.ts";

const TAGGING_KEY = "X-Amz-Tagging";

/** When the version expires, if it is the current one and nothing protects it; null = never. */
export function expiryOfVersion(ctx: ObjectContext, bucket: Bucket, key: string, version: StoredVersion): Due | null {
  if (bucket.lifecycle.length === 0 || !version.isLatest || version.isDeleteMarker) return null;
  if (isProtected(version.metaUsr, ctx.clock.nowMs(), false)) return null;
  return expiryOf(bucket.lifecycle, {
    key,
    sizeBytes: actualSize(version),
    tags: new Map(new URLSearchParams(version.metaUsr.get(TAGGING_KEY) ?? "")),
    modTimeMs: modTimeMs(version),
  });
}

/** Throws when a reader who names no version finds an expired one. */
export function demandAlive(ctx: ObjectContext, due: Due | null, versionId: string | undefined): void {
  if (due !== null && versionId === undefined && due.atMs <= ctx.clock.nowMs()) throw notFound(undefined);
}

/** When a version made now will expire. */
export function expiryOfNew(
  bucket: Bucket,
  key: string,
  made: { readonly sizeBytes: number; readonly tagging: string; readonly modTimeNs: bigint },
): Due | null {
  if (!hasExpiration(bucket.lifecycle)) return null;
  return expiryOf(bucket.lifecycle, {
    key,
    sizeBytes: made.sizeBytes,
    tags: new Map(new URLSearchParams(made.tagging)),
    modTimeMs: Number(made.modTimeNs / 1_000_000n),
  });
}
