/**
 * The central directory of a zip archive: where it is, and its records one by one as its bytes arrive, so that an archive of any
 * size takes one record of memory. Every number of the file is held against the archive's size before it is used. Pure; what is
 * not a zip archive throws ObjectError. Source: PKWARE's APPNOTE 6.3, s3-api.md §4.21.
 */
import { ObjectError } from "./errors.ts";

export function brokenArchive(what: string, cause?: unknown): ObjectError {
  return new ObjectError("InvalidRequest", `The zip archive cannot be read: ${what}.`, {}, { cause });
}

export const END_BYTES = 22;
const LOCATOR_BYTES = 20;
const END64_BYTES = 56;
/** End record, longest comment, and the locator that may stand before them. */
export const TAIL_BYTES_MAX = END_BYTES + 65_535 + LOCATOR_BYTES;
/** As MinIO. */
export const DIRECTORY_BYTES_MAX = 100 * 1024 * 1024;
export const LOCAL_HEADER_BYTES = 30;
const RECORD_BYTES = 46;
const FULL_16 = 0xffff;
const FULL_32 = 0xffff_ffff;
const UNIX = 3;
const MACOS = 19;
const FILE_TYPE = 0o170000;
const REGULAR = 0o100000;

/** Where the central directory is; offsets from the archive's first byte. */
export interface DirectoryPlace {
  readonly offset: number;
  readonly sizeBytes: number;
  /** Records, modulo 2^16 unless `isZip64`. */
  readonly records: number;
  readonly isZip64: boolean;
  /** What the offsets of members count from: bytes that stand before the archive itself. */
  readonly base: number;
}

/** One member. `name` is a view that is good until the parser goes on. */
export interface ZipMember {
  readonly name: Uint8Array;
  readonly method: number;
  readonly isEncrypted: boolean;
  /** A file; not a folder, link or device. */
  readonly isFile: boolean;
  readonly crc32: number;
  readonly storedBytes: number;
  readonly sizeBytes: number;
  /** Of the local header, from the archive's first byte. */
  readonly offset: number;
}

/** What the end record says. `moreAt`: the directory's end record of zip64, END64_BYTES from there, must be read as well. */
export interface DirectoryEnd {
  readonly place: DirectoryPlace | null;
  readonly moreAt: number | null;
}

/** `tail`: the last bytes of the archive, TAIL_BYTES_MAX or all. */
export function findDirectory(tail: Uint8Array, archiveBytes: number): DirectoryEnd {
  const view = viewOf(tail);
  for (let at = tail.length - END_BYTES; at >= 0; at--) {
    if (view.getUint32(at, true) !== 0x06054b50 || at + END_BYTES + view.getUint16(at + 20, true) > tail.length)
      continue;
    const end = archiveBytes - tail.length + at;
    const records = view.getUint16(at + 10, true);
    const sizeBytes = view.getUint32(at + 12, true);
    const offset = view.getUint32(at + 16, true);
    const locator = at - LOCATOR_BYTES;
    const isZip64 = records === FULL_16 || sizeBytes === FULL_32 || offset === FULL_32;
    if (!isZip64 || locator < 0 || view.getUint32(locator, true) !== 0x07064b50)
      return { place: placeOf({ end, records, sizeBytes, offset, isZip64: false }), moreAt: null };
    const moreAt = uint64(view, locator + 8);
    if (moreAt + END64_BYTES > end) throw brokenArchive("the zip64 end record lies outside of the archive");
    return { place: null, moreAt };
  }
  throw brokenArchive("there is no end of a central directory");
}

/** `record`: END64_BYTES from `moreAt` on. */
export function findDirectory64(record: Uint8Array, moreAt: number): DirectoryPlace {
  const view = viewOf(record);
  if (record.length < END64_BYTES || view.getUint32(0, true) !== 0x06064b50)
    throw brokenArchive("the zip64 end record is none");
  const records = uint64(view, 32);
  const sizeBytes = uint64(view, 40);
  return placeOf({ end: moreAt, records, sizeBytes, offset: uint64(view, 48), isZip64: true });
}
export const ZIP64_END_BYTES = END64_BYTES;

function placeOf(said: {
  readonly end: number;
  readonly records: number;
  readonly sizeBytes: number;
  readonly offset: number;
  readonly isZip64: boolean;
}): DirectoryPlace {
  const { end, records, sizeBytes, isZip64 } = said;
  const offset = end - sizeBytes;
  const base = offset - said.offset;
  if (offset < 0 || base < 0) throw brokenArchive("the central directory lies outside of the archive");
  if (sizeBytes > DIRECTORY_BYTES_MAX) throw brokenArchive("the central directory is too large");
  if (records * RECORD_BYTES > sizeBytes) throw brokenArchive("the central directory is too small for its records");
  return { offset, sizeBytes, records, isZip64, base };
}

/** Takes the directory's bytes in pieces of any size and gives each record to `visit`. */
export class DirectoryParser {
  private held: Uint8Array = new Uint8Array(0);
  private seen = 0;

  constructor(
    private readonly place: DirectoryPlace,
    private readonly visit: (member: ZipMember) => void,
  ) {}

  push(bytes: Uint8Array): void {
    let rest = bytes;
    if (this.held.length > 0) {
      rest = new Uint8Array(this.held.length + bytes.length);
      rest.set(this.held);
      rest.set(bytes, this.held.length);
    }
    let at = 0;
    const view = viewOf(rest);
    while (rest.length - at >= RECORD_BYTES) {
      if (view.getUint32(at, true) !== 0x02014b50) throw brokenArchive("a record of the central directory is none");
      const length =
        RECORD_BYTES + view.getUint16(at + 28, true) + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
      if (rest.length - at < length) break;
      this.visit(this.memberOf(rest.subarray(at, at + length)));
      this.seen++;
      at += length;
    }
    this.held = rest.slice(at);
  }

  /** After the last byte. */
  end(): void {
    const { records, isZip64 } = this.place;
    if (this.held.length > 0) throw brokenArchive("the central directory ends within a record");
    if (this.seen !== records && (isZip64 || this.seen % 65_536 !== records))
      throw brokenArchive("the central directory has not as many records as its end says");
  }

  private memberOf(record: Uint8Array): ZipMember {
    const view = viewOf(record);
    const nameEnd = RECORD_BYTES + view.getUint16(28, true);
    const extra = record.subarray(nameEnd, nameEnd + view.getUint16(30, true));
    const said = {
      sizeBytes: view.getUint32(24, true),
      storedBytes: view.getUint32(20, true),
      offset: view.getUint32(42, true),
    };
    const { sizeBytes, storedBytes, offset } = withZip64(said, extra);
    const name = record.subarray(RECORD_BYTES, nameEnd);
    const start = this.place.base + offset;
    if (start + LOCAL_HEADER_BYTES + name.length + storedBytes > this.place.offset)
      throw brokenArchive("a member lies outside of the archive");
    return {
      name,
      method: view.getUint16(10, true),
      isEncrypted: (view.getUint16(8, true) & 1) === 1,
      isFile: isFile(name, record[5] as number, view.getUint32(38, true)),
      crc32: view.getUint32(16, true),
      storedBytes,
      sizeBytes,
      offset: start,
    };
  }
}

function isFile(name: Uint8Array, system: number, attributes: number): boolean {
  if (name.length === 0 || name.at(-1) === 0x2f) return false;
  const type = system === UNIX || system === MACOS ? (attributes >>> 16) & FILE_TYPE : 0;
  return type === 0 || type === REGULAR;
}

interface Numbers {
  readonly sizeBytes: number;
  readonly storedBytes: number;
  readonly offset: number;
}

/** Numbers that do not fit the record stand in the extra field 1, those only, in this order. */
function withZip64(said: Numbers, extra: Uint8Array): Numbers {
  const large = (["sizeBytes", "storedBytes", "offset"] as const).filter((name) => said[name] === FULL_32);
  if (large.length === 0) return said;
  const view = viewOf(extra);
  for (let at = 0; at + 4 <= extra.length; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== 1) continue;
    const end = at + 4 + view.getUint16(at + 2, true);
    if (end > extra.length || end - at - 4 < 8 * large.length) break;
    return { ...said, ...Object.fromEntries(large.map((name, i) => [name, uint64(view, at + 4 + 8 * i)])) };
  }
  return said; // of exactly this size, as old writers may have it
}

/** Bytes of the local header before the content. The lengths there may differ from those of the directory. */
export function localHeaderBytes(header: Uint8Array): number {
  const view = viewOf(header);
  if (header.length < LOCAL_HEADER_BYTES || view.getUint32(0, true) !== 0x04034b50)
    throw brokenArchive("the header of a member is none");
  return LOCAL_HEADER_BYTES + view.getUint16(26, true) + view.getUint16(28, true);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function uint64(view: DataView, at: number): number {
  const value = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
  if (!Number.isSafeInteger(value)) throw brokenArchive("a number is larger than any file");
  return value;
}
