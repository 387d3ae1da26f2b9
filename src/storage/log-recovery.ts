/**
 * Recovery: from the records behind the checkpoint to the overlay and the memory that the drive had, doubts included, and the
 * moves of data directories done again, in order. If another program used the drive meanwhile, an image counts only where
 * the tree still shows a state that the log knows; else the newer one stays, and the conflict is told.
 */
import { assert } from "../core/assert.ts";
import { FormatError } from "../core/format-error.ts";
import { Errno, step } from "../sys/disk.ts";
import { parseMeta, stampOf } from "./apply-change.ts";
import type { DriveFiles } from "./drive-files.ts";
import { type DriveError, nameOf, type ObjectPath } from "./drive.ts";
import type { KeyMemory } from "./key-memory.ts";
import type { CommitSink } from "./commit-sink.ts";
import { tidyAfterRestore, tidyAfterSettle } from "./commit-tidy.ts";
import type { LogImages } from "./log-images.ts";
import type { CommitRecord, NewDirectory, StoredImage, StoredPrev } from "./log-record.ts";
import type { FoundRecord } from "./log-replay.ts";
import type { Doubt, Entry, Image, Overlay } from "./overlay.ts";
import { SYSTEM_BUCKET } from "./paths.ts";
import { XlMeta } from "./xl-meta.ts";

const READS_AT_ONCE = 64;
/** Of a move that a later one made void. */
const OVER: readonly number[] = [Errno.ENOENT, Errno.ENOTDIR, Errno.EEXIST, Errno.ENOTEMPTY];
const ABSENT = 0n;
/** No fingerprint: what the tree showed is not in the log, only that it did. */
const UNTOLD = 2n;

type Move =
  | {
      readonly kind: "bring";
      readonly key: ObjectPath;
      readonly dirs: readonly NewDirectory[];
      readonly replaces: boolean;
    }
  | {
      readonly kind: "settle" | "restore";
      readonly key: ObjectPath;
      readonly doubt: Pick<Doubt, "newDirs" | "oldDirs">;
    };

export interface RecoveryParts {
  readonly files: DriveFiles;
  readonly overlay: Overlay;
  readonly memory: KeyMemory;
  readonly images: LogImages;
  readonly changes: CommitSink | null;
  readonly warn: (message: string) => void;
  /** Another program may have changed the tree since the checkpoint. */
  readonly isForeign: boolean;
}

export class LogRecovery {
  private readonly moves: Move[] = [];
  /** Doubtful entries by the sequence of their record. */
  private readonly doubtful = new Map<number, { readonly name: string; readonly prev: StoredPrev | null }>();
  /** Of each key: fingerprints of every state that the log knows; only if the tree must be checked. */
  private readonly known = new Map<string, Set<bigint>>();

  constructor(private readonly parts: RecoveryParts) {}

  /** One record, in order; a promise is to be awaited before the next. */
  take(found: FoundRecord): Promise<void> | void {
    const { overlay, memory, changes } = this.parts;
    const { record } = found;
    switch (record.type) {
      case "commit":
        return this.commit(found, record);
      case "settle":
        for (const sequence of record.sequences) this.settle(sequence);
        return;
      case "fence":
        memory.fence(nameOf(record.key), record.stamp);
        return;
      case "promise":
        memory.promise(nameOf(record.key), record.stamp);
        return;
      case "restore":
        return this.restore(found, nameOf(record.key), record.expect);
      case "remove": {
        const entry = overlay.get(nameOf(record.key));
        overlay.set(goneEntry(record.key, found, entry), true);
        return;
      }
      case "dropBucket":
        for (const entry of overlay.inBucket(record.bucket)) overlay.drop(entry);
        if (changes !== null && found.sequence > changes.after) changes.dropped(found.sequence, record.bucket);
    }
  }

  private commit(found: FoundRecord, record: CommitRecord): Promise<void> | void {
    const { overlay, memory, images } = this.parts;
    const name = nameOf(record.key);
    const old = overlay.get(name);
    // A record of the same stamp is the same operation, copied to a later segment.
    if (old !== undefined && old.doubt !== null && old.stamp !== record.stamp) this.markSettled(old, old.doubt);
    const { image: prev, needed } = images.ofPrev(record, found, found.images.prev, old);
    const doubt: Doubt = {
      sequence: found.sequence,
      // In a repaired log the record before may be an older one than was meant.
      prev: { image: prev, stamp: needed === undefined ? record.prevStamp : (old?.stamp ?? record.prevStamp) },
      newDirs: record.newDirs,
      oldDirs: record.oldDirs,
      replaces: record.heals,
    };
    const { sequence, segment, offset } = found;
    const entry: Entry = {
      name,
      key: record.key,
      stamp: record.stamp,
      image: images.of(record.image, found, found.images.image),
      placed: needed ?? { sequence, segment, offset },
      doubt: record.heals ? null : doubt,
      isNew: false, // it may have been applied in part
      arriving: null,
    };
    overlay.set(entry, needed === undefined);
    memory.accept(name, record.stamp);
    if (!record.heals) this.doubtful.set(found.sequence, { name, prev: record.prev });
    if (record.newDirs.length > 0)
      this.moves.push({ kind: "bring", key: record.key, dirs: record.newDirs, replaces: record.heals });
    if (record.heals && record.oldDirs.length > 0) this.moves.push({ kind: "settle", key: record.key, doubt });
    if (this.parts.isForeign) this.know(name, record, old !== undefined);
    return this.tell(found.sequence, record.key, record.image, record.stamp);
  }

  private tell(sequence: number, key: ObjectPath, image: StoredImage | null, stamp: bigint): Promise<void> | void {
    const { changes, files, images } = this.parts;
    if (changes === null || sequence <= changes.after) return;
    if (image?.kind !== "file") {
      changes.changed(sequence, key, parseMeta(image?.kind === "bytes" ? image.bytes.slice() : null), stamp);
      return;
    }
    return files.readSmall(images.pathOf(image.name)).then((meta) => {
      const found = meta.ok && meta.value !== null ? parseMeta(meta.value) : "unreadable";
      changes.changed(sequence, key, found, stamp);
    });
  }

  private async tellImage(sequence: number, key: ObjectPath, image: Image | null, stamp: bigint): Promise<void> {
    const { changes, images } = this.parts;
    if (changes === null || sequence <= changes.after) return;
    const meta = await images.read(image);
    changes.changed(sequence, key, meta.ok ? parseMeta(meta.value) : "unreadable", stamp);
  }

  private settle(sequence: number): void {
    const doubtful = this.doubtful.get(sequence);
    const entry = doubtful === undefined ? undefined : this.parts.overlay.get(doubtful.name);
    if (entry !== undefined && entry.doubt !== null && entry.doubt.sequence === sequence)
      this.markSettled(entry, entry.doubt);
  }

  private markSettled(entry: Entry, doubt: Doubt): void {
    this.doubtful.delete(doubt.sequence);
    this.parts.overlay.settle(entry);
    if (doubt.newDirs.some((dir) => dir.keepParts !== null) || doubt.oldDirs.length > 0)
      this.moves.push({ kind: "settle", key: entry.key, doubt });
  }

  private restore(found: FoundRecord, name: string, expect: bigint): Promise<void> | void {
    const { overlay, memory } = this.parts;
    const entry = overlay.get(name);
    if (entry === undefined || entry.doubt === null || entry.stamp !== expect) {
      memory.promise(name, expect);
      return;
    }
    const { prev, newDirs, sequence } = entry.doubt;
    const stored = this.doubtful.get(sequence)?.prev ?? null;
    this.doubtful.delete(sequence);
    overlay.set({ ...entry, stamp: prev.stamp, image: prev.image, doubt: null }, false);
    memory.restore(name, expect, prev.stamp);
    if (newDirs.length > 0) this.moves.push({ kind: "restore", key: entry.key, doubt: entry.doubt });
    return stored?.kind === "before"
      ? this.tellImage(found.sequence, entry.key, prev.image, prev.stamp)
      : this.tell(found.sequence, entry.key, stored, prev.stamp);
  }

  private know(name: string, { image, prev }: CommitRecord, isTold: boolean): void {
    let known = this.known.get(name);
    if (known === undefined) this.known.set(name, (known = new Set()));
    for (const state of [image, prev]) {
      if (state === null) known.add(ABSENT);
      else if (state.kind === "bytes") known.add(fingerprint(state.bytes));
      else if (state.kind === "before" && !isTold) known.add(UNTOLD);
    }
  }

  /** After the last record: moves directories again, looks for conflicts. */
  async finish(): Promise<DriveError | null> {
    const failed = await this.moveAgain();
    if (failed !== null || !this.parts.isForeign) return failed;
    const entries = this.parts.overlay.all();
    for (let at = 0; at < entries.length; at += READS_AT_ONCE)
      await Promise.all(entries.slice(at, at + READS_AT_ONCE).map((entry) => this.compare(entry)));
    return null;
  }

  private async moveAgain(): Promise<DriveError | null> {
    const { files } = this.parts;
    const staged = await files.readDirectory(`${files.root}/${SYSTEM_BUCKET}/tmp`);
    const there = new Set(staged.ok ? staged.value.map((entry) => entry.name) : []);
    const lastBring = this.lastBrings();
    for (const [at, move] of this.moves.entries()) {
      if (move.kind === "bring") {
        for (const dir of move.dirs) {
          if (dir.keepParts === null && !there.has(stagedName(dir.from))) continue;
          const { error } = await files.disk.run([step.stat(`${files.root}/${dir.from}`)], true);
          if (error === Errno.ENOENT) continue; // it was moved
          const brought = error === 0 ? await files.bringDirectories(move.key, [dir], move.replaces) : error;
          // A bucket that is gone, or a place that is taken: nothing to do again. Without the data the drive is no holder.
          if (brought !== 0 && !OVER.includes(brought))
            return files.error(`bring data of ${nameOf(move.key)}`, brought);
        }
        continue;
      }
      const { doubt } = move;
      // What was taken back and then committed again, under another stamp, is where the later commit put it.
      const newDirs = doubt.newDirs.filter((dir) => (lastBring.get(dir.from) ?? -1) < at);
      const done = await (move.kind === "settle"
        ? tidyAfterSettle(files, move.key, doubt)
        : tidyAfterRestore(files, move.key, { newDirs }));
      if (!done.ok && done.error.code !== "NotFound") return done.error;
    }
    return null;
  }

  /** Of each staged directory: the last move that brings it. */
  private lastBrings(): ReadonlyMap<string, number> {
    const last = new Map<string, number>();
    for (const [at, move] of this.moves.entries())
      if (move.kind === "bring") for (const dir of move.dirs) last.set(dir.from, at);
    return last;
  }

  private async compare(entry: Entry): Promise<void> {
    const { files, overlay, warn } = this.parts;
    const tree = await files.readMeta(entry.key);
    if (!tree.ok) return;
    const known = this.known.get(entry.name);
    if (known === undefined || known.has(tree.value === null ? ABSENT : fingerprint(tree.value))) return;
    if (known.has(UNTOLD) && tree.value !== null && isReadable(tree.value) && stampOf(tree.value) <= entry.stamp)
      return;
    const where = `${files.endpoint}: ${entry.name} was changed by another program since sherd stopped`;
    const image = await this.parts.images.read(entry.image);
    const own = image.ok && image.value !== null ? stampOf(image.value) : entry.stamp;
    // A file that cannot be read has no time: it may be half of what was being applied.
    if (tree.value === null || !isReadable(tree.value) || stampOf(tree.value) <= own) {
      warn(`${where}: what sherd had acknowledged is newer and is written over it`);
      return;
    }
    warn(`${where}: it is newer than what sherd had acknowledged and stays`);
    overlay.drop(entry);
  }
}

function goneEntry(key: ObjectPath, found: FoundRecord, old: Entry | undefined): Entry {
  const { sequence, segment, offset } = found;
  return {
    name: nameOf(key),
    key,
    stamp: old?.stamp ?? 0n,
    image: null,
    placed: { sequence, segment, offset },
    doubt: null,
    isNew: false,
    arriving: null,
  };
}

/** Its name in tmp: `.minio.sys/tmp/<name>` */
function stagedName(from: string): string {
  const parts = from.split("/");
  assert(parts.length >= 3, "a staged directory");
  return parts[2] as string;
}

function fingerprint(meta: Uint8Array): bigint {
  return (Bun.hash.xxHash64(meta) as bigint) | 1n;
}

function isReadable(meta: Uint8Array): boolean {
  try {
    XlMeta.decode(meta);
    return true;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}
