/**
 * Digests of byte streams and S3's checksums: the running digest of one stream, the table of algorithms, combining the
 * checksums of parts, their base64 form, and the record that a version keeps of them.
 * Sizes in bytes; checksum values are raw bytes, CRCs big-endian. ChecksumError = text or record from outside is malformed.
 * Source: s3-api.md §3, on-disk-format.md §5.11, native/codec.h (digests.c).
 */
import { assert } from "../core/assert.ts";
import { OperatingError } from "../core/errors.ts";
import type { Codec } from "./native.ts";

/** Flags of codec.h; any set of them is digested in one pass. */
export const DIGEST = {
  md5: 1,
  sha256: 2,
  crc32: 4,
  crc32c: 8,
  crc64nvme: 16,
  sha1: 32,
  sha512: 64,
  xxhash64: 128,
  xxhash3: 256,
  xxhash128: 512,
} as const;
const DIGEST_ALL = 1023;
/** Asked for rarely, and given out apart. */
const DIGEST_MORE = DIGEST.sha512 | DIGEST.xxhash64 | DIGEST.xxhash3 | DIGEST.xxhash128;

/** Those without a flag are zeros. */
export interface DigestResult {
  readonly md5: Uint8Array;
  readonly sha256: Uint8Array;
  readonly sha1: Uint8Array;
  readonly crc32: Uint8Array;
  readonly crc32c: Uint8Array;
  readonly crc64nvme: Uint8Array;
  readonly sha512: Uint8Array;
  readonly xxhash64: Uint8Array;
  readonly xxhash3: Uint8Array;
  readonly xxhash128: Uint8Array;
}

/** Of digests that nobody asked for. */
const ZEROS: DigestResult = {
  md5: new Uint8Array(16),
  sha256: new Uint8Array(32),
  sha1: new Uint8Array(20),
  crc32: new Uint8Array(4),
  crc32c: new Uint8Array(4),
  crc64nvme: new Uint8Array(8),
  sha512: new Uint8Array(64),
  xxhash64: new Uint8Array(8),
  xxhash3: new Uint8Array(8),
  xxhash128: new Uint8Array(16),
};

/** Smaller buffers may move, and their pointer would dangle. */
const STATE_BUFFER_BYTES = 1024;
const OUT_BYTES = 96;
const OUT_OFFSET = STATE_BUFFER_BYTES - OUT_BYTES;

/**
 * The running digests of one stream. The state is plain memory at `statePointer`, valid as long as this object lives;
 * native calls that digest many streams at once (sherd_digest_many, the pool) may update it instead of `update`.
 */
export class Digest {
  readonly flags: number;
  readonly state: Uint8Array;
  readonly statePointer: number;
  private readonly codec: Codec;

  constructor(codec: Codec, flags: number) {
    assert((flags & ~DIGEST_ALL) === 0, "all digest flags are known");
    assert(Number(codec.symbols.sherd_digest_bytes()) <= OUT_OFFSET, "the digest state has outgrown its buffer");
    this.codec = codec;
    this.flags = flags;
    this.state = new Uint8Array(new ArrayBuffer(STATE_BUFFER_BYTES));
    this.statePointer = Number(codec.ptr(this.state));
    codec.symbols.sherd_digest_init(this.statePointer, flags);
  }

  update(bytes: Uint8Array): void {
    if (bytes.length === 0) return; // an empty array has no pointer
    this.codec.symbols.sherd_digest_update(this.statePointer, this.codec.ptr(bytes), bytes.length);
  }

  /** The digests of what came so far; the stream may go on. */
  final(): DigestResult {
    const { symbols } = this.codec;
    const outPointer = this.statePointer + OUT_OFFSET;
    const more = (this.flags & DIGEST_MORE) === 0 ? ZEROS : this.finalMore(outPointer);
    symbols.sherd_digest_final(this.statePointer, outPointer);
    return {
      sha256: this.out("sha256", 0),
      md5: this.out("md5", 32),
      sha1: this.out("sha1", 48),
      crc32: this.out("crc32", 68),
      crc32c: this.out("crc32c", 72),
      crc64nvme: this.out("crc64nvme", 76),
      sha512: more.sha512,
      xxhash64: more.xxhash64,
      xxhash3: more.xxhash3,
      xxhash128: more.xxhash128,
    };
  }

  private finalMore(outPointer: number): Pick<DigestResult, "sha512" | "xxhash64" | "xxhash3" | "xxhash128"> {
    this.codec.symbols.sherd_digest_final_more(this.statePointer, outPointer);
    return {
      sha512: this.out("sha512", 0),
      xxhash64: this.out("xxhash64", 64),
      xxhash3: this.out("xxhash3", 72),
      xxhash128: this.out("xxhash128", 80),
    };
  }

  /** A copy of what was written at an offset. */
  private out(name: keyof DigestResult, offset: number): Uint8Array {
    const none = ZEROS[name];
    if ((this.flags & DIGEST[name]) === 0) return none;
    return this.state.slice(OUT_OFFSET + offset, OUT_OFFSET + offset + none.length);
  }
}

export type ChecksumName =
  | "CRC32"
  | "CRC32C"
  | "CRC64NVME"
  | "SHA1"
  | "SHA256"
  | "MD5"
  | "SHA512"
  | "XXHASH64"
  | "XXHASH3"
  | "XXHASH128";
export type ChecksumType = "COMPOSITE" | "FULL_OBJECT";

export interface ChecksumAlgorithm {
  readonly name: ChecksumName;
  readonly header: string;
  readonly element: string;
  /** Raw length of a value. */
  readonly bytes: number;
  readonly flag: number;
  readonly digest: keyof DigestResult;
  /** Type bit of the stored record; from OWN_TYPES on they are ours, and never where MinIO reads. */
  readonly typeBit: number;
  /** Types that a multipart upload may declare; the first is its default. */
  readonly multipartTypes: readonly ChecksumType[];
}

export const CHECKSUM_ALGORITHMS: readonly ChecksumAlgorithm[] = [
  row("CRC32", "crc32", 4, 8, ["COMPOSITE", "FULL_OBJECT"]),
  row("CRC32C", "crc32c", 4, 16, ["COMPOSITE", "FULL_OBJECT"]),
  row("CRC64NVME", "crc64nvme", 8, 256, ["FULL_OBJECT"]),
  row("SHA1", "sha1", 20, 4, ["COMPOSITE"]),
  row("SHA256", "sha256", 32, 2, ["COMPOSITE"]),
  row("MD5", "md5", 16, 1024, ["COMPOSITE"]),
  row("SHA512", "sha512", 64, 2048, ["COMPOSITE"]),
  row("XXHASH64", "xxhash64", 8, 4096, ["COMPOSITE"]),
  row("XXHASH3", "xxhash3", 8, 8192, ["COMPOSITE"]),
  row("XXHASH128", "xxhash128", 16, 16384, ["COMPOSITE"]),
];
const OWN_TYPES = 1024;

/** Can MinIO read it? What it cannot is kept beside what it does. */
export function isKnownToMinio(name: ChecksumName): boolean {
  return checksumAlgorithmOf(name).typeBit < OWN_TYPES;
}

function row(
  name: ChecksumName,
  digest: keyof DigestResult,
  bytes: number,
  typeBit: number,
  multipartTypes: readonly ChecksumType[],
): ChecksumAlgorithm {
  return {
    name,
    header: `x-amz-checksum-${digest}`,
    element: `Checksum${name}`,
    bytes,
    flag: DIGEST[digest],
    digest,
    typeBit,
    multipartTypes,
  };
}

/** By name in any case, as in `x-amz-checksum-algorithm`. */
export function checksumAlgorithmOf(name: ChecksumName): ChecksumAlgorithm;
export function checksumAlgorithmOf(name: string): ChecksumAlgorithm | undefined;
export function checksumAlgorithmOf(name: string): ChecksumAlgorithm | undefined {
  const upper = name.toUpperCase();
  return CHECKSUM_ALGORITHMS.find((algorithm) => algorithm.name === upper);
}

/** By header name in any case, as in `x-amz-trailer`. */
export function checksumAlgorithmOfHeader(header: string): ChecksumAlgorithm | undefined {
  const lower = header.trim().toLowerCase();
  return CHECKSUM_ALGORITHMS.find((algorithm) => algorithm.header === lower);
}

export type CrcName = "CRC32" | "CRC32C" | "CRC64NVME";
/** Does the checksum of the whole follow from those of its parts? */
export function isCombinable(name: ChecksumName): name is CrcName {
  return name === "CRC32" || name === "CRC32C" || name === "CRC64NVME";
}

/** The CRC of A followed by B, from the CRCs of both and the length of B. */
export function combineCrc(
  codec: Codec,
  name: CrcName,
  a: Uint8Array,
  b: { readonly value: Uint8Array; readonly sizeBytes: number },
): Uint8Array {
  const { bytes, flag } = checksumAlgorithmOf(name);
  assert(a.length === bytes && b.value.length === bytes, `${name} values have ${bytes} bytes`);
  const combined = codec.symbols.sherd_crc_combine(flag, numberOf(a), numberOf(b.value), BigInt(b.sizeBytes));
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt.asUintN(64, BigInt(combined)));
  return out.slice(8 - bytes);
}

function numberOf(bigEndian: Uint8Array): bigint {
  return bigEndian.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

/** The checksum of a COMPOSITE upload: of the concatenated raw values of its parts. */
export function compositeChecksum(codec: Codec, name: ChecksumName, partValues: readonly Uint8Array[]): Uint8Array {
  const algorithm = checksumAlgorithmOf(name);
  const digest = new Digest(codec, algorithm.flag);
  for (const value of partValues) digest.update(value);
  return digest.final()[algorithm.digest];
}

export type ChecksumErrorCode = "MalformedChecksum" | "MalformedChecksumRecord";
export class ChecksumError extends OperatingError<ChecksumErrorCode> {}

export function checksumToBase64(value: Uint8Array): string {
  return value.toBase64();
}

/** The raw value of a header or XML element; a wrong alphabet, padding or length is an error. */
export function checksumFromBase64(name: ChecksumName, text: string): Uint8Array {
  const { bytes } = checksumAlgorithmOf(name);
  const value = new Uint8Array(Buffer.from(text, "base64"));
  // Buffer skips what it does not know; only what it writes back the same was base64.
  if (value.length !== bytes || checksumToBase64(value) !== text) {
    throw new ChecksumError("MalformedChecksum", `the ${name} checksum is not base64 of ${bytes} bytes`, { text });
  }
  return value;
}

/** What a version keeps of one checksum (`x-minio-internal-crc`). */
export interface ChecksumRecord {
  readonly algorithm: ChecksumName;
  readonly type: ChecksumType;
  readonly value: Uint8Array;
  /** 0 = not a multipart upload. */
  readonly parts: number;
  /** One each part, or none kept. */
  readonly partValues: readonly Uint8Array[];
  /** Came in a trailer: written by some versions, meaningless. */
  readonly trailing: boolean;
}

const TRAILING = 1;
const INVALID = 32;
const MULTIPART = 64;
const INCLUDES_PARTS = 128;
const FULL_OBJECT = 512;

export function encodeChecksumRecords(records: readonly ChecksumRecord[]): Uint8Array {
  const out: number[] = [];
  for (const record of records) {
    const { bytes, typeBit } = checksumAlgorithmOf(record.algorithm);
    assert(record.value.length === bytes, "a checksum is as long as its algorithm says");
    assert(record.partValues.length === 0 || record.partValues.length === record.parts, "one value each part, or none");
    let type = typeBit + (record.trailing ? TRAILING : 0);
    if (record.parts > 0) type += MULTIPART + (record.partValues.length > 0 ? INCLUDES_PARTS : 0);
    // CRC64NVME is always of the full object and says so by itself, as does every single PUT.
    if (record.parts > 0 && record.type === "FULL_OBJECT" && record.algorithm !== "CRC64NVME") type += FULL_OBJECT;
    pushUvarint(out, type);
    for (const byte of record.value) out.push(byte);
    if (record.parts === 0) continue;
    pushUvarint(out, record.parts);
    for (const value of record.partValues) {
      assert(value.length === bytes, `${record.algorithm} values have ${bytes} bytes`);
      for (const byte of value) out.push(byte);
    }
  }
  return Uint8Array.from(out);
}

/** `isOwn`: of the entry that is ours; in MinIO's our types are unknown. */
export function decodeChecksumRecords(bytes: Uint8Array, isOwn = false): ChecksumRecord[] {
  const reader = new RecordReader(bytes);
  const records: ChecksumRecord[] = [];
  while (!reader.atEnd()) {
    const type = reader.uvarint();
    const found = CHECKSUM_ALGORITHMS.filter((algorithm) => (type & algorithm.typeBit) !== 0);
    const algorithm = found[0];
    const isOurs = algorithm !== undefined && algorithm.typeBit >= OWN_TYPES;
    if (algorithm === undefined || found.length !== 1 || isOurs !== isOwn || (type & INVALID) !== 0) {
      throw new ChecksumError("MalformedChecksumRecord", `checksum type ${type} is unknown`);
    }
    const value = reader.take(algorithm.bytes);
    const multipart = (type & MULTIPART) !== 0;
    const parts = multipart ? reader.uvarint() : 0;
    const partValues: Uint8Array[] = [];
    if (multipart && (type & INCLUDES_PARTS) !== 0) {
      for (let part = 0; part < parts; part++) partValues.push(reader.take(algorithm.bytes));
    }
    const fullObject = parts === 0 || (type & FULL_OBJECT) !== 0 || algorithm.name === "CRC64NVME";
    records.push({
      algorithm: algorithm.name,
      type: fullObject ? "FULL_OBJECT" : "COMPOSITE",
      value,
      parts,
      partValues,
      trailing: (type & TRAILING) !== 0,
    });
  }
  return records;
}

function pushUvarint(out: number[], value: number): void {
  for (; value >= 128; value = Math.floor(value / 128)) out.push((value % 128) + 128);
  out.push(value);
}

/** More bits than any field of the record has; keeps bit operators exact. */
const UVARINT_BYTES_MAX = 4;

class RecordReader {
  private readonly bytes: Uint8Array;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  atEnd(): boolean {
    return this.at === this.bytes.length;
  }

  uvarint(): number {
    let value = 0;
    for (let i = 0; i < UVARINT_BYTES_MAX; i++) {
      this.demand(1);
      const byte = this.bytes[this.at++] as number;
      value += (byte & 127) * 128 ** i;
      if (byte < 128) return value;
    }
    throw new ChecksumError("MalformedChecksumRecord", "a number of the checksum record is too long");
  }

  /** A copy: the record often lies in a buffer that is reused. */
  take(count: number): Uint8Array {
    this.demand(count);
    this.at += count;
    return this.bytes.slice(this.at - count, this.at);
  }

  private demand(count: number): void {
    if (this.at + count > this.bytes.length) {
      throw new ChecksumError(
        "MalformedChecksumRecord",
        `the checksum record ends ${this.at + count - this.bytes.length} bytes early`,
      );
    }
  }
}
