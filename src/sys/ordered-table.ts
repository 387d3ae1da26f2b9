/**
 * OrderedTable: rows of text in groups, ordered by the UTF-8 bytes of their keys, with sums over each group, in one file.
 * For caches that can be rebuilt: a crash of the machine loses the newest batches, never half of one. Reads are short and
 * on the JavaScript thread, which does not wait for the drive; writes are batches, each atomic, done elsewhere.
 * sqlite-tables.ts is the real one; the simulator has one in memory.
 */
import { OperatingError } from "../core/errors.ts";

/** Damaged: what is read is not what was written. Io: the file cannot be read or written now. */
export class TableError extends OperatingError<"Damaged" | "Io"> {}

export interface TableRow {
  readonly key: string;
  readonly value: string;
  /** Read only when asked for; null also when there is none. */
  readonly extra: string | null;
}
export interface TableChange {
  readonly group: string;
  readonly key: string;
  /** null = the row goes. */
  readonly value: string | null;
  /** Beside the value, not part of what a range returns. */
  readonly own: string;
  readonly extra: string | null;
  /** What the row adds to the sums of its group: number of the sum, then amount, and so on. */
  readonly counts: readonly number[];
}
export interface TableBatch {
  /** Whole groups that go before the changes are made. */
  readonly dropped: readonly string[];
  /** Sorted by group and key for speed. */
  readonly changes: readonly TableChange[];
  /** Named texts, stored with the changes. */
  readonly notes: Readonly<Record<string, string>>;
}
export interface TableRange {
  readonly group: string;
  readonly from: string;
  readonly inclusive: boolean;
  /** Exclusive; null = the end of the group. */
  readonly before: string | null;
  readonly limit: number;
  readonly withExtra: boolean;
}

export interface OrderedTable {
  /**
   * What `work` makes of several reads of one moment. It must not wait, and may be run again from its start: as often as it takes until
   * all that it reads is in memory. Reads outside of it wait for the drive, and the thread with them.
   */
  read<T>(work: () => T): Promise<T>;
  /** Throws TableError. */
  range(range: TableRange): readonly TableRow[];
  own(group: string, key: string): string | null;
  /** Sums that are not zero, by number. */
  sums(group: string): ReadonlyMap<number, number>;
  notes(): ReadonlyMap<string, string>;
  /** Batches take effect in the order of the calls. */
  write(batch: TableBatch): Promise<void>;
  /** Durable when it answers. */
  sync(): Promise<void>;
  /** Reads the whole file; false = damaged. */
  check(): Promise<boolean>;
  close(): Promise<void>;
}

export interface Tables {
  open(path: string): Promise<OrderedTable | "absent" | "damaged">;
  /** An empty one, in place of what is there. The folder exists. */
  create(path: string): Promise<OrderedTable>;
  close(): Promise<void>;
}
