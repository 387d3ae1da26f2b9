/** A simulated store with a book of debts and its replay, as a server has them, and looks at what drives lack. */
import { DebtReplay } from "../../src/background/debt-replay.ts";
import { loadCodec } from "../../src/codec/native.ts";
import { DebtBook } from "../../src/erasure/debt-book.ts";
import { inspectKey } from "../../src/erasure/inspect-key.ts";
import { createLog } from "../../src/observe/log.ts";
import { realClock } from "../../src/sys/clock.ts";
import type { IndexOptions } from "../../src/storage/drive-index.ts";
import { seededRng } from "./seeded.ts";
import type { SimulatedDisk } from "./simulated-disk.ts";
import { simulatedStore, type SimulatedStore } from "./simulated-store.ts";

export const codec = loadCodec();
export const clock = realClock();
export const signal = new AbortController().signal;
export const quietLog = createLog({ json: true, quiet: true, clock, write: () => undefined });

export interface KeptStore extends SimulatedStore {
  readonly book: DebtBook;
  readonly replay: DebtReplay;
}
export interface KeptOptions {
  /** Of the book. */
  readonly bytesMax?: number;
  readonly index?: IndexOptions;
  readonly without?: readonly number[];
  /** Before each look of a comparison. */
  readonly pace?: () => Promise<void>;
}

export async function keptStore(disk: SimulatedDisk, seed: number, options: KeptOptions = {}): Promise<KeptStore> {
  const { bytesMax, index, without = [] } = options;
  const outside = { clock, rng: seededRng(seed), ...(index === undefined ? {} : { index }) };
  const store = await simulatedStore(codec, disk, outside, { without });
  const book = new DebtBook(store.set, store.pools.background, bytesMax);
  await book.open();
  store.set.debt = book;
  const replay = new DebtReplay({
    sets: [{ set: store.set, book }],
    locks: store.pools.locks,
    listBuckets: () => store.pools.listBuckets(),
    clock,
    log: quietLog,
    pace: options.pace ?? (() => Promise.resolve()),
  });
  return { ...store, book, replay };
}

/** Keys that some drive lacks, or has more of than the others. */
export async function unlike({ set }: SimulatedStore, keys: Iterable<string>): Promise<string[]> {
  const out: string[] = [];
  for (const path of keys) {
    const { lacking, dangling } = await inspectKey(set, { bucket: "bucket", path }, { deep: true });
    if (lacking.length + dangling.length > 0) out.push(path);
  }
  return out;
}
