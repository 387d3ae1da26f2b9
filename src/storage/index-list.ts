/**
 * One drive's part of a listing out of its key index: keys in order, groups of keys below a common prefix as one entry each,
 * found by a seek. What is in doubt on the drive is marked, also where the index shows nothing. A page may be short:
 * `resume` alone says whether there is more.
 */
import { compareKeys, endOfPrefix } from "../core/key-order.ts";
import type { TableRow } from "../sys/ordered-table.ts";
import { isShown } from "./index-row.ts";
import type { IndexSlice, KeyIndex } from "./key-index.ts";

/** Rows looked at for one answer, shown or not. */
const LOOKED_AT_MAX = 4096;
/** Where groups stand side by side, each seek needs one row. */
const ROWS_AFTER_A_SEEK = 1;

export interface IndexListRequest {
  readonly bucket: string;
  readonly prefix: string;
  /** "" = no groups. */
  readonly delimiter: string;
  readonly after: string;
  /** `after` itself too. */
  readonly inclusive: boolean;
  readonly limit: number;
  /** Keys and groups with nothing but delete markers on top count. */
  readonly allVersions: boolean;
}
export interface IndexEntry {
  readonly key: string;
  /** The common prefix that `key` is the first shown one of; null = the key itself is meant. */
  readonly group: string | null;
  /** See index-row.ts; "" = the index has no row. */
  readonly value: string;
  readonly extra: string | null;
  readonly inDoubt: boolean;
}
export interface IndexPage {
  readonly entries: readonly IndexEntry[];
  /** Go on after this key, or from it on if `resumeInclusive`; null = that was all. */
  readonly resume: string | null;
  readonly resumeInclusive: boolean;
}

/** `doubts`: keys of the bucket with an operation in doubt here. */
export function listIndex(index: KeyIndex, request: IndexListRequest, doubts: readonly string[]): IndexPage {
  const { prefix, limit } = request;
  const before = prefix === "" ? null : endOfPrefix(prefix);
  const entries: IndexEntry[] = [];
  let [from, inclusive] = startOf(request);
  let looked = 0;
  let step = request.delimiter === "" ? limit : Math.min(limit, ROWS_AFTER_A_SEEK);
  for (;;) {
    const withExtra = request.allVersions;
    const range = { bucket: request.bucket, from, inclusive, before, limit: Math.max(1, step), withExtra };
    const slice = withDoubts(index.range(range), range, doubts);
    let seek: string | null | undefined;
    for (const row of slice.rows) {
      looked++;
      const group = groupOf(row.key, request);
      if (group !== null && row.inDoubt !== true && !isShown(row.value, request.allVersions)) continue;
      entries.push({ key: row.key, group, value: row.value, extra: row.extra, inDoubt: row.inDoubt === true });
      seek = group === null ? undefined : endOfPrefix(group);
      if (group === null && entries.length < limit) continue;
      if (entries.length >= limit) {
        if (seek === null) return { entries, resume: null, resumeInclusive: false };
        return { entries, resume: seek ?? row.key, resumeInclusive: seek !== undefined };
      }
      break;
    }
    if (seek === null) return { entries, resume: null, resumeInclusive: false };
    if (seek !== undefined) {
      [from, inclusive, step] = [seek, true, ROWS_AFTER_A_SEEK];
    } else if (slice.resume === null) return { entries, resume: null, resumeInclusive: false };
    else [from, inclusive, step] = [slice.resume, false, Math.min(step * 4, limit)];
    if (looked >= LOOKED_AT_MAX) return { entries, resume: from, resumeInclusive: inclusive };
  }
}

function startOf({ prefix, after, inclusive }: IndexListRequest): [from: string, inclusive: boolean] {
  return compareKeys(after, prefix) < 0 || (after === prefix && inclusive) ? [prefix, true] : [after, inclusive];
}

/** The common prefix that a key falls under, or null. */
export function groupOf(
  key: string,
  { prefix, delimiter }: { readonly prefix: string; readonly delimiter: string },
): string | null {
  if (delimiter === "") return null;
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? null : key.slice(0, at + delimiter.length);
}

interface Row extends TableRow {
  readonly inDoubt?: boolean;
}

function withDoubts(
  { rows, resume }: IndexSlice,
  range: { readonly from: string; readonly inclusive: boolean; readonly before: string | null },
  doubts: readonly string[],
): { readonly rows: readonly Row[]; readonly resume: string | null } {
  const inRange = (key: string): boolean => {
    const order = compareKeys(key, range.from);
    if (order < 0 || (order === 0 && !range.inclusive)) return false;
    if (resume !== null && compareKeys(key, resume) > 0) return false;
    return range.before === null || compareKeys(key, range.before) < 0;
  };
  const here = doubts.filter(inRange);
  if (here.length === 0) return { rows, resume };
  const wanted = new Set(here);
  const out: Row[] = rows.map((row) => ({ ...row, inDoubt: wanted.delete(row.key) }));
  for (const key of wanted) out.push({ key, value: "", extra: null, inDoubt: true });
  return { rows: out.sort((a, b) => compareKeys(a.key, b.key)), resume };
}
