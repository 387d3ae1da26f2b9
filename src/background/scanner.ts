/**
 * Scanner: rounds over every set. First its drives are compared by ranges of their indexes, which takes seconds; then every
 * directory is visited: what drives say of each key, its data by size, the key index against the tree and the tree against the index,
 * and what nothing refers to. What lacks copies goes to the heal queue; orphans and leftovers go with proof (erasure/orphans.ts);
 * what dangles goes to quarantine when it was seen twice, a grace apart. Nothing readable is removed.
 */
import type { KeyLock } from "../core/key-lock.ts";
import type { DebtBook } from "../erasure/debt-book.ts";
import type { ErasureSet } from "../erasure/erasure-set.ts";
import { inspectKey } from "../erasure/inspect-key.ts";
import { removeOrphans, removeStaleUploads } from "../erasure/orphans.ts";
import { quarantineId, quarantineVersions } from "../erasure/quarantine-version.ts";
import type { Visit } from "../erasure/walk-set.ts";
import type { Log } from "../observe/log.ts";
import type { UpkeepFacts } from "../observe/upkeep-families.ts";
import { isBucketDirectory, SYSTEM_BUCKET } from "../storage/paths.ts";
import type { Clock } from "../sys/clock.ts";
import { messageOf } from "./message-of.ts";
import { compareSet } from "./range-compare.ts";
import { type SeenNow, SetRound } from "./set-round.ts";
import type { Throttle } from "./throttle.ts";
import { RoundWorker } from "./worker.ts";

const NOTE = "scan/position.json";
const INDEX_KEYS = 256;
const DOUBTFUL_MAX = 1_000;
const TOLD_MAX = 20;
/** Objects seen on each drive that are looked for in its index together. */
const BATCH_KEYS = 256;

export interface ScannerOptions {
  readonly sets: readonly { readonly set: ErasureSet; readonly book: DebtBook | null }[];
  readonly locks: KeyLock;
  readonly listBuckets: () => Promise<readonly { readonly name: string }[]>;
  readonly clock: Clock;
  readonly log: Log;
  readonly throttle: (signal: AbortSignal) => Throttle;
  /** Between the end of a round and the next. */
  readonly restMs: number;
  /** How old what nothing refers to must be, and how long a version must have dangled. */
  readonly graceMs: number;
  readonly staleUploadMs: number;
}
export type ScannerTotals = Omit<UpkeepFacts["scan"], "sets">;

export class Scanner {
  private readonly worker: RoundWorker;
  readonly rounds: readonly SetRound[];
  private readonly pacer: Throttle;
  private told = 0;
  private isForced = false;
  totals: ScannerTotals = {
    objects: 0,
    directories: 0,
    versions: 0,
    damaged: 0,
    orphans: 0,
    uploads: 0,
    staged: 0,
    quarantined: 0,
    indexRows: 0,
    rounds: 0,
  };

  constructor(private readonly options: ScannerOptions) {
    const { clock, log, restMs, listBuckets } = options;
    this.worker = new RoundWorker({ name: "scan", clock, log, everyMs: restMs, round: (signal) => this.round(signal) });
    this.pacer = options.throttle(this.worker.signal);
    this.rounds = options.sets.map(({ set, book }) => {
      const seen = set.drives.map((): string[] => []);
      const round: SetRound = new SetRound({
        set,
        name: NOTE,
        clock,
        listBuckets,
        pace: () => this.pacer.take(1, 0),
        visitor: {
          visit: (visit) => this.visit(round, { book, seen }, visit),
          endOfBucket: (bucket) => this.endOfBucket(set, bucket, seen),
          endOfRound: () => this.sweep(set),
        },
      });
      return round;
    });
  }

  start(): void {
    this.worker.start();
  }
  /** A round begins now: damage was reported that nobody could keep. */
  wake(): void {
    this.isForced = true;
    this.worker.wake();
  }
  stop(): Promise<void> {
    return this.worker.stop();
  }

  /** One round over each set, one set after the other; goes on where the last process stopped. */
  async round(signal: AbortSignal): Promise<void> {
    const { isForced } = this;
    this.isForced = false;
    for (const round of this.rounds) {
      const { poolIndex, setIndex } = round.set;
      const begun = await round.load();
      const isFresh = begun.endedMs !== null && this.options.clock.nowMs() - begun.endedMs < this.options.restMs;
      if (isFresh && !isForced) continue;
      this.told = 0;
      await this.compare(round.set, signal);
      const { round: number, keys, found, startedMs, endedMs } = await round.run(signal);
      this.add("rounds", 1);
      const seconds = Math.round(((endedMs ?? startedMs) - startedMs) / 1000);
      this.options.log.info("scan round done", { pool: poolIndex, set: setIndex, round: number, keys, found, seconds });
    }
  }

  private async compare(set: ErasureSet, signal: AbortSignal): Promise<void> {
    const { locks, listBuckets, log } = this.options;
    const buckets = (await listBuckets()).map(({ name }) => name).filter(isBucketDirectory);
    const onFailure = (bucket: string, path: string, message: string): void => {
      log.warn("a key in which drives differ cannot be healed", { bucket, key: path, message });
      set.resources.damage.report({ bucket, path, why: "differs" }); // tried again, and counted
    };
    const pace = (looks: number): Promise<void> => this.pacer.take(looks, 0);
    const { keysHealed, different } = await compareSet(set, { locks, signal, buckets, pace, onFailure, indexed: true });
    this.add("damaged", keysHealed);
    if (keysHealed > 0)
      log.info("drives differed and were made equal", { set: set.setIndex, ranges: different, keysHealed });
  }

  private async visit(
    round: SetRound,
    { book, seen }: { readonly book: DebtBook | null; readonly seen: string[][] },
    { key, isObject, looks }: Visit,
  ): Promise<SeenNow> {
    const { set } = round;
    const { locks, graceMs } = this.options;
    this.add(isObject ? "objects" : "directories", 1);
    try {
      const untouchedSinceNs = BigInt(this.options.clock.nowMs() - graceMs) * 1_000_000n;
      const orphans = await removeOrphans(set, key, looks, { locks, untouchedSinceNs });
      this.add("orphans", orphans);
      if (orphans > 0)
        this.options.log.info("orphaned data removed", { bucket: key.bucket, key: key.path, directories: orphans });
      if (!isObject) return { bytes: 0, found: orphans };
      const { lacking, dangling, versions } = await inspectKey(set, key, { deep: false });
      this.add("versions", versions);
      const rows = key.bucket === SYSTEM_BUCKET ? 0 : await this.indexSeen(set, { key, looks }, seen);
      if (lacking.length > 0) {
        this.add("damaged", 1);
        set.resources.damage.report({ bucket: key.bucket, path: key.path, why: "missed-write" });
      }
      if (dangling.length > 0 && book?.isOwed(key) !== true) await this.judgeDangling(round, key, dangling);
      return { bytes: 0, found: orphans + rows + (lacking.length > 0 ? 1 : 0) };
    } catch (error) {
      if (this.worker.signal.aborted) throw error;
      if (this.told++ < TOLD_MAX)
        this.options.log.warn("a key cannot be scanned", {
          bucket: key.bucket,
          key: key.path,
          message: messageOf(error),
        });
      return { bytes: 0, found: 1 };
    }
  }

  /** Seen for the first time: noted. Seen again after the grace: moved aside. */
  private async judgeDangling(
    round: SetRound,
    key: Visit["key"],
    dangling: Parameters<typeof quarantineVersions>[2],
  ): Promise<void> {
    if (key.bucket === SYSTEM_BUCKET) return; // its documents have no versions that could dangle for long
    const { clock, graceMs, locks, log } = this.options;
    const now = clock.nowMs();
    const doubtful = new Map(round.at?.doubtful ?? []);
    const ripe = dangling.filter((version) => {
      const since = doubtful.get(quarantineId(key, version));
      const isOld = version.modTimeNs < BigInt(now - graceMs) * 1_000_000n;
      return since !== undefined && now - since >= graceMs && isOld;
    });
    for (const version of dangling) {
      const id = quarantineId(key, version);
      if (!doubtful.has(id)) doubtful.set(id, now);
    }
    if (ripe.length > 0) {
      const moved = await quarantineVersions(round.set, key, ripe, locks);
      this.add("quarantined", moved);
      for (const version of ripe) doubtful.delete(quarantineId(key, version));
      if (moved > 0)
        log.warn("moved to quarantine: too few drives have it", { bucket: key.bucket, key: key.path, parts: moved });
    }
    round.note([...doubtful].slice(-DOUBTFUL_MAX));
  }

  /** What a drive's tree shows must be in its index. */
  private async indexSeen(
    set: ErasureSet,
    { key, looks }: Pick<Visit, "key" | "looks">,
    seen: string[][],
  ): Promise<number> {
    let rows = 0;
    for (const [position, paths] of seen.entries()) {
      if (looks[position]?.hasMeta === true) paths.push(key.path);
      if (paths.length >= BATCH_KEYS) rows += await this.indexBatch(set, position, key.bucket, paths);
    }
    return rows;
  }

  private async indexBatch(set: ErasureSet, position: number, bucket: string, paths: string[]): Promise<number> {
    const added = await set.drives[position]?.upkeep.indexMissing(bucket, paths.splice(0));
    const rows = added?.ok === true ? added.value : 0;
    this.add("indexRows", rows);
    if (rows > 0) this.options.log.warn("the key index lacked rows", { bucket, rows, position });
    return rows;
  }

  private async endOfBucket(set: ErasureSet, bucket: string, seen: string[][]): Promise<SeenNow> {
    let rows = 0;
    for (const [position, paths] of seen.entries()) rows += await this.indexBatch(set, position, bucket, paths);
    const verified = await this.verifyIndexes(set, bucket);
    return { bytes: 0, found: verified.found + rows };
  }

  private async verifyIndexes(set: ErasureSet, bucket: string): Promise<SeenNow> {
    let found = 0;
    for (const drive of set.drives) {
      for (let after: string | null = ""; drive !== null && after !== null; ) {
        await this.pacer.take(INDEX_KEYS, 0);
        const verified = await drive.upkeep.verifyIndex(bucket, after, INDEX_KEYS);
        if (!verified.ok || verified.value === null) break;
        found += verified.value.repaired;
        after = verified.value.last;
      }
    }
    this.add("indexRows", found);
    if (found > 0) this.options.log.warn("rows of the key index were wrong", { bucket, rows: found });
    return { bytes: 0, found };
  }

  private async sweep(set: ErasureSet): Promise<SeenNow> {
    const { clock, locks, graceMs, staleUploadMs } = this.options;
    const before = (ms: number): bigint => BigInt(clock.nowMs() - ms) * 1_000_000n;
    const checked = await set.each((drive) => drive.upkeep.checkIndex());
    const damaged = checked.filter((o) => o.ok && !o.value).length;
    const swept = await set.each((drive) => drive.upkeep.sweepStaging(before(graceMs)));
    const staged = swept.reduce((sum, o) => sum + (o.ok ? o.value : 0), 0);
    const uploads = await removeStaleUploads(set, locks, before(staleUploadMs));
    this.add("staged", staged);
    this.add("uploads", uploads);
    return { bytes: 0, found: staged + uploads + damaged };
  }

  private add(what: keyof ScannerTotals, count: number): void {
    if (count > 0) this.totals = { ...this.totals, [what]: this.totals[what] + count };
  }
}
