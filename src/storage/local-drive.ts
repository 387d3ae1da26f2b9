/**
 * LocalDrive: the Drive contract on a mounted directory in MinIO's layout. Commits are LogCommit's, paths DriveFiles'.
 * Every call is one or a few tasks of the native pool; nothing here blocks the JavaScript thread.
 */
import { bad, good } from "../core/fan-out.ts";
import { type Disk, Errno, Ignore, PAGE_BYTES, type Step, step } from "../sys/disk.ts";
import { DirectWriter } from "./direct-writer.ts";
import type { Clock } from "../sys/clock.ts";
import type { Rng } from "../sys/rng.ts";
import type {
  Change,
  CommitAnswer,
  CommitTerms,
  CommitWaiter,
  DirectoryEntry,
  Drive,
  DriveError,
  DriveOutcome,
  DriveSpace,
  DriveState,
  FenceAnswer,
  Frame,
  KeyState,
  ObjectPath,
  PartNumbers,
  ShardFile,
  ShardWriter,
  Stamp,
} from "./drive.ts";
import type { CommitSink } from "./commit-sink.ts";
import { DriveFiles, SYSTEM_BUCKET } from "./drive-files.ts";
import { DriveIndex, type IndexOptions } from "./drive-index.ts";
import { DriveUploads } from "./drive-uploads.ts";
import type { GroupSync } from "./group-sync.ts";
import { LocalUpkeep } from "./local-upkeep.ts";
import type { Tree } from "./index-build.ts";
import type { IndexListRequest, IndexPage } from "./index-list.ts";
import { DriveLog, LOG_DEFAULTS, type LogOptions } from "./drive-log.ts";
import { decodeKey, isBucketDirectory } from "./paths.ts";
import type { BucketUsage } from "./usage.ts";

/** Below it the page cache is cheaper. */
const DIRECT_BYTES_MIN = 64 * 1024;

export interface LocalDriveOptions {
  readonly id: string;
  readonly root: string;
  readonly endpoint: string;
  readonly disk: Disk;
  readonly rng: Rng;
  readonly clock: Clock;
  /** One per file system. */
  readonly groupSync: GroupSync;
  readonly log?: LogOptions;
  /** null = no key index: listings walk. */
  readonly index?: IndexOptions | null;
  /** Told of the changes instead of an index. */
  readonly changes?: CommitSink;
  readonly warn: (message: string) => void;
}

export interface LogStats {
  readonly usedBytes: number;
  readonly totalBytes: number;
  readonly usedFraction: number;
  readonly syncs: number;
  readonly records: number;
  /** Keys brought into the tree so far, and those that only the log has. */
  readonly applied: number;
  readonly waiting: number;
  readonly checkpointAgeSeconds: number;
  readonly failures: number;
  readonly isWritable: boolean;
}

export class LocalDrive implements Drive {
  readonly id: string;
  readonly endpoint: string;
  readonly upkeep: LocalUpkeep;
  private readonly disk: Disk;
  private readonly groupSync: GroupSync;
  private readonly clock: Clock;
  /** Operation -> data directories that were staged and not yet given up. What a crash left is swept at the next start. */
  private readonly staged = new Map<string, Set<string>>();
  /** Operations whose commit is under way: a sweep leaves what they staged. */
  private readonly committing = new Set<string>();
  /** Those of them that were given up meanwhile: nobody waits for this drive's commit any more. */
  private readonly givenUp = new Set<string>();
  private readonly uploads: DriveUploads;

  private constructor(
    options: LocalDriveOptions,
    private readonly files: DriveFiles,
    private readonly log: DriveLog,
    private readonly index: DriveIndex | null,
  ) {
    this.id = options.id;
    this.endpoint = options.endpoint;
    this.disk = options.disk;
    this.groupSync = options.groupSync;
    this.upkeep = new LocalUpkeep({
      files,
      groupSync: options.groupSync,
      index,
      read: (key) => this.read(key),
      isWanted: (op) => this.staged.has(op) || this.committing.has(op) || this.log.awaits(op),
    });
    this.clock = options.clock;
    this.uploads = new DriveUploads({ files, log, disk: options.disk, groupSync: options.groupSync });
  }

  /** Replays the commit log, puts away what a previous run staged, makes the system directories. */
  static async open(options: LocalDriveOptions): Promise<DriveOutcome<LocalDrive>> {
    const { root, endpoint, disk, rng, clock, groupSync, warn } = options;
    const files = new DriveFiles(disk, root, endpoint, rng);
    const size = options.log ?? LOG_DEFAULTS;
    const holder: { drive: LocalDrive | null } = { drive: null };
    const index =
      options.index == null
        ? null
        : new DriveIndex({
            ...options.index,
            disk,
            root,
            endpoint,
            newIdentity: () => rng.uuid(),
            tree: treeOf(files, () => holder.drive as LocalDrive),
          });
    await index?.readMark(); // before tmp is put away
    const log = await DriveLog.open({
      files,
      disk,
      rng,
      clock,
      groupSync,
      warn,
      size,
      changes: options.changes ?? index,
    });
    if (!log.ok) return log;
    holder.drive = new LocalDrive(options, files, log.value, index);
    await index?.begin();
    return good(holder.drive);
  }

  /** "suspect": it reads, but takes no writes; `writeFailure` says why. */
  get state(): DriveState {
    return this.log.log.failure === null ? "ok" : "suspect";
  }
  get writeFailure(): DriveError | null {
    return this.log.log.failure;
  }
  /** Figures of the commit log, for the metrics. */
  logStats(): LogStats {
    const { log, apply, overlay, health } = this.log;
    return {
      ...log.size,
      syncs: log.syncs,
      records: log.records,
      applied: apply.applied,
      waiting: overlay.size,
      usedFraction: log.usedFraction,
      checkpointAgeSeconds: (this.clock.elapsedMs() - apply.checkpointMs) / 1000,
      failures: health.failures,
      isWritable: health.failure === null,
    };
  }

  /** Removes what `open` put away; may take long. */
  async sweep(): Promise<DriveOutcome<void>> {
    const { error } = await this.disk.run([step.removeTree(`${this.files.root}/${SYSTEM_BUCKET}/tmp-old`, Ignore.any)]);
    return this.files.outcome("sweep tmp-old", error);
  }

  /** Brings what the commit log holds into the tree; true if it holds nothing any more. */
  flush(): Promise<boolean> {
    return this.log.drain();
  }

  /** A clean stop: everything is in the tree, and another program may use the drive. */
  async close(): Promise<void> {
    await this.log.close();
    await this.index?.close();
  }

  /** Resolves when no key index is being built. */
  async indexed(): Promise<void> {
    await this.index?.settled();
  }

  space(): Promise<DriveOutcome<DriveSpace>> {
    return this.files.space();
  }

  // ---- buckets

  async makeBucket(bucket: string): Promise<DriveOutcome<void>> {
    const refusal = await this.log.health.refusal();
    if (refusal !== null) return bad(refusal);
    const { error } = await this.disk.run([step.mkdir(this.files.bucketDirectory(bucket))]);
    if (error !== 0) return this.files.outcome(`make bucket ${bucket}`, error);
    return this.files.outcome("sync", await this.groupSync.sync());
  }

  /** By rmdir alone, from the bottom up: what a commit puts in meanwhile stays, or the commit finds no bucket. */
  async removeBucket(bucket: string): Promise<DriveOutcome<void>> {
    const { gate, overlay, apply, log } = this.log;
    const refusal = await this.log.health.refusal();
    if (refusal !== null) return bad(refusal);
    using closed = await gate.close(bucket);
    if (closed === null) return this.files.outcome(`remove bucket ${bucket}`, Errno.ENOENT);
    const entries = overlay.inBucket(bucket); // a delete in doubt counts as done: its bucket's removal takes it along
    if (entries.some((entry) => entry.image !== null))
      return this.files.outcome(`remove bucket ${bucket}`, Errno.ENOTEMPTY);
    const applied = await apply.applyNow(entries);
    if (applied !== null) return bad(applied);
    // What the log says of the bucket's keys ends here: a bucket of the same name starts empty.
    const dropped = await log.appendUrgent({ type: "dropBucket", bucket }, ({ sequence }) => {
      for (const entry of overlay.inBucket(bucket)) overlay.drop(entry);
      this.index?.dropped(sequence, bucket);
    });
    if (dropped !== null) return bad(dropped);
    gate.forget(bucket);
    const error = await this.removeEmpty(this.files.bucketDirectory(bucket));
    if (error !== 0) return this.files.outcome(`remove bucket ${bucket}`, error);
    return this.files.outcome("sync", await this.groupSync.sync());
  }

  /** Removes a directory in which there are at most empty ones; errno. */
  private async removeEmpty(directory: string): Promise<number> {
    const { error } = await this.disk.run([step.rmdir(directory)], true);
    if (error !== Errno.ENOTEMPTY && error !== Errno.EEXIST) return error;
    const entries = await this.files.readDirectory(directory);
    if (!entries.ok || entries.value.some((e) => !e.isDirectory)) return Errno.ENOTEMPTY;
    for (const { name } of entries.value) {
      const below = await this.removeEmpty(`${directory}/${name}`);
      if (below !== 0 && below !== Errno.ENOENT) return below;
    }
    return (await this.disk.run([step.rmdir(directory)], true)).error;
  }

  async listBuckets(): Promise<DriveOutcome<readonly { name: string; createdNs: bigint }[]>> {
    const entries = await this.files.readDirectory(this.files.root);
    if (!entries.ok) return entries;
    if (!entries.value.some((e) => e.name === SYSTEM_BUCKET)) {
      const absent = await this.files.absent();
      if (!absent.ok) return absent;
    }
    const names = entries.value.filter((e) => e.isDirectory && e.name !== SYSTEM_BUCKET).map((e) => e.name);
    const stats = names.map(() => new BigUint64Array(new ArrayBuffer(1024)));
    const steps = names.map((name, i) =>
      step.stat(this.files.bucketDirectory(name), new Uint8Array((stats[i] as BigUint64Array).buffer), Ignore.any),
    );
    for (let at = 0; at < steps.length; at += 64) await this.disk.run(steps.slice(at, at + 64), true);
    return good(names.map((name, i) => ({ name, createdNs: stats[i]?.[1] ?? 0n })));
  }

  // ---- staging

  async stage(op: string, dataDir: string, part: number): Promise<DriveOutcome<ShardWriter>> {
    const directory = this.stageDirectory(op, dataDir);
    const made = await this.disk.run(
      [step.mkdir(directory, Ignore.eexist), step.openDirect(`${directory}/part.${part}`), step.keep()],
      true,
    );
    if (made.error !== 0) return bad(this.files.error(`stage ${op}`, made.error));
    return good(
      new DirectWriter(this.disk, made.results[2] as number, (error) => this.files.outcome(`write ${op}`, error)),
    );
  }

  async stageWhole(op: string, dataDir: string, part: number, bytes: Uint8Array): Promise<DriveOutcome<void>> {
    const directory = this.stageDirectory(op, dataDir);
    const made = step.mkdir(directory, Ignore.eexist);
    const path = `${directory}/part.${part}`;
    if (bytes.length < DIRECT_BYTES_MIN) {
      const { error } = await this.disk.run([made, step.writeFile(path, bytes)]);
      return this.files.outcome(`stage ${op}`, error);
    }
    const tail = new Uint8Array(new ArrayBuffer(PAGE_BYTES));
    const left = bytes.length % PAGE_BYTES;
    const { error } = await this.disk.run([
      made,
      step.openDirect(path),
      step.append(bytes, 0, { tail, offset: 0 }),
      step.flush(tail, left, bytes.length - left),
    ]);
    return this.files.outcome(`stage ${op}`, error);
  }

  private stageDirectory(op: string, dataDir: string): string {
    const known = this.staged.get(op);
    if (known === undefined) this.staged.set(op, new Set([dataDir]));
    else known.add(dataDir);
    return this.files.stageDirectory(op, dataDir);
  }

  async unstage(op: string): Promise<DriveOutcome<void>> {
    if (this.committing.has(op)) {
      this.givenUp.add(op);
      return good(undefined);
    }
    const steps = [...(this.staged.get(op) ?? [])].map((dir) => step.removeTree(this.files.stageDirectory(op, dir)));
    this.staged.delete(op);
    if (steps.length === 0) return good(undefined);
    const { error } = await this.disk.run(steps, true);
    return this.files.outcome(`unstage ${op}`, error);
  }

  // ---- the commit protocol

  read(key: ObjectPath): Promise<DriveOutcome<KeyState>> {
    return this.log.commits.read(key);
  }
  readNow(key: ObjectPath): KeyState | null {
    return this.log.commits.readNow(key);
  }
  copyNow(key: ObjectPath, into: Uint8Array): number {
    return this.log.commits.copyNow(key, into);
  }
  /** What was staged is not removed while its commit is under way, nor after one that failed halfway: its record may be durable. */
  commit(key: ObjectPath, change: Change, terms: CommitTerms): Promise<DriveOutcome<CommitAnswer>> {
    const op = operationOf(change);
    const staged = op === null ? undefined : this.staged.get(op);
    if (op !== null && staged !== undefined)
      return this.commitStaged(op, staged, () => this.log.commits.commit(key, change, terms));
    const answer = this.log.commits.commit(key, change, terms);
    return change.kind === "put" && change.data.kind === "upload"
      ? this.uploads.within(change.data.path, answer)
      : answer;
  }
  commitNow(key: ObjectPath, change: Change, terms: CommitTerms, waiter: CommitWaiter): boolean {
    return operationOf(change) === null && this.log.commits.commitNow(key, change, terms, waiter);
  }
  private async commitStaged(
    op: string,
    staged: Set<string>,
    commit: () => Promise<DriveOutcome<CommitAnswer>>,
  ): Promise<DriveOutcome<CommitAnswer>> {
    this.staged.delete(op);
    this.committing.add(op);
    const answer = await commit().finally(() => this.committing.delete(op));
    if (answer.ok || answer.error.code !== "Io") this.staged.set(op, staged);
    if (this.givenUp.delete(op)) await this.unstage(op);
    return answer;
  }
  settle(key: ObjectPath, stamp: Stamp): Promise<DriveOutcome<void>> {
    return this.log.commits.settle(key, stamp);
  }
  fence(key: ObjectPath, stamp: Stamp): Promise<DriveOutcome<FenceAnswer>> {
    return this.log.commits.fence(key, stamp);
  }
  restore(key: ObjectPath, stamp: Stamp, expect: Stamp): Promise<DriveOutcome<boolean>> {
    return this.log.commits.restore(key, stamp, expect);
  }
  help(key: ObjectPath, fence: Stamp, stamp: Stamp, change: Change): Promise<DriveOutcome<boolean>> {
    return this.log.commits.help(key, fence, stamp, change);
  }
  doubts(): readonly ObjectPath[] {
    return this.log.commits.doubts();
  }

  // ---- shards

  async readFrames(file: ShardFile, frames: readonly Frame[]): Promise<DriveOutcome<void>> {
    const steps: Step[] = [step.openRead(this.shardPath(file))];
    for (const { slot, offset } of frames) steps.push(step.readFrame(slot.subarray(0, 32), slot.subarray(32), offset));
    const { error } = await this.disk.run(steps);
    return this.files.outcome(`read ${file.bucket}/${file.path} part.${file.part}`, error);
  }

  async shardSize(file: ShardFile): Promise<DriveOutcome<number | null>> {
    const { error, results } = await this.disk.run([step.stat(this.shardPath(file))], true);
    if (error === Errno.ENOENT || error === Errno.ENOTDIR) return await this.files.absent();
    return error === 0 ? good(results[0] as number) : bad(this.files.error("stat", error));
  }

  // ---- the key index

  async list(request: IndexListRequest): Promise<DriveOutcome<IndexPage | null>> {
    const doubts = (): string[] => this.log.overlay.doubtsIn(request.bucket).map(({ key }) => decodeKey(key.path));
    return good((await this.index?.list(request, doubts)) ?? null);
  }

  async usage(bucket: string): Promise<DriveOutcome<BucketUsage | null>> {
    return good((await this.index?.usage(bucket)) ?? null);
  }

  // ---- directories and uploads

  async readDirectory(bucket: string, path: string): Promise<DriveOutcome<readonly DirectoryEntry[]>> {
    const { overlay, apply } = this.log;
    const applied = await apply.applyNow(overlay.goneBelow(bucket, path));
    if (applied !== null) return bad(applied);
    const before = overlay.names(bucket, path);
    const entries = await this.files.readDirectory(
      path === "" ? this.files.bucketDirectory(bucket) : this.files.objectDirectory({ bucket, path }),
    );
    if (!entries.ok && (entries.error.code !== "NotFound" || before.length === 0)) return entries;
    const found = entries.ok ? entries.value : [];
    if (before.length === 0) return good(found);
    const known = new Set(found.map((entry) => entry.name));
    return good([...found, ...before.filter((name) => !known.has(name)).map((name) => ({ name, isDirectory: true }))]);
  }

  async look(key: ObjectPath): Promise<DriveOutcome<{ state: KeyState; directories: readonly string[] }>> {
    const [state, entries] = await Promise.all([this.log.commits.read(key), this.readDirectory(key.bucket, key.path)]);
    if (!state.ok) return state;
    if (!entries.ok && entries.error.code !== "NotFound") return entries;
    return good({
      state: state.value,
      directories: entries.ok ? entries.value.filter((e) => e.isDirectory).map((e) => e.name) : [],
    });
  }

  readParts(
    uploadPath: string,
    dataDir: string,
    only?: PartNumbers,
  ): Promise<DriveOutcome<ReadonlyMap<number, Uint8Array>>> {
    return this.uploads.readParts(uploadPath, dataDir, only);
  }

  /** What was staged is not removed meanwhile. */
  async putPart(request: Parameters<Drive["putPart"]>[0]): Promise<DriveOutcome<void>> {
    const { op } = request;
    this.committing.add(op);
    const put = await this.uploads.putPart(request).finally(() => this.committing.delete(op));
    if (this.givenUp.delete(op)) await this.unstage(op);
    return put;
  }

  removeUpload(uploadPath: string): Promise<DriveOutcome<void>> {
    return this.uploads.remove(uploadPath);
  }

  private shardPath(file: ShardFile): string {
    return `${this.files.objectDirectory(file)}/${file.dataDir}/part.${file.part}`;
  }
}

/** Of the data that a change takes out of staging. */
function operationOf(change: Change): string | null {
  if (change.kind === "replace") return change.op;
  return change.kind === "put" && change.data.kind === "staged" ? change.data.op : null;
}

/** What a build of the index reads. */
function treeOf(files: DriveFiles, drive: () => LocalDrive): Tree {
  return {
    look: (key) => drive().look(key),
    buckets: async () => {
      const entries = await files.readDirectory(files.root);
      if (!entries.ok) return entries;
      return good(entries.value.flatMap((e) => (e.isDirectory && isBucketDirectory(e.name) ? [e.name] : [])));
    },
    directories: async (bucket, path) => {
      const entries = await drive().readDirectory(bucket, path);
      if (!entries.ok) return entries.error.code === "NotFound" ? good([]) : entries;
      return good(entries.value.flatMap((e) => (e.isDirectory ? [e.name] : [])));
    },
  };
}
