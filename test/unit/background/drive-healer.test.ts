/** A drive that lost everything, or a part, is given it back: real drives, a census of files before and after. */
import { afterEach, expect, test } from "bun:test";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HealProgress, healDrives, healDrivesLogged } from "../../../src/background/drive-healer.ts";
import { isMarkedForRebuild, markRebuild, unmarkRebuild } from "../../../src/storage/rebuild-mark.ts";
import { loadCodec } from "../../../src/codec/native.ts";
import { NativePool } from "../../../src/codec/pool.ts";
import { BlockPool } from "../../../src/core/block-pool.ts";
import { sourceOf } from "../../../src/core/byte-stream.ts";
import { BackgroundWork } from "../../../src/erasure/background-work.ts";
import { DigestLanes } from "../../../src/erasure/digest-lanes.ts";
import { ErasureSet } from "../../../src/erasure/erasure-set.ts";
import { Stamps } from "../../../src/erasure/stamps.ts";
import { Pools } from "../../../src/erasure/pools.ts";
import { resolveAll } from "../../../src/erasure/resolve-doubt.ts";
import { createLog } from "../../../src/observe/log.ts";
import type { LocalDrive } from "../../../src/storage/local-drive.ts";
import { GroupSyncs, openPool } from "../../../src/storage/open-pool.ts";
import { XlMeta } from "../../../src/storage/xl-meta.ts";
import { realClock } from "../../../src/sys/clock.ts";
import { realRng } from "../../../src/sys/rng.ts";
import { seededRng } from "../../sim/seeded.ts";

const codec = loadCodec();
const disk = new NativePool(codec, { threads: 2, threadsMax: 32 });
const signal = new AbortController().signal;
const roots: string[] = [];
const running = new Set<LocalDrive>();
afterEach(async () => {
  await closeAll();
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

async function closeAll(): Promise<void> {
  for (const drive of running) await drive.close();
  running.clear();
}
/** What the commit logs hold is in the tree. */
async function flushed(): Promise<void> {
  for (const drive of running) await drive.flush();
}

function freshDrives(): string[] {
  const root = mkdtempSync(join(tmpdir(), "sherd-heal-"));
  roots.push(root);
  return [1, 2, 3, 4].map((i) => join(root, `d${i}`));
}

async function open(paths: readonly string[], without: readonly number[] = []) {
  await closeAll();
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
    clock: realClock(),
    syncs: new GroupSyncs(disk),
    warn,
  });
  for (const drive of pool.drives) if (drive !== null) running.add(drive);
  const drives = pool.drives.map((drive, i) => (without.includes(i) ? null : drive));
  const damage = { report: (): void => undefined };
  const set = new ErasureSet(0, 0, drives, 2, 1, {
    codec,
    jobs: disk,
    digests: new DigestLanes(disk, realClock()),
    stamps: new Stamps(realClock(), rng),
    blocks: new BlockPool(64 << 20),
    readBlocks: new BlockPool(64 << 20),
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
  for (const position of pool.replaced) set.rebuilding.add(position);
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
  await flushed();
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
  await flushed();
  const before = census(paths[1] as string);
  rmSync(join(paths[1] as string, "bkt"), { recursive: true });
  rmSync(join(paths[1] as string, "nothing-in-it"), { recursive: true });
  const seen: HealProgress[] = [];
  const done = await healDrives(store, { deep: false, signal, onProgress: (p) => seen.push(p) });
  expect(done).toMatchObject({ keys: 8, healed: 7, failed: 0, bucketsMade: 2 });
  expect(done.bytes).toBeGreaterThan(1_500_000);
  expect(seen.at(-1)).toEqual(done);
  await flushed();
  expect(census(paths[1] as string)).toEqual(before);
});

test("a replaced, empty drive is found at start and rebuilt whole, system objects included", async () => {
  const paths = freshDrives();
  await filled(paths);
  await flushed();
  const before = paths.map(census);
  rmSync(paths[0] as string, { recursive: true });
  const { store, replaced } = await open(paths);
  expect(replaced).toEqual([0]);
  const lines: string[] = [];
  const log = createLog({ json: true, quiet: false, clock: realClock(), write: (line) => lines.push(line) });
  const done = await healDrivesLogged(store, { deep: false, signal, log, clock: realClock(), what: "d1" });
  expect(done).toMatchObject({ healed: 8, failed: 0, bucketsMade: 2 });
  await flushed();
  expect(paths.map(census)).toEqual(before);
  expect(lines.map((line) => JSON.parse(line).event)).toEqual(["rebuild started", "rebuild finished"]);
  await open(paths);
  await flushed();
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
  await flushed();
  const before = census(drive);
  const shard = [...before.keys()].find((path) => path.startsWith("bkt/big/") && path.endsWith("part.1")) as string;
  const bytes = readFileSync(join(drive, shard));
  bytes[bytes.length - 5] = (bytes[bytes.length - 5] as number) ^ 4;
  writeFileSync(join(drive, shard), bytes);
  expect(await healDrives(store, { deep: false, signal })).toMatchObject({ healed: 0 });
  expect(await healDrives(store, { deep: true, signal })).toMatchObject({ healed: 1, failed: 0 });
  await flushed();
  expect(census(drive)).toEqual(before);
});

test("a key that only the drives outside of a listing's quorum hold is found", async () => {
  const paths = freshDrives();
  const store = await filled(paths);
  // Drives 1 and 2 are those that a listing asks.
  for (const path of paths.slice(0, 2)) rmSync(join(path, "bkt", "big"), { recursive: true });
  expect(await healDrives(store, { deep: false, signal })).toMatchObject({ healed: 1, failed: 0 });
  await flushed();
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

test("a rebuild that was interrupted goes on after a restart, also a second time", async () => {
  const paths = freshDrives();
  await filled(paths);
  await flushed();
  const before = paths.map(census);
  rmSync(paths[2] as string, { recursive: true });
  for (let stopAfter = 1; ; stopAfter += 2) {
    const { store, replaced } = await open(paths);
    expect(replaced).toEqual([2]);
    const stop = new AbortController();
    const onProgress = ({ keys }: HealProgress): void => {
      if (keys >= stopAfter && stopAfter < 4) stop.abort(new Error("stopped"));
    };
    const outcome = await healDrives(store, { deep: false, signal: stop.signal, keysAtOnce: 1, onProgress }).then(
      ({ failed }) => failed,
      (error: unknown) => (error as Error).message,
    );
    if (outcome === 0) break;
    expect(outcome).toBe("stopped");
    await expectReadable(store);
  }
  await flushed();
  expect(paths.map(census)).toEqual(before);
  await unmarkRebuild(disk, paths[2] as string);
  expect((await open(paths)).replaced).toEqual([]);
});

test("what only a minority of the drives holds is kept by a heal", async () => {
  const paths = freshDrives();
  const store = await filled(paths);
  for (const path of paths.slice(1)) rmSync(join(path, "bkt/versions"), { recursive: true });
  await flushed();
  const before = census(paths[0] as string);
  expect(await healDrives(store, { deep: true, signal })).toMatchObject({ healed: 0 });
  await flushed();
  expect(census(paths[0] as string)).toEqual(before);
});

test("an uploaded object of many parts and a random half of everything is rebuilt, byte for byte", async () => {
  const paths = freshDrives();
  const store = await filled(paths);
  await uploaded(store, "uploaded", [bytesOf(5 << 20), bytesOf(2_000_001), bytesOf(17)]);
  await flushed();
  const before = paths.map(census);
  for (let seed = 1; seed <= 6; seed++) {
    const rng = seededRng(seed);
    const victims = [0, 1, 2, 3].sort(() => rng.next() - 0.5).slice(0, 2);
    for (const victim of victims) damageRandomly(paths[victim] as string, rng.next);
    const progress: number[] = [];
    const done = await healDrives(store, { deep: true, signal, onProgress: ({ keys }) => progress.push(keys) });
    expect({ seed, failed: done.failed }).toEqual({ seed, failed: 0 });
    expect(progress.length).toBeGreaterThan(8);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    await flushed();
    expect({ seed, whole: Bun.deepEquals(paths.map(census), before) }).toEqual({ seed, whole: true });
  }
});

async function uploaded(store: Pools, key: string, parts: readonly Uint8Array[]): Promise<void> {
  const metaUsr = new Map([["etag", "e"]]);
  const common = { bucket: "bkt", key, versionId: "null", storageClass: "STANDARD", metaUsr, metaSys: new Map() };
  const { ref } = await store.createUpload(common);
  for (const [i, data] of parts.entries()) {
    await using staged = await store.stage({
      bucket: "bkt",
      key,
      body: sourceOf(data),
      sizeBytes: data.length,
      digests: 1,
      storageClass: "STANDARD",
      inline: "never",
      signal,
      upload: ref,
    });
    const checksums = new Map<string, string>();
    const part = { number: i + 1, etag: "p", sizeBytes: data.length, actualBytes: data.length, checksums };
    await store.putPart(ref, staged, part);
  }
  const listed = await store.listParts(ref);
  const check = (): void => undefined;
  await store.completeUpload({ ...common, ref, parts: listed, check, readsLatest: false, signal });
  await store.background.idle();
}

/** About half of the files below the bucket: gone, cut short, or with a wrong bit; one directory in eight goes whole. */
function damageRandomly(drive: string, next: () => number): void {
  const entries = readdirSync(join(drive, "bkt"), { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    if (!existsSync(path)) continue;
    if (entry.isDirectory()) {
      if (next() < 0.125) rmSync(path, { recursive: true });
      continue;
    }
    const bytes = readFileSync(path);
    const kind = next();
    if (kind < 0.17) rmSync(path);
    else if (kind < 0.34) writeFileSync(path, bytes.subarray(0, Math.floor(next() * bytes.length)));
    else if (kind < 0.5) {
      const at = Math.floor(next() * bytes.length);
      bytes[at] = (bytes[at] as number) ^ 8;
      writeFileSync(path, bytes);
    }
  }
}

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
