/** The contract of OrderedTable, on SQLite files and on the simulator's memory. */
import { afterAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CachedReads } from "../../../src/codec/cached-reads.ts";
import { loadCodec } from "../../../src/codec/native.ts";
import type { OrderedTable, TableChange, Tables } from "../../../src/sys/ordered-table.ts";
import { SqliteTables } from "../../../src/sys/sqlite-tables.ts";
import { MemoryTables } from "../../sim/memory-tables.ts";

const folder = mkdtempSync(join(tmpdir(), "sherd-table-"));
const sqlite = new SqliteTables(new CachedReads(loadCodec()));
afterAll(async () => {
  await sqlite.close();
  rmSync(folder, { recursive: true, force: true });
});
const KINDS: readonly (readonly [string, Tables, string])[] = [
  ["SQLite", sqlite, folder],
  ["memory", new MemoryTables(), "/memory"],
];

function row(group: string, key: string, value: string | null, counts: readonly number[] = []): TableChange {
  return { group, key, value, own: `own ${key}`, extra: value === null ? null : `extra ${value}`, counts };
}
function write(
  table: OrderedTable,
  changes: readonly TableChange[],
  notes = {},
  dropped: string[] = [],
): Promise<void> {
  return table.write({ dropped, changes, notes });
}
function keys(table: OrderedTable, group: string): string[] {
  return table
    .range({ group, from: "", inclusive: true, before: null, limit: 100, withExtra: false })
    .map((r) => r.key);
}

test.each(KINDS)("%s: rows come in the order of UTF-8 bytes, groups apart", async (_, tables, at) => {
  const table = await tables.create(join(at, "order.db"));
  const texts = ["\u{ffff}", "\u{10000}", "a", "\u{d7ff}", "\u{e000}", "a\u{1}", "a/", "a!", "é", "Z"];
  await write(table, [...texts.map((key) => row("b", key, key)), row("a", "x", "1"), row("bb", "y", "2")]);
  expect(keys(table, "b")).toEqual([...texts].sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y))));
  expect(keys(table, "a")).toEqual(["x"]);
  const some = table.range({ group: "b", from: "a", inclusive: false, before: "b", limit: 2, withExtra: true });
  expect(some.map((r) => [r.key, r.value, r.extra])).toEqual([
    ["a\u{1}", "a\u{1}", "extra a\u{1}"],
    ["a!", "a!", "extra a!"],
  ]);
  const one = table.range({ group: "b", from: "a!", inclusive: true, before: null, limit: 1, withExtra: false });
  expect(one.map((r) => r.key)).toEqual(["a!"]);
  expect(table.own("b", "a!")).toBe("own a!");
  await table.close();
});

test.each(KINDS)("%s: sums follow puts, overwrites, removals and drops", async (_, tables, at) => {
  const table = await tables.create(join(at, "sums.db"));
  await write(table, [row("b", "k", "1", [0, 1, 3, 100]), row("b", "l", "1", [0, 1, 3, 7])]);
  await write(table, [row("b", "k", "2", [0, 1, 3, 5]), row("b", "absent", null)]);
  expect([...table.sums("b")].sort()).toEqual([
    [0, 2],
    [3, 12],
  ]);
  await write(table, [row("b", "k", null)]);
  await write(table, [row("b", "k", null), row("c", "k", "1", [0, 1])]);
  expect(Object.fromEntries(table.sums("b"))).toEqual({ 0: 1, 3: 7 });
  await write(table, [row("b", "n", "1", [0, 1])], {}, ["b"]);
  expect(keys(table, "b")).toEqual(["n"]);
  expect(Object.fromEntries(table.sums("b"))).toEqual({ 0: 1 });
  expect(Object.fromEntries(table.sums("c"))).toEqual({ 0: 1 });
  await table.close();
});

test.each(KINDS)("%s: what was written is there when it is opened again; create begins anew", async (_, tables, at) => {
  const path = join(at, "again.db");
  expect(await tables.open(path)).toBe("absent");
  const first = await tables.create(path);
  await write(first, [row("b", "k", "1", [0, 1])], { sequence: "7" });
  await first.sync();
  await first.close();
  const second = (await tables.open(path)) as OrderedTable;
  expect([second.notes().get("sequence"), second.notes().get("none"), keys(second, "b")]).toEqual([
    "7",
    undefined,
    ["k"],
  ]);
  expect(await second.check()).toBe(true);
  await second.close();
  const third = await tables.create(path);
  expect([third.notes().get("sequence"), keys(third, "b"), third.sums("b").size]).toEqual([undefined, [], 0]);
  await third.close();
});

test("a file that is no table, an older layout and torn pages are damaged", async () => {
  const path = join(folder, "damaged.db");
  writeFileSync(path, "this is not a database, and it is longer than a header would be: ".repeat(40));
  expect(await sqlite.open(path)).toBe("damaged");
  writeFileSync(path, "");
  expect(await sqlite.open(path)).toBe("damaged");
  const table = await sqlite.create(path);
  for (let i = 0; i < 20; i++)
    await write(
      table,
      Array.from({ length: 200 }, (_, j) => row("b", `key ${i} ${j}`, "v".repeat(100))),
    );
  await table.close();
  const bytes = readFileSync(path);
  for (let at = 4096 * 3; at < bytes.length; at += 4096) bytes.fill(0xa5, at, at + 64);
  writeFileSync(path, bytes);
  const opened = await sqlite.open(path);
  if (opened === "damaged" || opened === "absent") return;
  expect(await opened.check()).toBe(false);
  expect(() =>
    opened.range({ group: "b", from: "", inclusive: true, before: null, limit: 9999, withExtra: true }),
  ).toThrow("malformed");
  await opened.close();
});

/** Makes the kernel forget what it has of a file in memory. */
function forget(path: string): void {
  spawnSync("dd", [`of=${path}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0", "if=/dev/null"]);
}

class CountedReads extends CachedReads {
  misses = 0;
  override missed(): ReturnType<CachedReads["missed"]> {
    const missed = super.missed();
    if (missed !== null) this.misses++;
    return missed;
  }
}

test.skipIf(process.platform !== "linux")(
  "a read waits elsewhere for what is not in memory, and is right",
  async () => {
    const counted = new CountedReads(loadCodec());
    const tables = new SqliteTables(counted);
    const path = join(folder, "cold.db");
    const made = await tables.create(path);
    const rows = Array.from({ length: 30_000 }, (_, i) =>
      row("b", String(i).padStart(6, "0"), "v".repeat(200), [0, 1]),
    );
    for (let at = 0; at < rows.length; at += 1_000) await write(made, rows.slice(at, at + 1_000));
    await made.close();
    const random = [...rows].sort((x, y) => Bun.hash.crc32(x.key) - Bun.hash.crc32(y.key));

    const table = (await tables.open(path)) as OrderedTable;
    const late = row("b", "000000/late", "only in the log of the file", [0, 1]);
    await write(table, [late]);
    forget(path);
    forget(`${path}-wal`);
    const before = counted.misses;
    const some = random.slice(0, 200).map(({ key }) => key);
    let runs = 0;
    const found = await table.read(() => {
      runs++;
      return [...some, late.key].map(
        (from) => table.range({ group: "b", from, inclusive: true, before: null, limit: 1, withExtra: false })[0],
      );
    });
    expect(found.map((one) => one?.key)).toEqual([...some, late.key]);
    expect(found.at(-1)?.value).toBe(late.value as string);
    const misses = counted.misses - before;
    expect(runs).toBe(misses + 1);
    // A file system that cannot tell answers none, and the read waits for it. Else a miss fetches what lies beside it too.
    if (misses > 0) expect({ misses, isFew: misses >= 5 && misses < 200 }).toEqual({ misses, isFew: true });
    expect([await table.read(() => table.sums("b").get(0)), counted.misses - before]).toEqual([30_001, misses]);
    await table.close();
    await tables.close();
  },
);

test("a read that always misses waits for the drive in the end", async () => {
  const descriptor = openSync("/dev/null", "r");
  const cached = {
    ...{ extension: new CachedReads(loadCodec()).extension, layer: "unix-excl", isOn: false },
    start: (): void => void (cached.isOn = true),
    stop: (): void => void (cached.isOn = false),
    missed: () => (cached.isOn ? { descriptor, offset: 0, bytes: 1 } : null),
  };
  const tables = new SqliteTables(cached);
  const table = await tables.create(join(folder, "missing.db"));
  let runs = 0;
  const work = (): string => {
    runs++;
    if (cached.isOn) throw new Error("missed");
    return "read";
  };
  const answer = process.platform === "linux" ? await table.read(work) : work();
  expect([answer, runs > 100]).toEqual(["read", process.platform === "linux"]);
  await table.close();
  await tables.close();
  closeSync(descriptor);
});
