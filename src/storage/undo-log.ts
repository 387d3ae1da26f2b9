/**
 * UndoLog: what each commit replaced, kept on the drive until the commit is settled: `.minio.sys/sherd/undo/{a,b}`.
 * Records are appended before the rename and become durable with the commit's first sync. A segment is written again
 * from its start once none of its records is live; stale records do no harm, since one counts only while the key's
 * xl.meta still is exactly what the record says the commit wrote. That does not tell a settled removal, whose key is as absent
 * on a drive that lost its record: such a record gets another magic when it is settled, or drives that still have theirs
 * would be taken for a minority and undo it.
 * Record: u32 magic, u32 length, u32 CRC32 of the rest, then u32 header length, JSON header, before-image.
 */
import { crc32 } from "node:zlib";
import { type Disk, Errno, type Step, step } from "../sys/disk.ts";
import type { Stamp } from "./drive.ts";

const MAGIC = 0x31_4e_55_53;
const MAGIC_SETTLED = 0x32_4e_55_53;
const SETTLED = new Uint8Array(new ArrayBuffer(1024)).subarray(0, 4);
new DataView(SETTLED.buffer).setUint32(0, MAGIC_SETTLED, true);
const PREFIX_BYTES = 16;
const SEGMENT_BYTES = 4 * 1024 * 1024;

/** A data directory that a commit brought. */
export interface NewDirectory {
  readonly name: string;
  /** Where it came from. */
  readonly from: string;
  /** Of an upload: the parts to keep once settled; null = not of an upload. */
  readonly keepParts: readonly number[] | null;
}

export interface UndoRecord {
  readonly bucket: string;
  readonly path: string;
  readonly stamp: Stamp;
  /** xl.meta before; null = absent. */
  readonly prevMeta: Uint8Array | null;
  readonly prevStamp: Stamp;
  /** XXH64 of the xl.meta that the commit wrote; 0 = it removed the key. */
  readonly wrote: bigint;
  /** Data directory that the commit brought, and those that it makes unreferenced. */
  readonly newDirs: readonly NewDirectory[];
  readonly oldDirs: readonly string[];
}
export interface LoadedRecord extends UndoRecord {
  readonly settled: boolean;
}
interface Segment {
  readonly file: string;
  offset: number;
  live: number;
}
export interface UndoTicket {
  /** The steps that mark the record as settled; durable with a later sync. */
  settled(): readonly Step[];
  release(): void;
}

export function fingerprint(meta: Uint8Array | null): bigint {
  return meta === null ? 0n : (Bun.hash.xxHash64(meta) as bigint);
}

export class UndoLog {
  private readonly segments: readonly [Segment, Segment];
  private active = 0;
  private readonly waiting: { readonly bytes: Uint8Array; resolve(result: UndoTicket | number): void }[] = [];
  private writing: Promise<void> | null = null;

  constructor(
    private readonly disk: Disk,
    directory: string,
  ) {
    this.segments = [
      { file: `${directory}/a`, offset: 0, live: 0 },
      { file: `${directory}/b`, offset: 0, live: 0 },
    ];
  }

  /** Reads what a previous run left; both segments start anew after the caller has dealt with it. `error`: errno, 0 = none. */
  async load(): Promise<{ readonly error: number; readonly records: readonly LoadedRecord[] }> {
    const records: LoadedRecord[] = [];
    for (const segment of this.segments) {
      const { error, bytes } = await this.readSegment(segment.file);
      if (error !== 0) return { error, records };
      records.push(...parse(bytes));
    }
    return { error: 0, records };
  }

  /** Empties both segments; nothing may be in doubt. */
  async clear(): Promise<void> {
    for (const segment of this.segments) {
      if (segment.live === 0) await this.disk.run([step.openAppend(segment.file), step.truncate(0)], true);
    }
  }

  /**
   * Appends a record, durable with the next sync: a ticket to release when it is settled, or the errno. Records that come
   * while one is written go together after it: what lies before a record in its segment is always written before it, so
   * that reading from the start finds every record whose sync ended.
   */
  append(record: UndoRecord): Promise<UndoTicket | number> {
    return new Promise((resolve) => {
      this.waiting.push({ bytes: serialize(record), resolve });
      this.writing ??= this.write();
    });
  }

  private async write(): Promise<void> {
    for (let batch = this.waiting.splice(0); batch.length > 0; batch = this.waiting.splice(0)) {
      const segment = this.choose();
      const at = segment.offset;
      const bytes = joined(batch.map((one) => one.bytes));
      segment.live += batch.length;
      const { error } = await this.disk.run(
        [step.openAppend(segment.file), step.pwrite(bytes, at), step.close()],
        true,
      );
      if (error === 0) segment.offset = at + bytes.length;
      else segment.live -= batch.length;
      let own = at;
      for (const one of batch) {
        one.resolve(error === 0 ? ticketOf(segment, own) : error);
        own += one.bytes.length;
      }
    }
    this.writing = null;
  }

  private choose(): Segment {
    const other = this.segments[1 - this.active] as Segment;
    if ((this.segments[this.active] as Segment).offset > SEGMENT_BYTES && other.live === 0) {
      this.active = 1 - this.active;
      other.offset = 0;
    }
    return this.segments[this.active] as Segment;
  }

  private async readSegment(file: string): Promise<{ readonly error: number; readonly bytes: Uint8Array }> {
    for (let room = SEGMENT_BYTES; ; ) {
      const buffer = new Uint8Array(new ArrayBuffer(room));
      const { error, results } = await this.disk.run([step.readFile(file, buffer)]);
      const size = results[0] ?? 0;
      if (error === 0) return { error, bytes: buffer.subarray(0, size) };
      if (error !== Errno.E2BIG) return { error: error === Errno.ENOENT ? 0 : error, bytes: new Uint8Array(0) };
      room = size + 1;
    }
  }
}

function ticketOf(segment: Segment, at: number): UndoTicket {
  let released = false;
  return {
    settled: () => (released ? [] : [step.openAppend(segment.file), step.pwrite(SETTLED, at), step.close()]),
    release() {
      if (released) return;
      released = true;
      segment.live--;
      if (segment.live === 0) segment.offset = 0;
    },
  };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array;
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  const out = new Uint8Array(new ArrayBuffer(Math.max(total, 1024))).subarray(0, total);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function serialize(record: UndoRecord): Uint8Array {
  const header = Buffer.from(
    JSON.stringify({
      bucket: record.bucket,
      path: record.path,
      stamp: record.stamp.toString(),
      prevStamp: record.prevStamp.toString(),
      wrote: record.wrote.toString(),
      absent: record.prevMeta === null,
      newDirs: record.newDirs,
      oldDirs: record.oldDirs,
    }),
  );
  const prev = record.prevMeta ?? new Uint8Array(0);
  const total = PREFIX_BYTES + header.length + prev.length;
  const out = Buffer.from(new ArrayBuffer(Math.max(total, 1024))).subarray(0, total);
  out.writeUInt32LE(MAGIC, 0);
  out.writeUInt32LE(total, 4);
  out.writeUInt32LE(header.length, 12);
  header.copy(out, PREFIX_BYTES);
  out.set(prev, PREFIX_BYTES + header.length);
  out.writeUInt32LE(crc32(out.subarray(12)), 8);
  return out;
}

function parse(bytes: Uint8Array): LoadedRecord[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: LoadedRecord[] = [];
  for (let at = 0; at + PREFIX_BYTES <= view.length; ) {
    const total = view.readUInt32LE(at + 4);
    const magic = view.readUInt32LE(at);
    if ((magic !== MAGIC && magic !== MAGIC_SETTLED) || total < PREFIX_BYTES || at + total > view.length) break;
    const record = view.subarray(at, at + total);
    if (crc32(record.subarray(12)) !== record.readUInt32LE(8)) break;
    const headerBytes = record.readUInt32LE(12);
    if (PREFIX_BYTES + headerBytes > total) break;
    const h = JSON.parse(record.toString("utf8", PREFIX_BYTES, PREFIX_BYTES + headerBytes)) as Record<string, unknown>;
    found.push({
      settled: magic === MAGIC_SETTLED,
      bucket: String(h["bucket"]),
      path: String(h["path"]),
      stamp: BigInt(String(h["stamp"])),
      prevStamp: BigInt(String(h["prevStamp"])),
      wrote: BigInt(String(h["wrote"])),
      prevMeta: h["absent"] === true ? null : new Uint8Array(record.subarray(PREFIX_BYTES + headerBytes)),
      newDirs: h["newDirs"] as NewDirectory[],
      oldDirs: h["oldDirs"] as string[],
    });
    at += total;
  }
  return found;
}
