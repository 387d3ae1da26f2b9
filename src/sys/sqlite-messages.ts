/** What sqlite-tables.ts asks of its worker, how both open a file, and its layout. Batches travel as JSON text: one string is copied fastest. */
import { Database, constants } from "bun:sqlite";
import { pathToFileURL } from "node:url";

export type Request =
  | { readonly op: "open"; readonly path: string; readonly fresh: boolean }
  | { readonly op: "write"; readonly batch: string }
  | { readonly op: "fetch"; readonly missed: Missed }
  | { readonly op: "sync" | "check" | "close" };
/** What a read needs and the kernel has not in memory, in bytes of an open file of this process. */
export interface Missed {
  readonly descriptor: number;
  readonly offset: number;
  readonly bytes: number;
}
export interface Ask {
  readonly id: number;
  readonly request: Request;
}
export interface Reply {
  readonly id: number;
  /** Of open: opened, absent or damaged; of check: fine or damaged; else done. */
  readonly result: "opened" | "absent" | "damaged" | "fine" | "done" | "failed";
  readonly message: string;
}

/**
 * This process alone has the file, and what its connections share is in memory. In a file on the drive, mapped, it would stop the
 * JavaScript thread in the middle of a read when the drive's file system hangs.
 */
export function openDatabase(path: string, mode: "read" | "write" | "create", layer = "unix-excl"): Database {
  const { SQLITE_OPEN_READONLY, SQLITE_OPEN_READWRITE, SQLITE_OPEN_CREATE, SQLITE_OPEN_URI } = constants;
  const access = mode === "read" ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  const flags = access | SQLITE_OPEN_URI | (mode === "create" ? SQLITE_OPEN_CREATE : 0);
  return new Database(`${pathToFileURL(path).href}?vfs=${layer}`, flags);
}

/** Changes with the layout below. */
export const LAYOUT_VERSION = 1;
export const LAYOUT = `
create table rows (grp text not null, key text not null, value text not null, own text not null, counts text not null,
  extra text, primary key (grp, key)) without rowid;
create table sums (grp text not null, id integer not null, amount real not null, primary key (grp, id)) without rowid;
create table notes (name text primary key, value text not null) without rowid;
pragma user_version = ${LAYOUT_VERSION};
`;

const DAMAGE = /SQLITE_(CORRUPT|NOTADB|MISMATCH|FORMAT|SCHEMA|ERROR)/;

/** Does an error of SQLite say that the file is not what it was? */
export function meansDamage(error: unknown): boolean {
  return error instanceof Error && DAMAGE.test(String((error as { code?: unknown }).code ?? ""));
}
