/** A drive that lost everything, or a part, is given it back: real drives, a census of files before and after. */
import { afterEach, expect, test } from "bun:test";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HealProgress, healDrives, healDrivesLogged } from "../../../src/background/drive-healer.ts";
import { isMarkedForRebuild, markRebuild, unmarkRebuild } from "../../../src/background/rebuild-mark.ts";
import { loadCodec } from "../../../src/codec/native.ts";
import { NativePool } from "../../../src/codec/pool.ts";
import { BlockPool } from "../../../src/core/block-pool.ts";
import { sourceOf } from "../../../src/core/byte-stream.ts";
import { BackgroundWork } from "../../../src/erasure/background-work.ts";
import { DigestLanes } from "../../../src/erasure/digest-lanes.ts";
import { ErasureSet } from "../../../src/erasure/erasure-set.ts";
import { Pools } from "../../../src/erasure/pools.ts";
import { resolveAll } from "../../../src/erasure/resolve-doubt.ts";
import { createLog } from "../../../src/observe/log.ts";
import { GroupSyncs, openPool } from "../../../src/storage/open-pool.ts";
import { XlMeta } from "../../../src/storage/xl-meta.ts";
import { realClock } from "../../../src/sys/clock.ts";
import { realRng } from "../../../src/sys/rng.ts";

const codec = loadCodec();
const disk = new NativePool(codec, { threads: 2, threadsMax: 32 });
const signal = new AbortController().signal;
const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

function freshDrives(): string[] {
  const root = mkdtempSync(join(tmpdir(), "sherd-heal-"));
  roots.push(root);
  return [1, 2, 3, 4].map((i) => join(root, `d${i}`));
}

async function open(paths: readonly string[], without: readonly number[] = []) {
  const rng = realRng();
  const warn = (message: string): void => {
    throw new Error(message);
  };
  const pool = await openPool({
    endpoints: paths,
    paths,
    setSize: paths.length,
    deploymentId: null,
    allowRootDrive: true,
    disk,
    rng,
    syncs: new GroupSyncs(disk),
    warn,
  });
  const drives = pool.drives.map((drive, i) => (without.includes(i) ? null : drive));
  const damage = { report: (): void => undefined };
  const set = new ErasureSet(0, 0, drives, 2, 1, {
    codec,
    jobs: disk,
    digests: new DigestLanes(disk, realClock()),
    blocks: new BlockPool(64 << 20),
    clock: realClock(),
    rng,
    damage,
    inlineBytesMax: 131072,
  });
  const failed = (error: unknown): void => {
    throw error;
  };
  const store = new Pools({
    pools: [{ sets: [set], placement: pool.format.distribution, isSuspended: false }],
    deploymentId: pool.format.deploymentId,
    background: new BackgroundWork(failed),
  });
  await resolveAll(set); // as a server does at start
  return { store, replaced: pool.replaced };
}

async function put(store: Pools, key: string, data: Uint8Array, versionId = "null"): Promise<void> {
  await using staged = await store.stage({
    bucket: "bkt",
    key,
    body: sourceOf(data),
    sizeBytes: data.length,
    digests: 1,
    storageClass: "STANDARD",
    inline: "unversioned",
    signal,
  });
  await store.commit({
    bucket: "bkt",
    key,
    reads: "latest",
    signal,
    decide: () => ({ kind: "put", versionId, staged, metaUsr: new Map([["etag", "e"]]), metaSys: new Map() }),
  });
}

function bytesOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7919 + (i >> 8)) & 255);
}

const OBJECTS: readonly (readonly [string, Uint8Array])[] = [
  ["small", bytesOf(4096)],
  ["empty", bytesOf(0)],
  ["a/b/middle", bytesOf(300_000)],
  ["a/b", bytesOf(400_000)], // an object with another one below it
  ["big", bytesOf(3 * 1048576 + 777)],
  ["folder/", bytesOf(3)],
];

async function filled(paths: readonly string[]): Promise<Pools> {
  const { store } = await open(paths);
  await store.makeBucket("bkt");
  await store.makeBucket("nothing-in-it");
  for (const [key, data] of OBJECTS) await put(store, key, data);
  await put(store, "versions", bytesOf(200_000), crypto.randomUUID());
  await put(store, "versions", bytesOf(1000), crypto.randomUUID());
  await store.commit({
    bucket: "bkt",
    key: "versions",
    reads: "latest",
    signal,
    decide: () => ({ kind: "delete-marker", versionId: crypto.randomUUID() }),
  });
  await store.writeDocument("buckets/bkt/.metadata.bin", bytesOf(500));
  await store.background.idle();
  return store;
}

/** What a drive holds: shard files by their bytes, xl.meta by its versions; bookkeeping and format.json are left out. */
function census(drive: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const entry of readdirSync(drive, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name).slice(drive.length + 1);
    if (/^\.minio\.sys\/(tmp|tmp-old|sherd|multipart|format\.json)/.test(path)) continue;
    if (entry.isDirectory()) found.set(path, "directory");
    else if (entry.name === "xl.meta") {
      const meta = XlMeta.decode(readFileSync(join(drive, path)));
      found.set(
        path,
        meta.versions
          .map(
            ({ header, body }) =>
              `${header.versionId} ${header.modTime} ${Bun.hash(body)} ${Bun.hash(meta.inlineData(header.versionId) ?? "")}`,
          )
          .join(),
      );
    } else found.set(path, String(Bun.hash(readFileSync(join(drive, path)))));
  }
  return new Map([...found].sort());
}

async function expectReadable(store: Pools): Promise<void> {
  for (const [key, data] of OBJECTS) {
    await using reader = await store.openVersion("bkt", key);
    const out: Uint8Array[] = [];
    const write = (bytes: Uint8Array): Promise<void> => {
      out.push(bytes.slice());
      return Promise.resolve();
    };
    if (data.length > 0) await reader?.stream({ write }, 0, data.length);
    expect(Buffer.compare(Buffer.concat(out), data)).toBe(0);
  }
}

test("a bucket wiped from one drive comes back as it was, shard for shard", async () => {
  const paths = freshDrives();
  const store = await filled(paths);
  const before = census(paths[1] as string);
  rmSync(join(paths[1] as string, "bkt"), { recursive: true });
  rmSync(join(paths[1] as string, "nothing-in-it"), { recursive: true });
  const seen: HealProgress[] = [];
  const done = await healDrives(store, { deep: false, signal, onProgress: (p) => seen.push(p) });
  expect(done).toMatchObject({ keys: 9, healed: 7, failed: 0, bucketsMade: 2 });
  expect(done.bytes).toBeGreaterThan(1_500_000);
  expect(seen.at(-1)).toEqual(done);
  expect(census(paths[1] as string)).toEqual(before);
});

test("a replaced, empty drive is found at start and rebuilt whole, system objects included", async () => {
  const paths = freshDrives();
  await filled(paths);
  const before = paths.map(census);
  rmSync(paths[0] as string, { recursive: true });
  const { store, replaced } = await open(paths);
  expect(replaced).toEqual([0]);
  const lines: string[] = [];
  const log = createLog({ json: true, quiet: false, clock: realClock(), write: (line) => lines.push(line) });
  const done = await healDrivesLogged(store, { deep: false, signal, log, clock: realClock(), what: "d1" });
  expect(done).toMatchObject({ healed: 8, failed: 0, bucketsMade: 2 });
  expect(paths.map(census)).toEqual(before);
  expect(lines.map((line) => JSON.parse(line).event)).toEqual(["rebuild started", "rebuild finished"]);
  await open(paths);
  expect(paths.map(census)).toEqual(before); // a restart takes nothing of it back
  const { store: withTwo } = await open(paths, [1, 2]);
  await expectReadable(withTwo); // from what was rebuilt, and one more
});

test("what is whole is left alone, also when it is read through", async () => {
  const paths = freshDrives();
  const store = await filled(paths);
  expect(await healDrives(store, { deep: true, signal })).toMatchObject({
    healed: 0,
    failed: 0,
    bytes: 0,
    bucketsMade: 0,
  });
});

test("a flipped bit is found by a deep heal and repaired", async () => {
  const paths = freshDrives();
  const store = await filled(paths);
  const drive = paths[2] as string;
  const before = census(drive);
  const shard = [...before.keys()].find((path) => path.startsWith("bkt/big/") && path.endsWith("part.1")) as string;
  const bytes = readFileSync(join(drive, shard));
  bytes[bytes.length - 5] = (bytes[bytes.length - 5] as number) ^ 4;
  writeFileSync(join(drive, shard), bytes);
  expect(await healDrives(store, { deep: false, signal })).toMatchObject({ healed: 0 });
  expect(await healDrives(store, { deep: true, signal })).toMatchObject({ healed: 1, failed: 0 });
  expect(census(drive)).toEqual(before);
});

test("a key that only the drives outside of a listing's quorum hold is found", async () => {
  const paths = freshDrives();
  const store = await filled(paths);
  // Drives 1 and 2 are those that a listing asks.
  for (const path of paths.slice(0, 2)) rmSync(join(path, "bkt", "big"), { recursive: true });
  expect(await healDrives(store, { deep: false, signal })).toMatchObject({ healed: 1, failed: 0 });
  expect(statSync(join(paths[0] as string, "bkt/big/xl.meta")).isFile()).toBe(true);
});

test("a key with too few shards fails alone and is told", async () => {
  const paths = freshDrives();
  const store = await filled(paths);
  for (const path of paths.slice(0, 3)) {
    for (const entry of readdirSync(join(path, "bkt/big"), { withFileTypes: true }))
      if (entry.isDirectory()) rmSync(join(path, "bkt/big", entry.name), { recursive: true });
  }
  rmSync(join(paths[0] as string, "bkt/small"), { recursive: true });
  const failures: string[] = [];
  const done = await healDrives(store, {
    deep: false,
    signal,
    onFailure: (bucket, path) => failures.push(`${bucket}/${path}`),
  });
  expect(done).toMatchObject({ healed: 1, failed: 1 });
  expect(failures).toEqual(["bkt/big"]);
});

test("an aborted walk stops", async () => {
  const paths = freshDrives();
  const store = await filled(paths);
  const stop = new AbortController();
  const healing = healDrives(store, {
    deep: false,
    signal: stop.signal,
    onProgress: () => stop.abort(new Error("stopped")),
  });
  expect(healing).rejects.toThrow("stopped");
  await healing.catch((error: unknown) => expect(error).toBeInstanceOf(Error));
});

test("the mark of an unfinished rebuild outlives a restart and goes when it is done", async () => {
  const paths = freshDrives();
  await filled(paths);
  const drive = paths[0] as string;
  expect(await isMarkedForRebuild(disk, drive)).toBe(false);
  await markRebuild(disk, drive);
  await markRebuild(disk, drive);
  await open(paths);
  expect(await isMarkedForRebuild(disk, drive)).toBe(true);
  await unmarkRebuild(disk, drive);
  await unmarkRebuild(disk, drive);
  expect(await isMarkedForRebuild(disk, drive)).toBe(false);
  cpSync(drive, `${drive}-copy`, { recursive: true });
  rmSync(drive, { recursive: true });
  expect(markRebuild(disk, drive)).rejects.toThrow("errno 2");
});
