/**
 * LocalDrive: the Drive contract on a mounted directory in MinIO's layout. Commits are LocalCommit's, paths DriveFiles'.
 * Every call is one or a few tasks of the native pool; nothing here blocks the JavaScript thread.
 */
import { bad, good } from "../core/fan-out.ts";
import { type Disk, Errno, Ignore, PAGE_BYTES, type Step, step } from "../sys/disk.ts";
import { DirectWriter } from "./direct-writer.ts";
import type { Rng } from "../sys/rng.ts";
import type {
  Change,
  CommitAnswer,
  CommitTerms,
  DirectoryEntry,
  Drive,
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
import { DriveFiles, SYSTEM_BUCKET } from "./drive-files.ts";
import { DriveIndex, type IndexOptions } from "./drive-index.ts";
import type { GroupSync } from "./group-sync.ts";
import type { Tree } from "./index-build.ts";
import type { IndexListRequest, IndexPage } from "./index-list.ts";
import { LocalCommit } from "./local-commit.ts";
import { decodeKey, isBucketDirectory } from "./paths.ts";
import { UndoLog } from "./undo-log.ts";
import type { BucketUsage } from "./usage.ts";

/** Below it the page cache is cheaper. */
const DIRECT_BYTES_MIN = 64 * 1024;

export interface LocalDriveOptions {
  readonly id: string;
  readonly root: string;
  readonly endpoint: string;
  readonly disk: Disk;
  readonly rng: Rng;
  /** One per file system. */
  readonly groupSync: GroupSync;
  /** null = no key index: listings walk. */
  readonly index?: IndexOptions | null;
}

export class LocalDrive implements Drive {
  readonly id: string;
  readonly endpoint: string;
  readonly state: DriveState = "ok";
  private readonly disk: Disk;
  private readonly files: DriveFiles;
  private readonly commits: LocalCommit;
  private readonly groupSync: GroupSync;
  /** Operation -> data directories that were staged and not yet given up. What a crash left is swept at the next start. */
  private readonly staged = new Map<string, Set<string>>();
  private readonly index: DriveIndex | null;

  private constructor(options: LocalDriveOptions) {
    this.id = options.id;
    this.endpoint = options.endpoint;
    this.disk = options.disk;
    this.groupSync = options.groupSync;
    this.files = new DriveFiles(options.disk, options.root, options.endpoint, options.rng);
    const { disk, root, endpoint, rng } = options;
    this.index =
      options.index == null
        ? null
        : new DriveIndex({ ...options.index, disk, root, endpoint, newIdentity: () => rng.uuid(), tree: this.tree() });
    this.commits = new LocalCommit(
      this.files,
      new UndoLog(options.disk, `${options.root}/${SYSTEM_BUCKET}/sherd/undo`),
      options.groupSync,
      this.index,
    );
  }

  /** Makes the system directories, puts away what a previous run staged, finds operations in doubt. */
  static async open(options: LocalDriveOptions): Promise<DriveOutcome<LocalDrive>> {
    const drive = new LocalDrive(options);
    const system = `${options.root}/${SYSTEM_BUCKET}`;
    const old = `${system}/tmp-old/${options.rng.uuid()}`;
    const mark = (await drive.index?.readMark()) ?? "";
    const made = await options.disk.run([
      step.mkdirPath(`${system}/sherd/undo`, options.root),
      step.mkdirPath(`${system}/tmp/.trash`, options.root),
      step.mkdir(`${system}/tmp-old`, Ignore.eexist),
      ...["multipart", "buckets", "config"].map((name) => step.mkdir(`${system}/${name}`, Ignore.eexist)),
    ]);
    if (made.error !== 0) return bad(drive.files.error("prepare the system directories", made.error));
    const recovered = await drive.commits.recover(); // before tmp goes: what a commit was moving may lie there
    if (!recovered.ok) return recovered;
    const { error } = await options.disk.run([
      step.rename(`${system}/tmp`, old),
      step.mkdirPath(`${system}/tmp/.trash`, options.root),
    ]);
    if (error !== 0) return bad(drive.files.error("put away tmp", error));
    await drive.index?.start(mark);
    return good(drive);
  }

  /** Removes what `open` put away; may take long. */
  async sweep(): Promise<DriveOutcome<void>> {
    const { error } = await this.disk.run([step.removeTree(`${this.files.root}/${SYSTEM_BUCKET}/tmp-old`, Ignore.any)]);
    return this.outcome("sweep tmp-old", error);
  }

  /** At a clean stop: what was settled leaves no records behind. */
  async close(): Promise<void> {
    await this.commits.close();
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
    const { error } = await this.disk.run([step.mkdir(this.files.bucketDirectory(bucket))]);
    if (error !== 0) return this.outcome(`make bucket ${bucket}`, error);
    return this.outcome("sync", await this.groupSync.sync());
  }

  /** By rmdir alone, from the bottom up: what a commit puts in meanwhile stays, or the commit finds no bucket. */
  async removeBucket(bucket: string): Promise<DriveOutcome<void>> {
    const error = await this.removeEmpty(this.files.bucketDirectory(bucket));
    if (error !== 0) return this.outcome(`remove bucket ${bucket}`, error);
    this.index?.dropped(bucket);
    return this.outcome("sync", await this.groupSync.sync());
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
    return good(new DirectWriter(this.disk, made.results[2] as number, (error) => this.outcome(`write ${op}`, error)));
  }

  async stageWhole(op: string, dataDir: string, part: number, bytes: Uint8Array): Promise<DriveOutcome<void>> {
    const directory = this.stageDirectory(op, dataDir);
    const made = step.mkdir(directory, Ignore.eexist);
    const path = `${directory}/part.${part}`;
    if (bytes.length < DIRECT_BYTES_MIN) {
      const { error } = await this.disk.run([made, step.writeFile(path, bytes)]);
      return this.outcome(`stage ${op}`, error);
    }
    const tail = new Uint8Array(new ArrayBuffer(PAGE_BYTES));
    const left = bytes.length % PAGE_BYTES;
    const { error } = await this.disk.run([
      made,
      step.openDirect(path),
      step.append(bytes, 0, { tail, offset: 0 }),
      step.flush(tail, left, bytes.length - left),
    ]);
    return this.outcome(`stage ${op}`, error);
  }

  private stageDirectory(op: string, dataDir: string): string {
    const known = this.staged.get(op);
    if (known === undefined) this.staged.set(op, new Set([dataDir]));
    else known.add(dataDir);
    return this.files.stageDirectory(op, dataDir);
  }

  async unstage(op: string): Promise<DriveOutcome<void>> {
    const steps = [...(this.staged.get(op) ?? [])].map((dir) => step.removeTree(this.files.stageDirectory(op, dir)));
    this.staged.delete(op);
    if (steps.length === 0) return good(undefined);
    const { error } = await this.disk.run(steps, true);
    return this.outcome(`unstage ${op}`, error);
  }

  // ---- the commit protocol

  read(key: ObjectPath): Promise<DriveOutcome<KeyState>> {
    return this.commits.read(key);
  }
  commit(key: ObjectPath, change: Change, terms: CommitTerms): Promise<DriveOutcome<CommitAnswer>> {
    return this.commits.commit(key, change, terms);
  }
  settle(key: ObjectPath, stamp: Stamp): Promise<DriveOutcome<void>> {
    return this.commits.settle(key, stamp);
  }
  fence(key: ObjectPath, stamp: Stamp): Promise<DriveOutcome<FenceAnswer>> {
    return this.commits.fence(key, stamp);
  }
  restore(key: ObjectPath, stamp: Stamp, expect: Stamp): Promise<DriveOutcome<boolean>> {
    return this.commits.restore(key, stamp, expect);
  }
  help(key: ObjectPath, fence: Stamp, stamp: Stamp, change: Change): Promise<DriveOutcome<boolean>> {
    return this.commits.help(key, fence, stamp, change);
  }
  doubts(): readonly ObjectPath[] {
    return this.commits.doubts();
  }

  // ---- shards

  async readFrames(file: ShardFile, frames: readonly Frame[]): Promise<DriveOutcome<void>> {
    const steps: Step[] = [step.openRead(this.shardPath(file))];
    for (const { slot, offset } of frames) steps.push(step.readFrame(slot.subarray(0, 32), slot.subarray(32), offset));
    const { error } = await this.disk.run(steps);
    return this.outcome(`read ${file.bucket}/${file.path} part.${file.part}`, error);
  }

  async shardSize(file: ShardFile): Promise<DriveOutcome<number | null>> {
    const { error, results } = await this.disk.run([step.stat(this.shardPath(file))], true);
    if (error === Errno.ENOENT || error === Errno.ENOTDIR) return await this.files.absent();
    return error === 0 ? good(results[0] as number) : bad(this.files.error("stat", error));
  }

  // ---- the key index

  async list(request: IndexListRequest): Promise<DriveOutcome<IndexPage | null>> {
    const doubts = this.commits.unsure(request.bucket).map(({ path }) => decodeKey(path));
    return await Promise.resolve(good(this.index?.list(request, doubts) ?? null));
  }

  async usage(bucket: string): Promise<DriveOutcome<BucketUsage | null>> {
    return good((await this.index?.usage(bucket)) ?? null);
  }

  /** What a build of the index reads. */
  private tree(): Tree {
    return {
      look: (key) => this.look(key),
      buckets: async () => {
        const entries = await this.files.readDirectory(this.files.root);
        if (!entries.ok) return entries;
        return good(entries.value.flatMap((e) => (e.isDirectory && isBucketDirectory(e.name) ? [e.name] : [])));
      },
      directories: async (bucket, path) => {
        const entries = await this.readDirectory(bucket, path);
        if (!entries.ok) return entries.error.code === "NotFound" ? good([]) : entries;
        return good(entries.value.flatMap((e) => (e.isDirectory ? [e.name] : [])));
      },
    };
  }

  // ---- directories and uploads

  readDirectory(bucket: string, path: string): Promise<DriveOutcome<readonly DirectoryEntry[]>> {
    return this.files.readDirectory(
      path === "" ? this.files.bucketDirectory(bucket) : this.files.objectDirectory({ bucket, path }),
    );
  }

  async look(key: ObjectPath): Promise<DriveOutcome<{ state: KeyState; directories: readonly string[] }>> {
    const [state, entries] = await Promise.all([
      this.commits.read(key),
      this.files.readDirectory(this.files.objectDirectory(key)),
    ]);
    if (!state.ok) return state;
    if (!entries.ok && entries.error.code !== "NotFound") return entries;
    return good({
      state: state.value,
      directories: entries.ok ? entries.value.filter((e) => e.isDirectory).map((e) => e.name) : [],
    });
  }

  async readParts(
    uploadPath: string,
    dataDir: string,
    only?: PartNumbers,
  ): Promise<DriveOutcome<ReadonlyMap<number, Uint8Array>>> {
    const directory = `${this.files.bucketDirectory(SYSTEM_BUCKET)}/${uploadPath}/${dataDir}`;
    const entries = await this.files.readDirectory(directory);
    if (!entries.ok) return entries.error.code === "NotFound" ? good(new Map()) : entries;
    const names = new Set(entries.value.map((e) => e.name));
    const numbers = [...names]
      .flatMap((n) => (/^part\.[0-9]+$/.test(n) && names.has(`${n}.meta`) ? [Number(n.slice(5))] : []))
      .filter((number) => only === undefined || (number >= only.first && number <= only.last))
      .sort((a, b) => a - b);
    const parts = new Map<number, Uint8Array>();
    for (let at = 0; at < numbers.length; at += 64) {
      const group = numbers.slice(at, at + 64);
      const read = await Promise.all(group.map((number) => this.files.readSmall(`${directory}/part.${number}.meta`)));
      for (const [i, outcome] of read.entries())
        if (outcome.ok && outcome.value !== null) parts.set(group[i] as number, outcome.value);
    }
    return good(parts);
  }

  async putPart(request: {
    op: string;
    uploadPath: string;
    dataDir: string;
    part: number;
    meta: Uint8Array;
  }): Promise<DriveOutcome<void>> {
    const upload = `${this.files.bucketDirectory(SYSTEM_BUCKET)}/${request.uploadPath}`;
    const target = `${upload}/${request.dataDir}/part.${request.part}`;
    const tmp = this.files.newTmpPath();
    const first = await this.disk.run([step.writeFile(tmp, request.meta, { exclusive: true })], true);
    if (first.error !== 0) return this.outcome("write part record", first.error);
    const synced = await this.groupSync.sync();
    if (synced !== 0) return this.outcome("sync", synced);
    // The record goes last and the old one goes first: a part without its record does not exist (on-disk-format.md §6.3).
    const { error } = await this.disk.run(
      [
        step.mkdir(`${upload}/${request.dataDir}`, Ignore.eexist),
        step.unlink(`${target}.meta`, Ignore.enoent),
        step.rename(`${this.files.stageDirectory(request.op, request.dataDir)}/part.1`, target),
        step.rename(tmp, `${target}.meta`),
      ],
      true,
    );
    if (error !== 0) return this.outcome(`put part ${request.part}`, error);
    return this.outcome("sync", await this.groupSync.sync());
  }

  async removeUpload(uploadPath: string): Promise<DriveOutcome<void>> {
    const system = this.files.bucketDirectory(SYSTEM_BUCKET);
    const trash = this.files.trash();
    const parent = uploadPath.slice(0, uploadPath.lastIndexOf("/"));
    const { error } = await this.disk.run([
      step.rename(`${system}/${uploadPath}`, trash, Ignore.enoent),
      step.rmdir(`${system}/${parent}`, Ignore.any),
      step.removeTree(trash, Ignore.any),
    ]);
    if (error !== 0) return this.outcome(`remove upload ${uploadPath}`, error);
    return this.outcome("sync", await this.groupSync.sync());
  }

  private shardPath(file: ShardFile): string {
    return `${this.files.objectDirectory(file)}/${file.dataDir}/part.${file.part}`;
  }

  private outcome(what: string, error: number): DriveOutcome<void> {
    return error === 0 ? good(undefined) : bad(this.files.error(what, error));
  }
}
