/** The native digests against node:crypto and known check values, on every tier of this machine. */
import { afterAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { combineCrc, DIGEST, Digest } from "../../../src/codec/checksum.ts";
import { loadCodec } from "../../../src/codec/native.ts";

const codec = loadCodec();
const TIERS = [0, 1, 2, 3, 4].filter((tier) => codec.symbols.sherd_init(tier) === tier);
afterAll(() => {
  codec.symbols.sherd_init(-1);
});

const ALL = DIGEST.md5 | DIGEST.sha256 | DIGEST.sha1 | DIGEST.crc32 | DIGEST.crc32c | DIGEST.crc64nvme;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const hashHex = (name: string, bytes: Uint8Array) => createHash(name).update(bytes).digest("hex");

/** A repeatable sequence; good enough to choose lengths and fill bytes. */
function sequence(seed: number): (below: number) => number {
  let x = seed >>> 0;
  return (below) => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return Math.floor((x / 2 ** 32) * below);
  };
}

function bytesOf(next: (below: number) => number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = next(256);
  return bytes;
}

/** Bit by bit, as the definition reads. */
function slowCrc(polynomial: bigint, width: number, bytes: Uint8Array): string {
  const ones = (1n << BigInt(width)) - 1n;
  let register = ones;
  for (const byte of bytes) {
    register ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) register = (register >> 1n) ^ (register & 1n ? polynomial : 0n);
  }
  return (register ^ ones).toString(16).padStart(width / 4, "0");
}

function expectAll(digest: Digest, bytes: Uint8Array): void {
  const result = digest.final();
  expect(hex(result.md5)).toBe(hashHex("md5", bytes));
  expect(hex(result.sha1)).toBe(hashHex("sha1", bytes));
  expect(hex(result.sha256)).toBe(hashHex("sha256", bytes));
  expect(hex(result.crc32)).toBe(Bun.hash.crc32(bytes).toString(16).padStart(8, "0"));
}

test("the best tier of this machine is among those tested", () => {
  expect(TIERS).toContain(codec.symbols.sherd_init(-1));
});

describe.each(TIERS)("tier %i", (tier) => {
  const useTier = () => codec.symbols.sherd_init(tier);

  test("CRCs of 123456789 are the published check values", () => {
    useTier();
    const digest = new Digest(codec, ALL);
    digest.update(Buffer.from("123456789"));
    const result = digest.final();
    expect(hex(result.crc32)).toBe("cbf43926");
    expect(hex(result.crc32c)).toBe("e3069283");
    expect(hex(result.crc64nvme)).toBe("ae8b14860a799888");
  });

  test("the empty stream has the digests of nothing", () => {
    useTier();
    const digest = new Digest(codec, ALL);
    digest.update(new Uint8Array(0));
    expectAll(digest, new Uint8Array(0));
    expect(hex(digest.final().crc64nvme)).toBe("0000000000000000");
  });

  test("every length around the block and kernel boundaries agrees with node:crypto", () => {
    useTier();
    const bytes = bytesOf(sequence(1), 5000);
    const lengths = [
      ...Array(200).keys(),
      255,
      256,
      257,
      447,
      448,
      511,
      512,
      513,
      527,
      576,
      1023,
      1024,
      4095,
      4096,
      4999,
    ];
    for (const length of lengths) {
      const digest = new Digest(codec, ALL);
      const odd = bytes.subarray(1, 1 + length); // not aligned
      digest.update(odd);
      expectAll(digest, odd);
    }
  });

  test("the wide CRCs agree with the definition on long input", () => {
    useTier();
    const next = sequence(2);
    for (const length of [127, 128, 200, 511, 512, 1300]) {
      const bytes = bytesOf(next, length);
      const digest = new Digest(codec, DIGEST.crc32c | DIGEST.crc64nvme);
      digest.update(bytes);
      expect(hex(digest.final().crc32c)).toBe(slowCrc(0x82f63b78n, 32, bytes));
      expect(hex(digest.final().crc64nvme)).toBe(slowCrc(0x9a6c9329ac4bc9b5n, 64, bytes));
    }
  });

  test("chunking does not change a digest, and final does not end the stream", () => {
    useTier();
    const next = sequence(3);
    const bytes = bytesOf(next, 20_000);
    for (let round = 0; round < 20; round++) {
      const digest = new Digest(codec, ALL);
      for (let at = 0; at < bytes.length; ) {
        const end = Math.min(bytes.length, at + next(round % 2 ? 200 : 5000));
        digest.update(bytes.subarray(at, end));
        at = end;
        if (next(10) === 0) expectAll(digest, bytes.subarray(0, at));
      }
      expectAll(digest, bytes);
    }
  });

  test("each set of flags gives its digests and zeros for the others", () => {
    useTier();
    const bytes = bytesOf(sequence(4), 777);
    const full = new Digest(codec, ALL);
    full.update(bytes);
    for (let flags = 0; flags < 64; flags++) {
      const digest = new Digest(codec, flags);
      digest.update(bytes);
      const result = digest.final();
      for (const name of Object.keys(DIGEST) as (keyof typeof DIGEST)[]) {
        const expected = flags & DIGEST[name] ? full.final()[name] : new Uint8Array(result[name].length);
        expect(hex(result[name])).toBe(hex(expected));
      }
    }
  });

  test("1 to 33 streams of uneven lengths, some twice in a batch, digest as if alone", () => {
    useTier();
    const next = sequence(5);
    for (const count of [...Array(33).keys()].map((i) => i + 1).concat(70)) {
      const streams = Array.from({ length: count }, (_, i) => ({
        digest: new Digest(codec, i % 3 === 0 ? ALL : DIGEST.md5),
        chunks: [] as Uint8Array[],
      }));
      for (let round = 0; round < 2; round++) {
        const batch = streams.concat(streams.filter(() => next(4) === 0));
        const jobs = new BigUint64Array(new ArrayBuffer(Math.max(1024, batch.length * 24)));
        batch.forEach((stream, i) => {
          const chunk = bytesOf(next, 1 + next([64, 1500, 600][i % 3] ?? 1)).slice();
          const pinned = new Uint8Array(new ArrayBuffer(2048)).subarray(0, chunk.length);
          pinned.set(chunk);
          stream.chunks.push(pinned);
          jobs.set(
            [BigInt(stream.digest.statePointer), BigInt(Number(codec.ptr(pinned))), BigInt(chunk.length)],
            i * 3,
          );
        });
        codec.symbols.sherd_digest_many(codec.ptr(jobs), batch.length);
      }
      for (const { digest, chunks } of streams) {
        const bytes = Buffer.concat(chunks);
        if (digest.flags === ALL) expectAll(digest, bytes);
        else expect(hex(digest.final().md5)).toBe(hashHex("md5", bytes));
      }
    }
  });
});

test("the CRC of two pieces is combined from theirs", () => {
  codec.symbols.sherd_init(-1);
  const next = sequence(6);
  const crcs = (bytes: Uint8Array) => {
    const digest = new Digest(codec, ALL);
    digest.update(bytes);
    return digest.final();
  };
  for (const [lengthA, lengthB] of [
    [0, 0],
    [0, 9],
    [9, 0],
    [1, 1],
    [300, 4097],
    [70_000, 3],
  ] as const) {
    const a = bytesOf(next, lengthA);
    const b = bytesOf(next, lengthB);
    const whole = crcs(Buffer.concat([a, b]));
    for (const name of ["CRC32", "CRC32C", "CRC64NVME"] as const) {
      const key = name.toLowerCase() as "crc32" | "crc32c" | "crc64nvme";
      const combined = combineCrc(codec, name, crcs(a)[key], { value: crcs(b)[key], sizeBytes: lengthB });
      expect(hex(combined)).toBe(hex(whole[key]));
    }
  }
});

test("combining passes lengths beyond 32 bits", () => {
  // The CRC of 2n zeros is combined from two of n; "a" and 10 GiB of zeros may be joined in either order.
  const of = (bytes: Uint8Array) => {
    const digest = new Digest(codec, DIGEST.crc64nvme);
    digest.update(bytes);
    return digest.final().crc64nvme;
  };
  const join = (a: Uint8Array, value: Uint8Array, sizeBytes: number) =>
    combineCrc(codec, "CRC64NVME", a, { value, sizeBytes });
  let zeros = of(new Uint8Array(5 * 1024));
  for (let size = 5 * 1024; size < 5 * 2 ** 30; size *= 2) zeros = join(zeros, zeros, size);
  const half = join(join(of(Buffer.from("a")), zeros, 5 * 2 ** 30), zeros, 5 * 2 ** 30);
  expect(hex(half)).toBe(hex(join(of(Buffer.from("a")), join(zeros, zeros, 5 * 2 ** 30), 10 * 2 ** 30)));
});
