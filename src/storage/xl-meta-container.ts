/**
 * The file around the versions: magic, minor versions 0 to 3, checksum, index. `readContainer` takes all of them and
 * applies the two corrections that older writers need; `writeContainer` always writes 1.3 with header and meta version 3,
 * bodies copied as they are. Throws FormatError. Source: docs/format.md §5.1, §5.2.
 */
import { FormatError } from "../core/format-error.ts";
import { formatRfc3339, parseRfc3339 } from "../core/go-time.ts";
import { MsgpackReader, MsgpackWriter } from "../core/msgpack.ts";
import type { TableChange } from "../sys/ordered-table.ts";
import {
  compareHeaders,
  HEADER_BYTES_MAX,
  headerOf,
  readHeader,
  writeHeader,
  type XlHeader,
} from "./xl-meta-header.ts";
import { InlineSection } from "./xl-meta-inline.ts";
import { parseXlJson } from "./xl-meta-legacy.ts";
import { type AnyVersion, decodeVersion, encodeVersion, type ObjectVersion } from "./xl-meta-version.ts";

export interface XlVersion {
  readonly header: XlHeader;
  /** msgpack; see decodeVersion. */
  readonly body: Uint8Array;
  /** Of `body`, once somebody asked decodedVersion. */
  decoded?: AnyVersion | null;
  /** Of the key that has only this version, once somebody asked indexRow. */
  row?: TableChange;
}

/** The fields of `version.body`, decoded once: a read needs them for its headers and for its data. Not to be changed. */
export function decodedVersion(version: XlVersion): AnyVersion {
  version.decoded ??= decodeVersion(version.body);
  return version.decoded;
}

export interface Container {
  /** Newest first. */
  readonly versions: XlVersion[];
  readonly inline: InlineSection;
}

const PREFIX_BYTES = 8;
/** In a file that writeContainer wrote: where the payload begins, and the checksum behind it with its tag. */
export const PAYLOAD_AT = 13;
export const CHECKSUM_BYTES = 5;
const MINOR_WRITTEN = 3;
const HEADER_VERSION = 3;
const META_VERSION = 3;
const EMPTY: Uint8Array = new Uint8Array(0);
/** A version costs at least this many bytes of index. */
const INDEX_ENTRY_BYTES_MIN = 4;

export function readContainer(bytes: Uint8Array): Container {
  if (bytes.length <= PREFIX_BYTES) throw new FormatError(`xl.meta: ${bytes.length} bytes are too few`);
  const hasMagic = bytes[0] === 0x58 && bytes[1] === 0x4c && bytes[2] === 0x32 && bytes[3] === 0x20;
  if (!hasMagic) return fromXlJson(bytes);
  const minor = readMinor(bytes);
  const reader = new MsgpackReader(bytes, PREFIX_BYTES);
  if (minor === 0) return { versions: readUnindexed(reader), inline: new InlineSection(EMPTY) };
  const payload = reader.bin();
  if (minor >= 2) {
    const stored = reader.uint();
    const computed = payloadChecksum(payload);
    if (stored !== computed)
      throw new FormatError(`xl.meta: checksum ${stored.toString(16)} is not ${computed.toString(16)}`);
  }
  const inline = new InlineSection(bytes, reader.offset);
  const inside = new MsgpackReader(payload);
  return { versions: minor >= 3 ? readIndexed(inside) : readUnindexed(inside), inline };
}

function readMinor(bytes: Uint8Array): number {
  // "1   " is how the first releases wrote 1.0.
  if (bytes[4] === 0x31 && bytes[5] === 0x20 && bytes[6] === 0x20 && bytes[7] === 0x20) return 0;
  const major = (bytes[4] as number) | ((bytes[5] as number) << 8);
  const minor = (bytes[6] as number) | ((bytes[7] as number) << 8);
  if (major !== 1 || minor > MINOR_WRITTEN) throw new FormatError(`xl.meta: version ${major}.${minor} is not known`);
  return minor;
}

export function payloadChecksum(payload: Uint8Array): number {
  return Number(BigInt.asUintN(32, Bun.hash.xxHash64(payload)));
}

function fromXlJson(bytes: Uint8Array): Container {
  const version = parseXlJson(bytes);
  return { versions: [{ header: headerOf(version), body: encodeVersion(version) }], inline: new InlineSection(EMPTY) };
}

/** Minor 0 to 2: a map with the list of bodies, in any order; headers are derived. */
function readUnindexed(reader: MsgpackReader): XlVersion[] {
  const versions: XlVersion[] = [];
  const keys = reader.mapHeader();
  for (let index = 0; index < keys; index++) {
    if (reader.str() !== "Versions") {
      reader.skip();
      continue;
    }
    const count = reader.takeNil() ? 0 : reader.arrayHeader();
    for (let entry = 0; entry < count; entry++) {
      const body = reader.skip();
      versions.push(corrected({ header: headerOf(decodeVersion(body)), body }, 1));
    }
  }
  return versions.sort((a, b) => compareHeaders(a.header, b.header));
}

function readIndexed(reader: MsgpackReader): XlVersion[] {
  const headerVersion = reader.uint();
  const metaVersion = reader.uint();
  const count = reader.int();
  if (headerVersion < 1 || headerVersion > HEADER_VERSION)
    throw new FormatError(`xl.meta: header version ${headerVersion}`);
  if (metaVersion < 1 || metaVersion > META_VERSION) throw new FormatError(`xl.meta: meta version ${metaVersion}`);
  if (count < 0 || count * INDEX_ENTRY_BYTES_MIN > reader.remaining)
    throw new FormatError(`xl.meta: ${count} versions`);
  const versions: XlVersion[] = [];
  for (let index = 0; index < count; index++) {
    const header = readHeader(reader.binReader(), headerVersion);
    const version: XlVersion = { header, body: reader.bin(), decoded: null };
    versions.push(metaVersion < META_VERSION ? corrected(version, metaVersion) : version);
  }
  return versions;
}

/** Sorted versions and inline data as one file of version 1.3. */
export function writeContainer(versions: readonly XlVersion[], inline: InlineSection): Uint8Array {
  let bound = PREFIX_BYTES + 32 + inline.sizeBound();
  for (const { body } of versions) bound += HEADER_BYTES_MAX + 8 + body.length;
  const writer = new MsgpackWriter(bound);
  writer.raw(Uint8Array.of(0x58, 0x4c, 0x32, 0x20, 1, 0, MINOR_WRITTEN, 0, 0xc6, 0, 0, 0, 0));
  const start = writer.length;
  writer.uint(HEADER_VERSION);
  writer.uint(META_VERSION);
  writer.int(versions.length);
  const scratch = new MsgpackWriter(HEADER_BYTES_MAX);
  for (const { header, body } of versions) {
    scratch.clear();
    writeHeader(scratch, header);
    writer.bin(scratch.finish());
    writer.bin(body);
  }
  const payload = writer.finish().subarray(start);
  writer.patchUint32(start - 4, payload.length);
  const sum = payloadChecksum(payload);
  writer.raw(Uint8Array.of(0xce, sum >>> 24, sum >>> 16, sum >>> 8, sum));
  inline.write(writer);
  return writer.finish();
}

// ---- corrections of older writers' bodies

const REPLICATION_TIMES = ["x-minio-internal-replication-timestamp", "x-minio-internal-replica-timestamp"];
const COMPRESSION_KEY = "X-Minio-Internal-compression";
const S2 = "klauspost/compress/s2";
/** Releases between these (Unix seconds, exclusive) wrote indices for parts too small to have one. */
const BAD_INDEX_AFTER = 1_701_471_618;
const BAD_INDEX_BEFORE = 1_730_156_418;
const INDEXED_PART_BYTES = 8 * 1024 * 1024;

/** The version as a current writer would have put it; nearly always the same object. */
function corrected(version: XlVersion, metaVersion: number): XlVersion {
  const { header, body } = version;
  if (header.type === 2 && metaVersion < 2) return replaced(version, utcTimes(body));
  if (header.type === 1 && mentionsPartIndex(body)) return replaced(version, withoutBadIndices(body));
  return version;
}

function replaced(version: XlVersion, change: AnyVersion | null): XlVersion {
  return change === null ? version : { header: headerOf(change), body: encodeVersion(change) };
}

function mentionsPartIndex(body: Uint8Array): boolean {
  return Buffer.from(body.buffer, body.byteOffset, body.length).includes("PartIdx");
}

/** Replication times of delete markers may be in local time. */
function utcTimes(body: Uint8Array): AnyVersion | null {
  const version = decodeVersion(body);
  if (version.type !== 2) return null;
  const metaSys = new Map(version.metaSys);
  let isChanged = false;
  for (const key of REPLICATION_TIMES) {
    const stored = metaSys.get(key);
    if (stored === undefined) continue;
    const text = Buffer.from(stored).toString("latin1");
    const time = parseRfc3339(text);
    const utc = time === null ? text : formatRfc3339(time);
    if (utc === text) continue;
    metaSys.set(key, new TextEncoder().encode(utc));
    isChanged = true;
  }
  return isChanged ? { ...version, metaSys } : null;
}

function withoutBadIndices(body: Uint8Array): ObjectVersion | null {
  const version = decodeVersion(body);
  if (version.type !== 1 || version.partIndices === null) return null;
  const release = version.writerRelease ?? 0;
  const compression = version.metaSys.get(COMPRESSION_KEY);
  if (release <= BAD_INDEX_AFTER || release >= BAD_INDEX_BEFORE || compression === undefined) return null;
  if (Buffer.from(compression).toString("latin1") !== S2) return null;
  const kept = version.partIndices.map((index, part) =>
    (version.partActualSizes[part] ?? 0) > INDEXED_PART_BYTES ? index : EMPTY,
  );
  return { ...version, partIndices: kept.some((index) => index.length > 0) ? kept : null };
}
