/**
 * Upkeep: the care of the drives as one piece, built in order and stopped together. Owns its budgets. The books are opened
 * before the first write and closed after the last one.
 */
import type { KeyLock } from "../core/key-lock.ts";
import type { BackgroundWork } from "../erasure/background-work.ts";
import { DebtBook } from "../erasure/debt-book.ts";
import type { ErasureSet } from "../erasure/erasure-set.ts";
import type { Log } from "../observe/log.ts";
import type { Clock } from "../sys/clock.ts";
import { DebtReplay } from "./debt-replay.ts";
import { Throttle } from "./throttle.ts";

const COMPARE_LOOKS = 2_000;
const UNMETERED = 2 ** 40;

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
  /** Requests of clients that are being served. */
  readonly inFlight: () => number;
  /** How late the JavaScript thread is, in seconds. */
  readonly lateness: () => number;
}

export class Upkeep {
  private readonly ending = new AbortController();
  readonly replay: DebtReplay;

  constructor(private readonly options: UpkeepOptions) {
    const { books, locks, listBuckets, clock, log } = options;
    const compared = this.throttle(this.ending.signal, () => COMPARE_LOOKS);
    const pace = (): Promise<void> => compared.take(1, 0);
    this.replay = new DebtReplay({ sets: books, locks, listBuckets, clock, log, pace });
  }

  start(): void {
    this.replay.start();
  }

  async stop(): Promise<void> {
    this.ending.abort(new Error("the server stops"));
    await this.replay.stop();
  }

  private throttle(signal: AbortSignal, looks: () => number, bytes: () => number = () => UNMETERED): Throttle {
    const { clock, inFlight, lateness } = this.options;
    return new Throttle({ clock, signal, inFlight, lateness, looksPerSecond: looks, bytesPerSecond: bytes });
  }
}
