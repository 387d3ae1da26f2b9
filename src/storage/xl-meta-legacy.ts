/**
 * Versions from before xl.meta: the V1Obj body (type 3) and the xl.json text file. Read as found; V1Obj is written back
 * only when its file is rewritten. modTime is ns since 1970. Throws FormatError. Source: docs/format.md §5.14; no sample
 * file of either exists, so this is read from the description alone.
 */
import { FormatError } from "../core/format-error.ts";
import { parseRfc3339 } from "../core/go-time.ts";
import type { MsgpackReader, MsgpackWriter } from "../core/msgpack.ts";
import { type PartRecord, readPartRecord, writePartRecord } from "./part-meta.ts";

export interface LegacyChecksum {
  readonly partNumber: number;
  /** 1 sha256, 2 highwayhash256, 3 highwayhash256S, 4 blake2b. */
  readonly algorithm: number;
  readonly hash: Uint8Array;
}

export interface LegacyVersion {
  readonly type: 3;
  /** "null" or UUID text. */
  readonly versionId: string;
  /** "legacy" after conversion, else "" or UUID text. */
  readonly dataDir: string;
  readonly modTime: bigint;
  readonly sizeBytes: number;
  readonly formatVersion: string;
  readonly format: string;
  readonly statName: string;
  readonly statDir: boolean;
  readonly statMode: number;
  readonly erasureAlgorithm: string;
  readonly dataShards: number;
  readonly parityShards: number;
  readonly blockSizeBytes: number;
  readonly erasureIndex: number;
  readonly distribution: readonly number[];
  readonly checksums: readonly LegacyChecksum[];
  readonly release: string;
  readonly meta: ReadonlyMap<string, string>;
  readonly parts: readonly PartRecord[];
  readonly writerRelease?: number | null;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const EMPTY: LegacyVersion = {
  type: 3,
  versionId: "null",
  dataDir: "",
  modTime: 0n,
  sizeBytes: 0,
  formatVersion: "1.0.1",
  format: "xl",
  statName: "",
  statDir: false,
  statMode: 0,
  erasureAlgorithm: "",
  dataShards: 0,
  parityShards: 0,
  blockSizeBytes: 0,
  erasureIndex: 0,
  distribution: [],
  checksums: [],
  release: "",
  meta: new Map(),
  parts: [],
  writerRelease: null,
};

/** Calls `field` for each key of a map; what it returns false for is skipped. */
function readFields(reader: MsgpackReader, field: (key: string) => boolean): void {
  if (reader.takeNil()) return;
  const count = reader.mapHeader();
  for (let index = 0; index < count; index++) if (!field(reader.str())) reader.skip();
}

function readList<T>(reader: MsgpackReader, item: () => T): T[] {
  if (reader.takeNil()) return [];
  const count = reader.arrayHeader();
  const out: T[] = [];
  for (let index = 0; index < count; index++) out.push(item());
  return out;
}

export function readLegacy(reader: MsgpackReader): LegacyVersion {
  const out: Mutable<LegacyVersion> = { ...EMPTY };
  readFields(reader, (key) => {
    if (key === "Version") out.formatVersion = reader.str();
    else if (key === "Format") out.format = reader.str();
    else if (key === "Stat") readStat(reader, out);
    else if (key === "Erasure") readErasure(reader, out);
    else if (key === "Minio") out.release = readTextMap(reader).get("Release") ?? "";
    else if (key === "Meta") out.meta = readTextMap(reader);
    else if (key === "Parts") out.parts = readList(reader, () => readPartRecord(reader));
    else if (key === "VersionID") out.versionId = reader.str() || "null";
    else if (key === "DataDir") out.dataDir = reader.str();
    else return false;
    return true;
  });
  return out;
}

function readStat(reader: MsgpackReader, out: Mutable<LegacyVersion>): void {
  readFields(reader, (key) => {
    if (key === "Size") out.sizeBytes = reader.int();
    else if (key === "ModTime") out.modTime = reader.time();
    else if (key === "Name") out.statName = reader.str();
    else if (key === "Dir") out.statDir = reader.bool();
    else if (key === "Mode") out.statMode = reader.uint();
    else return false;
    return true;
  });
}

function readErasure(reader: MsgpackReader, out: Mutable<LegacyVersion>): void {
  readFields(reader, (key) => {
    if (key === "Algorithm") out.erasureAlgorithm = reader.str();
    else if (key === "DataBlocks") out.dataShards = reader.uint();
    else if (key === "ParityBlocks") out.parityShards = reader.uint();
    else if (key === "BlockSize") out.blockSizeBytes = reader.uint();
    else if (key === "Index") out.erasureIndex = reader.uint();
    else if (key === "Distribution") out.distribution = readList(reader, () => reader.int());
    else if (key === "Checksums") out.checksums = readList(reader, () => readChecksum(reader));
    else return false;
    return true;
  });
}

function readChecksum(reader: MsgpackReader): LegacyChecksum {
  const out: Mutable<LegacyChecksum> = { partNumber: 0, algorithm: 0, hash: new Uint8Array(0) };
  readFields(reader, (key) => {
    if (key === "PartNumber") out.partNumber = reader.int();
    else if (key === "Algorithm") out.algorithm = reader.uint();
    else if (key === "Hash") out.hash = reader.takeNil() ? new Uint8Array(0) : reader.bin();
    else return false;
    return true;
  });
  return out;
}

function readTextMap(reader: MsgpackReader): Map<string, string> {
  const out = new Map<string, string>();
  readFields(reader, (key) => {
    out.set(key, reader.str());
    return true;
  });
  return out;
}

/** The V1Obj map. */
export function writeLegacy(writer: MsgpackWriter, v: LegacyVersion): void {
  writer.mapHeader(9);
  writer.str("Version");
  writer.str(v.formatVersion);
  writer.str("Format");
  writer.str(v.format);
  writer.str("Stat");
  writer.mapHeader(5);
  writer.str("Size");
  writer.int(v.sizeBytes);
  writer.str("ModTime");
  writer.time(v.modTime);
  writer.str("Name");
  writer.str(v.statName);
  writer.str("Dir");
  writer.bool(v.statDir);
  writer.str("Mode");
  writer.uint(v.statMode);
  writeErasure(writer, v);
  writer.str("Minio");
  writer.mapHeader(1);
  writer.str("Release");
  writer.str(v.release);
  writer.str("Meta");
  writer.mapHeader(v.meta.size);
  for (const [key, value] of v.meta) {
    writer.str(key);
    writer.str(value);
  }
  writer.str("Parts");
  writer.arrayHeader(v.parts.length);
  for (const part of v.parts) writePartRecord(writer, part);
  writer.str("VersionID");
  writer.str(v.versionId === "null" ? "" : v.versionId);
  writer.str("DataDir");
  writer.str(v.dataDir);
}

function writeErasure(writer: MsgpackWriter, v: LegacyVersion): void {
  writer.str("Erasure");
  writer.mapHeader(7);
  writer.str("Algorithm");
  writer.str(v.erasureAlgorithm);
  writer.str("DataBlocks");
  writer.int(v.dataShards);
  writer.str("ParityBlocks");
  writer.int(v.parityShards);
  writer.str("BlockSize");
  writer.int(v.blockSizeBytes);
  writer.str("Index");
  writer.int(v.erasureIndex);
  writer.str("Distribution");
  writer.arrayHeader(v.distribution.length);
  for (const shard of v.distribution) writer.int(shard);
  writer.str("Checksums");
  writer.arrayHeader(v.checksums.length);
  for (const checksum of v.checksums) {
    writer.mapHeader(3);
    writer.str("PartNumber");
    writer.int(checksum.partNumber);
    writer.str("Algorithm");
    writer.uint(checksum.algorithm);
    writer.str("Hash");
    writer.bin(checksum.hash);
  }
}

// ---- xl.json

const HASH_IDS: Readonly<Record<string, number>> = { sha256: 1, highwayhash256: 2, highwayhash256S: 3, blake2b: 4 };

type Json = Readonly<Record<string, unknown>>;

function section(json: Json, key: string): Json {
  const value = json[key];
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function list(json: Json, key: string): readonly Json[] {
  const value = json[key];
  if (!Array.isArray(value)) return [];
  return value.map((item: unknown) => (typeof item === "object" && item !== null ? (item as Json) : {}));
}

function text(json: Json, key: string): string {
  const value = json[key];
  return typeof value === "string" ? value : "";
}

function integer(json: Json, key: string): number {
  const value = json[key];
  return typeof value === "number" && Number.isSafeInteger(value) ? value : 0;
}

function integers(json: Json, key: string): number[] {
  const value = json[key];
  return Array.isArray(value) ? value.filter((item): item is number => Number.isSafeInteger(item)) : [];
}

/** The text of an `xl.json`. */
export function parseXlJson(bytes: Uint8Array): LegacyVersion {
  let json: Json;
  try {
    json = section({ root: JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as unknown }, "root");
  } catch (cause) {
    throw new FormatError("neither xl.meta nor xl.json", { cause });
  }
  const version = text(json, "version");
  if (text(json, "format") !== "xl" || !(version === "1.0.0" || version === "1.0.1")) {
    throw new FormatError(`xl.json: unknown format ${JSON.stringify(version.slice(0, 32))}`);
  }
  const stat = section(json, "stat");
  const erasure = section(json, "erasure");
  const modTime = parseRfc3339(text(stat, "modTime"));
  if (modTime === null) throw new FormatError("xl.json: no modification time");
  return {
    ...EMPTY,
    versionId: text(json, "versionId") || "null",
    dataDir: text(json, "dataDir"),
    modTime,
    sizeBytes: integer(stat, "size"),
    formatVersion: version,
    statName: text(stat, "name"),
    statDir: stat["dir"] === true,
    statMode: integer(stat, "mode"),
    erasureAlgorithm: text(erasure, "algorithm"),
    dataShards: integer(erasure, "data"),
    parityShards: integer(erasure, "parity"),
    blockSizeBytes: integer(erasure, "blockSize"),
    erasureIndex: integer(erasure, "index"),
    distribution: integers(erasure, "distribution"),
    checksums: list(erasure, "checksum").map(checksumFromJson),
    release: text(section(json, "minio"), "release"),
    meta: new Map(Object.entries(section(json, "meta")).map(([key, value]) => [key, String(value)])),
    parts: list(json, "parts").map(partFromJson),
  };
}

function checksumFromJson(json: Json): LegacyChecksum {
  const number = /^part\.(\d{1,5})$/.exec(text(json, "name"))?.[1] ?? "0";
  const hash = new Uint8Array(Buffer.from(text(json, "hash"), "hex"));
  return { partNumber: Number(number), algorithm: HASH_IDS[text(json, "algorithm")] ?? 0, hash };
}

function partFromJson(json: Json): PartRecord {
  return {
    etag: text(json, "etag"),
    number: integer(json, "number"),
    sizeBytes: integer(json, "size"),
    actualBytes: integer(json, "actualSize"),
    modTime: parseRfc3339(text(json, "modTime")) ?? 0n,
    index: null,
    checksums: new Map(),
  };
}
