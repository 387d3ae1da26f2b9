/**
 * Reading a commit log after a start: the records behind the checkpoint, in order, and a judgement of where they end. A batch
 * is written when the one before it is durable, so only the last one can be torn: a whole record behind the end that
 * belongs to a later batch than the missing one means that the log is damaged. A torn rest is reported to be wiped.
 */
import { type Disk, step } from "../sys/disk.ts";
import type { CheckpointNote } from "./checkpoint-note.ts";
import { type DecodedRecord, decodeRecord, HEADER_BYTES, paddedLength, readHeader } from "./log-record.ts";
import type { LogSegments, Segment } from "./log-segments.ts";

/** No batch has so many records; keeps stale bytes from looking like the future. */
const AHEAD_MAX = 2 ** 24;

export interface FoundRecord extends DecodedRecord {
  readonly sequence: number;
  readonly segment: Segment;
  readonly offset: number;
}
export interface LogEnd {
  /** Of the last record; the checkpoint's if there is none behind it. */
  readonly sequence: number;
  /** Where the next record may go, with `fill` set; null = in a free segment. */
  readonly segment: Segment | null;
  /** Segments with the rest of a torn batch behind their `fill`. */
  readonly torn: readonly Segment[];
  /** What is wrong, for the operator; null = nothing. */
  readonly damage: string | null;
}

/** Calls `each` for every record; sets `lastSequence` and `fill` of the segments. A number is an errno. */
export async function readLog(
  disk: Disk,
  segments: LogSegments,
  note: CheckpointNote,
  each: (found: FoundRecord) => Promise<void> | void,
): Promise<LogEnd | number> {
  if (note.isClean) return { sequence: note.sequence, segment: null, torn: [], damage: null };
  return await new LogReader(disk, segments, each).read(note);
}

class LogReader {
  private expected = 0;
  private mark = 0;
  private readonly visited = new Set<Segment>();
  private damage: string | null = null;

  constructor(
    private readonly disk: Disk,
    private readonly segments: LogSegments,
    private readonly each: (found: FoundRecord) => Promise<void> | void,
  ) {}

  async read(note: CheckpointNote): Promise<LogEnd | number> {
    this.expected = note.sequence + 1;
    this.mark = note.mark;
    let last: Segment | null = null;
    let at = this.segments.all.find((s) => s.index === note.segment) ?? null;
    let offset = note.offset;
    if (at === null) {
      const first = await this.startingWith(this.expected);
      if (typeof first === "number") return first;
      at = first;
      offset = 0;
    }
    while (at !== null && this.damage === null) {
      const bytes = await this.load(at);
      if (typeof bytes === "number") return bytes;
      at.fill = await this.run(at, bytes, offset);
      // Without a record it may yet be the one that begins anew with the next.
      if (at.lastSequence > 0) this.visited.add(at);
      if (at.lastSequence > 0) last = at;
      else at.fill = 0;
      const next = await this.startingWith(this.expected);
      if (typeof next === "number") return next;
      at = next;
      offset = 0;
    }
    const torn = await this.judgeRest();
    if (typeof torn === "number") return torn;
    return { sequence: this.expected - 1, segment: last, torn, damage: this.damage };
  }

  /** The records that follow each other from `offset`; returns where they end. */
  private async run(segment: Segment, bytes: Uint8Array, offset: number): Promise<number> {
    let at = offset;
    for (;;) {
      const header = readHeader(bytes, at, this.mark);
      if (header === null || header.sequence !== this.expected) return at;
      const decoded = decodeRecord(bytes, at, this.mark);
      if (decoded === null) {
        this.damage = `the record ${header.sequence} in segment-${segment.index} is of a kind that this version does not know`;
        return at;
      }
      const more = this.each({ ...decoded, sequence: header.sequence, segment, offset: at });
      if (more !== undefined) await more;
      segment.lastSequence = header.sequence;
      this.expected++;
      at += paddedLength(header.length);
    }
  }

  private async startingWith(sequence: number): Promise<Segment | null | number> {
    const head = new Uint8Array(new ArrayBuffer(4096), 0, HEADER_BYTES);
    for (const segment of this.segments.all) {
      if (this.visited.has(segment)) continue;
      const { error } = await this.disk.run([step.use(segment.descriptor), step.pread(head, 0)], true);
      if (error !== 0) return error;
      const view = new DataView(head.buffer, 0, HEADER_BYTES);
      if (view.getUint32(8, true) + view.getUint32(12, true) * 2 ** 32 !== sequence) continue;
      const bytes = await this.load(segment);
      if (typeof bytes === "number") return bytes;
      if (readHeader(bytes, 0, this.mark) !== null) return segment;
    }
    return null;
  }

  /** Looks at everything behind the end: the torn rest of the last batch, or records that must not be there. */
  private async judgeRest(): Promise<Segment[] | number> {
    const torn: Segment[] = [];
    for (const segment of this.segments.all) {
      const bytes = await this.load(segment);
      if (typeof bytes === "number") return bytes;
      const from = this.visited.has(segment) ? segment.fill : 0;
      const rest = this.restOf(bytes, from);
      if (rest === "nothing") continue;
      torn.push(segment);
      if (rest === "later")
        this.damage ??= `the record ${this.expected} is damaged or missing, and later ones are there (segment-${segment.index})`;
    }
    return torn;
  }

  private restOf(bytes: Uint8Array, from: number): "nothing" | "torn" | "later" {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let rest: "nothing" | "torn" = "nothing";
    for (let at = from; at + HEADER_BYTES <= bytes.length; at += 8) {
      const length = view.getUint32(at, true);
      if (length < HEADER_BYTES) continue;
      const sequence = view.getUint32(at + 8, true) + view.getUint32(at + 12, true) * 2 ** 32;
      if (sequence < this.expected || sequence > this.expected + AHEAD_MAX) continue;
      const header = readHeader(bytes, at, this.mark);
      if (header === null) continue;
      if (header.batchStart > this.expected) return "later";
      rest = "torn";
    }
    return rest;
  }

  private async load(segment: Segment): Promise<Uint8Array | number> {
    const bytes = new Uint8Array(new ArrayBuffer(segment.sizeBytes));
    const { error } = await this.disk.run([step.use(segment.descriptor), step.pread(bytes, 0)]);
    return error === 0 ? bytes : error;
  }
}
