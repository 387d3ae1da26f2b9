/**
 * Does an index say what the drive's tree says? Ranges of 1,000 keys are compared by hash, of what does not depend on the
 * drive, so that two drives can be compared in the same way; where hashes differ the keys are named.
 */
import { compareKeys } from "../core/key-order.ts";
import type { TableRow } from "../sys/ordered-table.ts";
import type { KeyIndex } from "./key-index.ts";

export const VERIFIED_KEYS = 1_000;

export interface RangeHash {
  readonly hash: bigint;
  readonly keys: number;
  /** The last key of the range; null = it reaches to the bucket's end. */
  readonly last: string | null;
}

/** The hash over the next keys after `after`. */
export function hashOfRange(index: KeyIndex, bucket: string, after: string, limit = VERIFIED_KEYS): RangeHash {
  const { rows, resume } = readRange(index, { bucket, after, last: null, limit });
  return { hash: hashOf(rows), keys: rows.length, last: resume };
}

export interface Difference {
  readonly key: string;
  readonly kind: "missing-in-index" | "missing-in-tree" | "differs";
}

/**
 * Compares what the index has between `after` and `last` (inclusive; null = to the end) with what was found: rows in order.
 * Equal hashes cost no comparison of keys.
 */
export function verifyRange(
  index: KeyIndex,
  range: { readonly bucket: string; readonly after: string; readonly last: string | null },
  found: readonly Pick<TableRow, "key" | "value">[],
): readonly Difference[] {
  const { rows } = readRange(index, { ...range, limit: Number.MAX_SAFE_INTEGER });
  if (rows.length === found.length && hashOf(rows) === hashOf(found)) return [];
  const out: Difference[] = [];
  let at = 0;
  for (const row of rows) {
    for (; at < found.length && compareKeys(keyAt(found, at), row.key) < 0; at++)
      out.push({ key: keyAt(found, at), kind: "missing-in-index" });
    if (at < found.length && keyAt(found, at) === row.key) {
      if (found[at]?.value !== row.value) out.push({ key: row.key, kind: "differs" });
      at++;
    } else out.push({ key: row.key, kind: "missing-in-tree" });
  }
  for (; at < found.length; at++) out.push({ key: keyAt(found, at), kind: "missing-in-index" });
  return out;
}

function keyAt(rows: readonly Pick<TableRow, "key">[], at: number): string {
  return (rows[at] as Pick<TableRow, "key">).key;
}

function readRange(
  index: KeyIndex,
  range: { readonly bucket: string; readonly after: string; readonly last: string | null; readonly limit: number },
): { readonly rows: readonly TableRow[]; readonly resume: string | null } {
  const rows: TableRow[] = [];
  for (let from = range.after; ; ) {
    const left = Math.min(VERIFIED_KEYS, range.limit - rows.length);
    const asked = { bucket: range.bucket, from, inclusive: false, before: null, limit: left, withExtra: false };
    const slice = index.range(asked);
    for (const row of slice.rows) {
      if (range.last !== null && compareKeys(row.key, range.last) > 0) return { rows, resume: null };
      rows.push(row);
    }
    if (slice.resume === null || rows.length >= range.limit) return { rows, resume: slice.resume };
    from = slice.resume;
  }
}

/** Lengths stand between the texts, so that no two lists of rows read alike. */
function hashOf(rows: readonly Pick<TableRow, "key" | "value">[]): bigint {
  let hash = 0n;
  for (const { key, value } of rows) hash = Bun.hash.xxHash64(`${key.length} ${key}${value}`, hash) as bigint;
  return hash;
}

/** The answer of one drive about a range, to be compared with that of another; with rows, to tell where they differ. */
export function answerRange(
  index: KeyIndex,
  asked: { readonly bucket: string; readonly after: string; readonly last: string | null; readonly limit: number },
  withRows: boolean,
): { hash: bigint; keys: number; last: string | null; rows: ReadonlyMap<string, bigint> | null } {
  const { rows, resume } = readRange(index, asked);
  const each = withRows ? new Map(rows.map((row) => [row.key, hashOf([row])])) : null;
  return { hash: hashOf(rows), keys: rows.length, last: resume, rows: each };
}
