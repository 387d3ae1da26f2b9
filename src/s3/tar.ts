/**
 * A tar archive, member by member, as it arrives: ustar, PAX records and GNU long names; the checksum of every header is
 * checked. Bounded: names and records; contents pass through. Times in ms since 1970. Throws WireError.
 * Source: POSIX.1-2017 pax; s3-api.md §4.22.
 */
import type { ByteSource } from "../core/byte-stream.ts";
import { WireError } from "./wire-error.ts";

const BLOCK_BYTES = 512;
const RECORD_BYTES_MAX = 256 * 1024;
const EMPTY = new Uint8Array(0);

export interface TarMember {
  readonly name: string;
  readonly isDirectory: boolean;
  /** Links, devices and the like have no content to store. */
  readonly isFile: boolean;
  readonly sizeBytes: number;
  readonly modTimeMs: number;
  /** PAX records, global ones among them. */
  readonly records: ReadonlyMap<string, string>;
  /** Ends with the member; what was not read of it is skipped when the next one is asked for. */
  readonly content: ByteSource;
}

export class TarReader {
  private readonly bytes: Bytes;
  private readonly global = new Map<string, string>();
  private current: Content | null = null;

  constructor(source: ByteSource) {
    this.bytes = new Bytes(source);
  }

  /** null = the end of the archive. */
  async next(): Promise<TarMember | null> {
    await this.current?.skip();
    this.current = null;
    const local = new Map<string, string>();
    for (;;) {
      const header = await this.header();
      if (header === null) return null;
      const { type, sizeBytes } = header;
      if (type === "x" || type === "g") parseRecords(await this.record(sizeBytes), type === "x" ? local : this.global);
      else if (type === "L" || type === "K") {
        const text = textIn(await this.record(sizeBytes));
        if (type === "L") local.set("path", text);
      } else return this.member(header, new Map([...this.global, ...local]));
    }
  }

  private member(header: Header, records: ReadonlyMap<string, string>): TarMember {
    const sizeBytes = records.has("size") ? decimal(records.get("size") as string) : header.sizeBytes;
    const name = records.get("path") ?? header.name;
    const seconds = Number(records.get("mtime") ?? header.modTimeS);
    const isDirectory = header.type === "5" || (header.type === "0" && name.endsWith("/"));
    const isFile = !isDirectory && (header.type === "0" || header.type === "7");
    this.current = new Content(this.bytes, sizeBytes);
    return {
      name,
      isDirectory,
      isFile,
      sizeBytes,
      modTimeMs: Number.isFinite(seconds) && Math.abs(seconds) < 1e11 ? Math.floor(seconds * 1000) : 0,
      records,
      content: this.current,
    };
  }

  private async header(): Promise<Header | null> {
    for (let zeros = 0; ; ) {
      const block = await this.bytes.exactly(BLOCK_BYTES);
      if (block === null) return null;
      if (block.every((byte) => byte === 0)) {
        zeros++;
        if (zeros === 2) return null;
        continue;
      }
      return parseHeader(block);
    }
  }

  private async record(sizeBytes: number): Promise<Uint8Array> {
    if (sizeBytes > RECORD_BYTES_MAX) throw malformed("a record of a member is too long");
    const record = await this.bytes.exactly(sizeBytes);
    await this.bytes.exactly(padding(sizeBytes));
    if (record === null) throw malformed("it ends too early");
    return record;
  }
}

interface Header {
  readonly name: string;
  readonly type: string;
  readonly sizeBytes: number;
  readonly modTimeS: number;
}

function parseHeader(block: Uint8Array): Header {
  let sum = 0;
  for (const [i, byte] of block.entries()) sum += i >= 148 && i < 156 ? 0x20 : byte;
  if (sum !== number(block.subarray(148, 156))) throw malformed("the checksum of a header is wrong");
  const isUstar = Buffer.from(block.subarray(257, 262)).toString("latin1") === "ustar";
  const isGnu = block[262] === 0x20;
  const prefix = isUstar && !isGnu ? textIn(block.subarray(345, 500)) : "";
  const name = textIn(block.subarray(0, 100));
  const type = String.fromCharCode(block[156] as number);
  const isLink = type === "1" || type === "2";
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    type: type === "\0" ? "0" : type,
    sizeBytes: isLink || type === "5" ? 0 : number(block.subarray(124, 136)),
    modTimeS: number(block.subarray(136, 148)),
  };
}

/** Octal text, or GNU's base 256. */
function number(field: Uint8Array): number {
  if ((field[0] as number) === 0x80) {
    let value = 0;
    for (const byte of field.subarray(1)) value = value * 256 + byte;
    if (!Number.isSafeInteger(value)) throw malformed("a number is too large");
    return value;
  }
  const text = textIn(field).trim();
  if (text !== "" && !/^[0-7]+$/.test(text)) throw malformed("a number of a header is none");
  return text === "" ? 0 : Number.parseInt(text, 8);
}

function decimal(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw malformed("a size is not a number");
  return Number(text);
}

/** Up to the first NUL. */
function textIn(field: Uint8Array): string {
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end)).toString("utf8");
}

/** "length key=value\n", again and again. */
function parseRecords(bytes: Uint8Array, into: Map<string, string>): void {
  for (let at = 0; at < bytes.length; ) {
    const blank = bytes.indexOf(0x20, at);
    if (blank < 0) throw malformed("a record of a member is broken");
    const length = decimal(Buffer.from(bytes.subarray(at, blank)).toString("latin1"));
    if (length <= blank - at + 2 || at + length > bytes.length || bytes[at + length - 1] !== 0x0a)
      throw malformed("a record of a member is broken");
    const pair = Buffer.from(bytes.subarray(blank + 1, at + length - 1)).toString("utf8");
    const equals = pair.indexOf("=");
    if (equals <= 0) throw malformed("a record of a member is broken");
    into.set(pair.slice(0, equals), pair.slice(equals + 1));
    at += length;
  }
}

function padding(sizeBytes: number): number {
  return (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

function malformed(why: string): WireError {
  return new WireError("BadRequest", `The archive cannot be read: ${why}.`);
}

class Content implements ByteSource {
  private left: number;
  private pad: number;

  constructor(
    private readonly bytes: Bytes,
    sizeBytes: number,
  ) {
    this.left = sizeBytes;
    this.pad = padding(sizeBytes);
  }

  async next(): Promise<Uint8Array | null> {
    if (this.left === 0) {
      await this.bytes.exactly(this.pad);
      this.pad = 0;
      return null;
    }
    const chunk = await this.bytes.upTo(this.left);
    if (chunk === null) throw malformed("it ends in the middle of a member");
    this.left -= chunk.length;
    return chunk;
  }

  async skip(): Promise<void> {
    for (let chunk = await this.next(); chunk !== null; ) chunk = await this.next();
  }
}

/** A source with exact reads. */
class Bytes {
  private held: Uint8Array = EMPTY;

  constructor(private readonly source: ByteSource) {}

  /** At least one byte; valid until the next call. null = the end. */
  async upTo(bytes: number): Promise<Uint8Array | null> {
    if (this.held.length === 0) this.held = (await this.source.next()) ?? EMPTY;
    if (this.held.length === 0) return null;
    const given = this.held.subarray(0, bytes);
    this.held = this.held.subarray(given.length);
    return given;
  }

  /** A copy; null = the end was there before the first of them. */
  async exactly(bytes: number): Promise<Uint8Array | null> {
    const out = new Uint8Array(bytes);
    for (let at = 0; at < bytes; ) {
      const chunk = await this.upTo(bytes - at);
      if (chunk === null) {
        if (at === 0) return null;
        throw malformed("it ends too early");
      }
      out.set(chunk, at);
      at += chunk.length;
    }
    return out;
  }
}
