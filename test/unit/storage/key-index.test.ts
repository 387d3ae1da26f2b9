import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type IndexListRequest, listIndex } from "../../../src/storage/index-list.ts";
import { indexRow, isShown, olderVersions, parseIndexed, rowOfBytes } from "../../../src/storage/index-row.ts";
import { hashOfRange, verifyRange } from "../../../src/storage/index-verify.ts";
import { KeyIndex } from "../../../src/storage/key-index.ts";
import { countsOf, usageOf } from "../../../src/storage/usage.ts";
import { SummaryCache } from "../../../src/storage/version-summary.ts";
import { SqliteTables } from "../../../src/sys/sqlite-tables.ts";
import { MemoryTables } from "../../sim/memory-tables.ts";
import { seededRng } from "../../sim/seeded.ts";
import { metaOf, type ModelKey, naiveListing, pathOf, randomKey } from "./index-model.ts";

const folder = mkdtempSync(join(tmpdir(), "sherd-index-"));
const sqlite = new SqliteTables();
afterAll(async () => {
  await sqlite.close();
  rmSync(folder, { recursive: true, force: true });
});
const summaries = new SummaryCache();
const failed = (error: unknown): never => {
  throw error;
};

function randomVersions(rng: ReturnType<typeof seededRng>, clock: { ns: bigint }): ModelKey {
  return Array.from({ length: 1 + Math.floor(rng.next() * 3) }, (_, i) => ({
    versionId: i === 0 && rng.next() < 0.5 ? "null" : rng.uuid(),
    isDeleteMarker: rng.next() < 0.3,
    sizeBytes: Math.floor(rng.next() ** 4 * 1e9),
    modTime: (clock.ns += 1_000_000n),
  })).reverse();
}

/** Pages of `limit` until the end, as keys and `prefix*`. */
function listAll(index: KeyIndex, request: IndexListRequest, doubts: readonly string[] = []): string[] {
  const out: string[] = [];
  for (let { after, inclusive } = request; ; ) {
    const page = listIndex(index, { ...request, after, inclusive }, doubts);
    expect(page.entries.length).toBeLessThanOrEqual(request.limit);
    for (const entry of page.entries) {
      if (entry.group !== null) out.push(`${entry.group}*`);
      else if (entry.inDoubt || isShown(entry.value, request.allVersions)) out.push(entry.key);
    }
    if (page.resume === null) return out;
    [after, inclusive] = [page.resume, page.resumeInclusive];
  }
}

test("listings of random keys with versions are what a naive model says, from table and tail, at every limit", async () => {
  const rng = seededRng(11);
  const clock = { ns: 1_700_000_000_000_000_000n };
  const index = await KeyIndex.create(sqlite, join(folder, "model.db"), failed);
  const model = new Map<string, ModelKey>();
  let sequence = 0n;
  const change = (): void => {
    const key = randomKey(rng.next);
    if (rng.next() < 0.25) {
      model.delete(key);
      index.note([indexRow(pathOf(key), null, 1n, summaries)], ++sequence);
    } else {
      const versions = randomVersions(rng, clock);
      model.set(key, versions);
      index.note([indexRow(pathOf(key), metaOf(versions), 1n, summaries)], ++sequence);
    }
  };
  for (let round = 0; round < 120; round++) {
    for (let i = 0; i < 25; i++) change();
    if (round % 3 === 0) await index.flushed();
    if (round % 3 === 1) await Promise.resolve();
    const some = [...model.keys()];
    const request: IndexListRequest = {
      bucket: "b",
      prefix: ["", "", "a", "dir/", randomKey(rng.next).slice(0, 2)][Math.floor(rng.next() * 5)] as string,
      delimiter: ["", "/", "/", "r", "\u{10ffff}"][Math.floor(rng.next() * 5)] as string,
      after: rng.next() < 0.4 ? (some[Math.floor(rng.next() * some.length)] ?? "") : "",
      inclusive: rng.next() < 0.5,
      limit: [1, 2, 7, 1000][Math.floor(rng.next() * 4)] as number,
      allVersions: rng.next() < 0.5,
    };
    if (!request.prefix.isWellFormed()) continue;
    expect(listAll(index, request)).toEqual(naiveListing(model, request));
  }
  const wanted = new Map<number, number>();
  for (const versions of model.values()) {
    const counts = countsOf(versions.map((v) => ({ ...v, isNull: v.versionId === "null" })));
    for (let i = 0; i < counts.length; i += 2)
      wanted.set(counts[i] as number, (wanted.get(counts[i] as number) ?? 0) + (counts[i + 1] as number));
  }
  expect(await index.usage("b")).toEqual(usageOf(wanted));
  expect(index.position()).toBe(sequence);
  await index.close();
});

test("usage counts objects, versions, markers and bytes, and the ranges of MinIO's histograms", async () => {
  const index = await KeyIndex.create(new MemoryTables(), "usage", failed);
  const id = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;
  const put = (key: string, versions: readonly (number | null)[], firstIsNull = false): void => {
    const model = versions.map((sizeBytes, i) => ({
      versionId: firstIsNull ? "null" : id(i),
      isDeleteMarker: sizeBytes === null,
      sizeBytes: sizeBytes ?? 0,
      modTime: BigInt(100 - i) * 1_000_000n,
    }));
    index.note([indexRow(pathOf(key), metaOf(model), 1n, summaries)], 1n);
  };
  put("plain", [1023], true);
  put("versions", [2_000_000, 70_000]);
  put("deleted", [null, 5]);
  const usage = await index.usage("b");
  expect(usage).toMatchObject({ objects: 2, versions: 4, deleteMarkers: 1, bytes: 1023 + 2_000_000 + 70_000 + 5 });
  expect(usage.sizes.get("LESS_THAN_1024_B")).toBe(2);
  expect(usage.sizes.get("BETWEEN_64_KB_AND_256_KB")).toBe(1);
  expect(usage.sizes.get("BETWEEN_1024B_AND_1_MB")).toBe(1);
  expect(usage.sizes.get("BETWEEN_1_MB_AND_10_MB")).toBe(1);
  expect(usage.versionCounts.get("UNVERSIONED")).toBe(1);
  expect(usage.versionCounts.get("BETWEEN_2_AND_10")).toBe(2);
  put("plain", [10, 20]);
  expect((await index.usage("b")).bytes).toBe(2_000_000 + 70_000 + 5 + 30);
  index.dropBucket("b");
  expect([index.isEmpty("b"), (await index.usage("b")).versions]).toEqual([true, 0]);
});

test("a bucket that is dropped and filled again holds what came after the drop", async () => {
  const index = await KeyIndex.create(sqlite, join(folder, "drop.db"), failed);
  const row = (key: string) =>
    indexRow(
      pathOf(key),
      metaOf([{ versionId: "null", isDeleteMarker: false, sizeBytes: 1, modTime: 5n }]),
      1n,
      summaries,
    );
  index.note([row("old")], 1n);
  await index.flushed();
  index.note([row("older")], 2n);
  index.dropBucket("b");
  expect(index.isEmpty("b")).toBe(true);
  index.note([row("new")], 3n);
  const request = { bucket: "b", prefix: "", delimiter: "", after: "", inclusive: true, limit: 10, allVersions: false };
  expect(listAll(index, request)).toEqual(["new"]);
  await index.flushed();
  expect(listAll(index, request)).toEqual(["new"]);
  expect((await index.usage("b")).objects).toBe(1);
  await index.close();
});

test("what is noted is there after a clean close, with the sequence that it stands at", async () => {
  const path = join(folder, "reopen.db");
  const index = await KeyIndex.create(sqlite, path, failed);
  const version = { versionId: "null", isDeleteMarker: false, sizeBytes: 3, modTime: 9_000_000n };
  index.note([indexRow(pathOf("dir/"), metaOf([version]), 1n, summaries)], 41n);
  index.setNote("any", "text");
  expect(await index.sync()).toBe(41n);
  await index.close();
  const again = (await KeyIndex.open(sqlite, path, failed)) as KeyIndex;
  expect([again.position(), again.getNote("any"), again.isEmpty("b"), again.isEmpty("c")]).toEqual([
    41n,
    "text",
    false,
    true,
  ]);
  await again.close();
});

test("keys in doubt are marked, also where the index has no row, and make their common prefix doubtful", async () => {
  const index = await KeyIndex.create(new MemoryTables(), "doubts", failed);
  const version = { versionId: "null", isDeleteMarker: false, sizeBytes: 3, modTime: 9_000_000n };
  for (const key of ["a", "p/b", "q"]) index.note([indexRow(pathOf(key), metaOf([version]), 1n, summaries)], 1n);
  const ask = (delimiter: string, limit: number): [string, boolean][] =>
    listIndex(index, { bucket: "b", prefix: "", delimiter, after: "", inclusive: true, limit, allVersions: false }, [
      "p/a",
      "q",
    ]).entries.map((e) => [e.group ?? e.key, e.inDoubt]);
  expect(ask("", 10)).toEqual([
    ["a", false],
    ["p/a", true],
    ["p/b", false],
    ["q", true],
  ]);
  expect(ask("/", 10)).toEqual([
    ["a", false],
    ["p/", true],
    ["q", true],
  ]);
});

test("a key of too many versions for its row, or with text that a row cannot hold, is left to be read", () => {
  const many = Array.from({ length: 400 }, (_, i) => ({
    versionId: `00000000-0000-4000-8000-${String(i).padStart(12, "0")}`,
    isDeleteMarker: false,
    sizeBytes: i,
    modTime: BigInt(1000 - i) * 1_000_000n,
  }));
  const row = indexRow(pathOf("k"), metaOf(many), 1n, summaries);
  const parsed = parseIndexed(row.value as string);
  expect([parsed?.versionCount, parsed?.latest?.sizeBytes, row.extra]).toEqual([400, 0, null]);
  expect(parsed === null ? undefined : olderVersions(parsed, row.extra)).toBeNull();
  const few = indexRow(pathOf("k"), metaOf(many.slice(0, 3)), 1n, summaries);
  const told = parseIndexed(few.value as string);
  expect(told === null ? [] : olderVersions(told, few.extra)?.map((v) => v.sizeBytes)).toEqual([1, 2]);
  expect(parseIndexed(rowOfBytes(pathOf("k"), new Uint8Array(20), 1n, summaries).value as string)).toBeNull();
});

test("writers wait while too many rows are in memory, and go on when they are written", async () => {
  const index = await KeyIndex.create(sqlite, join(folder, "room.db"), failed);
  const version = { versionId: "null", isDeleteMarker: false, sizeBytes: 3, modTime: 9_000_000n };
  const { value, ...rest } = indexRow(pathOf("k"), metaOf([version]), 1n, summaries);
  index.note(
    Array.from({ length: 20_000 }, (_, i) => ({ ...rest, value, key: `k${i}` })),
    1n,
  );
  const room = index.room();
  expect(room).not.toBeNull();
  await room;
  await index.flushed();
  expect(index.room()).toBeNull();
  expect((await index.usage("b")).objects).toBe(20_000);
  await index.close();
});

test("ranges are compared by hash, and what differs from the tree is named", async () => {
  const make = async (name: string): Promise<KeyIndex> => {
    const index = await KeyIndex.create(new MemoryTables(), name, failed);
    for (let i = 0; i < 2500; i++) {
      const version = { versionId: "null", isDeleteMarker: false, sizeBytes: i, modTime: 9_000_000n };
      const row = indexRow(pathOf(`k${String(i).padStart(5, "0")}`), metaOf([version]), BigInt(i), summaries);
      index.note([row], 1n);
    }
    await index.flushed();
    return index;
  };
  const [a, b] = [await make("a"), await make("b")];
  const first = hashOfRange(a, "b", "");
  expect([first.keys, first.last]).toEqual([1000, "k00999"]);
  expect(hashOfRange(b, "b", "").hash).toBe(first.hash);
  expect(hashOfRange(b, "b", "k00000").hash).not.toBe(first.hash);
  const tree = a
    .range({ bucket: "b", from: "k00999", inclusive: false, before: "k02000", limit: 5000, withExtra: false })
    .rows.map(({ key, value }) => ({ key, value }));
  const range = { bucket: "b", after: "k00999", last: "k01999" };
  expect(verifyRange(a, range, tree)).toEqual([]);
  const changed = tree.filter((row) => row.key !== "k01500");
  changed[3] = { key: "k01003", value: "other" };
  changed.splice(10, 0, { key: "k01009+", value: "x" });
  expect(verifyRange(a, range, changed)).toEqual([
    { key: "k01003", kind: "differs" },
    { key: "k01009+", kind: "missing-in-index" },
    { key: "k01500", kind: "missing-in-tree" },
  ]);
});
