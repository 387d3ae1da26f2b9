/**
 * DriveHealer: rebuilds what drives lack of everything: buckets, system objects, objects. For a replaced drive, and for
 * `sherd heal`. Walks every drive of a set itself, not a quorum of them: with an empty drive among those asked, a listing
 * may miss a key that another drive missed too. Each key is healed under its own lock (heal-version.ts); nothing is
 * removed without proof. A key that fails is counted and told, and the walk goes on. Uploads in progress are not rebuilt: they are
 * readable from the other drives and complete there.
 */
import { FormatError } from "../core/format-error.ts";
import type { KeyLock } from "../core/key-lock.ts";
import type { ErasureSet } from "../erasure/erasure-set.ts";
import { healKey } from "../erasure/heal-version.ts";
import { POOL_META_PATH } from "../erasure/pool-meta.ts";
import { namesIn } from "../erasure/walk-set.ts";
import type { Log } from "../observe/log.ts";
import type { ObjectPath } from "../storage/drive.ts";
import { SYSTEM_BUCKET, SYSTEM_PATHS } from "../storage/paths.ts";
import { XlMeta } from "../storage/xl-meta.ts";
import type { Clock } from "../sys/clock.ts";

const KEYS_AT_ONCE = 4;
const LOOKS_AT_ONCE = 32;
const LOG_EVERY_MS = 10_000;

/** What is walked and healed: Pools is one. */
export interface HealStore {
  readonly allSets: readonly ErasureSet[];
  readonly locks: KeyLock;
  listBuckets(): Promise<readonly { readonly name: string }[]>;
}

export interface HealProgress {
  /** Keys looked at, of them healed, failed; bytes written. */
  readonly keys: number;
  readonly healed: number;
  readonly failed: number;
  readonly bytes: number;
  /** Bucket directories made. */
  readonly bucketsMade: number;
  /** The last key looked at. */
  readonly bucket: string;
  readonly key: string;
}

export interface HealDrivesOptions {
  /** Reads and verifies every shard, instead of only looking whether it is there. */
  readonly deep: boolean;
  readonly signal: AbortSignal;
  /** The sets to look at; none given = all. */
  readonly sets?: readonly ErasureSet[];
  readonly keysAtOnce?: number;
  /** After each key. */
  readonly onProgress?: (progress: HealProgress) => void;
  readonly onFailure?: (bucket: string, path: string, error: unknown) => void;
}

/** Throws when no drive of a set lists a bucket, or on abort; failures of keys are counted. */
export async function healDrives(store: HealStore, options: HealDrivesOptions): Promise<HealProgress> {
  const run = new HealRun(store, options);
  const buckets = (await store.listBuckets()).map((b) => b.name);
  for (const set of options.sets ?? store.allSets) {
    // System objects first: without a bucket's metadata its objects are there and its settings are not.
    await run.healKnown(set, { bucket: SYSTEM_BUCKET, path: POOL_META_PATH });
    for (const folder of [SYSTEM_PATHS.config, SYSTEM_PATHS.buckets]) await run.walk(set, SYSTEM_BUCKET, folder);
    for (const bucket of buckets) {
      await run.makeBucket(set, bucket);
      await run.walk(set, bucket, "");
    }
  }
  return run.progress;
}

/** healDrives with a line in the log at the start, every 10 s, for each key that failed, and at the end. */
export async function healDrivesLogged(
  store: HealStore,
  options: HealDrivesOptions & { readonly log: Log; readonly clock: Clock; readonly what: string },
): Promise<HealProgress> {
  const { log, clock, what } = options;
  const startedMs = clock.elapsedMs();
  let toldMs = startedMs;
  log.info("rebuild started", { what });
  const done = await healDrives(store, {
    ...options,
    onProgress(progress) {
      options.onProgress?.(progress);
      if (clock.elapsedMs() - toldMs < LOG_EVERY_MS) return;
      toldMs = clock.elapsedMs();
      log.info("rebuild progress", { what, ...progress, seconds: Math.round((toldMs - startedMs) / 1000) });
    },
    onFailure(bucket, path, error) {
      options.onFailure?.(bucket, path, error);
      log.warn("rebuild of a key failed", {
        what,
        bucket,
        key: path,
        message: error instanceof Error ? error.message : String(error),
      });
    },
  });
  const { keys, healed, failed, bytes, bucketsMade } = done;
  log.info(failed === 0 ? "rebuild finished" : "rebuild finished, some keys failed", {
    what,
    keys,
    healed,
    failed,
    bytes,
    bucketsMade,
    seconds: Math.round((clock.elapsedMs() - startedMs) / 1000),
  });
  return done;
}

/** What drives that came empty lack; when they have everything they count like the others. */
export async function rebuildReplaced(
  store: {
    readonly pools: HealStore;
    readonly toRebuild: readonly ErasureSet[];
    readonly rebuilt: () => Promise<void>;
  },
  { log, clock }: { readonly log: Log; readonly clock: Clock },
  signal: AbortSignal,
): Promise<void> {
  try {
    const how = { deep: false, signal, sets: store.toRebuild, log, clock, what: "replaced drive" };
    const { failed } = await healDrivesLogged(store.pools, how);
    if (failed === 0) await store.rebuilt(); // else the next start, or `sherd heal`, goes on with it
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** The state of one walk over sets. */
class HealRun {
  progress: HealProgress = { keys: 0, healed: 0, failed: 0, bytes: 0, bucketsMade: 0, bucket: "", key: "" };

  constructor(
    private readonly store: HealStore,
    private readonly options: HealDrivesOptions,
  ) {}

  async makeBucket(set: ErasureSet, bucket: string): Promise<void> {
    const outcomes = await set.each((drive) => drive.makeBucket(bucket));
    for (const [position, outcome] of outcomes.entries()) {
      if (outcome.ok) this.add({ bucketsMade: 1 });
      else if (outcome.error.code !== "Exists" && set.drives[position] !== null) this.fail(bucket, "", outcome.error);
    }
  }

  /** Everything below a directory, depth first, a bounded number of names at a time. */
  async walk(set: ErasureSet, bucket: string, directory: string): Promise<void> {
    const names = await namesIn(set, bucket, directory);
    const base = directory === "" ? "" : `${directory}/`;
    for (let at = 0; at < names.length; at += LOOKS_AT_ONCE) {
      this.options.signal.throwIfAborted();
      const paths = names.slice(at, at + LOOKS_AT_ONCE).map((name) => base + name);
      const looks = await Promise.all(paths.map((path) => lookAt(set, { bucket, path })));
      const objects = paths.filter((_, i) => looks[i]?.isObject === true);
      await this.healAll(set, bucket, objects);
      for (const [i, path] of paths.entries()) if (looks[i]?.hasMoreBelow === true) await this.walk(set, bucket, path);
    }
  }

  /** If any drive has it: of a key that none has, too few may be left to say that it never was. */
  async healKnown(set: ErasureSet, key: ObjectPath): Promise<void> {
    if ((await lookAt(set, key)).isObject) await this.healAll(set, key.bucket, [key.path]);
  }

  async healAll(set: ErasureSet, bucket: string, paths: readonly string[]): Promise<void> {
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < paths.length && !this.options.signal.aborted)
        await this.healOne(set, bucket, paths[next++] as string);
    };
    const workers = Math.min(paths.length, Math.max(1, this.options.keysAtOnce ?? KEYS_AT_ONCE));
    await Promise.all(Array.from({ length: workers }, worker));
    this.options.signal.throwIfAborted();
  }

  private async healOne(set: ErasureSet, bucket: string, path: string): Promise<void> {
    try {
      const { healed, bytes } = await healKey(set, { bucket, path }, this.store.locks, { deep: this.options.deep });
      this.add({ keys: 1, healed: healed.length > 0 ? 1 : 0, bytes, bucket, key: path });
    } catch (error) {
      this.add({ keys: 1 });
      this.fail(bucket, path, error);
    }
  }

  private fail(bucket: string, path: string, error: unknown): void {
    this.add({ failed: 1, bucket, key: path });
    this.options.onFailure?.(bucket, path, error);
  }

  private add(more: Partial<HealProgress>): void {
    const sum = (name: "keys" | "healed" | "failed" | "bytes" | "bucketsMade"): number =>
      this.progress[name] + (more[name] ?? 0);
    this.progress = {
      keys: sum("keys"),
      healed: sum("healed"),
      failed: sum("failed"),
      bytes: sum("bytes"),
      bucketsMade: sum("bucketsMade"),
      bucket: more.bucket ?? this.progress.bucket,
      key: more.key ?? this.progress.key,
    };
    this.options.onProgress?.(this.progress);
  }
}

interface Look {
  /** Some drive has an xl.meta here. */
  readonly isObject: boolean;
  /** Directories other than those of the versions' data. */
  readonly hasMoreBelow: boolean;
}

async function lookAt(set: ErasureSet, key: ObjectPath): Promise<Look> {
  const below = new Set<string>();
  const dataDirs = new Set<string>();
  let isObject = false;
  for (const outcome of await set.each((drive) => drive.look(key))) {
    if (!outcome.ok) continue;
    for (const name of outcome.value.directories) below.add(name);
    const { meta } = outcome.value.state;
    if (meta === null) continue;
    isObject = true;
    for (const name of dataDirsOf(meta)) dataDirs.add(name);
  }
  for (const name of dataDirs) below.delete(name);
  return { isObject, hasMoreBelow: below.size > 0 };
}

/** Of an unreadable xl.meta none are known: its data directory is entered, and nothing found in it. */
function dataDirsOf(meta: Uint8Array): readonly string[] {
  try {
    return [...XlMeta.decode(meta).dataDirs()];
  } catch (error) {
    if (error instanceof FormatError) return [];
    throw error;
  }
}
