/**
 * The record of one part: `part.N.meta` of an upload in progress, and the element of V1Obj.Parts. Times are ns since
 * 1970, sizes in bytes. The array of 28 that releases of 2022-10 to 2024-03 wrote is read too. Throws FormatError.
 * Source: docs/format.md §6.2.
 */
import { FormatError } from "../core/format-error.ts";
import { GO_ZERO_TIME } from "../core/go-time.ts";
import { MsgpackReader, MsgpackWriter } from "../core/msgpack.ts";

export interface PartRecord {
  /** Without quotes. */
  readonly etag: string;
  readonly number: number;
  /** Stored, after compression and encryption. */
  readonly sizeBytes: number;
  /** As the client sent it. */
  readonly actualBytes: number;
  readonly modTime: bigint;
  /** S2 index; null = none. */
  readonly index: Uint8Array | null;
  /** Algorithm name -> base64. */
  readonly checksums: ReadonlyMap<string, string>;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Position of the parts in the array form. */
const OLD_PARTS_ELEMENT = 17;
const OLD_LENGTH = 28;

/** Content of `part.N.meta`. */
export function encodePartMeta(part: PartRecord): Uint8Array {
  const writer = new MsgpackWriter(192);
  writePartRecord(writer, part);
  return writer.finish();
}

/** Byte values are views of `bytes`. */
export function decodePartMeta(bytes: Uint8Array): PartRecord {
  return readPartRecord(new MsgpackReader(bytes));
}

export function writePartRecord(writer: MsgpackWriter, part: PartRecord): void {
  const hasChecksums = part.checksums.size > 0;
  writer.mapHeader(5 + (part.index === null ? 0 : 1) + (hasChecksums ? 1 : 0));
  writer.str("e");
  writer.str(part.etag);
  writer.str("n");
  writer.int(part.number);
  writer.str("s");
  writer.int(part.sizeBytes);
  writer.str("as");
  writer.int(part.actualBytes);
  writer.str("mt");
  writer.time(part.modTime);
  if (part.index !== null) {
    writer.str("i");
    writer.bin(part.index);
  }
  if (!hasChecksums) return;
  writer.str("crc");
  writer.mapHeader(part.checksums.size);
  for (const [algorithm, value] of part.checksums) {
    writer.str(algorithm);
    writer.str(value);
  }
}

export function readPartRecord(reader: MsgpackReader): PartRecord {
  const tag = reader.peek();
  if ((tag & 0xf0) === 0x90 || tag === 0xdc || tag === 0xdd) return readOldRecord(reader);
  const out: Mutable<PartRecord> = {
    etag: "",
    number: 0,
    sizeBytes: 0,
    actualBytes: 0,
    modTime: GO_ZERO_TIME,
    index: null,
    checksums: new Map(),
  };
  const count = reader.mapHeader();
  for (let field = 0; field < count; field++) readField(reader, out, reader.str());
  return out;
}

function readField(reader: MsgpackReader, out: Mutable<PartRecord>, key: string): void {
  switch (key) {
    case "e":
    case "ETag":
      out.etag = reader.str();
      return;
    case "n":
    case "Number":
      out.number = reader.int();
      return;
    case "s":
    case "Size":
      out.sizeBytes = reader.int();
      return;
    case "as":
    case "ActualSize":
      out.actualBytes = reader.int();
      return;
    case "mt":
    case "ModTime":
      out.modTime = reader.time();
      return;
    case "i":
      out.index = reader.takeNil() ? null : reader.bin();
      return;
    case "crc":
      out.checksums = readChecksums(reader);
      return;
    default:
      reader.skip();
  }
}

function readChecksums(reader: MsgpackReader): Map<string, string> {
  const out = new Map<string, string>();
  if (reader.takeNil()) return out;
  const count = reader.mapHeader();
  for (let index = 0; index < count; index++) out.set(reader.str(), reader.str());
  return out;
}

function readOldRecord(reader: MsgpackReader): PartRecord {
  if (reader.arrayHeader() !== OLD_LENGTH) throw new FormatError("part record: array of unknown length");
  let part: PartRecord | null = null;
  for (let element = 0; element < OLD_LENGTH; element++) {
    if (element !== OLD_PARTS_ELEMENT) {
      reader.skip();
      continue;
    }
    if (reader.arrayHeader() !== 1) throw new FormatError("part record: not exactly one part");
    // Only the map form is legal inside: an array here would recurse.
    if ((reader.peek() & 0xf0) === 0x80) part = readPartRecord(reader);
    else throw new FormatError("part record: part is no map");
  }
  if (part === null) throw new FormatError("part record: no part");
  return part;
}
