/**
 * PutObject: stage, verify, lock, commit. Owns the order of these and nothing else. The body is staged before the lock, so
 * that a slow client never holds one. On any error nothing is visible.
 */
import { type ChecksumName, type ChecksumRecord, checksumFromBase64, DIGEST } from "../codec/checksum.ts";
import type { Bucket } from "../bucket/catalog.ts";
import { modeOf } from "../bucket/versioning.ts";
import type { StoredVersion } from "../erasure/store.ts";
import { bucketOf, knownBucket, type ObjectContext } from "./context.ts";
import { withDefaultChecksum } from "./default-checksum.ts";
import { ObjectError } from "./errors.ts";
import { expiryOfNew } from "./expiry.ts";
import { type EtagOf, etagForConditions } from "./known-etag.ts";
import { checkKey } from "./names.ts";
import { newCoding, stageContent } from "./new-coding.ts";
import { demandLockable, demandReplaceable, lockOfNewVersion, readsForWrite } from "./object-lock.ts";
import { judgeWrite } from "./precondition.ts";
import { takeRoom } from "./quota.ts";
import type { Checksum, Conditions, PutObjectRequest, PutObjectResult } from "./types.ts";
import { modTimeMs, userMetadata } from "./version-info.ts";

export const OBJECT_BYTES_MAX = 5 * 2 ** 40;
export const NULL_VERSION = "null";

export async function putObject(ctx: ObjectContext, request: PutObjectRequest): Promise<PutObjectResult> {
  const { tagging, storageClass } = request;
  checkKey(request.key);
  const bucket = knownBucket(ctx, request.bucket) ?? (await bucketOf(ctx, request.bucket));
  demandAdmissible(bucket, request);
  const body = withDefaultChecksum(ctx, request.body);
  using room = await takeRoom(ctx, bucket, body.sizeBytes);
  const mode = modeOf(bucket.versioning, request.key);
  using coding = await newCoding(ctx, {
    place: request,
    bucket,
    contentType: request.metadata.get("content-type") ?? "",
    sizeBytes: body.sizeBytes,
    encryption: request.encryption,
  });
  await using content = await stageContent(
    ctx,
    {
      bucket: request.bucket,
      key: request.key,
      body,
      sizeBytes: body.sizeBytes,
      sizeIsMax: body.sizeIsMax === true,
      digests: body.digests | DIGEST.md5,
      storageClass,
      inline: mode === "enabled" ? "versioned" : "unversioned",
      signal: request.signal,
    },
    coding,
  );
  body.verify(content.digests);
  const etag = coding.etag(ctx, content.digests.md5);
  const given = body.checksum();
  const record = given === null ? null : fullChecksum(given);
  const versionId = mode === "enabled" ? ctx.rng.uuid() : NULL_VERSION;
  const etagOf = await etagForConditions(ctx, request, request.conditions);
  room.committing();
  const committed = await ctx.store.commit({
    bucket: request.bucket,
    key: request.key,
    reads: request.demand === undefined ? readsForWrite(bucket, versionId, request.conditions) : "latest",
    signal: request.signal,
    decide(current, versionOf) {
      demandConditions(request.conditions, current, etagOf);
      request.demand?.(current);
      demandReplaceable(ctx, versionId, versionOf);
      const lock = lockOfNewVersion(ctx, bucket, request.lock);
      return {
        kind: "put",
        versionId,
        staged: content.staged,
        modTimeNs: request.modTimeNs,
        metaUsr: userMetadata(request.metadata, { etag: etag.stored, tagging, storageClass, lock }),
        metaSys: coding.versionMeta(ctx, { internal: request.internal, sizeBytes: content.sizeBytes, record }),
      };
    },
  });
  const checksum: Checksum | null = given === null ? null : { ...given, type: "FULL_OBJECT", parts: 0 };
  const modTimeNs = committed?.modTimeNs ?? 0n;
  return {
    etag: etag.shown,
    versionId: mode === "enabled" ? versionId : null,
    checksum,
    modTimeNs,
    encryption: coding.encryption,
    expiry: expiryOfNew(bucket, request.key, { sizeBytes: content.sizeBytes, tagging, modTimeNs }),
  };
}

/** What forbids the write whatever its body is. */
function demandAdmissible(bucket: Bucket, { body, lock }: PutObjectRequest): void {
  if (body.sizeBytes > OBJECT_BYTES_MAX)
    throw new ObjectError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.");
  demandLockable(bucket, lock);
}

function fullChecksum({ algorithm, value }: { algorithm: ChecksumName; value: string }): ChecksumRecord {
  return {
    algorithm,
    type: "FULL_OBJECT",
    value: checksumFromBase64(algorithm, value),
    parts: 0,
    partValues: [],
    trailing: false,
  };
}

/** Throws unless the write may replace what is there. */
export function demandConditions(conditions: Conditions, current: StoredVersion | null, etagOf: EtagOf): void {
  const found =
    current === null || current.isDeleteMarker ? null : { etag: etagOf(current), modTimeMs: modTimeMs(current) };
  const verdict = judgeWrite(conditions, found);
  if (verdict === "failed")
    throw new ObjectError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold.");
  if (verdict === "absent") throw new ObjectError("NoSuchKey", "The specified key does not exist.");
}
