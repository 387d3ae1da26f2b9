/** The life of an index on real SQLite files, over a tree in memory: damage, crashes, and changes that are told again. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadCodec } from "../../../src/codec/native.ts";
import { good } from "../../../src/core/fan-out.ts";
import { DriveIndex } from "../../../src/storage/drive-index.ts";
import { SummaryCache } from "../../../src/storage/version-summary.ts";
import { type Clock, realClock } from "../../../src/sys/clock.ts";
import { step } from "../../../src/sys/disk.ts";
import { SqliteTables } from "../../../src/sys/sqlite-tables.ts";
import { seededRng } from "../../sim/seeded.ts";
import { SimulatedDisk } from "../../sim/simulated-disk.ts";
import { metaOf, pathOf } from "./index-model.ts";

const folder = mkdtempSync(join(tmpdir(), "sherd-drive-index-"));
const tables = new SqliteTables();
afterAll(async () => {
  await tables.close();
  rmSync(folder, { recursive: true, force: true });
});
const clock: Clock = { ...realClock(), sleep: () => Promise.resolve() };
const codec = loadCodec();
const VERSION = { versionId: "null", isDeleteMarker: false, sizeBytes: 7, modTime: 9_000_000n };

interface Place {
  readonly root: string;
  readonly disk: SimulatedDisk;
  readonly warnings: string[];
  /** Keys in the tree. */
  readonly keys: Set<string>;
  /** Of the process: what a killed one had put off never runs. */
  life: { isOver: boolean };
  looks: number;
}

async function newPlace(name: string, keys: readonly string[]): Promise<Place> {
  const root = join(folder, name);
  mkdirSync(`${root}/.minio.sys/sherd`, { recursive: true });
  const disk = SimulatedDisk.create(codec, 1, [root]);
  await disk.run([step.mkdirPath(`${root}/.minio.sys/tmp`, root)]);
  return { root, disk, warnings: [], keys: new Set(keys), life: { isOver: false }, looks: 0 };
}

function indexAt(place: Place): DriveIndex {
  const { root, disk, warnings, life } = place;
  const mortal: Clock = { ...clock, after: (ms, run) => clock.after(ms, () => (life.isOver ? undefined : run())) };
  return new DriveIndex({
    ...{ tables, clock: mortal, disk, root, endpoint: root, summaries: new SummaryCache() },
    warn: (message) => warnings.push(message),
    newIdentity: () => seededRng(warnings.length + place.looks + 1).uuid(),
    tree: {
      buckets: () => Promise.resolve(good(["b"])),
      directories: () => Promise.resolve(good([...place.keys])),
      look: ({ path }) => {
        place.looks++;
        const meta = place.keys.has(path) ? metaOf([VERSION]).encode() : null;
        const state = { meta, stamp: 9_000_000n, prev: null, promised: 0n };
        return Promise.resolve(good({ state, directories: [] }));
      },
    },
  });
}
async function keysOf(index: DriveIndex): Promise<string[] | null> {
  const request = {
    bucket: "b",
    prefix: "",
    delimiter: "",
    after: "",
    inclusive: true,
    limit: 100,
    allVersions: false,
  };
  return (await index.list(request, () => []))?.entries.map((e) => e.key) ?? null;
}
async function begun(place: Place, retold: number | null = null): Promise<DriveIndex> {
  const index = indexAt(place);
  await index.readMark();
  await index.retold(retold);
  await index.begin();
  return index;
}
function kill(place: Place): void {
  place.life.isOver = true;
  place.life = { isOver: false };
}
function put(place: Place, index: DriveIndex, sequence: number, key: string): void {
  place.keys.add(key);
  index.changed(sequence, pathOf(key), metaOf([VERSION]), 9_000_000n);
}

test("there is no listing while an index is built, and an exact one afterwards, with what was written meanwhile", async () => {
  const place = await newPlace("build", ["a", "b", "c"]);
  const index = await begun(place);
  expect([await keysOf(index), await index.usage("b")]).toEqual([null, null]);
  put(place, index, 1, "d");
  place.keys.delete("a");
  index.changed(2, pathOf("a"), null, 10n);
  await index.settled();
  expect(await keysOf(index)).toEqual(["b", "c", "d"]);
  expect((await index.usage("b"))?.bytes).toBe(21);
  await index.close();
  const again = await begun(place);
  expect([await keysOf(again), again.after]).toEqual([["b", "c", "d"], 2]);
  await again.close();
});

test.each([
  ["its first page", 0],
  ["pages in the middle", 4096 * 2],
])("a file with damage in %s is built anew", async (name, from) => {
  const place = await newPlace(
    `damage ${name}`,
    Array.from({ length: 300 }, (_, i) => `key-${i}`),
  );
  const first = await begun(place);
  await first.settled();
  const { length } = (await keysOf(first)) ?? [];
  expect(length).toBe(100);
  await first.close();
  const path = `${place.root}/.minio.sys/sherd/index.db`;
  const bytes = readFileSync(path);
  for (let at = from; at < bytes.length; at += 4096) bytes.fill(0x5a, at, at + 100);
  writeFileSync(path, bytes);
  const second = await begun(place);
  await keysOf(second); // finds the damage that opening did not
  await second.settled();
  expect((await keysOf(second))?.length).toBe(100);
  expect(place.warnings.length).toBeGreaterThan(0);
  expect((await second.usage("b"))?.objects).toBe(300);
  await second.close();
});

test("what a crash left is believed only if what it missed is told again", async () => {
  const place = await newPlace("crash", ["a"]);
  const first = await begun(place);
  await first.settled();
  for (let i = 1; i <= 5; i++) put(place, first, i, `k${i}`);
  await first.keep(5);
  put(place, first, 6, "k6");
  kill(place);
  const { looks } = place;

  const told = await begun(place, 6);
  expect([place.looks, told.after <= 6 && told.after >= 5]).toEqual([looks, true]);
  for (let i = told.after + 1; i <= 6; i++) put(place, told, i, `k${i}`);
  expect(await keysOf(told)).toEqual(["a", "k1", "k2", "k3", "k4", "k5", "k6"]);

  kill(place);

  const late = await begun(place, 90);
  await late.settled();
  expect(place.looks).toBeGreaterThan(looks);
  expect((await keysOf(late))?.length).toBe(7);
  await late.close();
});
