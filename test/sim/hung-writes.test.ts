/**
 * A drive that hangs under large bodies and uploads: the writes that it holds up go on without it after a moment, the others at once; what
 * it missed it is owed, what it was given it lets go of, and an upload is whole whoever missed which of its steps.
 */
import { expect, test } from "bun:test";
import { loadCodec } from "../../src/codec/native.ts";
import type { Committed, DebtSink } from "../../src/erasure/damage.ts";
import { healKey } from "../../src/erasure/heal-version.ts";
import { HANGS_MS } from "../../src/erasure/late-answers.ts";
import { READ_PATIENCE_MS, WRITE_PATIENCE_MS } from "../../src/erasure/patience.ts";
import { Op } from "../../src/sys/disk.ts";
import { type SimulatedClock, timed } from "./seeded.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import { DRIVES, getBytes, guardedStore, putBytes, type SimulatedStore } from "./simulated-store.ts";
import { beginUpload, completeUpload, sendPart } from "./upload-steps.ts";

const codec = loadCodec();
const DEADLINE_MS = 30_000;
const A_MOMENT_MS = WRITE_PATIENCE_MS * 1.25;
/** Of what waits for no data: the rounds of commits, and reads. */
const AT_ONCE_MS = 2 * HANGS_MS + 3 * READ_PATIENCE_MS;
const LARGE = Buffer.alloc(3_500_000, "some blocks ");
const SEEDS = 8;

interface Hung extends SimulatedStore {
  readonly disk: SimulatedDisk;
  readonly clock: SimulatedClock;
  /** The position of the drive that hangs. */
  readonly position: number;
  /** What it was owed. */
  readonly owed: string[];
}

async function hung(seed: number): Promise<Hung> {
  const disk = SimulatedDisk.create(codec, seed, DRIVES);
  const store = await guardedStore(codec, disk, { seed, deadlineMs: DEADLINE_MS });
  const position = seed % DRIVES.length;
  const owed: string[] = [];
  const debt: DebtSink = {
    owe({ key }: Committed, positions): void {
      if (key.bucket === "bucket") for (const of of positions) owed.push(`${key.path} ${of}`);
    },
    behind: () => null,
    removed: () => null,
  };
  store.set.debt = debt;
  return { ...store, disk, position, owed };
}

/** The drive answers again: after a heal each key is whole, and nothing is left of what it was given in vain. */
async function expectWholeAfter(lift: () => void, store: Hung, known: ReadonlyMap<string, Buffer>): Promise<void> {
  const { pools, set, disk, clock, position } = store;
  lift();
  await clock.advance(60_000); // a guard looks after its drive again
  await timed(clock, pools.background.idle());
  const { blocks, readBlocks } = set.resources;
  expect([blocks, readBlocks].map((pool) => pool.lentBytes + pool.strayBytes)).toEqual([0, 0]);
  expect([set.writePatience.isHanging(position), set.patience.isHanging(position)]).toEqual([false, false]);
  for (const drive of DRIVES) {
    const staged = disk.tree(`${drive}/.minio.sys/tmp`).filter((name) => !name.startsWith("."));
    expect({ drive, staged }).toEqual({ drive, staged: [] });
  }
  for (const [path, bytes] of known) {
    const key = { bucket: "bucket", path };
    await timed(clock, healKey(set, key, pools.locks, { deep: true }));
    const again = await timed(clock, healKey(set, key, pools.locks, { deep: true }));
    expect([path, again.value.healed]).toEqual([path, []]);
    expect([path, (await timed(clock, getBytes(pools, path))).value?.equals(bytes)]).toEqual([path, true]);
  }
}

test("large bodies under way wait a moment for a drive that hangs, the next ones not at all", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const store = await hung(seed);
    const { pools, clock, disk, set, position, owed } = store;
    const lift = disk.fail({ prefix: DRIVES[position] as string, effect: "hang" });
    const known = new Map<string, Buffer>();
    const put = (key: string, bytes: Buffer): Promise<void> => {
      known.set(key, bytes);
      return putBytes(pools, key, bytes);
    };
    const first = await timed(
      clock,
      Promise.all([put("one", LARGE), put("two", LARGE), put("whole", LARGE.subarray(9e5))]),
    );
    expect({ seed, first: first.ms <= A_MOMENT_MS + AT_ONCE_MS || first.ms }).toEqual({ seed, first: true });
    expect([seed, set.writePatience.isHanging(position)]).toEqual([seed, true]);
    for (const [i, size] of [3_500_000, 600_000, 2_000_000].entries()) {
      const { ms } = await timed(clock, put(`next-${i}`, LARGE.subarray(0, size)));
      expect({ seed, i, next: ms <= 1 || ms }).toEqual({ seed, i, next: true });
    }
    const { lentBytes, strayBytes } = set.resources.blocks; // what it holds is beside what others may have
    expect([seed, lentBytes, strayBytes > 0]).toEqual([seed, 0, true]);
    expect([seed, owed.toSorted()]).toEqual([seed, [...known.keys()].map((key) => `${key} ${position}`).toSorted()]);
    await expectWholeAfter(lift, store, known);
  }
}, 60_000);

test("a drive that hangs in the middle of a body is left out of it", async () => {
  for (const op of [Op.append, Op.flush, Op.open]) {
    for (let seed = 1; seed <= 4; seed++) {
      const store = await hung(seed + 20);
      const { pools, clock, disk, position, owed } = store;
      let steps = 0;
      const { promise: lifted, resolve: lift } = Promise.withResolvers<void>();
      const effect = (): Promise<void> => (++steps > seed ? lifted : Promise.resolve());
      disk.fail({ prefix: `${DRIVES[position] as string}/.minio.sys/tmp`, effect, ops: [op] });
      const keys = ["a", "b", "c", "d", "e"];
      let sum = 0;
      for (const key of keys) sum += (await timed(clock, putBytes(pools, key, LARGE))).ms;
      expect({ op, seed, sum: sum <= A_MOMENT_MS + AT_ONCE_MS || sum }).toEqual({ op, seed, sum: true });
      expect([op, seed, owed.length > 0]).toEqual([op, seed, true]);
      await expectWholeAfter(lift, store, new Map(keys.map((key) => [key, LARGE])));
    }
  }
}, 60_000);

test("an upload begins, takes its parts and ends without a drive that hangs", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const store = await hung(seed + 40);
    const { pools, clock, disk, position, owed } = store;
    const parts = [Buffer.alloc(400_000, "one "), Buffer.alloc(1_300_000, "two ")];
    const upload = { key: "uploaded", id: "" };
    const steps: [string, () => Promise<unknown>][] = [
      ["begin", async () => (upload.id = await beginUpload(pools, "uploaded"))],
      ["part 1", () => sendPart(pools, upload, 1, parts[0] as Buffer)],
      ["part 2", () => sendPart(pools, upload, 2, parts[1] as Buffer)],
      ["part 2 again", () => sendPart(pools, upload, 2, parts[1] as Buffer)],
      ["complete", () => completeUpload(pools, upload)],
    ];
    const from = seed % (steps.length - 1);
    let lift: () => void = () => undefined;
    let sum = 0;
    for (const [i, [name, run]] of steps.entries()) {
      if (i === from) lift = disk.fail({ prefix: DRIVES[position] as string, effect: "hang" });
      const { ms } = await timed(clock, run());
      sum += ms;
      expect({ seed, name, ms: ms <= A_MOMENT_MS + AT_ONCE_MS || ms }).toEqual({ seed, name, ms: true });
    }
    expect({ seed, sum: sum <= A_MOMENT_MS + 4 * AT_ONCE_MS || sum }).toEqual({ seed, sum: true });
    expect([seed, owed]).toEqual([seed, [`uploaded ${position}`]]);
    await expectWholeAfter(lift, store, new Map([["uploaded", Buffer.concat(parts)]]));
    for (const drive of DRIVES) {
      const left = disk.tree(`${drive}/.minio.sys/multipart`);
      expect({ seed, drive, left }).toEqual({ seed, drive, left: [] });
    }
  }
}, 60_000);

test("buckets come and go without a drive that hangs", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const store = await hung(seed + 80);
    const { pools, clock, disk, position } = store;
    await pools.makeBucket("old");
    await putBytes(pools, "before", LARGE);
    const lift = disk.fail({ prefix: DRIVES[position] as string, effect: "hang" });
    let sum = 0;
    const within = async <T>(work: Promise<T>): Promise<T> => {
      const { value, ms } = await timed(clock, work);
      sum += ms;
      return value;
    };
    expect(await within(pools.makeBucket("new"))).toBe(true);
    expect(await within(pools.removeBucket("old"))).toBe("gone");
    expect(await within(pools.makeBucket("old"))).toBe(true);
    expect(await within(pools.removeBucket("bucket"))).toBe("not-empty");
    expect({ seed, sum: sum <= A_MOMENT_MS + AT_ONCE_MS || sum }).toEqual({ seed, sum: true });
    await expectWholeAfter(lift, store, new Map([["before", LARGE]]));
    const names = (await pools.listBuckets()).map(({ name }) => name);
    expect([seed, names]).toEqual([seed, ["bucket", "new", "old"]]);
  }
}, 60_000);

test("a drive that is slow is left out of nothing, nor are so many that the others are too few", async () => {
  const slow = WRITE_PATIENCE_MS * 0.9;
  for (const [positions, ms] of [
    [[1], slow],
    [[1, 2], 2 * WRITE_PATIENCE_MS],
  ] as const) {
    const store = await hung(60);
    const { pools, clock, disk, owed } = store;
    for (const position of positions)
      disk.fail({ prefix: DRIVES[position] as string, effect: () => clock.sleep(ms), ops: [Op.append] });
    const { ms: took } = await timed(clock, putBytes(pools, "key", LARGE));
    expect({ positions, waited: took >= 3 * ms || took }).toEqual({ positions, waited: true });
    expect({ positions, owed }).toEqual({ positions, owed: [] });
  }
}, 60_000);
