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
const whole = (bytes: Uint8Array) => ({ totalBytes: bytes.length, pieceBytes: bytes.length, stride: 0 });
const md5 = (): Digest => new Digest(codec, DIGEST.md5);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("a body alone is digested at once, without a timer", async () => {
  const one = lanes();
  using lane = one.lanes.join(md5().state);
  const bytes = random(1000);
  await lane.update(bytes, whole(bytes));
  expect(one.handOvers).toEqual([1]);
  expect(one.timers).toEqual([]);
});

test("bodies that are received at the same time are handed over together", async () => {
  const many = lanes();
  const streams = Array.from({ length: 8 }, () => ({ digest: md5(), bytes: random(200_000) }));
  const joined = streams.map(({ digest }) => many.lanes.join(digest.state));
  await Promise.all(streams.map(({ bytes }, i) => joined[i]?.update(bytes, whole(bytes))));
  expect(many.handOvers).toEqual([8]);
  expect(many.timers).toEqual([]);
  for (const { digest, bytes } of streams)
    expect(hex(digest.final().md5)).toBe(createHash("md5").update(bytes).digest("hex"));
  for (const one of joined) one[Symbol.dispose]();
});

test("a slow body holds the others up for one timer, and then not until it brings a block again", async () => {
  const two = lanes();
  using fast = two.lanes.join(md5().state);
  using slow = two.lanes.join(md5().state);
  const bytes = random(1000);
  const first = fast.update(bytes, whole(bytes));
  expect(two.timers.length).toBe(1);
  two.timers[0]?.();
  await first;
  await fast.update(bytes, whole(bytes));
  expect(two.timers).toEqual([]);
  const late = slow.update(bytes, whole(bytes));
  expect(two.timers.length).toBe(1); // now the fast one is waited for
  await fast.update(bytes, whole(bytes));
  await late;
  expect(two.handOvers.at(-1)).toBe(2);
});

test("a body that ends is not waited for", async () => {
  const two = lanes();
  using one = two.lanes.join(md5().state);
  const other = two.lanes.join(md5().state);
  const bytes = random(1000);
  const work = one.update(bytes, whole(bytes));
  other[Symbol.dispose]();
  await work;
  expect(two.timers).toEqual([]);
});

test("the blocks of a body stay in order and may lie in pieces", async () => {
  const { lanes: own } = lanes();
  const digest = new Digest(codec, DIGEST.md5 | DIGEST.sha256);
  using lane = own.join(digest.state);
  const hash = createHash("md5");
  const work: Promise<void>[] = [];
  for (let block = 0; block < 20; block++) {
    const pieceBytes = 1 + ((block * 977) % 5000);
    const totalBytes = Math.max(1, pieceBytes * 5 - (block % 7));
    const stride = pieceBytes + 64;
    const slots = random(stride * 5);
    for (let at = 0, piece = 0; at < totalBytes; at += pieceBytes, piece++)
      hash.update(slots.subarray(piece * stride, piece * stride + Math.min(pieceBytes, totalBytes - at)));
    work.push(lane.update(slots, { totalBytes, pieceBytes, stride }));
  }
  await Promise.all(work);
  expect(hex(digest.final().md5)).toBe(hash.digest("hex"));
});
