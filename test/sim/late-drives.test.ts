/**
 * A write is answered when a quorum has it (engine.md §3, step 6): drives that are slow or hang hold it up by nothing, are told and given
 * all of it later, and lose nothing in a power cut meanwhile. What is kept for them is bounded, and so is the time that they cost.
 */
import { describe, expect, test } from "bun:test";
import { loadCodec } from "../../src/codec/native.ts";
import type { Committed, DebtSink } from "../../src/erasure/damage.ts";
import { healKey } from "../../src/erasure/heal-version.ts";
import { HANGS_MS } from "../../src/erasure/late-answers.ts";
import { GuardedDrive } from "../../src/storage/guarded-drive.ts";
import { Op } from "../../src/sys/disk.ts";
import { seededRng, SimulatedClock, timed } from "./seeded.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import {
  deleteKey,
  DRIVES,
  getBytes,
  putBytes,
  type SimulatedStore,
  simulatedStore,
  tagKey,
  tagOf,
} from "./simulated-store.ts";
import { beginUpload, completeUpload, sendPart } from "./upload-steps.ts";

const codec = loadCodec();
const DEADLINE_MS = 1_000;
const SLOW_MS = 500;
const AT_ONCE_MS = 10;
/** Less than what it takes to hang. */
const WAITED_MS = 0.6 * HANGS_MS;
const START_MS = 1_700_000_000_000;
const KEYS = ["a", "b/c", "b/d"];
const IN_LOG = { ops: [Op.fdatasync] };

interface Late extends SimulatedStore {
  readonly disk: SimulatedDisk;
  readonly clock: SimulatedClock;
  /** Positions that were owed something. */
  readonly owed: number[];
}

async function late(
  disk: SimulatedDisk,
  seed: number,
  { startMs = START_MS, deadlineMs = DEADLINE_MS } = {},
): Promise<Late> {
  const clock = new SimulatedClock(startMs);
  const store = await simulatedStore(
    codec,
    disk,
    { clock, rng: seededRng(seed) },
    { wrap: (drive) => new GuardedDrive(drive, { clock, deadlineMs, onState: () => undefined }) },
  );
  const owed: number[] = [];
  const debt: DebtSink = {
    owe: (_: Committed, positions) => void owed.push(...positions),
    behind: () => null,
    removed: () => null,
  };
  store.set.debt = debt;
  return { ...store, disk, clock, owed };
}

async function fresh(seed: number, deadlineMs = DEADLINE_MS): Promise<Late> {
  const store = await late(SimulatedDisk.create(codec, seed, DRIVES), seed, { deadlineMs });
  await store.pools.makeBucket("bucket");
  await putBytes(store.pools, "old", bytesOf(1));
  await store.clock.advance(10);
  return store;
}

function bytesOf(value: number): Buffer {
  return Buffer.alloc(100 + value, `${value} `);
}
function logOf(drive: string): string {
  return `${drive}/.minio.sys/sherd/log`;
}

/** Nothing is held, lent, in doubt or late any more, and each key is whole on every drive without a heal. */
async function expectWhole(store: Late, known: ReadonlyMap<string, Buffer | null>): Promise<void> {
  const { pools, set, clock } = store;
  await timed(clock, pools.background.idle());
  const doubts = set.drives.flatMap((drive) => drive?.doubts() ?? []);
  const lateness = [0, 1, 2, 3].map((position) => set.lateness.of(position));
  expect([pools.locks.size, set.unsettled.size, doubts, lateness]).toEqual([0, 0, [], [0, 0, 0, 0]]);
  for (const [key, bytes] of known) {
    const { healed } = (await timed(clock, healKey(set, { bucket: "bucket", path: key }, pools.locks, { deep: true })))
      .value;
    expect({ key, healed }).toEqual({ key, healed: [] });
    expect({ key, bytes: (await timed(clock, getBytes(pools, key))).value }).toEqual({ key, bytes });
  }
  for (const drive of DRIVES) expect(stagedOn(store.disk, drive)).toEqual([]);
}

function stagedOn(disk: SimulatedDisk, drive: string): string[] {
  return disk.tree(`${drive}/.minio.sys/tmp`).filter((name) => !name.startsWith("."));
}

describe("a drive that is slow to sync", () => {
  test("holds no write up, and has all of them in the end", async () => {
    for (let seed = 1; seed <= 16; seed++) {
      const store = await fresh(seed, 20 * SLOW_MS); // writes of one key wait for each other there
      const { pools, clock, disk } = store;
      const rng = seededRng(seed + 100);
      const lift = disk.fail({
        prefix: logOf(DRIVES[seed % 4] as string),
        effect: () => clock.sleep(SLOW_MS),
        ...IN_LOG,
      });
      const known = new Map<string, Buffer | null>([["old", bytesOf(1)]]);
      for (let value = 2; value <= 20; value++) {
        const key = KEYS[Math.floor(rng.next() * KEYS.length)] as string;
        const kind = rng.next();
        const bytes = kind < 0.2 ? Buffer.alloc(300_000, `${value} `) : bytesOf(value);
        const isDelete = kind > 0.8;
        const { ms } = await timed(clock, isDelete ? deleteKey(pools, key) : putBytes(pools, key, bytes));
        known.set(key, isDelete ? null : bytes);
        expect({ seed, value, atOnce: ms <= AT_ONCE_MS || ms }).toEqual({ seed, value, atOnce: true });
        expect({ seed, value, got: await getBytes(pools, key) }).toEqual({ seed, value, got: known.get(key) ?? null });
        if (rng.next() < 0.2) await clock.advance(SLOW_MS);
      }
      await timed(clock, tagKey(pools, "old", `k=${seed}`));
      expect(await tagOf(pools, "old")).toBe(`k=${seed}`);
      await timed(clock, pools.background.idle());
      lift();
      expect([seed, store.owed, store.damage]).toEqual([seed, [], []]);
      await expectWhole(store, known);
    }
  }, 60_000);

  test("has taken what it was asked for before its bucket is removed", async () => {
    const store = await fresh(3);
    const { pools, clock, disk } = store;
    disk.fail({ prefix: logOf("/d3"), effect: () => clock.sleep(SLOW_MS), ...IN_LOG });
    await timed(clock, deleteKey(pools, "old"));
    expect(pools.background.size).toBeGreaterThan(0);
    expect((await timed(clock, pools.removeBucket("bucket"))).value).toBe("gone");
    for (const drive of DRIVES) expect(disk.tree(drive).includes("bucket")).toBe(false);
  });

  test("keeps what a large write staged until it has taken it", async () => {
    const store = await fresh(4);
    const { pools, clock, disk } = store;
    const lift = disk.fail({ prefix: logOf("/d2"), effect: () => clock.sleep(SLOW_MS), ...IN_LOG });
    const body = Buffer.alloc(900_000, "large ");
    expect((await timed(clock, putBytes(pools, "large", body))).ms).toBeLessThanOrEqual(AT_ONCE_MS);
    expect([stagedOn(disk, "/d2").length > 0, stagedOn(disk, "/d1")]).toEqual([true, []]);
    lift();
    await expectWhole(store, new Map([["large", body]]));
  });
});

test("an upload waits for all drives that do not hang where it begins and where it ends, so that none misses a part", async () => {
  for (let seed = 1; seed <= 8; seed++) {
    const store = await fresh(seed, 20 * SLOW_MS);
    const { pools, clock, disk } = store;
    const lift = disk.fail({
      prefix: logOf(DRIVES[seed % 4] as string),
      effect: () => clock.sleep(WAITED_MS),
      ...IN_LOG,
    });
    const parts = [Buffer.alloc(400_000, "one "), Buffer.alloc(300_000, "two ")] as const;
    const began = await timed(clock, beginUpload(pools, "uploaded"));
    const upload = { key: "uploaded", id: began.value };
    for (const [i, bytes] of parts.entries()) await timed(clock, sendPart(pools, upload, i + 1, bytes));
    const completed = await timed(clock, completeUpload(pools, upload));
    expect([seed, began.ms >= WAITED_MS, completed.ms >= WAITED_MS]).toEqual([seed, true, true]);
    await timed(clock, pools.background.idle());
    lift();
    expect([seed, store.owed]).toEqual([seed, []]);
    await expectWhole(store, new Map([["uploaded", Buffer.concat(parts)]]));
  }
}, 60_000);

describe("a drive that hangs", () => {
  test("is owed what it does not take, whether it took it later or never", async () => {
    for (const comes of [true, false]) {
      const store = await fresh(comes ? 5 : 6);
      const { pools, clock, disk, set } = store;
      const lift = disk.fail({ prefix: logOf("/d2"), effect: "hang", ...IN_LOG });
      const known = new Map<string, Buffer | null>();
      for (let value = 1; value <= 30; value++) {
        const { ms } = await timed(clock, putBytes(pools, `k${value}`, bytesOf(value)));
        expect(ms).toBeLessThanOrEqual(AT_ONCE_MS);
        known.set(`k${value}`, bytesOf(value));
      }
      expect(store.owed).toEqual([]);
      if (comes) lift();
      await clock.advance(2 * DEADLINE_MS);
      expect(store.owed).toEqual(
        comes
          ? []
          : known
              .values()
              .toArray()
              .map(() => 1),
      );
      if (!comes) {
        expect(set.drives[1]?.state).toBe("faulty");
        lift();
        await clock.advance(60_000);
        // It took them after it was given up, and nobody could tell it that they count: who pays the debt does.
        for (const path of known.keys())
          await timed(clock, healKey(set, { bucket: "bucket", path }, pools.locks, { deep: true }));
      }
      await expectWhole(store, known);
    }
  });

  test("costs a bound of memory, and then no time at all", async () => {
    const store = await fresh(7);
    const { pools, clock, disk, set } = store;
    const lift = disk.fail({ prefix: logOf("/d4"), effect: "hang", ...IN_LOG });
    const body = Buffer.alloc(200_000, "most of what goes into xl.meta ");
    let most = 0;
    const times: number[] = [];
    for (let value = 0; value < 250; value++) {
      const parallel = [0, 1, 2, 3].map((client) => putBytes(pools, `${client}-${value}`, body));
      times.push((await timed(clock, Promise.all(parallel))).ms);
      most = Math.max(most, set.lateness.of(3));
      if (store.owed.length > 20) break;
    }
    expect(times[0]).toBeLessThanOrEqual(AT_ONCE_MS);
    expect(Math.max(...times)).toBeLessThanOrEqual(120);
    expect(most).toBeLessThan(17 * 1024 * 1024);
    expect(store.owed.length).toBeGreaterThan(20);
    lift();
    await clock.advance(60_000);
    await timed(clock, pools.background.idle());
    expect([0, 1, 2, 3].map((position) => set.lateness.of(position))).toEqual([0, 0, 0, 0]);
  }, 60_000);

  test("and a power cut of all lose nothing that was answered", async () => {
    for (let seed = 1; seed <= 24; seed++) {
      const store = await fresh(seed + 50);
      const { pools, clock, disk } = store;
      const rng = seededRng(seed + 200);
      const known = new Map<string, Buffer | null>([["old", bytesOf(1)]]);
      disk.fail({ prefix: logOf(DRIVES[seed % 4] as string), effect: "hang", ...IN_LOG });
      for (let value = 2; value <= 12; value++) {
        const key = [...KEYS, "old"][Math.floor(rng.next() * 4)] as string;
        const bytes = rng.next() < 0.2 ? Buffer.alloc(300_000, `${value} `) : bytesOf(value);
        const isDelete = rng.next() < 0.3;
        await timed(clock, isDelete ? deleteKey(pools, key) : putBytes(pools, key, bytes));
        known.set(key, isDelete ? null : bytes);
      }
      disk.crash();
      const again = await late(disk.afterCrash(seed, seed % 2 === 0 ? "any" : "ordered"), seed, {
        startMs: START_MS + 60_000,
      });
      for (const [key, bytes] of known) {
        const got = (await timed(again.clock, getBytes(again.pools, key))).value;
        expect({ seed, key, got }).toEqual({ seed, key, got: bytes });
      }
    }
  }, 60_000);
});
