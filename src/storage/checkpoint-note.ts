/**
 * The checkpoint note of a commit log (docs/format.md §9): everything up to `sequence` is in the tree. Two slots are written
 * in turn, so that one is whole at any time. Slot, 64 bytes at 0 and 4096: magic, CRC32C of the rest, u64 counter,
 * u64 sequence, u64 floor, u32 flags (1 = clean: the log is empty), 16 bytes session, u32 segment, u32 offset, u32 mark.
 */
import { type Disk, Errno, step } from "../sys/disk.ts";
import type { Stamp } from "./drive.ts";
import { crc32c } from "./log-record.ts";
import { uuidBytes, uuidText } from "./uuid.ts";

const MAGIC = 0x4b_43_48_53; // "SHCK"
const SLOT_BYTES = 64;
const SLOT_STRIDE = 4096;
const CLEAN = 1;
const FILE_BYTES = SLOT_STRIDE + SLOT_BYTES;

export interface CheckpointNote {
  readonly sequence: number;
  /** Every key that the log does not know has promised at least this. */
  readonly floor: Stamp;
  /** Nothing after `sequence` was ever written. */
  readonly isClean: boolean;
  /** UUID; names the marker that shows whether another program used the drive since. */
  readonly session: string;
  /** Where the record after `sequence` stands, or the segment and offset that would be written next; -1 = none yet. */
  readonly segment: number;
  readonly offset: number;
  /** Secret of the log, in each of its records; 0 = a log from before there were marks. */
  readonly mark: number;
}

export class NoteFile {
  private counter = 0;

  constructor(
    private readonly disk: Disk,
    private readonly path: string,
  ) {}

  /** Null: there is none. A number: the errno of the drive; "damaged": there is one, and neither slot is whole. */
  async read(): Promise<CheckpointNote | null | number | "damaged"> {
    const bytes = new Uint8Array(new ArrayBuffer(2 * SLOT_STRIDE));
    const { error, results } = await this.disk.run([step.readFile(this.path, bytes)], true);
    if (error === Errno.ENOENT) return null;
    if (error !== 0) return error;
    let best: CheckpointNote | null = null;
    for (const at of [0, SLOT_STRIDE]) {
      const slot = parseSlot(bytes.subarray(at, at + SLOT_BYTES));
      if (slot === null || slot.counter <= this.counter) continue;
      this.counter = slot.counter;
      best = slot.note;
    }
    if (best !== null) return best;
    const written = bytes.subarray(0, results[0]).some((byte) => byte !== 0);
    return written ? "damaged" : null;
  }

  /** Durable when it answers; the errno, 0 = none. The name of a new file becomes durable with the caller's next sync. */
  async write(note: CheckpointNote): Promise<number> {
    this.counter++;
    const slot = writeSlot(this.counter, note);
    const at = (this.counter % 2) * SLOT_STRIDE;
    const { error } = await this.disk.run([step.openAppend(this.path), step.pwrite(slot, at), step.fdatasync()]);
    return error;
  }
}

function writeSlot(counter: number, note: CheckpointNote): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(FILE_BYTES), 0, SLOT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setBigUint64(8, BigInt(counter), true);
  view.setBigUint64(16, BigInt(note.sequence), true);
  view.setBigUint64(24, note.floor, true);
  view.setUint32(32, note.isClean ? CLEAN : 0, true);
  bytes.set(uuidBytes(note.session), 36);
  view.setInt32(52, note.segment, true);
  view.setUint32(56, note.offset, true);
  view.setUint32(60, note.mark, true);
  view.setUint32(4, crc32c(bytes.subarray(8)), true);
  return bytes;
}

function parseSlot(bytes: Uint8Array): { readonly counter: number; readonly note: CheckpointNote } | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC || view.getUint32(4, true) !== crc32c(bytes.subarray(8))) return null;
  return {
    counter: Number(view.getBigUint64(8, true)),
    note: {
      sequence: Number(view.getBigUint64(16, true)),
      floor: view.getBigUint64(24, true),
      isClean: (view.getUint32(32, true) & CLEAN) !== 0,
      session: uuidText(bytes.subarray(36, 52)),
      segment: view.getInt32(52, true),
      offset: view.getUint32(56, true),
      mark: view.getUint32(60, true),
    },
  };
}
