/**
 * CommitLog: appends records and makes them durable, many at the price of one (engine.md §4). Records collect while the last
 * sync runs; then one write, one fdatasync. No timer: a lone caller pays one sync. `absorb` of each record runs in the
 * order of the sequences once it is durable. A write or sync that fails ends all writing until the next start.
 * When the log fills up, appends are slowed down smoothly, so that applying keeps pace.
 */
import type { Clock } from "../sys/clock.ts";
import { type Disk, Errno, step } from "../sys/disk.ts";
import { DriveError } from "./drive.ts";
import { driveError } from "./drive-errors.ts";
import { HEADER_BYTES, type ImageOffsets, type LogRecord, recordBytesMax, RecordWriter } from "./log-record.ts";
import type { LogSegments, Segment } from "./log-segments.ts";

const BATCH_BYTES = 1024 * 1024;
const BATCHES_KEPT = 2;
const SETTLES_PER_RECORD_MAX = 4096;
/** A segment with less is full: a settle record fits at least. */
const ROOM_BYTES_MIN = 64;
/** Of the log: from here on appends are slowed, by up to DELAY_MAX_MS each. */
const SLOW_FROM = 0.5;
const DELAY_MAX_MS = 40;
/** A log that stays full for so long answers NoSpace. */
const FULL_WAIT_MS = 10_000;

/** Where a record is. */
export interface Placed {
  readonly sequence: number;
  readonly segment: Segment;
  readonly offset: number;
  readonly images: ImageOffsets;
}
interface Waiting {
  readonly offset: number;
  readonly images: ImageOffsets;
  readonly absorb: (placed: Placed) => void;
  readonly resolve: (failure: DriveError | null) => void;
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
  /** The next record's. */
  readonly nextSequence: number;
  /** Called when space is needed to go on. */
  readonly hurry: () => void;
}

const NOTHING = (): void => undefined;

export class CommitLog {
  /** Why nothing can be written; null = it can. */
  failure: DriveError | null = null;
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

  constructor(private readonly options: CommitLogOptions) {
    this.next = options.nextSequence;
    this.durable = options.nextSequence - 1;
    this.batchBytes = Math.min(BATCH_BYTES, options.segments.segmentBytes);
  }

  /** Everything up to here is durable and absorbed. */
  get durableSequence(): number {
    return this.durable;
  }
  get usedFraction(): number {
    return this.options.segments.usedBytes / this.options.segments.totalBytes;
  }
  /** Null when the record is durable and absorbed. */
  async append(record: LogRecord, absorb: (placed: Placed) => void = NOTHING): Promise<DriveError | null> {
    if (this.failure !== null) return this.failure;
    const over = (this.usedFraction - SLOW_FROM) / (1 - SLOW_FROM);
    if (over > 0) {
      this.options.hurry();
      await this.options.clock.sleep(DELAY_MAX_MS * over * over);
    }
    return await this.enqueue(this.batches, record, absorb);
  }

  /** As append, at once and ahead of others: what decides a doubt or lets a segment go. */
  async appendUrgent(record: LogRecord, absorb: (placed: Placed) => void = NOTHING): Promise<DriveError | null> {
    const done = this.enqueue(this.urgent, record, absorb);
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

  private enqueue(queue: Batch[], record: LogRecord, absorb: (placed: Placed) => void): Promise<DriveError | null> {
    const { failure } = this;
    if (failure !== null) return Promise.resolve(failure);
    const room = recordBytesMax(record);
    let batch = queue.at(-1);
    if (batch === undefined || batch.fill + room > batch.bytes.length) {
      batch = this.batch();
      queue.push(batch);
    }
    const offset = batch.fill;
    const { padded, images } = batch.writer.write(record, offset);
    batch.fill += padded;
    const { promise, resolve } = Promise.withResolvers<DriveError | null>();
    batch.waiting.push({ offset, images, absorb, resolve });
    this.start();
    return promise;
  }

  private batch(): Batch {
    const spare = this.spare.pop();
    if (spare !== undefined) return spare;
    const bytes = new Uint8Array(new ArrayBuffer(this.batchBytes));
    return { bytes, writer: new RecordWriter(bytes), fill: 0, waiting: [] };
  }

  private start(): void {
    this.running ??= this.run();
  }

  private async run(): Promise<void> {
    await Promise.resolve(); // let the callers of this turn join
    for (;;) {
      const queue = this.urgent.length > 0 ? this.urgent : this.batches;
      const [batch] = queue;
      if (batch === undefined) break;
      const room = this.failure ?? (await this.makeRoom(batch.fill, queue === this.urgent));
      if (room === "wait") continue; // something urgent may have come
      queue.shift();
      const error = room === "there" ? await this.write(batch) : room;
      for (const { resolve } of batch.waiting) resolve(error);
      batch.fill = 0;
      batch.waiting = [];
      if (this.spare.length < BATCHES_KEPT) this.spare.push(batch);
    }
    this.running = null;
  }

  private async write(batch: Batch): Promise<DriveError | null> {
    const segment = this.options.segments.active as Segment;
    const settles = this.takeSettles(batch, segment.sizeBytes - segment.fill);
    if (batch.fill === 0) return null;
    const first = this.next;
    const count = batch.waiting.length + (settles > 0 ? 1 : 0);
    this.next += count;
    const bytes = batch.bytes.subarray(0, batch.fill);
    const { error, failedStep } = await this.options.disk.run([
      step.use(segment.descriptor),
      step.seal(bytes, first),
      step.pwrite(bytes, segment.fill),
      step.fdatasync(),
    ]);
    this.syncs++;
    this.records += count;
    if (error !== 0) return await this.fail(error, failedStep === 2 ? { segment, offset: segment.fill } : "unknown");
    const start = segment.fill;
    segment.fill += batch.fill;
    segment.lastSequence = first + count - 1;
    for (const [i, { offset, images, absorb }] of batch.waiting.entries())
      absorb({ sequence: first + i, segment, offset: start + offset, images });
    this.durable = segment.lastSequence;
    return null;
  }

  /** Adds as many settles as fit, in the batch and behind it in the segment; how many. */
  private takeSettles(batch: Batch, roomBytes: number): number {
    const room = Math.floor((Math.min(batch.bytes.length, roomBytes) - batch.fill - HEADER_BYTES) / 8);
    const taken = this.settles.splice(0, Math.max(0, Math.min(room, SETTLES_PER_RECORD_MAX)));
    if (taken.length > 0) batch.fill += batch.writer.write({ type: "settle", sequences: taken }, batch.fill).padded;
    return taken.length;
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
      return error === 0 ? "wait" : await this.fail(error, "nothing");
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

  /**
   * No more writing until the next start: after a sync that failed nobody knows what is on the drive. Callers of this batch
   * get the error as it is; those that come later were certainly not written.
   */
  private async fail(errno: number, written: "nothing" | "unknown" | TornPlace): Promise<DriveError> {
    const { endpoint, disk } = this.options;
    const isFull = errno === Errno.ENOSPC || errno === Errno.EDQUOT;
    const isRefused = typeof written === "object" && (isFull || errno === Errno.EROFS);
    // A part may have reached the file: without its first bytes the batch does not exist.
    if (isRefused)
      await disk.run([
        step.use(written.segment.descriptor),
        step.pwrite(new Uint8Array(new ArrayBuffer(4096), 0, HEADER_BYTES), written.offset),
        step.fdatasync(),
      ]);
    this.failure = new DriveError(
      isFull ? "NoSpace" : "ReadOnly",
      `${endpoint}: the commit log cannot be written (errno ${errno}): the drive takes no writes until sherd is started again; reads go on`,
      { endpoint, errno },
    );
    return isRefused || written === "nothing" ? this.failure : driveError(endpoint, "write the commit log", errno);
  }
}

interface TornPlace {
  readonly segment: Segment;
  readonly offset: number;
}
