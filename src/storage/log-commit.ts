/**
 * LogCommit: the commit protocol of engine.md §1-3 on one local drive, over the commit log. A commit is one record; when it
 * is durable the overlay shows it, its data directories are renamed into place (replay repeats that), and the drive answers.
 * Owns the rules; what is remembered is KeyMemory's, what is readable Overlay's, what is durable CommitLog's.
 */
import { bad, good } from "../core/fan-out.ts";
import { KeyLock } from "../core/key-lock.ts";
import { Errno, step } from "../sys/disk.ts";
import { type Applied, applyChange, isReadable, parseMeta, stampOf } from "./apply-change.ts";
import type { BucketGate } from "./bucket-gate.ts";
import type { CommitLog, Recorded } from "./commit-log.ts";
import { tidyAfterRestore, tidyAfterSettle } from "./commit-tidy.ts";
import {
  type Change,
  type CommitAnswer,
  type CommitTerms,
  type CommitWaiter,
  DriveError,
  type DriveOutcome,
  type FenceAnswer,
  type KeyState,
  nameOf,
  type ObjectPath,
  type Stamp,
} from "./drive.ts";
import type { DriveFiles } from "./drive-files.ts";
import type { GroupSync } from "./group-sync.ts";
import { later } from "./key-memory.ts";
import type { LogHealth } from "./log-health.ts";
import type { CommitRecord, NewDirectory, StoredImage, StoredPrev } from "./log-record.ts";
import type { Doubt, Entry } from "./overlay.ts";
import { type CommitFacts, type CommitParts, PendingCommit } from "./pending-commit.ts";
import { RecentReads } from "./recent-reads.ts";

export interface LogCommitParts extends CommitParts {
  readonly files: DriveFiles;
  readonly log: CommitLog;
  readonly health: LogHealth;
  /** Why images cannot be brought into the tree now; null = they can. */
  readonly treeFull: () => DriveError | null;
  readonly gate: BucketGate;
  /** Makes staged files and their names durable before a record names them. */
  readonly groupSync: GroupSync;
  /** Called when a commit was accepted or settled. */
  readonly onCommit: () => void;
}
interface StoredImages {
  readonly image: StoredImage | null;
  readonly prev: StoredPrev | null;
}
const ACCEPTED = good({ accepted: true } as const);
const NO_DIRECTORIES: readonly NewDirectory[] = [];
type Refuse = (reason: "stale" | "doubt" | "prior" | "missing") => Promise<DriveOutcome<CommitAnswer>>;

export class LogCommit {
  private readonly locks = new KeyLock();
  private readonly done = Promise.resolve(good(undefined));
  private readonly recent = new RecentReads();
  /** Settled by a successor's commit; their own settle, which tidies up, is still to come. */
  private readonly cleanups = new Map<string, Pick<Doubt, "newDirs" | "oldDirs">>();

  constructor(private readonly parts: LogCommitParts) {}

  doubts(): readonly ObjectPath[] {
    return [...this.parts.overlay.doubts()].map((entry) => entry.key);
  }

  read(key: ObjectPath): Promise<DriveOutcome<KeyState>> {
    const state = this.readNow(key);
    return state === null ? this.readSlowly(key) : Promise.resolve(good(state));
  }

  /** Drive.readNow. */
  readNow(key: ObjectPath): KeyState | null {
    const name = nameOf(key);
    const state = this.stateNow(key, name);
    const entry = state === null ? undefined : this.parts.overlay.get(name);
    if (state !== null && entry !== undefined && entry.doubt === null) this.recent.keep(entry, state.meta);
    return state;
  }

  /** Drive.copyNow. */
  copyNow(key: ObjectPath, into: Uint8Array): number {
    const { overlay, images, files } = this.parts;
    const entry = overlay.get(nameOf(key));
    if (entry === undefined) return files.copyMetaNow(key, into);
    if (entry.image === null || entry.doubt !== null || entry.arriving !== null) return -1;
    return images.copyNow(entry.image, into);
  }

  /** The state if it is in memory, the kernel's too; null = it has to be waited for. */
  private stateNow(key: ObjectPath, name: string): KeyState | null {
    const { overlay, images, files, memory } = this.parts;
    const entry = overlay.get(name);
    const meta =
      entry === undefined ? files.readMetaNow(key) : entry.arriving === null ? images.readNow(entry.image) : undefined;
    if (meta === undefined) return null;
    const promised = memory.promised(name);
    if (entry === undefined) {
      const stamp = later(memory.get(name)?.stamp ?? 0n, stampOf(meta));
      return { meta, stamp, prev: null, promised };
    }
    if (entry.doubt === null) return { meta, stamp: entry.stamp, prev: null, promised };
    const { image, stamp } = entry.doubt.prev;
    const before = images.readNow(image);
    return before === undefined ? null : { meta, stamp: entry.stamp, prev: { meta: before, stamp }, promised };
  }

  /** The same for who read it a moment ago. */
  private readAgain(key: ObjectPath, name: string): KeyState | null {
    const { overlay, memory } = this.parts;
    const entry = overlay.get(name);
    const meta = entry === undefined || entry.doubt !== null ? undefined : this.recent.take(entry);
    if (entry === undefined || meta === undefined) return this.stateNow(key, name);
    return { meta, stamp: entry.stamp, prev: null, promised: memory.promised(name) };
  }

  /** `withoutData`: also while the data of a commit are not in their place. */
  private async readSlowly(key: ObjectPath, withoutData = false): Promise<DriveOutcome<KeyState>> {
    const { overlay, images, files, memory } = this.parts;
    const name = nameOf(key);
    for (;;) {
      const entry = overlay.get(name);
      if (entry !== undefined) {
        const missing = withoutData || entry.arriving === null ? null : await this.arrived(entry);
        if (missing !== null) return bad(missing);
        const meta = await images.read(entry.image);
        if (!meta.ok) return meta;
        const { doubt } = entry;
        const prev = doubt === null ? null : await images.read(doubt.prev.image);
        if (prev !== null && !prev.ok) return prev;
        const now = overlay.get(name);
        if (now !== entry && now?.placed !== entry.placed) continue; // its place may have been written over
        return good({
          meta: meta.value,
          stamp: entry.stamp,
          prev: prev === null || doubt === null ? null : { meta: prev.value, stamp: doubt.prev.stamp },
          promised: memory.promised(name),
        });
      }
      const { drops } = overlay;
      const meta = await files.waitForMeta(key);
      if (overlay.get(name) !== undefined || overlay.drops !== drops) continue; // it was applied meanwhile, perhaps halfway
      if (!meta.ok) return meta;
      const stamp = later(memory.get(name)?.stamp ?? 0n, stampOf(meta.value));
      return good({ meta: meta.value, stamp, prev: null, promised: memory.promised(name) });
    }
  }

  /** Drive.commitNow. */
  commitNow(key: ObjectPath, change: Change, terms: CommitTerms, waiter: CommitWaiter): boolean {
    const { log, changes, gate, files } = this.parts;
    if (!log.isOpen || !gate.isKnown(key.bucket) || (changes?.room() ?? null) !== null) return false;
    if (files.sourceDirectories(change).length > 0 || !gate.enter(key.bucket)) return false;
    const lock = this.locks.take(nameOf(key));
    let isPosted = false;
    try {
      const pending = lock === null ? null : this.acceptedNow(key, change, terms, { lock, waiter });
      if (pending !== null) {
        log.post(pending.record, pending);
        isPosted = true;
      }
    } finally {
      if (!isPosted) {
        lock?.[Symbol.dispose]();
        gate.leave(key.bucket);
      }
    }
    return isPosted;
  }

  /** Under the key's lock; null = something is to be waited for or said. */
  private acceptedNow(
    key: ObjectPath,
    change: Change,
    terms: CommitTerms,
    held: { readonly lock: Disposable; readonly waiter: CommitWaiter },
  ): QuickCommit | null {
    const { memory } = this.parts;
    const name = nameOf(key);
    if (memory.hasAccepted(name, terms.stamp)) return null;
    this.settleKnown(name, terms);
    const state = this.readAgain(key, name);
    if (state === null || objectionTo(state, terms) !== null) return null;
    const applied = applyChange(state.meta, change);
    if (applied === null || applied.isAnew || (applied.parsed !== null && this.parts.treeFull() !== null)) return null;
    const stored = this.imagesNow(key, applied, state);
    if (stored === null) return null;
    const record = commitRecord(key, change, { state, stamp: terms.stamp, stored, applied, newDirs: NO_DIRECTORIES });
    return new QuickCommit(this.parts, { record, applied, wasAbsent: state.meta === null, arriving: null }, held);
  }

  /** Drive.commit: for what `commitNow` did not take. */
  async commit(key: ObjectPath, change: Change, terms: CommitTerms): Promise<DriveOutcome<CommitAnswer>> {
    const { gate, log, changes, health, files } = this.parts;
    if (!gate.enter(key.bucket)) return bad(noBucket(files, key.bucket));
    try {
      const refusal = log.failure === null ? null : await health.refusal();
      if (refusal !== null) return bad(refusal);
      const room = changes?.room() ?? null;
      if (room !== null) await room;
      const name = nameOf(key);
      using _ = this.locks.take(name) ?? (await this.locks.acquire(name));
      return await this.commitLocked(key, change, terms);
    } finally {
      gate.leave(key.bucket);
    }
  }

  private async commitLocked(key: ObjectPath, change: Change, terms: CommitTerms): Promise<DriveOutcome<CommitAnswer>> {
    const { memory } = this.parts;
    const name = nameOf(key);
    if (memory.hasAccepted(name, terms.stamp)) return ACCEPTED;
    this.settleKnown(name, terms);
    const current = await this.readSlowly(key);
    return current.ok ? await this.decide(key, change, terms, current.value) : current;
  }

  /** What the terms say is committed is in doubt no more. */
  private settleKnown(name: string, { settles }: CommitTerms): void {
    const doubtful = this.parts.overlay.get(name);
    if (doubtful?.arriving !== null || doubtful.doubt === null || !settles.includes(doubtful.stamp)) return;
    this.cleanups.set(`${name} ${doubtful.stamp}`, doubtful.doubt);
    this.markSettled(doubtful, doubtful.doubt);
  }

  private decide(
    key: ObjectPath,
    change: Change,
    terms: CommitTerms,
    state: KeyState,
  ): Promise<DriveOutcome<CommitAnswer>> {
    const { stamp } = terms;
    const refuse: Refuse = (reason) => this.refuse(key, stamp, state, reason);
    const objection = objectionTo(state, terms);
    if (objection !== null) return refuse(objection);
    return this.accept(key, change, { state, stamp, overDamage: terms.overDamage === true, refuse });
  }

  /** A refusal is for ever. */
  private async refuse(
    key: ObjectPath,
    stamp: Stamp,
    state: KeyState,
    reason: Parameters<Refuse>[0],
  ): Promise<DriveOutcome<CommitAnswer>> {
    const { log, memory } = this.parts;
    const answer = good({ accepted: false, reason, stamp: later(state.promised, state.stamp) } as const);
    if (stamp <= state.promised) return answer;
    memory.promise(nameOf(key), stamp);
    const failed = await log.appendUrgent({ type: "promise", key, stamp });
    return failed === null ? answer : bad(failed);
  }

  settle(key: ObjectPath, stamp: Stamp): Promise<DriveOutcome<void>> {
    const name = nameOf(key);
    const entry = this.parts.overlay.get(name);
    const doubt = entry?.stamp === stamp ? entry.doubt : null;
    const isQuick = doubt !== null && doubt.newDirs.length === 0 && doubt.oldDirs.length === 0;
    const isFree = isQuick && this.parts.log.failure === null && !this.locks.isHeld(name);
    if (entry === undefined || doubt === null || !isFree) return this.settleSlowly(key, stamp);
    this.markSettled(entry, doubt);
    return this.done;
  }

  private async settleSlowly(key: ObjectPath, stamp: Stamp): Promise<DriveOutcome<void>> {
    const { log, overlay, files, health } = this.parts;
    const refusal = log.failure === null ? null : await health.refusal();
    if (refusal !== null) return bad(refusal);
    const name = nameOf(key);
    using _ = this.locks.take(name) ?? (await this.locks.acquire(name));
    const entry = overlay.get(name);
    const late = `${name} ${stamp}`;
    let tidy: Pick<Doubt, "newDirs" | "oldDirs"> | undefined = this.cleanups.get(late);
    if (entry !== undefined && entry.doubt !== null && entry.stamp === stamp) {
      // Without its data this drive is no holder, whatever the others have.
      const missing = entry.arriving === null ? null : await this.bringAgain(entry);
      if (missing !== null) return bad(missing);
      tidy = entry.doubt;
      this.markSettled(entry, entry.doubt);
    } else this.cleanups.delete(late);
    return tidy === undefined ? good(undefined) : await tidyAfterSettle(files, key, tidy);
  }

  private markSettled(entry: Entry, doubt: Doubt): void {
    this.parts.overlay.settle(entry);
    this.parts.log.settle(doubt.sequence);
    this.parts.onCommit();
  }

  async fence(key: ObjectPath, stamp: Stamp): Promise<DriveOutcome<FenceAnswer>> {
    const { log, memory, health } = this.parts;
    const refusal = log.failure === null ? null : await health.refusal();
    if (refusal !== null) return bad(refusal);
    const name = nameOf(key);
    using _ = await this.locks.acquire(name);
    const known = memory.of(name);
    const promised = stamp > known.fenced && stamp > known.last;
    if (promised) {
      memory.fence(name, stamp);
      const failed = await log.appendUrgent({ type: "fence", key, stamp });
      if (failed !== null) return bad(failed);
    }
    const current = await this.read(key);
    return current.ok ? good({ promised, state: current.value }) : current;
  }

  async restore(key: ObjectPath, stamp: Stamp, expect: Stamp): Promise<DriveOutcome<boolean>> {
    const { log, gate, health } = this.parts;
    const refusal = log.failure === null ? null : await health.refusal();
    if (refusal !== null) return bad(refusal);
    if (!gate.enter(key.bucket)) return bad(noBucket(this.parts.files, key.bucket));
    try {
      return await this.restoreInside(key, stamp, expect);
    } finally {
      gate.leave(key.bucket);
    }
  }

  private async restoreInside(key: ObjectPath, stamp: Stamp, expect: Stamp): Promise<DriveOutcome<boolean>> {
    const { log, memory, overlay, files, changes } = this.parts;
    const name = nameOf(key);
    using _ = await this.locks.acquire(name);
    const current = await this.readSlowly(key, true);
    if (!current.ok) return current;
    const entry = overlay.get(name);
    const doubt = entry?.doubt ?? null;
    const isThere = current.value.stamp === expect;
    if (!isThere || entry === undefined || doubt === null || stamp < memory.of(name).fenced) return good(!isThere);
    const meta = current.value.prev?.meta ?? null;
    const failed = await log.appendUrgent({ type: "restore", key, stamp, expect }, ({ sequence }) => {
      const { image, stamp: before } = doubt.prev;
      const now = overlay.get(name) ?? entry; // what was before may have reached the tree meanwhile
      overlay.set({ ...now, stamp: before, image, doubt: null, arriving: null }, false);
      memory.restore(name, expect, before);
      changes?.changed(sequence, key, parseMeta(meta), before);
    });
    if (failed !== null) return bad(failed);
    const undone = await tidyAfterRestore(files, key, doubt);
    return undone.ok ? good(true) : undone;
  }

  async help(key: ObjectPath, fence: Stamp, stamp: Stamp, change: Change): Promise<DriveOutcome<boolean>> {
    const { log, memory, gate, health } = this.parts;
    const refusal = log.failure === null ? null : await health.refusal();
    if (refusal !== null) return bad(refusal);
    if (!gate.enter(key.bucket)) return bad(noBucket(this.parts.files, key.bucket));
    try {
      const name = nameOf(key);
      using _ = await this.locks.acquire(name);
      const current = await this.read(key);
      if (!current.ok) return current;
      const state = current.value;
      if (state.stamp === stamp) return good(true);
      const { fenced, last } = memory.of(name);
      if (fenced !== fence || state.stamp > stamp || last > fence || state.prev !== null) return good(false);
      const refuse: Refuse = () => Promise.resolve(good({ accepted: false, reason: "missing", stamp: state.stamp }));
      const answer = await this.accept(key, change, { state, stamp, overDamage: true, refuse });
      return answer.ok ? good(answer.value.accepted) : answer;
    } finally {
      gate.leave(key.bucket);
    }
  }

  /** The key is gone, outside the protocol; its directory is the caller's to remove. */
  async remove(key: ObjectPath): Promise<DriveError | null> {
    const { log, overlay } = this.parts;
    const name = nameOf(key);
    using _ = await this.locks.acquire(name);
    return await log.appendUrgent({ type: "remove", key }, (placed) => {
      const stamp = overlay.get(name)?.stamp ?? 0n;
      overlay.set({ name, key, stamp, image: null, placed, doubt: null, isNew: false, arriving: null }, true);
    });
  }

  /** Writes the record of a doubtful operation again, so that the segment of the old one can go. */
  async relocate(name: string): Promise<DriveError | null> {
    const { log, overlay, images } = this.parts;
    using lock = this.locks.take(name);
    if (lock === null) return null; // who has the key decides its doubt, or waits for the space that this is to bring
    const entry = overlay.get(name);
    if (entry === undefined || entry.doubt === null) return null;
    const { doubt } = entry;
    const image = await this.storedAgain(entry.image);
    const prev = await this.storedAgain(doubt.prev.image);
    if (!image.ok) return image.error;
    if (!prev.ok) return prev.error;
    const record = {
      type: "commit" as const,
      key: entry.key,
      stamp: entry.stamp,
      image: image.value,
      prev: prev.value,
      prevStamp: doubt.prev.stamp,
      heals: false,
      newDirs: doubt.newDirs,
      oldDirs: doubt.oldDirs,
    };
    return await log.appendUrgent(record, (placed, at) => {
      const now = overlay.get(name) as Entry;
      const moved = {
        image: images.of(record.image, placed, at.image),
        prev: images.of(record.prev, placed, at.prev),
      };
      const again = { ...doubt, sequence: placed.sequence, prev: { image: moved.prev, stamp: doubt.prev.stamp } };
      overlay.set({ ...now, image: moved.image, placed, doubt: again }, true);
    });
  }

  private async storedAgain(image: Entry["image"]): Promise<DriveOutcome<StoredImage | null>> {
    const bytes = await this.parts.images.read(image);
    return bytes.ok ? await this.parts.images.store(bytes.value, image) : bytes;
  }

  private async accept(
    key: ObjectPath,
    change: Change,
    at: { readonly state: KeyState; readonly stamp: Stamp; readonly overDamage: boolean; readonly refuse: Refuse },
  ): Promise<DriveOutcome<CommitAnswer>> {
    const { files, gate, log, onCommit } = this.parts;
    const { state, stamp } = at;
    const applied = applyChange(state.meta, change);
    if (applied === null || (applied.isAnew && !at.overDamage)) {
      // An xl.meta that cannot be read does not say that the version is not here, nor what a put would take with it.
      if (applied === null && isReadable(state.meta)) return await at.refuse("missing");
      return bad(files.error(`read ${nameOf(key)}/xl.meta`, Errno.EBADMSG));
    }
    const full = applied.parsed === null ? null : this.parts.treeFull();
    if (full !== null) return bad(full);
    const newDirs = files.sourceDirectories(change);
    const ready = newDirs.length === 0 && gate.isKnown(key.bucket) ? null : await this.prepare(key, newDirs);
    if (ready !== null) return bad(ready);
    const now = this.imagesNow(key, applied, state);
    const found = now === null ? await this.imagesOf(key, applied, state) : good(now);
    if (!found.ok) return found;
    const stored = found.value;
    const record = commitRecord(key, change, { state, stamp, stored, applied, newDirs });
    const moved = newDirs.length > 0 ? Promise.withResolvers<DriveError | null>() : null;
    const facts = { record, applied, wasAbsent: state.meta === null, arriving: moved?.promise ?? null };
    const pending = new PendingCommit(this.parts, facts);
    const failed = await log.append(record, (placed, offsets) => pending.absorb(placed, offsets));
    if (failed !== null) return bad(failed);
    onCommit();
    if (moved === null) return ACCEPTED;
    const error = await files.bringDirectories(key, newDirs, change.kind === "replace");
    // The record is durable: what the drive answers must not say that nothing was changed.
    const failure = error === 0 ? null : unfinished(files, key, error);
    moved.resolve(failure);
    if (failure !== null) return bad(failure);
    const entry = this.parts.overlay.get(nameOf(key));
    if (entry?.stamp === stamp) this.parts.overlay.set({ ...entry, arriving: null }, false);
    return good({ accepted: true });
  }

  /** Waits until the entry's data are in their place. Why they are not there; null = they are. */
  private async arrived(entry: Entry): Promise<DriveError | null> {
    const failure = await entry.arriving;
    if (failure === null) return null;
    using lock = this.locks.take(entry.name);
    return lock === null ? failure : await this.bringAgain(entry); // who holds the key moves them, or takes them back
  }

  /** Under the key's lock: what still lies where it was staged is brought; the rest has to be there. */
  private async bringAgain(entry: Entry): Promise<DriveError | null> {
    const { key, doubt } = entry;
    if (doubt === null || this.parts.overlay.get(entry.name) !== entry) return null; // it is over
    const { files } = this.parts;
    const left: NewDirectory[] = [];
    for (const dir of doubt.newDirs) {
      const staged = await files.disk.run([step.stat(`${files.root}/${dir.from}`)], true);
      const place = step.stat(`${files.objectDirectory(key)}/${dir.name}`);
      const error = staged.error === Errno.ENOENT ? (await files.disk.run([place], true)).error : staged.error;
      if (error !== 0) return unfinished(files, key, error);
      if (staged.error === 0) left.push(dir);
    }
    const error = left.length === 0 ? 0 : await files.bringDirectories(key, left, doubt.replaces);
    if (error !== 0) return unfinished(files, key, error);
    entry.arriving = null;
    return null;
  }

  /** The bucket is there, and what was staged is, durably. */
  private async prepare(key: ObjectPath, newDirs: readonly NewDirectory[]): Promise<DriveError | null> {
    const { gate, files, groupSync } = this.parts;
    if (!gate.isKnown(key.bucket)) {
      const { error } = await files.disk.run([step.stat(files.bucketDirectory(key.bucket))], true);
      if (error === Errno.ENOENT) return noBucket(files, key.bucket);
      if (error !== 0) return files.error(`look at bucket ${key.bucket}`, error);
      gate.learn(key.bucket);
    }
    if (newDirs.length === 0) return null;
    const { error } = await files.disk.run(
      newDirs.map(({ from }) => step.stat(`${files.root}/${from}`)),
      true,
    );
    if (error !== 0) return files.error(`staged data of ${key.bucket}/${key.path}`, error);
    const synced = await groupSync.sync();
    return synced === 0 ? null : files.error("sync", synced);
  }

  /** What the record says of xl.meta after and before; null: one of them is too large for it. */
  private imagesNow(key: ObjectPath, applied: Applied, state: KeyState): StoredImages | null {
    const { images, overlay } = this.parts;
    const image = images.storeNow(applied.lone ?? applied.meta);
    const before = overlay.get(nameOf(key));
    const isLogged = before?.stamp === state.stamp && before.image?.kind === "segment";
    const prev = isLogged ? { kind: "before" as const } : images.storeNow(state.meta);
    return image === undefined || prev === undefined ? null : { image, prev };
  }

  private async imagesOf(key: ObjectPath, applied: Applied, state: KeyState): Promise<DriveOutcome<StoredImages>> {
    const { images, overlay } = this.parts;
    const image = await images.store(applied.meta, null);
    if (!image.ok) return image;
    const prev = await images.store(state.meta, overlay.get(nameOf(key))?.image ?? null);
    return prev.ok ? good({ image: image.value, prev: prev.value }) : prev;
  }
}

/** One that is waited for only until its record is durable. Holds the key and the bucket's gate until then. */
class QuickCommit extends PendingCommit implements Recorded {
  constructor(
    private readonly all: LogCommitParts,
    facts: CommitFacts,
    private readonly held: { readonly lock: Disposable; readonly waiter: CommitWaiter },
  ) {
    super(all, facts);
  }

  over(failure: DriveError | null): void {
    const { lock, waiter } = this.held;
    lock[Symbol.dispose]();
    this.all.gate.leave(this.record.key.bucket);
    if (failure === null) this.all.onCommit();
    waiter.answered(failure === null ? ACCEPTED : bad(failure));
  }
}

/** Why a drive that holds `state` refuses; null = it does not. */
function objectionTo(state: KeyState, { stamp, prior }: CommitTerms): "doubt" | "stale" | "prior" | null {
  if (state.prev !== null) return "doubt";
  if (stamp <= later(state.promised, state.stamp)) return "stale";
  return prior !== null && prior !== state.stamp ? "prior" : null;
}

function commitRecord(
  key: ObjectPath,
  change: Change,
  at: {
    readonly state: KeyState;
    readonly stamp: Stamp;
    readonly stored: StoredImages;
    readonly applied: Applied;
    readonly newDirs: readonly NewDirectory[];
  },
): CommitRecord {
  return {
    type: "commit",
    key,
    stamp: at.stamp,
    image: at.stored.image,
    prev: at.stored.prev,
    prevStamp: at.state.stamp,
    // What a heal brings is right whether it is settled or not; at a restart a record of one drive alone would be taken
    // for a write that never got its quorum, and rolled back.
    heals: change.kind === "replace",
    newDirs: at.newDirs,
    oldDirs: at.applied.freedDirs,
  };
}

function unfinished(files: DriveFiles, key: ObjectPath, errno: number): DriveError {
  const { endpoint } = files;
  const what = `${endpoint}: the data of ${key.bucket}/${key.path} cannot be brought to their place: errno ${errno}`;
  return new DriveError("Io", what, { endpoint, errno });
}

function noBucket(files: DriveFiles, bucket: string): DriveError {
  return new DriveError("NotFound", `${files.endpoint}: there is no bucket ${bucket}`);
}
