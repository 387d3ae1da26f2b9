/**
 * LogSegments: the files of a commit log, `segment-<n>`: made once, filled with zeros and synced, then written over and over,
 * so that a sync of a record moves no metadata. What a segment holds is told by the sequences in it, not by its name.
 * Owns which segment is written next and which may be written over. Sizes in bytes; errors are errnos.
 */
import { assert } from "../core/assert.ts";
import { type Disk, step } from "../sys/disk.ts";

const ZERO_BYTES = 1024 * 1024;
/** Zeros that are written between two syncs: records of the segment before wait for the disk no longer than for these. */
const ZEROS_AT_ONCE = 2;
/** Where the one that is written is so full, the next one is made. */
const PREPARE_FROM = 0.5;

export interface LogSize {
  readonly segmentBytes: number;
  readonly totalBytes: number;
}
export interface Segment {
  readonly index: number;
  readonly descriptor: number;
  sizeBytes: number;
  /** Of the last record in it; 0 = nothing that counts. */
  lastSequence: number;
  /** Where the next record goes. */
  fill: number;
}

export class LogSegments {
  private readonly segments: Segment[] = [];
  private readonly zeros: Uint8Array;
  private current: Segment | null = null;
  private preparing: Promise<void> | null = null;
  /** For which segment another one was prepared. */
  private preparedFor: Segment | null = null;

  private constructor(
    private readonly disk: Disk,
    private readonly directory: string,
    private readonly size: LogSize,
    /** Makes the name of a new file durable; the errno. */
    private readonly sync: () => Promise<number>,
  ) {
    this.zeros = new Uint8Array(new ArrayBuffer(Math.min(ZERO_BYTES, size.segmentBytes)));
  }

  /** Opens what is there; makes nothing. */
  static async open(
    disk: Disk,
    directory: string,
    size: LogSize,
    sync: () => Promise<number>,
  ): Promise<LogSegments | number> {
    assert(size.segmentBytes % 4096 === 0 && size.totalBytes >= 3 * size.segmentBytes, "a log of three segments");
    const log = new LogSegments(disk, directory, size, sync);
    const names = new Uint8Array(new ArrayBuffer(256 * 1024));
    const listed = await disk.run([step.readdir(directory, names)]);
    if (listed.error !== 0) return listed.error;
    const text = Buffer.from(names.buffer, 0, listed.results[0] as number).toString("latin1");
    const found = [...text.matchAll(/segment-([0-9]{1,6})(?![0-9])/g)].map((match) => Number(match[1]));
    for (const index of found.sort((a, b) => a - b)) {
      const error = await log.openSegment(index);
      if (error !== 0) return error;
    }
    return log;
  }

  get all(): readonly Segment[] {
    return this.segments;
  }
  get segmentBytes(): number {
    return this.size.segmentBytes;
  }
  get active(): Segment | null {
    return this.current;
  }
  /** Bytes that are in use or lost behind what is in use. */
  get usedBytes(): number {
    let used = 0;
    for (const segment of this.segments)
      if (segment === this.current) used += segment.fill;
      else if (segment.lastSequence > 0) used += segment.sizeBytes;
    return used;
  }
  /** The last sequence in the oldest segment that is not written any more; 0 = there is none. */
  get firstClosedSequence(): number {
    let first = 0;
    for (const segment of this.segments) {
      const { lastSequence } = segment;
      if (segment !== this.current && lastSequence > 0 && (first === 0 || lastSequence < first)) first = lastSequence;
    }
    return first;
  }
  /** Of the segments that are not written any more and hold nothing behind the sequence. */
  bytesUpTo(sequence: number): number {
    let bytes = 0;
    for (const segment of this.segments)
      if (segment !== this.current && segment.lastSequence > 0 && segment.lastSequence <= sequence)
        bytes += segment.sizeBytes;
    return bytes;
  }
  get totalBytes(): number {
    return Math.max(this.size.totalBytes, this.segments.length * this.size.segmentBytes);
  }
  /** Segments that could be taken, made ones and those still to be made. */
  get freeCount(): number {
    const made = this.segments.filter((s) => s.lastSequence === 0 && s !== this.current).length;
    return made + Math.max(0, this.limit - this.segments.length);
  }
  private get limit(): number {
    return Math.floor(this.size.totalBytes / this.size.segmentBytes);
  }

  /** Goes on in a segment that replay found, behind its last record. */
  resume(segment: Segment): void {
    this.current = segment;
  }

  /** Makes the next segment in time, so that no record waits for it. What fails is left to `advance`. */
  prepare(): void {
    const { current } = this;
    if (current === null || current === this.preparedFor || current.fill < current.sizeBytes * PREPARE_FROM) return;
    this.preparedFor = current;
    const isThere = this.segments.some(
      (s) => s !== current && s.sizeBytes === this.size.segmentBytes && s.lastSequence === 0,
    );
    if (isThere || this.segments.length >= this.limit) return;
    this.preparing = this.make().then(async (error) => {
      if (error === 0) await this.enlarge(this.segments.at(-1) as Segment);
      this.preparing = null;
    });
  }

  /** Moves to a free segment, made if need be; the errno. */
  async advance(): Promise<number> {
    await this.preparing;
    let next = this.segments.find((s) => s.lastSequence === 0 && s !== this.current);
    if (next === undefined) {
      assert(this.segments.length < this.limit, "a free segment");
      const error = await this.make();
      if (error !== 0) return error;
      next = this.segments.at(-1) as Segment;
    }
    // New, or a crash came while it was made.
    const error = next.sizeBytes < this.size.segmentBytes ? await this.enlarge(next) : 0;
    if (error !== 0) return error;
    next.fill = 0;
    this.current = next;
    return 0;
  }

  /**
   * Segments whose records all are at or below `sequence` may be written over. True if that freed something.
   * `rewind`: nothing is being written, so the current one may start anew too.
   */
  release(sequence: number, rewind: boolean): boolean {
    let freed = false;
    for (const segment of this.segments) {
      if (segment.lastSequence === 0 || segment.lastSequence > sequence || segment === this.current) continue;
      segment.lastSequence = 0;
      segment.fill = 0;
      freed = true;
    }
    const { current } = this;
    if (rewind && current !== null && current.lastSequence > 0 && current.lastSequence <= sequence) {
      // From its start again: what it held has lower sequences than what comes.
      current.lastSequence = 0;
      current.fill = 0;
      freed = true;
    }
    return freed;
  }

  /** Zeros, synced: what a torn write left there must never be read again. */
  async wipe(segment: Segment, from: number, to: number): Promise<number> {
    return await this.fillWithZeros(segment.descriptor, from, to);
  }

  async close(): Promise<void> {
    await this.preparing;
    for (const segment of this.segments) await this.disk.run([step.use(segment.descriptor, true)], true);
    this.segments.length = 0;
    this.current = null;
  }

  private async make(): Promise<number> {
    const index = (this.segments.at(-1)?.index ?? -1) + 1;
    const { error } = await this.disk.run([step.openCreate(this.path(index))], true);
    return error === 0 ? await this.openSegment(index) : error;
  }

  /** Zeros up to the full size, all of it durable, the name too. */
  private async enlarge(segment: Segment): Promise<number> {
    const filled = await this.fillWithZeros(segment.descriptor, 0, this.size.segmentBytes);
    if (filled !== 0) return filled;
    const synced = await this.sync();
    if (synced === 0) segment.sizeBytes = this.size.segmentBytes; // until then it is made again, and its name synced
    return synced;
  }

  private async openSegment(index: number): Promise<number> {
    const { error, results } = await this.disk.run(
      [step.openReadWrite(this.path(index)), step.fstat(), step.keep()],
      true,
    );
    if (error !== 0) return error;
    const [, sizeBytes, descriptor] = results as [number, number, number];
    this.segments.push({ index, descriptor, sizeBytes, lastSequence: 0, fill: 0 });
    return 0;
  }

  private async fillWithZeros(descriptor: number, from: number, to: number): Promise<number> {
    for (let at = from; at < to; ) {
      const steps = [step.use(descriptor)];
      for (; at < to && steps.length <= ZEROS_AT_ONCE; at += this.zeros.length)
        steps.push(step.pwrite(this.zeros.subarray(0, Math.min(this.zeros.length, to - at)), at));
      steps.push(step.fdatasync());
      const { error } = await this.disk.run(steps);
      if (error !== 0) return error;
    }
    return 0;
  }

  private path(index: number): string {
    return `${this.directory}/segment-${index}`;
  }
}
