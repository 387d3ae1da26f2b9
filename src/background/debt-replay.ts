/**
 * DebtReplay: gives drives what they missed, when they are there again: at the start, when a drive answers again, and when one
 * missed a single write. Buckets first, then each key as it stands now, under its lock: copies are made, and what a missed
 * delete or overwrite took away goes. A key that fails stays owed and is tried again. A drive whose debt is not known is
 * compared with the others (range-compare.ts). One key costs what healing it costs: repair is in proportion to what was missed.
 */
import type { KeyLock } from "../core/key-lock.ts";
import type { DebtBook } from "../erasure/debt-book.ts";
import type { Owed } from "../erasure/debt-account.ts";
import type { ErasureSet } from "../erasure/erasure-set.ts";
import { healKey } from "../erasure/heal-version.ts";
import type { Log } from "../observe/log.ts";
import type { Drive } from "../storage/drive.ts";
import { isBucketDirectory } from "../storage/paths.ts";
import type { Clock } from "../sys/clock.ts";
import { messageOf } from "./message-of.ts";
import { compareSet } from "./range-compare.ts";
import { RoundWorker } from "./worker.ts";

const KEYS_AT_ONCE = 4;
const RETRY_MS = 5_000;
/** A drive to which nothing could be given is tried less and less often, up to this. */
const RETRY_MS_MAX = 60_000;
/** A bucket that only this drive shows is younger than this: it may be being made. */
const STRAY_BUCKET_MS = 60_000;
/** Keys of a round that are named when they cannot be settled. */
const TOLD_MAX = 10;

export interface ReplayOptions {
  readonly sets: readonly { readonly set: ErasureSet; readonly book: DebtBook }[];
  readonly locks: KeyLock;
  /** Those that the deployment has. */
  readonly listBuckets: () => Promise<readonly { readonly name: string }[]>;
  readonly clock: Clock;
  readonly log: Log;
  /** Before each look of a comparison. */
  readonly pace: (looks: number) => Promise<void>;
}

export class DebtReplay {
  private readonly worker: RoundWorker;
  private readonly resting = new Map<Drive, { readonly untilMs: number; readonly tries: number }>();
  settledKeys = 0;
  failedKeys = 0;
  comparisons = 0;

  constructor(private readonly options: ReplayOptions) {
    const { clock, log } = options;
    this.worker = new RoundWorker({
      name: "debt replay",
      clock,
      log,
      everyMs: RETRY_MS,
      round: (signal) => this.round(signal),
    });
  }

  start(): void {
    this.worker.start();
  }
  /** A drive answers again, perhaps. */
  wake(): void {
    this.resting.clear();
    this.worker.wake();
  }
  stop(): Promise<void> {
    return this.worker.stop();
  }

  /** Everything that can be settled now. */
  async round(signal: AbortSignal): Promise<void> {
    for (const { set, book } of this.options.sets) {
      for (const [position, drive] of set.drives.entries()) {
        if (drive === null || drive.state === "faulty" || !book.owes(position)) continue;
        const rest = this.resting.get(drive);
        if (rest !== undefined && rest.untilMs > this.options.clock.elapsedMs()) continue;
        const isDone = await this.replay({ set, book, drive, position, signal });
        if (isDone) this.resting.delete(drive);
        else this.rest(drive, (rest?.tries ?? 0) + 1);
        await book.flush();
      }
      const due = [...set.drives.keys()].some((i) => book.needsComparison(i) && isThere(set.drives[i]));
      if (!due) continue;
      await this.compare(set, book, signal);
      await book.flush();
    }
  }

  private rest(drive: Drive, tries: number): void {
    const ms = Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** Math.min(tries, 8));
    this.resting.set(drive, { untilMs: this.options.clock.elapsedMs() + ms, tries });
  }

  /** False: nothing could be given. */
  private async replay(at: Place): Promise<boolean> {
    const { book, drive, position } = at;
    const before = book.facts()[position]?.keys ?? 0;
    const startedMs = this.options.clock.elapsedMs();
    const reached = await this.makeBuckets(at);
    const settled = reached ? await this.settleKeys(at) : 0;
    if (reached) await this.removeBuckets(at);
    const left = book.facts()[position]?.keys ?? 0;
    if (settled === 0 && left > 0) return false; // tried again, without a line each time
    const ms = Math.round(this.options.clock.elapsedMs() - startedMs);
    this.options.log.info("drive given what it missed", { endpoint: drive.endpoint, before, settled, left, ms });
    return true;
  }

  /** Each key once: those that cannot be settled now do not hold up the others. */
  private async settleKeys(at: Place): Promise<number> {
    const owed = at.book.owedTo(at.position);
    let next = 0;
    let settled = 0;
    let told = 0;
    const worker = async (): Promise<void> => {
      while (next < owed.length && !at.signal.aborted && at.drive.state !== "faulty") {
        const failure = await this.settleKey(at, owed[next++] as Owed);
        if (failure === null) settled++;
        else if (failure !== "" && told++ < TOLD_MAX)
          this.options.log.warn("a missed write cannot be given yet", { message: failure });
      }
    };
    await Promise.all(Array.from({ length: KEYS_AT_ONCE }, worker));
    this.settledKeys += settled;
    at.signal.throwIfAborted();
    return settled;
  }

  /** Null: nothing is owed of it any more. Else why not; "" = it changed meanwhile, or a drive that must tell is not there. */
  private async settleKey({ set, book, position }: Place, owed: Owed): Promise<string | null> {
    try {
      const { silent, lacking, isUndecided } = await healKey(set, owed.key, this.options.locks, { deep: false });
      if (silent.includes(position) || lacking.includes(position) || isUndecided) return "";
      book.settled(position, owed);
      return null;
    } catch (error) {
      this.failedKeys++;
      return `${owed.key.bucket}/${owed.key.path}: ${messageOf(error)}`;
    }
  }

  /** Those that were made while it was away; false = it does not answer. */
  private async makeBuckets({ drive }: Place): Promise<boolean> {
    const own = await drive.listBuckets();
    if (!own.ok) return false;
    const names = new Set(own.value.map(({ name }) => name));
    for (const { name } of await this.options.listBuckets()) {
      if (names.has(name)) continue;
      const made = await drive.makeBucket(name);
      if (!made.ok && made.error.code !== "Exists") return false;
    }
    return true;
  }

  /** Those that were removed while it was away, when its keys are settled: a drive refuses if anything is left in one. */
  private async removeBuckets({ drive }: Place): Promise<void> {
    const own = await drive.listBuckets();
    if (!own.ok) return;
    const names = new Set((await this.options.listBuckets()).map(({ name }) => name));
    const before = BigInt(this.options.clock.nowMs() - STRAY_BUCKET_MS) * 1_000_000n;
    for (const { name, createdNs } of own.value)
      if (!names.has(name) && isBucketDirectory(name) && createdNs < before) await drive.removeBucket(name);
  }

  private async compare(set: ErasureSet, book: DebtBook, signal: AbortSignal): Promise<void> {
    const { log, locks, pace } = this.options;
    const buckets = (await this.options.listBuckets()).map(({ name }) => name).filter(isBucketDirectory);
    const place = { pool: set.poolIndex, set: set.setIndex };
    log.info("comparing the drives of a set", place);
    const onFailure = (bucket: string, path: string, message: string): void => {
      log.warn("a key in which drives differ cannot be healed", { bucket, key: path, message });
      set.resources.damage.report({ bucket, path, why: "differs" }); // tried again, and counted
    };
    await book.flush(); // notes that were given up make room for new ones
    book.comparisonBegins();
    const { positions, ...told } = await compareSet(set, { locks, signal, buckets, pace, onFailure });
    this.comparisons++;
    book.compared(positions);
    log.info("drives of a set compared", { ...place, ...told, drives: positions.length });
  }
}

interface Place {
  readonly set: ErasureSet;
  readonly book: DebtBook;
  readonly drive: Drive;
  readonly position: number;
  readonly signal: AbortSignal;
}

function isThere(drive: Drive | null | undefined): boolean {
  return drive != null && drive.state !== "faulty";
}
