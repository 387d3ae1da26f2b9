/** A drive that slept through a delete or a change of metadata: nothing rises from the dead, and its word does not count. */
import { expect, test } from "bun:test";
import { HealQueue } from "../../src/background/heal-queue.ts";
import { healDrives } from "../../src/background/drive-healer.ts";
import { healKey } from "../../src/erasure/heal-version.ts";
import type { LocalDrive } from "../../src/storage/local-drive.ts";
import { unmarkRebuild } from "../../src/storage/rebuild-mark.ts";
import { Errno } from "../../src/sys/disk.ts";
import { clock, codec, keptStore, type KeptStore, quietLog, signal, unlike } from "./kept-store.ts";
import { seededRng } from "./seeded.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import {
  deleteKey,
  DRIVES,
  getBytes,
  NO_SIGNAL,
  putBytes,
  simulatedStore,
  type SimulatedStore,
  tagKey,
  tagOf,
} from "./simulated-store.ts";

const KEY = { bucket: "bucket", path: "k" };
const V1 = "11111111-1111-4111-8111-111111111111";
const V2 = "22222222-2222-4222-8222-222222222222";

/** Keys of the kinds that a drive can miss the end of, deleted while the first drive refuses writes. */
async function deletedWithout(disk: SimulatedDisk, { pools }: SimulatedStore): Promise<void> {
  await pools.makeBucket("bucket");
  await putBytes(pools, "k", Buffer.alloc(900_000, "k"));
  await putBytes(pools, "small", Buffer.alloc(900, "s"));
  await putBytes(pools, "versions", Buffer.alloc(800_000, "1"), V1);
  await putBytes(pools, "versions", Buffer.alloc(2_000, "2"), V2);
  await pools.background.idle();
  const lift = disk.fail({ prefix: "/d1", effect: Errno.EROFS });
  await deleteKey(pools, "k");
  await deleteKey(pools, "small");
  await pools.commit({
    bucket: "bucket",
    key: "versions",
    reads: "latest",
    signal: NO_SIGNAL,
    decide: () => ({ kind: "delete-version", versionId: V1 }),
  });
  await pools.background.idle();
  lift();
}

/** What each drive holds of a key: its version ids, or none. */
async function heldBy({ set }: SimulatedStore, path: string): Promise<number> {
  const states = await set.each((drive) => drive.read({ bucket: "bucket", path }));
  return states.filter((o) => o.ok && o.value.meta !== null).length;
}

async function judge(store: SimulatedStore): Promise<void> {
  expect([await getBytes(store.pools, "k"), await getBytes(store.pools, "small")]).toEqual([null, null]);
  expect((await getBytes(store.pools, "versions"))?.length).toBe(2_000);
  expect(await store.pools.readVersion("bucket", "versions", V1)).toBeNull();
}

/** The other drives are replaced by empty ones and rebuilt, one after the other, with a restart each time. */
async function replaceTheOthers(
  disk: SimulatedDisk,
  reopen: (disk: SimulatedDisk, seed: number) => Promise<SimulatedStore>,
): Promise<SimulatedStore> {
  let now = disk;
  let store = await reopen((now = now.fork(20)), 20);
  for (const [i, prefix] of DRIVES.slice(1).entries()) {
    await closeAll(store);
    now = now.fork(21 + i);
    now.wipe(prefix);
    store = await reopen(now, 21 + i);
    expect((await healDrives(store.pools, { deep: false, signal })).failed).toBe(0);
    await unmarkRebuild(now, prefix);
    store.set.rebuilding.clear();
    await judge(store);
  }
  return store;
}
async function closeAll(store: SimulatedStore): Promise<void> {
  await store.pools.background.idle();
  for (const drive of store.drives) await drive?.close();
}

test("a delete that a drive missed reaches it by its debt, and the key stays gone while the others are replaced", async () => {
  const disk = SimulatedDisk.create(codec, 1, DRIVES);
  const store = await keptStore(disk, 1);
  await deletedWithout(disk, store);
  expect([await heldBy(store, "k"), await heldBy(store, "small")]).toEqual([1, 1]);
  await store.replay.round(signal);
  expect([await heldBy(store, "k"), await heldBy(store, "small")]).toEqual([0, 0]);
  expect(await unlike(store, ["k", "small", "versions"])).toEqual([]);
  await store.book.close();
  await closeAll(store);
  const last = await replaceTheOthers(disk, keptStore);
  expect([await heldBy(last, "k"), await heldBy(last, "versions")]).toEqual([0, 4]);
});

test("debts outlive a clean stop, and the deletes in them too", async () => {
  const disk = SimulatedDisk.create(codec, 2, DRIVES);
  const store = await keptStore(disk, 2);
  await deletedWithout(disk, store);
  await store.book.close();
  await closeAll(store);
  const again = await keptStore(disk.fork(2), 3);
  expect(again.book.keysOwed()).toBe(3);
  await again.replay.round(signal);
  expect([await heldBy(again, "k"), await heldBy(again, "small"), again.book.keysOwed()]).toEqual([0, 0, 0]);
  expect(await unlike(again, ["k", "small", "versions"])).toEqual([]);
});

test("without a debt, settled deletes on most drives are proof enough for any heal", async () => {
  const disk = SimulatedDisk.create(codec, 3, DRIVES);
  const store = await simulatedStore(codec, disk, { clock, rng: seededRng(3) });
  await deletedWithout(disk, store);
  expect((await healKey(store.set, KEY, store.pools.locks, { deep: false })).healed).toEqual([0]);
  expect(await heldBy(store, "k")).toBe(0);
});

test("without any proof a copy that only one drive has stays where it is, and is not given to others", async () => {
  const disk = SimulatedDisk.create(codec, 4, DRIVES);
  const store = await simulatedStore(codec, disk, { clock, rng: seededRng(4) });
  await deletedWithout(disk, store);
  await closeAll(store);
  const last = await replaceTheOthers(disk, (now, seed) => simulatedStore(codec, now, { clock, rng: seededRng(seed) }));
  expect(await heldBy(last, "k")).toBe(1);
});

test("a key that was written again after the missed delete is not taken away by it", async () => {
  const disk = SimulatedDisk.create(codec, 5, DRIVES);
  const store = await keptStore(disk, 5);
  await deletedWithout(disk, store);
  await putBytes(store.pools, "k", Buffer.alloc(700_000, "again"));
  await store.pools.background.idle();
  await store.replay.round(signal);
  expect(await unlike(store, ["k", "small", "versions"])).toEqual([]);
  expect((await getBytes(store.pools, "k"))?.length).toBe(700_000);
});

test("a drive that missed a change of metadata does not outvote one that took it", async () => {
  for (let seed = 1; seed <= 4; seed++) {
    const disk = SimulatedDisk.create(codec, seed, DRIVES);
    const store: KeptStore = await keptStore(disk, seed);
    await store.pools.makeBucket("bucket");
    await putBytes(store.pools, "k", Buffer.alloc(3000, "k"));
    await tagKey(store.pools, "k", `old=${seed}`);
    await store.pools.background.idle();
    const lift = disk.fail({ prefix: "/d1", effect: Errno.EROFS });
    await tagKey(store.pools, "k", `new=${seed}`);
    await store.pools.background.idle();
    lift();
    // It is back; two that took the change are not there: one answer against one.
    const drives = store.set.drives as (LocalDrive | null)[];
    const away = [1, 2].map((i) => [i, drives[i] as LocalDrive] as const);
    for (const [i] of away) drives[i] = null;
    expect(await tagOf(store.pools, "k")).toBe(`new=${seed}`);
    for (const [i, drive] of away) drives[i] = drive;
    await store.replay.round(signal);
    expect(await unlike(store, ["k"])).toEqual([]);
  }
});

test("the queue of repairs takes away what a missed delete left, as soon as somebody reads the key", async () => {
  const disk = SimulatedDisk.create(codec, 7, DRIVES);
  const store = await keptStore(disk, 7);
  await deletedWithout(disk, store);
  const queue = new HealQueue(clock, quietLog, async (damage) => {
    const { healed } = await healKey(store.set, damage, store.pools.locks, { deep: false });
    return healed.length;
  });
  expect(await getBytes(store.pools, "k")).toBeNull();
  for (const damage of store.damage.filter(({ path }) => path === "k")) queue.report(damage);
  await queue.idle();
  await queue.stop();
  expect(await heldBy(store, "k")).toBe(0);
});
