/**
 * RecentReads: xl.meta that was read from the log a moment ago, for the commit that nearly always follows where all drives were asked
 * with a read of their own. An entry of the overlay whose doubt is over shows the same bytes for as long as it is there.
 */
import type { Entry } from "./overlay.ts";

const ENTRIES_MAX = 64;
const META_BYTES_MAX = 16 * 1024;

export class RecentReads {
  /** In the order in which they came. */
  private readonly known = new Map<Entry, Uint8Array>();

  keep(entry: Entry, meta: Uint8Array | null): void {
    if (meta === null || meta.length > META_BYTES_MAX || entry.image?.kind !== "segment") return;
    this.known.set(entry, meta);
    if (this.known.size > ENTRIES_MAX) this.known.delete(this.known.keys().next().value as Entry);
  }

  /** Lets it go: the entry is about to be replaced. */
  take(entry: Entry): Uint8Array | undefined {
    const meta = this.known.get(entry);
    if (meta !== undefined) this.known.delete(entry);
    return meta;
  }
}
