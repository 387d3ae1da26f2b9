/**
 * The content of a stored version as its client knows it: decrypted, decompressed, with the ETag and checksum that only the key
 * shows. Plain versions pass through untouched: no step is added to them. Source: on-disk-format.md §5.12, §5.13.
 */
import { PACKAGE_BYTES, plainSize, SEALED_PACKAGE_BYTES } from "../codec/dare.ts";
import { startFor } from "../codec/s2.ts";
import type { Block } from "../core/block-pool.ts";
import type { ByteSink } from "../core/byte-stream.ts";
import type { StoredVersion, VersionReader } from "../erasure/store.ts";
import type { ObjectContext } from "./context.ts";
import { DECOMPRESS_BYTES, DecompressSink } from "./decompress-sink.ts";
import { DECRYPT_BYTES_MAX, DecryptSink, sealedRange } from "./decrypt-sink.ts";
import { ObjectError } from "./errors.ts";
import {
  ENCRYPTED_MULTIPART,
  encryptionKind,
  KMS_CONTEXT,
  KMS_KEY_ID,
  keyMd5,
  opaqueEtag,
  openObjectKey,
  openSide,
  partKey,
  type Place,
  shownEtag,
} from "./object-key.ts";
import type { Transforms } from "./transforms.ts";
import type { EncryptionInfo, EncryptionKind, VersionInfo } from "./types.ts";
import { COMPRESSION_KEY, demandReachable, versionInfo } from "./version-info.ts";

export interface Content {
  readonly info: VersionInfo;
  /** The whole content if it is in memory already. */
  readonly inline: Uint8Array | null;
  /** Writes bytes [offset, offset + length) of the content. */
  stream(sink: ByteSink, offset: number, length: number): Promise<void>;
  /** Wipes the key; nothing is streamed after it. */
  close(): void;
}

/** Throws ObjectError when the key is missing, wrong or not to be had. */
export function contentOf(
  ctx: ObjectContext,
  place: Place,
  reader: VersionReader,
  customerKey: Uint8Array | undefined,
): Content | Promise<Content> {
  const { version } = reader;
  demandReachable(version);
  const kind = encryptionKind(version.metaSys);
  const isCompressed = version.metaSys.has(COMPRESSION_KEY);
  if (kind === null && customerKey !== undefined && !version.isDeleteMarker)
    throw new ObjectError("InvalidRequest", "The encryption parameters are not applicable to this object.");
  if (kind === null && !isCompressed) return new PlainContent(versionInfo(place.bucket, place.key, version), reader);
  return codedContent(ctx, place, reader, { kind, isCompressed, customerKey });
}

async function codedContent(
  ctx: ObjectContext,
  place: Place,
  reader: VersionReader,
  coding: { kind: EncryptionKind | null; isCompressed: boolean; customerKey: Uint8Array | undefined },
): Promise<Content> {
  const { version } = reader;
  const { kind, isCompressed, customerKey } = coding;
  const { transforms } = ctx;
  const objectKey = kind === null ? null : await openObjectKey(transforms, place, version.metaSys, customerKey ?? null);
  const info =
    objectKey === null
      ? versionInfo(place.bucket, place.key, version)
      : infoWithKey(ctx, place, version, objectKey, customerKey);
  return {
    info,
    inline: null,
    stream: (sink, offset, length) =>
      streamParts(transforms, reader, { objectKey, isCompressed, info }, { sink, offset, length }),
    close: () => objectKey?.fill(0),
  };
}

class PlainContent implements Content {
  constructor(
    readonly info: VersionInfo,
    private readonly reader: VersionReader,
  ) {}

  get inline(): Uint8Array | null {
    return this.reader.inline;
  }

  stream(sink: ByteSink, offset: number, length: number): Promise<void> {
    return this.reader.stream(sink, offset, length);
  }

  close(): void {
    /* deliberately nothing: it is not encrypted */
  }
}

/** As responses say; `customerKey` for SSE-C. */
export function encryptionInfo(
  metaSys: ReadonlyMap<string, Uint8Array>,
  customerKey: Uint8Array | undefined,
): EncryptionInfo | null {
  const kind = encryptionKind(metaSys);
  if (kind === null) return null;
  const of = (name: string): string => Buffer.from(metaSys.get(name) ?? []).toString("utf8");
  return {
    kind,
    keyId: kind === "SSE-C" ? "" : of(KMS_KEY_ID),
    context: of(KMS_CONTEXT),
    customerKeyMd5: kind === "SSE-C" && customerKey !== undefined ? keyMd5(customerKey) : "",
  };
}

function infoWithKey(
  { transforms }: ObjectContext,
  place: Place,
  version: StoredVersion,
  objectKey: Uint8Array,
  customerKey: Uint8Array | undefined,
): VersionInfo {
  const encryption = encryptionInfo(version.metaSys, customerKey);
  const stored = version.metaUsr.get("etag") ?? "";
  return versionInfo(place.bucket, place.key, version, {
    etag: encryption === null ? opaqueEtag(stored) : shownEtag(transforms.codec, encryption.kind, objectKey, stored),
    encryption,
    open: (sealed) => openSide(transforms.codec, objectKey, "object-checksum", sealed),
  });
}

interface Coding {
  readonly objectKey: Uint8Array | null;
  readonly isCompressed: boolean;
  readonly info: VersionInfo;
}
interface Wanted {
  readonly sink: ByteSink;
  readonly offset: number;
  readonly length: number;
}

async function streamParts(
  transforms: Transforms,
  reader: VersionReader,
  coding: Coding,
  wanted: Wanted,
): Promise<void> {
  if (wanted.length === 0) return;
  const { version } = reader;
  // All memory at once, before any block of the engine is held.
  const packages = coding.isCompressed ? Number.POSITIVE_INFINITY : Math.ceil(wanted.length / PACKAGE_BYTES) + 1;
  const decrypting = coding.objectKey === null ? 0 : Math.min(DECRYPT_BYTES_MAX, packages * SEALED_PACKAGE_BYTES);
  using memory: Block = await transforms.readBlocks.acquire(decrypting + (coding.isCompressed ? DECOMPRESS_BYTES : 0));
  let storedStart = 0;
  let start = 0;
  const isMultipart = version.metaSys.has(ENCRYPTED_MULTIPART);
  for (const [i, part] of version.parts.entries()) {
    const bytes = coding.info.parts[i]?.sizeBytes ?? 0;
    const from = Math.max(0, wanted.offset - start);
    const to = Math.min(bytes, wanted.offset + wanted.length - start);
    if (from < to) {
      const key = coding.objectKey === null || !isMultipart ? coding.objectKey : partKey(coding.objectKey, part.number);
      await streamPart(
        transforms,
        reader,
        { storedStart, storedBytes: part.sizeBytes, index: indexOf(transforms, coding, part.index ?? null), key },
        { ...wanted, offset: from, length: to - from, memory: memory.bytes, isCompressed: coding.isCompressed },
      );
    }
    storedStart += part.sizeBytes;
    start += bytes;
  }
}

/** A part's index of its compressed stream, which is only a help: one that does not open is none. */
function indexOf({ codec }: Transforms, { objectKey }: Coding, stored: Uint8Array | null): Uint8Array | null {
  if (stored === null || stored.length === 0) return null;
  return objectKey === null ? stored : openSide(codec, objectKey, "compression-index", stored);
}

async function streamPart(
  transforms: Transforms,
  reader: VersionReader,
  part: { storedStart: number; storedBytes: number; index: Uint8Array | null; key: Uint8Array | null },
  wanted: Wanted & { memory: Uint8Array; isCompressed: boolean },
): Promise<void> {
  const { jobs } = transforms;
  const innerBytes = part.key === null ? part.storedBytes : plainSize(part.storedBytes);
  if (innerBytes === null) throw new ObjectError("ObjectTampered", "A part's size is none that encryption gives.");
  let { sink, offset, length, memory } = wanted;
  let decompress: DecompressSink | null = null;
  if (wanted.isCompressed) {
    const begin = startFor(part.index, offset);
    const at = begin.storedOffset < innerBytes ? begin : { storedOffset: 0, plainOffset: 0 };
    decompress = new DecompressSink(jobs, sink, memory, { skip: offset - at.plainOffset, left: length });
    sink = decompress;
    memory = memory.subarray(DECOMPRESS_BYTES);
    offset = at.storedOffset;
    length = innerBytes - at.storedOffset;
  }
  if (part.key === null) {
    await reader.stream(sink, part.storedStart + offset, length);
    await decompress?.end();
    return;
  }
  if (offset + length > innerBytes) throw new ObjectError("ObjectTampered", "A part is shorter than its object says.");
  using decrypt = new DecryptSink(jobs, sink, memory, { key: part.key, plainBytes: innerBytes, offset, length });
  const sealed = sealedRange(innerBytes, offset, length);
  await reader.stream(decrypt, part.storedStart + sealed.offset, sealed.length);
  await decrypt.end();
  await decompress?.end();
}
