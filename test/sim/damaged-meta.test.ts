/** An xl.meta that a drive reads wrong, once or for good: nothing that it may hold is lost by a write or a heal (ADR 0018). */
import { expect, test } from "bun:test";
import { healDrives } from "../../src/background/drive-healer.ts";
import type { Drive } from "../../src/storage/drive.ts";
import { Errno } from "../../src/sys/disk.ts";
import { codec, keptStore, type KeptStore, signal, unlike } from "./kept-store.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import { DRIVES, getBytes, putBytes } from "./simulated-store.ts";

const V1 = "11111111-1111-4111-8111-111111111111";
const V2 = "22222222-2222-4222-8222-222222222222";
const FIRST = Buffer.alloc(500_000, "first"); // beside xl.meta, so that what is flipped there is no shard
const SECOND = Buffer.alloc(900, "second");

async function flushed(store: KeptStore): Promise<void> {
  await store.pools.background.idle();
  for (const drive of store.drives) await drive?.flush();
}
async function sizeOf({ pools }: KeptStore, versionId: string): Promise<number | string | undefined> {
  return await pools.readVersion("bucket", "k", versionId).then(
    (version) => version?.sizeBytes,
    (error: { code: string }) => error.code,
  );
}
function damage(disk: SimulatedDisk, drive: string): void {
  disk.damage(`${drive}/bucket/k/xl.meta`, 40);
}

/** The first version is on all drives but the third. */
async function withoutThird(disk: SimulatedDisk, seed: number): Promise<KeptStore> {
  const store = await keptStore(disk, seed);
  await store.pools.makeBucket("bucket");
  const lift = disk.fail({ prefix: "/d3", effect: Errno.EROFS });
  await putBytes(store.pools, "k", FIRST, V1);
  await store.pools.background.idle();
  lift();
  return store;
}

for (const effect of ["flip", Errno.EIO] as const)
  test(`a read that goes wrong once (${effect}) under a put takes nothing from the drive`, async () => {
    const disk = SimulatedDisk.create(codec, 1, DRIVES);
    const store = await keptStore(disk, 1);
    await store.pools.makeBucket("bucket");
    await putBytes(store.pools, "k", FIRST, V1);
    await flushed(store);
    for (const drive of ["/d3", "/d4"]) disk.discard(`${drive}/bucket/k`); // the other two have just enough
    disk.fail({ prefix: "/d1/bucket/k/xl.meta", effect, times: 1 });
    await putBytes(store.pools, "k", SECOND, V2);
    await store.pools.background.idle();
    expect(store.book.owes(0)).toBe(true);
    expect([await sizeOf(store, V1), await sizeOf(store, V2)]).toEqual([FIRST.length, SECOND.length]);
    await store.replay.round(signal);
    expect([store.book.keysOwed(), await unlike(store, ["k"])]).toEqual([0, []]);
    await store.book.close();
  });

for (let count = 1; count <= DRIVES.length; count++)
  test(`a put is taken over an xl.meta that ${count} of four drives cannot read, and they are owed it`, async () => {
    const disk = SimulatedDisk.create(codec, count, DRIVES);
    const store = await keptStore(disk, count);
    await store.pools.makeBucket("bucket");
    await putBytes(store.pools, "k", FIRST);
    await flushed(store);
    for (const drive of DRIVES.slice(0, count)) damage(disk, drive);
    await putBytes(store.pools, "k", SECOND);
    await store.pools.background.idle();
    expect(DRIVES.map((_, position) => store.book.owes(position))).toEqual(DRIVES.map((_, i) => i < count));
    expect((await getBytes(store.pools, "k"))?.equals(SECOND)).toBe(true);
    await store.replay.round(signal);
    expect([store.book.keysOwed(), await unlike(store, ["k"])]).toEqual([0, []]);
    await store.book.close();
  });

test("a drive that began anew is no witness against what it held before, until that is known and given to it", async () => {
  const disk = SimulatedDisk.create(codec, 7, DRIVES);
  const store = await withoutThird(disk, 7);
  await store.replay.round(signal).then(() => store.book.flush());
  await flushed(store);
  disk.discard("/d3/bucket/k"); // as if it had not been given it
  damage(disk, "/d2");
  const drives = store.set.drives as (Drive | null)[];
  const away = drives[3] as Drive;
  drives[3] = null;
  await putBytes(store.pools, "k", SECOND, V2); // needs all that are there
  await store.pools.background.idle();
  expect([await sizeOf(store, V1), await sizeOf(store, V2)]).toEqual(["ReadQuorum", SECOND.length]);
  await store.replay.round(signal);
  expect([await sizeOf(store, V1), store.book.owes(1)]).toEqual(["ReadQuorum", true]);
  drives[3] = away;
  store.replay.wake();
  await store.replay.round(signal);
  expect([await sizeOf(store, V1), store.book.keysOwed()]).toEqual([FIRST.length, 0]);
  expect(await unlike(store, ["k"])).toEqual([]);
  await store.replay.stop();
  await store.book.close();
});

test("a heal leaves an xl.meta that cannot be read while a drive is away that may know what was in it", async () => {
  const disk = SimulatedDisk.create(codec, 9, DRIVES);
  const store = await withoutThird(disk, 9);
  store.set.debt = null; // that the third drive missed one is not known any more
  await putBytes(store.pools, "k", SECOND, V2);
  await flushed(store);
  damage(disk, "/d2");
  const drives = store.set.drives as (Drive | null)[];
  const away = drives[3] as Drive;
  drives[3] = null;
  await healDrives(store.pools, { deep: true, signal });
  expect([await sizeOf(store, V1), await sizeOf(store, V2)]).toEqual(["ReadQuorum", SECOND.length]);
  drives[3] = away;
  expect(await sizeOf(store, V1)).toBe(FIRST.length);
  await healDrives(store.pools, { deep: true, signal });
  expect(await unlike(store, ["k"])).toEqual([]);
  await store.book.close();
});
