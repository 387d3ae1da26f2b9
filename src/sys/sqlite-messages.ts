/** What sqlite-tables.ts asks of its worker, and the layout of a file. Batches travel as JSON text: one string is copied fastest. */

export type Request =
  | { readonly op: "open"; readonly path: string; readonly fresh: boolean }
  | { readonly op: "write"; readonly path: string; readonly batch: string }
  | { readonly op: "sync" | "check" | "close"; readonly path: string };
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
