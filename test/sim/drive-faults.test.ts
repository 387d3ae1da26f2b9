/**
 * Drives that are slow, put back from an older copy, or swapped: a slow drive within its deadline costs time and nothing else; one
 * beyond it is left out; a stale copy is outvoted and healed; swapped drives are not used and not written to. After the faults
 * every key is whole on every drive, and nothing that a request borrowed is still lent.
 */
import { describe, expect, test } from "bun:test";
import { loadCodec } from "../../src/codec/native.ts";
import { QuorumError } from "../../src/core/quorum-error.ts";
import { healKey } from "../../src/erasure/heal-version.ts";
import { GuardedDrive } from "../../src/storage/guarded-drive.ts";
import { Errno, Op } from "../../src/sys/disk.ts";
import { seededRng, SimulatedClock, timed } from "./seeded.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import { deleteKey, DRIVES, getBytes, putBytes, type SimulatedStore, simulatedStore } from "./simulated-store.ts";

const codec = loadCodec();
const DEADLINE_MS = 1_000;
const START_MS = 1_700_000_000_000;
const KEYS = ["a", "b/c", "b/d", "e"];

type Known = Map<string, Buffer | null>;

function bytesOf(value: number): Buffer {
  return Buffer.alloc(value % 3 === 0 ? 300_000 : 100 + value, `${value} `);
}
function same(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : a.equals(b);
}

interface Guarded extends SimulatedStore {
  readonly disk: SimulatedDisk;
  readonly clock: SimulatedClock;
  readonly states: string[];
}
async function guarded(disk: SimulatedDisk, seed: number, startMs = START_MS): Promise<Guarded> {
  const clock = new SimulatedClock(startMs);
  const states: string[] = [];
  const onState = (endpoint: string, state: string): number => states.push(`${endpoint} ${state}`);
  const store = await simulatedStore(
    codec,
    disk,
    { clock, rng: seededRng(seed) },
    { wrap: (drive) => new GuardedDrive(drive, { clock, deadlineMs: DEADLINE_MS, onState }) },
  );
  return { ...store, disk, clock, states };
}

/** L1: every key is whole on every drive. S8: nothing is lent, locked, unsettled or in doubt any more. */
async function expectWhole({ pools, set, clock }: Guarded, known: Known): Promise<void> {
  await timed(clock, pools.background.idle());
  for (const [key, bytes] of known) {
    const path = { bucket: "bucket", path: key };
    await timed(clock, healKey(set, path, pools.locks, { deep: true }));
    const again = await timed(clock, healKey(set, path, pools.locks, { deep: true }));
    expect({ key, healed: again.value.healed }).toEqual({ key, healed: [] });
    expect({ key, same: same((await timed(clock, getBytes(pools, key))).value, bytes) }).toEqual({ key, same: true });
  }
  await timed(clock, pools.background.idle());
  expect([set.resources.blocks.lentBytes, set.resources.readBlocks.lentBytes]).toEqual([0, 0]);
  expect([pools.locks.size, set.unsettled.size, set.drives.flatMap((drive) => drive?.doubts() ?? [])]).toEqual([
    0,
    0,
    [],
  ]);
}

describe("a slow drive", () => {
  test.each([
    ["within its deadline", 20, 40 * 20],
    ["beyond its deadline", 3 * DEADLINE_MS, 3 * DEADLINE_MS],
  ])(
    "%s holds a request up by a bound, and every key is whole afterwards",
    async (_, stepMs, boundMs) => {
      for (let seed = 1; seed <= 12; seed++) {
        const rng = seededRng(seed);
        const disk = SimulatedDisk.create(codec, seed, DRIVES);
        const store = await guarded(disk, seed);
        await store.pools.makeBucket("bucket");
        const known: Known = new Map();
        await store.clock.advance(10);
        const slow = DRIVES[seed % 4] as string;
        const ops = seed % 3 === 0 ? { ops: [Op.fdatasync, Op.syncfs] } : {};
        const lift = disk.fail({ prefix: slow, effect: () => store.clock.sleep(stepMs), ...ops });
        for (let value = 1; value <= 15; value++) {
          const key = KEYS[Math.floor(rng.next() * KEYS.length)] as string;
          const isDelete = rng.next() < 0.25;
          const work = isDelete ? deleteKey(store.pools, key) : putBytes(store.pools, key, bytesOf(value));
          const { ms } = await timed(store.clock, work);
          expect({ seed, value, inTime: ms <= boundMs || ms }).toEqual({ seed, value, inTime: true });
          known.set(key, isDelete ? null : bytesOf(value));
          const got = await timed(store.clock, getBytes(store.pools, key));
          expect({ seed, value, same: same(got.value, known.get(key) ?? null) }).toEqual({ seed, value, same: true });
        }
        lift();
        await store.clock.advance(60_000); // late answers come, probes find the drive well
        if (stepMs < DEADLINE_MS) expect(store.states).toEqual([]);
        else expect(store.states).toContain(`${slow} faulty`);
        expect(store.set.drives.map((drive) => drive?.state)).toEqual(["ok", "ok", "ok", "ok"]);
        await expectWhole(store, known);
      }
    },
    60_000,
  );
});

async function written(
  seed: number,
): Promise<{ store: Guarded; known: Known; write: (count: number) => Promise<void> }> {
  const store = await guarded(SimulatedDisk.create(codec, seed, DRIVES), seed);
  await store.pools.makeBucket("bucket");
  const known: Known = new Map();
  const rng = seededRng(seed + 500);
  let value = 0;
  const write = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const key = KEYS[Math.floor(rng.next() * KEYS.length)] as string;
      const isDelete = rng.next() < 0.3;
      value++;
      await timed(store.clock, isDelete ? deleteKey(store.pools, key) : putBytes(store.pools, key, bytesOf(value)));
      known.set(key, isDelete ? null : bytesOf(value));
      if (rng.next() < 0.2) for (const drive of store.drives) await drive?.flush();
    }
    await timed(store.clock, store.pools.background.idle());
  };
  return { store, known, write };
}

test("a drive put back from an older copy is outvoted, and every key is whole after a heal", async () => {
  for (let seed = 1; seed <= 25; seed++) {
    const { store, known, write } = await written(seed);
    const stale = DRIVES[seed % 4] as string;
    await write(12);
    const copy = store.disk.image(stale);
    await write(12);
    const next = store.disk.fork(seed);
    next.putBack(stale, copy);
    const again = await guarded(next, seed + 900, START_MS + 60_000);
    for (const [key, bytes] of known) {
      const got = await timed(again.clock, getBytes(again.pools, key));
      expect({ seed, key, same: same(got.value, bytes) }).toEqual({ seed, key, same: true });
    }
    await timed(again.clock, putBytes(again.pools, "after", bytesOf(9)));
    const kept = new Map([...known, ["after", bytesOf(9)] as const].filter(([, bytes]) => bytes !== null));
    await expectWhole(again, kept);
    for (const [key, bytes] of known)
      if (bytes === null)
        expect([seed, key, (await timed(again.clock, getBytes(again.pools, key))).value]).toEqual([seed, key, null]);
  }
}, 60_000);

test("swapped drives are not used and not written to; in their places again they are whole", async () => {
  const { store, known, write } = await written(7);
  await write(15);
  for (const drive of store.drives) await drive?.flush(); // what is in doubt could not be decided by two drives
  const swapped = store.disk.fork(1);
  swapped.swap("/d1", "/d3");
  const before = [swapped.tree("/d1"), swapped.tree("/d3")];
  const wrong = await guarded(swapped, 8, START_MS + 60_000);
  expect(wrong.drives.map((drive) => drive !== null)).toEqual([false, true, false, true]);
  for (const [key, bytes] of known) {
    if (bytes === null) continue; // two of four cannot say that something is not there
    const got = await timed(wrong.clock, getBytes(wrong.pools, key));
    expect({ key, same: same(got.value, bytes) }).toEqual({ key, same: true });
  }
  const refused = putBytes(wrong.pools, "new", bytesOf(1)).then(
    () => "accepted",
    (error: unknown) => (error instanceof QuorumError ? error.code : String(error)),
  );
  expect((await timed(wrong.clock, refused)).value).toBe("WriteQuorum");
  expect([swapped.tree("/d1"), swapped.tree("/d3")]).toEqual(before);
  const right = swapped.fork(2);
  right.swap("/d1", "/d3");
  const again = await guarded(right, 9, START_MS + 120_000);
  expect(again.drives.every((drive) => drive !== null)).toBe(true);
  await expectWhole(again, known);
}, 60_000);

test("a drive that fails every write for a while leaves nothing lent, locked or in doubt behind", async () => {
  for (const effect of [Errno.EIO, Errno.ENOSPC, Errno.EROFS]) {
    const { store, known, write } = await written(effect);
    await write(5);
    const lift = store.disk.fail({ prefix: "/d2", effect, ops: [Op.pwrite, Op.writeFile, Op.append, Op.mkdir] });
    await write(10);
    lift();
    await store.clock.advance(60_000);
    const again = await guarded(store.disk.fork(3), 4, START_MS + 600_000);
    await expectWhole(again, new Map([...known].filter(([, bytes]) => bytes !== null)));
  }
}, 60_000);
