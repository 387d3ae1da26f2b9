/**
 * LocalCommit: the commit protocol of engine.md §1-3 on one local drive, by files and renames.
 * Owns `promised`, `fenced` and doubts in memory, the before-images in the undo log. A commit is
 * (a) new xl.meta in tmp + undo record, (b) sync, (c) rename into place, (d) sync: durable, and at every instant the key
 * shows its old or its new version, whole. (The commit log takes this file's place behind the same interface.)
 */
import { assert } from "../core/assert.ts";
import { bad, good } from "../core/fan-out.ts";
import { FormatError } from "../core/format-error.ts";
import { KeyLock } from "../core/key-lock.ts";
import { Errno, Ignore, step } from "../sys/disk.ts";
import { type Applied, applyChange, dataDirsOf, stampOf } from "./apply-change.ts";
import type { CommitSink } from "./commit-sink.ts";
import {
  type Change,
  type CommitAnswer,
  type CommitTerms,
  DriveError,
  type DriveOutcome,
  type FenceAnswer,
  type KeyState,
  type ObjectPath,
  type Stamp,
} from "./drive.ts";
import type { DriveFiles } from "./drive-files.ts";
import type { GroupSync } from "./group-sync.ts";
import { fingerprint, type NewDirectory, type UndoLog, type UndoRecord, type UndoTicket } from "./undo-log.ts";
import { XlMeta } from "./xl-meta.ts";

const REMEMBERED_MAX = 65_536;
const ACCEPTED_MAX = 16;
const MOVE_ATTEMPTS = 4;

interface Doubt {
  readonly key: ObjectPath;
  readonly stamp: Stamp;
  readonly prev: { readonly meta: Uint8Array | null; readonly stamp: Stamp };
  readonly newDirs: readonly NewDirectory[];
  readonly oldDirs: readonly string[];
  readonly ticket: UndoTicket | null;
  /** The new xl.meta does not show the stamp (removals, metadata): the undo record must tell that it is settled. */
  readonly isHidden: boolean;
}
/** What is remembered of a key beyond its file. */
interface Memory {
  stamp: Stamp;
  promised: Stamp;
  fenced: Stamp;
  last: Stamp;
  accepted: Stamp[];
  /** Counts changes of what the key shows; odd while one is under way. */
  changes: number;
}

/** What happened to a change that was moved into place. */
interface Published {
  readonly ticket: UndoTicket;
  /** It shows, but its sync failed. */
  readonly failed: DriveError | null;
}

const NO_TICKET: UndoTicket = { settled: () => [], release: () => undefined };

export class LocalCommit {
  private readonly locks = new KeyLock();
  private readonly inDoubt = new Map<string, Doubt>();
  /** Settled by a successor's commit; their own settle, which tidies up, is still to come. */
  private readonly cleanups = new Map<string, Doubt>();
  private readonly memory = new Map<string, Memory>();
  /** Keys whose xl.meta is being replaced. */
  private readonly changing = new Map<string, ObjectPath>();
  private movedBack = false;
  /** Every key's `promised` is at least this: what was forgotten of keys not in memory. */
  private floor: Stamp = 0n;

  constructor(
    private readonly files: DriveFiles,
    private readonly undo: UndoLog,
    private readonly groupSync: GroupSync,
    /** Told of every change before it is acknowledged. */
    private readonly sink: CommitSink | null = null,
  ) {}

  /** Finds the operations that a crash left in doubt here; an error if that cannot be known. */
  async recover(): Promise<DriveOutcome<void>> {
    const loaded = await this.undo.load();
    if (loaded.error !== 0) return bad(this.files.error("read the undo log", loaded.error));
    const byKey = Map.groupBy(loaded.records, nameOf);
    for (const [name, records] of byKey) {
      const key = records[0] as UndoRecord;
      const current = await this.files.readMeta(key);
      if (!current.ok) continue;
      const now = fingerprint(current.value);
      const fitting = records.filter((record) => record.wrote === now).sort((a, b) => (a.stamp < b.stamp ? 1 : -1));
      const record = fitting[0];
      if (record === undefined) {
        await this.takeBackUnseen(key, records, current.value);
        continue;
      }
      await this.finishMove(key, record.newDirs);
      if (record.settled) {
        this.remember(name, record.stamp).stamp = record.stamp;
        const tidy = await this.tidyUp(key, record); // the crash may have come between the mark and this
        if (!tidy.ok) return tidy;
        continue;
      }
      this.inDoubt.set(name, {
        key: { bucket: record.bucket, path: record.path },
        stamp: record.stamp,
        prev: { meta: record.prevMeta, stamp: record.prevStamp },
        newDirs: record.newDirs,
        oldDirs: record.oldDirs,
        ticket: null,
        isHidden: false,
      });
      this.remember(name, record.stamp).stamp = record.stamp;
    }
    if (!this.movedBack) return good(undefined);
    const error = await this.groupSync.sync();
    return error === 0 ? good(undefined) : bad(this.files.error("sync", error));
  }

  /** A crash may keep the rename of xl.meta and lose the one of the data that went before it. */
  private async finishMove(key: ObjectPath, dirs: readonly NewDirectory[]): Promise<void> {
    const directory = this.files.objectDirectory(key);
    for (const { name, from } of await this.notYetMoved(directory, dirs)) {
      const { error } = await this.files.disk.run([step.rename(from, `${directory}/${name}`)]);
      if (error === 0) this.movedBack = true; // else it is damage: reads and heals find it
    }
  }

  /** Data directories that came with commits whose xl.meta did not: an upload gets its parts back. */
  private async takeBackUnseen(
    key: ObjectPath,
    records: readonly UndoRecord[],
    current: Uint8Array | null,
  ): Promise<void> {
    const used = dataDirsOf(current);
    if (used === null) return;
    const unseen = records.flatMap(({ newDirs }) => newDirs.filter(({ name }) => !used.has(name)));
    const missing = await this.notYetMoved(this.files.objectDirectory(key), unseen);
    if (missing.length === unseen.length) return;
    this.movedBack = true;
    await this.takeBackData(key, unseen);
  }

  async close(): Promise<void> {
    if (this.inDoubt.size === 0) await this.undo.clear();
  }

  doubts(): readonly ObjectPath[] {
    return [...this.inDoubt.values()].map((doubt) => doubt.key);
  }

  /** Keys of a bucket that are in doubt or change right now: what is told of them may not be so, or not stay. */
  unsure(bucket: string): readonly ObjectPath[] {
    if (this.inDoubt.size === 0 && this.changing.size === 0) return [];
    return [...this.doubts(), ...this.changing.values()].filter((key) => key.bucket === bucket);
  }

  async read(key: ObjectPath): Promise<DriveOutcome<KeyState>> {
    const name = nameOf(key);
    const before = this.changesOf(name);
    const current = await this.files.readMeta(key);
    if (before % 2 === 0 && this.changesOf(name) === before)
      return current.ok ? good(this.state(name, current.value)) : current;
    // It changes right now: file and memory may belong to different moments.
    using _ = await this.locks.acquire(name);
    const again = await this.files.readMeta(key);
    return again.ok ? good(this.state(name, again.value)) : again;
  }

  private changesOf(name: string): number {
    return this.memory.get(name)?.changes ?? 0;
  }

  async commit(key: ObjectPath, change: Change, terms: CommitTerms): Promise<DriveOutcome<CommitAnswer>> {
    const name = nameOf(key);
    await this.sink?.room();
    using _ = await this.locks.acquire(name);
    const current = await this.files.readMeta(key);
    if (!current.ok) return current;
    if (this.memory.get(name)?.accepted.includes(terms.stamp) === true) return good({ accepted: true });
    const doubt = this.inDoubt.get(name);
    if (doubt !== undefined && terms.settles.includes(doubt.stamp)) {
      this.drop(name, doubt);
      this.cleanups.set(`${name} ${doubt.stamp}`, doubt);
    }
    const state = this.state(name, current.value);
    const refuse = (reason: "stale" | "doubt" | "prior" | "missing"): DriveOutcome<CommitAnswer> => {
      const memory = this.remember(name, terms.stamp);
      if (terms.stamp > memory.promised) memory.promised = terms.stamp; // a refusal is for ever
      return good({ accepted: false, reason, stamp: max(state.promised, state.stamp) });
    };
    if (state.prev !== null) return refuse("doubt");
    if (terms.stamp <= max(state.promised, state.stamp)) return refuse("stale");
    if (terms.prior !== null && terms.prior !== state.stamp) return refuse("prior");
    return await this.accept(key, change, state, terms.stamp, refuse);
  }

  async settle(key: ObjectPath, stamp: Stamp): Promise<DriveOutcome<void>> {
    const name = nameOf(key);
    using _ = await this.locks.acquire(name);
    const inDoubt = this.inDoubt.get(name);
    const doubt = inDoubt?.stamp === stamp ? inDoubt : this.cleanups.get(`${name} ${stamp}`);
    if (doubt === undefined) return good(undefined);
    if (doubt === inDoubt && doubt.isHidden && doubt.ticket !== null) {
      const { error } = await this.files.disk.run(doubt.ticket.settled(), true);
      if (error !== 0) return bad(this.files.error("settle", error));
    }
    if (doubt === inDoubt) this.drop(name, doubt);
    else this.cleanups.delete(`${name} ${stamp}`);
    return await this.tidyUp(key, doubt);
  }

  /** What a settled operation does not need any more; nothing is done twice. */
  private async tidyUp(
    key: ObjectPath,
    doubt: { readonly newDirs: readonly NewDirectory[]; readonly oldDirs: readonly string[] },
  ): Promise<DriveOutcome<void>> {
    for (const dir of doubt.newDirs) {
      const tidy =
        dir.keepParts === null ? good(undefined) : await this.files.keepOnlyParts(key, dir.name, dir.keepParts);
      if (!tidy.ok) return tidy;
    }
    for (const dir of doubt.oldDirs) {
      const gone = await this.files.discardDirectory(key, dir);
      if (!gone.ok) return gone;
    }
    return good(undefined);
  }

  async fence(key: ObjectPath, stamp: Stamp): Promise<DriveOutcome<FenceAnswer>> {
    const name = nameOf(key);
    using _ = await this.locks.acquire(name);
    const current = await this.files.readMeta(key);
    if (!current.ok) return current;
    const memory = this.remember(name, stamp);
    const promised = stamp > memory.fenced && stamp > memory.last;
    if (promised) {
      memory.fenced = stamp;
      memory.promised = max(memory.promised, stamp);
    }
    return good({ promised, state: this.state(name, current.value) });
  }

  async restore(key: ObjectPath, stamp: Stamp, expect: Stamp): Promise<DriveOutcome<boolean>> {
    const name = nameOf(key);
    using _ = await this.locks.acquire(name);
    const current = await this.files.readMeta(key);
    if (!current.ok) return current;
    const state = this.state(name, current.value);
    const doubt = this.inDoubt.get(name);
    const memory = this.remember(name, expect);
    if (state.stamp !== expect || doubt === undefined || stamp < memory.fenced) return good(state.stamp !== expect);
    const tmp = this.files.newTmpPath();
    const put = await this.writeNew(tmp, doubt.prev.meta);
    if (!put.ok) return put;
    memory.changes++;
    this.changing.set(name, key);
    try {
      const moved = await this.move(key, tmp, doubt.prev.meta !== null);
      if (moved !== null) {
        const now = await this.files.readMeta(key); // the rename may be done, and its sync have failed
        if (now.ok) this.tell(key, parsed(now.value), expect);
        return bad(moved);
      }
      this.tell(key, parsed(doubt.prev.meta), doubt.prev.stamp);
      this.drop(name, doubt);
      memory.accepted = memory.accepted.filter((s) => s !== expect);
      memory.stamp = doubt.prev.stamp;
      memory.promised = max(memory.promised, expect);
    } finally {
      memory.changes++;
      this.changing.delete(name);
    }
    const back = await this.takeBackData(key, doubt.newDirs);
    return back.ok ? good(true) : back;
  }

  /** New data go to where they came from, so that the operation can be repeated; what cannot, to the trash. */
  private async takeBackData(key: ObjectPath, dirs: readonly NewDirectory[]): Promise<DriveOutcome<void>> {
    for (const dir of dirs) {
      const back = await this.files.giveBackDirectory(key, dir);
      if (!back.ok) return back;
      const gone = await this.files.discardDirectory(key, dir.name);
      if (!gone.ok) return gone;
    }
    return good(undefined);
  }

  async help(key: ObjectPath, fence: Stamp, stamp: Stamp, change: Change): Promise<DriveOutcome<boolean>> {
    const name = nameOf(key);
    using _ = await this.locks.acquire(name);
    const current = await this.files.readMeta(key);
    if (!current.ok) return current;
    const state = this.state(name, current.value);
    if (state.stamp === stamp) return good(true);
    const memory = this.remember(name, stamp);
    if (memory.fenced !== fence || state.stamp > stamp || memory.last > fence || state.prev !== null)
      return good(false);
    const answer = await this.accept(key, change, state, stamp, () =>
      good({ accepted: false, reason: "missing", stamp: state.stamp }),
    );
    return answer.ok ? good(answer.value.accepted) : answer;
  }

  private async accept(
    key: ObjectPath,
    change: Change,
    state: KeyState,
    stamp: Stamp,
    refuse: (reason: "missing") => DriveOutcome<CommitAnswer>,
  ): Promise<DriveOutcome<CommitAnswer>> {
    const name = nameOf(key);
    const applied = applyChange(state.meta, change);
    if (applied === null) {
      // An xl.meta that cannot be read does not say that the version is not here.
      const isReadable = dataDirsOf(state.meta) !== null;
      return isReadable ? refuse("missing") : bad(this.files.error(`read ${name}/xl.meta`, Errno.EBADMSG));
    }
    const newDirs = this.files.sourceDirectories(change);
    const record: UndoRecord = {
      bucket: key.bucket,
      path: key.path,
      stamp,
      prevMeta: state.meta,
      prevStamp: state.stamp,
      wrote: fingerprint(applied.meta),
      newDirs,
      oldDirs: applied.freedDirs,
    };
    const memory = this.remember(name, stamp);
    memory.changes++;
    this.changing.set(name, key);
    try {
      const written = await this.publish(key, applied, { record, heals: change.kind === "replace" });
      if (!written.ok) return written;
      this.tell(key, applied.parsed, stamp);
      this.inDoubt.set(name, {
        key,
        stamp,
        prev: { meta: state.meta, stamp: state.stamp },
        newDirs,
        oldDirs: applied.freedDirs,
        ticket: written.value.ticket,
        isHidden: stampOf(applied.meta) !== stamp,
      });
      memory.stamp = stamp;
      memory.last = max(memory.last, stamp);
      memory.promised = max(memory.promised, stamp);
      if (written.value.failed !== null) return bad(written.value.failed);
      memory.accepted.push(stamp);
      if (memory.accepted.length > ACCEPTED_MAX) memory.accepted.shift();
      return good({ accepted: true });
    } finally {
      memory.changes++;
      this.changing.delete(name);
    }
  }

  /**
   * A heal keeps no undo record: what it brings is durable before the rename and right whether it is settled or not, and
   * at a restart a record of one drive alone would be taken for a write that never got its quorum, and rolled back.
   */
  private async publish(
    key: ObjectPath,
    applied: Applied,
    change: { readonly record: UndoRecord; readonly heals: boolean },
  ): Promise<DriveOutcome<Published>> {
    const { record, heals } = change;
    const tmp = this.files.newTmpPath();
    const written = await this.writeNew(tmp, applied.meta, heals ? null : record);
    if (!written.ok) return written;
    const ticket = written.value;
    const source = record.newDirs.map((dir) => ({ ...dir, replaces: heals }));
    const failed = await this.move(key, tmp, applied.meta !== null, source);
    if (failed === null) return good({ ticket, failed });
    const now = await this.files.readMeta(key);
    if (!now.ok || fingerprint(now.value) === record.wrote) {
      // It shows, and may not last: in doubt like what was accepted, but not to be counted. "Io" says that it is unknown.
      const unknown = new DriveError("Io", failed.message, failed.detail);
      return good({ ticket, failed: unknown });
    }
    const back = await this.takeBackData(key, record.newDirs);
    ticket.release();
    await this.files.disk.run([step.unlink(tmp, Ignore.any)], true); // what is left is swept at the next start
    return back.ok ? bad(failed) : back;
  }

  /** (a) and (b): the new file, or nothing for a removal, and the undo record, durable. */
  private async writeNew(
    tmp: string,
    meta: Uint8Array | null,
    record: UndoRecord | null = null,
  ): Promise<DriveOutcome<UndoTicket>> {
    const [file, ticket] = await Promise.all([
      meta === null ? null : this.files.disk.run([step.writeFile(tmp, meta, { exclusive: true })], true),
      record === null ? NO_TICKET : this.undo.append(record),
    ]);
    const failed = typeof ticket === "number" ? ticket : (file?.error ?? 0);
    const error = failed !== 0 ? failed : await this.groupSync.sync();
    if (typeof ticket !== "number" && error === 0) return good(ticket);
    if (typeof ticket !== "number") ticket.release();
    await this.files.disk.run([step.unlink(tmp, Ignore.any)], true);
    return bad(this.files.error("write new xl.meta", error));
  }

  /** (c) and (d): the rename that makes it visible, durable. */
  private async move(
    key: ObjectPath,
    tmp: string,
    keeps: boolean,
    source: readonly (NewDirectory & { readonly replaces: boolean })[] = [],
  ): Promise<DriveError | null> {
    const directory = this.files.objectDirectory(key);
    const base = this.files.bucketDirectory(key.bucket);
    let left = source;
    for (let attempt = 1; ; attempt++) {
      const steps = keeps
        ? [
            step.mkdirPath(directory, base),
            // A heal replaces a damaged directory of the same name.
            ...left
              .filter(({ replaces }) => replaces && attempt === 1)
              .map(({ name }) => step.rename(`${directory}/${name}`, this.files.trash(), Ignore.enoent)),
            ...left.map(({ name, from }) => step.rename(from, `${directory}/${name}`)),
            step.rename(tmp, `${directory}/xl.meta`),
          ]
        : [step.unlink(`${directory}/xl.meta`, Ignore.enoent), step.rmdirUp(directory, base)];
      const { error } = await this.files.disk.run(steps, true);
      if (error === 0) break;
      // Another key's removal may take an empty parent away between mkdir and rename: make it again.
      if (error !== Errno.ENOENT || attempt === MOVE_ATTEMPTS)
        return this.files.error(`commit ${key.bucket}/${key.path}`, error);
      left = await this.notYetMoved(directory, left);
    }
    const synced = await this.groupSync.sync();
    return synced === 0 ? null : this.files.error("sync", synced);
  }

  private async notYetMoved<T extends NewDirectory>(directory: string, dirs: readonly T[]): Promise<readonly T[]> {
    const there = await Promise.all(dirs.map(({ name }) => this.files.disk.run([step.stat(`${directory}/${name}`)])));
    return dirs.filter((_, i) => there[i]?.error !== 0);
  }

  private tell(key: ObjectPath, meta: XlMeta | null | "unreadable", stamp: Stamp): void {
    this.sink?.changed(this.sink.after + 1, key, meta, stamp);
  }

  private state(name: string, meta: Uint8Array | null): KeyState {
    const doubt = this.inDoubt.get(name);
    const memory = this.memory.get(name);
    const stamp = doubt?.stamp ?? max(memory?.stamp ?? 0n, stampOf(meta));
    return { meta, stamp, prev: doubt?.prev ?? null, promised: max(memory?.promised ?? 0n, this.floor) };
  }

  private remember(name: string, atLeast: Stamp): Memory {
    const known = this.memory.get(name);
    if (known !== undefined) {
      this.memory.delete(name);
      this.memory.set(name, known);
      return known;
    }
    const fresh: Memory = { stamp: 0n, promised: this.floor, fenced: 0n, last: 0n, accepted: [], changes: 0 };
    this.memory.set(name, fresh);
    assert(atLeast >= 0n, "a stamp is not negative");
    if (this.memory.size > REMEMBERED_MAX) this.forgetOldest();
    return fresh;
  }

  private forgetOldest(): void {
    for (const [name, memory] of this.memory) {
      if (this.inDoubt.has(name) || memory.changes % 2 === 1) continue;
      this.floor = max(this.floor, max(memory.promised, memory.last));
      this.memory.delete(name);
      return;
    }
  }

  private drop(name: string, doubt: Doubt): void {
    this.inDoubt.delete(name);
    doubt.ticket?.release();
  }
}

function nameOf(key: ObjectPath): string {
  return `${key.bucket}/${key.path}`;
}

function parsed(meta: Uint8Array | null): XlMeta | null | "unreadable" {
  if (meta === null) return null;
  try {
    return XlMeta.decode(meta);
  } catch (error) {
    if (error instanceof FormatError) return "unreadable";
    throw error;
  }
}

function max(a: Stamp, b: Stamp): Stamp {
  return a > b ? a : b;
}
