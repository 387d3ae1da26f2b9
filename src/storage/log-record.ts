/**
 * Records of the commit log (docs/format.md §9): bytes in, bytes out, no I/O. Little-endian.
 * Header, 24 bytes: u32 length of header and body (0 = the segment ends), u32 CRC32C of everything after it, u64 sequence,
 * u24 position in its batch, u8 of the mark, u8 type, u24 of the mark. Records start at multiples of 8. The sequence, the position
 * and the checksum are filled by `sealRecords` when the batch is written; on real disks the native pool does the same.
 * The mark is the log's secret: bytes that a client had stored look like a record to nobody who reads the log.
 */
import type { LoneVersion, ObjectPath, Stamp } from "./drive.ts";

export const HEADER_BYTES = 24;
const ALIGN = 8;
const TYPE = { commit: 1, settle: 2, fence: 3, restore: 4, promise: 5, dropBucket: 6, remove: 7 } as const;
const TYPE_MAX = 7;
const HAS_IMAGE = 1;
const IMAGE_IN_FILE = 2;
const HAS_PREV = 4;
const PREV_IN_FILE = 8;
const HEALS = 16;
const PREV_IN_LOG = 32;

/** A data directory that a commit brought. */
export interface NewDirectory {
  readonly name: string;
  /** Where it came from, below the drive's root. */
  readonly from: string;
  /** Of an upload: the parts to keep once settled; null = not of an upload. */
  readonly keepParts: readonly number[] | null;
}

/** One xl.meta as a record holds it: in the record, or in a file of the log's folder. */
export type StoredImage =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  /** As bytes, made when the record is written. */
  | { readonly kind: "made"; readonly bytes: Pick<LoneVersion, "length" | "writeTo"> }
  | { readonly kind: "file"; readonly name: string };
/** What a commit replaces may also be what the log, and if it says nothing the tree, had of the key before the record. */
export type StoredPrev = StoredImage | { readonly kind: "before" };

export interface CommitRecord {
  readonly type: "commit";
  readonly key: ObjectPath;
  readonly stamp: Stamp;
  /** xl.meta after and before; null = absent. */
  readonly image: StoredImage | null;
  readonly prev: StoredPrev | null;
  readonly prevStamp: Stamp;
  /** Right whether it is settled or not: never in doubt after a restart. */
  readonly heals: boolean;
  readonly newDirs: readonly NewDirectory[];
  /** Data directories that it makes unreferenced. */
  readonly oldDirs: readonly string[];
}
export type LogRecord =
  | CommitRecord
  /** The commits at these sequences are settled. */
  | { readonly type: "settle"; readonly sequences: readonly number[] }
  | { readonly type: "fence"; readonly key: ObjectPath; readonly stamp: Stamp }
  | { readonly type: "restore"; readonly key: ObjectPath; readonly stamp: Stamp; readonly expect: Stamp }
  | { readonly type: "promise"; readonly key: ObjectPath; readonly stamp: Stamp }
  /** The bucket is gone and everything that the log says of its keys with it. */
  | { readonly type: "dropBucket"; readonly bucket: string }
  /** The key is gone, outside the commit protocol: an upload. */
  | { readonly type: "remove"; readonly key: ObjectPath };

export interface RecordHeader {
  readonly length: number;
  readonly sequence: number;
  /** Sequence of the first record of its batch. */
  readonly batchStart: number;
}
/** Where a record's images begin, from its own start; 0 = not in it. */
export interface ImageOffsets {
  readonly image: number;
  readonly prev: number;
}

export function paddedLength(length: number): number {
  return Math.ceil(length / ALIGN) * ALIGN;
}

/** A bound of the encoded size, padding included. */
export function recordBytesMax(record: LogRecord): number {
  switch (record.type) {
    case "commit": {
      let bytes = HEADER_BYTES + 64 + textMax(record.key.bucket) + textMax(record.key.path);
      bytes += imageBytes(record.image) + imageBytes(record.prev);
      for (const dir of record.newDirs)
        bytes += 16 + textMax(dir.name) + textMax(dir.from) + 2 * (dir.keepParts?.length ?? 0);
      for (const dir of record.oldDirs) bytes += 2 + textMax(dir);
      return paddedLength(bytes);
    }
    case "settle":
      return paddedLength(HEADER_BYTES + 8 * record.sequences.length);
    case "dropBucket":
      return paddedLength(HEADER_BYTES + 2 + textMax(record.bucket));
    case "fence":
    case "restore":
    case "promise":
    case "remove":
      return paddedLength(HEADER_BYTES + 24 + textMax(record.key.bucket) + textMax(record.key.path));
  }
}

function textMax(text: string): number {
  return text.length * 3;
}
function imageBytes(image: StoredPrev | null): number {
  return image === null || image.kind === "before"
    ? 0
    : image.kind === "file"
      ? textMax(image.name)
      : image.bytes.length;
}

/** Writes into a buffer that the caller keeps; one for many records. */
export class RecordWriter {
  private readonly view: DataView;
  private readonly buffer: Buffer;
  private at = 0;

  /** `mark`: the log's, a u32; 0 in logs from before there were any. */
  constructor(
    readonly bytes: Uint8Array,
    private readonly mark: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Writes a record at `offset`, a multiple of 8; returns its padded length and where its images begin in it. */
  write(record: LogRecord, offset: number): { readonly padded: number; readonly images: ImageOffsets } {
    const { view } = this;
    this.at = offset + HEADER_BYTES;
    const images = this.body(record, offset);
    const end = this.at;
    view.setUint32(offset, end - offset, true);
    view.setUint32(offset + 4, 0, true);
    view.setUint32(offset + 8, 0, true);
    view.setUint32(offset + 12, 0, true);
    view.setUint32(offset + 16, (this.mark & 255) << 24, true);
    view.setUint32(offset + 20, (this.mark & ~255) | TYPE[record.type], true);
    const padded = paddedLength(end - offset);
    this.bytes.fill(0, end, offset + padded);
    return { padded, images };
  }

  private body(record: LogRecord, offset: number): ImageOffsets {
    switch (record.type) {
      case "commit":
        return this.commit(record, offset);
      case "settle":
        for (const sequence of record.sequences) this.u64(sequence);
        return { image: 0, prev: 0 };
      case "dropBucket":
        this.text(record.bucket);
        return { image: 0, prev: 0 };
      case "restore":
        this.stamp(record.stamp);
        this.stamp(record.expect);
        break;
      case "remove":
        break;
      case "fence":
      case "promise":
        this.stamp(record.stamp);
    }
    this.text(record.key.bucket);
    this.text(record.key.path);
    return { image: 0, prev: 0 };
  }

  private commit(record: CommitRecord, offset: number): ImageOffsets {
    const { image, prev } = record;
    this.stamp(record.stamp);
    this.stamp(record.prevStamp);
    this.u32(
      (image === null ? 0 : image.kind === "file" ? HAS_IMAGE | IMAGE_IN_FILE : HAS_IMAGE) |
        (prev === null ? 0 : HAS_PREV) |
        (prev?.kind === "file" ? PREV_IN_FILE : 0) |
        (prev?.kind === "before" ? PREV_IN_LOG : 0) |
        (record.heals ? HEALS : 0),
    );
    this.u16(record.newDirs.length);
    this.u16(record.oldDirs.length);
    const lengths = this.at; // of the two images: known when they are written
    this.at += 8;
    this.text(record.key.bucket);
    this.text(record.key.path);
    for (const dir of record.newDirs) {
      this.text(dir.name);
      this.text(dir.from);
      this.u32(dir.keepParts === null ? 0xffff_ffff : dir.keepParts.length);
      for (const part of dir.keepParts ?? []) this.u16(part);
    }
    for (const dir of record.oldDirs) this.text(dir);
    const imageAt = this.at;
    this.view.setUint32(lengths, this.image(image), true);
    const prevAt = this.at;
    this.view.setUint32(lengths + 4, this.image(prev), true);
    return { image: imageAt - offset, prev: prevAt - offset };
  }

  private image(image: StoredPrev | null): number {
    if (image === null || image.kind === "before") return 0;
    const from = this.at;
    if (image.kind === "file") {
      this.at += this.buffer.write(image.name, from);
      return this.at - from;
    }
    if (image.kind === "bytes") this.bytes.set(image.bytes, from);
    else image.bytes.writeTo(this.bytes, from);
    this.at += image.bytes.length;
    return this.at - from;
  }
  private u16(value: number): void {
    this.view.setUint16(this.at, value, true);
    this.at += 2;
  }
  private u32(value: number): void {
    this.view.setUint32(this.at, value, true);
    this.at += 4;
  }
  private u64(value: number): void {
    this.u32((value % 2 ** 32) >>> 0);
    this.u32(Math.floor(value / 2 ** 32));
  }
  private stamp(value: Stamp): void {
    this.view.setBigUint64(this.at, value, true);
    this.at += 8;
  }
  private text(text: string): void {
    const written = this.buffer.write(text, this.at + 2);
    this.u16(written);
    this.at += written;
  }
}

/** Gives the records in `bytes` their sequences, from `first`, their positions and checksums. */
export function sealRecords(bytes: Uint8Array, first: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let position = 0;
  for (let at = 0; at + HEADER_BYTES <= bytes.length; position++) {
    const length = view.getUint32(at, true);
    if (length === 0) return;
    const sequence = first + position;
    view.setUint32(at + 8, (sequence % 2 ** 32) >>> 0, true);
    view.setUint32(at + 12, Math.floor(sequence / 2 ** 32), true);
    view.setUint32(at + 16, (view.getUint32(at + 16, true) & 0xff00_0000) | position, true);
    view.setUint32(at + 4, crc32c(bytes.subarray(at + 8, at + length)), true);
    at += paddedLength(length);
  }
}

/** The record at `at` if a whole one of this log, with the right checksum, stands there. */
export function readHeader(bytes: Uint8Array, at: number, mark: number): RecordHeader | null {
  if (at + HEADER_BYTES > bytes.length) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(at, true);
  if (length < HEADER_BYTES || at + length > bytes.length) return null;
  const high = view.getUint32(at + 12, true);
  const type = view.getUint8(at + 20);
  if (high >= 2 ** 21 || type === 0 || type > TYPE_MAX || markAt(view, at) !== mark) return null;
  const sequence = high * 2 ** 32 + view.getUint32(at + 8, true);
  const position = view.getUint32(at + 16, true) & 0x00ff_ffff;
  if (position > sequence) return null;
  if (crc32c(bytes.subarray(at + 8, at + length)) !== view.getUint32(at + 4, true)) return null;
  return { length, sequence, batchStart: sequence - position };
}

function markAt(view: DataView, at: number): number {
  return ((view.getUint32(at + 20, true) & ~255) | view.getUint8(at + 19)) >>> 0;
}

/** What a whole record at `at` says is its log's mark, unproved; null = there is no such record. */
export function claimedMark(bytes: Uint8Array, at: number): number | null {
  if (at + HEADER_BYTES > bytes.length) return null;
  const mark = markAt(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), at);
  return readHeader(bytes, at, mark) === null ? null : mark;
}

export interface DecodedRecord {
  readonly record: LogRecord;
  readonly images: ImageOffsets;
}

/** The body of a record whose header was read; null = it says what no writer writes. Images are views. */
export function decodeRecord(bytes: Uint8Array, at: number, mark: number): DecodedRecord | null {
  const header = readHeader(bytes, at, mark);
  if (header === null) return null;
  return new RecordReader(bytes.subarray(at, at + header.length)).read();
}

/** The key that a record with a wrong checksum may be of: for words, never to be believed. Null = it does not say. */
export function guessKey(bytes: Uint8Array, at: number): string | null {
  if (at + HEADER_BYTES > bytes.length) return null;
  const length = new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true);
  if (length < HEADER_BYTES || at + length > bytes.length) return null;
  const record = new RecordReader(bytes.subarray(at, at + length)).read()?.record;
  return record !== undefined && "key" in record ? `${record.key.bucket}/${record.key.path}` : null;
}

class RecordReader {
  private readonly view: DataView;
  private readonly buffer: Buffer;
  private at = HEADER_BYTES;
  private isShort = false;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  read(): DecodedRecord | null {
    const type = this.view.getUint8(20);
    if (type === TYPE.commit) return this.commit();
    const record = this.small(type);
    return record === null || this.isShort || this.at !== this.bytes.length
      ? null
      : { record, images: { image: 0, prev: 0 } };
  }

  private small(type: number): LogRecord | null {
    switch (type) {
      case TYPE.settle: {
        const sequences: number[] = [];
        while (this.at + 8 <= this.bytes.length) sequences.push(this.u64());
        return { type: "settle", sequences };
      }
      case TYPE.fence:
      case TYPE.promise: {
        const stamp = this.stamp();
        return { type: type === TYPE.fence ? "fence" : "promise", stamp, key: this.key() };
      }
      case TYPE.restore: {
        const stamp = this.stamp();
        const expect = this.stamp();
        return { type: "restore", stamp, expect, key: this.key() };
      }
      case TYPE.dropBucket:
        return { type: "dropBucket", bucket: this.text() };
      case TYPE.remove:
        return { type: "remove", key: this.key() };
      default:
        return null;
    }
  }

  private commit(): DecodedRecord | null {
    const stamp = this.stamp();
    const prevStamp = this.stamp();
    const flags = this.u32();
    const newCount = this.u16();
    const oldCount = this.u16();
    const imageLength = this.u32();
    const prevLength = this.u32();
    const key = this.key();
    const newDirs: NewDirectory[] = [];
    for (let i = 0; i < newCount && !this.isShort; i++) newDirs.push(this.newDirectory());
    const oldDirs: string[] = [];
    for (let i = 0; i < oldCount && !this.isShort; i++) oldDirs.push(this.text());
    const images = { image: this.at, prev: this.at + imageLength };
    const image = this.image(imageLength, flags & HAS_IMAGE, flags & IMAGE_IN_FILE);
    const isBefore = (flags & PREV_IN_LOG) !== 0;
    if (isBefore && (prevLength > 0 || (flags & (HAS_PREV | PREV_IN_FILE)) !== HAS_PREV)) return null;
    const known = isBefore ? { kind: "before" as const } : null;
    const prev = known ?? this.image(prevLength, flags & HAS_PREV, flags & PREV_IN_FILE);
    if (this.isShort || this.at !== this.bytes.length) return null;
    const heals = (flags & HEALS) !== 0;
    return { record: { type: "commit", key, stamp, prevStamp, image, prev, heals, newDirs, oldDirs }, images };
  }

  private newDirectory(): NewDirectory {
    const name = this.text();
    const from = this.text();
    const count = this.u32();
    if (count === 0xffff_ffff) return { name, from, keepParts: null };
    const keepParts: number[] = [];
    for (let i = 0; i < count && !this.isShort; i++) keepParts.push(this.u16());
    return { name, from, keepParts };
  }
  private image(length: number, has: number, inFile: number): StoredImage | null {
    const at = this.take(length);
    if (has === 0) return null;
    if (inFile !== 0) return { kind: "file", name: this.isShort ? "" : this.buffer.toString("utf8", at, at + length) };
    return { kind: "bytes", bytes: this.isShort ? new Uint8Array(0) : this.bytes.subarray(at, at + length) };
  }
  private key(): ObjectPath {
    const bucket = this.text();
    return { bucket, path: this.text() };
  }
  /** Moves on by `length`; returns where it stood. */
  private take(length: number): number {
    const at = this.at;
    if (at + length > this.bytes.length) this.isShort = true;
    else this.at += length;
    return at;
  }
  private u16(): number {
    const at = this.take(2);
    return this.isShort ? 0 : this.view.getUint16(at, true);
  }
  private u32(): number {
    const at = this.take(4);
    return this.isShort ? 0 : this.view.getUint32(at, true);
  }
  private u64(): number {
    const low = this.u32();
    return this.u32() * 2 ** 32 + low;
  }
  private stamp(): Stamp {
    const at = this.take(8);
    return this.isShort ? 0n : this.view.getBigUint64(at, true);
  }
  private text(): string {
    const length = this.u16();
    const at = this.take(length);
    return this.isShort ? "" : this.buffer.toString("utf8", at, at + length);
  }
}

const TABLES = crcTables();

/** Castagnoli, eight bytes a step. The native pool has its own. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  let at = 0;
  const t = TABLES;
  for (const end = bytes.length - 7; at < end; at += 8) {
    crc ^= (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16);
    crc ^= (bytes[at + 3] as number) << 24;
    crc =
      (t[1792 + (crc & 255)] as number) ^
      (t[1536 + ((crc >>> 8) & 255)] as number) ^
      (t[1280 + ((crc >>> 16) & 255)] as number) ^
      (t[1024 + (crc >>> 24)] as number) ^
      (t[768 + (bytes[at + 4] as number)] as number) ^
      (t[512 + (bytes[at + 5] as number)] as number) ^
      (t[256 + (bytes[at + 6] as number)] as number) ^
      (t[bytes[at + 7] as number] as number);
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ (t[(crc ^ (bytes[at] as number)) & 255] as number);
  return ~crc >>> 0;
}

function crcTables(): Int32Array {
  const tables = new Int32Array(2048);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
    tables[byte] = crc;
  }
  for (let i = 256; i < 2048; i++) {
    const before = tables[i - 256] as number;
    tables[i] = (before >>> 8) ^ (tables[before & 255] as number);
  }
  return tables;
}
