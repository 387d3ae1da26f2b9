/**
 * An imagined file system that knows what would survive a power cut: every directory change since the last sync is an
 * entry in a journal, every unsynced write a list of sectors. `crash` keeps a seeded part of both.
 * A rename is atomic: it happened or it did not. Paths are split by the caller.
 */
import { Errno } from "../../src/sys/disk.ts";
import type { Rng } from "../../src/sys/rng.ts";

export const SECTOR_BYTES = 512;

/** How much of the directory changes a crash may lose. */
export type CrashOrder =
  /** A tail of them, as journalling file systems do. */
  | "ordered"
  /** Any subset, as POSIX allows. */
  | "any";

export interface Node {
  readonly id: number;
  readonly isDirectory: boolean;
  /** Of a directory. */
  entries: Map<string, Node>;
  durableEntries: Map<string, Node>;
  /** Of a file. */
  bytes: Uint8Array;
  durableBytes: Uint8Array;
  pending: { readonly offset: number; readonly bytes: Uint8Array }[];
  mtimeNs: bigint;
}

type Change =
  | { readonly kind: "add"; readonly dir: Node; readonly name: string; readonly node: Node }
  | { readonly kind: "remove"; readonly dir: Node; readonly name: string; readonly node: Node }
  | {
      readonly kind: "move";
      readonly from: Node;
      readonly name: string;
      readonly to: Node;
      readonly toName: string;
      readonly node: Node;
    };

export class FsError extends Error {
  constructor(readonly errno: number) {
    super(`errno ${errno}`);
  }
}

export class SimulatedFiles {
  readonly root: Node;
  private journal: Change[] = [];
  private dirty = new Set<Node>();
  private nextId = 2;

  constructor(readonly device: number) {
    this.root = this.node(true);
  }

  private node(isDirectory: boolean): Node {
    const none = new Uint8Array(0);
    return {
      id: this.nextId++,
      isDirectory,
      entries: new Map(),
      durableEntries: new Map(),
      bytes: none,
      durableBytes: none,
      pending: [],
      mtimeNs: BigInt(this.nextId),
    };
  }

  // ---- names

  find(names: readonly string[]): Node {
    let at = this.root;
    for (const name of names) {
      if (Buffer.byteLength(name) > 255) throw new FsError(Errno.ENAMETOOLONG);
      if (!at.isDirectory) throw new FsError(Errno.ENOTDIR);
      const next = at.entries.get(name);
      if (next === undefined) throw new FsError(Errno.ENOENT);
      at = next;
    }
    return at;
  }
  private parent(names: readonly string[]): { dir: Node; name: string } {
    const dir = this.find(names.slice(0, -1));
    if (!dir.isDirectory) throw new FsError(Errno.ENOTDIR);
    const name = names[names.length - 1];
    if (name === undefined) throw new FsError(Errno.EEXIST);
    if (Buffer.byteLength(name) > 255) throw new FsError(Errno.ENAMETOOLONG);
    return { dir, name };
  }

  create(names: readonly string[], isDirectory: boolean): Node {
    const { dir, name } = this.parent(names);
    if (dir.entries.has(name)) throw new FsError(Errno.EEXIST);
    const node = this.node(isDirectory);
    dir.entries.set(name, node);
    this.journal.push({ kind: "add", dir, name, node });
    return node;
  }
  link(from: readonly string[], to: readonly string[]): void {
    const node = this.find(from);
    const { dir, name } = this.parent(to);
    if (dir.entries.has(name)) throw new FsError(Errno.EEXIST);
    dir.entries.set(name, node);
    this.journal.push({ kind: "add", dir, name, node });
  }
  remove(names: readonly string[], kind: "file" | "directory"): void {
    const { dir, name } = this.parent(names);
    const node = dir.entries.get(name);
    if (node === undefined) throw new FsError(Errno.ENOENT);
    if (kind === "file" && node.isDirectory) throw new FsError(Errno.EISDIR);
    if (kind === "directory" && !node.isDirectory) throw new FsError(Errno.ENOTDIR);
    if (node.entries.size > 0) throw new FsError(Errno.ENOTEMPTY);
    dir.entries.delete(name);
    this.journal.push({ kind: "remove", dir, name, node });
  }
  rename(fromNames: readonly string[], toNames: readonly string[]): void {
    const from = this.parent(fromNames);
    const node = from.dir.entries.get(from.name);
    if (node === undefined) throw new FsError(Errno.ENOENT);
    const to = this.parent(toNames);
    const there = to.dir.entries.get(to.name);
    if (there === node) return;
    if (there !== undefined) {
      if (node.isDirectory && !there.isDirectory) throw new FsError(Errno.ENOTDIR);
      if (!node.isDirectory && there.isDirectory) throw new FsError(Errno.EISDIR);
      if (there.entries.size > 0) throw new FsError(Errno.ENOTEMPTY);
    }
    from.dir.entries.delete(from.name);
    to.dir.entries.set(to.name, node);
    this.journal.push({ kind: "move", from: from.dir, name: from.name, to: to.dir, toName: to.name, node });
  }

  // ---- bytes

  write(file: Node, bytes: Uint8Array, offset: number): void {
    const copy = bytes.slice();
    file.bytes = written(file.bytes, copy, offset);
    file.pending.push({ offset, bytes: copy });
    file.mtimeNs++;
    this.dirty.add(file);
  }
  /** Growing or cutting, which here is durable at once if nothing else is pending (nobody relies on it). */
  resize(file: Node, size: number): void {
    const next = new Uint8Array(size);
    next.set(file.bytes.subarray(0, size));
    file.bytes = next;
    file.durableBytes = next.slice();
    file.pending = [];
  }
  /** fsync: the bytes of a file, or the entries of a directory. */
  syncFile(file: Node): void {
    if (file.isDirectory) {
      const isHere = (c: Change): boolean => (c.kind === "move" ? c.from === file || c.to === file : c.dir === file);
      for (const change of this.journal.filter(isHere)) applyDurably(change);
      this.journal = this.journal.filter((change) => !isHere(change));
      return;
    }
    for (const { offset, bytes } of file.pending) file.durableBytes = written(file.durableBytes, bytes, offset);
    file.pending = [];
    this.dirty.delete(file);
  }
  syncAll(): void {
    for (const change of this.journal) applyDurably(change);
    this.journal = [];
    for (const file of [...this.dirty]) this.syncFile(file);
  }

  // ---- the end of the world

  /** Everything that is durably reachable. */
  private attached(): Set<Node> {
    const found = new Set<Node>([this.root]);
    for (const node of found) for (const child of node.durableEntries.values()) found.add(child);
    return found;
  }

  /** What is on the medium after a power cut now. */
  crash(rng: Rng, order: CrashOrder): SimulatedFiles {
    const survivors =
      order === "ordered"
        ? this.journal.slice(0, Math.floor(rng.next() * (this.journal.length + 1)))
        : this.journal.filter(() => rng.next() < 0.5);
    const after = new SimulatedFiles(this.device);
    const view = new Map<Node, Map<string, Node>>();
    const entriesOf = (dir: Node): Map<string, Node> => {
      let entries = view.get(dir);
      if (entries === undefined) view.set(dir, (entries = new Map(dir.durableEntries)));
      return entries;
    };
    const attached = this.attached();
    for (const change of survivors) {
      const into = change.kind === "move" ? change.to : change.dir;
      if (!attached.has(into)) continue; // the directory itself was lost
      applyTo(change, entriesOf);
      if (change.kind === "add") attached.add(change.node);
      if (change.kind === "remove" && entriesOf(change.dir).get(change.name) === undefined)
        attached.delete(change.node);
    }
    const copies = new Map<Node, Node>();
    const copy = (node: Node, into: Node): void => {
      copies.set(node, into);
      if (!node.isDirectory) {
        into.bytes = tornBytes(node, rng);
        into.durableBytes = into.bytes.slice();
      }
      for (const [name, child] of entriesOf(node)) {
        const known = copies.get(child);
        const twin = known ?? after.node(child.isDirectory);
        into.entries.set(name, twin);
        into.durableEntries.set(name, twin);
        if (known === undefined) copy(child, twin);
      }
    };
    copy(this.root, after.root);
    return after;
  }
}

function applyDurably(change: Change): void {
  applyTo(change, (dir) => dir.durableEntries);
}

/** A change that builds on one that was lost does nothing. */
function applyTo(change: Change, entriesOf: (dir: Node) => Map<string, Node>): void {
  switch (change.kind) {
    case "add": {
      const entries = entriesOf(change.dir);
      if (!entries.has(change.name)) entries.set(change.name, change.node);
      return;
    }
    case "remove": {
      const entries = entriesOf(change.dir);
      if (entries.get(change.name) === change.node && entriesOf(change.node).size === 0) entries.delete(change.name);
      return;
    }
    case "move": {
      const from = entriesOf(change.from);
      if (from.get(change.name) !== change.node) return;
      from.delete(change.name);
      entriesOf(change.to).set(change.toName, change.node);
    }
  }
}

function written(bytes: Uint8Array, patch: Uint8Array, offset: number): Uint8Array {
  const size = Math.max(bytes.length, offset + patch.length);
  let into = bytes;
  if (size > bytes.length) {
    into =
      size <= bytes.buffer.byteLength && bytes.byteOffset === 0
        ? new Uint8Array(bytes.buffer, 0, size)
        : new Uint8Array(new ArrayBuffer(size * 2), 0, size);
    if (into.buffer !== bytes.buffer) into.set(bytes);
  }
  into.set(patch, offset);
  return into;
}

/** Each unsynced sector is there or not. */
function tornBytes(file: Node, rng: Rng): Uint8Array {
  let bytes: Uint8Array = file.durableBytes.slice();
  const all = rng.next() < 0.25; // whole writes and none at all are what happens most
  const none = !all && rng.next() < 0.33;
  for (const write of file.pending) {
    for (let at = 0; at < write.bytes.length; ) {
      const end = Math.min(
        write.bytes.length,
        (Math.floor((write.offset + at) / SECTOR_BYTES) + 1) * SECTOR_BYTES - write.offset,
      );
      if (all || (!none && rng.next() < 0.5)) bytes = written(bytes, write.bytes.subarray(at, end), write.offset + at);
      at = end;
    }
  }
  return bytes;
}
