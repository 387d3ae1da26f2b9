/**
 * PutObject: stage, verify, lock, commit. Owns the order of these and nothing else. The body is staged before the lock, so
 * that a slow client never holds one. On any error nothing is visible.
 */
import { checksumFromBase64, DIGEST } from "../codec/checksum.ts";
import { modeOf } from "../bucket/versioning.ts";
import type { StoredVersion } from "../erasure/store.ts";
import { bucketForWrite, type ObjectContext } from "./context.ts";
import { ObjectError } from "./errors.ts";
import { expiryOfNew } from "./expiry.ts";
import { checkKey } from "./names.ts";
import { demandLockable, demandReplaceable, lockOfNewVersion, readsForWrite } from "./object-lock.ts";
import { judgeWrite } from "./precondition.ts";
import type { Checksum, Conditions, PutObjectRequest, PutObjectResult } from "./types.ts";
import { crcEntry, modTimeMs, userMetadata } from "./version-info.ts";

export const OBJECT_BYTES_MAX = 5 * 2 ** 40;
export const NULL_VERSION = "null";

export async function putObject(ctx: ObjectContext, request: PutObjectRequest): Promise<PutObjectResult> {
  checkKey(request.key);
  const bucket = await bucketForWrite(ctx, request.bucket);
  const { body } = request;
  if (body.sizeBytes > OBJECT_BYTES_MAX)
    throw new ObjectError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.");
  demandLockable(bucket, request.lock);
  const mode = modeOf(bucket.versioning, request.key);
  await using staged = await ctx.store.stage({
    bucket: request.bucket,
    key: request.key,
    body,
    sizeBytes: body.sizeBytes,
    sizeIsMax: body.sizeIsMax === true,
    digests: body.digests | DIGEST.md5,
    storageClass: request.storageClass,
    inline: mode === "enabled" ? "versioned" : "unversioned",
    signal: request.signal,
  });
  body.verify(staged.digests);
  const etag = Buffer.from(staged.digests.md5).toString("hex");
  const given = body.checksum();
  const record =
    given === null
      ? null
      : {
          algorithm: given.algorithm,
          type: "FULL_OBJECT" as const,
          value: checksumFromBase64(given.algorithm, given.value),
          parts: 0,
          partValues: [],
          trailing: false,
        };
  const versionId = mode === "enabled" ? ctx.rng.uuid() : NULL_VERSION;
  const committed = await ctx.store.commit({
    bucket: request.bucket,
    key: request.key,
    reads: readsForWrite(bucket, versionId, request.conditions),
    signal: request.signal,
    decide(current, versionOf) {
      demandConditions(request.conditions, current);
      demandReplaceable(ctx, versionId, versionOf);
      return {
        kind: "put",
        versionId,
        staged,
        ...(request.modTimeNs === undefined ? {} : { modTimeNs: request.modTimeNs }),
        metaUsr: userMetadata(new Map([...request.metadata, ...lockOfNewVersion(ctx, bucket, request.lock)]), {
          etag,
          tagging: request.tagging,
          storageClass: request.storageClass,
        }),
        metaSys: new Map([...(request.internal ?? []), ...crcEntry(record)]),
      };
    },
  });
  const checksum: Checksum | null = given === null ? null : { ...given, type: "FULL_OBJECT", parts: 0 };
  const modTimeNs = committed?.modTimeNs ?? 0n;
  const made = { sizeBytes: staged.sizeBytes, tagging: request.tagging, modTimeNs };
  const expiry = expiryOfNew(bucket, request.key, made);
  return { etag, versionId: mode === "enabled" ? versionId : null, checksum, modTimeNs, expiry };
}

/** Throws unless the write may replace what is there. */
export function demandConditions(conditions: Conditions, current: StoredVersion | null): void {
  const found =
    current === null || current.isDeleteMarker
      ? null
      : { etag: current.metaUsr.get("etag") ?? "", modTimeMs: modTimeMs(current) };
  const verdict = judgeWrite(conditions, found);
  if (verdict === "failed")
    throw new ObjectError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold.");
  if (verdict === "absent") throw new ObjectError("NoSuchKey", "The specified key does not exist.");
}
