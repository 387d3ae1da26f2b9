/**
 * SortedMap: a map whose keys are kept in the order of key-order.ts. Chunks of bounded length, so that an insertion moves
 * few keys; a look-up by key is a hash map's.
 */
import { compareKeys } from "./key-order.ts";

const CHUNK_KEYS_MAX = 128;

export class SortedMap<V> {
  private readonly values = new Map<string, V>();
  private readonly chunks: string[][] = [];

  get size(): number {
    return this.values.size;
  }
  get(key: string): V | undefined {
    return this.values.get(key);
  }

  set(key: string, value: V): void {
    if (!this.values.has(key)) this.insert(key);
    this.values.set(key, value);
  }

  delete(key: string): void {
    if (!this.values.delete(key)) return;
    const at = this.chunkOf(key);
    const chunk = this.chunks[at] as string[];
    chunk.splice(lowerBound(chunk, key), 1);
    if (chunk.length === 0) this.chunks.splice(at, 1);
  }

  /** Entries from `from` on (itself too, if `inclusive`) and before `before`; null = to the end. */
  *range(from: string, inclusive: boolean, before: string | null): Generator<readonly [key: string, value: V]> {
    for (let at = this.chunkOf(from); at < this.chunks.length; at++) {
      const chunk = this.chunks[at] as string[];
      for (let i = lowerBound(chunk, from); i < chunk.length; i++) {
        const key = chunk[i] as string;
        if (!inclusive && key === from) continue;
        if (before !== null && compareKeys(key, before) >= 0) return;
        yield [key, this.values.get(key) as V];
      }
    }
  }

  private insert(key: string): void {
    if (this.chunks.length === 0) this.chunks.push([]);
    const at = this.chunkOf(key);
    const chunk = this.chunks[at] as string[];
    chunk.splice(lowerBound(chunk, key), 0, key);
    if (chunk.length > CHUNK_KEYS_MAX) this.chunks.splice(at + 1, 0, chunk.splice(CHUNK_KEYS_MAX / 2));
  }

  /** The last chunk that does not begin after `key`. */
  private chunkOf(key: string): number {
    let low = 0;
    let high = this.chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (compareKeys((this.chunks[middle] as string[])[0] as string, key) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareKeys(keys[middle] as string, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
