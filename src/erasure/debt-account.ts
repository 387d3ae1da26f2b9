/**
 * DebtAccount: the keys that one drive is owed, in memory and as the texts of its notes. A note (a segment) holds up to
 * SEGMENT_BYTES of lines `["bucket","path","stamp",sinceMs,"removed"]` and a last line with their hash. `removed` is the version
 * that the missed operation took away or replaced, "" = none: the proof by which the drive may drop it. A later line of the
 * same key and version takes the place of an earlier one; a note goes when none of its lines counts. Pure. Bytes are bounded.
 */
import { nameOf, type ObjectPath, type Stamp } from "../storage/drive.ts";

const SEGMENT_BYTES = 64 * 1024;

/** One missed operation. */
export interface Missed {
  readonly key: ObjectPath;
  readonly stamp: Stamp;
  /** Id of the version that it took away or replaced; "" = none, or not known. */
  readonly removed: string;
  readonly sinceMs: number;
}
export interface Owed {
  readonly key: ObjectPath;
  /** Of the newest operation that the drive missed. */
  readonly stamp: Stamp;
  /** Version id -> stamp of the newest missed operation that took it away. */
  readonly removed: ReadonlyMap<string, Stamp>;
  readonly sinceMs: number;
}
interface Line extends Missed {
  readonly text: string;
  readonly segment: Segment;
}
interface Entry {
  readonly key: ObjectPath;
  readonly sinceMs: number;
  /** By the version that was removed. */
  readonly lines: Map<string, Line>;
}
export interface Segment {
  readonly number: number;
  /** Those that count, and those that a later line took the place of. */
  readonly texts: Set<string>;
  bytes: number;
  /** Lines that count. */
  live: number;
  /** Lines that its notes lack, or none that counts. */
  isDirty: boolean;
  /** Positions of the drives that have a note of it. */
  readonly holders: Set<number>;
}

export class DebtAccount {
  private readonly entries = new Map<string, Entry>();
  private readonly segments = new Map<number, Segment>();
  private current: Segment | null = null;
  private nextNumber = 1;
  /** Of all notes. */
  bytes = 0;
  /** Not everything is known: what the drive missed is to be found by comparison. */
  isIncomplete = false;
  /** A comparison is under way: what is missed from its beginning on is kept. */
  private isCompared = false;

  constructor(private readonly bytesMax: number) {}

  get keys(): number {
    return this.entries.size;
  }
  get oldestMs(): number | null {
    const first = this.entries.values().next();
    return first.done === true ? null : first.value.sinceMs;
  }
  has(name: string): boolean {
    return this.entries.has(name);
  }
  get(name: string): Owed | null {
    const entry = this.entries.get(name);
    return entry === undefined ? null : owedBy(entry);
  }
  names(): IterableIterator<string> {
    return this.entries.keys();
  }
  /** Oldest first. */
  all(): readonly Owed[] {
    return [...this.entries.values()].map(owedBy);
  }

  /** False: it would be more than may be kept, and everything was given up for a comparison. */
  add(missed: Missed): boolean {
    if (this.isIncomplete && !this.isCompared) return false;
    if (!this.isNews(missed)) return true;
    const text = textOf(missed);
    const bytes = Buffer.byteLength(text) + 1;
    if (this.bytes + bytes > this.bytesMax) {
      this.giveUp();
      return false;
    }
    const segment = this.segmentFor(bytes);
    segment.isDirty = true;
    this.take({ ...missed, text, segment }, bytes);
    return true;
  }

  /** Nothing of this key is owed any more that was missed up to `stamp`. */
  settled(name: string, stamp: Stamp): void {
    const entry = this.entries.get(name);
    if (entry === undefined) return;
    for (const line of entry.lines.values()) if (line.stamp <= stamp) this.drop(entry, line);
    if (entry.lines.size === 0) this.entries.delete(name);
  }

  /** Segments whose notes are to be written (text) or removed (null). */
  dirty(): readonly { readonly segment: Segment; readonly text: string | null }[] {
    return [...this.segments.values()]
      .filter(({ isDirty }) => isDirty)
      .map((segment) => ({ segment, text: segment.live === 0 ? null : noteText(segment.texts) }));
  }
  /** Lines wait to be written. */
  get isUnwritten(): boolean {
    return [...this.segments.values()].some(({ isDirty, live }) => isDirty && live > 0);
  }

  /** A segment whose notes were removed. */
  forget(segment: Segment): void {
    if (segment.live > 0) return;
    this.segments.delete(segment.number);
    this.bytes -= segment.bytes;
    if (this.current === segment) this.current = null;
  }

  /** Reads a note that a drive has; false = it is damaged. */
  load(number: number, text: string, holder: number): boolean {
    this.nextNumber = Math.max(this.nextNumber, number + 1);
    const lines = linesOf(text);
    if (lines === null) return false;
    const segment = this.segments.get(number) ?? this.newSegment(number);
    segment.holders.add(holder);
    this.segments.set(number, segment);
    for (const line of lines) {
      const missed = segment.texts.has(line) ? null : missedOf(line);
      if (missed === null) continue;
      const bytes = Buffer.byteLength(line) + 1;
      if (this.isNews(missed)) this.take({ ...missed, text: line, segment }, bytes);
    }
    if (segment.live === 0) segment.isDirty = true;
    return true;
  }

  /** A comparison will find, or has found, what is in it. */
  giveUp(): void {
    this.isIncomplete = true;
    this.isCompared = false;
    this.clear();
  }

  comparisonBegins(): void {
    this.isCompared = true;
  }
  /** Everything that was missed before it began was found. */
  comparisonEnds(): void {
    if (this.isCompared) this.isIncomplete = false;
    this.isCompared = false;
  }

  clear(): void {
    for (const entry of this.entries.values()) for (const line of entry.lines.values()) this.drop(entry, line);
    this.entries.clear();
  }

  private isNews({ key, stamp, removed }: Missed): boolean {
    const entry = this.entries.get(nameOf(key));
    if (entry === undefined) return true;
    const same = entry.lines.get(removed);
    if (same !== undefined) return same.stamp < stamp;
    return removed !== "" || [...entry.lines.values()].every((line) => line.stamp < stamp);
  }

  private take(line: Line, bytes: number): void {
    const { segment } = line;
    segment.texts.add(line.text);
    segment.bytes += bytes;
    segment.live++;
    this.bytes += bytes;
    const name = nameOf(line.key);
    const entry = this.entries.get(name) ?? { key: line.key, sinceMs: line.sinceMs, lines: new Map<string, Line>() };
    this.entries.set(name, entry);
    const before = entry.lines.get(line.removed);
    if (before !== undefined) this.drop(entry, before);
    // A line that says only that something was missed is said by any later one.
    const plain = entry.lines.get("");
    if (plain !== undefined && plain.stamp <= line.stamp) this.drop(entry, plain);
    entry.lines.set(line.removed, line);
  }

  private drop(entry: Entry, line: Line): void {
    entry.lines.delete(line.removed);
    line.segment.live--;
    if (line.segment.live === 0) line.segment.isDirty = true; // its notes go
  }

  private segmentFor(bytes: number): Segment {
    const { current } = this;
    if (current !== null && current.bytes + bytes <= SEGMENT_BYTES && current.live > 0) return current;
    const fresh = this.newSegment(this.nextNumber++);
    this.segments.set(fresh.number, fresh);
    this.current = fresh;
    return fresh;
  }

  private newSegment(number: number): Segment {
    return { number, texts: new Set(), bytes: 0, live: 0, isDirty: false, holders: new Set() };
  }
}

function owedBy({ key, sinceMs, lines }: Entry): Owed {
  let stamp = 0n;
  const removed = new Map<string, Stamp>();
  for (const line of lines.values()) {
    if (line.stamp > stamp) stamp = line.stamp;
    if (line.removed !== "") removed.set(line.removed, line.stamp);
  }
  return { key, stamp, removed, sinceMs };
}

function textOf({ key, stamp, sinceMs, removed }: Missed): string {
  return JSON.stringify([key.bucket, key.path, stamp.toString(), sinceMs, removed]);
}

function noteText(lines: Iterable<string>): string {
  let body = "";
  for (const line of lines) body += `${line}\n`;
  return `${body}${hashOf(body)}\n`;
}

/** Null: it is not what was written. */
function linesOf(text: string): readonly string[] | null {
  const end = text.lastIndexOf("\n", text.length - 2) + 1;
  const body = text.slice(0, end);
  return text.slice(end).trimEnd() === hashOf(body) ? body.split("\n").slice(0, -1) : null;
}

function hashOf(body: string): string {
  return `end ${(Bun.hash.xxHash64(body) as bigint).toString(16)}`;
}

function missedOf(line: string): Missed | null {
  const fields: unknown = JSON.parse(line); // the hash says that we wrote it
  if (!Array.isArray(fields)) return null;
  const [bucket, path, stamp, sinceMs, removed] = fields as unknown[];
  if (typeof bucket !== "string" || typeof path !== "string" || typeof stamp !== "string") return null;
  if (typeof removed !== "string" || !/^\d{1,20}$/.test(stamp)) return null;
  return { key: { bucket, path }, stamp: BigInt(stamp), sinceMs: Number(sinceMs), removed };
}
