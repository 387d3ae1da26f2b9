/**
 * Listing from the key indexes of a set's drives: as many drives as see every committed key, merged in order. Where they all
 * say the same and nothing is in doubt, that is the truth (engine.md §3: any later committed write has a holder among
 * them); everything else is marked as doubtful, and whoever lists it reads the key from the set.
 */
import { compareKeys } from "../core/key-order.ts";
import { good } from "../core/fan-out.ts";
import type { Drive, DriveOutcome } from "../storage/drive.ts";
import type { IndexEntry, IndexPage } from "../storage/index-list.ts";
import { parseIndexed, type IndexedKey } from "../storage/index-row.ts";
import { askDrives } from "./ask-drives.ts";
import type { ErasureSet } from "./erasure-set.ts";
import { fewOf } from "./read-version.ts";

export interface IndexedListing {
  readonly bucket: string;
  readonly prefix: string;
  readonly delimiter: string;
  readonly after: string;
  readonly inclusive: boolean;
  readonly limit: number;
  readonly allVersions: boolean;
}
export interface SetItem {
  /** Place in the order: a key, or a common prefix. */
  readonly sort: string;
  readonly isGroup: boolean;
  /** The key, or the first one shown below the prefix. */
  readonly key: string;
  /** What all drives asked say; null = doubtful. */
  readonly agreed: IndexedKey | null;
  readonly extra: string | null;
}

/** Thrown when too few drives of a set have an index: walk instead. */
export class NoIndex extends Error {}
/** Thrown when one that was asked takes its time: it is asked last when the listing is begun again. */
export class SlowIndex extends Error {}

/** One drive's entries, a page at a time. */
class DriveEntries {
  private entries: readonly IndexEntry[] = [];
  private at = 0;
  private next: { readonly after: string; readonly inclusive: boolean } | null;

  constructor(
    readonly drive: Drive,
    private readonly request: IndexedListing,
  ) {
    this.next = { after: request.after, inclusive: request.inclusive };
  }

  get head(): IndexEntry | undefined {
    return this.entries[this.at];
  }
  /** True while `head` may be missing although there is more. */
  get isDry(): boolean {
    return this.at >= this.entries.length && this.next !== null;
  }
  step(): void {
    this.at++;
  }

  /** Null = the drive has no index. Answers of an index of its own are short, or have nothing and go on. */
  async fill(): Promise<DriveOutcome<DriveEntries | null>> {
    while (this.isDry && this.next !== null) {
      const { bucket, prefix, delimiter, limit, allVersions } = this.request;
      const answer = await this.drive.list({ bucket, prefix, delimiter, limit, allVersions, ...this.next });
      if (!answer.ok) return answer;
      if (answer.value === null) return good(null);
      this.take(answer.value);
    }
    return good(this);
  }

  private take(page: IndexPage): void {
    this.entries = page.entries;
    this.at = 0;
    this.next = page.resume === null ? null : { after: page.resume, inclusive: page.resumeInclusive };
  }
}

export class SetListing {
  private constructor(
    private readonly set: ErasureSet,
    private readonly drives: readonly DriveEntries[],
    /** As many as `drives`: what a version of more data shards needs is not known from these. */
    private readonly asked: number,
  ) {}

  /** Throws NoIndex. */
  static async open(set: ErasureSet, request: IndexedListing): Promise<SetListing> {
    const needed = fewOf(set);
    const chosen = await askDrives(set, {
      needed,
      ofAll: false,
      ask: (drive) => new DriveEntries(drive, request).fill(),
      told: (outcome) => (outcome.ok ? outcome.value : null),
    });
    if (chosen.length < needed) throw new NoIndex(`${chosen.length} of ${needed} needed drives have a key index`);
    return new SetListing(set, chosen, needed);
  }

  /** Asks the drives for what `head` needs. Throws NoIndex when one cannot answer any more, SlowIndex when it takes its time. */
  async fill(): Promise<void> {
    const dry = this.drives.filter(({ isDry }) => isDry);
    const positions = dry.map(({ drive }) => this.set.drives.indexOf(drive));
    const answers = await this.set.patience.wait(
      positions,
      dry.map((entries) => entries.fill()),
    );
    for (const answer of answers) {
      if (answer === null) throw new SlowIndex("a drive takes its time to list");
      if (!answer.ok || answer.value === null) throw new NoIndex("a drive lost its key index");
    }
  }
  get isDry(): boolean {
    for (const drive of this.drives) if (drive.isDry) return true;
    return false;
  }

  /** The next item, taken; null = the end. Not while dry. */
  take(): SetItem | null {
    const item = this.head();
    if (item === null) return null;
    for (const drive of this.drives) {
      const { head } = drive;
      if (this.isSame || (head !== undefined && sortOf(head) === item.sort)) drive.step();
    }
    this.held = undefined;
    return item;
  }
  private held: SetItem | null | undefined;
  /** Every drive's head is the held item. */
  private isSame = false;

  head(): SetItem | null {
    if (this.held === undefined) this.held = this.judge();
    return this.held;
  }

  private judge(): SetItem | null {
    const first = this.drives[0]?.head;
    let least = first;
    let isSame = first !== undefined && !first.inDoubt;
    for (let i = 1; i < this.drives.length; i++) {
      const head = this.drives[i]?.head;
      if (isSame && head !== undefined && sameEntry(first as IndexEntry, head)) continue;
      isSame = false;
      if (head !== undefined && (least === undefined || compareKeys(sortOf(head), sortOf(least)) < 0)) least = head;
    }
    this.isSame = isSame;
    if (least === undefined) return null;
    const indexed = isSame ? parseIndexed(least.value) : null;
    const agreed = indexed !== null && indexed.dataShardsMax <= this.asked ? indexed : null;
    return { sort: sortOf(least), isGroup: least.group !== null, key: least.key, agreed, extra: least.extra };
  }
}

function sortOf(entry: IndexEntry): string {
  return entry.group ?? entry.key;
}

function sameEntry(a: IndexEntry, b: IndexEntry): boolean {
  return a.key === b.key && a.value === b.value && a.group === b.group && !b.inDoubt;
}

/** The sets' items in one order. An item of several sets comes once for each of them, one after the other. */
export class IndexedKeys {
  private constructor(private readonly sets: readonly SetListing[]) {}

  static async open(sets: readonly ErasureSet[], request: IndexedListing): Promise<IndexedKeys> {
    return new IndexedKeys(await Promise.all(sets.map((set) => SetListing.open(set, request))));
  }

  /** All sets' items at the next place in the order; none = the end. */
  async next(): Promise<readonly SetItem[]> {
    for (const set of this.sets) if (set.isDry) await set.fill();
    return this.take();
  }
  /** As `next`, without waiting; null = ask `next`. */
  nextNow(): readonly SetItem[] | null {
    for (const set of this.sets) if (set.isDry) return null;
    return this.take();
  }

  private take(): readonly SetItem[] {
    if (this.sets.length === 1) {
      const item = (this.sets[0] as SetListing).take();
      return item === null ? [] : [item];
    }
    let least: SetItem | null = null;
    for (const set of this.sets) {
      const head = set.head();
      if (head !== null && (least === null || compareKeys(head.sort, least.sort) < 0)) least = head;
    }
    if (least === null) return [];
    const items: SetItem[] = [];
    for (const set of this.sets) if (set.head()?.sort === least.sort) items.push(set.take() as SetItem);
    return items;
  }
}
