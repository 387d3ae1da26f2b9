/**
 * One page of a listing: keys grouped by the delimiter, counted, cut at the limit. From the drives' key indexes where enough
 * of them have one, else from a walk over the directories. Source: s3-api.md §4.3.
 */
import { endOfPrefix } from "../core/key-order.ts";
import { groupOf } from "../storage/index-list.ts";
import { IndexedKeys, NoIndex, type SetItem, SlowIndex } from "./list-index.ts";
import { type IndexedKey, olderVersions } from "../storage/index-row.ts";
import type { VersionSummary } from "../storage/version-summary.ts";
import { pathOf } from "./pool-layout.ts";
import { walkPage } from "./walk-page.ts";
import type { WalkOptions } from "./list-keys.ts";
import { locateKey } from "./locate.ts";
import type { ListedKey, ListPage, ListRequest } from "./store.ts";
import { listedVersions } from "./stored-version.ts";

/** Keys read at the same time because their drives differ. */
const READS_AT_ONCE = 32;
/** Of a page while one drive after the other turns out to be slow. */
const TRIES_MAX = 4;

export async function listPage(options: WalkOptions, request: ListRequest): Promise<ListPage> {
  if (request.limit <= 0) return { entries: [], commonPrefixes: [], isTruncated: false, next: request.after };
  for (let tries = 1; ; tries++) {
    try {
      return await new IndexedPage(options, request).make();
    } catch (error) {
      if (error instanceof SlowIndex && tries < TRIES_MAX) continue;
      if (!(error instanceof NoIndex || error instanceof SlowIndex)) throw error;
      return await walkPage(options, request);
    }
  }
}

/** What may come into the page: sure, or to be read first. */
type Candidate =
  | { readonly kind: "group"; readonly group: string }
  | { readonly kind: "key"; readonly entry: ListedKey }
  | { readonly kind: "doubtful"; readonly item: SetItem };

class IndexedPage {
  private readonly entries: ListedKey[] = [];
  private readonly commonPrefixes: string[] = [];
  private readonly hasSeveralPools: boolean;
  private next: string;

  constructor(
    private readonly options: WalkOptions,
    private readonly request: ListRequest,
  ) {
    this.next = request.after;
    this.hasSeveralPools = options.setsOf("").length > 1;
  }

  async make(): Promise<ListPage> {
    const { limit, signal } = this.request;
    const start = this.start();
    if (start === null) return this.page(false);
    const keys = await this.open(start);
    for (;;) {
      signal.throwIfAborted();
      const room = limit - this.entries.length - this.commonPrefixes.length;
      const candidates = await this.gather(keys, room + 1);
      if (candidates.length === 0) return this.page(false);
      const sure = await this.resolve(candidates);
      for (const candidate of sure) {
        if (candidate === null) continue;
        if (this.entries.length + this.commonPrefixes.length >= limit) return this.page(true);
        this.add(candidate);
      }
    }
  }

  /** A marker that is a common prefix was given out as one: everything below it is behind us. null = and nothing is left. */
  private start(): { readonly after: string; readonly inclusive: boolean } | null {
    const { prefix, delimiter, after, inclusive } = this.request;
    const isGroup =
      delimiter !== "" && after !== prefix && after.startsWith(prefix) && groupOf(after, this.request) === after;
    if (!isGroup) return { after, inclusive };
    const end = endOfPrefix(after);
    return end === null ? null : { after: end, inclusive: true };
  }

  private async open(start: { readonly after: string; readonly inclusive: boolean }): Promise<IndexedKeys> {
    const { bucket, prefix, delimiter, allVersions, limit } = this.request;
    const request = { bucket, prefix, delimiter, allVersions, ...start, limit: limit + 1 };
    return await IndexedKeys.open(this.options.allSets, request);
  }

  private page(isTruncated: boolean): ListPage {
    return { entries: this.entries, commonPrefixes: this.commonPrefixes, isTruncated, next: this.next };
  }

  private add(candidate: Candidate): void {
    if (candidate.kind === "group") {
      this.commonPrefixes.push(candidate.group);
      this.next = candidate.group;
    } else if (candidate.kind === "key") {
      this.entries.push(candidate.entry);
      this.next = candidate.entry.key;
    }
  }

  private async gather(keys: IndexedKeys, count: number): Promise<Candidate[]> {
    const out: Candidate[] = [];
    while (out.length < count) {
      const items = keys.nextNow() ?? (await keys.next());
      const [first] = items;
      if (first === undefined) break;
      const candidate = this.candidate(first, items);
      if (candidate !== null) out.push(candidate);
    }
    return out;
  }

  /** null = nothing to show. */
  private candidate(first: SetItem, items: readonly SetItem[]): Candidate | null {
    if (first.isGroup) {
      // In one pool a key lies in one set; with several, another one may hide what this one shows.
      if (!this.hasSeveralPools && items.some((item) => item.agreed !== null))
        return { kind: "group", group: first.sort };
      return { kind: "doubtful", item: first };
    }
    if (items.length > 1 || first.agreed === null) return { kind: "doubtful", item: first };
    const { agreed } = first;
    const { latest } = agreed;
    if (latest === null || (latest.isDeleteMarker && !this.request.allVersions)) return null;
    const versions = this.shown(agreed, latest, first.extra);
    return versions === null ? { kind: "doubtful", item: first } : { kind: "key", entry: { key: first.key, versions } };
  }

  private shown(agreed: IndexedKey, latest: VersionSummary, extra: string | null): readonly VersionSummary[] | null {
    if (!this.request.allVersions) return [latest];
    const older = olderVersions(agreed, extra);
    return older === null ? null : [latest, ...older];
  }

  /** In the same order; null = it is not there after all. */
  private async resolve(candidates: readonly Candidate[]): Promise<readonly (Candidate | null)[]> {
    const doubtful: { readonly item: SetItem; readonly i: number }[] = [];
    for (const [i, c] of candidates.entries()) if (c.kind === "doubtful") doubtful.push({ item: c.item, i });
    if (doubtful.length === 0) return candidates; // nearly always
    const out: (Candidate | null)[] = [...candidates];
    for (let at = 0; at < doubtful.length; at += READS_AT_ONCE) {
      await Promise.all(
        doubtful.slice(at, at + READS_AT_ONCE).map(async ({ item, i }) => {
          out[i] = item.isGroup ? await this.readGroup(item.sort) : await this.readKey(item.key);
        }),
      );
    }
    return out;
  }

  private async readKey(key: string): Promise<Candidate | null> {
    const path = pathOf(this.request.bucket, key);
    const versions = listedVersions(await locateKey(this.options.setsOf(path.path), path));
    const [latest] = versions;
    if (latest === undefined || (latest.isDeleteMarker && !this.request.allVersions)) return null;
    return { kind: "key", entry: { key, versions: this.request.allVersions ? versions : [latest] } };
  }

  /** Is there a key to show below the prefix? */
  private async readGroup(group: string): Promise<Candidate | null> {
    const request = { ...this.request, prefix: group, delimiter: "", after: "", inclusive: false, limit: 1 };
    const page = await new IndexedPage({ ...this.options, prefix: group }, request).make();
    return page.entries.length === 0 ? null : { kind: "group", group };
  }
}
