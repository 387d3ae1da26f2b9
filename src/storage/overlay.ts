/**
 * Overlay: what the commit log holds and the tree does not show yet, by key. A read looks here first. Keys are also kept as
 * a tree of names, for directory listings and so that they are applied directory by directory. Images of xl.meta stay in
 * memory up to a number of bytes; beyond that their place in the log is read.
 * No I/O. `entries` are in the order of their sequences: the first one is what keeps the oldest segment.
 */
import type { Placed } from "./commit-log.ts";
import type { ObjectPath, Stamp } from "./drive.ts";
import type { NewDirectory } from "./log-record.ts";
import type { Segment } from "./log-segments.ts";

/** One xl.meta in the log. */
export interface Image {
  /** Null: only in the log (any more). */
  bytes: Uint8Array | null;
  readonly sizeBytes: number;
  readonly place:
    | { readonly kind: "segment"; readonly segment: Segment; readonly offset: number }
    | { readonly kind: "file"; readonly name: string };
}
export interface Doubt {
  /** Of the commit's record. */
  readonly sequence: number;
  readonly prev: { readonly image: Image | null; readonly stamp: Stamp };
  readonly newDirs: readonly NewDirectory[];
  readonly oldDirs: readonly string[];
}
export interface Entry {
  readonly name: string;
  readonly key: ObjectPath;
  readonly stamp: Stamp;
  /** Null: the key is gone. */
  readonly image: Image | null;
  /** The oldest record that this needs. */
  readonly placed: Placed;
  /** Null: settled. */
  readonly doubt: Doubt | null;
  /** The tree holds no xl.meta of the key. */
  readonly isNew: boolean;
  /** Set until its data directories are in place: readers wait for it. */
  readonly arriving: Promise<void> | null;
}
interface Node {
  readonly children: Map<string, Node>;
  entry: Entry | null;
  /** Entries strictly below that show something, and that hide something. */
  live: number;
  gone: number;
}

export function nameOf(key: ObjectPath): string {
  return `${key.bucket}/${key.path}`;
}
function isLive(entry: Entry): boolean {
  return entry.image !== null || (entry.doubt !== null && entry.doubt.prev.image !== null);
}
function newNode(): Node {
  return { children: new Map(), entry: null, live: 0, gone: 0 };
}

export class Overlay {
  private readonly entries = new Map<string, Entry>();
  /** Those of the entries that are in doubt. */
  private readonly doubtful = new Map<string, Entry>();
  private readonly root = newNode();
  private readonly cached = new Set<Image>();
  private cachedBytes = 0;
  /** Entries dropped so far: a read of the tree that saw it change looks again. */
  drops = 0;

  constructor(private readonly cacheBytesMax: number) {}

  get size(): number {
    return this.entries.size;
  }
  get(name: string): Entry | undefined {
    return this.entries.get(name);
  }
  oldest(): Entry | undefined {
    return this.entries.values().next().value;
  }
  all(): IterableIterator<Entry> {
    return this.entries.values();
  }
  doubts(): IterableIterator<Entry> {
    return this.doubtful.values();
  }
  doubtsIn(bucket: string): Entry[] {
    return this.doubtful.size === 0 ? [] : [...this.doubtful.values()].filter((entry) => entry.key.bucket === bucket);
  }

  /** Puts an entry in place of what the key had; `isNewest`: it belongs to a record later than all others. */
  set(entry: Entry, isNewest: boolean): void {
    const old = this.entries.get(entry.name);
    if (isNewest && old !== undefined) this.entries.delete(entry.name);
    this.entries.set(entry.name, entry);
    if (entry.doubt !== null) this.doubtful.set(entry.name, entry);
    else this.doubtful.delete(entry.name);
    this.count(entry.key, entry, old === undefined ? null : isLive(old), isLive(entry));
  }

  drop(entry: Entry): void {
    if (this.entries.get(entry.name) !== entry) return;
    this.entries.delete(entry.name);
    this.doubtful.delete(entry.name);
    this.count(entry.key, null, isLive(entry), null);
    for (const image of [entry.image, entry.doubt?.prev.image ?? null]) if (image !== null) this.forget(image);
    this.drops++;
  }

  /** Names of a directory that the overlay shows; those of directories and keys alike. */
  names(bucket: string, path: string): string[] {
    const names: string[] = [];
    for (const [name, child] of this.find(bucket, path)?.children ?? [])
      if (child.live > 0 || (child.entry !== null && isLive(child.entry))) names.push(name);
    return names;
  }
  /** Settled entries below a directory that hide what the tree shows. */
  goneBelow(bucket: string, path: string): Entry[] {
    const gone: Entry[] = [];
    const visit = (node: Node): void => {
      if (node.gone === 0) return;
      for (const child of node.children.values()) {
        if (child.entry !== null && !isLive(child.entry) && child.entry.doubt === null) gone.push(child.entry);
        visit(child);
      }
    };
    const node = this.find(bucket, path);
    if (node !== undefined) visit(node);
    return gone;
  }
  /** Entries of a bucket. */
  inBucket(bucket: string): Entry[] {
    const node = this.root.children.get(bucket);
    return node === undefined ? [] : collect(node, []);
  }
  /** Every entry, directory by directory, as it is now. A list: deleting from a Map under its iterator is slow. */
  inOrder(): Entry[] {
    return collect(this.root, []);
  }

  /** Keeps the bytes of an image in memory, at the cost of older ones. */
  keep(image: Image, bytes: Uint8Array): void {
    if (this.cached.has(image)) return;
    image.bytes = bytes;
    this.cached.add(image);
    this.cachedBytes += image.sizeBytes;
    for (const old of this.cached) {
      if (this.cachedBytes <= this.cacheBytesMax) break;
      this.forget(old);
    }
  }
  private forget(image: Image): void {
    if (!this.cached.delete(image)) return;
    this.cachedBytes -= image.sizeBytes;
    image.bytes = null;
  }

  private find(bucket: string, path: string): Node | undefined {
    let node = this.root.children.get(bucket);
    if (path === "") return node;
    for (const part of path.split("/")) {
      if (node === undefined) return undefined;
      node = node.children.get(part);
    }
    return node;
  }

  /** Sets or takes away the entry of a key and keeps the counts of its ancestors. */
  private count(key: ObjectPath, entry: Entry | null, before: boolean | null, after: boolean | null): void {
    const live = (after === true ? 1 : 0) - (before === true ? 1 : 0);
    const gone = (after === false ? 1 : 0) - (before === false ? 1 : 0);
    const above: Node[] = [this.root];
    const parts = [key.bucket, ...key.path.split("/")];
    let node = this.root;
    for (const part of parts) {
      node.live += live;
      node.gone += gone;
      let child = node.children.get(part);
      if (child === undefined) node.children.set(part, (child = newNode()));
      node = child;
      above.push(node);
    }
    node.entry = entry;
    for (let i = parts.length; i > 0; i--) {
      const { children, entry: own } = above[i] as Node;
      if (own !== null || children.size > 0) break;
      (above[i - 1] as Node).children.delete(parts[i - 1] as string);
    }
  }
}

function collect(node: Node, into: Entry[]): Entry[] {
  if (node.entry !== null) into.push(node.entry);
  for (const child of node.children.values()) collect(child, into);
  return into;
}
