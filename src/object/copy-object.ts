/**
 * CopyObject: the source's bytes become a new version; a copy onto itself that changes only metadata is a metadata change.
 * Metadata and tags follow their directives. Source: s3-api.md §4.6, §3.4.
 */
import { modeOf } from "../bucket/versioning.ts";
import { type ChecksumName, checksumAlgorithmOf, checksumToBase64, DIGEST } from "../codec/checksum.ts";
import type { StagedDigests, StoredVersion, VersionReader } from "../erasure/store.ts";
import { bucketForWrite, bucketOf, type ObjectContext } from "./context.ts";
import { notFound, ObjectError } from "./errors.ts";
import { demandAlive, expiryOfNew, expiryOfVersion } from "./expiry.ts";
import { demandVisible } from "./get-object.ts";
import { checkKey } from "./names.ts";
import { pipeVersion } from "./pipe-version.ts";
import { demandLockable, demandReplaceable, lockOfNewVersion, readsForWrite } from "./object-lock.ts";
import { judgeCopySource } from "./precondition.ts";
import { demandConditions, NULL_VERSION } from "./put-object.ts";
import type { Checksum, CopyObjectRequest, CopyObjectResult, CopySource, VersionInfo } from "./types.ts";
import { crcEntry, demandReadable, modTimeMs, userMetadata, versionInfo } from "./version-info.ts";

/** Kept out of a copy: they belong to the source version. */
const NOT_COPIED = ["etag", "x-amz-restore", "X-Amz-Replication-Status", "x-amz-storage-class", "X-Amz-Tagging"];
const LOCK_PREFIX = "x-amz-object-lock-";

export interface OpenedSource extends AsyncDisposable {
  readonly reader: VersionReader;
  readonly info: VersionInfo;
}

export async function openSource(ctx: ObjectContext, source: CopySource): Promise<OpenedSource> {
  checkKey(source.key);
  const bucket = await bucketOf(ctx, source.bucket);
  const reader = await ctx.store.openVersion(source.bucket, source.key, source.versionId);
  if (reader === null) throw notFound(source.versionId);
  try {
    demandVisible(reader.version, source.versionId);
    demandAlive(ctx, expiryOfVersion(ctx, bucket, source.key, reader.version), source.versionId);
    demandReadable(reader.version);
    const info = versionInfo(source.bucket, source.key, reader.version);
    if (!judgeCopySource(source.conditions, { etag: info.etag, modTimeMs: modTimeMs(reader.version) })) {
      throw new ObjectError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold.");
    }
    return { reader, info, [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose]() };
  } catch (error) {
    await reader[Symbol.asyncDispose]();
    throw error;
  }
}

export async function copyObject(ctx: ObjectContext, request: CopyObjectRequest): Promise<CopyObjectResult> {
  checkKey(request.key);
  const bucket = await bucketForWrite(ctx, request.bucket);
  demandLockable(bucket, request.lock);
  await using source = await openSource(ctx, request.source);
  const { info, reader } = source;
  demandChange(request, info);
  const algorithm = request.checksumAlgorithm ?? info.checksum?.algorithm ?? "CRC64NVME";
  const mode = modeOf(bucket.versioning, request.key);
  const storageClass = request.storageClass ?? info.storageClass;
  await using staged = await ctx.store.stage({
    bucket: request.bucket,
    key: request.key,
    body: pipeVersion(reader, 0, info.sizeBytes),
    sizeBytes: info.sizeBytes,
    digests: DIGEST.md5 | checksumAlgorithmOf(algorithm).flag,
    storageClass: storageClass === "REDUCED_REDUNDANCY" ? storageClass : "STANDARD",
    inline: mode === "enabled" ? "versioned" : "unversioned",
    signal: request.signal,
  });
  const etag = Buffer.from(staged.digests.md5).toString("hex");
  const checksum = checksumOf(algorithm, staged.digests);
  const record = {
    algorithm,
    type: "FULL_OBJECT" as const,
    value: staged.digests[checksumAlgorithmOf(algorithm).digest],
    parts: 0,
    partValues: [],
    trailing: false,
  };
  const metadata = request.replaceMetadata ?? copiedMetadata(reader.version);
  const tagging = request.replaceTagging ?? info.tagging;
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
        metaUsr: userMetadata(new Map([...metadata, ...lockOfNewVersion(ctx, bucket, request.lock)]), {
          etag,
          tagging,
          storageClass,
        }),
        metaSys: new Map([...(request.internal ?? []), ...crcEntry(record)]),
      };
    },
  });
  const modTimeNs = committed?.modTimeNs ?? 0n;
  return {
    etag,
    versionId: mode === "enabled" ? versionId : null,
    checksum,
    modTimeNs,
    expiry: expiryOfNew(bucket, request.key, { sizeBytes: info.sizeBytes, tagging, modTimeNs }),
    sourceVersionId: info.versionId === NULL_VERSION ? null : info.versionId,
  };
}

function checksumOf(algorithm: ChecksumName, digests: StagedDigests): Checksum {
  return {
    algorithm,
    type: "FULL_OBJECT",
    value: checksumToBase64(digests[checksumAlgorithmOf(algorithm).digest]),
    parts: 0,
  };
}

export function copiedMetadata(version: StoredVersion): Map<string, string> {
  return new Map([...version.metaUsr].filter(([name]) => !NOT_COPIED.includes(name) && !name.startsWith(LOCK_PREFIX)));
}

/** A copy of an object onto itself must change something. */
function demandChange(request: CopyObjectRequest, info: VersionInfo): void {
  if (request.bucket !== request.source.bucket || request.key !== request.source.key) return;
  const changes =
    request.replaceMetadata !== null ||
    request.replaceTagging !== null ||
    request.source.versionId !== undefined ||
    (request.storageClass !== null && request.storageClass !== info.storageClass);
  if (!changes) {
    throw new ObjectError(
      "InvalidCopy",
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    );
  }
}
