/**
 * DriveUpkeep: what the care of a drive needs beside serving it: small durable notes of ours, comparison of its key index
 * with other drives and with its tree, what nothing refers to, and quarantine. Answers are values as in drive.ts.
 */
import type { DriveOutcome, ObjectPath } from "./drive.ts";

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
export interface IndexVerified {
  readonly keys: number;
  /** Rows that did not say what the tree says, and do now. */
  readonly repaired: number;
  readonly last: string | null;
}

export interface DataDirectory {
  /** ns since 1970; of its last entry that came or went. */
  readonly changedNs: bigint;
  /** Nothing but shard files in it. */
  readonly onlyParts: boolean;
}

export interface QuarantinedVersion {
  /** Name of its folder. */
  readonly id: string;
  readonly bucket: string;
  readonly path: string;
  readonly versionId: string;
  /** ns since 1970. */
  readonly modTimeNs: bigint;
  readonly movedNs: bigint;
  readonly dataDir: string;
  /** An xl.meta of this version alone. */
  readonly meta: Uint8Array;
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
  /** Looks at the next keys of the index in the tree, and corrects rows; null = no complete index. */
  verifyIndex(bucket: string, after: string, limit: number): Promise<DriveOutcome<IndexVerified | null>>;
  /** Keys that the tree shows: gives those a row that have none; how many there were. */
  indexMissing(bucket: string, paths: readonly string[]): Promise<DriveOutcome<number>>;
  /** Reads the whole file of the index; false = it is damaged, and is built anew. */
  checkIndex(): Promise<DriveOutcome<boolean>>;

  /** null = there is no such directory. */
  dataDirectory(key: ObjectPath, name: string): Promise<DriveOutcome<DataDirectory | null>>;
  /** Takes a directory that nothing refers to away, through the trash. */
  discardData(key: ObjectPath, name: string): Promise<DriveOutcome<void>>;
  /** Staged data and half-written files that nothing here knows, untouched since; how many there were. */
  sweepStaging(untouchedSinceNs: bigint): Promise<DriveOutcome<number>>;

  /** Keeps a version's metadata and data aside, durably; the key itself stays as it is. */
  quarantine(version: QuarantinedVersion): Promise<DriveOutcome<void>>;
  quarantined(): Promise<DriveOutcome<readonly QuarantinedVersion[]>>;
  quarantinedIds(): Promise<DriveOutcome<readonly string[]>>;
  /** The data of a quarantined version as staged data of `op`. */
  stageQuarantined(version: QuarantinedVersion, op: string): Promise<DriveOutcome<void>>;
  dropQuarantined(id: string): Promise<DriveOutcome<void>>;
}
