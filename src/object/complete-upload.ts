/**
 * CompleteMultipartUpload: the listed parts become one version. A repeated Complete of an upload that was just completed
 * gets its first answer. Source: s3-api.md §4.5, §3.3; on-disk-format.md §6.4.
 */
import { createHash } from "node:crypto";
import {
  type ChecksumName,
  type ChecksumRecord,
  checksumFromBase64,
  checksumToBase64,
  combineCrc,
  compositeChecksum,
  isCombinable,
} from "../codec/checksum.ts";
import type { UploadPart } from "../erasure/store.ts";
import { bucketOf, type ObjectContext } from "./context.ts";
import { checksumOfParts } from "./default-checksum.ts";
import { ObjectError } from "./errors.ts";
import { expiryOfNew } from "./expiry.ts";
import { etagForConditions } from "./known-etag.ts";
import { checkKey } from "./names.ts";
import { demandReplaceable, readsForWrite } from "./object-lock.ts";
import { CHECKSUM_KEY, CHECKSUM_TYPE_KEY, OWN_CHECKSUM_KEY, uploadChecksum, uploadOf } from "./multipart.ts";
import { demandConditions, NULL_VERSION, OBJECT_BYTES_MAX } from "./put-object.ts";
import { takeRoom } from "./quota.ts";
import type { Checksum, ChecksumType, CompleteUploadRequest, PutObjectResult } from "./types.ts";
import { encryptionInfo } from "./content.ts";
import { completionCoding, shownPartEtags } from "./upload-coding.ts";
import { ACTUAL_SIZE_KEY } from "./version-info.ts";

const PART_BYTES_MIN = 5 * 1024 * 1024;

export async function completeUpload(ctx: ObjectContext, request: CompleteUploadRequest): Promise<PutObjectResult> {
  checkKey(request.key);
  const bucket = await bucketOf(ctx, request.bucket);
  using _ = await ctx.completed.end(request);
  const before = ctx.completed.get(request);
  if (before !== undefined) return before; // drives may still show the upload for a moment
  const state = await uploadOf(ctx, request);
  const declared = uploadChecksum(state);
  const stored = await ctx.store.listParts(state.ref);
  const shown = await shownPartEtags(ctx, state, stored);
  const parts = pickParts(
    request,
    stored.map((part, i) => ({ ...part, etag: shown[i] as string })),
    declared,
  );

  const sizeBytes = parts.reduce((sum, p) => sum + p.actualBytes, 0);
  if (sizeBytes > OBJECT_BYTES_MAX)
    throw new ObjectError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.");
  if (request.objectSizeBytes !== null && request.objectSizeBytes !== sizeBytes) {
    throw new ObjectError(
      "InvalidRequest",
      `The provided 'x-amz-mp-object-size' header value ${request.objectSizeBytes} does not match what was computed: ${sizeBytes}`,
    );
  }
  using room = await takeRoom(ctx, bucket, sizeBytes);
  const etag = multipartEtag(parts);
  const kept = declared ?? checksumOfParts(ctx, parts);
  const record = kept === null ? null : foldChecksums(ctx, parts, kept);
  demandChecksum(request, record);
  const metaUsr = new Map([...state.metaUsr].filter(([name]) => name !== CHECKSUM_KEY && name !== CHECKSUM_TYPE_KEY));
  metaUsr.set("etag", etag);
  const metaSys = new Map([...state.metaSys].filter(([name]) => name !== OWN_CHECKSUM_KEY));
  metaSys.set(ACTUAL_SIZE_KEY, new TextEncoder().encode(String(sizeBytes)));
  using coding = await completionCoding(ctx, state, request.customerKey);
  for (const [name, value] of coding?.crcEntry(ctx, record) ?? []) metaSys.set(name, value);
  const etagOf = await etagForConditions(ctx, request, request.conditions);
  room.committing();
  const committed = await ctx.store.completeUpload({
    ref: state.ref,
    versionId: state.versionId,
    parts,
    metaUsr,
    metaSys,
    check(current, versionOf) {
      demandConditions(request.conditions, current, etagOf);
      demandReplaceable(ctx, state.versionId, versionOf);
    },
    readsLatest: readsForWrite(bucket, state.versionId, request.conditions) !== "none",
    signal: request.signal,
  });
  const checksum: Checksum | null =
    record === null
      ? null
      : { algorithm: record.algorithm, type: record.type, value: checksumToBase64(record.value), parts: record.parts };
  const result = {
    etag,
    versionId: state.versionId === NULL_VERSION ? null : state.versionId,
    modTimeNs: committed.modTimeNs,
    checksum,
    encryption: encryptionInfo(state.metaSys, undefined),
    expiry: expiryOfNew(bucket, request.key, {
      sizeBytes,
      tagging: metaUsr.get("X-Amz-Tagging") ?? "",
      modTimeNs: committed.modTimeNs,
    }),
  };
  ctx.completed.remember(request, result);
  return result;
}

function pickParts(
  request: CompleteUploadRequest,
  stored: readonly UploadPart[],
  declared: { algorithm: ChecksumName; type: ChecksumType } | null,
): UploadPart[] {
  if (request.parts.length === 0) throw new ObjectError("InvalidRequest", "You must specify at least one part.");
  const byNumber = new Map(stored.map((p) => [p.number, p]));
  const picked: UploadPart[] = [];
  for (const [i, asked] of request.parts.entries()) {
    const previous = request.parts[i - 1];
    if (previous !== undefined && previous.partNumber >= asked.partNumber)
      throw new ObjectError(
        "InvalidPartOrder",
        "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
      );
    const part = byNumber.get(asked.partNumber);
    const wrongSum =
      part !== undefined &&
      asked.checksum !== null &&
      declared !== null &&
      part.checksums.get(declared.algorithm) !== asked.checksum.value;
    if (declared?.type === "COMPOSITE" && asked.checksum === null)
      throw new ObjectError(
        "InvalidPart",
        `The upload was created with ${declared.algorithm} checksums; the list must have one for each part.`,
        { partNumber: asked.partNumber },
      );
    if (part === undefined || part.etag !== asked.etag || wrongSum) {
      throw new ObjectError(
        "InvalidPart",
        "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
        { partNumber: asked.partNumber },
      );
    }
    picked.push(part);
  }
  for (const part of picked.slice(0, -1)) {
    if (part.actualBytes < PART_BYTES_MIN)
      throw new ObjectError("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed object size.", {
        partNumber: part.number,
        proposedSize: part.actualBytes,
        minSizeAllowed: PART_BYTES_MIN,
      });
  }
  return picked;
}

function multipartEtag(parts: readonly UploadPart[]): string {
  const hash = createHash("md5");
  for (const part of parts) hash.update(Buffer.from(part.etag, "hex"));
  return `${hash.digest("hex")}-${parts.length}`;
}

function foldChecksums(
  ctx: ObjectContext,
  parts: readonly UploadPart[],
  declared: { algorithm: ChecksumName; type: "COMPOSITE" | "FULL_OBJECT" },
): ChecksumRecord {
  const { algorithm, type } = declared;
  const partValues = parts.map((part) => {
    const text = part.checksums.get(algorithm);
    if (text === undefined)
      throw new ObjectError("InvalidPart", `Part ${part.number} has no ${algorithm} checksum.`, {
        partNumber: part.number,
      });
    return checksumFromBase64(algorithm, text);
  });
  let value: Uint8Array;
  if (type === "FULL_OBJECT" && isCombinable(algorithm)) {
    value = partValues[0] as Uint8Array;
    for (const [i, part] of parts.entries())
      if (i > 0)
        value = combineCrc(ctx.codec, algorithm, value, {
          value: partValues[i] as Uint8Array,
          sizeBytes: part.actualBytes,
        });
  } else value = compositeChecksum(ctx.codec, algorithm, partValues);
  return { algorithm, type, value, parts: parts.length, partValues, trailing: false };
}

function demandChecksum(request: CompleteUploadRequest, record: ChecksumRecord | null): void {
  if (request.checksumType !== null && record !== null && request.checksumType !== record.type)
    throw new ObjectError("InvalidRequest", `The upload was created with the checksum type ${record.type}.`);
  if (request.checksum === null) return;
  const given = request.checksum.value.replace(/-\d+$/, "");
  if (record === null || request.checksum.algorithm !== record.algorithm || given !== checksumToBase64(record.value)) {
    throw new ObjectError(
      "ChecksumMismatch",
      "The provided checksum of the whole object does not match what was computed.",
    );
  }
}
