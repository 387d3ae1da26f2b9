/**
 * How a new version is stored: encrypted as the request, the bucket or the server say, compressed as the server's rules say; its
 * staging; and the metadata, ETag and checksum that follow from it. Source: on-disk-format.md §5.12, §5.13, s3-api.md §4.14.
 */
import { defaultEncryption } from "../bucket/encryption.ts";
import type { Bucket } from "../bucket/catalog.ts";
import type { ByteSource } from "../core/byte-stream.ts";
import { type ChecksumRecord, encodeChecksumRecords, isKnownToMinio } from "../codec/checksum.ts";
import type { Staged, StagedDigests, StageRequest } from "../erasure/store.ts";
import { isCompressed } from "./compression-rules.ts";
import { encryptionInfo } from "./content.ts";
import type { ObjectContext } from "./context.ts";
import { EncodedBody } from "./encoded-body.ts";
import { ObjectError } from "./errors.ts";
import {
  ENCRYPTED_MULTIPART,
  newObjectKey,
  opaqueEtag,
  partKey,
  type Place,
  sealEtag,
  sealSide,
} from "./object-key.ts";
import type { Encryption, EncryptionInfo } from "./types.ts";
import { ACTUAL_SIZE_KEY, COMPRESSION_KEY, CRC_KEY, OWN_CRC_KEY } from "./version-info.ts";

const S2 = "klauspost/compress/s2";
const NONCE_BYTES = 12;
const NOTHING: ReadonlyMap<string, Uint8Array> = new Map();
const COMPRESSED: ReadonlyMap<string, Uint8Array> = new Map([[COMPRESSION_KEY, Buffer.from(S2)]]);

/** What the bytes of a version or part go through; the object key is wiped when it is disposed. */
export class Coding implements Disposable {
  constructor(
    readonly objectKey: Uint8Array | null,
    readonly isCompressed: boolean,
    readonly encryption: EncryptionInfo | null,
    /** Of the version or upload: the sealed key, and that it is compressed. */
    readonly metaSys: ReadonlyMap<string, Uint8Array>,
  ) {}

  /** MetaSys of a version of that many bytes, as its client knows it. */
  versionMeta(
    ctx: ObjectContext,
    version: {
      readonly internal: ReadonlyMap<string, Uint8Array> | undefined;
      readonly sizeBytes: number;
      readonly record: ChecksumRecord | null;
    },
  ): Map<string, Uint8Array> {
    const metaSys = new Map(version.internal);
    for (const [name, value] of this.metaSys) metaSys.set(name, value);
    for (const [name, value] of this.crcEntry(ctx, version.record)) metaSys.set(name, value);
    if (this.isCompressed) metaSys.set(ACTUAL_SIZE_KEY, Buffer.from(String(version.sizeBytes)));
    return metaSys;
  }

  /** As stored, and as clients see it. */
  etag(ctx: ObjectContext, md5: Uint8Array): { readonly stored: string; readonly shown: string } {
    const plain = md5.toHex();
    if (this.objectKey === null) return { stored: plain, shown: plain };
    const stored = sealEtag(ctx.transforms, this.objectKey, md5);
    return { stored, shown: this.encryption?.kind === "SSE-S3" ? plain : opaqueEtag(stored) };
  }

  /** MetaSys of a checksum; none = nothing. */
  crcEntry(ctx: ObjectContext, record: ChecksumRecord | null): readonly (readonly [string, Uint8Array])[] {
    if (record === null) return [];
    const bytes = encodeChecksumRecords([record]);
    const key = isKnownToMinio(record.algorithm) ? CRC_KEY : OWN_CRC_KEY;
    return [
      [key, this.objectKey === null ? bytes : sealSide(ctx.transforms, this.objectKey, "object-checksum", bytes)],
    ];
  }

  [Symbol.dispose](): void {
    this.objectKey?.fill(0);
  }
}

export interface NewContent {
  readonly place: Place;
  readonly bucket: Bucket;
  readonly contentType: string;
  /** Or the most that it may be. */
  readonly sizeBytes: number;
  readonly encryption: Encryption | undefined;
}

/** For a new object, or an upload, whose parts then all go this way. Without waiting for what is not encrypted. */
export function newCoding(ctx: ObjectContext, what: NewContent, isUpload = false): Coding | Promise<Coding> {
  const { transforms } = ctx;
  const encryption = what.encryption ?? defaultOf(ctx, what.bucket);
  const compressed = isCompressed(transforms.compression, {
    key: what.place.key,
    contentType: what.contentType,
    sizeBytes: isUpload ? Number.MAX_SAFE_INTEGER : what.sizeBytes,
    isEncrypted: encryption !== undefined,
  });
  const metaSys = compressed ? COMPRESSED : NOTHING;
  return encryption === undefined
    ? new Coding(null, compressed, null, metaSys)
    : encrypted(ctx, { place: what.place, encryption, compressed, metaSys, isUpload });
}

async function encrypted(
  { transforms }: ObjectContext,
  what: {
    readonly place: Place;
    readonly encryption: Encryption;
    readonly compressed: boolean;
    readonly metaSys: ReadonlyMap<string, Uint8Array>;
    readonly isUpload: boolean;
  },
): Promise<Coding> {
  const { encryption, compressed } = what;
  const metaSys = new Map(what.metaSys);
  const made = await newObjectKey(transforms, what.place, encryption);
  for (const [name, value] of made.metaSys) metaSys.set(name, value);
  if (what.isUpload) metaSys.set(ENCRYPTED_MULTIPART, new Uint8Array(0));
  const info = encryptionInfo(metaSys, encryption.kind === "SSE-C" ? encryption.key : undefined);
  return new Coding(made.objectKey, compressed, info, metaSys);
}

function defaultOf({ transforms }: ObjectContext, bucket: Bucket): Encryption | undefined {
  const stored = bucket.metadata.documents.encryption;
  const byBucket = stored.length === 0 ? null : orderedBy(bucket.name, stored);
  if (byBucket?.algorithm === "aws:kms") return { kind: "SSE-KMS", keyId: byBucket.keyId, context: "" };
  return byBucket !== null || transforms.encryptAll ? { kind: "SSE-S3" } : undefined;
}

/** Data are not stored in the clear where an encryption was ordered that is not understood. */
function orderedBy(bucket: string, document: Uint8Array): ReturnType<typeof defaultEncryption> {
  try {
    return defaultEncryption(document);
  } catch (cause) {
    throw new ObjectError(
      "InvalidBucketState",
      "The bucket's default encryption cannot be read.",
      { bucket },
      { cause },
    );
  }
}

/** Of an upload in progress. */
export function uploadIsCompressed(metaSys: ReadonlyMap<string, Uint8Array>): boolean {
  return metaSys.has(COMPRESSION_KEY);
}

export interface StagedContent extends AsyncDisposable {
  readonly staged: Staged;
  /** The client's bytes. */
  readonly sizeBytes: number;
  readonly digests: StagedDigests;
}

/** Stages a body as its coding says. `part`: its number, of an upload. */
export async function stageContent(
  ctx: ObjectContext,
  request: Omit<StageRequest, "body" | "sizeBytes"> & { readonly body: ByteSource; readonly sizeBytes: number },
  coding: Coding,
  part?: number,
): Promise<StagedContent> {
  const { objectKey } = coding;
  if (objectKey === null && !coding.isCompressed) {
    const staged = await ctx.store.stage(request);
    const { sizeBytes, digests } = staged;
    return { staged, sizeBytes, digests, [Symbol.asyncDispose]: () => staged[Symbol.asyncDispose]() };
  }
  const { transforms } = ctx;
  const key = objectKey === null || part === undefined ? objectKey : partKey(objectKey, part);
  const nonce = transforms.rng.fill(new Uint8Array(NONCE_BYTES));
  await using body = new EncodedBody(transforms, request, {
    encryption: key === null ? null : { key, nonce },
    isCompressed: coding.isCompressed,
  });
  const staged = await ctx.store.stage({
    ...request,
    body,
    sizeBytes: body.storedBytes,
    clientBytes: () => body.clientBytes,
    digests: 0,
  });
  try {
    const digests = await body.digests();
    return { staged, sizeBytes: body.clientBytes, digests, [Symbol.asyncDispose]: () => staged[Symbol.asyncDispose]() };
  } catch (error) {
    await staged[Symbol.asyncDispose]();
    throw error;
  }
}
