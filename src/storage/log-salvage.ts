/**
 * Salvage: what a damaged commit log still holds. Looks for whole records wherever they stand, in every segment, and says which
 * sequences are missing and where. Only reads. Where the checkpoint note is lost, what belongs to the log's present is told
 * from what an earlier use of a segment left by how the sequences follow each other.
 */
import { type Disk, step } from "../sys/disk.ts";
import type { CheckpointNote } from "./checkpoint-note.ts";
import {
  claimedMark,
  decodeRecord,
  guessKey,
  HEADER_BYTES,
  paddedLength,
  readHeader,
  type RecordHeader,
} from "./log-record.ts";
import type { LogSegments, Segment } from "./log-segments.ts";

const PIECE_BYTES = 4096;
/** A record is no shorter: bounds how many can be missing in a hole. */
const RECORD_BYTES_MIN = HEADER_BYTES;

/** Records that are missing between two that are there. */
export interface LostRecords {
  readonly first: number;
  readonly last: number;
  readonly segment: number;
  /** Where they stood, or the segment's first byte that does not belong to a whole record. */
  readonly offset: number;
  /** What the damaged bytes say of the first one's key, unproved; null = nothing. */
  readonly perhapsOf: string | null;
}
/** One segment's whole records behind the checkpoint, in order. */
export interface SalvagedPart {
  readonly segment: Segment;
  readonly sequences: number[];
  readonly offsets: number[];
  /** Where each one ends, padding included. */
  readonly ends: number[];
  /** Offset of what is no whole record -> the key that it may have been of. */
  readonly perhaps: Map<number, string | null>;
}
export interface Salvage {
  readonly parts: readonly SalvagedPart[];
  readonly lost: readonly LostRecords[];
  /** The highest sequence seen anywhere, kept or not. */
  readonly highest: number;
  readonly kept: number;
  /** Bytes of the log that the drive could not read. */
  readonly unreadableBytes: number;
  /** Of every record that counts. */
  readonly mark: number;
}

/** `note` null: it is lost. */
export async function salvage(disk: Disk, segments: LogSegments, note: CheckpointNote | null): Promise<Salvage> {
  const parts: SalvagedPart[] = [];
  let highest = note?.sequence ?? 0;
  let unreadableBytes = 0;
  const mark = note?.mark ?? (await presentMark(disk, segments));
  for (const segment of segments.all) {
    const { bytes, unreadable } = await readSegment(disk, segment);
    unreadableBytes += unreadable;
    const part = wholeRecords(segment, bytes, note?.sequence ?? 0, mark);
    if (part.sequences.length === 0) continue;
    highest = Math.max(highest, part.sequences.at(-1) as number);
    parts.push(part);
  }
  parts.sort((a, b) => (a.sequences[0] as number) - (b.sequences[0] as number));
  const present = note === null ? latestEra(parts) : parts;
  const lost = missing(present, note);
  const kept = present.reduce((sum, part) => sum + part.sequences.length, 0);
  return { parts: present, lost, highest, kept, unreadableBytes, mark };
}

/**
 * Without the note: what the newest record at the head of a segment says, for nothing that a client stored stands there. If all heads
 * are damaged, the newest of what is first in a segment.
 */
async function presentMark(disk: Disk, segments: LogSegments): Promise<number> {
  let best = { mark: 0, sequence: -1, isHead: false };
  for (const segment of segments.all) {
    const { bytes } = await readSegment(disk, segment);
    let at = 0;
    let mark = claimedMark(bytes, at);
    while (mark === null && at + HEADER_BYTES < bytes.length) mark = claimedMark(bytes, (at += 8));
    if (mark === null) continue;
    const { sequence } = readHeader(bytes, at, mark) as RecordHeader;
    const isHead = at === 0;
    const isBetter = isHead === best.isHead ? sequence > best.sequence : isHead;
    if (isBetter) best = { mark, sequence, isHead };
  }
  return best.mark;
}

/** The bytes; what cannot be read is zeros, and counted. */
export async function readSegment(
  disk: Disk,
  segment: Segment,
): Promise<{ readonly bytes: Uint8Array; readonly unreadable: number }> {
  const bytes = new Uint8Array(new ArrayBuffer(segment.sizeBytes));
  const whole = await disk.run([step.use(segment.descriptor), step.pread(bytes, 0)]);
  if (whole.error === 0) return { bytes, unreadable: 0 };
  let unreadable = 0;
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    const piece = bytes.subarray(at, at + PIECE_BYTES);
    const { error } = await disk.run([step.use(segment.descriptor), step.pread(piece, at)]);
    if (error === 0) continue;
    piece.fill(0);
    unreadable += piece.length;
  }
  return { bytes, unreadable };
}

/** Until the first one that is older than the one before it: an earlier use of the segment left that. */
function wholeRecords(segment: Segment, bytes: Uint8Array, after: number, mark: number): SalvagedPart {
  const part: SalvagedPart = { segment, sequences: [], offsets: [], ends: [], perhaps: new Map() };
  let last = after;
  let isHole = false;
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const header = readHeader(bytes, at, mark);
    if (header === null || decodeRecord(bytes, at, mark) === null) {
      if (!isHole) part.perhaps.set(at, guessKey(bytes, at));
      isHole = true;
      at = behindHole(bytes, at, last, mark);
      continue;
    }
    isHole = false;
    if (header.sequence <= last && part.sequences.length > 0) break;
    const end = at + paddedLength(header.length);
    if (header.sequence > last) {
      part.sequences.push(header.sequence);
      part.offsets.push(at);
      part.ends.push(end);
      last = header.sequence;
    }
    at = end;
  }
  return part;
}

/** Where to look next: behind the damaged record if its length is good, else eight bytes on. */
function behindHole(bytes: Uint8Array, at: number, last: number, mark: number): number {
  const length = new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true);
  const next = at + paddedLength(length);
  if (length >= HEADER_BYTES && next < bytes.length) {
    const header = readHeader(bytes, next, mark);
    if (header !== null && header.sequence > last) return next;
  }
  return at + 8;
}

/**
 * From the newest segment backwards while one follows the other. A hole at the head of a segment or the tail of the one before may
 * have held as many records as fit.
 */
function latestEra(parts: readonly SalvagedPart[]): readonly SalvagedPart[] {
  let from = parts.length - 1;
  for (; from > 0; from--) {
    const later = parts[from] as SalvagedPart;
    const earlier = parts[from - 1] as SalvagedPart;
    const gap = (later.sequences[0] as number) - (earlier.sequences.at(-1) as number) - 1;
    const room = (later.offsets[0] as number) / RECORD_BYTES_MIN;
    if (gap > room) break;
  }
  return parts.slice(Math.max(0, from));
}

function missing(parts: readonly SalvagedPart[], note: CheckpointNote | null): LostRecords[] {
  const lost: LostRecords[] = [];
  let last = note === null ? (parts[0]?.sequences[0] ?? 1) - 1 : note.sequence;
  let before: SalvagedPart | null = null;
  for (const part of parts) {
    for (const [i, sequence] of part.sequences.entries()) {
      if (sequence > last + 1) {
        const isAtHead = i === 0 && part.offsets[0] === 0 && before !== null;
        const where = isAtHead ? (before as SalvagedPart) : part;
        const offset = isAtHead ? (where.ends.at(-1) as number) : (part.ends[i - 1] ?? 0);
        const perhapsOf = where.perhaps.get(offset) ?? null;
        lost.push({ first: last + 1, last: sequence - 1, segment: where.segment.index, offset, perhapsOf });
      }
      last = sequence;
    }
    before = part;
  }
  return lost;
}
