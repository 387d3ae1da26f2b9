/**
 * Every tier of this CPU through FFI: against the published vectors, against the portable tier, and against the sizes that
 * C would trust. The exhaustive tests, with sanitizers and on arm64, are C: test/codec-native.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Codec, loadCodec, TIER_NAMES } from "../../../src/codec/native.ts";
import { AssertionError } from "../../../src/core/assert.ts";

const HASH_BYTES = 32;
const LIBRARY = "build/libsherd-codec.so";
const VECTORS = join(process.env["SHERD_FIXTURES"] ?? "../shared/fixtures", "xlmeta/vectors.json");
const hasVectors = existsSync(VECTORS);
if (!hasVectors) console.log(`codec vectors are missing (${VECTORS}); set SHERD_FIXTURES`);

interface Vectors {
  readonly highwayhash256: {
    readonly cases: readonly { inputHex?: string; hashHex: string }[];
    readonly repeat: readonly { byte: number; count: number; hashHex: string }[];
    readonly iteratedSelfTestHex: string;
  };
  readonly reedSolomon: {
    readonly parityRowsHex: Readonly<Record<string, readonly string[]>>;
    readonly xxh64OfShards_input_00_to_ff: Readonly<Record<string, string>>;
    readonly example: { text: string; data: number; parity: number; shardsHex: readonly string[] };
  };
}
const vectors = hasVectors ? (JSON.parse(readFileSync(VECTORS, "utf8")) as Vectors) : null;

// One library each: a tier is chosen for a whole library.
const CODECS = [0, 1, 2, 3, 4].map((tier) => loadCodec({ tier })).filter((codec, tier) => codec.tier === tier);
const portable = CODECS[0] as Codec;
const SHAPES = Array.from({ length: 16 }, (_, k) => k + 1).flatMap((k) =>
  Array.from({ length: Math.min(k, 16 - k) + 1 }, (_, m) => ({ k, m })),
);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const pinned = (bytes: number): Uint8Array => new Uint8Array(new ArrayBuffer(Math.max(bytes, 2048)), 0, bytes);
const hashHex = (codec: Codec, data: Uint8Array): string => {
  const out = pinned(HASH_BYTES);
  codec.hash(data, out);
  return hex(out);
};

/** A block's slots from its content, split as the format says. */
function slotsOf(content: Uint8Array, shape: { k: number; m: number }, gap = 0) {
  const shardBytes = Math.ceil(content.length / shape.k);
  const stride = HASH_BYTES + shardBytes + gap;
  const slots = pinned(stride * (shape.k + shape.m));
  for (let i = 0; i < shape.k; i++)
    slots.set(content.subarray(i * shardBytes, (i + 1) * shardBytes), i * stride + HASH_BYTES);
  const shard = (i: number): Uint8Array =>
    slots.subarray(i * stride + HASH_BYTES, i * stride + HASH_BYTES + shardBytes);
  return { slots, stride, shardBytes, shard };
}

/** Repeatable bytes. */
function noise(bytes: number, seed: number): Uint8Array {
  let x = (seed * 2654435761 + 1) >>> 0;
  return Uint8Array.from({ length: bytes }, () => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return x >>> 24;
  });
}

test("the best tier of this CPU is among those tested", () => {
  expect(CODECS.map((codec) => codec.tier)).toContain(loadCodec().tier);
});

describe.each(CODECS.map((codec) => [TIER_NAMES[codec.tier] as string, codec] as const))("%s", (_, codec) => {
  test.skipIf(vectors === null)("HighwayHash-256 gives the published hashes", () => {
    const { cases, repeat, iteratedSelfTestHex } = (vectors as Vectors).highwayhash256;
    for (const { inputHex, hashHex: wanted } of cases) {
      if (inputHex !== undefined) expect(hashHex(codec, new Uint8Array(Buffer.from(inputHex, "hex")))).toBe(wanted);
    }
    for (const { byte, count, hashHex: wanted } of repeat)
      expect(hashHex(codec, pinned(count).fill(byte))).toBe(wanted);
    // MinIO's self-test: the message grows by its own hash, the next message is the hash of all.
    let message = Buffer.alloc(0);
    let sum = "";
    for (let i = 0; i < 1024; i += HASH_BYTES) {
      sum = hashHex(codec, new Uint8Array(message));
      message = Buffer.concat([message, Buffer.from(sum, "hex")]);
    }
    expect(sum).toBe(iteratedSelfTestHex);
  });

  test.skipIf(vectors === null)("parity rows are the published ones", () => {
    const { parityRowsHex, example } = (vectors as Vectors).reedSolomon;
    for (const [shape, rows] of Object.entries(parityRowsHex)) {
      const [k, m] = shape.split("+").map(Number) as [number, number];
      // The unit vectors as shards: byte i of a parity shard is its factor of data shard i.
      const content = new Uint8Array(k * k);
      for (let i = 0; i < k; i++) content[i * k + i] = 1;
      const { slots, stride, shardBytes, shard } = slotsOf(content, { k, m });
      codec.encode({ k, m }, slots, stride, shardBytes);
      expect({ shape, rows: Array.from({ length: m }, (__, r) => hex(shard(k + r))) }).toEqual({
        shape,
        rows: [...rows],
      });
    }
    const { data: k, parity: m } = example;
    const { slots, stride, shardBytes, shard } = slotsOf(new TextEncoder().encode(example.text), { k, m });
    codec.encode({ k, m }, slots, stride, shardBytes);
    expect(Array.from({ length: k + m }, (__, i) => hex(shard(i)))).toEqual([...example.shardsHex]);
  });

  test.skipIf(vectors === null)("the sixty published sums of shards agree", () => {
    for (const [shape, wanted] of Object.entries((vectors as Vectors).reedSolomon.xxh64OfShards_input_00_to_ff)) {
      const [k, m] = shape.split("+").map(Number) as [number, number];
      const { slots, stride, shardBytes, shard } = slotsOf(
        Uint8Array.from({ length: 256 }, (__, i) => i),
        { k, m },
      );
      // Some have more parity than data, which the format does not write: the symbols take them all the same.
      const plan = pinned(16384);
      expect(codec.symbols.sherd_plan_init(codec.ptr(plan), k, m)).toBe(0);
      expect(codec.symbols.sherd_encode(codec.ptr(plan), codec.ptr(slots), stride, shardBytes)).toBe(0);
      const summed = Array.from({ length: k + m }, (__, i) => Buffer.concat([Uint8Array.of(i), shard(i)]));
      const sum = (Bun.hash.xxHash64(Buffer.concat(summed)) as bigint).toString(16).padStart(16, "0");
      expect({ shape, sum }).toEqual({ shape, sum: wanted });
    }
  });

  test("all lengths from 0 to 257 and random ones are coded as by the portable tier, for every shape", () => {
    for (const shape of SHAPES) {
      const lengths = [...Array(258).keys()].filter((bytes) => (bytes + shape.k + shape.m) % 5 === 0);
      for (const shardBytes of [...lengths, 1000 + shape.k * 37, 4096 + shape.m]) {
        const gap = shardBytes % 7; // shards at odd addresses
        const wanted = slotsOf(noise(shardBytes * shape.k, shardBytes), shape, gap);
        const got = slotsOf(noise(shardBytes * shape.k, shardBytes), shape, gap);
        portable.encode(shape, wanted.slots, wanted.stride, shardBytes);
        codec.encode(shape, got.slots, got.stride, shardBytes);
        if (Buffer.compare(got.slots, wanted.slots) !== 0) expect({ shape, shardBytes, same: false }).toBeNull();
      }
    }
  });
});

test("sizes that do not fit are refused before C sees them", () => {
  const shape = { k: 2, m: 1 };
  const { slots, stride, shardBytes } = slotsOf(noise(100, 1), shape);
  const bad: [Uint8Array, number, number][] = [
    [slots.subarray(1), stride, shardBytes],
    [slots, stride + 1, shardBytes],
    [slots, shardBytes + HASH_BYTES - 1, shardBytes],
    [slots, stride, -1],
    [slots, stride, Number.NaN],
    [slots, stride + 0.5, shardBytes],
    [slots, stride, shardBytes - 0.5],
    [slots, Number.POSITIVE_INFINITY, 0],
    [new Uint8Array(0), HASH_BYTES, 0],
  ];
  for (const [base, step, bytes] of bad) {
    expect(() => portable.encode(shape, base, step, bytes)).toThrow(AssertionError);
    const layout = { stride: step, shardBytes: bytes, have: 3, want: 4 };
    expect(() => portable.rebuildSlots(shape, base, layout)).toThrow(AssertionError);
  }
  for (const [k, m] of [
    [0, 0],
    [1, 2],
    [9, 8],
    [17, 0],
    [1.5, 1],
    [2, -1],
  ] as const)
    expect(() => portable.plan(k, m)).toThrow(AssertionError);
  expect(() => portable.hash(slots, pinned(31))).toThrow(AssertionError);
  expect(() => portable.verify(pinned(31), slots)).toThrow(AssertionError);
});

test("the hash of nothing is verified like any other", () => {
  const hash = pinned(HASH_BYTES);
  portable.hash(new Uint8Array(0), hash);
  expect(portable.verify(hash, new Uint8Array(0))).toBe(true);
  hash[0] = (hash[0] as number) ^ 1;
  expect(portable.verify(hash, new Uint8Array(0))).toBe(false);
});

/** The library with one digit of a built-in vector changed, as if this CPU gave another result. */
test.each([
  ["a hash", "e0300cc02538626ed1c398901bea1b4b686a7d79f2fada3730985303ab3faf22", 3],
  ["parity", "0477e4541682", 12],
  ["MD5", "25f9e794323b453885f5181f1b624d0b", 32],
  ["CRC64NVME", "ae8b14860a799888", 36],
])("a codec with a wrong result for %s refuses to start", (_, vector, number) => {
  const folder = mkdtempSync(join(tmpdir(), "sherd-codec-"));
  try {
    const bytes = readFileSync(LIBRARY);
    const at = bytes.indexOf(`${vector}\0`);
    expect(at).toBeGreaterThan(0);
    bytes[at] = bytes[at] === 0x39 ? 0x38 : 0x39;
    writeFileSync(join(folder, "planted.so"), bytes);
    expect(() => loadCodec({ library: join(folder, "planted.so") })).toThrow(
      new RegExp(`wrong result in self-test ${number} .*refusing to start`),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
