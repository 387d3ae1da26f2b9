/** A crash before every single step of a commit, with unsynced changes lost in seeded ways: the key is old or new, whole. */
import { expect, test } from "bun:test";
import { loadCodec } from "../../src/codec/native.ts";
import { realClock } from "../../src/sys/clock.ts";
import { QuorumError } from "../../src/core/quorum-error.ts";
import { Errno } from "../../src/sys/disk.ts";
import { seededRng } from "./seeded.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import type { CrashOrder } from "./simulated-files.ts";
import { deleteKey, DRIVES, getBytes, putBytes, simulatedStore } from "./simulated-store.ts";

const codec = loadCodec();
const clock = realClock();
const KEY = "dir/key";
const SMALL_OLD = Buffer.alloc(3000, "old");
const SMALL_NEW = Buffer.alloc(3500, "new");
const LARGE_OLD = Buffer.alloc(700_000, "OLD!");
const LARGE_NEW = Buffer.alloc(1_300_000, "NEW!");
const STEPS_MAX = 400;

async function prepared(seed: number, old: Buffer | null): Promise<SimulatedDisk> {
  const disk = SimulatedDisk.create(codec, seed, DRIVES);
  const { pools } = await simulatedStore(codec, disk, { clock, rng: seededRng(seed) });
  await pools.makeBucket("bucket");
  if (old !== null) await putBytes(pools, KEY, old);
  await pools.background.idle();
  return disk.fork(seed);
}

/** Runs `work` with a crash before each step in turn; returns how many steps it has. */
async function crashEverywhere(
  work: (pools: Awaited<ReturnType<typeof simulatedStore>>["pools"]) => Promise<void>,
  states: { old: Buffer | null; next: Buffer | null },
  order: CrashOrder,
): Promise<number> {
  for (let n = 0; n < STEPS_MAX; n++) {
    const disk = await prepared(n + 1, states.old);
    const { pools } = await simulatedStore(codec, disk, { clock, rng: seededRng(n + 1000) });
    disk.crashAt(n);
    let acknowledged = false;
    const done = work(pools).then(
      () => {
        acknowledged = true;
      },
      () => undefined,
    );
    await Promise.race([done, disk.crashed]);
    const crashed = disk.hasCrashed;
    const after = crashed ? disk.afterCrash(n + 7, order) : disk.fork(n + 7);
    const restarted = await simulatedStore(codec, after, { clock, rng: seededRng(n + 2000) });
    const first = await getBytes(restarted.pools, KEY);
    const second = await getBytes(restarted.pools, KEY);
    const where = `crash before step ${n}, ${order}`;
    expect({ where, same: same(first, second) }).toEqual({ where, same: true });
    const isNew = same(first, states.next);
    expect({ where, whole: isNew || same(first, states.old) }).toEqual({ where, whole: true });
    if (acknowledged) expect({ where, isNew }).toEqual({ where, isNew: true });
    if (!crashed) return n;
  }
  return STEPS_MAX;
}

function same(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : a.equals(b);
}

const CASES = [
  ["an overwrite of a small object", SMALL_OLD, SMALL_NEW],
  ["a first write of a small object", null, SMALL_NEW],
  ["an overwrite with data files", LARGE_OLD, LARGE_NEW],
  ["small over large", LARGE_OLD, SMALL_NEW],
] as const;

for (const [what, old, next] of CASES) {
  test(`${what} is old or new after a crash at any step`, async () => {
    await crashEverywhere((pools) => putBytes(pools, KEY, next), { old, next }, "any");
    const steps = await crashEverywhere((pools) => putBytes(pools, KEY, next), { old, next }, "ordered");
    expect(steps).toBeGreaterThan(7); // of an inline object: a write and a sync of each log
    expect(steps).toBeLessThan(STEPS_MAX);
  }, 60_000);
}

test("a delete is done or not after a crash at any step", async () => {
  const steps = await crashEverywhere((pools) => deleteKey(pools, KEY), { old: LARGE_OLD, next: null }, "ordered");
  expect(steps).toBeGreaterThan(7);
}, 60_000);

test("an overwrite that drives refuse leaves the old object whole, whichever and however many refuse", async () => {
  for (let refusing = 1; refusing < 16; refusing++) {
    const disk = await prepared(refusing, SMALL_OLD);
    const { pools } = await simulatedStore(codec, disk, { clock, rng: seededRng(refusing) });
    const bad = DRIVES.filter((_, i) => ((refusing >> i) & 1) === 1);
    const lift = bad.map((prefix) => disk.fail({ prefix, effect: Errno.ENOSPC }));
    const outcome = await putBytes(pools, KEY, SMALL_NEW).then(
      () => "acknowledged",
      (error: unknown) => (error instanceof QuorumError ? error.code : String(error)),
    );
    expect({ bad, outcome }).toEqual({ bad, outcome: bad.length <= 1 ? "acknowledged" : "StorageFull" });
    for (const undo of lift) undo();
    await pools.background.idle();
    expect({ bad, whole: same(await getBytes(pools, KEY), bad.length <= 1 ? SMALL_NEW : SMALL_OLD) }).toEqual({
      bad,
      whole: true,
    });
  }
});

test("an object is read with any two drives gone, and refused with a reason, not a 404, with three", async () => {
  for (const isApplied of [false, true])
    for (let gone = 0; gone < 16; gone++) {
      const disk = await prepared(gone + 50, LARGE_OLD);
      const { pools, drives } = await simulatedStore(codec, disk, { clock, rng: seededRng(gone) });
      if (isApplied) for (const drive of drives) await drive?.flush(); // else xl.meta is in memory, and only shards are gone
      const lost = DRIVES.filter((_, i) => ((gone >> i) & 1) === 1);
      for (const prefix of lost) disk.fail({ prefix, effect: Errno.EIO });
      const outcome = await getBytes(pools, KEY).then(
        (bytes) => same(bytes, LARGE_OLD),
        (error: unknown) => (error instanceof QuorumError ? error.code : String(error)),
      );
      expect({ isApplied, lost, outcome }).toEqual({
        isApplied,
        lost,
        outcome: lost.length <= 2 ? true : "ReadQuorum",
      });
    }
});
