/**
 * The parts of bzip2 that need no input: prefix codes, the inverse of the Burrows-Wheeler transform with its last run-length step,
 * and the CRC. Pure. Source: Julian Seward's bzip2 1.0; the format as Joe Tsai described it.
 */

export const CODE_BITS_MAX = 20;

/** A prefix code by the lengths of its symbols' codes. */
export class PrefixCode {
  private readonly limit = new Int32Array(CODE_BITS_MAX + 2);
  private readonly offset = new Int32Array(CODE_BITS_MAX + 2);
  private readonly symbols: Uint16Array;
  readonly bitsMin: number;

  constructor(lengths: Uint8Array) {
    this.symbols = new Uint16Array(lengths.length);
    let bitsMin = CODE_BITS_MAX;
    let at = 0;
    let code = 0;
    for (let bits = 1; bits <= CODE_BITS_MAX; bits++) {
      this.offset[bits] = at - code;
      for (let symbol = 0; symbol < lengths.length; symbol++) {
        if (lengths[symbol] !== bits) continue;
        this.symbols[at++] = symbol;
        code++;
        bitsMin = Math.min(bitsMin, bits);
      }
      this.limit[bits] = code; // codes of this length are below it
      code <<= 1;
    }
    this.bitsMin = bitsMin;
  }

  /** The symbol of a code of so many bits; -1: it is longer. */
  symbolOf(code: number, bits: number): number {
    return code < (this.limit[bits] as number) ? (this.symbols[code + (this.offset[bits] as number)] ?? -1) : -1;
  }
}

const POLYNOMIAL = 0x04c11db7;

export function bzip2CrcTable(): Uint32Array {
  const table = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    let crc = i << 24;
    for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ POLYNOMIAL : crc << 1;
    table[i] = crc >>> 0;
  }
  return table;
}

/** Links each place of a block to the next one, some at a time: bytes in the low 8 bits, places above. */
export class BlockLinks {
  private readonly places = new Uint32Array(256);
  private done = 0;

  /** `counts`: of each byte. */
  constructor(
    private readonly links: Uint32Array,
    private readonly length: number,
    counts: Uint32Array,
  ) {
    for (let byte = 0, sum = 0; byte < 256; byte++) {
      this.places[byte] = sum;
      sum += counts[byte] as number;
    }
  }

  /** How many of at most `max` were linked; 0 = the block is. */
  link(max: number): number {
    const { links, places, done } = this;
    const end = Math.min(this.length, done + max);
    for (let i = done; i < end; i++) {
      const byte = (links[i] as number) & 0xff;
      const place = places[byte] as number;
      places[byte] = place + 1;
      links[place] = ((links[place] as number) & 0xff) | (i << 8);
    }
    this.done = end;
    return end - done;
  }
}

/** Reads a linked block's bytes, its runs made whole, piece by piece. */
export class BlockOutput {
  private place: number;
  private left: number;
  private last = -1;
  private equal = 0;
  private repeats = 0;
  private crc = 0xffffffff;

  constructor(
    private readonly links: Uint32Array,
    length: number,
    origin: number,
    private readonly table: Uint32Array,
  ) {
    this.left = length;
    this.place = (links[origin] as number) >>> 8;
  }

  /** How much of `out` was filled; 0 = the block is over. */
  fill(out: Uint8Array): number {
    const { links, table } = this;
    let { place, left, last, equal, repeats, crc } = this;
    let at = 0;
    while (at < out.length) {
      if (repeats > 0) repeats--;
      else {
        if (left === 0) break;
        const link = links[place] as number;
        place = link >>> 8;
        left--;
        const byte = link & 0xff;
        if (equal === 4) {
          equal = 0;
          repeats = byte;
          continue;
        }
        equal = byte === last ? equal + 1 : 1;
        last = byte;
      }
      out[at++] = last;
      crc = (crc << 8) ^ (table[((crc >>> 24) ^ last) & 0xff] as number);
    }
    Object.assign(this, { place, left, last, equal, repeats, crc });
    return at;
  }

  /** Of all that was given out. */
  get checksum(): number {
    return ~this.crc >>> 0;
  }
}
