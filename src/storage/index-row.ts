/**
 * One key of a drive as its index holds it: `value` is the same text on every drive that holds the same versions, so that
 * drives agree where the texts are equal; `own` is what differs between drives; `extra` the older versions.
 * value: fingerprint of all versions, most data shards of any, versions, then the latest version (version-summary.ts).
 */
import { FormatError } from "../core/format-error.ts";
import type { TableChange } from "../sys/ordered-table.ts";
import type { Stamp } from "./drive.ts";
import { decodeKey } from "./paths.ts";
import { countsOf } from "./usage.ts";
import {
  joinSummaries,
  splitSummaries,
  type Summarized,
  type SummaryCache,
  summaryOfFields,
  type VersionSummary,
} from "./version-summary.ts";
import { XlMeta } from "./xl-meta.ts";

const FIELD = "\u001f";
/** Older versions are kept in the row up to this length; a key with more is read when its versions are listed. */
const OLDER_CHARACTERS_MAX = 16_384;
const UNTOLD = "?";

export interface IndexedKey {
  /** Visible versions; the first is `latest`. 0 = nothing that a client may see. */
  readonly versionCount: number;
  /** Drives that must hold it for the version with the most data shards to count. */
  readonly dataShardsMax: number;
  readonly latest: VersionSummary | null;
}

/** The row of a key; `meta` null = the key is gone. */
export function indexRow(
  key: { readonly bucket: string; readonly path: string },
  meta: XlMeta | null,
  stamp: Stamp,
  summaries: SummaryCache,
): TableChange {
  const name = { group: key.bucket, key: decodeKey(key.path) };
  if (meta === null) return { ...name, value: null, own: "", extra: null, counts: [] };
  const own = stamp.toString();
  const [first] = meta.versions;
  const only = meta.versions.length === 1 ? first : undefined;
  // A version that is put is the same object, and has the same row, on all drives of a set.
  const known = only?.row;
  if (known?.own === own && known.key === name.key && known.group === name.group) return known;
  const visible = meta.versions.filter(({ header }) => !header.isFreeVersion).map((version) => summaries.of(version));
  const head = [fingerprint(meta), dataShardsMax(meta), visible.length].join(FIELD);
  const row = {
    ...name,
    value: `${head}${FIELD}${visible.length === 0 ? "" : (visible[0]?.text ?? UNTOLD)}`,
    own,
    extra: olderText(visible.slice(1)),
    counts: countsOf(visible.map(({ summary }) => ({ ...summary, isNull: summary.versionId === "null" }))),
  };
  if (only !== undefined) only.row = row;
  return row;
}

/** A file that cannot be read has a row too: no drive agrees with it, so that the key is read. */
export function unreadableRow(key: { readonly bucket: string; readonly path: string }, stamp: Stamp): TableChange {
  const value = [`unreadable ${stamp}`, 0, 0, UNTOLD].join(FIELD);
  return { group: key.bucket, key: decodeKey(key.path), value, own: stamp.toString(), extra: null, counts: [] };
}

export function rowOfBytes(
  key: { readonly bucket: string; readonly path: string },
  bytes: Uint8Array | null,
  stamp: Stamp,
  summaries: SummaryCache,
): TableChange {
  try {
    return indexRow(key, bytes === null ? null : XlMeta.decode(bytes), stamp, summaries);
  } catch (error) {
    if (error instanceof FormatError) return unreadableRow(key, stamp);
    throw error;
  }
}

const COUNT_AT = 2;
const LATEST_AT = 3;

/** null = the row does not tell: read the key. */
export function parseIndexed(value: string): IndexedKey | null {
  const fields = value.split(FIELD); // once for the row and the version in it: a page has thousands
  if (fields.length <= LATEST_AT || fields[LATEST_AT] === UNTOLD) return null;
  const versionCount = Number(fields[COUNT_AT]);
  return {
    versionCount,
    dataShardsMax: Number(fields[1]),
    latest: versionCount === 0 ? null : summaryOfFields(fields, LATEST_AT),
  };
}

/** Is there a version to show: any, or a latest one that is no delete marker? True also where only the key itself tells. */
export function isShown(value: string, allVersions: boolean): boolean {
  const indexed = parseIndexed(value);
  if (indexed === null) return true;
  return indexed.latest !== null && (allVersions || !indexed.latest.isDeleteMarker);
}

/** The versions behind the latest one; null = read the key. */
export function olderVersions(indexed: IndexedKey, extra: string | null): readonly VersionSummary[] | null {
  if (indexed.versionCount <= 1) return [];
  return extra === null ? null : splitSummaries(extra);
}

function olderText(older: readonly Summarized[]): string | null {
  if (older.length === 0) return null;
  const texts: string[] = [];
  let length = 0;
  for (const { text } of older) {
    length += text?.length ?? OLDER_CHARACTERS_MAX + 1;
    if (text === null || length > OLDER_CHARACTERS_MAX) return null;
    texts.push(text);
  }
  return joinSummaries(texts);
}

/** Of what drives must agree on: id, time, kind and signature of every version, free ones too. */
function fingerprint(meta: XlMeta): string {
  let text = "";
  for (const { header } of meta.versions)
    text += `${header.versionId} ${header.modTime} ${header.type} ${header.signature} `;
  return (Bun.hash.xxHash64(text) as bigint).toString(36);
}

function dataShardsMax(meta: XlMeta): number {
  let most = 0;
  for (const { header } of meta.versions) if (header.ecM > most) most = header.ecM;
  return most;
}
