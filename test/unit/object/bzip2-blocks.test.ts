/**
 * bzip2 blocks of the largest size, made here symbol by symbol and undone by the plainest code that can: the bytes are right, and no
 * step between two moments at which the thread is given up is long.
 */
import { expect, test } from "bun:test";
import { bzip2CrcTable } from "../../../src/codec/bzip2.ts";
import { ByteReader } from "../../../src/core/byte-reader.ts";
import { BZIP2_MEMORY_BYTES, BZIP2_STEP_UNITS, decodeBzip2 } from "../../../src/object/bzip2-blocks.ts";
import { seededRng } from "../../sim/seeded.ts";

const BLOCK_BYTES = 900_000;
const SYMBOL_BITS = 9;
const GROUP = 50;

class BitWriter {
  readonly bytes: number[] = [];
  private held = 0;
  private count = 0;

  put(value: number, bits: number): this {
    for (let bit = bits - 1; bit >= 0; bit--) {
      this.held = this.held * 2 + (Math.floor(value / 2 ** bit) % 2);
      if (++this.count % 8 !== 0) continue;
      this.bytes.push(this.held);
      this.held = 0;
    }
    return this;
  }
  end(): Uint8Array {
    while (this.count % 8 !== 0) this.put(0, 1);
    return Uint8Array.from(this.bytes);
  }
}

/** Places in the list of bytes used last, and runs of the first of them, as bzip2's symbols. */
function symbolsOf(column: Uint8Array): number[] {
  const recent = Array.from({ length: 256 }, (_, byte) => byte);
  const symbols: number[] = [];
  let run = 0;
  const endRun = (): void => {
    for (; run > 0; run = (run - 1) >> 1) symbols.push((run - 1) & 1);
  };
  for (const byte of column) {
    const place = recent.indexOf(byte);
    if (place === 0) {
      run++;
      continue;
    }
    endRun();
    symbols.push(place + 1);
    recent.splice(place, 1);
    recent.unshift(byte);
  }
  endRun();
  return [...symbols, 257];
}

/** What a block with this last column says, beginning at its row `origin`. */
function plainOf(column: Uint8Array, origin: number): Buffer {
  const rows = Array.from({ length: column.length }, (_, i) => i).sort(
    (a, b) => (column[a] as number) - (column[b] as number) || a - b,
  );
  const out: number[] = [];
  let equal = 0;
  let last = -1;
  for (let i = 0, row = rows[origin] as number; i < column.length; i++, row = rows[row] as number) {
    const byte = column[row] as number;
    if (equal === 4) {
      for (let more = byte; more > 0; more--) out.push(last);
      equal = 0;
      continue;
    }
    equal = byte === last ? equal + 1 : 1;
    last = byte;
    out.push(byte);
  }
  return Buffer.from(out);
}

function crcOf(bytes: Uint8Array): number {
  const table = bzip2CrcTable();
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc << 8) ^ (table[((crc >>> 24) ^ byte) & 0xff] as number);
  return ~crc >>> 0;
}

/** One stream of one block: all 256 bytes, two codes alike, every symbol of nine bits. */
function packed(column: Uint8Array, origin: number, plain: Uint8Array): Uint8Array {
  const out = new BitWriter();
  const crc = crcOf(plain);
  const symbols = symbolsOf(column);
  out.put(0x425a6839, 32).put(0x314159265359, 48).put(crc, 32).put(0, 1).put(origin, 24);
  for (let i = 0; i < 17; i++) out.put(0xffff, 16);
  const selectors = Math.ceil(symbols.length / GROUP);
  out.put(2, 3).put(selectors, 15);
  for (let i = 0; i < selectors; i++) out.put(0, 1);
  for (let code = 0; code < 2; code++) {
    out.put(SYMBOL_BITS, 5);
    for (let symbol = 0; symbol < 258; symbol++) out.put(0, 1);
  }
  for (const symbol of symbols) out.put(symbol, SYMBOL_BITS);
  return out.put(0x177245385090, 48).put(crc, 32).end();
}

const rng = seededRng(1);
const mixed = Uint8Array.from({ length: BLOCK_BYTES }, () => Math.floor(rng.next() * 256));
const runs = Uint8Array.from({ length: BLOCK_BYTES }, (_, i) => (i < 5_000 ? 1 + (i % 255) : i < 450_000 ? 7 : 0));

test.each([
  ["of all bytes", mixed, 4_711],
  ["of two long runs", runs, 17],
  ["of one byte", new Uint8Array(BLOCK_BYTES).fill(65), 0],
])("a full block %s is decoded right, in short steps", async (_, column, origin) => {
  const plain = plainOf(column, origin);
  const bytes = packed(column, origin, plain);
  let [longest, total, written, writtenMost, taken, takenMost] = [0, 0, 0, 0, 0, 0];
  let at = 0;
  const source = {
    next: () => {
      taken += 64;
      return Promise.resolve(at >= bytes.length ? null : bytes.subarray(at, (at += 64)));
    },
  };
  const out: Buffer[] = [];
  const sink = {
    write: (piece: Uint8Array) => {
      written += piece.length;
      out.push(Buffer.from(piece));
      return Promise.resolve();
    },
  };
  await decodeBzip2(new ByteReader(source), sink, {
    memory: new Uint8Array(BZIP2_MEMORY_BYTES),
    yieldNow: (units) => {
      total += units;
      longest = Math.max(longest, units);
      writtenMost = Math.max(writtenMost, written);
      takenMost = Math.max(takenMost, taken);
      [written, taken] = [0, 0];
      return Promise.resolve();
    },
  });
  expect(Buffer.concat(out).equals(plain)).toBe(true);
  expect(longest).toBeLessThanOrEqual(BZIP2_STEP_UNITS + 258); // the symbols of a code
  // Nothing goes uncounted: each place is linked, each byte comes out, and what comes in and goes out between two steps is little.
  expect(total).toBeGreaterThan(BLOCK_BYTES + plain.length - BZIP2_STEP_UNITS);
  expect(takenMost).toBeLessThan(BZIP2_STEP_UNITS * 3);
  expect(writtenMost).toBeLessThanOrEqual(2 * 64 * 1024);
});
