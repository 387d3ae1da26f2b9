/**
 * The index entry of a version in xl.meta: what can be known without its body. Headers are compared for equality between
 * drives and give the order of versions. modTime is ns since 1970. Source: docs/format.md §5.2, §5.6, §5.8.
 */
import { FormatError } from "../core/format-error.ts";
import { parseHttpDate } from "../core/go-time.ts";
import { encodedBytes, type MsgpackReader, type MsgpackWriter } from "../core/msgpack.ts";
import { NULL_ID, UUID_BYTES, versionIdBytes, versionIdText } from "./uuid.ts";
import { signatureOf } from "./xl-meta-signature.ts";
import type { AnyVersion, ObjectVersion } from "./xl-meta-version.ts";

export const VERSION_FLAG = { freeVersion: 1, usesDataDir: 2, inlineData: 4 } as const;

export const INLINE_DATA_KEY = "x-minio-internal-inline-data";
export const FREE_VERSION_KEY = "x-minio-internal-free-version";
export const TRANSITION_STATUS_KEY = "x-minio-internal-transition-status";
const RESTORED = /^ongoing-request="false", expiry-date="([^"]*)"$/;

/** Array lengths of header versions 1, 2 and 3. */
const HEADER_LENGTHS = [0, 4, 5, 7];

export class XlHeader {
  #versionId: string | null = null;

  constructor(
    /** 16 raw bytes, zero = null version. */
    readonly id: Uint8Array,
    readonly modTime: bigint,
    /** The stored bytes as a big-endian uint32. */
    readonly signature: number,
    /** 1 object, 2 delete marker, 3 legacy. */
    readonly type: number,
    /** VERSION_FLAG bits. */
    readonly flags: number,
    /** Parity shards; 0 if unknown or no object. */
    readonly ecN: number,
    /** Data shards; 0 if unknown or no object. */
    readonly ecM: number,
  ) {}

  /** "null" or UUID text. */
  get versionId(): string {
    this.#versionId ??= versionIdText(this.id);
    return this.#versionId;
  }

  get isFreeVersion(): boolean {
    return (this.flags & VERSION_FLAG.freeVersion) !== 0;
  }

  get isDeleteMarker(): boolean {
    return this.type === 2;
  }

  get usesDataDir(): boolean {
    return (this.flags & VERSION_FLAG.usesDataDir) !== 0;
  }

  get isInline(): boolean {
    return (this.flags & VERSION_FLAG.inlineData) !== 0;
  }
}

/**
 * The header of a version. `nowNs` decides whether a copy restored from a tier has expired; without it, a restored copy
 * counts as there.
 */
export function headerOf(v: AnyVersion, nowNs?: bigint): XlHeader {
  const parity = v.type === 1 ? v.parityShards : 0;
  const data = v.type === 1 ? v.dataShards : 0;
  // A legacy version may have Go's zero time, or any year: the stored field has 64 bits and wraps, as Go's does.
  const modTime = BigInt.asIntN(64, v.modTime);
  return new XlHeader(versionIdBytes(v.versionId), modTime, signatureOf(v), v.type, flagsOf(v, nowNs), parity, data);
}

export function flagsOf(v: AnyVersion, nowNs?: bigint): number {
  if (v.type === 3) return 0;
  if (v.type === 2) return v.metaSys.has(FREE_VERSION_KEY) ? VERSION_FLAG.freeVersion : 0;
  const dataDir = !isTransitioned(v) || hasRestoredCopy(v, nowNs) ? VERSION_FLAG.usesDataDir : 0;
  return dataDir | (v.metaSys.has(INLINE_DATA_KEY) ? VERSION_FLAG.inlineData : 0);
}

/** True if the data lie in a tier. */
export function isTransitioned(v: ObjectVersion): boolean {
  const status = v.metaSys.get(TRANSITION_STATUS_KEY);
  return status !== undefined && Buffer.from(status).toString("latin1") === "complete";
}

function hasRestoredCopy(v: ObjectVersion, nowNs: bigint | undefined): boolean {
  const match = RESTORED.exec(v.metaUsr.get("x-amz-restore") ?? "");
  const expiry = match === null ? null : parseHttpDate(match[1] ?? "");
  return expiry !== null && (nowNs === undefined || expiry > nowNs);
}

function compareIds(a: Uint8Array, b: Uint8Array): number {
  for (let index = 0; index < UUID_BYTES; index++) {
    const difference = (a[index] as number) - (b[index] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Sort order of a file: negative if `a` comes first (is newer). */
export function compareHeaders(a: XlHeader, b: XlHeader): number {
  if (a.modTime !== b.modTime) return a.modTime > b.modTime ? -1 : 1;
  if (a.type !== b.type) return a.type - b.type;
  if (a.signature !== b.signature) return b.signature - a.signature;
  return compareIds(b.id, a.id) || b.flags - a.flags;
}

export function sameId(a: XlHeader, b: XlHeader): boolean {
  return compareIds(a.id, b.id) === 0;
}

/** Equal in every field, as a quorum of drives must be. */
export function sameHeader(a: XlHeader, b: XlHeader): boolean {
  return compareHeaders(a, b) === 0 && a.ecN === b.ecN && a.ecM === b.ecM;
}

/** Longest header in bytes, its own length byte not counted. */
export const HEADER_BYTES_MAX = 44;

/** The header as an array of seven, without the `bin` around it. */
export function writeHeader(writer: MsgpackWriter, header: XlHeader): void {
  writer.arrayHeader(7);
  writer.bin(header.id);
  writer.int64(header.modTime);
  const { signature } = header;
  writer.bin(Uint8Array.of(signature >>> 24, signature >>> 16, signature >>> 8, signature));
  writer.uint(header.type);
  writer.uint(header.flags);
  writer.uint(header.ecN);
  writer.uint(header.ecM);
}

const NULL_ID_ENCODED = encodedBytes(NULL_ID);

/** Reads the array; `headerVersion` is 1, 2 or 3. The id is a view of the input, or that of all null versions. */
export function readHeader(reader: MsgpackReader, headerVersion: number): XlHeader {
  const count = reader.arrayHeader();
  if (count !== HEADER_LENGTHS[headerVersion]) throw new FormatError(`xl.meta: header of ${count} fields`);
  const id = reader.takeKey(NULL_ID_ENCODED) ? NULL_ID : reader.bin();
  if (id.length !== UUID_BYTES) throw new FormatError(`xl.meta: version id of ${id.length} bytes`);
  const modTime = reader.int64();
  let signature = 0;
  if (headerVersion >= 2) {
    const raw = reader.binReader();
    if (raw.remaining !== 4) throw new FormatError(`xl.meta: signature of ${raw.remaining} bytes`);
    signature = raw.fixed32();
  }
  const type = reader.uint();
  const flags = reader.uint();
  const ecN = headerVersion >= 3 ? reader.uint() : 0;
  const ecM = headerVersion >= 3 ? reader.uint() : 0;
  return new XlHeader(id, modTime, signature, type, flags, ecN, ecM);
}
