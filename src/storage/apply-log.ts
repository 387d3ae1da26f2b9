/**
 * ApplyLog: brings what the commit log holds into MinIO's layout, late: directory by directory, newest only, many keys a task
 * of the native pool, without a sync of their own. When all up to a sequence is in the tree: one sync of the file system,
 * a note of the sequence, and the segments below are free. Works when what is in the log is old enough and the drive is idle,
 * when the log fills up, and at `drain`. One pass at a time.
 */
import type { Clock } from "../sys/clock.ts";
import { type DiskResult, Errno, Ignore, Op, type Step, step } from "../sys/disk.ts";
import { KeyLock } from "../core/key-lock.ts";
import type { CheckpointNote, NoteFile } from "./checkpoint-note.ts";
import type { CommitSink } from "./commit-sink.ts";
import type { CommitLog } from "./commit-log.ts";
import { DriveError } from "./drive.ts";
import type { DriveFiles } from "./drive-files.ts";
import type { GroupSync } from "./group-sync.ts";
import type { KeyMemory } from "./key-memory.ts";
import type { LogHealth } from "./log-health.ts";
import type { LogImages } from "./log-images.ts";
import type { Entry, Image, Overlay } from "./overlay.ts";
import { SYSTEM_BUCKET } from "./paths.ts";

/** Without a commit for so long a drive is idle. */
export const IDLE_MS = 200;
/** Fraction of the log: above it room is made without waiting for age or idleness. */
const HURRY_FROM = 0.5;
/** Up to there it is made in the time that clients leave: after each task it rests, at first so many times as long as the task took. */
const UNHURRIED_TO = 0.65;
const REST_SHARE = 3;
/** So many tasks are synced at once: the log's own syncs wait behind it. */
const TASKS_PER_SYNC = 32;
const FULL_RETRY_MS = 5_000;
const KEYS_PER_TASK = 24;
/** Of the segments that it frees. */
const RELOCATED_MAX = 0.5;
/** Beside its images. */
const RECORD_BYTES = 256;
/** How long a checkpoint waits for who follows the changes. */
const KEEP_WAIT_MS = 10_000;
/** A bucket that is gone takes its keys with it. */
const HARMLESS: readonly number[] = [Errno.ENOENT, Errno.ENOTDIR];

export interface ApplyParts {
  readonly files: DriveFiles;
  readonly log: CommitLog;
  readonly overlay: Overlay;
  readonly memory: KeyMemory;
  readonly images: LogImages;
  readonly groupSync: GroupSync;
  readonly note: NoteFile;
  readonly session: string;
  readonly mark: number;
  readonly clock: Clock;
  readonly health: LogHealth;
  readonly changes: CommitSink | null;
  readonly warn: (message: string) => void;
  /** Copies a doubtful record to the front. */
  readonly relocate: (name: string) => Promise<DriveError | null>;
  /** Of the note that was read. */
  readonly checkpoint: number;
  /** What is younger stays in the log, unless space is needed: what is overwritten or deleted meanwhile never reaches the tree. */
  readonly afterMs: number;
}

export class ApplyLog {
  /** Everything up to here is durable in the tree. */
  checkpointSequence: number;
  /** Of the clock's elapsed time: when that was noted, for the metrics. */
  checkpointMs: number;
  /** Keys written to or removed from the tree, for the metrics. */
  applied = 0;
  /** The tree takes nothing more; what removes goes on. Null = it does. */
  full: DriveError | null = null;
  /** As far as the pass under way knows. */
  private fullNow: DriveError | null = null;
  private isAway = false;
  private readonly stays = new Set<Entry>();
  private removed = 0;
  private readonly turn = new KeyLock();
  private lastCommitMs = 0;
  private stopTimer: (() => void) | null = null;
  /** Records up to here are old enough when the timer goes off. */
  private ripe = 0;
  private hurrying: Promise<void> | null = null;
  /** Who waits for the pass under way: then it does not rest. */
  private awaited = 0;
  private isClosed = false;

  constructor(private readonly parts: ApplyParts) {
    this.checkpointSequence = parts.checkpoint;
    this.checkpointMs = parts.clock.elapsedMs();
  }

  /** A commit was accepted or settled. */
  touched(): void {
    this.lastCommitMs = this.parts.clock.elapsedMs();
    if (this.hurrying !== null) return; // its end looks at what is left
    this.ripen();
    if (this.parts.log.usedFraction > HURRY_FROM) this.hurry();
  }

  /**
   * Space is needed: what needs the oldest segment is applied, and so on, no more than that: of what stays, some will be replaced or
   * deleted. What is in the segment being written frees none. A burst of it would make clients wait several times as long as else.
   */
  hurry(): void {
    if (this.isClosed || this.hurrying !== null) return;
    const { log } = this.parts;
    const isNeeded = (): boolean => log.usedFraction > HURRY_FROM;
    const oldest = (): number => (log.firstClosedSequence > 0 ? log.firstClosedSequence : Infinity);
    this.hurrying = this.pass(isNeeded, oldest, true).then(() => this.rest());
  }

  /** What the log holds now is applied when it is old enough. */
  private ripen(): void {
    if (this.stopTimer !== null || this.isClosed) return;
    this.ripe = this.parts.log.durableSequence;
    this.wait(Math.max(IDLE_MS, this.parts.afterMs));
  }

  private wait(ms: number): void {
    this.stopTimer = this.parts.clock.after(ms, () => {
      this.stopTimer = null;
      if (this.isClosed) return;
      const idleMs = this.parts.clock.elapsedMs() - this.lastCommitMs;
      if (idleMs < IDLE_MS && this.full === null) this.wait(IDLE_MS - idleMs);
      else this.hurrying ??= this.idle();
    });
  }

  private async idle(): Promise<void> {
    const before = this.lastCommitMs;
    await this.pass(
      () => this.lastCommitMs === before,
      () => this.ripe,
    );
    if (this.lastCommitMs === before) this.rest();
    else {
      this.hurrying = null; // it was cut short, and goes on when the drive is idle again
      if (this.stopTimer === null && !this.isClosed) this.wait(IDLE_MS);
    }
  }

  /** A pass is over; what it left is younger, or in doubt: then its settling calls. */
  private rest(): void {
    this.hurrying = null;
    if (this.parts.overlay.settledSize > 0) this.ripen();
  }

  /** Applies everything that is settled and checkpoints. True: the log holds nothing any more. */
  async drain(): Promise<boolean> {
    this.awaited++; // whatever is under way rests no more
    if (this.hurrying !== null) await this.hurrying;
    this.awaited--;
    await this.pass(() => true);
    await this.parts.log.quiet();
    await this.pass(() => true); // what came meanwhile
    return this.parts.overlay.size === 0 && this.parts.log.failure === null;
  }

  /** Stops for good; what is in the log stays there. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.stopTimer?.();
    this.stopTimer = null;
    using _ = await this.ahead();
  }

  /** Applies these entries now, before others: those that hide what a listing would show. */
  async applyNow(entries: readonly Entry[]): Promise<DriveError | null> {
    if (entries.length === 0) return null;
    using _ = await this.ahead();
    for (let at = 0; at < entries.length; at += KEYS_PER_TASK) {
      const failed = await this.applySome(entries.slice(at, at + KEYS_PER_TASK));
      if (failed !== null) return failed;
    }
    return null;
  }

  /** The turn of who does not wait for the rests of a pass under way. */
  private async ahead(): Promise<Disposable> {
    this.awaited++;
    const turn = await this.turn.acquire("");
    this.awaited--;
    return turn;
  }

  /** Applies and checkpoints what is not behind `last`, again and again while `goesOn` says so and there is something left. */
  private async pass(goesOn: () => boolean, last: () => number = everything, isSteady = false): Promise<void> {
    using _ = await this.turn.acquire("");
    this.isAway = false;
    for (let more = true; more && this.parts.log.failure === null; ) {
      const before = this.checkpointSequence;
      const { removed } = this;
      this.parts.log.flush();
      const limit = Math.min(last(), this.parts.log.durableSequence);
      const failed = await this.applyUpTo(limit, goesOn, isSteady);
      const reached = failed === null ? await this.checkpointAndLetGo(limit) : this.checkpointSequence;
      if (failed !== null) this.fail(failed);
      if (this.isAway) break;
      const isAhead = reached > before || (this.full !== null && this.removed > removed);
      more = goesOn() && isAhead && this.parts.overlay.size > 0;
    }
    if (this.full !== null && this.stopTimer === null && !this.isClosed) this.wait(FULL_RETRY_MS);
  }

  /** The checkpoint, as far as it came by what is in the tree. */
  private async checkpointAndLetGo(limit: number): Promise<number> {
    const unnoted = await this.checkpoint();
    const reached = this.checkpointSequence;
    const failed = unnoted ?? (await this.letGo(limit));
    if (failed !== null && isAbsence(failed)) this.away(failed);
    else if (failed !== null) this.parts.health.end(untilStart(failed));
    return reached;
  }

  /** The drive's folder is not there: nothing was done, and what is in the log waits until it is. */
  private away(failure: DriveError): void {
    if (!this.isAway) this.parts.warn(`${failure.message}: is the drive mounted? Its commit log waits`);
    this.isAway = true;
  }

  /** A tree that cannot be written would let the log run full: take no more writes until it can. */
  private fail(failure: DriveError): void {
    const { health, log } = this.parts;
    if (isAbsence(failure)) {
      this.away(failure);
      return;
    }
    if (failure.code !== "ReadOnly") {
      health.end(untilStart(failure));
      return;
    }
    health.suspend(inWords(failure, "the drive takes no writes until its tree can be written"), async () => {
      using _ = await this.turn.acquire("");
      return (await this.applyUpTo(log.durableSequence, () => true)) === null;
    });
  }

  private async applyUpTo(limit: number, goesOn: () => boolean, isSteady = false): Promise<DriveError | null> {
    const { clock } = this.parts;
    this.fullNow = null;
    let tasks = 0;
    let some: Entry[] = [];
    for (const { name } of this.parts.overlay.all()) {
      const entry = this.parts.overlay.get(name); // as it is when its turn comes
      if (entry === undefined || entry.doubt !== null || entry.placed.sequence > limit) continue;
      if (this.fullNow !== null && entry.image !== null) continue; // what removes may make space
      some.push(entry);
      if (some.length < KEYS_PER_TASK) continue;
      const beganMs = clock.elapsedMs();
      const failed = await this.applySome(some);
      if (failed !== null || !goesOn()) return failed;
      if (isSteady) {
        await this.leaveTime(clock.elapsedMs() - beganMs);
        const unsynced = ++tasks % TASKS_PER_SYNC === 0 ? await this.sync() : null;
        if (unsynced !== null) return unsynced;
      }
      some = [];
    }
    const failed = some.length > 0 ? await this.applySome(some) : null;
    this.becomeFull(this.fullNow);
    return failed;
  }

  private async leaveTime(taskMs: number): Promise<void> {
    const { clock, log } = this.parts;
    if (this.awaited > 0) return;
    const restMs = (taskMs * REST_SHARE * (UNHURRIED_TO - log.usedFraction)) / (UNHURRIED_TO - HURRY_FROM);
    if (restMs >= 1) await clock.sleep(restMs);
  }

  /** After a sync that failed nobody knows what is on the drive. */
  private async sync(): Promise<DriveError | null> {
    const { groupSync, files, health } = this.parts;
    const synced = await groupSync.sync();
    if (synced === 0) return null;
    const failure = files.error("sync", synced);
    if (!isAbsence(failure)) health.end(untilStart(failure));
    return failure;
  }

  private becomeFull(full: DriveError | null): void {
    const { warn, files } = this.parts;
    if (full !== null && this.full === null) warn(full.message);
    if (full === null && this.full !== null) warn(`${files.endpoint}: there is space again`);
    this.full = full;
  }

  private async applySome(entries: readonly Entry[]): Promise<DriveError | null> {
    const { disk } = this.parts.files;
    // "Not there" is believed of a key only while the drive is there, before and after.
    const steps: Step[] = [this.presence()];
    const owners: (Entry | null)[] = [null];
    let source = -1;
    for (const entry of entries) {
      const { image } = entry;
      if (image === null) {
        for (const one of this.removal(entry)) steps.push(one);
      } else if (image.kind === "tree") {
        continue; // taken back to what is there
      } else if (image.kind === "file") {
        const failed = await this.applyFile(entry);
        if (failed !== null) return failed;
        continue;
      } else {
        const { descriptor } = image.segment;
        if (descriptor !== source) steps.push(step.use(descriptor));
        if (descriptor !== source) owners.push(null);
        source = descriptor;
        steps.push(this.placing(entry, { offset: image.offset, bytes: image.sizeBytes }));
      }
      while (owners.length < steps.length) owners.push(entry);
    }
    steps.push(this.presence());
    const failed = this.judgeSteps(await disk.run(steps), steps, owners);
    if (failed !== null) return failed;
    for (const entry of entries) if (!this.stays.delete(entry)) this.finished(entry);
    return null;
  }

  private judgeSteps(
    { results, error }: DiskResult,
    steps: readonly Step[],
    owners: readonly (Entry | null)[],
  ): DriveError | null {
    let failed: DriveError | null = null;
    for (const [at, { op }] of steps.entries()) {
      const errno = -(results[at] ?? 0);
      const owner = owners[at] ?? null;
      if (errno <= 0 || owner === null || (op !== Op.place && op !== Op.unlink)) continue;
      failed ??= this.judge(owner, errno);
    }
    if (failed === null && error !== 0) failed = this.parts.files.error("bring the commit log to its place", error);
    return failed;
  }

  /** A key that finds no space stays in the log, the others go on. */
  private judge(entry: Entry, errno: number): DriveError | null {
    if (errno === 0 || HARMLESS.includes(errno)) return null;
    const { overlay } = this.parts;
    const now = overlay.get(entry.name);
    if (now?.isNew === true) overlay.set({ ...now, isNew: false }, false); // a part of it may lie there
    const failure = this.error(entry, errno);
    if (failure.code !== "NoSpace") return failure;
    this.stays.add(entry);
    this.fullNow ??= inWords(failure, "the drive takes deletes only until there is space");
    return null;
  }

  private error({ key }: Entry, errno: number): DriveError {
    return this.parts.files.error(`bring ${key.bucket}/${key.path} from the commit log to its place`, errno);
  }

  private removal(entry: Entry): Step[] {
    if (entry.isNew) return [];
    const { files } = this.parts;
    const directory = files.objectDirectory(entry.key);
    return [
      step.unlink(`${directory}/xl.meta`, Ignore.any),
      step.rmdirUp(directory, files.bucketDirectory(entry.key.bucket)),
    ];
  }

  private placing(entry: Entry, from: { readonly offset: number; readonly bytes: number }): Step {
    const { files } = this.parts;
    const base = files.bucketDirectory(entry.key.bucket);
    const tmp = entry.isNew ? null : files.newTmpPath();
    return step.place(`${files.objectDirectory(entry.key)}/xl.meta`, from, { base, tmp });
  }

  private presence(): Step {
    return step.stat(this.parts.files.bucketDirectory(SYSTEM_BUCKET));
  }

  private async applyFile(entry: Entry): Promise<DriveError | null> {
    const { files, images } = this.parts;
    const meta = await images.read(entry.image);
    if (!meta.ok) return this.judge(entry, Errno.EIO);
    const directory = files.objectDirectory(entry.key);
    const tmp = files.newTmpPath();
    const steps = [
      this.presence(),
      step.mkdirPath(directory, files.bucketDirectory(entry.key.bucket)),
      step.writeFile(tmp, meta.value as Uint8Array, { exclusive: true }),
      step.rename(tmp, `${directory}/xl.meta`),
      this.presence(),
    ];
    const { error, failedStep } = await files.disk.run(steps);
    const isPresence = failedStep === 0 || failedStep === steps.length - 1;
    return error !== 0 && isPresence ? this.error(entry, error) : this.judge(entry, error);
  }

  private finished(entry: Entry): void {
    const { overlay } = this.parts;
    this.applied++;
    if (entry.image === null) this.removed++;
    const now = overlay.get(entry.name);
    if (now === undefined) return;
    if (now.doubt === null && now.placed === entry.placed && now.image === entry.image) overlay.drop(now);
    else if (now.isNew) overlay.set({ ...now, isNew: false }, false);
  }

  private async checkpoint(): Promise<DriveError | null> {
    const { overlay, log, note, memory, images, files, session, mark } = this.parts;
    const oldest = overlay.oldest();
    const sequence = oldest === undefined ? log.durableSequence : oldest.placed.sequence - 1;
    if (sequence <= this.checkpointSequence) return null;
    const place =
      oldest === undefined ? log.nextPlace : { segment: oldest.placed.segment.index, offset: oldest.placed.offset };
    await this.keptElsewhere(sequence);
    const unsynced = await this.sync();
    if (unsynced !== null) return unsynced;
    const next: CheckpointNote = { sequence, floor: memory.highest, isClean: false, session, mark, ...place };
    const noted = await note.write(next);
    if (noted !== 0) return files.error("note the checkpoint", noted);
    this.checkpointSequence = sequence;
    this.checkpointMs = this.parts.clock.elapsedMs();
    log.release(sequence);
    await images.release(sequence);
    return null;
  }

  /** Who follows the changes has written them, or does not count any more: it must not keep the log from being freed. */
  private async keptElsewhere(sequence: number): Promise<void> {
    const { changes, clock } = this.parts;
    if (changes === null) return;
    const { promise, resolve } = Promise.withResolvers<"late">();
    const stop = clock.after(KEEP_WAIT_MS, () => resolve("late"));
    const outcome = await Promise.race([changes.keep(sequence), promise]);
    stop();
    if (outcome === "late") changes.giveUp("it is too far behind the commit log");
  }

  /** Doubtful operations that stay long must not keep their segments: they are written again, unless that frees hardly more than it takes. */
  private async letGo(limit: number): Promise<DriveError | null> {
    const { overlay, log, relocate } = this.parts;
    if (log.usedFraction <= HURRY_FROM) return null;
    const old = [...overlay.doubts()].filter((entry) => entry.placed.sequence <= limit);
    const bytes = old.reduce((sum, entry) => sum + bytesInLog(entry), 0);
    if (bytes > log.bytesUpTo(limit) * RELOCATED_MAX) return null;
    for (const { name } of old) {
      const failed = await relocate(name);
      if (failed !== null) return failed;
    }
    return old.length > 0 ? await this.checkpoint() : null;
  }
}

/** About what the record of a doubtful operation takes. */
function bytesInLog({ image, doubt }: Entry): number {
  const of = (stored: Image | null | undefined): number => (stored?.kind === "segment" ? stored.sizeBytes : 0);
  return RECORD_BYTES + of(image) + of(doubt?.prev.image);
}

function everything(): number {
  return Infinity;
}

function isAbsence({ detail }: DriveError): boolean {
  return HARMLESS.includes(Number(detail["errno"]));
}

function inWords(failure: DriveError, what: string): DriveError {
  const words = `${failure.message}: ${what}. What was acknowledged stays in the commit log and is read from there`;
  return new DriveError(failure.code, words, failure.detail);
}

/** What was not written is not written later either: a refusal that changes nothing. */
function untilStart(failure: DriveError): DriveError {
  return inWords(
    new DriveError("ReadOnly", failure.message, failure.detail),
    "the drive takes no writes until sherd is started again",
  );
}
