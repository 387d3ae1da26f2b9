/**
 * Upkeep: the care of the drives as one piece, built in order and stopped together. Owns its budgets. The books are opened
 * before the first write and closed after the last one.
 */
import type { KeyLock } from "../core/key-lock.ts";
import type { BackgroundWork } from "../erasure/background-work.ts";
import { bucketUsage } from "../erasure/bucket-usage.ts";
import { DebtBook, type DebtFacts } from "../erasure/debt-book.ts";
import type { ErasureSet } from "../erasure/erasure-set.ts";
import { countQuarantine } from "../erasure/quarantine-version.ts";
import type { Log } from "../observe/log.ts";
import type { UpkeepFacts } from "../observe/upkeep-families.ts";
import type { Clock } from "../sys/clock.ts";
import type { HealQueue } from "./heal-queue.ts";
import { DebtReplay } from "./debt-replay.ts";
import { doneMs } from "./round-state.ts";
import { Scanner } from "./scanner.ts";
import { Scrub } from "./scrub.ts";
import type { SetRound } from "./set-round.ts";
import { type ClientLoadFacts, Throttle } from "./throttle.ts";

/** Looks at a directory or key a second, by the names that MinIO gives the speeds of its scanner. */
const SCAN_LOOKS = { fastest: 1_000_000, fast: 4_000, default: 500, slow: 100, slowest: 20 } as const;
const COMPARE_LOOKS = 2_000;
const SCRUB_LOOKS = 2_000;
const UNMETERED = 2 ** 40;

export interface UpkeepSettings {
  readonly scanSpeed: keyof typeof SCAN_LOOKS;
  readonly scanIntervalMs: number;
  readonly scanGraceMs: number;
  /** 0 = no scrub. */
  readonly scrubDays: number;
  /** Of one set; null = what a round within the days needs. */
  readonly scrubBytesPerSecond: number | null;
  readonly staleUploadMs: number;
}

export interface KeptSet {
  readonly set: ErasureSet;
  readonly book: DebtBook;
}

/** One book for each set, opened: reads what an earlier process noted. */
export async function openBooks(sets: readonly ErasureSet[], background: BackgroundWork): Promise<readonly KeptSet[]> {
  const kept = sets.map((set) => ({ set, book: new DebtBook(set, background) }));
  for (const { set, book } of kept) {
    await book.open();
    set.debt = book;
  }
  return kept;
}

export interface UpkeepOptions {
  readonly books: readonly KeptSet[];
  readonly locks: KeyLock;
  readonly listBuckets: () => Promise<readonly { readonly name: string }[]>;
  readonly clock: Clock;
  readonly log: Log;
  readonly load: ClientLoadFacts;
  /** How late the JavaScript thread is, in seconds. */
  readonly lateness: () => number;
  readonly settings: UpkeepSettings;
  readonly queue: HealQueue;
}

export class Upkeep {
  private readonly ending = new AbortController();
  readonly replay: DebtReplay;
  readonly scanner: Scanner;
  private readonly scrub: Scrub | null;

  constructor(private readonly options: UpkeepOptions) {
    const { books, locks, listBuckets, clock, log, settings } = options;
    const compared = this.throttle(this.ending.signal, () => COMPARE_LOOKS);
    const pace = (looks: number): Promise<void> => compared.take(looks, 0);
    this.replay = new DebtReplay({ sets: books, locks, listBuckets, clock, log, pace });
    this.scanner = new Scanner({
      sets: books,
      locks,
      listBuckets,
      clock,
      log,
      throttle: (signal) => this.throttle(signal, () => SCAN_LOOKS[settings.scanSpeed]),
      restMs: settings.scanIntervalMs,
      graceMs: settings.scanGraceMs,
      staleUploadMs: settings.staleUploadMs,
    });
    const throttle = (signal: AbortSignal, bytes: () => number): Throttle =>
      this.throttle(signal, () => SCRUB_LOOKS, bytes);
    const sets = books.map(({ set }) => set);
    options.queue.overflowed = () => this.scanner.wake();
    const { scrubDays: days, scrubBytesPerSecond: bytesPerSecond } = settings;
    this.scrub = days > 0 ? new Scrub({ sets, listBuckets, clock, log, days, bytesPerSecond, throttle }) : null;
  }

  start(): void {
    this.replay.start();
    this.scanner.start();
    this.scrub?.start();
  }

  async stop(): Promise<void> {
    this.ending.abort(new Error("the server stops"));
    await Promise.all([this.replay.stop(), this.scanner.stop(), this.scrub?.stop()]);
  }

  private throttle(signal: AbortSignal, looks: () => number, bytes: () => number = () => UNMETERED): Throttle {
    const { clock, load, lateness } = this.options;
    return new Throttle({ clock, signal, load, lateness, looksPerSecond: looks, bytesPerSecond: bytes });
  }

  /** For metrics. */
  async facts(): Promise<UpkeepFacts> {
    const { books, clock } = this.options;
    const { replay, scanner, scrub } = this;
    const nowMs = clock.nowMs();
    const quarantined = await Promise.all(books.map(({ set }) => countQuarantine(set)));
    return {
      debts: books.flatMap(({ set, book }) => book.facts().map((facts) => debtOf(set, facts))),
      belowFull: await this.belowFull(),
      replay: { settled: replay.settledKeys, failed: replay.failedKeys, comparisons: replay.comparisons },
      scan: { ...scanner.totals, sets: progressOf(scanner.rounds, nowMs) },
      scrub:
        scrub === null
          ? null
          : {
              objects: scrub.objects,
              bytes: scrub.bytes,
              damaged: scrub.damaged,
              rounds: scrub.finished,
              sets: progressOf(scrub.rounds, nowMs),
            },
      quarantined: quarantined.reduce((sum, count) => sum + count, 0),
    };
  }

  /**
   * Keys that some drive is owed or that are known to be damaged; every object of a set that a drive is missing from.
   * Null = not known: a drive that is there is yet to be compared, or no index tells how many objects there are.
   */
  private async belowFull(): Promise<number | null> {
    const names = new Set(this.options.queue.names());
    let whole = 0;
    for (const { set, book } of this.options.books) {
      const isShort = set.rebuilding.size > 0 || set.drives.some((drive) => drive === null || drive.state === "faulty");
      if (isShort) {
        const objects = await this.objectsOf(set);
        if (objects === null) return null;
        whole += objects;
        continue;
      }
      const owed = book.namesOwed();
      if (owed === null) return null;
      for (const name of owed) names.add(name);
    }
    return whole > 0 ? Math.max(whole, names.size) : names.size;
  }

  /** Null: too few drives have a complete index. */
  private async objectsOf(set: ErasureSet): Promise<number | null> {
    let objects = 0;
    for (const { name } of await this.options.listBuckets()) {
      const usage = await bucketUsage([set], name, null);
      if (usage === null) return null;
      objects += usage.objects;
    }
    return objects;
  }
}

function debtOf(set: ErasureSet, facts: DebtFacts): UpkeepFacts["debts"][number] {
  const { position, bytes, keys, oldestMs, isIncomplete } = facts;
  const endpoint = set.drives[position]?.endpoint ?? `pool ${set.poolIndex} set ${set.setIndex} drive ${position}`;
  return { endpoint, bytes, keys, oldestMs, isIncomplete, lateBytes: set.lateness.of(position) };
}

/** A round that was not looked at yet, or that there is nothing to judge the end of by, has nulls. */
function progressOf(rounds: readonly SetRound[], nowMs: number): UpkeepFacts["scan"]["sets"] {
  return rounds.map(({ set, at }) => ({
    pool: set.poolIndex,
    set: set.setIndex,
    round: at?.round ?? null,
    keys: at?.keys ?? null,
    startedMs: at?.startedMs ?? null,
    endedMs: at?.endedMs ?? at?.lastEndedMs ?? null,
    doneMs: at === null ? null : doneMs(at, nowMs),
  }));
}
