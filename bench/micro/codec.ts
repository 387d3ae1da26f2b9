/**
 * Micro benchmark of the codec, one thread: what each byte of a PUT and of a GET costs. Prints mitata's table and, below
 * it, GB/s against the bars for the best tier of this CPU and for those below it. `bun bench/micro/codec.ts`, on a quiet machine.
 */
import { bench, do_not_optimize, run } from "mitata";
import { DIGEST, Digest } from "../../src/codec/checksum.ts";
import { sealedSize, StreamKey } from "../../src/codec/dare.ts";
import { type Codec, loadCodec, TIER_NAMES } from "../../src/codec/native.ts";
import { NativePool } from "../../src/codec/pool.ts";
import { s2Room, step } from "../../src/sys/disk.ts";

const MIB = 1024 * 1024;
const HASH_BYTES = 32;
const K = 8;
const M = 4;
const STREAMS = 16;
const STREAM_BYTES = 64 * 1024;
/** Streams at equal distances fall into the same cache sets; the server's buffers are apart by this, too. */
const STREAM_STRIDE = STREAM_BYTES + 320;

interface Case {
  readonly name: string;
  readonly bytes: number;
  /** GB/s wanted on AVX2, AVX-512. */
  readonly bars: readonly [number, number] | null;
  readonly run: () => unknown;
}

/** 64-aligned where the shard data begins: 32 bytes behind the start. */
function slots(bytes: number): Uint8Array {
  const memory = new Uint8Array(new ArrayBuffer(bytes + 128), 32, bytes);
  for (let i = 0; i < bytes; i++) memory[i] = (i * 131 + (i >> 9)) & 255;
  return memory;
}

function codingCases(codec: Codec): Case[] {
  const shardBytes = MIB / K;
  const stride = Math.ceil((HASH_BYTES + shardBytes) / 64) * 64 + 64;
  const block = slots(stride * (K + M));
  const base = codec.ptr(block);
  codec.encode({ k: K, m: M }, block, stride, shardBytes);
  const have = ((1 << (K + 1)) - 1) & ~1; // shard 0 is lost
  return [
    {
      name: `encode + hash of 1 MiB, ${K}+${M}`,
      bytes: MIB,
      bars: [6, 9],
      run: () => codec.encode({ k: K, m: M }, block, stride, shardBytes),
    },
    {
      name: `verify of ${K} shards of 128 KiB`,
      bytes: MIB,
      bars: [20, 20],
      run: () => do_not_optimize(codec.symbols.sherd_verify_slots(base, stride, shardBytes, (1 << K) - 1)),
    },
    {
      name: `rebuild + hash of 1 shard of ${K}+${M}`,
      bytes: MIB,
      bars: null,
      run: () => do_not_optimize(codec.rebuildSlots({ k: K, m: M }, block, { stride, shardBytes, have, want: 1 })),
    },
  ];
}

function digestCases(codec: Codec): Case[] {
  const memory = slots(STREAM_STRIDE * STREAMS);
  const digests = Array.from({ length: STREAMS }, () => new Digest(codec, DIGEST.md5));
  const jobs = new BigUint64Array(new ArrayBuffer(Math.max(1024, STREAMS * 24)));
  for (const [i, digest] of digests.entries()) {
    jobs[i * 3] = BigInt(digest.statePointer);
    jobs[i * 3 + 1] = BigInt(codec.ptr(memory) + i * STREAM_STRIDE);
    jobs[i * 3 + 2] = BigInt(STREAM_BYTES);
  }
  const one = memory.subarray(0, STREAM_BYTES);
  const single = (name: string, flags: number): Case => {
    const digest = new Digest(codec, flags);
    return { name, bytes: STREAM_BYTES, bars: null, run: () => digest.update(one) };
  };
  return [
    {
      name: `MD5 of ${STREAMS} streams of 64 KiB`,
      bytes: STREAM_BYTES * STREAMS,
      bars: [5, 5],
      run() {
        codec.symbols.sherd_digest_many(codec.ptr(jobs), STREAMS);
        return digests.length; // the states must live as long as their addresses are used
      },
    },
    single("MD5 of one stream", DIGEST.md5),
    single("SHA-256 of one stream", DIGEST.sha256),
    single("MD5 + SHA-256 of one stream", DIGEST.md5 | DIGEST.sha256),
    single("CRC32C of one stream", DIGEST.crc32c),
    single("CRC64NVME of one stream", DIGEST.crc64nvme),
  ];
}

/** What encryption and compression add, a block at a time. */
function protectionCases(codec: Codec): Case[] {
  const plain = slots(MIB);
  for (let i = 0; i < MIB; i++) plain[i] = 97 + ((i * i + (i >> 7)) % 23) * (i % 61 < 40 ? 1 : 0);
  const sealed = slots(sealedSize(MIB));
  const out = slots(s2Room(MIB));
  const nonce = new Uint8Array(12);
  const address = (bytes: Uint8Array): number => codec.ptr(bytes);
  const ciphers = (["AES-256-GCM", "ChaCha20-Poly1305"] as const).flatMap((cipher): Case[] => {
    const writer = StreamKey.of(new Uint8Array(32), { cipher, nonce });
    const seal = (): number =>
      codec.symbols.sherd_dare_seal(address(writer.memory), address(plain), MIB, address(sealed), 0, 1);
    const open = (): number => {
      seal(); // opened in another place, so that it can be opened again
      using reader = StreamKey.of(new Uint8Array(32), null);
      return codec.symbols.sherd_dare_open(address(reader.memory), address(sealed), sealed.length, address(out), 0, 1);
    };
    return [
      { name: `${cipher}: encrypt 1 MiB`, bytes: MIB, bars: null, run: seal },
      { name: `${cipher}: encrypt and decrypt 1 MiB`, bytes: MIB, bars: null, run: open },
    ];
  });
  const compress = (): number => Number(codec.symbols.sherd_s2_chunk(address(plain), MIB, address(out)));
  const chunk = slots(s2Room(MIB));
  const size = Number(codec.symbols.sherd_s2_chunk(address(plain), MIB, address(chunk)));
  const crc = new DataView(chunk.buffer, chunk.byteOffset).getUint32(4, true);
  const decompress = (): number =>
    Number(codec.symbols.sherd_s2_decode(address(chunk) + 8, size - 8, address(sealed), MIB, crc));
  return [
    ...ciphers,
    { name: `S2: compress 1 MiB to ${Math.round((size * 100) / MIB)} %`, bytes: MIB, bars: null, run: compress },
    { name: "S2: decompress it", bytes: MIB, bars: null, run: decompress },
  ];
}

/** Nanoseconds a call, the best of several rounds: other work on the machine only ever adds. */
function nanoseconds(work: () => unknown): number {
  let calls = 1;
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 12; round++) {
    const before = Bun.nanoseconds();
    for (let i = 0; i < calls; i++) do_not_optimize(work());
    const spent = Bun.nanoseconds() - before;
    best = Math.min(best, spent / calls);
    calls = Math.max(1, Math.ceil(40e6 / best)); // rounds of about 40 ms
  }
  return best;
}

function summarize(codec: Codec, cases: readonly Case[]): void {
  console.log(`\n${TIER_NAMES[codec.tier] ?? "?"}, one thread${"".padEnd(24)}GB/s   bar`);
  for (const { name, bytes, bars, run: work } of cases) {
    const speed = bytes / nanoseconds(work);
    const bar = bars === null ? null : bars[codec.tier >= 4 ? 1 : 0];
    const verdict = bar == null ? "" : `${bar.toFixed(1).padStart(5)} ${speed >= bar ? "met" : "MISSED"}`;
    console.log(`${name.padEnd(40)} ${speed.toFixed(2).padStart(6)} ${verdict}`);
  }
}

// One library each: a tier is chosen for a whole library.
const codec = loadCodec();
const lower = [3, 2, 1]
  .filter((tier) => tier < codec.tier)
  .map((tier) => loadCodec({ tier }))
  .filter(({ tier }, i, all) => tier > 0 && all.findIndex((c) => c.tier === tier) === i);
const casesOf = (each: Codec): Case[] => [...codingCases(each), ...digestCases(each), ...protectionCases(each)];
const cases = casesOf(codec);
for (const { name, run: work } of cases) bench(name, work);
const pool = new NativePool(codec, { threads: 2, threadsMax: 8 });
const nothing = [step.stat("/")];
bench("pool: one task there and back", async () => {
  await pool.run(nothing, true);
});
bench("pool: 32 tasks in flight", async () => {
  await Promise.all(Array.from({ length: 32 }, () => pool.run(nothing, true)));
});
await run();
summarize(codec, cases);
for (const each of lower) summarize(each, casesOf(each));
process.exit(0);
