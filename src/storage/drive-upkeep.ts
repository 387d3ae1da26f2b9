/**
 * DriveUpkeep: what the care of a drive needs beside serving it: small durable notes of ours, and comparison of its key
 * index with those of other drives. Answers are values as in drive.ts.
 */
import type { DriveOutcome } from "./drive.ts";

export interface IndexRangeAsked {
  readonly bucket: string;
  /** Keys after this one, as clients write them. */
  readonly after: string;
  /** Up to and with this one; null = as far as `limit` reaches. */
  readonly last: string | null;
  readonly limit: number;
}
export interface IndexRangeAnswer {
  /** Over what must be the same on every drive. */
  readonly hash: bigint;
  readonly keys: number;
  /** Where it stopped; null = nothing comes after. */
  readonly last: string | null;
  /** Key -> hash of its row; only when asked for. */
  readonly rows: ReadonlyMap<string, bigint> | null;
}
export interface DriveUpkeep {
  /** A note by its name, `a/b`; null = there is none. */
  readNote(name: string): Promise<DriveOutcome<Uint8Array | null>>;
  /** Whole or not at all; null removes. Its bytes are synced, its name with the next sync of the file system, or now. */
  writeNote(name: string, bytes: Uint8Array | null, isUrgent: boolean): Promise<DriveOutcome<void>>;
  /** Names of the notes in a folder of notes. */
  noteNames(folder: string): Promise<DriveOutcome<readonly string[]>>;

  /** null = no complete index. */
  indexRange(asked: IndexRangeAsked, withRows: boolean): Promise<DriveOutcome<IndexRangeAnswer | null>>;
}
