/** One page of a listing: keys grouped by the delimiter, counted, cut at the limit. Source: s3-api.md §4.3. */
import { AFTER_ALL, compareKeys, walkKeys, type WalkCursor, type WalkOptions } from "./list-keys.ts";
import { combine } from "./locate.ts";
import type { ListPage, ListRequest, StoredVersion } from "./store.ts";
import { storedVersion } from "./stored-version.ts";

export async function listPage(options: WalkOptions, request: ListRequest): Promise<ListPage> {
  const entries: { key: string; versions: readonly StoredVersion[] }[] = [];
  const commonPrefixes: string[] = [];
  const cursor: WalkCursor = { after: request.after, inclusive: request.inclusive };
  if (request.delimiter !== "" && request.after !== "") skipGroup(cursor, request);
  let next = request.after;
  let count = 0;
  if (request.limit <= 0) return { entries, commonPrefixes, isTruncated: false, next };
  for await (const found of walkKeys(options, cursor)) {
    const { versions } = combine(options.setsOf(encodedOf(found.readings)), found.readings);
    const latest = versions[0];
    if (latest === undefined || (!request.allVersions && latest.merged.header.isDeleteMarker)) continue;
    if (count >= request.limit) return { entries, commonPrefixes, isTruncated: true, next };
    const group = groupOf(found.key, request);
    if (group !== null) {
      commonPrefixes.push(group);
      next = group;
      cursor.after = group + AFTER_ALL;
      cursor.inclusive = false;
    } else {
      const shown = request.allVersions ? versions : [latest];
      entries.push({
        key: found.key,
        versions: shown.map((v) =>
          storedVersion(v.reading, v.merged, { isLatest: v === latest, versionCount: versions.length }),
        ),
      });
      next = found.key;
    }
    count++;
  }
  return { entries, commonPrefixes, isTruncated: false, next };
}

function encodedOf(readings: readonly { readonly key: { readonly path: string } }[]): string {
  return readings[0]?.key.path ?? "";
}

/** The common prefix that a key falls under, or null. */
function groupOf(key: string, request: ListRequest): string | null {
  if (request.delimiter === "") return null;
  const at = key.indexOf(request.delimiter, request.prefix.length);
  return at < 0 ? null : key.slice(0, at + request.delimiter.length);
}

/** A marker inside or at a common prefix that was given out: everything below it is behind us. */
function skipGroup(cursor: WalkCursor, request: ListRequest): void {
  if (!request.after.startsWith(request.prefix) || compareKeys(request.after, request.prefix) <= 0) return;
  const group = groupOf(request.after, request);
  if (group !== null && group === request.after) cursor.after = group + AFTER_ALL;
}
