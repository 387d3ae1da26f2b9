/**
 * The worker that writes a table of sqlite-tables.ts, one message after the other: an entry point of its own, because the
 * JavaScript thread must not wait for a transaction. Imports nothing of the program but its messages.
 */
import type { Database, Statement } from "bun:sqlite";
import { existsSync, readSync, rmSync } from "node:fs";
import type { TableBatch } from "./ordered-table.ts";
import {
  type Ask,
  LAYOUT,
  LAYOUT_VERSION,
  meansDamage,
  type Missed,
  openDatabase,
  type Reply,
  type Request,
} from "./sqlite-messages.ts";

class Writer {
  private readonly counts: Statement<{ counts: string }, [string, string]>;
  private readonly insert: Statement<unknown, [string, string, string, string, string, string | null]>;
  private readonly replace: Statement<unknown, [string, string, string, string, string, string | null]>;
  private readonly remove: Statement<unknown, [string, string]>;
  private readonly add: Statement<unknown, [string, number, number]>;
  private readonly note: Statement<unknown, [string, string]>;

  constructor(readonly db: Database) {
    this.counts = db.prepare("select counts from rows where grp = ?1 and key = ?2");
    this.insert = db.prepare("insert into rows values (?1, ?2, ?3, ?4, ?5, ?6) on conflict do nothing");
    this.replace = db.prepare(
      "update rows set value = ?3, own = ?4, counts = ?5, extra = ?6 where grp = ?1 and key = ?2",
    );
    this.remove = db.prepare("delete from rows where grp = ?1 and key = ?2");
    this.add = db.prepare(
      "insert into sums values (?1, ?2, ?3) on conflict (grp, id) do update set amount = amount + ?3",
    );
    this.note = db.prepare("insert into notes values (?1, ?2) on conflict (name) do update set value = ?2");
  }

  close(): void {
    try {
      this.db.run("pragma wal_checkpoint(truncate)");
    } finally {
      this.abandon();
    }
  }

  /** Statements that are not finalized would keep the file open. */
  abandon(): void {
    for (const statement of [this.counts, this.insert, this.replace, this.remove, this.add, this.note])
      statement.finalize();
    this.db.close();
  }

  write(batch: TableBatch): void {
    for (const group of batch.dropped) {
      this.db.run("delete from rows where grp = ?", [group]);
      this.db.run("delete from sums where grp = ?", [group]);
    }
    const sums = new Map<string, Map<number, number>>();
    for (const { group, key, value, own, extra, counts } of batch.changes) {
      let sum = sums.get(group);
      if (sum === undefined) sums.set(group, (sum = new Map()));
      if (value !== null) {
        tally(sum, counts, 1);
        const text = JSON.stringify(counts);
        // Most keys are new: one statement instead of two.
        if (this.insert.run(group, key, value, own, text, extra).changes === 1) continue;
        this.forget(sum, group, key);
        this.replace.run(group, key, value, own, text, extra);
      } else if (this.forget(sum, group, key)) this.remove.run(group, key);
    }
    for (const [group, sum] of sums) for (const [id, amount] of sum) if (amount !== 0) this.add.run(group, id, amount);
    for (const [name, value] of Object.entries(batch.notes)) this.note.run(name, value);
  }

  /** Takes what a row adds out of the sums; false = there is no row. */
  private forget(sum: Map<number, number>, group: string, key: string): boolean {
    const old = this.counts.get(group, key);
    if (old !== null) tally(sum, JSON.parse(old.counts) as number[], -1);
    return old !== null;
  }
}

function tally(sum: Map<number, number>, counts: readonly number[], sign: number): void {
  for (let i = 0; i + 1 < counts.length; i += 2) {
    const id = counts[i] as number;
    sum.set(id, (sum.get(id) ?? 0) + sign * (counts[i + 1] as number));
  }
}

function open(path: string, fresh: boolean): Writer | "absent" | "damaged" {
  if (fresh) for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
  else if (!existsSync(path)) return "absent";
  const db = openDatabase(path, fresh ? "create" : "write");
  try {
    db.run("pragma journal_mode = wal");
    db.run("pragma synchronous = normal");
    if (fresh) db.run(LAYOUT);
    const { user_version: found } = db.query("pragma user_version").get() as { user_version: number };
    if (found === LAYOUT_VERSION) return new Writer(db);
    db.close();
    return "damaged";
  } catch (error) {
    db.close();
    if (meansDamage(error)) return "damaged";
    throw error;
  }
}

/** What is read at once, and from its multiples on: what lies beside a page of an index is likely to be read soon. */
const FETCHED_BYTES = 256 * 1024;
const fetched = new Uint8Array(2 * FETCHED_BYTES);

/** Into the kernel's memory. */
function fetchMissed({ descriptor, offset, bytes }: Missed): void {
  const from = offset - (offset % FETCHED_BYTES);
  readSync(descriptor, fetched, 0, offset + bytes > from + FETCHED_BYTES ? 2 * FETCHED_BYTES : FETCHED_BYTES, from);
}

/** A function that answers requests on the table that it has opened. */
function server(): (request: Request) => Reply["result"] {
  let writer: Writer | null = null;
  return (request) => {
    if (request.op === "open") {
      writer?.abandon();
      writer = null;
      const opened = open(request.path, request.fresh);
      if (typeof opened === "string") return opened;
      writer = opened;
      return "opened";
    }
    if (request.op === "fetch") {
      fetchMissed(request.missed);
      return "done";
    }
    const table = writer;
    if (table === null) return "failed";
    const { db } = table;
    if (request.op === "write") db.transaction((batch: TableBatch) => table.write(batch))(JSON.parse(request.batch));
    else if (request.op === "check") {
      const { quick_check: verdict } = db.query("pragma quick_check(1)").get() as { quick_check: string };
      return verdict === "ok" ? "fine" : "damaged";
    } else if (request.op === "sync") db.run("pragma wal_checkpoint(truncate)");
    else {
      writer = null;
      table.close();
    }
    return "done";
  };
}

declare const self: {
  onmessage: ((event: { readonly data: Ask }) => void) | null;
  postMessage(reply: Reply): void;
};
const answer = server();
self.onmessage = ({ data: { id, request } }): void => {
  try {
    self.postMessage({ id, result: answer(request), message: "" });
  } catch (error) {
    const result = meansDamage(error) ? "damaged" : "failed";
    self.postMessage({ id, result, message: error instanceof Error ? error.message : String(error) });
  }
};
