/** The multipart family but Complete: create, upload, copy a part, list, abort. Source: s3-api.md §4.5, §3.3. */
import { abortOf } from "../bucket/lifecycle.ts";
import { modeOf } from "../bucket/versioning.ts";
import {
  type ChecksumName,
  type ChecksumType,
  checksumAlgorithmOf,
  checksumToBase64,
  DIGEST,
  isKnownToMinio,
} from "../codec/checksum.ts";
import { QuorumError } from "../core/quorum-error.ts";
import type { StagedDigests, UploadPart, UploadState } from "../erasure/store.ts";
import { bucketOf, type ObjectContext } from "./context.ts";
import { openSource } from "./copy-object.ts";
import { withDefaultChecksum } from "./default-checksum.ts";
import { ObjectError } from "./errors.ts";
import { checkKey } from "./names.ts";
import { type Coding, newCoding, type StagedContent, stageContent } from "./new-coding.ts";
import { lockOfNewVersion } from "./object-lock.ts";
import { pipeContent } from "./pipe-content.ts";
import { NULL_VERSION, OBJECT_BYTES_MAX } from "./put-object.ts";
import type {
  CreateUploadRequest,
  CreateUploadResult,
  ListPartsRequest,
  ListPartsResult,
  ListUploadsRequest,
  ListUploadsResult,
  ObjectTarget,
  PartInfo,
  StoredPartInfo,
  UploadInfo,
  UploadPartCopyRequest,
  UploadPartCopyResult,
  UploadPartRequest,
} from "./types.ts";
import { shownPartEtags, uploadCoding } from "./upload-coding.ts";
import { userMetadata } from "./version-info.ts";

export const CHECKSUM_KEY = "x-minio-multipart-checksum";
export const CHECKSUM_TYPE_KEY = "x-minio-multipart-checksum-type";
/** In MetaSys: an algorithm that MinIO does not know; always composite. */
export const OWN_CHECKSUM_KEY = "x-minio-internal-sherd-upload-checksum";
const PART_NUMBER_MAX = 10_000;
const PARTS_READ_MIN = 64;

export async function createUpload(ctx: ObjectContext, request: CreateUploadRequest): Promise<CreateUploadResult> {
  checkKey(request.key);
  const bucket = await bucketOf(ctx, request.bucket);
  const { checksumAlgorithm } = request;
  const checksumType = typeOf(checksumAlgorithm, request.checksumType);
  const metaUsr = userMetadata(new Map([...request.metadata, ...lockOfNewVersion(ctx, bucket, request.lock)]), {
    etag: "",
    tagging: request.tagging,
    storageClass: request.storageClass,
  });
  const internal = new Map(request.internal);
  if (checksumAlgorithm !== null && !isKnownToMinio(checksumAlgorithm))
    internal.set(OWN_CHECKSUM_KEY, Buffer.from(checksumAlgorithm));
  else if (checksumAlgorithm !== null && checksumType !== null) {
    metaUsr.set(CHECKSUM_KEY, checksumAlgorithm);
    metaUsr.set(CHECKSUM_TYPE_KEY, checksumType);
  }
  const versionId = modeOf(bucket.versioning, request.key) === "enabled" ? ctx.rng.uuid() : NULL_VERSION;
  using coding = await newCoding(
    ctx,
    {
      place: request,
      bucket,
      contentType: metaUsr.get("content-type") ?? "",
      sizeBytes: 0,
      encryption: request.encryption,
    },
    true,
  );
  const state = await ctx.store.createUpload({
    bucket: request.bucket,
    key: request.key,
    versionId,
    storageClass: request.storageClass,
    metaUsr,
    metaSys: new Map([...internal, ...coding.metaSys]),
  });
  const abort = abortOf(bucket.lifecycle, request.key, Number(state.initiatedNs / 1_000_000n));
  const { encryption } = coding;
  return { uploadId: state.ref.uploadId, checksumAlgorithm, checksumType, encryption, abort };
}

function typeOf(algorithm: ChecksumName | null, asked: ChecksumType | null): ChecksumType | null {
  if (algorithm === null) {
    if (asked !== null) throw new ObjectError("InvalidRequest", "A checksum type needs a checksum algorithm.");
    return null;
  }
  const { multipartTypes } = checksumAlgorithmOf(algorithm);
  if (asked !== null && !multipartTypes.includes(asked))
    throw new ObjectError(
      "InvalidArgument",
      `The ${asked} checksum type cannot be used with the ${algorithm} checksum algorithm.`,
    );
  return asked ?? (multipartTypes[0] as ChecksumType);
}

export async function uploadOf(
  ctx: ObjectContext,
  target: ObjectTarget & { readonly uploadId: string },
): Promise<UploadState> {
  checkKey(target.key);
  await bucketOf(ctx, target.bucket);
  const state = await ctx.store.openUpload(target.bucket, target.key, target.uploadId);
  if (state === null) throw noSuchUpload(target);
  return state;
}

function noSuchUpload({ uploadId }: { readonly uploadId: string }): ObjectError {
  return new ObjectError(
    "NoSuchUpload",
    "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
    { uploadId },
  );
}

/** What fails because the upload was completed or aborted meanwhile is NoSuchUpload, not the drives' fault. */
async function whileItLasts<T>(
  ctx: ObjectContext,
  target: ObjectTarget & { readonly uploadId: string },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof QuorumError && (await isGone(ctx, target))) throw noSuchUpload(target);
    throw error;
  }
}

async function isGone(
  ctx: ObjectContext,
  { bucket, key, uploadId }: ObjectTarget & { readonly uploadId: string },
): Promise<boolean> {
  try {
    return (await ctx.store.openUpload(bucket, key, uploadId)) === null;
  } catch (error) {
    if (error instanceof QuorumError) return false; // then the error before it is the better answer
    throw error;
  }
}

export function uploadChecksum(
  state: UploadState,
): { readonly algorithm: ChecksumName; readonly type: ChecksumType } | null {
  const own = state.metaSys.get(OWN_CHECKSUM_KEY);
  const found = checksumAlgorithmOf(
    own === undefined ? (state.metaUsr.get(CHECKSUM_KEY) ?? "") : Buffer.from(own).toString(),
  );
  if (found === undefined) return null;
  return {
    algorithm: found.name,
    type:
      state.metaUsr.get(CHECKSUM_TYPE_KEY) === "FULL_OBJECT" || found.multipartTypes[0] === "FULL_OBJECT"
        ? "FULL_OBJECT"
        : "COMPOSITE",
  };
}

export async function uploadPart(ctx: ObjectContext, request: UploadPartRequest): Promise<StoredPartInfo> {
  return await whileItLasts(ctx, request, () => takePart(ctx, request));
}

async function takePart(ctx: ObjectContext, request: UploadPartRequest): Promise<StoredPartInfo> {
  checkPartNumber(request.partNumber);
  const state = await uploadOf(ctx, request);
  const declared = uploadChecksum(state);
  const body = declared === null ? withDefaultChecksum(ctx, request.body) : request.body;
  if (body.sizeBytes > OBJECT_BYTES_MAX)
    throw new ObjectError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.");

  using coding = await uploadCoding(ctx, state, request.customerKey);
  await using content = await stageContent(
    ctx,
    {
      bucket: request.bucket,
      key: request.key,
      body,
      sizeBytes: body.sizeBytes,
      digests: body.digests | DIGEST.md5,
      storageClass: "STANDARD",
      inline: "never",
      signal: request.signal,
      upload: state.ref,
    },
    coding,
    request.partNumber,
  );
  body.verify(content.digests);
  const given = body.checksum();
  if (declared !== null && given?.algorithm !== declared.algorithm) {
    throw new ObjectError(
      "InvalidArgument",
      `The upload was created with ${declared.algorithm} checksums, the part has ${given?.algorithm ?? "none"}.`,
    );
  }
  return await storePart(
    ctx,
    { state, content, coding },
    {
      number: request.partNumber,
      sizeBytes: body.sizeBytes,
      checksum: given,
    },
  );
}

function checksumFrom(algorithm: ChecksumName, digests: StagedDigests): string {
  return checksumToBase64(digests[checksumAlgorithmOf(algorithm).digest]);
}

async function storePart(
  ctx: ObjectContext,
  { state, content, coding }: { state: UploadState; content: StagedContent; coding: Coding },
  part: { readonly number: number; readonly sizeBytes: number; readonly checksum: PartInfo["checksum"] },
): Promise<StoredPartInfo> {
  const etag = coding.etag(ctx, content.digests.md5);
  const checksums = new Map(
    part.checksum === null ? [] : [[part.checksum.algorithm as string, part.checksum.value] as const],
  );
  const stored = await ctx.store.putPart(state.ref, content.staged, {
    number: part.number,
    etag: etag.stored,
    sizeBytes: content.staged.sizeBytes,
    actualBytes: part.sizeBytes,
    checksums,
  });
  return {
    partNumber: part.number,
    etag: etag.shown,
    sizeBytes: part.sizeBytes,
    modTimeNs: stored.modTimeNs,
    checksum: part.checksum,
    encryption: coding.encryption,
  };
}

export async function uploadPartCopy(
  ctx: ObjectContext,
  request: UploadPartCopyRequest,
): Promise<UploadPartCopyResult> {
  return await whileItLasts(ctx, request, () => copyPart(ctx, request));
}

async function copyPart(ctx: ObjectContext, request: UploadPartCopyRequest): Promise<UploadPartCopyResult> {
  checkPartNumber(request.partNumber);
  const state = await uploadOf(ctx, request);
  await using source = await openSource(ctx, request.source);
  const { sizeBytes } = source.info;
  const range = request.range ?? { first: 0, last: sizeBytes - 1 };
  if (range.last >= sizeBytes && request.range !== null)
    throw new ObjectError("InvalidArgument", `Range specified is not valid for source object of size: ${sizeBytes}`, {
      range,
      sizeBytes,
    });
  const length = range.last - range.first + 1;
  const algorithm = uploadChecksum(state)?.algorithm ?? ctx.defaultChecksum;
  using coding = await uploadCoding(ctx, state, request.customerKey);
  await using piped = pipeContent(source.content, range.first, length);
  await using content = await stageContent(
    ctx,
    {
      bucket: request.bucket,
      key: request.key,
      body: piped,
      sizeBytes: length,
      digests: DIGEST.md5 | (algorithm === null ? 0 : checksumAlgorithmOf(algorithm).flag),
      storageClass: "STANDARD",
      inline: "never",
      signal: request.signal,
      upload: state.ref,
    },
    coding,
    request.partNumber,
  );
  const checksum = algorithm === null ? null : { algorithm, value: checksumFrom(algorithm, content.digests) };
  const part = await storePart(
    ctx,
    { state, content, coding },
    {
      number: request.partNumber,
      sizeBytes: length,
      checksum,
    },
  );
  return { ...part, sourceVersionId: source.info.versionId === NULL_VERSION ? null : source.info.versionId };
}

function checkPartNumber(number: number): void {
  if (!Number.isInteger(number) || number < 1 || number > PART_NUMBER_MAX)
    throw new ObjectError(
      "InvalidArgument",
      `Part number must be an integer between 1 and ${PART_NUMBER_MAX}, inclusive.`,
    );
}

export async function listParts(ctx: ObjectContext, request: ListPartsRequest): Promise<ListPartsResult> {
  const state = await uploadOf(ctx, request);
  const after = await partsAfter(ctx, state, request.partNumberMarker, request.maxParts + 1);
  const page = after.slice(0, request.maxParts);
  const declared = uploadChecksum(state);
  const shown = await shownPartEtags(ctx, state, page);
  return {
    parts: page.map((part, i) => ({ ...partInfo(part, declared?.algorithm ?? null), etag: shown[i] as string })),
    isTruncated: after.length > page.length,
    nextPartNumberMarker: page.at(-1)?.number ?? 0,
    storageClass: state.metaUsr.get("x-amz-storage-class") ?? "STANDARD",
    internal: state.metaSys,
    checksumAlgorithm: declared?.algorithm ?? null,
    checksumType: declared?.type ?? null,
  };
}

/** At least `wanted` parts, if there are so many. A page reads the records of its own parts, not those of the whole upload. */
async function partsAfter(
  ctx: ObjectContext,
  state: UploadState,
  marker: number,
  wanted: number,
): Promise<readonly UploadPart[]> {
  const parts: UploadPart[] = [];
  let span = Math.max(wanted, PARTS_READ_MIN);
  for (let first = marker + 1; parts.length < wanted && first <= PART_NUMBER_MAX; ) {
    const last = first + span - 1;
    parts.push(...(await ctx.store.listParts(state.ref, { first, last })));
    first = last + 1;
    span *= 2; // numbers may be far apart
  }
  return parts;
}

export function partInfo(part: UploadPart, algorithm: ChecksumName | null): PartInfo {
  const name = algorithm ?? checksumAlgorithmOf([...part.checksums.keys()][0] ?? "")?.name ?? null;
  const value = name === null ? undefined : part.checksums.get(name);
  return {
    partNumber: part.number,
    etag: part.etag,
    sizeBytes: part.actualBytes,
    modTimeNs: part.modTimeNs,
    checksum: name === null || value === undefined ? null : { algorithm: name, value },
  };
}

export async function abortUpload(
  ctx: ObjectContext,
  request: ObjectTarget & { readonly uploadId: string },
): Promise<void> {
  using _ = await ctx.completed.end(request);
  const state = await uploadOf(ctx, request);
  if (ctx.completed.get(request) !== undefined) throw noSuchUpload(request); // drives may still show it for a moment
  await ctx.store.abortUpload(state.ref);
}

export async function listUploads(ctx: ObjectContext, request: ListUploadsRequest): Promise<ListUploadsResult> {
  await bucketOf(ctx, request.bucket);
  const all = await ctx.store.listUploads(request.bucket, request.prefix);
  const uploads: UploadInfo[] = [];
  const commonPrefixes: string[] = [];
  let last = { key: "", uploadId: "" };
  let passedMarker = request.uploadIdMarker === "";
  if (request.maxUploads === 0)
    return { uploads, commonPrefixes, isTruncated: false, nextKeyMarker: "", nextUploadIdMarker: "" };
  for (const state of all) {
    const { key, uploadId } = state.ref;
    if (request.keyMarker !== "") {
      if (key < request.keyMarker || (key === request.keyMarker && request.uploadIdMarker === "")) continue;
      if (key === request.keyMarker && !passedMarker) {
        passedMarker = uploadId === request.uploadIdMarker;
        continue;
      }
    }
    const cut = request.delimiter === "" ? -1 : key.indexOf(request.delimiter, request.prefix.length);
    const group = cut < 0 ? null : key.slice(0, cut + request.delimiter.length);
    if (group !== null && (commonPrefixes.at(-1) === group || request.keyMarker === group)) continue;
    if (uploads.length + commonPrefixes.length >= request.maxUploads) {
      return { uploads, commonPrefixes, isTruncated: true, nextKeyMarker: last.key, nextUploadIdMarker: last.uploadId };
    }
    if (group !== null) {
      commonPrefixes.push(group);
      last = { key: group, uploadId: "" };
    } else {
      uploads.push(uploadInfo(state));
      last = { key, uploadId };
    }
  }
  return { uploads, commonPrefixes, isTruncated: false, nextKeyMarker: "", nextUploadIdMarker: "" };
}

function uploadInfo(state: UploadState): UploadInfo {
  const declared = uploadChecksum(state);
  return {
    key: state.ref.key,
    uploadId: state.ref.uploadId,
    initiatedNs: state.initiatedNs,
    internal: state.metaSys,
    storageClass: state.metaUsr.get("x-amz-storage-class") ?? null,
    checksumAlgorithm: declared?.algorithm ?? null,
    checksumType: declared?.type ?? null,
  };
}
