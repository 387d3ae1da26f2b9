/** One page of a listing from a walk over the directories: for drives that have no key index (yet). */
import { compareKeys } from "../core/key-order.ts";
import { groupOf } from "../storage/index-list.ts";
import { AFTER_ALL, walkKeys, type WalkCursor, type WalkOptions } from "./list-keys.ts";
import { combine } from "./locate.ts";
import type { ListedKey, ListPage, ListRequest } from "./store.ts";
import { listedVersions } from "./stored-version.ts";

export async function walkPage(options: WalkOptions, request: ListRequest): Promise<ListPage> {
  const entries: ListedKey[] = [];
  const commonPrefixes: string[] = [];
  const cursor: WalkCursor = { after: request.after, inclusive: request.inclusive };
  if (request.delimiter !== "" && request.after !== "") skipGroup(cursor, request);
  let next = request.after;
  let count = 0;
  for await (const found of walkKeys(options, cursor)) {
    const located = combine(options.setsOf(found.readings[0]?.key.path ?? ""), found.readings);
    const latest = located.versions[0];
    if (latest === undefined || (!request.allVersions && latest.merged.header.isDeleteMarker)) continue;
    const group = groupOf(found.key, request);
    // The walk goes by directories: a delimiter that is no slash may bring it to keys of a group that was given out.
    if (group !== null && (commonPrefixes.at(-1) === group || group === request.after)) continue;
    if (count >= request.limit) return { entries, commonPrefixes, isTruncated: true, next };
    if (group !== null) {
      commonPrefixes.push(group);
      next = group;
      cursor.after = group + AFTER_ALL;
      cursor.inclusive = false;
    } else {
      const versions = listedVersions(located);
      entries.push({ key: found.key, versions: request.allVersions ? versions : versions.slice(0, 1) });
      next = found.key;
    }
    count++;
  }
  return { entries, commonPrefixes, isTruncated: false, next };
}

/** A marker inside or at a common prefix that was given out: everything below it is behind us. */
function skipGroup(cursor: WalkCursor, request: ListRequest): void {
  if (!request.after.startsWith(request.prefix) || compareKeys(request.after, request.prefix) <= 0) return;
  const group = groupOf(request.after, request);
  if (group !== null && group === request.after) cursor.after = group + AFTER_ALL;
}
