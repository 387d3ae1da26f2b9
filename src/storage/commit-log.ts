/**
 * CommitLog: appends records and makes them durable, many at the price of one (engine.md §4). Records collect while the last
 * sync runs, and for a few turns of the event loop where there are several callers; then one write, one fdatasync. No timer: a lone caller pays one sync. `absorb` of each record runs in the
 * order of the sequences once it is durable. A sync that fails ends all writing until the next start; a write that a full or
 * read-only drive refused, until it can be repeated.
 * When the log fills up, appends are slowed down smoothly, so that applying keeps pace.
 */
import type { Clock } from "../sys/clock.ts";
import { type Disk, Errno, step } from "../sys/disk.ts";
import { DriveError } from "./drive.ts";
import { HEADER_BYTES, type ImageOffsets, type LogRecord, recordBytesMax, RecordWriter } from "./log-record.ts";
import type { LogHealth } from "./log-health.ts";
import type { LogSegments, Segment } from "./log-segments.ts";

const BATCH_BYTES = 1024 * 1024;
const BATCHES_KEPT = 2;
const SETTLES_PER_RECORD_MAX = 4096;
/** A segment with less is full: a settle record fits at least. */
const ROOM_BYTES_MIN = 64;
/** Of the log: from here on appends are slowed, by up to DELAY_MAX_MS each. */
const SLOW_FROM = 0.65;
const DELAY_MAX_MS = 40;
/** Turns of the event loop that a batch waits for other requests where several clients write, and after how long it goes all the same. */
const GATHER_TURNS = 5;
const GATHER_MS_MAX = 10;
/** A log that stays full for so long answers NoSpace. */
const FULL_WAIT_MS = 10_000;

/** Where a record is. */
export interface Placed {
  readonly sequence: number;
  readonly segment: Segment;
  readonly offset: number;
}
/** Told of a record that is durable: where it is, and where its images are in it. */
export type Absorb = (placed: Placed, images: ImageOffsets) => void;
/** Who waits for a record. */
export interface Recorded {
  readonly absorb: Absorb;
  /** Null: all of its batch is durable and absorbed. */
  over(failure: DriveError | null): void;
}
interface Waiting {
  readonly offset: number;
  readonly images: ImageOffsets;
  readonly who: Recorded;
}
interface Batch {
  readonly bytes: Uint8Array;
  readonly writer: RecordWriter;
  fill: number;
  waiting: Waiting[];
}

export interface CommitLogOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly endpoint: string;
  readonly segments: LogSegments;
  readonly health: LogHealth;
  /** The next record's. */
  readonly nextSequence: number;
  readonly mark: number;
  /** Called when space is needed to go on. */
  readonly hurry: () => void;
}

const NOTHING = (): void => undefined;

export class CommitLog {
  /** fdatasyncs and records so far, for the metrics. */
  syncs = 0;
  records = 0;
  private next: number;
  private durable: number;
  private readonly batches: Batch[] = [];
  /** Written first and into the last free segment: what frees space. */
  private readonly urgent: Batch[] = [];
  private readonly spare: Batch[] = [];
  private settles: number[] = [];
  private running: Promise<void> | null = null;
  /** While the log is full: since when, and who goes on when space or something urgent comes. */
  private fullSinceMs: number | null = null;
  private wake: (() => void) | null = null;
  private readonly batchBytes: number;
  /** The last batch was of several clients. */
  private hasCompany = false;

  constructor(private readonly options: CommitLogOptions) {
    this.next = options.nextSequence;
    this.durable = options.nextSequence - 1;
    this.batchBytes = Math.min(BATCH_BYTES, options.segments.segmentBytes);
  }

  /** Why nothing can be written; null = it can. */
  get failure(): DriveError | null {
    return this.options.health.failure;
  }
  /** Everything up to here is durable and absorbed. */
  get durableSequence(): number {
    return this.durable;
  }
  /** Everything up to here is in the oldest segment that is full; 0 = none is. */
  get firstClosedSequence(): number {
    return this.options.segments.firstClosedSequence;
  }
  /** Of the segments that hold nothing behind it. */
  bytesUpTo(sequence: number): number {
    return this.options.segments.bytesUpTo(sequence);
  }
  get usedFraction(): number {
    return this.options.segments.usedBytes / this.options.segments.totalBytes;
  }
  get size(): { readonly usedBytes: number; readonly totalBytes: number } {
    const { usedBytes, totalBytes } = this.options.segments;
    return { usedBytes, totalBytes };
  }
  /** Takes records at once: it can be written, and there is room. */
  get isOpen(): boolean {
    return this.failure === null && this.usedFraction <= SLOW_FROM;
  }
  /** As append, at once: while it is open. */
  post(record: LogRecord, who: Recorded): void {
    this.enqueue(this.batches, record, who);
  }
  /** Null when the record is durable and absorbed. */
  append(record: LogRecord, absorb: Absorb = NOTHING): Promise<DriveError | null> {
    return this.isOpen ? this.recorded(this.batches, record, absorb) : this.appendSlowly(record, absorb);
  }

  private async appendSlowly(record: LogRecord, absorb: Absorb): Promise<DriveError | null> {
    const over = (this.usedFraction - SLOW_FROM) / (1 - SLOW_FROM);
    const refusal = this.failure === null ? null : await this.options.health.refusal();
    if (refusal !== null) return refusal;
    if (over > 0) {
      this.options.hurry();
      await this.options.clock.sleep(DELAY_MAX_MS * over * over);
    }
    return await this.recorded(this.batches, record, absorb);
  }

  /** As append, at once and ahead of others: what decides a doubt or lets a segment go. */
  async appendUrgent(record: LogRecord, absorb: Absorb = NOTHING): Promise<DriveError | null> {
    const done = this.recorded(this.urgent, record, absorb);
    this.wake?.();
    return await done;
  }

  /** The commit at `sequence` is settled: rides along with the next batch. */
  settle(sequence: number): void {
    if (this.failure === null) this.settles.push(sequence);
  }

  /** Begins to write what only rides along. */
  flush(): void {
    if (this.settles.length === 0 || this.failure !== null) return;
    if (this.batches.length === 0) this.batches.push(this.batch());
    this.start();
  }

  /** When nothing is being written. */
  async quiet(): Promise<void> {
    while (this.running !== null) await this.running;
  }

  /** Segments up to `sequence` may be written over. */
  release(sequence: number): void {
    const isStill = this.running === null || this.wake !== null;
    if (this.options.segments.release(sequence, isStill)) this.wake?.();
  }

  /** Where the next record goes, for the note: behind what is there, if nothing is being written. */
  get nextPlace(): { readonly segment: number; readonly offset: number } {
    const { active } = this.options.segments;
    return active === null ? { segment: -1, offset: 0 } : { segment: active.index, offset: active.fill };
  }

  private recorded(queue: Batch[], record: LogRecord, absorb: Absorb): Promise<DriveError | null> {
    const { failure } = this;
    if (failure !== null) return Promise.resolve(failure);
    const { promise, resolve } = Promise.withResolvers<DriveError | null>();
    this.enqueue(queue, record, { absorb, over: resolve });
    return promise;
  }

  private enqueue(queue: Batch[], record: LogRecord, who: Recorded): void {
    const room = recordBytesMax(record);
    let batch = queue.at(-1);
    if (batch === undefined || batch.fill + room > batch.bytes.length) {
      batch = this.batch();
      queue.push(batch);
    }
    const offset = batch.fill;
    const { padded, images } = batch.writer.write(record, offset);
    batch.fill += padded;
    batch.waiting.push({ offset, images, who });
    this.start();
  }

  private batch(): Batch {
    const spare = this.spare.pop();
    if (spare !== undefined) return spare;
    const bytes = new Uint8Array(new ArrayBuffer(this.batchBytes));
    return { bytes, writer: new RecordWriter(bytes, this.options.mark), fill: 0, waiting: [] };
  }

  private start(): void {
    this.running ??= this.run();
  }

  private async run(): Promise<void> {
    for (;;) {
      await this.othersJoin();
      const queue = this.urgent.length > 0 ? this.urgent : this.batches;
      const [batch] = queue;
      if (batch === undefined) break;
      const room = this.failure ?? (await this.makeRoom(batch.fill, queue === this.urgent));
      if (room === "wait") continue; // something urgent may have come
      queue.shift();
      const error = room === "there" ? await this.write(batch) : room;
      this.hasCompany = batch.waiting.length > 1;
      for (const { who } of batch.waiting) who.over(error);
      batch.fill = 0;
      batch.waiting = [];
      if (this.spare.length < BATCHES_KEPT) this.spare.push(batch);
    }
    this.running = null;
  }

  /** The callers of this turn; and where there are several clients, those whose requests are here, or come while others are answered. */
  private async othersJoin(): Promise<void> {
    if (!this.hasCompany) return;
    const { clock } = this.options;
    const beganMs = clock.elapsedMs();
    for (let turn = 0; turn < GATHER_TURNS && this.urgent.length === 0 && this.batches.length <= 1; turn++) {
      await clock.yieldNow();
      if (clock.elapsedMs() - beganMs >= GATHER_MS_MAX) return;
    }
  }

  private async write(batch: Batch): Promise<DriveError | null> {
    const segment = this.options.segments.active as Segment;
    const settles = this.takeSettles(batch, segment.sizeBytes - segment.fill);
    if (batch.fill === 0) return null;
    const first = this.next;
    const count = batch.waiting.length + (settles.length > 0 ? 1 : 0);
    const bytes = batch.bytes.subarray(0, batch.fill);
    const { error, failedStep } = await this.options.disk.run([
      step.use(segment.descriptor),
      step.seal(bytes, first),
      step.pwrite(bytes, segment.fill),
      step.fdatasync(),
    ]);
    this.syncs++;
    this.records += count;
    if (error !== 0) {
      this.settles.unshift(...settles);
      return failedStep === 3 ? this.lose(error) : await this.refused(error, segment, bytes);
    }
    this.next += count;
    const start = segment.fill;
    segment.fill += batch.fill;
    segment.lastSequence = first + count - 1;
    let sequence = first;
    for (const { offset, images, who } of batch.waiting)
      who.absorb({ sequence: sequence++, segment, offset: start + offset }, images);
    this.durable = segment.lastSequence;
    this.options.segments.prepare();
    return null;
  }

  /** Adds as many settles as fit, in the batch and behind it in the segment; which. */
  private takeSettles(batch: Batch, roomBytes: number): readonly number[] {
    const room = Math.floor((Math.min(batch.bytes.length, roomBytes) - batch.fill - HEADER_BYTES) / 8);
    const taken = this.settles.splice(0, Math.max(0, Math.min(room, SETTLES_PER_RECORD_MAX)));
    if (taken.length > 0) batch.fill += batch.writer.write({ type: "settle", sequences: taken }, batch.fill).padded;
    return taken;
  }

  /** A segment with room for `bytes` becomes the active one; "wait": not yet, but something has changed. */
  private async makeRoom(bytes: number, isUrgent: boolean): Promise<"there" | "wait" | DriveError> {
    const { segments, clock, endpoint } = this.options;
    const { active } = segments;
    const isThere = active !== null && active.fill + Math.max(bytes, ROOM_BYTES_MIN) <= active.sizeBytes;
    if (isThere) this.fullSinceMs = null;
    if (isThere) return "there";
    if (segments.freeCount >= (isUrgent ? 1 : 2)) {
      const error = await segments.advance();
      return error === 0 ? "wait" : this.stop(error, async () => (await segments.advance()) === 0);
    }
    this.fullSinceMs ??= clock.elapsedMs();
    const leftMs = this.fullSinceMs + FULL_WAIT_MS - clock.elapsedMs();
    if (leftMs <= 0) {
      this.fullSinceMs = null;
      const words =
        "the commit log is full and applying does not free it: is an operation waiting for a missing drive?";
      return new DriveError("NoSpace", `${endpoint}: ${words}`);
    }
    this.options.hurry();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.wake = resolve;
    const stop = clock.after(leftMs, resolve);
    await promise;
    stop();
    this.wake = null;
    return "wait";
  }

  /** After a sync that failed nobody knows what is on the drive. Callers of this batch have no answer but that. */
  private lose(errno: number): DriveError {
    const { endpoint, health } = this.options;
    const words = `the commit log cannot be synced (errno ${errno}): the drive takes no writes until sherd is started again; reads go on`;
    health.end(new DriveError("ReadOnly", `${endpoint}: ${words}`, { endpoint, errno }));
    return new DriveError("Io", `${endpoint}: sync the commit log: errno ${errno}`, { endpoint, errno });
  }

  /** A write failed. If its first record is not in the file, or can be taken out, the batch does not exist: a clean refusal. */
  private async refused(errno: number, segment: Segment, bytes: Uint8Array): Promise<DriveError> {
    const { disk, segments, endpoint } = this.options;
    const [from, to] = [segment.fill, segment.fill + bytes.length];
    const wipe = async (): Promise<boolean> => (await segments.wipe(segment, from, to)) === 0;
    const head = new Uint8Array(new ArrayBuffer(4096), 0, HEADER_BYTES);
    const read = await disk.run([step.use(segment.descriptor), step.pread(head, from)], true);
    const isAbsent = read.error === 0 && !head.every((byte, i) => byte === bytes[i]);
    const failure = this.stop(errno, wipe);
    if (isAbsent || (await wipe())) return failure;
    return new DriveError("Io", `${endpoint}: write the commit log: errno ${errno}`, { endpoint, errno });
  }

  /** Nothing is written until `attempt` succeeds, or until the next start if the drive is broken. */
  private stop(errno: number, attempt: () => Promise<boolean>): DriveError {
    const { endpoint, health } = this.options;
    const isFull = errno === Errno.ENOSPC || errno === Errno.EDQUOT;
    const isTemporary = isFull || errno === Errno.EROFS;
    const until = isTemporary ? "it can be written again" : "sherd is started again";
    const words = `the commit log cannot be written (errno ${errno}): the drive takes no writes until ${until}; reads go on`;
    const failure = new DriveError(isFull ? "NoSpace" : "ReadOnly", `${endpoint}: ${words}`, { endpoint, errno });
    if (isTemporary) health.suspend(failure, attempt);
    else health.end(failure);
    return failure;
  }
}
