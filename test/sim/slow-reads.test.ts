/**
 * A drive that hangs is waited for a moment and then no more, as long as the others can tell (`erasure/patience.ts`): reads of metadata and
 * of data, of what is there and what is not, and the reads that writes need. Where the others cannot tell, it is waited for.
 */
import { expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { loadCodec } from "../../src/codec/native.ts";
import { QuorumError } from "../../src/core/quorum-error.ts";
import { healKey } from "../../src/erasure/heal-version.ts";
import { SummaryCache } from "../../src/storage/version-summary.ts";
import { realClock } from "../../src/sys/clock.ts";
import { MemoryTables } from "./memory-tables.ts";
import { READ_PATIENCE_MS } from "../../src/erasure/patience.ts";
import { GuardedDrive } from "../../src/storage/guarded-drive.ts";
import { Op } from "../../src/sys/disk.ts";
import { seededRng, SimulatedClock, timed } from "./seeded.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import {
  deleteKey,
  DRIVES,
  getBytes,
  listRequest,
  NO_SIGNAL,
  putBytes,
  type SimulatedStore,
  simulatedStore,
  tagKey,
  tagOf,
  walked,
} from "./simulated-store.ts";

const codec = loadCodec();
const DEADLINE_MS = 30_000;
const ONCE_MS = READ_PATIENCE_MS * 1.25 + 15;
const SMALL = Buffer.from("a small one");
const LARGE = Buffer.alloc(3_500_000, "some blocks ");

interface Slow extends SimulatedStore {
  readonly disk: SimulatedDisk;
  readonly clock: SimulatedClock;
  readonly tables: MemoryTables;
}

/** Keys that only the tree has: nothing is in memory but, if need be, key indexes. */
async function cold(seed: number, hasIndex = false): Promise<Slow> {
  const clock = new SimulatedClock();
  const before = SimulatedDisk.create(codec, seed, DRIVES);
  const tables = new MemoryTables();
  const gentle = { ...realClock(), sleep: () => Promise.resolve() };
  const index = { tables, clock: gentle, summaries: new SummaryCache(), warn: () => undefined };
  const indexed = hasIndex ? { index } : {};
  const first = await simulatedStore(codec, before, { clock, rng: seededRng(seed), ...indexed });
  for (const drive of first.drives) await drive?.indexed();
  await first.pools.makeBucket("bucket");
  for (const [key, bytes] of contents()) await putBytes(first.pools, key, bytes);
  for (const drive of first.drives) await drive?.close();
  const disk = before.fork(seed);
  disk.hasCache = false;
  const store = await simulatedStore(
    codec,
    disk,
    { clock, rng: seededRng(seed + 1000), ...indexed },
    { wrap: (drive) => new GuardedDrive(drive, { clock, deadlineMs: DEADLINE_MS, onState: () => undefined }) },
  );
  return { ...store, disk, clock, tables };
}
function contents(): [string, Buffer][] {
  const names = [..."abcdef"];
  return [...names.map((name) => [name, SMALL] as [string, Buffer]), ["large-1", LARGE], ["large-2", LARGE]];
}

test("every kind of read waits once for a drive that hangs, and everything is well when it comes back", async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const { pools, set, disk, clock } = await cold(seed);
    const hanging = seed % 4;
    const lift = disk.fail({ prefix: DRIVES[hanging] as string, effect: "hang" });
    const times: number[] = [];
    const within = async <T>(work: Promise<T>): Promise<T> => {
      const { value, ms } = await timed(clock, work);
      times.push(ms);
      return value;
    };
    for (const [key, bytes] of contents())
      expect([seed, key, await within(getBytes(pools, key))]).toEqual([seed, key, bytes]);
    expect(await within(getBytes(pools, "missing"))).toBeNull();
    await within(tagKey(pools, "a", "k=v"));
    expect(await within(tagOf(pools, "a"))).toBe("k=v");
    await within(deleteKey(pools, "b"));
    expect(await within(getBytes(pools, "b"))).toBeNull();
    await within(putBytes(pools, "new", SMALL));
    expect(await within(getBytes(pools, "new"))).toEqual(SMALL);
    // Once for the metadata and once for the data: then it is known.
    expect({ seed, sum: times.reduce((sum, ms) => sum + ms, 0) <= 2 * ONCE_MS || times }).toEqual({ seed, sum: true });
    expect(set.patience.isHanging(hanging)).toBe(true);
    lift();
    await clock.advance(1_000);
    await timed(clock, pools.background.idle());
    expect(set.patience.isHanging(hanging)).toBe(false);
    expect([set.resources.blocks.lentBytes, set.resources.readBlocks.lentBytes]).toEqual([0, 0]);
    for (const key of ["a", "b", "c", "new", "large-1"]) {
      await timed(clock, healKey(set, { bucket: "bucket", path: key }, pools.locks, { deep: true }));
      const again = await timed(clock, healKey(set, { bucket: "bucket", path: key }, pools.locks, { deep: true }));
      expect([seed, key, again.value.healed]).toEqual([seed, key, []]);
    }
  }
}, 60_000);

/** A drive hangs: both its files and its key index. What ends that. */
function hang({ disk, tables }: Slow, drive: string): () => void {
  const lift = disk.fail({ prefix: drive, effect: "hang" });
  const { promise, resolve } = Promise.withResolvers<void>();
  tables.hanging.set(`${drive}/`, promise);
  return () => {
    tables.hanging.clear();
    resolve();
    lift();
  };
}

test("listings, of indexes and walked, usage and the buckets wait once for a drive that hangs", async () => {
  const asked = listRequest();
  const keys = contents().map(([key]) => key);
  const questions: Record<string, (pools: Slow["pools"]) => Promise<unknown>> = {
    index: async (pools) => (await pools.list(asked)).entries.map((entry) => entry.key),
    walk: async (pools) => (await walked(pools, asked)).entries.map((entry) => entry.key),
    usage: async (pools) => (await pools.usage("bucket"))?.objects,
    buckets: async (pools) => (await pools.listBuckets()).map((bucket) => bucket.name),
  };
  const answers = { index: keys, walk: keys, usage: keys.length, buckets: ["bucket"] };
  const names = Object.keys(questions) as (keyof typeof answers)[];
  for (let seed = 1; seed <= 16; seed++) {
    const slow = await cold(seed, true);
    const { pools, set, clock } = slow;
    const hanging = seed % 4;
    const lift = hang(slow, DRIVES[hanging] as string);
    const order = names.map((_, i) => names[(i + (seed >> 2)) % names.length] as keyof typeof answers);
    let sum = 0;
    const before = slow.tables.reads;
    for (const name of [...order, ...order]) {
      const { value, ms } = await timed(clock, (questions[name] as (pools: Slow["pools"]) => Promise<unknown>)(pools));
      expect([seed, name, value]).toEqual([seed, name, answers[name]]);
      sum += ms;
    }
    expect(slow.tables.reads).toBeGreaterThan(before + order.length); // listings are of the indexes
    expect({ seed, order, sum: sum <= ONCE_MS || sum }).toEqual({ seed, order, sum: true });
    expect([seed, set.patience.isHanging(hanging)]).toEqual([seed, true]);
    lift();
    await clock.advance(1_000);
    expect([seed, set.patience.isHanging(hanging)]).toEqual([seed, false]);
  }
}, 60_000);

test("a listing that a drive does not go on with begins its page again without it", async () => {
  for (let seed = 1; seed <= 8; seed++) {
    const { pools, set, clock } = await cold(seed, true);
    for (const key of ["a", "b", "c", "d"])
      await timed(
        clock,
        pools.commit({
          bucket: "bucket",
          key,
          reads: "latest",
          signal: NO_SIGNAL,
          decide: () => ({ kind: "delete-marker", versionId: randomUUID() }),
        }),
      ); // what a first look at the indexes finds is not shown
    await timed(clock, pools.background.idle());
    const drive = set.drives[seed % 2] as GuardedDrive;
    const list = drive.list.bind(drive);
    const { promise: lifted, resolve: lift } = Promise.withResolvers<void>();
    let calls = 0;
    drive.list = async (asked) => {
      if (++calls === 2) await lifted;
      return await list(asked);
    };
    const page = await timed(clock, pools.list(listRequest({ limit: 2 })));
    expect([seed, calls, page.value.entries.map((entry) => entry.key)]).toEqual([seed, 2, ["e", "f"]]);
    expect({ seed, ms: page.ms <= ONCE_MS || page.ms }).toEqual({ seed, ms: true });
    expect([seed, set.patience.isHanging(seed % 2)]).toEqual([seed, true]);
    lift();
    await clock.advance(10);
    expect([seed, set.patience.isHanging(seed % 2)]).toEqual([seed, false]);
  }
}, 60_000);

test("data that hang are read from other drives, and their memory is nobody's until they come", async () => {
  for (let seed = 1; seed <= 8; seed++) {
    const { pools, set, disk, clock, damage } = await cold(seed);
    const lift = disk.fail({ prefix: DRIVES[seed % 4] as string, effect: "hang", ops: [Op.readFrame] });
    let sum = 0;
    for (const key of ["large-1", "large-2", "large-1", "large-2"]) {
      const { value, ms } = await timed(clock, getBytes(pools, key));
      expect([seed, key, value?.equals(LARGE)]).toEqual([seed, key, true]);
      sum += ms;
    }
    const wasAsked = sum > READ_PATIENCE_MS; // it may hold parity alone
    expect({ seed, sum: sum <= 2 * ONCE_MS || sum }).toEqual({ seed, sum: true });
    expect([seed, set.resources.readBlocks.strayBytes > 0]).toEqual([seed, wasAsked]);
    lift();
    await clock.advance(1_000);
    expect([seed, set.resources.readBlocks.strayBytes, damage]).toEqual([seed, 0, []]); // slow is not damaged
  }
}, 60_000);

test("nor is a drive that hangs from its data on asked in vain for what it knows", async () => {
  let asked = 0;
  for (let seed = 1; seed <= 8; seed++) {
    const { pools, disk, clock } = await cold(seed);
    const prefix = DRIVES[seed % 4] as string;
    let wasAsked = false;
    const effect = async (): Promise<void> => {
      wasAsked = true;
      disk.fail({ prefix, effect: "hang" });
      await Promise.withResolvers<void>().promise;
    };
    disk.fail({ prefix, effect, ops: [Op.readFrame] });
    for (const key of ["large-1", "large-2"]) {
      const { value, ms } = await timed(clock, getBytes(pools, key));
      expect([seed, key, value?.equals(LARGE)]).toEqual([seed, key, true]);
      expect({ seed, key, ms: ms <= 2 * ONCE_MS || ms }).toEqual({ seed, key, ms: true });
    }
    asked += Number(wasAsked);
  }
  expect(asked).toBeGreaterThan(0);
}, 60_000);

test("a drive that is slow but needed is waited for: nobody hears of a quorum that is there", async () => {
  for (let seed = 1; seed <= 8; seed++) {
    const { pools, disk, clock } = await cold(seed);
    const slow = { effect: () => clock.sleep(5 * READ_PATIENCE_MS), ops: [Op.open, Op.readFile, Op.readFrame] };
    for (const drive of DRIVES.slice(0, 3)) disk.fail({ prefix: drive, ...slow });
    for (const [key, bytes] of contents().slice(4)) {
      const { value, ms } = await timed(clock, getBytes(pools, key));
      expect([seed, key, value]).toEqual([seed, key, bytes]);
      expect(ms).toBeGreaterThan(READ_PATIENCE_MS);
    }
    await timed(clock, deleteKey(pools, "a"));
    expect((await timed(clock, getBytes(pools, "a"))).value).toBeNull();
    expect((await timed(clock, getBytes(pools, "missing"))).value).toBeNull();
  }
}, 60_000);

test("where all drives are slow it is the load: none is asked for more than without patience", async () => {
  for (let seed = 1; seed <= 8; seed++) {
    const { pools, set, disk, clock } = await cold(seed);
    let reads = 0;
    const effect = (): Promise<void> => {
      reads++;
      return clock.sleep(3 * READ_PATIENCE_MS);
    };
    for (const drive of DRIVES) disk.fail({ prefix: drive, effect, ops: [Op.readFrame] });
    const got = await timed(clock, Promise.all(["large-1", "large-2"].map((key) => getBytes(pools, key))));
    expect(got.value.map((bytes) => bytes?.equals(LARGE))).toEqual([true, true]);
    expect([seed, DRIVES.map((_, position) => set.patience.isHanging(position))]).toEqual([
      seed,
      [false, false, false, false],
    ]);
    expect([seed, reads]).toEqual([seed, 2 * 4 * 2]); // objects, blocks, data shards
  }
}, 60_000);

test("too few drives that answer are no verdict, whatever the patience", async () => {
  const { pools, disk, clock } = await cold(3);
  for (const drive of DRIVES.slice(0, 3)) disk.fail({ prefix: drive, effect: "hang" });
  const read = getBytes(pools, "a").then(
    () => "read",
    (error: unknown) => (error instanceof QuorumError ? error.code : String(error)),
  );
  const { value, ms } = await timed(clock, read);
  expect(value).toBe("ReadQuorum");
  expect(ms).toBeGreaterThanOrEqual(DEADLINE_MS); // until then it might have been answered
});
