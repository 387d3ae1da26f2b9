/**
 * Drive: one drive, wherever it is: the contract that every implementation passes (test/contract). Every method ends
 * with a value: a drive that fails is an answer. Mutations are durable when they answer, except where a comment says so.
 * Protocol of commit, settle, restore, fence and help: engine.md §1-3. Stamps and times are ns since 1970 (bigint).
 */
import type { Outcome } from "../core/fan-out.ts";
import { OperatingError } from "../core/errors.ts";
import type { DriveUpkeep } from "./drive-upkeep.ts";
import type { IndexListRequest, IndexPage } from "./index-list.ts";
import type { BucketUsage } from "./usage.ts";
import type { XlHeader } from "./xl-meta-header.ts";
import type { XlMeta } from "./xl-meta.ts";

export type DriveErrorCode =
  | "Io" // EIO and what else a broken drive says
  | "NoSpace"
  | "ReadOnly"
  | "Timeout"
  | "Faulty" // taken out of use by its guard
  | "NotFound" // bucket, file or upload that must exist
  | "Corrupt" // bytes that are not what was written
  | "Exists"
  | "NotEmpty"
  | "Denied"; // EACCES, a file where a directory should be
export class DriveError extends OperatingError<DriveErrorCode> {
  /** Of a call that was given up while the drive still holds the caller's buffers: resolves when it lets them go. */
  letsGo: Promise<void> | null = null;
}
export type DriveOutcome<T> = Outcome<T, DriveError>;

/** When the drive has done with the caller's memory, though it answered before. */
export function letGo(outcome: DriveOutcome<unknown>): Promise<void> | undefined {
  return outcome.ok ? undefined : (outcome.error.letsGo ?? undefined);
}

export type DriveState = "ok" | "suspect" | "faulty";
export type Stamp = bigint;

export interface ObjectPath {
  readonly bucket: string;
  /** Encoded: `__XLDIR__` instead of a trailing slash. */
  readonly path: string;
  /** Both with a slash between, if it is known: one text for all drives that the key lies on. */
  readonly name?: string;
}

/** Bucket and path: what locks and maps know a key by. */
export function nameOf({ name, bucket, path }: ObjectPath): string {
  return name ?? `${bucket}/${path}`;
}

/** What a drive holds for one key. */
export interface KeyState {
  /** xl.meta, or null = absent. */
  readonly meta: Uint8Array | null;
  readonly stamp: Stamp;
  /** Set while `stamp` is in doubt: what it replaced. */
  readonly prev: { readonly meta: Uint8Array | null; readonly stamp: Stamp } | null;
  readonly promised: Stamp;
}

/** Where the data directory of a new version comes from. */
export type DataSource =
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  | { readonly kind: "none" }
  /** Made by stage or stageWhole. */
  | { readonly kind: "staged"; readonly op: string }
  /** multipart/<…>/<dataDir>: an upload; parts not listed are removed before. */
  | { readonly kind: "upload"; readonly path: string; readonly keepParts: readonly number[] };

export interface PutChange {
  readonly kind: "put";
  readonly body: Uint8Array;
  /** The body's, computed once for all drives. */
  readonly header: XlHeader;
  readonly versionId: string;
  readonly dataDir: string;
  readonly data: DataSource;
  /** The same for a key that has nothing else; absent = to be encoded from `body`. */
  readonly alone?: LoneVersion;
}
/** A whole xl.meta with one version: its bytes are made where they are to lie. */
export interface LoneVersion {
  readonly length: number;
  writeTo(target: Uint8Array, at: number): void;
  /** Without inline data: for who follows the changes. */
  readonly parsed: XlMeta;
}
export type Change =
  | PutChange
  | { readonly kind: "delete-version"; readonly versionId: string }
  | {
      readonly kind: "patch";
      readonly versionId: string;
      readonly metaUsr: ReadonlyMap<string, string | null>;
      readonly metaSys: ReadonlyMap<string, Uint8Array | null>;
    }
  /** The whole key as it stands elsewhere (heal): replaces xl.meta, or removes it if no version is left; data directories listed are taken from those staged. */
  | { readonly kind: "replace"; readonly meta: Uint8Array; readonly op: string; readonly dataDirs: readonly string[] };

export interface CommitTerms {
  readonly stamp: Stamp;
  /** The drive must still hold this stamp; null = whatever is there. */
  readonly prior: Stamp | null;
  /** Stamps known to be committed. */
  readonly settles: readonly Stamp[];
  /** A put may begin from nothing where the xl.meta cannot be read. Without it that is Corrupt, and nothing is changed. */
  readonly overDamage?: boolean;
}
export type CommitAnswer =
  | { readonly accepted: true }
  | { readonly accepted: false; readonly reason: "stale" | "doubt" | "prior" | "missing"; readonly stamp: Stamp };

/** Who waits for a drive's answer to one commit. */
export interface CommitWaiter {
  answered(outcome: DriveOutcome<CommitAnswer>): void;
}

export interface FenceAnswer {
  readonly promised: boolean;
  readonly state: KeyState;
}

export interface ShardWriter {
  /**
   * Appends the frame that starts `lead` bytes into `region`; `lead` is its offset in the file modulo 4096, and those bytes are the
   * drive's to fill with the end of what came before, so that it can write whole pages without a copy. The region stays
   * untouched by others until it answers. Not synced.
   */
  append(region: Uint8Array, lead: number): Promise<DriveOutcome<void>>;
  /** Synced when it answers. */
  close(): Promise<DriveOutcome<void>>;
  /** Gives up: closes without sync. The staged file stays until `unstage`. */
  abort(): Promise<void>;
}

export interface Frame {
  /** 32-byte hash and then the shard bytes: filled by the drive. */
  readonly slot: Uint8Array;
  readonly offset: number;
}
export interface ShardFile extends ObjectPath {
  readonly dataDir: string;
  readonly part: number;
}

export interface DirectoryEntry {
  readonly name: string;
  readonly isDirectory: boolean;
}
export interface DriveSpace {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly usedBytes: number;
  readonly freeInodes: number;
  readonly totalInodes: number;
}
/** Part numbers, both ends included. */
export interface PartNumbers {
  readonly first: number;
  readonly last: number;
}

export interface Drive {
  /** UUID in format.json. */
  readonly id: string;
  /** Endpoint as the operator wrote it. */
  readonly endpoint: string;
  readonly state: DriveState;

  /** What its care needs beside serving it. */
  readonly upkeep: DriveUpkeep;

  space(): Promise<DriveOutcome<DriveSpace>>;

  makeBucket(bucket: string): Promise<DriveOutcome<void>>;
  /** Fails with NotEmpty while anything but empty directories is in it. */
  removeBucket(bucket: string): Promise<DriveOutcome<void>>;
  listBuckets(): Promise<DriveOutcome<readonly { readonly name: string; readonly createdNs: bigint }[]>>;

  /** A file part.N of a data directory, invisible until a commit takes the directory; open for appending. */
  stage(op: string, dataDir: string, part: number): Promise<DriveOutcome<ShardWriter>>;
  /** The same in one step; durable at the latest when the commit that takes it answers. */
  stageWhole(op: string, dataDir: string, part: number, bytes: Uint8Array): Promise<DriveOutcome<void>>;
  /** Removes what is staged and no commit took; where one is under way, when that has ended. */
  unstage(op: string): Promise<DriveOutcome<void>>;

  read(key: ObjectPath): Promise<DriveOutcome<KeyState>>;
  /** The same at once, if it is in memory, the kernel's too; null = `read` it, whatever the reason. */
  readNow(key: ObjectPath): KeyState | null;
  /**
   * What `read` would give of a key with nothing in doubt, if it is in memory, the kernel's too: its xl.meta into `into`, at once. How
   * many bytes; not above 0 = `read` it, whatever the reason: it is absent, in doubt, larger than `into`, or has to be waited for.
   */
  copyNow(key: ObjectPath, into: Uint8Array): number;
  commit(key: ObjectPath, change: Change, terms: CommitTerms): Promise<DriveOutcome<CommitAnswer>>;
  /**
   * The same where nothing is held against the change and nothing but its record's way to the drive takes time, as nearly always: `waiter`
   * is told of that, later. False: it is not so, and nothing was done that is not true anyway: `commit` it.
   */
  commitNow(key: ObjectPath, change: Change, terms: CommitTerms, waiter: CommitWaiter): boolean;
  /** Not synced. */
  settle(key: ObjectPath, stamp: Stamp): Promise<DriveOutcome<void>>;
  fence(key: ObjectPath, stamp: Stamp): Promise<DriveOutcome<FenceAnswer>>;
  /** Puts back what the doubtful `expect` replaced; true if it is not there (any more). */
  restore(key: ObjectPath, stamp: Stamp, expect: Stamp): Promise<DriveOutcome<boolean>>;
  /** Takes `change` at `stamp`, which may have been acknowledged, under the fence `fence`. */
  help(key: ObjectPath, fence: Stamp, stamp: Stamp, change: Change): Promise<DriveOutcome<boolean>>;
  /** Keys with an operation in doubt here. */
  doubts(): readonly ObjectPath[];

  /** Reads and checks frames of one shard file; Corrupt if any hash is wrong or the file is short. */
  readFrames(file: ShardFile, frames: readonly Frame[]): Promise<DriveOutcome<void>>;
  /** Size of a shard file; null = absent. */
  shardSize(file: ShardFile): Promise<DriveOutcome<number | null>>;

  /** Keys in order, as its index has them; null = it has none that is complete: walk the directories. */
  list(request: IndexListRequest): Promise<DriveOutcome<IndexPage | null>>;
  /** What the drive holds of a bucket, exactly; null = it has no complete index. */
  usage(bucket: string): Promise<DriveOutcome<BucketUsage | null>>;
  /** Names in a directory of a bucket ("" = its root); NotFound if it is not there. */
  readDirectory(bucket: string, path: string): Promise<DriveOutcome<readonly DirectoryEntry[]>>;
  /** `read` and the directories below the key in one step, for listings; an absent key has none. */
  look(key: ObjectPath): Promise<DriveOutcome<{ readonly state: KeyState; readonly directories: readonly string[] }>>;
  /**
   * Small files of the part records of an upload: number -> bytes of part.N.meta (parts without part.N are left out).
   * `only`: of these numbers.
   */
  readParts(
    uploadPath: string,
    dataDir: string,
    only?: PartNumbers,
  ): Promise<DriveOutcome<ReadonlyMap<number, Uint8Array>>>;
  /** Moves the staged part.1 of `op` into an upload and writes its record, replacing an older one by rename. */
  putPart(request: {
    readonly op: string;
    readonly uploadPath: string;
    readonly dataDir: string;
    readonly part: number;
    readonly meta: Uint8Array;
  }): Promise<DriveOutcome<void>>;
  /** Removes an upload's directory (to trash) and its empty parent; after a commit under way that takes its data out of it. */
  removeUpload(uploadPath: string): Promise<DriveOutcome<void>>;
}
