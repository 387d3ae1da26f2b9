/**
 * The fuzzer: a target is a parser, samples of what it reads, and the errors that it may answer with. Samples are mutated in
 * a sequence that depends on the target's name and SHERD_FUZZ_SEED only, for SHERD_FUZZ_SECONDS (1) each; a failure prints
 * seed, round and input. Anything but a value or an allowed error fails, as does a slow answer and memory that grows.
 */
import { test } from "bun:test";

const SECONDS = Number(process.env["SHERD_FUZZ_SECONDS"] || "1");
const SEED = Number(process.env["SHERD_FUZZ_SEED"] || "1");
/** Far over what any input here needs, also on a busy machine: longer is a hang in the making. */
const MILLISECONDS_MAX = 3000;
const GROWTH_BYTES_MAX = 512 * 1024 * 1024;
const ROUNDS_BETWEEN_LOOKS = 64;
const INPUT_BYTES_MAX = 128 * 1024;
const SHOWN_BYTES_MAX = 4096;

export type ErrorClass = abstract new (...args: never[]) => Error;

export interface Target {
  readonly samples: readonly Uint8Array[];
  /** Errors that say "this input is not well-formed". */
  readonly errors: readonly ErrorClass[];
  /** Words of the format, inserted among others. */
  readonly words?: readonly string[];
  /** Parses, and checks what came out; throws anything else than `errors` when it is not right. */
  readonly run: (input: Uint8Array, chance: Chance) => unknown;
}

/** A repeatable sequence (xorshift32). */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed | 1, 0x9e3779b1) ^ 0x5bd1e995) >>> 0 || 1;
  }

  below(limit: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return Math.floor((this.#state / 2 ** 32) * limit);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }
}

export function fuzz(name: string, target: Target): void {
  test(
    `fuzz: ${name}`,
    async () => {
      const chance = new Chance(SEED + [...name].reduce((sum, c) => Math.imul(sum, 31) + c.charCodeAt(0), 7));
      const end = performance.now() + SECONDS * 1000;
      const found = await attempt(target, chance, Number.POSITIVE_INFINITY, () => performance.now() < end);
      if (found !== null) throw found;
    },
    SECONDS * 1000 + 60_000,
  );
}

/** The first failure of the samples as they are and of so many mutations of them, or null. */
export async function attempt(
  target: Target,
  chance: Chance,
  rounds: number,
  goesOn = () => true,
): Promise<Error | null> {
  const before = process.memoryUsage().rss;
  try {
    for (const sample of target.samples) await once(target, sample, chance, "sample");
    for (let round = 0; round < rounds && goesOn(); round++) {
      await once(target, mutated(target, chance), chance, `round ${round}`);
      if (round % ROUNDS_BETWEEN_LOOKS !== 0) continue;
      let grown = process.memoryUsage().rss - before;
      if (grown > GROWTH_BYTES_MAX) {
        Bun.gc(true); // garbage that waits to be collected is no growth
        grown = process.memoryUsage().rss - before;
      }
      if (grown > GROWTH_BYTES_MAX)
        return new Error(`memory grew by ${grown} bytes up to round ${round} of seed ${SEED}`);
    }
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
  return null;
}

async function once(target: Target, input: Uint8Array, chance: Chance, where: string): Promise<void> {
  const started = performance.now();
  const kept = input.slice();
  try {
    await target.run(input, chance);
  } catch (cause) {
    if (!target.errors.some((allowed) => cause instanceof allowed)) throw failure("wrong answer", kept, where, cause);
  }
  const spent = performance.now() - started;
  if (spent > MILLISECONDS_MAX) throw failure(`took ${spent.toFixed(0)} ms`, kept, where, undefined);
}

function failure(what: string, input: Uint8Array, where: string, cause: unknown): Error {
  const shown = Buffer.from(input.subarray(0, SHOWN_BYTES_MAX)).toString("base64");
  const more = input.length > SHOWN_BYTES_MAX ? `… ${input.length} bytes in all` : "";
  return new Error(`${what} at ${where} of seed ${SEED}: ${String(cause)}\ninput (base64): ${shown}${more}`, { cause });
}

// ---- mutation

/** Sizes, signs and msgpack headers at the edges of their ranges. */
const BYTES = [
  0, 1, 0x7f, 0x80, 0xff, 0x20, 0x0a, 0x0d, 0x25, 0x2f, 0x3c, 0x26, 0x90, 0xc0, 0xc4, 0xc6, 0xdb, 0xdd, 0xdf,
];
const NUMBERS = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff];

function mutated(target: Target, chance: Chance): Uint8Array {
  let input: Uint8Array = chance.pick(target.samples).slice();
  for (let left = 1 + chance.below(4); left > 0; left--) input = mutation(input, target, chance);
  return input.length > INPUT_BYTES_MAX ? input.slice(0, INPUT_BYTES_MAX) : input;
}

function mutation(input: Uint8Array, target: Target, chance: Chance): Uint8Array {
  const at = chance.below(input.length + 1);
  const length = chance.below(Math.min(64, input.length - at) + 1);
  switch (chance.below(9)) {
    case 0: // one bit
      if (at < input.length) input[at] = (input[at] as number) ^ (1 << chance.below(8));
      return input;
    case 1:
      if (at < input.length) input[at] = chance.pick(BYTES);
      return input;
    case 2:
      return withNumber(input, at, chance);
    case 3:
      return input.slice(0, at);
    case 4: // a piece is missing
      return joined(input.subarray(0, at), input.subarray(at + length));
    case 5: // a piece is there again
      return joined(input.subarray(0, at + length), input.subarray(at));
    case 6: {
      // the end of another sample
      const other = chance.pick(target.samples);
      return joined(input.subarray(0, at), other.subarray(chance.below(other.length + 1)));
    }
    case 7: {
      const words = target.words ?? [];
      const word = words.length > 0 ? Buffer.from(chance.pick(words), "latin1") : Buffer.from([chance.below(256)]);
      return joined(input.subarray(0, at), word, input.subarray(chance.below(2) === 0 ? at : at + length));
    }
    default: // the same byte many times: depth, width, blanks
      return joined(
        input.subarray(0, at),
        new Uint8Array(1 + chance.below(2000)).fill(chance.pick(BYTES)),
        input.subarray(at),
      );
  }
}

function withNumber(input: Uint8Array, at: number, chance: Chance): Uint8Array {
  const bytes = chance.pick([2, 4, 8]);
  if (at + bytes > input.length) return input;
  const view = new DataView(input.buffer, input.byteOffset + at, bytes);
  const value = chance.pick(NUMBERS);
  const little = chance.below(2) === 0;
  if (bytes === 2) view.setUint16(0, value & 0xffff, little);
  else if (bytes === 4) view.setUint32(0, value, little);
  else view.setBigUint64(0, BigInt(value) << BigInt(chance.below(33)), little);
  return input;
}

function joined(...pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces));
}

// ---- for targets of text

export function samplesOf(...texts: readonly string[]): Uint8Array[] {
  return texts.map((text) => new Uint8Array(Buffer.from(text, "latin1")));
}

/** Bytes as a header has them. */
export function latin1(input: Uint8Array): string {
  return Buffer.from(input).toString("latin1");
}
