/**
 * Overlay: what the commit log holds and the tree does not show yet, by key. A read looks here first. Keys are also kept as
 * a tree of names, for directory listings and so that they are applied directory by directory. Images of xl.meta are read where
 * they are: the log was just written, so that the kernel has it in memory.
 * No I/O. The first entry in the order of sequences is what keeps the oldest segment.
 */
import type { Placed } from "./commit-log.ts";
import type { DriveError, ObjectPath, Stamp } from "./drive.ts";
import type { NewDirectory } from "./log-record.ts";
import type { Segment } from "./log-segments.ts";

/** One xl.meta: in a segment of the log. */
export interface SegmentImage {
  readonly kind: "segment";
  readonly segment: Segment;
  readonly offset: number;
  readonly sizeBytes: number;
}
export type Image =
  | SegmentImage
  /** In a file beside the segments. */
  | { readonly kind: "file"; readonly name: string }
  /** Where the key's xl.meta is: it was brought there, or has been there since before the log. */
  | { readonly kind: "tree"; readonly key: ObjectPath };
export interface Doubt {
  /** Of the commit's record. */
  readonly sequence: number;
  readonly prev: { readonly image: Image | null; readonly stamp: Stamp };
  readonly newDirs: readonly NewDirectory[];
  readonly oldDirs: readonly string[];
  /** The new directories take the places of damaged ones. */
  readonly replaces: boolean;
}
export interface Entry {
  readonly name: string;
  readonly key: ObjectPath;
  readonly stamp: Stamp;
  /** Null: the key is gone. */
  readonly image: Image | null;
  /** The oldest record that this needs. */
  readonly placed: Placed;
  /** Null: settled. Only the overlay sets it. */
  doubt: Doubt | null;
  /** The tree holds no xl.meta of the key. */
  readonly isNew: boolean;
  /** Until its data directories are in place: readers wait for it, and are told why they are not. */
  arriving: Promise<DriveError | null> | null;
}
interface Node {
  readonly parent: Node | null;
  /** In the parent; "" of the root. */
  readonly name: string;
  /** Null: none. Most nodes are keys without any. */
  children: Map<string, Node> | null;
  entry: Entry | null;
  /** Entries strictly below that show something, and that hide something. */
  live: number;
  gone: number;
}

function isLive(entry: Entry): boolean {
  return entry.image !== null || (entry.doubt !== null && entry.doubt.prev.image !== null);
}
function newNode(parent: Node | null, name: string): Node {
  return { parent, name, children: null, entry: null, live: 0, gone: 0 };
}

export class Overlay {
  /** Those with an entry, in the order of their sequences. */
  private readonly nodes = new Map<string, Node>();
  /** Those of the entries that are in doubt. */
  private readonly doubtful = new Map<string, Entry>();
  private readonly root = newNode(null, "");
  /** Entries dropped so far: a read of the tree that saw it change looks again. */
  drops = 0;

  get size(): number {
    return this.nodes.size;
  }
  get settledSize(): number {
    return this.nodes.size - this.doubtful.size;
  }
  get(name: string): Entry | undefined {
    return this.nodes.get(name)?.entry ?? undefined;
  }
  oldest(): Entry | undefined {
    return this.nodes.values().next().value?.entry ?? undefined;
  }
  /** Every entry, directory by directory, as it is now. A list: deleting from a Map under its iterator is slow. */
  all(): Entry[] {
    return collect(this.root, []);
  }
  doubts(): IterableIterator<Entry> {
    return this.doubtful.values();
  }
  doubtsIn(bucket: string): Entry[] {
    return this.doubtful.size === 0 ? [] : [...this.doubtful.values()].filter((entry) => entry.key.bucket === bucket);
  }

  /** Puts an entry in place of what the key had; `isNewest`: it belongs to a record later than all others. */
  set(entry: Entry, isNewest: boolean): void {
    const { name } = entry;
    const known = this.nodes.get(name);
    if (isNewest && known !== undefined) this.nodes.delete(name);
    const node = known ?? this.make(entry.key);
    if (isNewest || known === undefined) this.nodes.set(name, node);
    const before = node.entry;
    node.entry = entry;
    if (entry.doubt !== null) this.doubtful.set(name, entry);
    else this.doubtful.delete(name);
    count(node, before === null ? null : isLive(before), isLive(entry));
  }

  drop(entry: Entry): void {
    const node = this.nodes.get(entry.name);
    if (node === undefined || node.entry !== entry) return;
    this.nodes.delete(entry.name);
    if (entry.doubt !== null) this.doubtful.delete(entry.name);
    node.entry = null;
    count(node, isLive(entry), null);
    prune(node);
    this.drops++;
  }

  /** The entry's doubt is over: it stands. */
  settle(entry: Entry): void {
    const node = this.nodes.get(entry.name);
    if (node === undefined || node.entry !== entry) return;
    const wasLive = isLive(entry);
    entry.doubt = null;
    this.doubtful.delete(entry.name);
    count(node, wasLive, isLive(entry));
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
      for (const child of node.children?.values() ?? []) {
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
    const node = this.root.children?.get(bucket);
    return node === undefined ? [] : collect(node, []);
  }

  private find(bucket: string, path: string): Node | undefined {
    let node = this.root.children?.get(bucket);
    if (path === "") return node;
    for (const part of path.split("/")) {
      if (node === undefined) return undefined;
      node = node.children?.get(part);
    }
    return node;
  }

  private make(key: ObjectPath): Node {
    let node = childOf(this.root, key.bucket);
    for (const part of key.path.split("/")) node = childOf(node, part);
    return node;
  }
}

function childOf(parent: Node, name: string): Node {
  parent.children ??= new Map();
  let child = parent.children.get(name);
  if (child === undefined) parent.children.set(name, (child = newNode(parent, name)));
  return child;
}

/** Keeps the counts of the directories above. Before and after: live, gone, or null = no entry. */
function count(node: Node, before: boolean | null, after: boolean | null): void {
  if (before === after) return;
  const live = (after === true ? 1 : 0) - (before === true ? 1 : 0);
  const gone = (after === false ? 1 : 0) - (before === false ? 1 : 0);
  for (let above = node.parent; above !== null; above = above.parent) {
    above.live += live;
    above.gone += gone;
  }
}

/** Takes away what holds nothing any more. */
function prune(node: Node): void {
  for (let at = node; at.parent !== null && at.entry === null && (at.children?.size ?? 0) === 0; at = at.parent)
    at.parent.children?.delete(at.name);
}

function collect(node: Node, into: Entry[]): Entry[] {
  if (node.entry !== null) into.push(node.entry);
  for (const child of node.children?.values() ?? []) collect(child, into);
  return into;
}
