/** Drives that go away and return under writes: they are given what they missed, and nothing else is needed. */
import { expect, test } from "bun:test";
import { Errno } from "../../src/sys/disk.ts";
import { codec, keptStore as open, type KeptStore as Kept, signal, unlike } from "./kept-store.ts";
import { seededRng } from "./seeded.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import { deleteKey, DRIVES, getBytes, putBytes, tagKey } from "./simulated-store.ts";

/** Writes while one drive refuses them; what every key then is. */
async function workWithout(disk: SimulatedDisk, { pools }: Kept, seed: number): Promise<Map<string, Buffer | null>> {
  const { next } = seededRng(seed);
  const model = new Map<string, Buffer | null>();
  for (let i = 0; i < 12; i++) {
    const bytes = Buffer.alloc(i % 4 === 0 ? 700_000 : 900 + i, `before ${i} `);
    await putBytes(pools, `k${i}`, bytes);
    model.set(`k${i}`, bytes);
  }
  await pools.background.idle();
  const lift = disk.fail({ prefix: DRIVES[seed % 4] as string, effect: Errno.EROFS });
  for (let i = 0; i < 24; i++) {
    const key = `k${Math.floor(next() * 16)}`;
    const chance = next();
    if (chance < 0.3) {
      await deleteKey(pools, key);
      model.set(key, null);
    } else if (chance < 0.4) await tagKey(pools, key, `a=${i}`);
    else {
      const bytes = Buffer.alloc(next() < 0.3 ? 800_000 : 1000 + i, `after ${i} `);
      await putBytes(pools, key, bytes);
      model.set(key, bytes);
    }
  }
  await pools.background.idle();
  lift();
  return model;
}

for (let seed = 1; seed <= 4; seed++) {
  test(`a drive that missed writes is whole after the replay alone, seed ${seed}`, async () => {
    const disk = SimulatedDisk.create(codec, seed, DRIVES);
    const store = await open(disk, seed);
    await store.pools.makeBucket("bucket");
    const model = await workWithout(disk, store, seed);
    expect(store.book.keysOwed()).toBeGreaterThan(5);
    expect((await unlike(store, model.keys())).length).toBeGreaterThan(5);
    await store.replay.round(signal);
    expect(store.book.keysOwed()).toBe(0);
    expect(await unlike(store, model.keys())).toEqual([]);
    for (const [key, bytes] of model)
      expect((await getBytes(store.pools, key))?.equals(bytes as Buffer) ?? null).toBe(bytes === null ? null : true);
    await store.book.close();
  });
}

test("notes outlive a clean stop: the next process gives the drive what it missed", async () => {
  const disk = SimulatedDisk.create(codec, 5, DRIVES);
  const store = await open(disk, 5);
  await store.pools.makeBucket("bucket");
  const model = await workWithout(disk, store, 5);
  const owed = store.book.keysOwed();
  await store.book.close();
  const again = await open(disk.fork(5), 6);
  expect([again.book.keysOwed(), again.book.comparesAll]).toEqual([owed, false]);
  await again.replay.round(signal);
  expect(await unlike(again, model.keys())).toEqual([]);
});

test("after a crash the notes of the last moments may be gone, and all drives are compared", async () => {
  const disk = SimulatedDisk.create(codec, 7, DRIVES);
  const store = await open(disk, 7);
  await store.pools.makeBucket("bucket");
  for (let i = 0; i < 8; i++) await putBytes(store.pools, `k${i}`, Buffer.alloc(3000, "old"));
  await store.pools.background.idle();
  const lift = disk.fail({ prefix: "/d2", effect: Errno.EROFS });
  for (let i = 0; i < 12; i++) await putBytes(store.pools, `k${i}`, Buffer.alloc(4000, "new"));
  lift();
  const again = await open(disk.afterCrash(7, "ordered"), 8);
  expect([again.book.comparesAll, again.book.keysOwed()]).toEqual([true, null]);
  await again.replay.round(signal);
  expect([again.book.comparesAll, again.replay.comparisons]).toEqual([false, 1]);
  expect(
    await unlike(
      again,
      Array.from({ length: 12 }, (_, i) => `k${i}`),
    ),
  ).toEqual([]);
});

test("a drive that is owed more than may be kept is compared instead", async () => {
  const disk = SimulatedDisk.create(codec, 9, DRIVES);
  const store = await open(disk, 9, { bytesMax: 200 });
  await store.pools.makeBucket("bucket");
  const lift = disk.fail({ prefix: "/d1", effect: Errno.EROFS });
  for (let i = 0; i < 12; i++) await putBytes(store.pools, `k${i}`, Buffer.alloc(4000, "new"));
  await store.pools.background.idle();
  lift();
  expect(store.book.facts()[0]).toMatchObject({ keys: 0, bytes: 0, isIncomplete: true });
  await store.replay.round(signal);
  expect(store.book.facts()[0]).toMatchObject({ isIncomplete: false });
  expect(
    await unlike(
      store,
      Array.from({ length: 12 }, (_, i) => `k${i}`),
    ),
  ).toEqual([]);
});

test("what a drive misses while it is compared stays owed", async () => {
  const disk = SimulatedDisk.create(codec, 11, DRIVES);
  const late = { looks: 0, lift: (): void => undefined };
  const pace = async (): Promise<void> => {
    if (++late.looks !== 8) return;
    late.lift = disk.fail({ prefix: "/d1", effect: Errno.EROFS });
    await putBytes(store.pools, "k0", Buffer.alloc(5000, "late")); // k0 was compared already
    await store.pools.background.idle();
    late.lift();
  };
  const store: Kept = await open(disk, 11, { bytesMax: 200, pace });
  await store.pools.makeBucket("bucket");
  const lift = disk.fail({ prefix: "/d1", effect: Errno.EROFS });
  for (let i = 0; i < 12; i++) await putBytes(store.pools, `k${i}`, Buffer.alloc(4000, "new"));
  await store.pools.background.idle();
  lift();
  await store.replay.round(signal);
  expect([store.book.facts()[0]?.isIncomplete, store.book.keysOwed()]).toEqual([false, 1]);
  await store.replay.round(signal);
  expect([store.book.keysOwed(), await unlike(store, ["k0", "k1", "k11"])]).toEqual([0, []]);
});

test("drives that are owed a write answer for it when all that know more came back empty, and not before", async () => {
  const disk = SimulatedDisk.create(codec, 9, DRIVES);
  const whole = await open(disk, 9);
  await whole.pools.makeBucket("bucket");
  await putBytes(whole.pools, "k", Buffer.alloc(900, "k"));
  await whole.pools.background.idle();
  for (const drive of whole.drives) await drive?.flush();
  await whole.book.close();
  const { pools, set, book } = await open(disk, 10, { without: [0, 1] });
  book.owe({ key: { bucket: "bucket", path: "k" }, stamp: 2n ** 62n, removed: [] }, [2, 3]); // a note that nobody could settle
  expect(await getBytes(pools, "k").catch((error: { code: string }) => error.code)).toBe("ReadQuorum");
  for (const position of [0, 1]) set.rebuilding.add(position);
  expect((await getBytes(pools, "k"))?.toString().length).toBe(900);
  await book.close();
});
