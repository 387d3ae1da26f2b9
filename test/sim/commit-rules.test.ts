/**
 * Rules of the commit protocol (engine.md §3) that chance seldom meets, each by the one order of events that breaks without it:
 * S3, S4 and S5 of distributed.md §10.3.
 */
import { expect, test } from "bun:test";
import { loadCodec } from "../../src/codec/native.ts";
import { bad } from "../../src/core/fan-out.ts";
import { KeyLock } from "../../src/core/key-lock.ts";
import { QuorumError } from "../../src/core/quorum-error.ts";
import { healKey } from "../../src/erasure/heal-version.ts";
import { resolveDoubt } from "../../src/erasure/resolve-doubt.ts";
import { type Drive, DriveError } from "../../src/storage/drive.ts";
import { XlMeta } from "../../src/storage/xl-meta.ts";
import { realClock } from "../../src/sys/clock.ts";
import { seededRng, turns } from "./seeded.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import { DRIVES, getBytes, putBytes, type SimulatedStore, simulatedStore } from "./simulated-store.ts";

const codec = loadCodec();
const clock = realClock();
const KEY = { bucket: "bucket", path: "k" };
const OLD = Buffer.alloc(900_000, "old");
const NEW = Buffer.alloc(700_000, "new");

async function fresh(
  seed: number,
  wrap: (drive: Drive, position: number) => Drive = (drive) => drive,
): Promise<SimulatedStore & { readonly disk: SimulatedDisk }> {
  const disk = SimulatedDisk.create(codec, seed, DRIVES);
  const store = await simulatedStore(codec, disk, { clock, rng: seededRng(seed) }, { wrap });
  await store.pools.makeBucket("bucket");
  return { disk, ...store };
}
const outcomeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "done",
    (error: unknown) => (error instanceof QuorumError ? error.code : String(error)),
  );

test("S3, S4: an attempt that could not be taken back everywhere is not tried again: a resolver may carry it forward", async () => {
  let commits = 0;
  let isArmed = false;
  const store = await fresh(1, (drive, position) => {
    if (position !== 0) return drive;
    return new Proxy(drive, {
      get(target, name, receiver) {
        if (name === "commitNow" && isArmed) commits++; // every attempt begins so
        // What the drive was told to take back it keeps, and nobody knows.
        if (name === "restore" && isArmed)
          return () => Promise.resolve(bad(new DriveError("Io", "/d1: the answer is lost")));
        const value: unknown = Reflect.get(target, name, receiver);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  });
  await putBytes(store.pools, "k", OLD);
  await store.pools.background.idle();
  for (const drive of store.drives.slice(2)) await drive?.fence(KEY, clock.nowNs() + 60_000_000_000n); // both refuse: stale
  isArmed = true;
  expect(await outcomeOf(putBytes(store.pools, "k", NEW))).toBe("OutcomeUnknown");
  expect(commits).toBe(1);
  isArmed = false;
  const shown = await getBytes(store.pools, "k");
  expect(shown?.equals(OLD)).toBe(true);
});

test("a heal writes nothing newer over a write that is in doubt elsewhere", async () => {
  const store = await fresh(3);
  const { pools, set, disk } = store;
  await putBytes(pools, "k", OLD);
  await pools.background.idle();
  for (const drive of store.drives) await drive?.flush();
  disk.discard("/d4/bucket/k");
  const other = new KeyLock();
  const held = await other.acquire("bucket/k");
  const healing = healKey(set, KEY, other, { deep: true });
  for (let i = 0; i < 50; i++) await turns(); // it has rebuilt the version and waits for the lock
  const stamp = set.resources.stamps.above(0n);
  const doubtful = store.drives[0];
  const change = { kind: "delete-version", versionId: "null" } as const;
  expect(await doubtful?.commit(KEY, change, { stamp, prior: null, settles: [] })).toMatchObject({ ok: true });
  held[Symbol.dispose]();
  expect(await healing).toMatchObject({ healed: [], lacking: [3] });
  expect(await store.drives[3]?.read(KEY)).toMatchObject({ value: { meta: null } });
  await resolveDoubt(set, KEY);
  expect((await healKey(set, KEY, other, { deep: true })).healed).toEqual([3]);
  expect((await getBytes(pools, "k"))?.equals(OLD)).toBe(true);
});

test("S5: a heal that was overtaken by a write leaves what the write put", async () => {
  const store = await fresh(2);
  const { pools, set, disk } = store;
  await putBytes(pools, "k", OLD);
  await pools.background.idle();
  for (const drive of store.drives) await drive?.flush();
  disk.discard("/d4/bucket/k");
  const other = new KeyLock(); // a healer that does not know of the writer's lock, as one on another node
  const held = await other.acquire("bucket/k");
  const healing = healKey(set, KEY, other, { deep: true });
  for (let i = 0; i < 50; i++) await turns(); // it has rebuilt the old version and waits for the lock
  await putBytes(pools, "k", NEW);
  for (const drive of store.drives) {
    const state = await drive?.read(KEY); // a writer elsewhere does not wait for this healer's pin before it settles
    if (state?.ok === true) await drive?.settle(KEY, state.value.stamp);
  }
  held[Symbol.dispose]();
  expect(await healing).toMatchObject({ healed: [], lacking: [3] });
  await pools.background.idle();
  const versions = await set.each((drive) => drive.read(KEY));
  const times = versions.map((o) =>
    o.ok && o.value.meta !== null ? XlMeta.decode(o.value.meta).versions[0]?.header.modTime : null,
  );
  expect(new Set(times).size).toBe(1);
  expect((await getBytes(pools, "k"))?.equals(NEW)).toBe(true);
  expect((await healKey(set, KEY, other, { deep: true })).healed).toEqual([]);
});
