/**
 * bzip2 streams, decoded into a sink. A block takes 3.6 MB and some ten milliseconds, in steps between which the thread is given up. The
 * checksum of each block, and that of the stream, must be right. Throws FormatError. Source: Julian Seward's bzip2 1.0.
 */
import { BlockLinks, BlockOutput, bzip2CrcTable, CODE_BITS_MAX, PrefixCode } from "../codec/bzip2.ts";
import type { ByteReader } from "../core/byte-reader.ts";
import type { ByteSink } from "../core/byte-stream.ts";
import { FormatError } from "../core/format-error.ts";

const LEVEL_BYTES = 100_000;
const OUTPUT_BYTES = 64 * 1024;
export const BZIP2_MEMORY_BYTES = 4 * 9 * LEVEL_BYTES + OUTPUT_BYTES;
const BLOCK_MAGIC = [0x314159, 0x265359] as const;
const END_MAGIC = [0x177245, 0x385090] as const;
const GROUP_SYMBOLS = 50;
/** Work of a step: at up to a hundred nanoseconds a unit, below half a millisecond. */
export const BZIP2_STEP_UNITS = 4_096;
/** Longer runs are written in steps. */
const SHORT_RUN = 256;
const SELECTORS_MAX = 18_002;
const RUN_B = 1;

export interface Bzip2Means {
  /** BZIP2_MEMORY_BYTES, aligned to 4. */
  readonly memory: Uint8Array;
  /** Gives the thread up. `units`: symbols, places and bytes that were worked on since the last time. */
  readonly yieldNow: (units: number) => Promise<void>;
}

/** Counts work, and gives the thread up when a step is full. */
class Pace {
  private units = 0;

  constructor(private readonly yieldNow: Bzip2Means["yieldNow"]) {}

  /** What fits into the step under way; at least one. */
  get room(): number {
    return Math.max(1, BZIP2_STEP_UNITS - this.units);
  }

  /** Null: the step goes on. */
  did(units: number): Promise<void> | null {
    this.units += units;
    if (this.units < BZIP2_STEP_UNITS) return null;
    const { units: done } = this;
    this.units = 0;
    return this.yieldNow(done);
  }
}

/** All streams to the end of the data. */
export async function decodeBzip2(reader: ByteReader, sink: ByteSink, means: Bzip2Means): Promise<void> {
  const bits = new BitReader(reader);
  const table = bzip2CrcTable();
  const pace = new Pace(means.yieldNow);
  while (await bits.hasMore()) {
    const level = (await bits.take(16)) === 0x425a && (await bits.take(8)) === 0x68 ? (await bits.take(8)) - 0x30 : 0;
    if (level < 1 || level > 9) throw new FormatError("no bzip2 stream");
    let combined = 0;
    for (;;) {
      const magic = [await bits.take(24), await bits.take(24)];
      const crc = (await bits.take(16)) * 65_536 + (await bits.take(16));
      if (magic[0] === END_MAGIC[0] && magic[1] === END_MAGIC[1]) {
        if (crc !== combined >>> 0) throw new FormatError("a bzip2 stream is damaged");
        break;
      }
      if (magic[0] !== BLOCK_MAGIC[0] || magic[1] !== BLOCK_MAGIC[1]) throw new FormatError("no bzip2 block");
      const links = new Uint32Array(means.memory.buffer, means.memory.byteOffset, 9 * LEVEL_BYTES);
      const block = new BlockDecoder(bits, links, pace);
      const length = await block.decode(level * LEVEL_BYTES);
      const output = new BlockOutput(links, length, block.origin, table);
      await writeOut(output, means.memory.subarray(4 * 9 * LEVEL_BYTES, BZIP2_MEMORY_BYTES), { sink, pace });
      if (output.checksum !== crc) throw new FormatError("a bzip2 block is damaged");
      combined = ((combined << 1) | (combined >>> 31)) ^ crc;
    }
    bits.toByte();
  }
}

async function writeOut(
  output: BlockOutput,
  piece: Uint8Array,
  { sink, pace }: { readonly sink: ByteSink; readonly pace: Pace },
): Promise<void> {
  for (let filled = 0, isOver = false; !isOver; ) {
    const bytes = output.fill(piece.subarray(filled, filled + pace.room));
    filled += bytes;
    isOver = bytes === 0;
    if (filled === piece.length || (isOver && filled > 0)) {
      await sink.write(piece.subarray(0, filled));
      filled = 0;
    }
    await pace.did(bytes);
  }
}

/** Bits, the highest first. What `ready` promised is taken without waiting. */
class BitReader {
  private buffer: Uint8Array = new Uint8Array(0);
  private at = 0;
  private held = 0;
  private heldBits = 0;

  constructor(private readonly reader: ByteReader) {}

  async hasMore(): Promise<boolean> {
    return this.at < this.buffer.length || (await this.more());
  }

  /** At most 24 bits. */
  async take(bits: number): Promise<number> {
    while (this.heldBits < bits && this.at === this.buffer.length)
      if (!(await this.more())) throw new FormatError("the data end too early");
    if (this.heldBits + 8 * (this.buffer.length - this.at) < bits) await this.ready(4);
    return this.now(bits);
  }

  /** So many bytes are at hand, or all that there are. */
  async ready(bytes: number): Promise<void> {
    while (this.buffer.length - this.at < bytes) if (!(await this.more())) return;
  }

  /** Of what is at hand; at most 24. */
  now(bits: number): number {
    while (this.heldBits < bits) {
      const byte = this.buffer[this.at++];
      if (byte === undefined) throw new FormatError("the data end too early");
      this.held = (this.held << 8) | byte;
      this.heldBits += 8;
    }
    this.heldBits -= bits;
    return (this.held >>> this.heldBits) & (2 ** bits - 1);
  }

  /** Less than a byte is ever held. */
  toByte(): void {
    this.heldBits = 0;
  }

  private async more(): Promise<boolean> {
    const rest = this.buffer.slice(this.at);
    const piece = await this.reader.some();
    if (piece === null) return false;
    this.buffer = rest.length === 0 ? piece.slice() : joined(rest, piece);
    this.at = 0;
    return true;
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

/** One block: its header, its codes, and its bytes in the order of the transform. */
class BlockDecoder {
  origin = 0;
  private readonly counts = new Uint32Array(256);

  constructor(
    private readonly bits: BitReader,
    private readonly links: Uint32Array,
    private readonly pace: Pace,
  ) {}

  /** Bytes in `links`, linked. */
  async decode(bytesMax: number): Promise<number> {
    const { bits } = this;
    if ((await bits.take(1)) === 1) throw new FormatError("a bzip2 block is randomised, which is given up since 1998");
    this.origin = await bits.take(24);
    const alphabet = await this.alphabet();
    const groups = await bits.take(3);
    const selectorCount = await bits.take(15);
    if (groups < 2 || groups > 6 || selectorCount < 1) throw new FormatError("a bzip2 block has no codes");
    const selectors = await this.selectors(groups, selectorCount);
    const codes: PrefixCode[] = [];
    for (let group = 0; group < groups; group++) codes.push(await this.code(alphabet.length + 2));
    const symbols = { alphabet, selectors, codes };
    const length = await this.symbols(symbols, bytesMax);
    if (this.origin >= length) throw new FormatError("a bzip2 block is damaged");
    const linked = new BlockLinks(this.links, length, this.counts);
    for (let done = linked.link(this.pace.room); done > 0; done = linked.link(this.pace.room))
      await this.pace.did(done);
    return length;
  }

  private async alphabet(): Promise<Uint8Array> {
    const used = await this.bits.take(16);
    const bytes: number[] = [];
    for (let high = 0; high < 16; high++) {
      if (((used >>> (15 - high)) & 1) === 0) continue;
      const low = await this.bits.take(16);
      for (let i = 0; i < 16; i++) if (((low >>> (15 - i)) & 1) === 1) bytes.push(high * 16 + i);
    }
    if (bytes.length === 0) throw new FormatError("a bzip2 block has no bytes");
    return Uint8Array.from(bytes);
  }

  private async selectors(groups: number, count: number): Promise<Uint8Array> {
    const order = Array.from({ length: groups }, (_, i) => i);
    const selectors = new Uint8Array(Math.min(count, SELECTORS_MAX));
    for (let i = 0; i < count; i++) {
      let place = 0;
      await this.bits.ready(1);
      while (this.bits.now(1) === 1) if (++place >= groups) throw new FormatError("a bzip2 block is damaged");
      await this.pace.did(1 + place);
      const [group] = order.splice(place, 1) as [number];
      order.unshift(group);
      if (i < SELECTORS_MAX) selectors[i] = group; // more than a block needs are read over
    }
    return selectors;
  }

  private async code(symbols: number): Promise<PrefixCode> {
    const lengths = new Uint8Array(symbols);
    let length = await this.bits.take(5);
    for (let symbol = 0; symbol < symbols; symbol++) {
      for (;;) {
        if (length < 1 || length > CODE_BITS_MAX) throw new FormatError("a bzip2 code is too long");
        if ((await this.bits.take(1)) === 0) break;
        length += (await this.bits.take(1)) === 0 ? 1 : -1;
        await this.pace.did(1);
      }
      lengths[symbol] = length;
    }
    await this.pace.did(symbols);
    return new PrefixCode(lengths);
  }

  private async symbols(
    means: { readonly alphabet: Uint8Array; readonly selectors: Uint8Array; readonly codes: readonly PrefixCode[] },
    bytesMax: number,
  ): Promise<number> {
    const { bits, pace } = this;
    const block = new SymbolDecoder(bits, means.alphabet, { links: this.links, counts: this.counts, bytesMax });
    for (const selector of means.selectors) {
      await bits.ready((GROUP_SYMBOLS * CODE_BITS_MAX) / 8 + 4);
      const isOver = block.group(means.codes[selector] as PrefixCode);
      await pace.did(GROUP_SYMBOLS);
      for (let done = block.fill(pace.room); done > 0; done = block.fill(pace.room)) await pace.did(done);
      if (isOver) return block.length;
    }
    throw new FormatError("a bzip2 block does not end");
  }
}

/** Symbols become bytes: runs, and places in the list of bytes used last. */
class SymbolDecoder {
  length = 0;
  private readonly recent: Uint8Array;
  private run = 0;
  private runUnit = 1;
  /** Long runs that are counted and not written yet. */
  private readonly runs: { readonly byte: number; from: number; readonly end: number }[] = [];

  constructor(
    private readonly bits: BitReader,
    alphabet: Uint8Array,
    private readonly into: {
      readonly links: Uint32Array;
      readonly counts: Uint32Array;
      readonly bytesMax: number;
    },
  ) {
    this.recent = alphabet.slice();
  }

  /** Fifty symbols; true = the block is over. */
  group(code: PrefixCode): boolean {
    const end = this.recent.length + 1;
    for (let i = 0; i < GROUP_SYMBOLS; i++) {
      const symbol = this.symbol(code);
      if (symbol <= RUN_B) {
        this.run += this.runUnit << symbol;
        this.runUnit *= 2;
        if (this.run > this.into.bytesMax) throw new FormatError("a bzip2 block is too large");
        continue;
      }
      if (this.run > 0) this.repeat();
      if (symbol === end) return true;
      if (symbol > end) throw new FormatError("a bzip2 block is damaged");
      const { recent } = this;
      const byte = recent[symbol - 1] as number;
      recent.copyWithin(1, 0, symbol - 1);
      recent[0] = byte;
      this.add(byte, 1);
    }
    return false;
  }

  private symbol(code: PrefixCode): number {
    let bits = code.bitsMin;
    let value = this.bits.now(bits);
    for (;;) {
      const symbol = code.symbolOf(value, bits);
      if (symbol >= 0) return symbol;
      if (++bits > CODE_BITS_MAX) throw new FormatError("a bzip2 code is none");
      value = value * 2 + this.bits.now(1);
    }
  }

  private repeat(): void {
    const { run } = this;
    this.run = 0;
    this.runUnit = 1;
    this.add(this.recent[0] as number, run);
  }

  private add(byte: number, times: number): void {
    const { links, counts, bytesMax } = this.into;
    if (this.length + times > bytesMax) throw new FormatError("a bzip2 block is too large");
    counts[byte] = (counts[byte] as number) + times;
    if (times === 1) links[this.length] = byte;
    else if (times <= SHORT_RUN) links.fill(byte, this.length, this.length + times);
    else this.runs.push({ byte, from: this.length, end: this.length + times });
    this.length += times;
  }

  /** How many of at most `max` bytes of long runs were written; 0 = all are. */
  fill(max: number): number {
    const run = this.runs.at(-1);
    if (run === undefined) return 0;
    const end = Math.min(run.end, run.from + max);
    const done = end - run.from;
    this.into.links.fill(run.byte, run.from, end);
    run.from = end;
    if (end === run.end) this.runs.pop();
    return done;
  }
}
