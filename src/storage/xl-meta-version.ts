/**
 * One version of an object as xl.meta holds it: bodies (msgpack) to fields and back, bytes exactly as MinIO writes them.
 * `decodeVersion` reads any of the three kinds; unknown keys are carried along and written back. Byte values are views
 * of the input. modTime is ns since 1970; sizes in bytes. Throws FormatError. Source: docs/format.md §5.3-5.6.
 */
import { assert } from "../core/assert.ts";
import { FormatError } from "../core/format-error.ts";
import { encodedBytes, encodedKey, knownKeys, MsgpackReader, MsgpackWriter } from "../core/msgpack.ts";
import { NULL_VERSION_ID, UUID_BYTES, uuidBytes, uuidOfHex, uuidText, versionIdBytes } from "./uuid.ts";
import { type LegacyVersion, readLegacy, writeLegacy } from "./xl-meta-legacy.ts";

export const VERSION_TYPE = { object: 1, deleteMarker: 2, legacy: 3 } as const;

/**
 * The release time that our bodies carry under `v` (Unix seconds). Above 1730156418, so that MinIO keeps our part
 * indices (docs/format.md §5.2).
 */
export const WRITER_RELEASE = 1_770_768_000;

/** Keys that this version of the format does not know, with their msgpack values. */
export interface UnknownKeys {
  readonly wrapper: ReadonlyMap<string, Uint8Array>;
  readonly body: ReadonlyMap<string, Uint8Array>;
}

export interface ObjectVersion {
  readonly type: 1;
  /** "null" or UUID text. */
  readonly versionId: string;
  /** UUID text, set for inline data too. */
  readonly dataDir: string;
  /** k, called EcM on disk. */
  readonly dataShards: number;
  /** m, called EcN on disk. */
  readonly parityShards: number;
  readonly blockSizeBytes: number;
  /** Shard number on this drive, 1..k+m: the only field that differs between drives. */
  readonly erasureIndex: number;
  readonly distribution: readonly number[];
  readonly partNumbers: readonly number[];
  /** null in everything written since 2021-12. */
  readonly partEtags: readonly string[] | null;
  /** Stored sizes. */
  readonly partSizes: readonly number[];
  /** The client's sizes; always as many as partNumbers. */
  readonly partActualSizes: readonly number[];
  /** S2 indices; null when no part has one. */
  readonly partIndices: readonly Uint8Array[] | null;
  readonly sizeBytes: number;
  readonly modTime: bigint;
  readonly metaSys: ReadonlyMap<string, Uint8Array>;
  readonly metaUsr: ReadonlyMap<string, string>;
  /** `v`; null = absent, undefined = ours. */
  readonly writerRelease?: number | null;
  readonly unknownKeys?: UnknownKeys;
}

export interface DeleteMarkerVersion {
  readonly type: 2;
  readonly versionId: string;
  readonly modTime: bigint;
  readonly metaSys: ReadonlyMap<string, Uint8Array>;
  readonly writerRelease?: number | null;
  readonly unknownKeys?: UnknownKeys;
}

export type AnyVersion = ObjectVersion | DeleteMarkerVersion | LegacyVersion;

/** What a body must hold before it may be written. */
export function isValidObject(v: ObjectVersion): boolean {
  const { dataShards: k, parityShards: m } = v;
  return k > 0 && m >= 0 && k >= m && v.modTime > 0n && v.partActualSizes.length === v.partNumbers.length;
}

/** What a reader demands of a version on its drive. */
export function isReadable(v: ObjectVersion): boolean {
  const total = v.dataShards + v.parityShards;
  return isValidObject(v) && v.erasureIndex >= 1 && v.erasureIndex <= total && v.distribution.length === total;
}

// ---- decoding

const OBJECT_KEYS = [
  "ID",
  "DDir",
  "EcAlgo",
  "EcM",
  "EcN",
  "EcBSize",
  "EcIndex",
  "EcDist",
  "CSumAlgo",
  "PartNums",
  "PartETags",
  "PartSizes",
  "PartASizes",
  "PartIdx",
  "Size",
  "MTime",
  "MetaSys",
  "MetaUsr",
] as const;
type ObjectKey = (typeof OBJECT_KEYS)[number];
const OBJECT_KEYS_ENCODED = OBJECT_KEYS.map(encodedKey);
const PART_INDEX_POSITION = OBJECT_KEYS.indexOf("PartIdx");

const WRAPPER_KEYS = knownKeys("Type", "V2Obj", "v");
/** Those of nearly every version. */
const SYSTEM_NAMES = knownKeys("x-minio-internal-inline-data", "x-minio-internal-crc");
const USER_NAMES = knownKeys("etag", "content-type");
/** Content types that clients send who know nothing of the content. */
const USER_VALUES = knownKeys("binary/octet-stream", "application/octet-stream");
const NO_NAMES: ReadonlyMap<string, never> = new Map<string, never>();
const NO_INTS: readonly number[] = [];
const NO_UUID = uuidText(new Uint8Array(UUID_BYTES));
const NO_UUID_ENCODED = encodedBytes(new Uint8Array(UUID_BYTES));

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export function decodeVersion(body: Uint8Array): AnyVersion {
  return readVersion(new MsgpackReader(body));
}

/** decodeVersion of the reader's bytes. */
export function readVersion(reader: MsgpackReader): AnyVersion {
  const count = reader.mapHeader();
  let type = 0;
  let release: number | null = null;
  let object: Mutable<ObjectVersion> | undefined;
  let marker: Mutable<DeleteMarkerVersion> | undefined;
  let legacy: LegacyVersion | undefined;
  const unknown = new Unknown();
  for (let index = 0; index < count; index++) {
    const key = reader.strOf(WRAPPER_KEYS);
    if (key === "Type") type = reader.uint();
    else if (key === "v") release = reader.uint();
    else if (key === "V2Obj") object = reader.takeNil() ? undefined : readObject(reader, unknown);
    else if (key === "DelObj") marker = reader.takeNil() ? undefined : readMarker(reader, unknown);
    else if (key === "V1Obj") legacy = reader.takeNil() ? undefined : readLegacy(reader);
    else unknown.inWrapper(key, reader.skip());
  }
  const version = type === 1 ? object : type === 2 ? marker : type === 3 ? legacy : undefined;
  if (version === undefined) throw new FormatError(`xl.meta: version of type ${type} without its body`);
  if (version.type === VERSION_TYPE.legacy) return { ...version, writerRelease: release };
  version.writerRelease = release;
  if (unknown.keys !== null) version.unknownKeys = unknown.keys;
  return version;
}

/** Collects what this version of the format does not know. */
class Unknown {
  keys: { readonly wrapper: Map<string, Uint8Array>; readonly body: Map<string, Uint8Array> } | null = null;

  inWrapper(key: string, value: Uint8Array): void {
    this.found().wrapper.set(key, value);
  }

  inBody(key: string, value: Uint8Array): void {
    this.found().body.set(key, value);
  }

  private found(): NonNullable<Unknown["keys"]> {
    this.keys ??= { wrapper: new Map(), body: new Map() };
    return this.keys;
  }
}

function readObject(reader: MsgpackReader, unknown: Unknown): Mutable<ObjectVersion> {
  const out: Mutable<ObjectVersion> = {
    type: 1,
    versionId: "null",
    dataDir: "",
    dataShards: 0,
    parityShards: 0,
    blockSizeBytes: 0,
    erasureIndex: 0,
    distribution: NO_INTS,
    partNumbers: NO_INTS,
    partEtags: null,
    partSizes: NO_INTS,
    partActualSizes: NO_INTS,
    partIndices: null,
    sizeBytes: 0,
    modTime: 0n,
    metaSys: NO_NAMES,
    metaUsr: NO_NAMES,
    writerRelease: null,
  };
  const count = reader.mapHeader();
  let expected = 0;
  for (let index = 0; index < count; index++) {
    // Nearly always the next key in the order of writing; then no string is built.
    let position = expected;
    if (!takeObjectKey(reader, position)) {
      position = position === PART_INDEX_POSITION && takeObjectKey(reader, position + 1) ? position + 1 : -1;
    }
    if (position < 0) {
      const name = reader.str();
      position = OBJECT_KEYS.indexOf(name as ObjectKey);
      if (position < 0) {
        unknown.inBody(name, reader.skip());
        continue;
      }
    }
    readObjectKey(reader, out, OBJECT_KEYS[position] as ObjectKey);
    expected = position + 1;
  }
  return out;
}

function takeObjectKey(reader: MsgpackReader, position: number): boolean {
  const encoded = OBJECT_KEYS_ENCODED[position];
  return encoded !== undefined && reader.takeKey(encoded);
}

function readObjectKey(reader: MsgpackReader, out: Mutable<ObjectVersion>, key: ObjectKey): void {
  switch (key) {
    case "ID":
      out.versionId = readVersionId(reader);
      return;
    case "DDir":
      out.dataDir = readUuid(reader);
      return;
    case "EcAlgo":
    case "CSumAlgo":
      if (reader.uint() !== 1) throw new FormatError(`xl.meta: unknown ${key}`);
      return;
    case "EcM":
      out.dataShards = reader.uint();
      return;
    case "EcN":
      out.parityShards = reader.uint();
      return;
    case "EcBSize":
      out.blockSizeBytes = reader.uint();
      return;
    case "EcIndex":
      out.erasureIndex = reader.uint();
      return;
    case "EcDist":
      out.distribution = readInts(reader);
      return;
    case "PartNums":
      out.partNumbers = readInts(reader);
      return;
    case "PartETags":
      out.partEtags = reader.takeNil() ? null : readTexts(reader);
      return;
    case "PartSizes":
      out.partSizes = readInts(reader);
      return;
    case "PartASizes":
      out.partActualSizes = readInts(reader);
      return;
    case "PartIdx":
      out.partIndices = reader.takeNil() ? null : readBytes(reader);
      return;
    case "Size":
      out.sizeBytes = reader.int();
      return;
    case "MTime":
      out.modTime = reader.int64();
      return;
    case "MetaSys":
      out.metaSys = readMetaSys(reader);
      return;
    case "MetaUsr":
      out.metaUsr = readMetaUsr(reader);
      return;
  }
}

function readMarker(reader: MsgpackReader, unknown: Unknown): Mutable<DeleteMarkerVersion> {
  const out: Mutable<DeleteMarkerVersion> = {
    type: 2,
    versionId: "null",
    modTime: 0n,
    metaSys: NO_NAMES,
    writerRelease: null,
  };
  const count = reader.mapHeader();
  for (let index = 0; index < count; index++) {
    const key = reader.str();
    if (key === "ID") out.versionId = readVersionId(reader);
    else if (key === "MTime") out.modTime = reader.int64();
    else if (key === "MetaSys") out.metaSys = readMetaSys(reader);
    else unknown.inBody(key, reader.skip());
  }
  return out;
}

function readVersionId(reader: MsgpackReader): string {
  if (reader.takeKey(NO_UUID_ENCODED)) return NULL_VERSION_ID; // nearly always, and then no text is made
  const id = readUuid(reader);
  return id === NO_UUID ? NULL_VERSION_ID : id;
}

function readUuid(reader: MsgpackReader): string {
  const hex = reader.binHex();
  if (hex.length !== 2 * UUID_BYTES) throw new FormatError(`xl.meta: UUID of ${hex.length / 2} bytes`);
  return uuidOfHex(hex);
}

function readTexts(reader: MsgpackReader): string[] {
  const count = reader.arrayHeader();
  const out: string[] = [];
  for (let index = 0; index < count; index++) out.push(reader.str());
  return out;
}

function readBytes(reader: MsgpackReader): Uint8Array[] {
  const count = reader.arrayHeader();
  const out: Uint8Array[] = [];
  for (let index = 0; index < count; index++) out.push(reader.bin());
  return out;
}

function readInts(reader: MsgpackReader): number[] {
  if (reader.takeNil()) return [];
  const count = reader.arrayHeader();
  const out: number[] = [];
  for (let index = 0; index < count; index++) out.push(reader.int());
  return out;
}

function readMetaSys(reader: MsgpackReader): Map<string, Uint8Array> {
  const out = new Map<string, Uint8Array>();
  if (reader.takeNil()) return out;
  const count = reader.mapHeader();
  for (let index = 0; index < count; index++) out.set(reader.strOf(SYSTEM_NAMES), reader.bin());
  return out;
}

function readMetaUsr(reader: MsgpackReader): Map<string, string> {
  const out = new Map<string, string>();
  if (reader.takeNil()) return out;
  const count = reader.mapHeader();
  for (let index = 0; index < count; index++) out.set(reader.strOf(USER_NAMES), reader.strOf(USER_VALUES));
  return out;
}

const NO_DATA_DIR = "";

/** The data directory that a body names, without decoding the rest; "" for delete markers. */
export function dataDirOf(body: Uint8Array): string {
  const reader = new MsgpackReader(body);
  const count = reader.mapHeader();
  for (let index = 0; index < count; index++) {
    const key = reader.str();
    if (key !== "V2Obj" && key !== "V1Obj") {
      reader.skip();
      continue;
    }
    if (reader.takeNil()) continue;
    const fields = reader.mapHeader();
    for (let field = 0; field < fields; field++) {
      const name = reader.str();
      if (name === "DDir") return readUuid(reader);
      if (name === "DataDir") return reader.str();
      reader.skip();
    }
  }
  return NO_DATA_DIR;
}

// ---- encoding

/** Body of an object version; `EcIndex` as in `v`. */
export function encodeObjectVersion(v: ObjectVersion): Uint8Array {
  return writeObjectBody(v).writer.finish();
}

function writeObjectBody(v: ObjectVersion): { writer: MsgpackWriter; indexOffset: number } {
  const writer = new MsgpackWriter();
  writeWrapperStart(writer, VERSION_TYPE.object, v);
  writer.str("V2Obj");
  const indexOffset = writeObjectFields(writer, v, "stored");
  writeWrapperEnd(writer, v);
  return { writer, indexOffset };
}

export function encodeDeleteMarker(v: DeleteMarkerVersion): Uint8Array {
  const writer = new MsgpackWriter(256);
  writeWrapperStart(writer, VERSION_TYPE.deleteMarker, v);
  writer.str("DelObj");
  writeMarkerFields(writer, v, "stored");
  writeWrapperEnd(writer, v);
  return writer.finish();
}

export function encodeVersion(v: AnyVersion): Uint8Array {
  if (v.type === VERSION_TYPE.object) return encodeObjectVersion(v);
  if (v.type === VERSION_TYPE.deleteMarker) return encodeDeleteMarker(v);
  const writer = new MsgpackWriter();
  writeWrapperStart(writer, VERSION_TYPE.legacy, v);
  writer.str("V1Obj");
  writeLegacy(writer, v);
  writeWrapperEnd(writer, v);
  return writer.finish();
}

/** A body encoded once; `withIndex` gives each drive its own copy with its shard number. */
export class ObjectVersionTemplate {
  constructor(
    readonly body: Uint8Array,
    readonly indexOffset: number,
  ) {}

  withIndex(erasureIndex: number): Uint8Array {
    assert(erasureIndex >= 1 && erasureIndex <= 0x7f, "a shard number fits a template");
    const copy = this.body.slice();
    copy[this.indexOffset] = erasureIndex;
    return copy;
  }
}

/** The version's own `erasureIndex` does not matter. */
export function encodeObjectVersionTemplate(v: ObjectVersion): ObjectVersionTemplate {
  const { writer, indexOffset } = writeObjectBody(v.erasureIndex === 1 ? v : { ...v, erasureIndex: 1 });
  return new ObjectVersionTemplate(writer.finish(), indexOffset);
}

interface Wrapped {
  readonly writerRelease?: number | null;
  readonly unknownKeys?: UnknownKeys;
}

function writeWrapperStart(writer: MsgpackWriter, type: 1 | 2 | 3, v: Wrapped): void {
  const hasRelease = v.writerRelease !== null;
  writer.mapHeader(2 + (hasRelease ? 1 : 0) + (v.unknownKeys?.wrapper.size ?? 0));
  writer.str("Type");
  writer.uint(type);
}

function writeWrapperEnd(writer: MsgpackWriter, v: Wrapped): void {
  if (v.writerRelease !== null) {
    writer.str("v");
    writer.uint(v.writerRelease ?? WRITER_RELEASE);
  }
  if (v.unknownKeys !== undefined) writeUnknown(writer, v.unknownKeys.wrapper);
}

function writeUnknown(writer: MsgpackWriter, keys: ReadonlyMap<string, Uint8Array>): void {
  for (const [key, value] of keys) {
    writer.str(key);
    writer.raw(value);
  }
}

/**
 * Fields of an object. "signed" is the normalised copy that the signature hashes: no EcIndex, no metadata, nothing that
 * old and new writers put differently. Returns the offset of the EcIndex value.
 */
export function writeObjectFields(writer: MsgpackWriter, v: ObjectVersion, form: "stored" | "signed"): number {
  const signed = form === "signed";
  const unknown = signed ? undefined : v.unknownKeys?.body;
  writer.mapHeader(17 + (v.partIndices === null ? 0 : 1) + (unknown?.size ?? 0));
  writer.str("ID");
  writer.bin(versionIdBytes(v.versionId));
  writer.str("DDir");
  writer.bin(v.dataDir === "" ? new Uint8Array(UUID_BYTES) : uuidBytes(v.dataDir));
  writer.str("EcAlgo");
  writer.uint(1);
  writer.str("EcM");
  writer.int(v.dataShards);
  writer.str("EcN");
  writer.int(v.parityShards);
  writer.str("EcBSize");
  writer.int(v.blockSizeBytes);
  writer.str("EcIndex");
  const indexOffset = writer.length;
  writer.int(signed ? 0 : v.erasureIndex);
  writer.str("EcDist");
  writer.arrayHeader(v.distribution.length);
  for (const shard of v.distribution) writer.uint(shard);
  writer.str("CSumAlgo");
  writer.uint(1);
  writeParts(writer, v, signed);
  writer.str("Size");
  writer.int(v.sizeBytes);
  writer.str("MTime");
  writer.int64(v.modTime);
  writer.str("MetaSys");
  if (signed) writer.nil();
  else writeMetaSys(writer, v.metaSys);
  writer.str("MetaUsr");
  if (signed) writer.nil();
  else writeMetaUsr(writer, v.metaUsr);
  if (unknown !== undefined) writeUnknown(writer, unknown);
  return indexOffset;
}

function writeParts(writer: MsgpackWriter, v: ObjectVersion, signed: boolean): void {
  writer.str("PartNums");
  writeInts(writer, v.partNumbers);
  writer.str("PartETags");
  if (v.partEtags === null || (signed && v.partEtags.every((etag) => etag === ""))) writer.nil();
  else {
    writer.arrayHeader(v.partEtags.length);
    for (const etag of v.partEtags) writer.str(etag);
  }
  writer.str("PartSizes");
  writeInts(writer, v.partSizes);
  writer.str("PartASizes");
  if (signed && v.partActualSizes.length === 0) writer.nil();
  else writeInts(writer, v.partActualSizes);
  if (v.partIndices === null) return;
  writer.str("PartIdx");
  writer.arrayHeader(v.partIndices.length);
  for (const index of v.partIndices) writer.bin(index);
}

/** Fields of a delete marker; "signed" leaves the metadata out. */
export function writeMarkerFields(writer: MsgpackWriter, v: DeleteMarkerVersion, form: "stored" | "signed"): void {
  const unknown = form === "signed" ? undefined : v.unknownKeys?.body;
  writer.mapHeader(form === "signed" ? 2 : 3 + (unknown?.size ?? 0));
  writer.str("ID");
  writer.bin(versionIdBytes(v.versionId));
  writer.str("MTime");
  writer.int64(v.modTime);
  if (form === "signed") return;
  writer.str("MetaSys");
  writeMetaSys(writer, v.metaSys);
  if (unknown !== undefined) writeUnknown(writer, unknown);
}

function writeInts(writer: MsgpackWriter, values: readonly number[]): void {
  writer.arrayHeader(values.length);
  for (const value of values) writer.int(value);
}

function writeMetaSys(writer: MsgpackWriter, map: ReadonlyMap<string, Uint8Array>): void {
  writer.mapHeader(map.size);
  for (const key of map.keys()) {
    writer.str(key);
    writer.bin(map.get(key) as Uint8Array);
  }
}

function writeMetaUsr(writer: MsgpackWriter, map: ReadonlyMap<string, string>): void {
  writer.mapHeader(map.size);
  for (const key of map.keys()) {
    writer.str(key);
    writer.str(map.get(key) as string);
  }
}
