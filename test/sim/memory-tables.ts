/**
 * OrderedTables in memory. `afterCrash` is what a power cut leaves of them: the batches that a sync covered and a prefix of
 * those after it (a write-ahead log's checksums chain), or the table before it was made anew, or none. Damage on demand.
 */
import { SortedMap } from "../../src/core/sorted-map.ts";
import type { Rng } from "../../src/sys/rng.ts";
import {
  type OrderedTable,
  type TableBatch,
  type TableChange,
  TableError,
  type TableRange,
  type TableRow,
  type Tables,
} from "../../src/sys/ordered-table.ts";

interface Content {
  groups: Map<string, SortedMap<TableChange>>;
  sums: Map<string, Map<number, number>>;
  notes: Map<string, string>;
  /** Every batch since it was made, and how many of them a sync covered; null = not even that it was made. */
  readonly batches: TableBatch[];
  synced: number | null;
  /** What it took the place of. */
  readonly before: Content | null;
}

function emptyContent(before: Content | null): Content {
  return { groups: new Map(), sums: new Map(), notes: new Map(), batches: [], synced: null, before };
}

/** What a read needs is not in memory. */
const MISSED = new Error("missed");

/** Every read but the fourth, eighth and so on misses something, waits some turns, and is tried again. */
export class MemoryTables implements Tables {
  reads = 0;
  /** Reads of tables below these paths wait for it. */
  readonly hanging = new Map<string, Promise<void>>();
  private readonly files = new Map<string, Content>();
  /** Paths that answer "damaged" from now on. */
  readonly damaged = new Set<string>();

  open(path: string): Promise<OrderedTable | "absent" | "damaged"> {
    if (this.damaged.has(path)) return Promise.resolve("damaged");
    const content = this.files.get(path);
    return Promise.resolve(
      content === undefined ? "absent" : new MemoryTable(this, path, content, () => this.damaged.has(path)),
    );
  }
  create(path: string): Promise<OrderedTable> {
    this.damaged.delete(path);
    const content = emptyContent(this.files.get(path) ?? null);
    this.files.set(path, content);
    return Promise.resolve(
      new MemoryTable(this, path, content, () => this.damaged.has(path) || this.files.get(path) !== content),
    );
  }
  close(): Promise<void> {
    return Promise.resolve();
  }

  /** What has been written until now of the tables below a mount; call the result when its sync is done. */
  syncing(mount: string): () => void {
    const covered = [...this.files].filter(([path]) => path.startsWith(`${mount}/`));
    const counts = covered.map(([, content]) => content.batches.length);
    return () => {
      for (const [i, [, content]] of covered.entries())
        content.synced = Math.max(content.synced ?? 0, counts[i] as number);
    };
  }

  /** What the next process finds after a power cut. */
  afterCrash(rng: Rng): MemoryTables {
    const after = new MemoryTables();
    for (const [path, content] of this.files) {
      let left: Content | null = content;
      while (left !== null && left.synced === null && rng.next() < 0.5) left = left.before;
      if (left === null) continue;
      const unsynced = left.batches.length - (left.synced ?? 0);
      const count = (left.synced ?? 0) + Math.floor(rng.next() * (unsynced + 1));
      const fresh = emptyContent(null);
      const table = new MemoryTable(after, path, fresh, () => false);
      for (const batch of left.batches.slice(0, count)) table.take(batch);
      fresh.synced = count;
      after.files.set(path, fresh);
      if (rng.next() < 0.05) after.damaged.add(path);
    }
    return after;
  }
}

class MemoryTable implements OrderedTable {
  private reach = Number.POSITIVE_INFINITY;

  constructor(
    private readonly tables: MemoryTables,
    private readonly path: string,
    private readonly content: Content,
    private readonly isDamaged: () => boolean,
  ) {}

  range({ group, from, inclusive, before, limit }: TableRange): readonly TableRow[] {
    this.reached();
    const out: TableRow[] = [];
    for (const [key, row] of this.content.groups.get(group)?.range(from, inclusive, before) ?? []) {
      if (out.length >= limit) break;
      out.push({ key, value: row.value as string, extra: row.extra });
    }
    return out;
  }
  async read<T>(work: () => T): Promise<T> {
    const { tables } = this;
    tables.reads++;
    for (const [prefix, until] of tables.hanging) if (this.path.startsWith(prefix)) await until;
    for (let reach = tables.reads % 4; ; reach += 2) {
      this.reach = reach === 3 ? Number.POSITIVE_INFINITY : reach;
      try {
        return work();
      } catch (error) {
        if (error !== MISSED) throw error;
      } finally {
        this.reach = Number.POSITIVE_INFINITY;
      }
      for (let turn = 0; turn <= tables.reads % 7; turn++) await Promise.resolve();
    }
  }
  own(group: string, key: string): string | null {
    this.demand();
    return this.content.groups.get(group)?.get(key)?.own ?? null;
  }
  sums(group: string): ReadonlyMap<number, number> {
    this.reached();
    return new Map([...(this.content.sums.get(group) ?? [])].filter(([, amount]) => amount !== 0));
  }
  notes(): ReadonlyMap<string, string> {
    return this.content.notes;
  }

  async write(batch: TableBatch): Promise<void> {
    await Promise.resolve();
    this.demand();
    this.take(batch);
  }

  take(batch: TableBatch): void {
    this.content.batches.push(batch);
    for (const group of batch.dropped) {
      this.content.groups.delete(group);
      this.content.sums.delete(group);
    }
    for (const change of batch.changes) this.apply(change);
    for (const [name, value] of Object.entries(batch.notes)) this.content.notes.set(name, value);
  }

  private apply(change: TableChange): void {
    const group = this.content.groups.get(change.group) ?? new SortedMap<TableChange>();
    this.content.groups.set(change.group, group);
    this.tally(change.group, group.get(change.key)?.counts ?? [], -1);
    if (change.value === null) group.delete(change.key);
    else {
      group.set(change.key, change);
      this.tally(change.group, change.counts, 1);
    }
  }

  private tally(group: string, counts: readonly number[], sign: number): void {
    const sums = this.content.sums.get(group) ?? new Map<number, number>();
    this.content.sums.set(group, sums);
    for (let i = 0; i + 1 < counts.length; i += 2)
      sums.set(counts[i] as number, (sums.get(counts[i] as number) ?? 0) + sign * (counts[i + 1] as number));
  }

  async sync(): Promise<void> {
    await Promise.resolve();
    this.demand();
    this.content.synced = this.content.batches.length;
  }
  check(): Promise<boolean> {
    return Promise.resolve(!this.isDamaged());
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
  /** Of a read that may miss: the next one that needs the drive. */
  private reached(): void {
    this.demand();
    if (--this.reach < 0) throw MISSED;
  }
  private demand(): void {
    if (this.isDamaged()) throw new TableError("Damaged", "the table is damaged");
  }
}
