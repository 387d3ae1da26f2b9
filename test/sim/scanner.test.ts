/** Scanner, scrub and quarantine on simulated drives: what is wrong is found and put right, what is right is left alone. */
import { expect, test } from "bun:test";
import { HealQueue } from "../../src/background/heal-queue.ts";
import { quarantineText } from "../../src/background/quarantine-report.ts";
import { Scanner } from "../../src/background/scanner.ts";
import { Scrub } from "../../src/background/scrub.ts";
import { Throttle } from "../../src/background/throttle.ts";
import { healKey } from "../../src/erasure/heal-version.ts";
import { listQuarantine, restoreQuarantined } from "../../src/erasure/quarantine-version.ts";
import { SummaryCache } from "../../src/storage/version-summary.ts";
import { XlMeta } from "../../src/storage/xl-meta.ts";
import { Errno, Ignore, step } from "../../src/sys/disk.ts";
import { clock, codec, keptStore, type KeptStore, quietLog, signal, unlike } from "./kept-store.ts";
import { MemoryTables } from "./memory-tables.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import { deleteKey, DRIVES, getBytes, putBytes, tagKey } from "./simulated-store.ts";

const FOR_EVER = 2 ** 52;
const UUID = "77777777-7777-4777-8777-777777777777";
const BIG = Buffer.alloc(700_000, "big ");

const throttle = (): Throttle =>
  new Throttle({
    clock,
    signal,
    bytesPerSecond: () => 2 ** 40,
    looksPerSecond: () => 2 ** 40,
    load: { inFlight: 0, begun: 0 },
    lateness: () => 0,
  });

interface Scanned extends KeptStore {
  readonly disk: SimulatedDisk;
  readonly tables: MemoryTables;
  readonly queue: HealQueue;
  readonly scrub: Scrub;
  scanner(graceMs?: number, staleUploadMs?: number): Scanner;
  /** One round, and the repairs that it asked for. */
  scan(graceMs?: number): Promise<Scanner["totals"]>;
}

async function scanned(seed: number): Promise<Scanned> {
  const disk = SimulatedDisk.create(codec, seed, DRIVES);
  const tables = new MemoryTables();
  const gentle = { ...clock, sleep: () => Promise.resolve() };
  const index = { tables, clock: gentle, summaries: new SummaryCache(), warn: () => undefined };
  const store = await keptStore(disk, seed, { index });
  for (const drive of store.drives) await drive?.indexed();
  await store.pools.makeBucket("bucket");
  const queue = new HealQueue(clock, quietLog, async (damage) => {
    const how = { deep: damage.why === "shard" };
    return (await healKey(store.set, damage, store.pools.locks, how)).healed.length;
  });
  const common = { listBuckets: () => store.pools.listBuckets(), clock, log: quietLog, throttle };
  const scanner = (graceMs = 0, staleUploadMs = FOR_EVER): Scanner =>
    new Scanner({
      ...common,
      sets: [{ set: store.set, book: store.book }],
      locks: store.pools.locks,
      restMs: 0,
      graceMs,
      staleUploadMs,
    });
  const scan = async (graceMs = 0): Promise<Scanner["totals"]> => {
    store.damage.length = 0;
    const one = scanner(graceMs);
    await one.round(signal);
    for (const damage of store.damage) queue.report(damage);
    await queue.idle();
    return one.totals;
  };
  const scrub = new Scrub({ ...common, sets: [store.set], days: 30, bytesPerSecond: null });
  return { ...store, disk, tables, queue, scrub, scanner, scan };
}

/** Writes, so that the tree and not the logs have it. */
async function filled(seed: number): Promise<Scanned> {
  const store = await scanned(seed);
  for (const key of ["a/big", "a/b/big", "big"]) await putBytes(store.pools, key, BIG);
  for (const key of ["a/small", "small"]) await putBytes(store.pools, key, Buffer.alloc(900, key));
  await flush(store);
  return store;
}
async function flush({ pools, drives }: KeptStore): Promise<void> {
  await pools.background.idle();
  for (const drive of drives) expect(await drive?.flush()).toBe(true);
}
const KEYS = ["a/big", "a/b/big", "big", "a/small", "small"];

async function dataDirOf({ set }: KeptStore, path: string, position: number): Promise<string> {
  const state = await set.drives[position]?.read({ bucket: "bucket", path });
  if (state?.ok !== true || state.value.meta === null) throw new Error(`no ${path} on drive ${position}`);
  return [...XlMeta.decode(state.value.meta).dataDirs()][0] as string;
}
async function isThere(disk: SimulatedDisk, path: string): Promise<boolean> {
  return (await disk.run([step.stat(path)])).error === 0;
}

test("a set that is whole is left as it is, and a round says what it saw", async () => {
  const store = await filled(1);
  const totals = await store.scan();
  expect(totals).toMatchObject({ objects: 5, versions: 5, damaged: 0, orphans: 0, staged: 0, indexRows: 0, rounds: 1 });
  expect(store.queue.healed).toBe(0);
});

test("a data directory, a whole key and an xl.meta that one drive lost are found by a round and come back", async () => {
  const store = await filled(2);
  const { disk } = store;
  await disk.run([step.removeTree(`/d2/bucket/a/big/${await dataDirOf(store, "a/big", 1)}`)]);
  await disk.run([step.removeTree("/d3/bucket/a/b/big")]);
  await disk.run([step.unlink("/d4/bucket/small/xl.meta")]);
  expect((await unlike(store, KEYS)).sort()).toEqual(["a/b/big", "a/big", "small"]);
  const totals = await store.scan();
  expect(totals.damaged).toBe(3);
  expect(await unlike(store, KEYS)).toEqual([]);
});

test("a bit that flipped is nothing to the scanner; the scrub finds it and it is healed", async () => {
  const store = await filled(3);
  const { disk } = store;
  const path = `/d1/bucket/big/${await dataDirOf(store, "big", 0)}/part.1`;
  const bytes = new Uint8Array(1_000_000);
  const { results } = await disk.run([step.readFile(path, bytes)]);
  const content = bytes.slice(0, results[0]);
  content[5_000] = (content[5_000] as number) ^ 4;
  await disk.run([step.unlink(path), step.writeFile(path, content)]);
  expect((await store.scan()).damaged).toBe(0);
  await store.scrub.round(signal);
  expect([store.scrub.damaged, store.scrub.objects]).toEqual([1, 5]);
  for (const damage of store.damage) store.queue.report(damage);
  await store.queue.idle();
  expect(await unlike(store, KEYS)).toEqual([]);
  expect((await getBytes(store.pools, "big"))?.equals(BIG)).toBe(true);
});

test("data that no version names is removed when it is old enough, and nothing else that looks like it", async () => {
  const store = await filled(4);
  const { disk } = store;
  const at = (path: string): string => `/d2/bucket/${path}/${UUID}`;
  for (const path of ["big", "a", "gone"])
    await disk.run([step.mkdirPath(at(path), "/d2/bucket"), step.writeFile(`${at(path)}/part.1`, BIG)]);
  await putBytes(store.pools, `${UUID}/x`, Buffer.alloc(10)); // a prefix that is named like one
  await putBytes(store.pools, `mine/${UUID}/part.1`, BIG);
  await flush(store);
  expect((await store.scan(FOR_EVER)).orphans).toBe(0);
  expect((await store.scan()).orphans).toBe(3);
  for (const path of ["big", "a", "gone"]) expect(await isThere(disk, at(path))).toBe(false);
  expect(await unlike(store, [...KEYS, `${UUID}/x`, `mine/${UUID}/part.1`])).toEqual([]);
  expect((await getBytes(store.pools, `mine/${UUID}/part.1`))?.equals(BIG)).toBe(true);
});

test("data of a version that a silent drive may name are no orphans", async () => {
  const store = await filled(5);
  await store.disk.run([step.mkdirPath(`/d2/bucket/big/${UUID}`, "/d2/bucket")]);
  const lifts = ["/d3", "/d4"].map((prefix) => store.disk.fail({ prefix, effect: Errno.EIO }));
  const scanner = store.scanner();
  await scanner.round(signal);
  expect(scanner.totals.orphans).toBe(0);
  for (const lift of lifts) lift();
});

test("what operations of long ago left in tmp goes; what is being staged, marked or somebody else's stays", async () => {
  const store = await filled(6);
  const { disk, drives } = store;
  const tmp = "/d1/.minio.sys/tmp";
  const other = "88888888-8888-4888-8888-888888888888";
  const old = [`${UUID}.${other}`, UUID, `.trash/${UUID}`];
  const kept = ["a-folder-of-minio", `${UUID}.x`, "sherd-index"];
  await disk.run([step.mkdir(`${tmp}/${old[0]}`), step.writeFile(`${tmp}/${old[0]}/part.1`, BIG)]);
  await disk.run([step.writeFile(`${tmp}/${old[1]}`, BIG), step.mkdir(`${tmp}/${old[2]}`)]);
  await disk.run(kept.map((name) => step.mkdir(`${tmp}/${name}`, Ignore.eexist)));
  const staged = await drives[0]?.stageWhole(other, UUID, 1, BIG);
  expect(staged?.ok).toBe(true);
  expect((await store.scan(FOR_EVER)).staged).toBe(0);
  expect((await store.scan()).staged).toBe(3);
  for (const name of old) expect([name, await isThere(disk, `${tmp}/${name}`)]).toEqual([name, false]);
  for (const name of [...kept, `${other}.${UUID}`])
    expect([name, await isThere(disk, `${tmp}/${name}`)]).toEqual([name, true]);
});

test("a drive that could not bring the data of a write to their place is given them, and a round finds nothing", async () => {
  const store = await filled(7);
  const lift = store.disk.fail({ prefix: "/d1/bucket", effect: Errno.EIO });
  await putBytes(store.pools, "late", BIG);
  lift();
  await store.replay.round(signal);
  await store.scan();
  expect(await unlike(store, [...KEYS, "late"])).toEqual([]);
});

test("a row that the index lacks, one too many and one that is wrong are put right", async () => {
  const store = await filled(8);
  const table = await store.tables.open("/d2/.minio.sys/sherd/index.db");
  if (typeof table === "string") throw new Error(table);
  const row = { group: "bucket", own: "1", extra: null, counts: [] };
  await table.write({
    dropped: [],
    changes: [
      { ...row, key: "a/big", value: null },
      { ...row, key: "nowhere", value: "what was" },
      { ...row, key: "small", value: "something else" },
    ],
    notes: {},
  });
  const keysOf = (): readonly string[] =>
    table
      .range({ group: "bucket", from: "", inclusive: false, before: null, limit: 100, withExtra: false })
      .map(({ key, value }) => `${key} ${value.length > 20}`);
  expect(keysOf()).not.toContain("a/big true");
  expect((await store.scan()).indexRows).toBe(3);
  await store.drives[1]?.usage("bucket"); // waits until what is noted is written
  expect([...keysOf()].sort()).toEqual([...KEYS.map((key) => `${key} true`)].sort());
  expect((await store.scan()).indexRows).toBe(0);
});

test("a damaged file of an index is found by a round, and built anew", async () => {
  const store = await filled(9);
  store.tables.damaged.add("/d3/.minio.sys/sherd/index.db");
  await store.scan();
  await store.drives[2]?.indexed();
  expect((await store.scan()).indexRows).toBe(0);
  const answer = await store.drives[2]?.list({
    bucket: "bucket",
    prefix: "",
    delimiter: "",
    after: "",
    inclusive: false,
    limit: 100,
    allVersions: false,
  });
  expect(answer?.ok === true && answer.value?.entries.length).toBe(5);
});

// ---- quarantine

/** A key that only the first drive has, as a loss of the others leaves it. */
async function dangling(seed: number, path: string): Promise<Scanned> {
  const store = await filled(seed);
  const { disk } = store;
  for (const drive of DRIVES.slice(1)) await disk.run([step.removeTree(`${drive}/bucket/${path}`)]);
  return store;
}

for (const path of ["big", "small"]) {
  test(`a version that too few drives have is set aside when it was seen twice, and can be put back: ${path}`, async () => {
    const store = await dangling(10, path);
    const { disk, pools, set } = store;
    const whole = (await disk.run([step.stat(`/d1/bucket/${path}/xl.meta`)])).error;
    expect([whole, await getBytes(pools, path)]).toEqual([0, null]);
    expect((await store.scan()).quarantined).toBe(0);
    expect((await store.scan()).quarantined).toBe(1);
    await flush(store);
    expect(await isThere(disk, `/d1/bucket/${path}`)).toBe(false);
    const [kept] = await listQuarantine(set);
    expect(kept).toMatchObject({ version: { bucket: "bucket", path, versionId: "null" }, positions: [0] });
    const id = kept?.version.id as string;
    expect(await quarantineText([set])).toContain(`${id}  bucket/${path}  version null`);
    expect(await restoreQuarantined(set, id, pools.locks)).toBe(1);
    expect(await listQuarantine(set)).toEqual([]);
    await flush(store);
    expect(await isThere(disk, `/d1/bucket/${path}/xl.meta`)).toBe(true);
    if (path === "big")
      expect(await isThere(disk, `/d1/bucket/big/${await dataDirOf(store, "big", 0)}/part.1`)).toBe(true);
  });
}

test("what is set aside can be read again when another drive with a part of it is back", async () => {
  const store = await filled(11);
  const { disk, pools, set } = store;
  const aside = `/d2/aside`;
  await disk.run([step.rename("/d2/bucket/big", aside)]);
  for (const drive of ["/d3", "/d4"]) await disk.run([step.removeTree(`${drive}/bucket/big`)]);
  await store.scan();
  expect((await store.scan()).quarantined).toBe(1);
  await flush(store);
  await disk.run([step.rename(aside, "/d2/bucket/big")]);
  const [kept] = await listQuarantine(set);
  expect(await restoreQuarantined(set, kept?.version.id as string, pools.locks)).toBe(1);
  expect((await getBytes(pools, "big"))?.equals(BIG)).toBe(true);
});

test("nothing is set aside while it is young, a drive is away, or it is owed", async () => {
  const store = await dangling(12, "big");
  for (let i = 0; i < 3; i++) expect((await store.scan(FOR_EVER)).quarantined).toBe(0);
  const drives = store.set.drives as (KeptStore["drives"][number] | null)[];
  const away = drives[3] as KeptStore["drives"][number];
  drives[3] = null;
  expect((await store.scan()).quarantined).toBe(0);
  drives[3] = away;
  store.book.owe({ key: { bucket: "bucket", path: "big" }, stamp: clock.nowNs(), removed: [] }, [1]);
  expect((await store.scan()).quarantined).toBe(0);
  expect(await listQuarantine(store.set)).toEqual([]);
  expect(await isThere(store.disk, "/d1/bucket/big/xl.meta")).toBe(true);
});

test("rounds under writes and deletes take nothing from anybody", async () => {
  const store = await filled(13);
  const { pools } = store;
  const model = new Map<string, Buffer>();
  const client = async (): Promise<void> => {
    for (let i = 0; i < 60; i++) {
      const key = `k${i % 7}`;
      const bytes = Buffer.alloc(i % 3 === 0 ? 500_000 : 700, `${i} `);
      await putBytes(pools, key, bytes);
      model.set(key, bytes);
      if (i % 5 === 4) await tagKey(pools, key, `t=${i}`);
      if (i % 11 === 10) {
        await deleteKey(pools, key);
        model.delete(key);
      }
    }
  };
  const rounds = async (): Promise<void> => {
    for (let i = 0; i < 4; i++) await Promise.all([store.scan(), store.scrub.round(signal)]);
  };
  await Promise.all([client(), rounds()]);
  await flush(store);
  expect(await listQuarantine(store.set)).toEqual([]);
  for (const [key, bytes] of model) expect((await getBytes(pools, key))?.equals(bytes)).toBe(true);
  const totals = await store.scan();
  expect([totals.quarantined, totals.indexRows, totals.orphans]).toEqual([0, 0, 0]);
  expect(await unlike(store, [...KEYS, ...model.keys()])).toEqual([]);
});

// ---- uploads

test("an upload goes a while after its last part, not after its beginning, and an old one that lives stays", async () => {
  const store = await filled(14);
  const { pools } = store;
  const begin = () =>
    pools.createUpload({
      bucket: "bucket",
      key: "up",
      versionId: "null",
      storageClass: "STANDARD",
      metaUsr: new Map(),
      metaSys: new Map(),
    });
  await begin();
  await begin();
  await pools.background.idle();
  expect(await pools.listUploads("bucket", "")).toHaveLength(2);
  const young = store.scanner(0, 3_600_000);
  await young.round(signal);
  expect([young.totals.uploads, (await pools.listUploads("bucket", "")).length]).toEqual([0, 2]);
  const old = store.scanner(0, -1000);
  await old.round(signal);
  expect([old.totals.uploads, (await pools.listUploads("bucket", "")).length]).toEqual([2, 0]);
});
