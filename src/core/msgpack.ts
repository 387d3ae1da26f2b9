/**
 * msgpack exactly as MinIO's Go encoder writes it (signatures hash these bytes), and a bounds-checked reader.
 * Signed integers never use the unsigned forms, byte strings are always `bin`, times are extension 5.
 * Lengths in bytes; 64-bit times are bigint nanoseconds, every other integer is a number up to 2^53.
 * The reader returns byte strings as views of its input (copies, if that is lent) and throws FormatError on anything that does not fit.
 * Source: on-disk format, msgpack profile (docs/format.md §0.1).
 */
import { FormatError } from "./format-error.ts";

const TWO_32 = 0x1_0000_0000;
const NANOS_PER_SECOND = 1_000_000_000n;
/** Bytes of a time: c7 0c 05, 8 of seconds, 4 of nanoseconds. */
const TIME_BYTES = 15;
const TIME_EXTENSION = 5;
const STANDARD_TIME_EXTENSION = 0xff;

/**
 * JavaScriptCore keeps an array of up to so many bytes among its objects, and moves it out when a view of it is made: that costs
 * five times as much as a copy.
 */
const SMALL_ARRAY_BYTES = 1000;

/** Growing buffer of msgpack. `finish` may hand out a view; do not write afterwards. */
export class MsgpackWriter {
  #bytes: Uint8Array;
  #view: DataView | null = null;
  #length = 0;

  constructor(capacityBytes = 768) {
    this.#bytes = new Uint8Array(capacityBytes);
  }

  get length(): number {
    return this.#length;
  }

  finish(): Uint8Array {
    const length = this.#length;
    return length <= SMALL_ARRAY_BYTES ? this.#bytes.slice(0, length) : this.#bytes.subarray(0, length);
  }

  /** Forgets what was written; views given out before are overwritten. */
  clear(): void {
    this.#length = 0;
  }

  /** Overwrites four bytes written before, big-endian. */
  patchUint32(at: number, value: number): void {
    this.#uint32(at, value);
  }

  #reserve(count: number): number {
    const at = this.#length;
    const end = at + count;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = null;
    }
    this.#length = end;
    return at;
  }

  #dataView(): DataView {
    this.#view ??= new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    return this.#view;
  }

  #byte(value: number): void {
    const at = this.#reserve(1);
    this.#bytes[at] = value;
  }

  /** A tag byte and one big-endian value of 1, 2 or 4 bytes. */
  #tagged(tag: number, value: number, width: 1 | 2 | 4): void {
    let at = this.#reserve(1 + width);
    const bytes = this.#bytes;
    bytes[at++] = tag;
    if (width === 4) {
      bytes[at++] = value >>> 24;
      bytes[at++] = value >>> 16;
    }
    if (width !== 1) bytes[at++] = value >>> 8;
    bytes[at] = value;
  }

  #tagged64(tag: number, value: bigint): void {
    const at = this.#reserve(9);
    this.#bytes[at] = tag;
    this.#uint32(at + 1, Number(value >> 32n));
    this.#uint32(at + 5, Number(BigInt.asUintN(32, value)));
  }

  #uint32(at: number, value: number): void {
    const bytes = this.#bytes;
    bytes[at] = value >>> 24;
    bytes[at + 1] = value >>> 16;
    bytes[at + 2] = value >>> 8;
    bytes[at + 3] = value;
  }

  /** Go `int`, `int64`: positive values never take the unsigned forms. */
  int(value: number): void {
    if (value >= 0) {
      if (value <= 0x7f) this.#byte(value);
      else if (value <= 0x7fff) this.#tagged(0xd1, value, 2);
      else if (value <= 0x7fff_ffff) this.#tagged(0xd2, value, 4);
      else this.#tagged64(0xd3, BigInt(value));
    } else if (value >= -0x20) this.#byte(value & 0xff);
    else if (value >= -0x80) this.#tagged(0xd0, value & 0xff, 1);
    else if (value >= -0x8000) this.#tagged(0xd1, value & 0xffff, 2);
    else if (value >= -0x8000_0000) this.#tagged(0xd2, value >>> 0, 4);
    else this.#tagged64(0xd3, BigInt(value));
  }

  /** Go `int64` beyond 2^53 (nanosecond times). */
  int64(value: bigint): void {
    if (value > 0x7fff_ffffn || value < -0x8000_0000n) this.#tagged64(0xd3, value);
    else this.int(Number(value));
  }

  /** Go `uint8` to `uint64`. */
  uint(value: number): void {
    if (value <= 0x7f) this.#byte(value);
    else if (value <= 0xff) this.#tagged(0xcc, value, 1);
    else if (value <= 0xffff) this.#tagged(0xcd, value, 2);
    else if (value <= 0xffff_ffff) this.#tagged(0xce, value, 4);
    else this.#tagged64(0xcf, BigInt(value));
  }

  float64(value: number): void {
    const at = this.#reserve(9);
    this.#bytes[at] = 0xcb;
    this.#dataView().setFloat64(at + 1, value);
  }

  nil(): void {
    this.#byte(0xc0);
  }

  bool(value: boolean): void {
    this.#byte(value ? 0xc3 : 0xc2);
  }

  bin(value: Uint8Array): void {
    this.binHeader(value.length);
    this.raw(value);
  }

  /** What stands before so many bytes. */
  binHeader(length: number): void {
    if (length <= 0xff) this.#tagged(0xc4, length, 1);
    else if (length <= 0xffff) this.#tagged(0xc5, length, 2);
    else this.#tagged(0xc6, length, 4);
  }

  str(value: string): void {
    const length = value.length;
    if (length <= 0xff) {
      // One pass for short ASCII, the shape of every key and of nearly every value.
      const before = this.#length;
      this.#strHeader(length);
      const at = this.#reserve(length);
      const bytes = this.#bytes;
      let index = 0;
      for (; index < length; index++) {
        const code = value.charCodeAt(index);
        if (code > 0x7f) break;
        bytes[at + index] = code;
      }
      if (index === length) return;
      this.#length = before;
    }
    const encoded = new TextEncoder().encode(value);
    this.#strHeader(encoded.length);
    this.raw(encoded);
  }

  #strHeader(length: number): void {
    if (length <= 31) this.#byte(0xa0 | length);
    else if (length <= 0xff) this.#tagged(0xd9, length, 1);
    else if (length <= 0xffff) this.#tagged(0xda, length, 2);
    else this.#tagged(0xdb, length, 4);
  }

  arrayHeader(count: number): void {
    if (count <= 15) this.#byte(0x90 | count);
    else if (count <= 0xffff) this.#tagged(0xdc, count, 2);
    else this.#tagged(0xdd, count, 4);
  }

  mapHeader(count: number): void {
    if (count <= 15) this.#byte(0x80 | count);
    else if (count <= 0xffff) this.#tagged(0xde, count, 2);
    else this.#tagged(0xdf, count, 4);
  }

  /** A Go time, given in nanoseconds since 1970 (see go-time.ts for the zero time). */
  time(nanoseconds: bigint): void {
    let seconds = nanoseconds / NANOS_PER_SECOND;
    let rest = nanoseconds % NANOS_PER_SECOND;
    if (rest < 0n) {
      seconds -= 1n;
      rest += NANOS_PER_SECOND;
    }
    const at = this.#reserve(TIME_BYTES);
    this.#bytes[at] = 0xc7;
    this.#bytes[at + 1] = 12;
    this.#bytes[at + 2] = TIME_EXTENSION;
    const view = this.#dataView();
    view.setBigInt64(at + 3, seconds);
    view.setUint32(at + 11, Number(rest));
  }

  /** Bytes that are msgpack already. */
  raw(value: Uint8Array): void {
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
  }
}

/** Memory that is the reader's only for now: what it hands out is a copy. The other views of it are made once. */
export class LentBytes {
  readonly text: Buffer;
  readonly view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

/** Reads msgpack in `bytes` from `offset` up to `end`; every method moves `offset` behind what it read. */
export class MsgpackReader {
  readonly bytes: Uint8Array;
  offset: number;
  #view: DataView | null = null;
  #text: Buffer | null = null;
  readonly #lent: LentBytes | null;

  constructor(
    bytes: Uint8Array | LentBytes,
    offset = 0,
    readonly end = bytes instanceof LentBytes ? bytes.bytes.length : bytes.length,
  ) {
    this.offset = offset;
    if (bytes instanceof LentBytes) {
      this.#lent = bytes;
      this.#view = bytes.view;
      this.#text = bytes.text;
      this.bytes = bytes.bytes;
    } else {
      this.#lent = null;
      this.bytes = bytes;
    }
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  #take(count: number): number {
    const at = this.offset;
    const next = at + count;
    if (next > this.end) throw new FormatError(`msgpack: ${count} bytes expected at ${at}, ${this.end - at} left`);
    this.offset = next;
    return at;
  }

  #u8(): number {
    const at = this.offset;
    if (at >= this.end) throw new FormatError(`msgpack: end of input at ${at}`);
    this.offset = at + 1;
    return this.bytes[at] as number;
  }

  #u16(): number {
    const at = this.#take(2);
    return ((this.bytes[at] as number) << 8) | (this.bytes[at + 1] as number);
  }

  #u32(): number {
    const at = this.#take(4);
    const bytes = this.bytes;
    const high = ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16);
    return (high | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0;
  }

  #dataView(): DataView {
    this.#view ??= new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    return this.#view;
  }

  #wrong(expected: string, tag: number): FormatError {
    return new FormatError(`msgpack: ${expected} expected at ${this.offset - 1}, found 0x${tag.toString(16)}`);
  }

  /** The next byte without moving, or -1 at the end. */
  peek(): number {
    return this.offset < this.end ? (this.bytes[this.offset] as number) : -1;
  }

  /** Skips a nil if one is next. */
  takeNil(): boolean {
    if (this.peek() !== 0xc0) return false;
    this.offset++;
    return true;
  }

  /** Any integer form whose value is exact as a number. */
  int(): number {
    const tag = this.#u8();
    if (tag <= 0x7f) return tag;
    if (tag >= 0xe0) return tag - 0x100;
    switch (tag) {
      case 0xcc:
        return this.#u8();
      case 0xcd:
        return this.#u16();
      case 0xce:
        return this.#u32();
      case 0xd0:
        return (this.#u8() << 24) >> 24;
      case 0xd1:
        return (this.#u16() << 16) >> 16;
      case 0xd2:
        return this.#u32() | 0;
      case 0xcf:
      case 0xd3: {
        const high = tag === 0xcf ? this.#u32() : this.#u32() | 0;
        const value = high * TWO_32 + this.#u32();
        if (!Number.isSafeInteger(value)) throw new FormatError(`msgpack: integer over 2^53 at ${this.offset - 8}`);
        return value;
      }
      default:
        throw this.#wrong("integer", tag);
    }
  }

  /** A non-negative integer. */
  uint(): number {
    const value = this.int();
    if (value < 0) throw new FormatError(`msgpack: negative integer ${value} before ${this.offset}`);
    return value;
  }

  int64(): bigint {
    const tag = this.peek();
    if (tag !== 0xd3 && tag !== 0xcf) return BigInt(this.int());
    this.offset++;
    const at = this.#take(8);
    const value = this.#dataView().getBigInt64(at);
    if (tag === 0xcf && value < 0n) throw new FormatError(`msgpack: integer over int64 at ${at}`);
    return value;
  }

  float64(): number {
    const tag = this.peek();
    if (tag !== 0xca && tag !== 0xcb) return this.int();
    this.offset++;
    const at = this.#take(tag === 0xca ? 4 : 8);
    return tag === 0xca ? this.#dataView().getFloat32(at) : this.#dataView().getFloat64(at);
  }

  bool(): boolean {
    const tag = this.#u8();
    if (tag === 0xc3) return true;
    if (tag === 0xc2) return false;
    throw this.#wrong("bool", tag);
  }

  /** A view of the input, or a copy of lent bytes. */
  bin(): Uint8Array {
    const length = this.#binLength();
    const at = this.#take(length);
    return this.#piece(at, at + length);
  }

  #piece(from: number, to: number): Uint8Array {
    return this.#lent === null ? this.bytes.subarray(from, to) : this.bytes.slice(from, to);
  }

  /** The same as a reader of those bytes: for msgpack within msgpack, without a view. */
  binReader(): MsgpackReader {
    const length = this.#binLength();
    const at = this.#take(length);
    return new MsgpackReader(this.#lent ?? this.bytes, at, at + length);
  }

  /** The same as lower-case hexadecimal text. */
  binHex(): string {
    const length = this.#binLength();
    const at = this.#take(length);
    return this.#buffer().toString("hex", at, at + length);
  }

  #binLength(): number {
    const tag = this.#u8();
    if (tag === 0xc4) return this.#u8();
    if (tag === 0xc5) return this.#u16();
    if (tag === 0xc6) return this.#u32();
    throw this.#wrong("bin", tag);
  }

  /** Four bytes without a tag, big-endian. */
  fixed32(): number {
    return this.#u32();
  }

  str(): string {
    const length = this.#strLength();
    const at = this.#take(length);
    return this.#buffer().toString("utf8", at, at + length);
  }

  #buffer(): Buffer {
    this.#text ??= Buffer.from(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    return this.#text;
  }

  #strLength(): number {
    const tag = this.#u8();
    if ((tag & 0xe0) === 0xa0) return tag & 0x1f;
    if (tag === 0xd9) return this.#u8();
    if (tag === 0xda) return this.#u16();
    if (tag === 0xdb) return this.#u32();
    throw this.#wrong("string", tag);
  }

  /** A string that is nearly always one of `names`: those are not built. */
  strOf(names: readonly KnownKey[]): string {
    for (const { name, encoded } of names) if (this.takeKey(encoded)) return name;
    return this.str();
  }

  /** Steps over `encoded` (a key as written, header byte included) if it is next: spares building the string. */
  takeKey(encoded: Uint8Array): boolean {
    const at = this.offset;
    const length = encoded.length;
    if (at + length > this.end) return false;
    const bytes = this.bytes;
    for (let index = 0; index < length; index++) if (bytes[at + index] !== encoded[index]) return false;
    this.offset = at + length;
    return true;
  }

  arrayHeader(): number {
    const tag = this.#u8();
    let count: number;
    if ((tag & 0xf0) === 0x90) count = tag & 0x0f;
    else if (tag === 0xdc) count = this.#u16();
    else if (tag === 0xdd) count = this.#u32();
    else throw this.#wrong("array", tag);
    if (count > this.remaining) throw new FormatError(`msgpack: array of ${count} in ${this.remaining} bytes`);
    return count;
  }

  mapHeader(): number {
    const tag = this.#u8();
    let count: number;
    if ((tag & 0xf0) === 0x80) count = tag & 0x0f;
    else if (tag === 0xde) count = this.#u16();
    else if (tag === 0xdf) count = this.#u32();
    else throw this.#wrong("map", tag);
    if (count * 2 > this.remaining) throw new FormatError(`msgpack: map of ${count} in ${this.remaining} bytes`);
    return count;
  }

  /** Nanoseconds since 1970; MinIO's extension 5 or the standard extension -1. */
  time(): bigint {
    const tag = this.#u8();
    const length = tag === 0xc7 ? this.#u8() : tag === 0xd6 ? 4 : tag === 0xd7 ? 8 : -1;
    if (length < 0) throw this.#wrong("time", tag);
    const extension = this.#u8();
    const at = this.#take(length);
    const view = this.#dataView();
    if (length === 12 && extension === TIME_EXTENSION) {
      return view.getBigInt64(at) * NANOS_PER_SECOND + BigInt(view.getInt32(at + 8));
    }
    if (extension !== STANDARD_TIME_EXTENSION) throw new FormatError(`msgpack: extension ${extension} is no time`);
    if (length === 4) return BigInt(view.getUint32(at)) * NANOS_PER_SECOND;
    if (length === 12) return view.getBigInt64(at + 4) * NANOS_PER_SECOND + BigInt(view.getUint32(at));
    if (length !== 8) throw new FormatError(`msgpack: time of ${length} bytes`);
    const packed = view.getBigUint64(at);
    return (packed & 0x3_ffff_ffffn) * NANOS_PER_SECOND + (packed >> 34n);
  }

  /** Steps over one value of any kind, without recursion, and returns it as `bin` does. */
  skip(): Uint8Array {
    const start = this.offset;
    for (let left = 1; left > 0; left--) left += this.#skipOne();
    return this.#piece(start, this.offset);
  }

  /** Steps over one header or scalar; returns how many values it contains. */
  #skipOne(): number {
    const tag = this.#u8();
    if (tag <= 0x7f || tag >= 0xe0 || tag === 0xc0 || tag === 0xc2 || tag === 0xc3) return 0;
    if (tag <= 0x8f) return (tag & 0x0f) * 2;
    if (tag <= 0x9f) return tag & 0x0f;
    if (tag <= 0xbf) return this.#skipBytes(tag & 0x1f);
    switch (tag) {
      case 0xc4:
      case 0xd9:
        return this.#skipBytes(this.#u8());
      case 0xc5:
      case 0xda:
        return this.#skipBytes(this.#u16());
      case 0xc6:
      case 0xdb:
        return this.#skipBytes(this.#u32());
      case 0xc7:
        return this.#skipBytes(this.#u8() + 1);
      case 0xc8:
        return this.#skipBytes(this.#u16() + 1);
      case 0xc9:
        return this.#skipBytes(this.#u32() + 1);
      case 0xca:
      case 0xce:
      case 0xd2:
        return this.#skipBytes(4);
      case 0xcb:
      case 0xcf:
      case 0xd3:
        return this.#skipBytes(8);
      case 0xcc:
      case 0xd0:
        return this.#skipBytes(1);
      case 0xcd:
      case 0xd1:
        return this.#skipBytes(2);
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.#skipBytes(1 + (1 << (tag - 0xd4)));
      case 0xdc:
        return this.#u16();
      case 0xdd:
        return this.#u32();
      case 0xde:
        return this.#u16() * 2;
      case 0xdf:
        return this.#u32() * 2;
      default:
        throw this.#wrong("value", tag);
    }
  }

  #skipBytes(count: number): 0 {
    this.#take(count);
    return 0;
  }
}

/** For `strOf`. */
export interface KnownKey {
  readonly name: string;
  readonly encoded: Uint8Array;
}

export function knownKeys(...names: readonly string[]): KnownKey[] {
  return names.map((name) => ({ name, encoded: encodedKey(name) }));
}

/** Bytes as the writer emits them, for `takeKey`. */
export function encodedBytes(bytes: Uint8Array): Uint8Array {
  const writer = new MsgpackWriter(bytes.length + 5);
  writer.bin(bytes);
  return writer.finish();
}

/** A key as the writer emits it, for `takeKey`. */
export function encodedKey(name: string): Uint8Array {
  const writer = new MsgpackWriter(name.length + 5);
  writer.str(name);
  return writer.finish();
}
