/**
 * Sets that lose drives and processes: what was acknowledged stays, whatever its quorum was; what was not is old or new;
 * no key stays refused when its drives are back.
 */
import { expect, test } from "bun:test";
import { loadCodec } from "../../src/codec/native.ts";
import { KeyLock } from "../../src/core/key-lock.ts";
import { sourceOf } from "../../src/core/byte-stream.ts";
import { QuorumError } from "../../src/core/quorum-error.ts";
import { healKey } from "../../src/erasure/heal-version.ts";
import { Pools } from "../../src/erasure/pools.ts";
import { resolveDoubt } from "../../src/erasure/resolve-doubt.ts";
import { Errno, Op } from "../../src/sys/disk.ts";
import { type Clock, realClock } from "../../src/sys/clock.ts";
import { seededRng } from "./seeded.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import {
  deleteKey,
  DRIVES,
  getBytes,
  mounts,
  NO_SIGNAL,
  putBytes,
  type SimulatedStore,
  simulatedStore,
  type StoreShape,
  tagKey,
  tagOf,
} from "./simulated-store.ts";

const codec = loadCodec();
const clock = realClock();
const OLD = Buffer.alloc(3000, "old");
const NEW = Buffer.alloc(3500, "new");
const BIG = Buffer.alloc(900_000, "big!");
const KEY = { bucket: "bucket", path: "k" };
let opened = 0;

async function open(disk: SimulatedDisk, shape: StoreShape = {}): Promise<SimulatedStore> {
  return await simulatedStore(codec, disk, { clock, rng: seededRng(++opened) }, shape);
}
async function fresh(seed: number, shape: StoreShape = {}): Promise<{ disk: SimulatedDisk } & SimulatedStore> {
  const disk = SimulatedDisk.create(codec, seed, (shape.pools ?? [DRIVES]).flat());
  const store = await open(disk, shape);
  await store.pools.makeBucket("bucket");
  return { disk, ...store };
}
const outcomeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "done",
    (error: unknown) => (error instanceof QuorumError ? error.code : String(error)),
  );
const isSame = (a: Buffer | null, b: Buffer | null): boolean => (a === null || b === null ? a === b : a.equals(b));

// ---- quorums of different operations

/** Sets whose deletes need fewer drives than their writes: default layouts of large sets among them. */
const WIDE = [
  { drives: 8, parity: 2 },
  { drives: 16, parity: 4 },
] as const;

for (const { drives, parity } of WIDE) {
  const shape: StoreShape = { pools: [mounts(drives)], parity, reducedParity: parity };
  const needed = Math.floor(drives / 2) + 1;
  const what = `of ${drives} drives with parity ${parity}`;

  test(`a delete that just ${needed} ${what} took stays, before it is settled and after a crash of all`, async () => {
    const { disk, pools, set } = await fresh(drives, shape);
    await putBytes(pools, "k", BIG);
    await pools.background.idle();
    const pin = set.pin(KEY); // somebody reads: the settle waits
    const lift = mounts(drives)
      .slice(needed)
      .map((prefix) => disk.fail({ prefix, effect: Errno.EROFS }));
    await deleteKey(pools, "k");
    for (const undo of lift) undo();
    expect(await getBytes(pools, "k")).toBeNull();
    const restarted = await open(disk.afterCrash(1, "ordered"), shape);
    expect(await getBytes(restarted.pools, "k")).toBeNull();
    pin[Symbol.dispose]();
  });

  test(`tags that just ${needed} ${what} took are there after a crash, and the data too`, async () => {
    const { disk, pools, set } = await fresh(drives + 1, shape);
    await putBytes(pools, "k", BIG);
    await pools.background.idle();
    const pin = set.pin(KEY);
    const lift = mounts(drives)
      .slice(needed)
      .map((prefix) => disk.fail({ prefix, effect: Errno.EROFS }));
    await tagKey(pools, "k", "a=b");
    for (const undo of lift) undo();
    expect(await tagOf(pools, "k")).toBe("a=b");
    expect(isSame(await getBytes(pools, "k"), BIG)).toBe(true);
    const restarted = await open(disk.afterCrash(2, "ordered"), shape);
    expect(await tagOf(restarted.pools, "k")).toBe("a=b");
    expect(isSame(await getBytes(restarted.pools, "k"), BIG)).toBe(true);
    pin[Symbol.dispose]();
  });

  test(`a system document, coded with half parity, that just ${needed} ${what} took stays after a crash`, async () => {
    const { disk, pools } = await fresh(drives + 2, shape);
    await pools.writeDocument("config/x", OLD);
    await pools.background.idle();
    for (const prefix of mounts(drives).slice(needed)) disk.fail({ prefix, effect: Errno.EROFS });
    await pools.writeDocument("config/x", NEW);
    const restarted = await open(disk.afterCrash(3, "ordered"), shape);
    expect(isSame(Buffer.from((await restarted.pools.readDocument("config/x")) ?? []), NEW)).toBe(true);
  });
}

test("a write that too few drives took for its own class is not there after a crash", async () => {
  // 3+1 needs three of four, as 2+2 does; 7+1 of eight needs seven where 4+4 needs five.
  const shape: StoreShape = { pools: [mounts(8)], parity: 4, reducedParity: 1 };
  const { disk, pools } = await fresh(77, shape);
  await putBytes(pools, "k", OLD, "null", "REDUCED_REDUNDANCY");
  await pools.background.idle();
  for (const prefix of mounts(8).slice(6)) disk.fail({ prefix, effect: Errno.EIO });
  expect(await outcomeOf(putBytes(pools, "k", NEW, "null", "REDUCED_REDUNDANCY"))).not.toBe("done");
  const restarted = await open(disk.afterCrash(4, "ordered"), shape);
  expect(isSame(await getBytes(restarted.pools, "k"), OLD)).toBe(true);
});

// ---- doubts while the process lives

/** Two drives refuse a write, the two that took it cannot take it back: its outcome is unknown. `step` fails in `how`. */
async function leaveInDoubt(
  store: SimulatedStore & { disk: SimulatedDisk },
  how: { readonly effect: number; readonly op: number } = { effect: Errno.ENOSPC, op: Op.pwrite },
): Promise<void> {
  const { disk, pools } = store;
  const ops = [how.op];
  const lift = ["/d3", "/d4"].map((prefix) => disk.fail({ prefix, effect: how.effect, ops }));
  const undo = ["/d1", "/d2"].map((prefix) => disk.fail({ prefix, effect: how.effect, ops, skip: 1 }));
  expect(await outcomeOf(putBytes(pools, "k", NEW))).toBe("OutcomeUnknown");
  for (const stop of [...lift, ...undo]) stop();
}

test("a key that a failed write left in doubt is written again as soon as its drives answer", async () => {
  for (const blind of [true, false]) {
    const store = await fresh(5);
    await putBytes(store.pools, "k", OLD);
    await store.pools.background.idle();
    await leaveInDoubt(store);
    expect(isSame(await getBytes(store.pools, "k"), OLD)).toBe(true);
    const work = blind ? putBytes(store.pools, "k", BIG) : deleteKey(store.pools, "k");
    expect({ blind, outcome: await outcomeOf(work) }).toEqual({ blind, outcome: "done" });
    expect(isSame(await getBytes(store.pools, "k"), blind ? BIG : null)).toBe(true);
    await store.pools.background.idle();
    expect(store.set.drives.flatMap((drive) => drive?.doubts() ?? [])).toEqual([]);
  }
});

test("drives whose logs cannot be synced take no writes until they are opened again; what they left is decided then", async () => {
  const store = await fresh(9);
  await putBytes(store.pools, "k", OLD);
  await store.pools.background.idle();
  await leaveInDoubt(store, { effect: Errno.EIO, op: Op.fdatasync });
  expect(store.drives.map((drive) => drive?.state)).toEqual(["ok", "ok", "suspect", "suspect"]);
  expect(await outcomeOf(putBytes(store.pools, "other", OLD))).toBe("WriteQuorum");
  for (const order of ["ordered", "any"] as const) {
    const again = await open(store.disk.afterCrash(3, order));
    expect(again.set.drives.flatMap((drive) => drive?.doubts() ?? [])).toEqual([]);
    const now = await getBytes(again.pools, "k");
    expect(isSame(now, OLD) || isSame(now, NEW)).toBe(true);
    await putBytes(again.pools, "k", BIG);
    expect(isSame(await getBytes(again.pools, "k"), BIG)).toBe(true);
  }
});

test("a heal decides what is in doubt before it looks at what is lacking", async () => {
  const store = await fresh(6);
  await putBytes(store.pools, "k", OLD);
  await store.pools.background.idle();
  await leaveInDoubt(store);
  await healKey(store.set, KEY, new KeyLock(), { deep: false });
  expect(store.set.drives.flatMap((drive) => drive?.doubts() ?? [])).toEqual([]);
  expect((await healKey(store.set, KEY, new KeyLock(), { deep: true })).healed).toEqual([]);
  expect(isSame(await getBytes(store.pools, "k"), OLD)).toBe(true);
});

test("a drive whose last sync failed in a committed write is settled with the others, and healed", async () => {
  const { disk, pools, set } = await fresh(7);
  await putBytes(pools, "k", OLD);
  await pools.background.idle();
  const lift = disk.fail({ prefix: "/d4", effect: Errno.EIO, ops: [Op.syncfs], skip: 1, times: 1 });
  await putBytes(pools, "k", NEW);
  lift();
  await pools.background.idle();
  expect(set.drives[3]?.doubts()).toEqual([]);
  expect(await outcomeOf(putBytes(pools, "k", OLD))).toBe("done");
  await pools.background.idle();
  expect((await healKey(set, KEY, pools.locks, { deep: true })).healed).toEqual([]);
});

test("drives with different operations in doubt are all decided at start", async () => {
  const { disk, pools, set } = await fresh(8);
  await putBytes(pools, "k", OLD);
  await pools.background.idle();
  const before = await set.each((drive) => drive.read(KEY));
  for (const [i, drive] of set.drives.slice(0, 3).entries()) {
    const stamp = set.resources.stamps.above(0n);
    const metaUsr = new Map([["X-Amz-Tagging", `t${i}`]]);
    const change = { kind: "patch", versionId: "null", metaUsr, metaSys: new Map() } as const;
    expect(await drive?.commit(KEY, change, { stamp, prior: null, settles: [] })).toMatchObject({
      value: { accepted: true },
    });
  }
  const restarted = await open(disk.fork(1));
  expect(restarted.set.drives.flatMap((drive) => drive?.doubts() ?? [])).toEqual([]);
  const after = await restarted.set.each((drive) => drive.read(KEY));
  for (const [i, state] of after.entries()) {
    const was = before[i];
    if (!state.ok || was?.ok !== true) throw new Error("a drive does not answer");
    expect(state.value.prev).toBeNull();
    expect(Bun.hash(state.value.meta as Uint8Array)).toBe(Bun.hash(was.value.meta as Uint8Array));
  }
});

test("a write that ends unknown because a drive could not bring its data to their place is whole or not there after a restart", async () => {
  const shape = { pools: [["/d1", "/d2", "/d3"]], parity: 1, reducedParity: 1, inlineBytesMax: 0 };
  for (const seed of [70, 71]) {
    const disk = SimulatedDisk.create(codec, seed, ["/d1", "/d2", "/d3"]);
    const { pools } = await simulatedStore(codec, disk, { clock, rng: seededRng(70) }, shape);
    await pools.makeBucket("bucket");
    const lifts = [
      disk.fail({ prefix: "/d1/bucket", effect: Errno.EROFS, ops: [Op.mkdirPath, Op.rename] }),
      disk.fail({ prefix: "/d3/.minio.sys/sherd/log", effect: Errno.ENOSPC }),
    ];
    expect(await outcomeOf(putBytes(pools, "k", BIG))).toBe("OutcomeUnknown");
    for (const lift of lifts) lift();
    await pools.background.idle();
    const again = await simulatedStore(codec, disk.fork(2), { clock, rng: seededRng(71) }, shape);
    const got = await getBytes(again.pools, "k");
    expect(got === null || isSame(got, BIG)).toBe(true);
  }
});

// ---- drives that are replaced, absent or emptied

test("what all four drives took is there after a crash in which two of them are lost and replaced by empty ones", async () => {
  const { disk, pools } = await fresh(9);
  await putBytes(pools, "k", OLD);
  await putBytes(pools, "k", BIG);
  await pools.background.idle();
  const after = disk.afterCrash(1, "ordered");
  for (const prefix of ["/d1", "/d2"]) after.wipe(prefix);
  const restarted = await open(after);
  expect([...restarted.set.rebuilding]).toEqual([0, 1]);
  expect(isSame(await getBytes(restarted.pools, "k"), BIG)).toBe(true);
  expect((await healKey(restarted.set, KEY, restarted.pools.locks, { deep: true })).healed).toEqual([0, 1]);
});

test("what waits for a drive is decided when that drive is back: settled if it has it, taken back if not", async () => {
  for (const took of [true, false]) {
    const { disk, pools } = await fresh(10);
    await putBytes(pools, "k", OLD);
    await pools.background.idle();
    if (took) await putBytes(pools, "k", NEW);
    else {
      // d1 and d2 take it, the world ends before the others do.
      for (const prefix of ["/d3", "/d4"]) disk.fail({ prefix, effect: "hang" });
      const work = outcomeOf(putBytes(pools, "k", NEW));
      for (let i = 0; i < 2000; i++) await Promise.resolve();
      disk.crash();
      expect(await Promise.race([work, Promise.resolve("crashed")])).toBe("crashed");
    }
    const after = disk.fork(1);
    const partly = await open(after, { without: [2, 3] });
    expect({ took, outcome: await outcomeOf(getBytes(partly.pools, "k")) }).toEqual({ took, outcome: "ReadQuorum" });
    expect(await resolveDoubt(partly.set, KEY)).toBe("waiting");
    const whole = await open(after);
    expect({ took, is: isSame(await getBytes(whole.pools, "k"), took ? NEW : OLD) }).toEqual({ took, is: true });
  }
});

test("an object that any two drives lost without knowing is read, not a 404", async () => {
  for (let lost = 1; lost < 16; lost++) {
    const { disk, pools } = await fresh(lost + 100);
    await putBytes(pools, "k", BIG);
    await putBytes(pools, "s", OLD);
    await pools.background.idle();
    const gone = DRIVES.filter((_, i) => ((lost >> i) & 1) === 1);
    if (gone.length > 2) continue;
    for (const drive of gone) for (const key of ["k", "s"]) disk.discard(`${drive}/bucket/${key}`);
    expect({ gone, big: isSame(await getBytes(pools, "k"), BIG) }).toEqual({ gone, big: true });
    expect({ gone, small: isSame(await getBytes(pools, "s"), OLD) }).toEqual({ gone, small: true });
  }
});

// ---- buckets

test("a bucket that got an object while it was removed stays whole on every drive", async () => {
  for (let turns = 0; turns < 400; turns += 9) {
    const { pools, set } = await fresh(turns + 1);
    const writing = outcomeOf(putBytes(pools, "k", OLD));
    for (let i = 0; i < turns; i++) await Promise.resolve();
    const removed = await pools.removeBucket("bucket");
    const written = await writing;
    await pools.background.idle();
    const exists = await pools.bucketExists("bucket");
    if (written === "done") {
      expect({ turns, removed, exists }).toEqual({ turns, removed: "not-empty", exists: true });
      expect({ turns, is: isSame(await getBytes(pools, "k"), OLD) }).toEqual({ turns, is: true });
      for (const drive of set.drives) expect(await drive?.makeBucket("bucket")).toMatchObject({ ok: false });
    } else expect({ turns, removed, exists }).toEqual({ turns, removed: "gone", exists: false });
  }
});

// ---- several pools

test("a delete that the pool with a stale copy refuses changes nothing; one that succeeds leaves no copy", async () => {
  const shape: StoreShape = { pools: [mounts(4, "a"), mounts(4, "b")] };
  const { disk, pools, sets } = await fresh(11, shape);
  for (const [i, bytes] of [NEW, OLD].entries()) {
    // The first pool has the newest, the second a stale copy that a move left behind.
    const alone = { ...pools.options, pools: [pools.options.pools[i] as (typeof pools.options.pools)[number]] };
    const modTimeNs = BigInt(1_700_000_000_000_000_000 - i);
    await putInto(alone, bytes, modTimeNs);
  }
  expect(isSame(await getBytes(pools, "k"), NEW)).toBe(true);
  const lift = mounts(4, "b").map((prefix) => disk.fail({ prefix, effect: Errno.EROFS }));
  expect(await outcomeOf(deleteKey(pools, "k"))).toBe("WriteQuorum");
  for (const undo of lift) undo();
  expect(isSame(await getBytes(pools, "k"), NEW)).toBe(true);
  await deleteKey(pools, "k");
  expect(await getBytes(pools, "k")).toBeNull();
  await pools.background.idle();
  for (const set of sets)
    for (const drive of set.drives) expect(await drive?.readDirectory("bucket", "")).toMatchObject({ value: [] });
});

test("a delete reaches a stale copy that only a drive which does not answer would show", async () => {
  const shape: StoreShape = { pools: [mounts(3, "a"), mounts(3, "b")], parity: 1, reducedParity: 1 };
  const { disk, pools, drives } = await fresh(12, shape);
  const lag = disk.fail({ prefix: mounts(3, "b")[2] as string, effect: Errno.EROFS });
  for (const [i, bytes] of [NEW, OLD].entries()) {
    const alone = { ...pools.options, pools: [pools.options.pools[i] as (typeof pools.options.pools)[number]] };
    await putInto(alone, bytes, BigInt(1_700_000_000_000_000_000 - i));
  }
  await pools.background.idle();
  lag(); // the stale copy is on two drives of three
  for (const drive of drives) await drive?.flush(); // from memory they would answer
  const silent = disk.fail({ prefix: mounts(3, "b")[0] as string, effect: Errno.EIO });
  const deleted = await outcomeOf(deleteKey(pools, "k"));
  silent();
  expect([deleted, (await getBytes(pools, "k"))?.length ?? null]).toEqual(["done", null]);
});

async function putInto(
  options: ConstructorParameters<typeof Pools>[0],
  bytes: Buffer,
  modTimeNs: bigint,
): Promise<void> {
  const pools = new Pools(options);
  await using staged = await pools.stage({
    bucket: "bucket",
    key: "k",
    body: sourceOf(bytes),
    sizeBytes: bytes.length,
    digests: 1,
    storageClass: "STANDARD",
    inline: "unversioned",
    signal: NO_SIGNAL,
  });
  await pools.commit({
    bucket: "bucket",
    key: "k",
    reads: "none",
    signal: NO_SIGNAL,
    decide: () => ({ kind: "put", versionId: "null", staged, metaUsr: new Map(), metaSys: new Map(), modTimeNs }),
  });
  await pools.background.idle();
}

test("a reader who never ends does not keep a bucket of which nothing is left", async () => {
  const disk = SimulatedDisk.create(codec, 1, DRIVES);
  const hurried: Clock = { ...clock, after: (ms, run) => clock.after(Math.min(ms, 50), run) };
  const { pools, set } = await simulatedStore(codec, disk, { clock: hurried, rng: seededRng(++opened) });
  await pools.makeBucket("bucket");
  await putBytes(pools, "k", BIG);
  await pools.background.idle();
  await using reader = await pools.openVersion("bucket", "k");
  await deleteKey(pools, "k");
  expect(await pools.removeBucket("bucket")).toBe("gone");
  expect(await pools.bucketExists("bucket")).toBe(false);
  expect(set.isRead(KEY)).toBe(true);
  const reading = reader?.stream({ write: () => Promise.resolve() }, 0, BIG.length);
  expect(await outcomeOf(Promise.resolve(reading))).toBe("ReadQuorum");
});
