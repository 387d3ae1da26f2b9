/** What the codec does on this CPU, measured in a fraction of a second: for `sherd codec`. One thread, 1 MiB blocks. */
import { Digest, DIGEST } from "./checksum.ts";
import type { Codec } from "./native.ts";

const BLOCK_BYTES = 1024 * 1024;
const MEASURE_MS = 150;

export interface Speed {
  readonly what: string;
  readonly gigabytesPerSecond: number;
}

export function measureCodec(codec: Codec, nowMs: () => number): Speed[] {
  const rate = (what: string, bytes: number, run: () => void): Speed => {
    run();
    let rounds = 0;
    const start = nowMs();
    let end = start;
    for (; end - start < MEASURE_MS; end = nowMs(), rounds++) run();
    return { what, gigabytesPerSecond: (bytes * rounds) / ((end - start) * 1e6) };
  };
  const shapes = [
    { k: 2, m: 2 },
    { k: 8, m: 4 },
    { k: 12, m: 4 },
  ];
  const speeds = shapes.map(({ k, m }) => {
    const shardBytes = Math.ceil(BLOCK_BYTES / k);
    const stride = Math.ceil((32 + shardBytes) / 64) * 64;
    const slots = new Uint8Array(new ArrayBuffer(stride * (k + m) + 64), 32);
    return rate(`encode + hash 1 MiB, ${k}+${m}`, BLOCK_BYTES, () => codec.encode({ k, m }, slots, stride, shardBytes));
  });
  const bytes = new Uint8Array(BLOCK_BYTES);
  for (const [what, flag] of [
    ["MD5, one stream", DIGEST.md5],
    ["SHA-256, one stream", DIGEST.sha256],
    ["CRC32C", DIGEST.crc32c],
  ] as const) {
    const digest = new Digest(codec, flag);
    speeds.push(rate(what, BLOCK_BYTES, () => digest.update(bytes)));
  }
  return speeds;
}
