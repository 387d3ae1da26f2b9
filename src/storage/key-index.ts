/**
 * KeyIndex: every key of one drive in order, with what listings and usage need of it (index-row.ts). A table on the drive
 * and, for what is not in it yet, a tail in memory. Changes are noted in the order of their sequence; the table says up to
 * which one it holds them. Rows are written in batches by the table's writer, never on the JavaScript thread.
 * Throws TableError when the table cannot be read or is damaged: the index is then of no use any more and is built anew.
 */
import { assert } from "../core/assert.ts";
import type { OrderedTable, TableChange, TableRow, Tables } from "../sys/ordered-table.ts";
import type { Clock } from "../sys/clock.ts";
import { IndexTail } from "./index-tail.ts";
import { type BucketUsage, usageOf } from "./usage.ts";

/** Rows handed over at once: about half a millisecond. */
const BATCH_ROWS_MAX = 1024;
/** How long a round waits for a batch of rows: many at once are cheaper, and a key that changes again is written once. */
const GATHER_MS = 300;
/** Rows in memory above which writers of new ones wait. */
const TAIL_ROWS_MAX = 16_384;

export interface IndexRange {
  readonly bucket: string;
  /** Key as the client wrote it. */
  readonly from: string;
  /** `from` itself too. */
  readonly inclusive: boolean;
  /** Exclusive; null = to the bucket's end. */
  readonly before: string | null;
  readonly limit: number;
  /** With the older versions. */
  readonly withExtra: boolean;
}
export interface IndexSlice {
  /** At most `limit`. */
  readonly rows: readonly TableRow[];
  /** Go on after this key; null = that was all. */
  readonly resume: string | null;
}

export class KeyIndex {
  private readonly tail = new IndexTail();
  /** With a mark of its own for each drop: a group may be dropped again while the first one is written. */
  private readonly dropped = new Map<string, symbol>();
  private noted: bigint;
  private held: bigint;
  private readonly notes = new Map<string, string>();
  private writing: Promise<void> | null = null;
  private readonly atRoundEnd: (() => void)[] = [];
  private failure: unknown = null;
  private roundsBegun = 0;
  private roundsDone = 0;
  private isUrgent = false;
  private stopGathering: (() => void) | null = null;

  private constructor(
    private readonly table: OrderedTable,
    private readonly failed: (error: unknown) => void,
    private readonly clock: Clock | null,
    /** The table's, and those that are to be written. */
    private readonly allNotes: Map<string, string>,
  ) {
    this.held = BigInt(allNotes.get("sequence") ?? "0");
    this.noted = this.held;
  }

  /** `failed` is told once if a batch cannot be written; from then on nothing is. Without a clock rounds follow at once. */
  static async open(
    tables: Tables,
    path: string,
    failed: (error: unknown) => void,
    clock: Clock | null = null,
  ): Promise<KeyIndex | "absent" | "damaged"> {
    const table = await tables.open(path);
    if (typeof table === "string") return table;
    try {
      return new KeyIndex(table, failed, clock, new Map(await table.read(() => table.notes())));
    } catch (error) {
      await table.close();
      throw error;
    }
  }

  static async create(
    tables: Tables,
    path: string,
    failed: (error: unknown) => void,
    clock: Clock | null = null,
  ): Promise<KeyIndex> {
    return new KeyIndex(await tables.create(path), failed, clock, new Map());
  }

  /** Everything up to this sequence is in the table. */
  position(): bigint {
    return this.held;
  }

  /** Rows of changes up to `sequence`, which does not fall. Seen by the next range. */
  note(rows: readonly TableChange[], sequence: bigint): void {
    assert(sequence >= this.noted, "sequences of changes do not fall");
    for (const row of rows) this.tail.set(row);
    this.noted = sequence;
    if (this.tail.size >= BATCH_ROWS_MAX) this.stopGathering?.();
    this.startWriting();
  }

  /** Rows found by looking at the drive: they count unless a change of the key waits to be written. */
  found(rows: readonly TableChange[]): void {
    for (const row of rows) if (!this.tail.has(row.group, row.key)) this.tail.set(row);
    this.startWriting();
  }

  /** A text that is kept with the rows, from the next batch on. */
  setNote(name: string, value: string): void {
    this.allNotes.set(name, value);
    this.notes.set(name, value);
    this.startWriting();
  }
  getNote(name: string): string | null {
    return this.allNotes.get(name) ?? null;
  }

  /** Waits while too many rows are in memory; null = there is room. */
  room(): Promise<void> | null {
    if (this.tail.size < TAIL_ROWS_MAX || this.failure !== null) return null;
    this.hurry();
    return this.roundEnd();
  }

  /** What `question` makes of several reads of one moment: it must not wait, and may be asked again from its start (OrderedTable.read). */
  read<T>(question: () => T): Promise<T> {
    return this.table.read(question);
  }

  range(range: IndexRange): IndexSlice {
    const asked = { ...range, group: range.bucket };
    const rows = this.dropped.has(range.bucket) ? [] : this.table.range(asked);
    const reach = rows.length < range.limit ? null : ((rows.at(-1) as TableRow).key as string);
    const merged = this.tail.merge(rows, asked, reach);
    if (merged.length <= range.limit) return { rows: merged, resume: reach };
    const cut = merged.slice(0, range.limit);
    return { rows: cut, resume: (cut.at(-1) as TableRow).key };
  }

  /** What the row of a key says; null = there is none. */
  valueOf(bucket: string, key: string): string | null {
    const { rows } = this.range({ bucket, from: key, inclusive: true, before: null, limit: 1, withExtra: false });
    return rows[0]?.key === key ? rows[0].value : null;
  }

  isEmpty(bucket: string): boolean {
    for (let from = ""; ; ) {
      const { rows, resume } = this.range({
        bucket,
        from,
        inclusive: false,
        before: null,
        limit: 16,
        withExtra: false,
      });
      if (rows.length > 0) return false;
      if (resume === null) return true;
      from = resume;
    }
  }

  /** With all that is noted now. */
  async usage(bucket: string): Promise<BucketUsage> {
    await this.flushed();
    return usageOf(await this.table.read(() => this.table.sums(bucket)));
  }

  dropBucket(bucket: string): void {
    this.tail.dropGroup(bucket);
    this.dropped.set(bucket, Symbol(bucket));
    this.startWriting();
  }

  /** Resolves when what is noted now is in the table. */
  async flushed(): Promise<void> {
    this.startWriting();
    const enough = this.roundsBegun + 1; // the round under way may not have all of it
    while (this.writing !== null && this.roundsDone < enough) {
      this.hurry();
      await this.roundEnd();
    }
    if (this.failure !== null) throw this.failure;
  }

  /** Durable when it answers: returns the sequence from which changes are to be noted again after a crash. */
  async sync(): Promise<bigint> {
    await this.flushed();
    const position = this.held;
    await this.table.sync();
    return position;
  }

  /** Reads the whole table; false = damaged. */
  check(): Promise<boolean> {
    return this.table.check();
  }

  /** Writes what is noted, unless writing failed. */
  async close(): Promise<void> {
    while (this.writing !== null) {
      this.hurry();
      await this.writing;
    }
    await this.table.close();
  }

  private roundEnd(): Promise<void> {
    return new Promise((resolve) => this.atRoundEnd.push(resolve));
  }

  private startWriting(): void {
    if (this.writing !== null || this.failure !== null) return;
    this.writing = this.write().then(
      () => this.done(),
      (error: unknown) => {
        this.failure = error;
        this.done();
        this.failed(error);
      },
    );
  }

  private done(): void {
    this.writing = null;
    this.wake();
  }

  private wake(): void {
    for (const resume of this.atRoundEnd.splice(0)) resume();
  }

  private hurry(): void {
    this.isUrgent = true;
    this.stopGathering?.();
  }

  /** Waits for more, unless there is much already or somebody waits. */
  private async gather(): Promise<void> {
    if (this.clock !== null && !this.isUrgent && this.tail.size < BATCH_ROWS_MAX) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.stopGathering = resolve;
      const stop = this.clock.after(GATHER_MS, resolve);
      await promise;
      stop();
      this.stopGathering = null;
    }
    this.isUrgent = false;
  }

  /** Rounds until nothing is left; what is noted during one goes into the next. */
  private async write(): Promise<void> {
    await Promise.resolve(); // let the notes of this turn join
    while (this.tail.size > 0 || this.dropped.size > 0 || this.notes.size > 0 || this.held < this.noted) {
      await this.gather();
      this.roundsBegun++;
      const changes = this.tail.all();
      const dropped = [...this.dropped];
      const notes = [...this.notes];
      const sequence = this.noted;
      for (let at = 0; at === 0 || at < changes.length; at += BATCH_ROWS_MAX) {
        const rows = changes.slice(at, at + BATCH_ROWS_MAX);
        const isLast = at + BATCH_ROWS_MAX >= changes.length;
        await this.table.write({
          dropped: at === 0 ? dropped.map(([group]) => group) : [],
          changes: rows,
          notes: isLast ? { ...Object.fromEntries(notes), sequence: sequence.toString() } : {},
        });
        if (at === 0)
          for (const [group, mark] of dropped) if (this.dropped.get(group) === mark) this.dropped.delete(group);
        this.tail.written(rows);
      }
      for (const [name, value] of notes) if (this.notes.get(name) === value) this.notes.delete(name);
      this.held = sequence;
      this.roundsDone++;
      this.wake();
    }
  }
}
