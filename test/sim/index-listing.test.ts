/** Listings from key indexes over simulated drives: equal to the walk, exact under writes, faults, crashes and foreign servers. */
import { expect, test } from "bun:test";
import { loadCodec } from "../../src/codec/native.ts";
import type { Pools } from "../../src/erasure/pools.ts";
import type { ListRequest } from "../../src/erasure/store.ts";
import type { IndexOptions } from "../../src/storage/drive-index.ts";
import { SummaryCache } from "../../src/storage/version-summary.ts";
import { type Clock, realClock } from "../../src/sys/clock.ts";
import { Errno, step } from "../../src/sys/disk.ts";
import { randomKey } from "../unit/storage/index-model.ts";
import { MemoryTables } from "./memory-tables.ts";
import { seededRng } from "./seeded.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import {
  deleteKey,
  DRIVES,
  listRequest,
  NO_SIGNAL,
  putBytes,
  simulatedStore,
  type SimulatedStore,
  walked,
} from "./simulated-store.ts";

const codec = loadCodec();
/** Builds need not be gentle here. */
const clock: Clock = { ...realClock(), sleep: () => Promise.resolve() };

function indexIn(tables: MemoryTables, warnings: string[] = []): IndexOptions {
  return { tables, clock, summaries: new SummaryCache(), warn: (message) => warnings.push(message) };
}
async function indexedStore(disk: SimulatedDisk, index: IndexOptions, seed = 1): Promise<SimulatedStore> {
  const store = await simulatedStore(codec, disk, { clock, rng: seededRng(seed), index });
  for (const drive of store.drives) await drive?.indexed();
  return store;
}
async function keysOf(pools: Pools, part: Partial<ListRequest> = {}): Promise<string[]> {
  return (await pools.list(listRequest(part))).entries.map((e) => e.key);
}
/** How often drives answer from their index. */
async function fromIndex(store: SimulatedStore): Promise<number> {
  const answers = await Promise.all(
    store.drives.map((d) => d?.list(listRequest({ limit: 1 })).then((a) => a.ok && a.value !== null)),
  );
  return answers.filter((a) => a === true).length;
}

async function deleteMarker(pools: Pools, key: string, versionId: string): Promise<void> {
  await pools.commit({
    bucket: "bucket",
    key,
    reads: "latest",
    signal: NO_SIGNAL,
    decide: () => ({ kind: "delete-marker", versionId }),
  });
}

async function randomWork(pools: Pools, seed: number, count: number): Promise<void> {
  const { next, uuid } = seededRng(seed);
  const known: string[] = [];
  for (let i = 0; i < count; i++) {
    const old = known[Math.floor(next() * known.length)];
    const key = old === undefined || next() < 0.6 ? randomKey(next) : old;
    known.push(key);
    const chance = next();
    if (chance < 0.15) await deleteKey(pools, key);
    else if (chance < 0.3) await deleteMarker(pools, key, uuid());
    else
      await putBytes(pools, key, Buffer.alloc(Math.floor(next() * 2000), "x"), chance < 0.6 ? uuid() : "null").catch(
        ignoreClash,
      );
  }
  await pools.background.idle();
}
/** A key below an object's data, or an object where a directory is: drives refuse some such names. */
function ignoreClash(error: unknown): void {
  expect(String(error)).toContain("needed drives");
}

async function expectSameAsWalk(store: SimulatedStore, seed: number): Promise<void> {
  const { next } = seededRng(seed);
  const all = (await walked(store.pools, listRequest({ allVersions: true }))).entries.map((e) => e.key);
  expect(all.length).toBeGreaterThan(20);
  for (let i = 0; i < 60; i++) {
    const asked = listRequest({
      prefix: ["", "", "a", "dir/", "d", "b"][Math.floor(next() * 6)] as string,
      delimiter: next() < 0.6 ? "/" : next() < 0.5 ? "" : "a",
      after: next() < 0.5 ? (all[Math.floor(next() * all.length)] as string) : "",
      inclusive: next() < 0.3,
      limit: [1, 3, 10, 1000][Math.floor(next() * 4)] as number,
      allVersions: next() < 0.5,
    });
    expect({ asked, page: await store.pools.list(asked) }).toEqual({ asked, page: await walked(store.pools, asked) });
  }
}

test("an index kept while writing, and one built afterwards, list what a walk lists", async () => {
  const disk = SimulatedDisk.create(codec, 1, DRIVES);
  const kept = await indexedStore(disk, indexIn(new MemoryTables()));
  await kept.pools.makeBucket("bucket");
  await randomWork(kept.pools, 5, 150);
  expect(await fromIndex(kept)).toBe(4);
  await expectSameAsWalk(kept, 6);
  const built = await indexedStore(disk.fork(2), indexIn(new MemoryTables()));
  expect(await fromIndex(built)).toBe(4);
  await expectSameAsWalk(built, 7);
  expect(await built.pools.usage("bucket")).toEqual(await kept.pools.usage("bucket"));
}, 60_000);

test("listings are exact when drives missed writes, are gone, or show what no quorum has", async () => {
  const disk = SimulatedDisk.create(codec, 3, DRIVES);
  const store = await indexedStore(disk, indexIn(new MemoryTables()));
  await store.pools.makeBucket("bucket");
  for (let i = 0; i < 12; i++) {
    const lift = disk.fail({ prefix: DRIVES[i % 4] as string, effect: Errno.ENOSPC });
    await putBytes(store.pools, `key-${i % 8}`, Buffer.alloc(100 + i));
    if (i % 3 === 0) await deleteKey(store.pools, `key-${(i * 5) % 8}`);
    lift();
  }
  await store.pools.background.idle();
  await store.drives[3]?.commit(
    { bucket: "bucket", path: "stray" },
    { kind: "replace", meta: (await anyMeta(store)) as Uint8Array, op: "none", dataDirs: [] },
    { stamp: clock.nowNs(), prior: null, settles: [] },
  );
  const wanted = await walked(store.pools, listRequest());
  expect(wanted.entries.map((e) => e.key)).not.toContain("stray");
  expect(await store.pools.list(listRequest())).toEqual(wanted);
  const lift = disk.fail({ prefix: DRIVES[0] as string, effect: Errno.EIO });
  expect(await store.pools.list(listRequest())).toEqual(wanted);
  lift();
});

async function anyMeta(store: SimulatedStore): Promise<Uint8Array | null> {
  const [key] = await keysOf(store.pools);
  for (const drive of store.drives) {
    const answer = await drive?.read({ bucket: "bucket", path: key as string });
    if (answer?.ok === true && answer.value.meta !== null) return answer.value.meta;
  }
  return null;
}

test("a delete that fails its quorum never hides the key, and a put that fails never shows one", async () => {
  const disk = SimulatedDisk.create(codec, 4, DRIVES);
  const { pools } = await indexedStore(disk, indexIn(new MemoryTables()));
  await pools.makeBucket("bucket");
  await putBytes(pools, "stays", Buffer.alloc(50));
  await pools.background.idle();
  const lifts = [DRIVES[2], DRIVES[3]].map((prefix) => disk.fail({ prefix: prefix as string, effect: Errno.ENOSPC }));
  const states: string[][] = [];
  let busy = true;
  const look = (async () => {
    while (busy) states.push(await keysOf(pools));
  })();
  for (let i = 0; i < 10; i++) {
    await deleteKey(pools, "stays").catch(ignoreClash);
    await putBytes(pools, "never", Buffer.alloc(60)).catch(ignoreClash);
  }
  busy = false;
  await look;
  for (const lift of lifts) lift();
  expect(states.length).toBeGreaterThan(5);
  expect(new Set(states.map(String))).toEqual(new Set(["stays"]));
});

test("keys that stay are listed exactly once, page by page, while others come and go; acknowledged ones at once", async () => {
  const disk = SimulatedDisk.create(codec, 8, DRIVES);
  const { pools } = await indexedStore(disk, indexIn(new MemoryTables()));
  await pools.makeBucket("bucket");
  const stable = Array.from({ length: 60 }, (_, i) => `k${String(i * 2).padStart(3, "0")}`);
  for (const key of stable) await putBytes(pools, key, Buffer.alloc(10));
  let busy = true;
  const { next } = seededRng(9);
  const churn = Array.from({ length: 3 }, async (_, client) => {
    for (let i = 0; busy; i++) {
      const key = `k${String(Math.floor(next() * 60) * 2 + 1).padStart(3, "0")}-${client}`;
      await putBytes(pools, key, Buffer.alloc(20 + i));
      if (i % 4 === 0) expect(await keysOf(pools, { prefix: key })).toEqual([key]);
      await deleteKey(pools, key);
      if (i % 4 === 1) expect(await keysOf(pools, { prefix: key })).toEqual([]);
    }
  });
  for (let round = 0; round < 12; round++) {
    const seen: string[] = [];
    for (let after = ""; ; ) {
      const page = await pools.list(listRequest({ after, limit: 7 }));
      seen.push(...page.entries.map((e) => e.key));
      if (!page.isTruncated) break;
      after = page.next;
    }
    expect(seen.filter((key) => !key.includes("-"))).toEqual(stable);
    expect(new Set(seen).size).toBe(seen.length);
  }
  busy = false;
  await Promise.all(churn);
}, 60_000);

test("an index is believed after a clean stop and after a crash, and never after another server ran on the drives", async () => {
  const tables = new MemoryTables();
  const disk = SimulatedDisk.create(codec, 10, DRIVES);
  const first = await indexedStore(disk, indexIn(tables));
  await first.pools.makeBucket("bucket");
  await putBytes(first.pools, "a", Buffer.alloc(10));
  await first.pools.background.idle();
  for (const drive of first.drives) await drive?.close();

  const created: string[] = [];
  const create = tables.create.bind(tables);
  tables.create = (path) => {
    created.push(path);
    return create(path);
  };
  const second = await indexedStore(disk, indexIn(tables), 2);
  expect([created.length, await keysOf(second.pools)]).toEqual([0, ["a"]]);
  await putBytes(second.pools, "b", Buffer.alloc(10));
  await second.pools.background.idle();

  const third = await indexedStore(disk, indexIn(tables), 3); // the second one was killed
  expect([created.length, await keysOf(third.pools)]).toEqual([0, ["a", "b"]]);
  for (const drive of third.drives) await drive?.close();

  // A server without an index: it writes, and empties tmp at its start as every server does.
  const foreign = await simulatedStore(codec, disk, { clock, rng: seededRng(4) });
  await putBytes(foreign.pools, "c", Buffer.alloc(10));
  await foreign.pools.background.idle();
  for (const drive of foreign.drives) await drive?.close();
  const fourth = await indexedStore(disk, indexIn(tables), 5);
  expect([created.length, await keysOf(fourth.pools)]).toEqual([4, ["a", "b", "c"]]);
});

test("a damaged index is walked around and built anew", async () => {
  const tables = new MemoryTables();
  const warnings: string[] = [];
  const disk = SimulatedDisk.create(codec, 11, DRIVES);
  const store = await indexedStore(disk, indexIn(tables, warnings));
  await store.pools.makeBucket("bucket");
  for (const key of ["a", "b", "c/d"]) await putBytes(store.pools, key, Buffer.alloc(10));
  await store.pools.background.idle();
  for (const drive of DRIVES) tables.damaged.add(`${drive}/.minio.sys/sherd/index.db`);
  expect(await keysOf(store.pools)).toEqual(["a", "b", "c/d"]);
  await putBytes(store.pools, "e", Buffer.alloc(10));
  for (const drive of store.drives) await drive?.indexed();
  expect(warnings.length).toBeGreaterThan(0);
  expect([await fromIndex(store), await keysOf(store.pools)]).toEqual([4, ["a", "b", "c/d", "e"]]);
  expect((await store.pools.usage("bucket"))?.objects).toBe(4);
});

test("a build that is interrupted goes on after a clean stop, and writes meanwhile are not lost", async () => {
  const tables = new MemoryTables();
  const disk = SimulatedDisk.create(codec, 12, DRIVES);
  const plain = await simulatedStore(codec, disk, { clock, rng: seededRng(1) });
  await plain.pools.makeBucket("bucket");
  const keys = Array.from({ length: 90 }, (_, i) => `d${i % 40}/k${i}`).sort();
  for (const key of keys) await putBytes(plain.pools, key, Buffer.alloc(10));
  await plain.pools.background.idle();
  let steps = 0;
  const slow: Clock = { ...clock, sleep: (_ms, signal) => (++steps < 12 ? Promise.resolve() : never(signal)) };
  const first = await simulatedStore(codec, disk, {
    clock,
    rng: seededRng(2),
    index: { tables, clock: slow, summaries: new SummaryCache(), warn: () => undefined },
  });
  await putBytes(first.pools, "d0/new", Buffer.alloc(10));
  await deleteKey(first.pools, "d39/k39");
  expect(await fromIndex(first)).toBe(0);
  const wanted = [...keys.filter((k) => k !== "d39/k39"), "d0/new"].sort();
  expect(await keysOf(first.pools)).toEqual(wanted);
  await first.pools.background.idle();
  for (const drive of first.drives) await drive?.close();
  const second = await indexedStore(disk, indexIn(tables), 3);
  expect([await fromIndex(second), await keysOf(second.pools)]).toEqual([4, wanted]);
});

/** Ends with the signal only. */
function never(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason as Error)));
}

test("a bucket that was removed has no rows when it is made again", async () => {
  const disk = SimulatedDisk.create(codec, 13, DRIVES);
  const { pools } = await indexedStore(disk, indexIn(new MemoryTables()));
  await pools.makeBucket("bucket");
  await putBytes(pools, "a", Buffer.alloc(10));
  expect(await pools.removeBucket("bucket")).toBe("not-empty");
  await deleteMarker(pools, "a", "11111111-1111-4111-8111-111111111111");
  expect(await pools.removeBucket("bucket")).toBe("not-empty");
  await deleteKey(pools, "a");
  await deleteKey(pools, "a");
  await pools.background.idle();
  expect(await pools.removeBucket("bucket")).toBe("gone");
  await pools.makeBucket("bucket");
  expect(await keysOf(pools, { allVersions: true })).toEqual([]);
  expect((await pools.usage("bucket"))?.versions).toBe(0);
});

test("the mark lies where a server that starts puts it away", async () => {
  const disk = SimulatedDisk.create(codec, 14, DRIVES);
  const { drives } = await indexedStore(disk, indexIn(new MemoryTables()));
  for (const drive of drives) await drive?.close();
  const stat = await disk.run([step.stat("/d1/.minio.sys/tmp/sherd-index")]);
  expect(stat.error).toBe(0);
});
