/**
 * SortedMap: a map whose keys are asked for in the order of key-order.ts. They are put in order when somebody asks, or when they are
 * many, all that came since at once: many more are added than are listed. A look-up by key is a hash map's.
 */
import { compareKeys } from "./key-order.ts";

/** Put in order at once: a quarter of a millisecond. */
const LATE_MAX = 512;
/** So many more than the map has may be kept in the two lists. */
const GONE_MAX = 256;

export class SortedMap<V> {
  private readonly values = new Map<string, V>();
  /** In order. Some may have been deleted since. */
  private order: readonly string[] = [];
  /** Added since then, in no order; some may have been deleted, or be in `order` too. */
  private late: string[] = [];

  get size(): number {
    return this.values.size;
  }
  get(key: string): V | undefined {
    return this.values.get(key);
  }

  set(key: string, value: V): void {
    const { values } = this;
    const before = values.size;
    values.set(key, value);
    if (values.size === before) return;
    this.late.push(key);
    const isMuchGone = this.order.length + this.late.length > 2 * values.size + GONE_MAX;
    if (isMuchGone || this.late.length >= LATE_MAX) this.arrange();
  }

  delete(key: string): void {
    if (!this.values.delete(key) || this.values.size > 0) return;
    this.order = [];
    this.late = [];
  }

  /** The values in the order of their keys. */
  all(): V[] {
    const out: V[] = [];
    for (const key of this.arrange()) if (this.values.has(key)) out.push(this.values.get(key) as V);
    return out;
  }

  /** Entries from `from` on (itself too, if `inclusive`) and before `before`; null = to the end. */
  *range(from: string, inclusive: boolean, before: string | null): Generator<readonly [key: string, value: V]> {
    const order = this.arrange();
    for (let i = lowerBound(order, from, 0); i < order.length; i++) {
      const key = order[i] as string;
      if (!this.values.has(key) || (!inclusive && key === from)) continue;
      if (before !== null && compareKeys(key, before) >= 0) return;
      yield [key, this.values.get(key) as V];
    }
  }

  /** `order`, with all keys in it. A new list where anything is new: who goes through the old one is not disturbed. */
  private arrange(): readonly string[] {
    if (this.late.length === 0) return this.order;
    const late = this.late.sort(compareKeys);
    const merged = late.length + this.order.length === this.values.size ? merge(this.order, late) : this.present(late);
    this.order = merged;
    this.late = [];
    return merged;
  }

  /** The same where keys were deleted. */
  private present(late: readonly string[]): readonly string[] {
    const isThere = (key: string): boolean => this.values.has(key);
    const added = late.filter((key, i) => isThere(key) && key !== late[i - 1]);
    const isAdded = new Set(added);
    return merge(
      this.order.filter((key) => isThere(key) && !isAdded.has(key)),
      added,
    );
  }
}

/** Two ordered lists without a common key, the second one often short. */
function merge(keys: readonly string[], added: readonly string[]): readonly string[] {
  if (keys.length === 0) return added;
  const out: string[] = [];
  let at = 0;
  for (const key of added) {
    const end = lowerBound(keys, key, at);
    while (at < end) out.push(keys[at++] as string);
    out.push(key);
  }
  while (at < keys.length) out.push(keys[at++] as string);
  return out;
}

/** The first position from `from` on whose key is not before `key`. */
function lowerBound(keys: readonly string[], key: string, from: number): number {
  let low = from;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareKeys(keys[middle] as string, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
