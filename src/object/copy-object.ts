/**
 * CopyObject: the source's bytes become a new version; a copy onto itself that changes only metadata is a metadata change.
 * Metadata and tags follow their directives. Source: s3-api.md §4.6, §3.4.
 */
import type { Bucket } from "../bucket/catalog.ts";
import { modeOf } from "../bucket/versioning.ts";
import {
  type ChecksumName,
  type ChecksumRecord,
  checksumAlgorithmOf,
  checksumToBase64,
  DIGEST,
} from "../codec/checksum.ts";
import type { StagedDigests, StoredVersion } from "../erasure/store.ts";
import { type Content, contentOf } from "./content.ts";
import { bucketOf, type ObjectContext } from "./context.ts";
import { notFound, ObjectError } from "./errors.ts";
import { demandAlive, expiryOfNew, expiryOfVersion } from "./expiry.ts";
import { demandVisible } from "./get-object.ts";
import { etagForConditions } from "./known-etag.ts";
import { checkKey } from "./names.ts";
import { type Coding, newCoding, stageContent } from "./new-coding.ts";
import { pipeContent } from "./pipe-content.ts";
import { demandLockable, demandReplaceable, lockOfNewVersion, readsForWrite } from "./object-lock.ts";
import { judgeCopySource } from "./precondition.ts";
import { demandConditions, NULL_VERSION } from "./put-object.ts";
import { takeRoom } from "./quota.ts";
import type { Checksum, CopyObjectRequest, CopyObjectResult, CopySource, VersionInfo } from "./types.ts";
import { modTimeMs, REDIRECT_LOCATION_KEY, userMetadata } from "./version-info.ts";

/** Kept out of a copy: they belong to the source version. */
const NOT_COPIED = [
  "etag",
  "x-amz-restore",
  "X-Amz-Replication-Status",
  "x-amz-storage-class",
  "X-Amz-Tagging",
  REDIRECT_LOCATION_KEY,
];
const LOCK_PREFIX = "x-amz-object-lock-";

export interface OpenedSource extends AsyncDisposable {
  readonly version: StoredVersion;
  readonly content: Content;
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
    const content = await contentOf(ctx, source, reader, source.customerKey);
    const { info } = content;
    if (!judgeCopySource(source.conditions, { etag: info.etag, modTimeMs: modTimeMs(reader.version) })) {
      throw new ObjectError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold.");
    }
    return {
      version: reader.version,
      content,
      info,
      [Symbol.asyncDispose]() {
        content.close();
        return reader[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await reader[Symbol.asyncDispose]();
    throw error;
  }
}

export async function copyObject(ctx: ObjectContext, request: CopyObjectRequest): Promise<CopyObjectResult> {
  checkKey(request.key);
  const bucket = await bucketOf(ctx, request.bucket);
  demandLockable(bucket, request.lock);
  await using source = await openSource(ctx, request.source);
  const { info, version } = source;
  demandChange(request, info);
  using room = await takeRoom(ctx, bucket, info.sizeBytes);
  const algorithm = request.checksumAlgorithm ?? info.checksum?.algorithm ?? "CRC64NVME";
  const mode = modeOf(bucket.versioning, request.key);
  const storageClass = request.storageClass ?? info.storageClass;
  const metadata = new Map(request.replaceMetadata ?? copiedMetadata(version));
  if (request.redirectLocation !== null) metadata.set(REDIRECT_LOCATION_KEY, request.redirectLocation);
  using coding = await codingOfCopy(ctx, request, { bucket, metadata, sizeBytes: info.sizeBytes });
  await using body = pipeContent(source.content, 0, info.sizeBytes);
  await using content = await stageContent(
    ctx,
    {
      bucket: request.bucket,
      key: request.key,
      body,
      sizeBytes: info.sizeBytes,
      digests: DIGEST.md5 | checksumAlgorithmOf(algorithm).flag,
      storageClass: storageClass === "REDUCED_REDUNDANCY" ? storageClass : "STANDARD",
      inline: mode === "enabled" ? "versioned" : "unversioned",
      signal: request.signal,
    },
    coding,
  );
  const { staged, digests } = content;
  const etag = coding.etag(ctx, digests.md5);
  const checksum = checksumOf(algorithm, digests);
  const record = recordOf(algorithm, digests);
  const tagging = request.replaceTagging ?? info.tagging;
  const versionId = mode === "enabled" ? ctx.rng.uuid() : NULL_VERSION;
  const etagOf = await etagForConditions(ctx, request, request.conditions);
  room.committing();
  const committed = await ctx.store.commit({
    bucket: request.bucket,
    key: request.key,
    reads: readsForWrite(bucket, versionId, request.conditions),
    signal: request.signal,
    decide(current, versionOf) {
      demandConditions(request.conditions, current, etagOf);
      demandReplaceable(ctx, versionId, versionOf);
      return {
        kind: "put",
        versionId,
        staged,
        metaUsr: userMetadata(new Map([...metadata, ...lockOfNewVersion(ctx, bucket, request.lock)]), {
          etag: etag.stored,
          tagging,
          storageClass,
        }),
        metaSys: coding.versionMeta(ctx, { internal: request.internal, sizeBytes: content.sizeBytes, record }),
      };
    },
  });
  const modTimeNs = committed?.modTimeNs ?? 0n;
  return {
    etag: etag.shown,
    encryption: coding.encryption,
    versionId: mode === "enabled" ? versionId : null,
    checksum,
    modTimeNs,
    expiry: expiryOfNew(bucket, request.key, { sizeBytes: info.sizeBytes, tagging, modTimeNs }),
    sourceHasChecksum: info.checksum !== null,
    sourceVersionId: info.versionId === NULL_VERSION ? null : info.versionId,
  };
}

function codingOfCopy(
  ctx: ObjectContext,
  request: CopyObjectRequest,
  of: { readonly bucket: Bucket; readonly metadata: ReadonlyMap<string, string>; readonly sizeBytes: number },
): Coding | Promise<Coding> {
  return newCoding(ctx, {
    place: request,
    bucket: of.bucket,
    contentType: of.metadata.get("content-type") ?? "",
    sizeBytes: of.sizeBytes,
    encryption: request.encryption,
  });
}

function recordOf(algorithm: ChecksumName, digests: StagedDigests): ChecksumRecord {
  const value = digests[checksumAlgorithmOf(algorithm).digest];
  return { algorithm, type: "FULL_OBJECT", value, parts: 0, partValues: [], trailing: false };
}

function checksumOf(algorithm: ChecksumName, digests: StagedDigests): Checksum {
  return {
    algorithm,
    type: "FULL_OBJECT",
    value: checksumToBase64(digests[checksumAlgorithmOf(algorithm).digest]),
    parts: 0,
  };
}

export function copiedMetadata(version: Pick<StoredVersion, "metaUsr">): Map<string, string> {
  return new Map([...version.metaUsr].filter(([name]) => !NOT_COPIED.includes(name) && !name.startsWith(LOCK_PREFIX)));
}

/** A copy of an object onto itself must change something. */
function demandChange(request: CopyObjectRequest, info: VersionInfo): void {
  if (request.bucket !== request.source.bucket || request.key !== request.source.key) return;
  const changes =
    request.replaceMetadata !== null ||
    request.replaceTagging !== null ||
    request.redirectLocation !== null ||
    request.source.versionId !== undefined ||
    request.encryption !== undefined ||
    info.encryption?.kind === "SSE-C" || // its key is not kept by a copy that names none
    (request.storageClass !== null && request.storageClass !== info.storageClass);
  if (!changes) {
    throw new ObjectError(
      "InvalidCopy",
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    );
  }
}
