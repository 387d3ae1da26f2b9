/** DigestLanes: who waits for whom, and that waiting changes no digest. */
import { createHash } from "node:crypto";
import { expect, test } from "bun:test";
import { DIGEST, Digest } from "../../../src/codec/checksum.ts";
import { loadCodec } from "../../../src/codec/native.ts";
import { NativePool } from "../../../src/codec/pool.ts";
import { DigestLanes } from "../../../src/erasure/digest-lanes.ts";
import { realClock } from "../../../src/sys/clock.ts";
import type { Disk, Step } from "../../../src/sys/disk.ts";

const codec = loadCodec();
const pool = new NativePool(codec, { threads: 2, threadsMax: 4 });

/** Notes the size of each hand-over; a timer runs when the test says so. */
function lanes(): { lanes: DigestLanes; handOvers: number[]; timers: (() => void)[] } {
  const handOvers: number[] = [];
  const timers: (() => void)[] = [];
  let turn = 0;
  const disk: Disk = {
    async run(steps: readonly Step[]) {
      if (turn++ === 0)
        queueMicrotask(() => {
          handOvers.push(turn);
          turn = 0;
        });
      return await pool.run(steps);
    },
  };
  const clock = {
    ...realClock(),
    after(_ms: number, run: () => void) {
      timers.push(run);
      return () => void timers.splice(timers.indexOf(run), 1);
    },
  };
  return { lanes: new DigestLanes(disk, clock), handOvers, timers };
}

function random(size: number): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(size));
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, Math.min(size, at + 65_536)));
  return bytes;
}
const job = (digest: Digest, bytes: Uint8Array) => ({
  state: digest.state,
  bytes,
  pieces: { totalBytes: bytes.length, pieceBytes: bytes.length, stride: 0 },
});
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("a body alone is digested at once, without a timer", async () => {
  const one = lanes();
  using _ = one.lanes.join();
  await one.lanes.update(job(new Digest(codec, DIGEST.md5), random(1000)));
  expect(one.handOvers).toEqual([1]);
  expect(one.timers).toEqual([]);
});

test("bodies that are received at the same time are handed over together", async () => {
  const many = lanes();
  const streams = Array.from({ length: 8 }, () => ({ digest: new Digest(codec, DIGEST.md5), bytes: random(200_000) }));
  const joined = streams.map(() => many.lanes.join());
  await Promise.all(streams.map(({ digest, bytes }) => many.lanes.update(job(digest, bytes))));
  expect(many.handOvers).toEqual([8]);
  expect(many.timers).toEqual([]);
  for (const { digest, bytes } of streams)
    expect(hex(digest.final().md5)).toBe(createHash("md5").update(bytes).digest("hex"));
  for (const one of joined) one[Symbol.dispose]();
});

test("a slow body holds the others up no longer than the timer, and not at all once it is gone", async () => {
  const two = lanes();
  using _ = two.lanes.join();
  const slow = two.lanes.join();
  const first = two.lanes.update(job(new Digest(codec, DIGEST.md5), random(1000)));
  expect(two.timers.length).toBe(1);
  two.timers[0]?.();
  await first;
  const second = two.lanes.update(job(new Digest(codec, DIGEST.md5), random(1000)));
  slow[Symbol.dispose]();
  await second;
  expect(two.timers).toEqual([]);
});

test("the blocks of a body stay in order and may lie in pieces", async () => {
  const { lanes: own } = lanes();
  using _ = own.join();
  const digest = new Digest(codec, DIGEST.md5 | DIGEST.sha256);
  const hash = createHash("md5");
  const work: Promise<void>[] = [];
  for (let block = 0; block < 20; block++) {
    const pieceBytes = 1 + ((block * 977) % 5000);
    const totalBytes = Math.max(1, pieceBytes * 5 - (block % 7));
    const stride = pieceBytes + 64;
    const slots = random(stride * 5);
    for (let at = 0, piece = 0; at < totalBytes; at += pieceBytes, piece++)
      hash.update(slots.subarray(piece * stride, piece * stride + Math.min(pieceBytes, totalBytes - at)));
    work.push(own.update({ state: digest.state, bytes: slots, pieces: { totalBytes, pieceBytes, stride } }));
  }
  await Promise.all(work);
  expect(hex(digest.final().md5)).toBe(hash.digest("hex"));
});
