/**
 * DriveFiles: the places of things on one drive (on-disk-format.md §1) and the plain file work on them.
 * Owns no protocol: LogCommit decides, this moves bytes. Paths are absolute; errors are DriveErrors.
 */
import { bad, good } from "../core/fan-out.ts";
import type { Rng } from "../sys/rng.ts";
import { type Disk, Errno, Ignore, step } from "../sys/disk.ts";
import {
  type Change,
  type DirectoryEntry,
  DriveError,
  type DriveOutcome,
  type DriveSpace,
  type ObjectPath,
} from "./drive.ts";
import { driveError } from "./drive-errors.ts";
import type { NewDirectory } from "./log-record.ts";

export const SYSTEM_BUCKET = ".minio.sys";
const META_BUFFER_BYTES = 16 * 1024;
const DIRECTORY_BUFFER_BYTES = 64 * 1024;
const META_BYTES_MAX = 256 * 1024 * 1024;
const BUFFERS_KEPT = 64;
const MOVE_ATTEMPTS = 4;
const NO_DIRECTORIES: readonly NewDirectory[] = [];

export class DriveFiles {
  private readonly buffers: Uint8Array[] = [];
  /** A fresh one of each listing would cost more than the listing. */
  private readonly directoryBuffers: Uint8Array[] = [];
  /** Where it is the drive is. */
  private readonly system: string;

  constructor(
    readonly disk: Disk,
    readonly root: string,
    readonly endpoint: string,
    private readonly rng: Rng,
  ) {
    this.system = `${root}/${SYSTEM_BUCKET}`;
  }

  outcome(what: string, errno: number): DriveOutcome<void> {
    return errno === 0 ? good(undefined) : bad(this.error(what, errno));
  }
  error(what: string, errno: number): DriveError {
    return driveError(this.endpoint, what, errno);
  }

  bucketDirectory(bucket: string): string {
    return `${this.root}/${bucket}`;
  }
  objectDirectory(key: ObjectPath): string {
    return `${this.root}/${key.bucket}/${key.path}`;
  }
  /** One directory for each data directory of an operation, directly below tmp: a directory more would cost as much as a file. */
  stageDirectory(op: string, dataDir: string): string {
    return `${this.root}/${stagePath(op, dataDir)}`;
  }
  newTmpPath(): string {
    return `${this.root}/${SYSTEM_BUCKET}/tmp/${this.rng.uuid()}`;
  }
  /** A fresh name in the trash. */
  trash(): string {
    return `${this.root}/${SYSTEM_BUCKET}/tmp/.trash/${this.rng.uuid()}`;
  }

  /** The data directories that a change brings. */
  sourceDirectories(change: Change): readonly NewDirectory[] {
    if (change.kind === "replace")
      return change.dataDirs.map((name) => ({
        name,
        from: stagePath(change.op, name),
        keepParts: null,
      }));
    if (change.kind !== "put") return NO_DIRECTORIES;
    switch (change.data.kind) {
      case "inline":
      case "none":
        return NO_DIRECTORIES;
      case "staged":
        return [{ name: change.dataDir, from: stagePath(change.data.op, change.dataDir), keepParts: null }];
      case "upload":
        return [
          {
            name: change.dataDir,
            from: `${SYSTEM_BUCKET}/${change.data.path}/${change.dataDir}`,
            keepParts: change.data.keepParts,
          },
        ];
    }
  }

  /** xl.meta of a key; null = absent. */
  async readMeta(key: ObjectPath): Promise<DriveOutcome<Uint8Array | null>> {
    return await this.readSmall(`${this.objectDirectory(key)}/xl.meta`);
  }

  /** The same where `readMetaNow` has not told it. */
  waitForMeta(key: ObjectPath): Promise<DriveOutcome<Uint8Array | null>> {
    return this.waitForSmall(`${this.objectDirectory(key)}/xl.meta`);
  }

  /** The same if the kernel has it in memory; undefined = it has to be waited for. */
  readMetaNow(key: ObjectPath): Uint8Array | null | undefined {
    return this.readNow(`${this.objectDirectory(key)}/xl.meta`);
  }

  /** The same into memory of the caller's: its bytes; negative = it is not there, or has to be waited for, or is larger. */
  copyMetaNow(key: ObjectPath, into: Uint8Array): number {
    return this.disk.readCached?.(`${this.objectDirectory(key)}/xl.meta`, into, this.root) ?? -1;
  }

  private readNow(path: string): Uint8Array | null | undefined {
    if (this.disk.readCached === undefined) return undefined;
    const buffer = this.buffers.pop() ?? new Uint8Array(new ArrayBuffer(META_BUFFER_BYTES));
    const bytes = this.disk.readCached(path, buffer, this.root);
    const known = bytes === -Errno.EAGAIN ? undefined : bytes < 0 ? null : buffer.slice(0, bytes);
    this.buffers.push(buffer);
    return known;
  }

  /** A whole small file; null = absent. */
  async readSmall(path: string): Promise<DriveOutcome<Uint8Array | null>> {
    const known = this.readNow(path);
    return known === undefined ? await this.waitForSmall(path) : good(known);
  }

  private async waitForSmall(path: string): Promise<DriveOutcome<Uint8Array | null>> {
    const buffer = this.buffers.pop() ?? new Uint8Array(new ArrayBuffer(META_BUFFER_BYTES));
    // That it is not there is believed of a drive that is, before and after: one task tells all.
    const isThere = step.stat(this.system);
    const { error, failedStep, results } = await this.disk.run(
      [isThere, step.readFile(path, buffer, Ignore.enoent), isThere],
      true,
    );
    const size = results[1] ?? 0;
    const isRead = size >= 0 && (error === 0 || failedStep === 2);
    const bytes = isRead ? buffer.slice(0, size) : null;
    if (this.buffers.length < BUFFERS_KEPT) this.buffers.push(buffer);
    if (bytes !== null) return good(bytes);
    if (error === 0) return good(null);
    if (failedStep !== 1) return bad(this.away(error));
    if (error === Errno.ENOTDIR) return await this.absent();
    if (error !== Errno.E2BIG || size > META_BYTES_MAX) return bad(this.error(`read ${path}`, error));
    return await this.readLarge(path, size + 4096);
  }

  /** The answer "not there", or that the drive itself is not: an empty mount point knows of no key. */
  async absent(): Promise<DriveOutcome<null>> {
    const { error } = await this.disk.run([step.stat(this.system)], true);
    return error === 0 ? good(null) : bad(this.away(error));
  }

  private away(errno: number): DriveError {
    const words = `${this.endpoint}: ${SYSTEM_BUCKET} is not there (errno ${errno}): is the drive mounted?`;
    return new DriveError("Faulty", words, { endpoint: this.endpoint, errno });
  }

  private async readLarge(path: string, room: number): Promise<DriveOutcome<Uint8Array | null>> {
    const large = new Uint8Array(new ArrayBuffer(room));
    const { error, results } = await this.disk.run([step.readFile(path, large)]);
    if (error === 0) return good(large.subarray(0, results[0]));
    if (error === Errno.ENOENT) return await this.absent();
    if (error === Errno.E2BIG && (results[0] ?? 0) < META_BYTES_MAX)
      return await this.readLarge(path, (results[0] ?? 0) + 65_536); // it grew meanwhile
    return bad(this.error(`read ${path}`, error));
  }

  async readDirectory(path: string): Promise<DriveOutcome<readonly DirectoryEntry[]>> {
    for (let room = DIRECTORY_BUFFER_BYTES; ; ) {
      const isFirst = room === DIRECTORY_BUFFER_BYTES;
      const buffer = (isFirst ? this.directoryBuffers.pop() : undefined) ?? new Uint8Array(new ArrayBuffer(room));
      const { error, results } = await this.disk.run([step.readdir(path, buffer)], true);
      const used = results[0] ?? 0;
      const entries = error === 0 ? parseEntries(buffer.subarray(0, used)) : null; // names are copies
      if (isFirst && this.directoryBuffers.length < BUFFERS_KEPT) this.directoryBuffers.push(buffer);
      if (entries !== null) return good(entries);
      if (error !== Errno.E2BIG) {
        const absent = error === Errno.ENOENT ? await this.absent() : good(null);
        return absent.ok ? bad(this.error(`list ${path}`, error)) : absent;
      }
      room = used * 2;
    }
  }

  /** Moves a data directory of a key to the trash and drops its then empty parents. */
  async discardDirectory(key: ObjectPath, name: string): Promise<DriveOutcome<void>> {
    const directory = this.objectDirectory(key);
    const trash = this.trash();
    const { error } = await this.disk.run(
      [
        step.rename(`${directory}/${name}`, trash, Ignore.enoent),
        step.rmdirUp(directory, this.bucketDirectory(key.bucket)),
        step.removeTree(trash, Ignore.any),
      ],
      true,
    );
    return error === 0 || error === Errno.ENOTDIR ? good(undefined) : bad(this.error(`discard ${name}`, error));
  }

  /** Leaves nothing but the listed shard files in a data directory that came from an upload. */
  async keepOnlyParts(key: ObjectPath, name: string, keep: readonly number[]): Promise<DriveOutcome<void>> {
    const directory = `${this.objectDirectory(key)}/${name}`;
    const entries = await this.readDirectory(directory);
    if (!entries.ok) return entries.error.code === "NotFound" ? good(undefined) : entries;
    const kept = new Set(keep.map((number) => `part.${number}`));
    const steps = entries.value
      .filter((e) => !kept.has(e.name))
      .map((e) => step.unlink(`${directory}/${e.name}`, Ignore.enoent));
    for (let at = 0; at < steps.length; at += 64) {
      const { error } = await this.disk.run(steps.slice(at, at + 64), true);
      if (error !== 0) return bad(this.error("drop unlisted parts", error));
    }
    return good(undefined);
  }

  /** Renames the data directories of a commit into place; the errno, 0 = none. Not synced. */
  async bringDirectories(key: ObjectPath, dirs: readonly NewDirectory[], replaces: boolean): Promise<number> {
    const directory = this.objectDirectory(key);
    let left = dirs;
    for (let attempt = 1; ; attempt++) {
      const { error } = await this.disk.run(
        [
          step.mkdirPath(directory, this.bucketDirectory(key.bucket)),
          // A heal replaces a damaged directory of the same name.
          ...(replaces && attempt === 1 ? left : []).map(({ name }) =>
            step.rename(`${directory}/${name}`, this.trash(), Ignore.enoent),
          ),
          ...left.map(({ name, from }) => step.rename(`${this.root}/${from}`, `${directory}/${name}`)),
        ],
        true,
      );
      // Another key's removal may take an empty parent away between mkdir and rename: make it again.
      if (error !== Errno.ENOENT || attempt === MOVE_ATTEMPTS) return error;
      const there = await Promise.all(left.map(({ name }) => this.disk.run([step.stat(`${directory}/${name}`)], true)));
      left = left.filter((_, i) => there[i]?.error !== 0);
    }
  }

  async giveBackDirectory(key: ObjectPath, dir: NewDirectory): Promise<DriveOutcome<void>> {
    const { error } = await this.disk.run(
      [
        step.rename(`${this.objectDirectory(key)}/${dir.name}`, `${this.root}/${dir.from}`, Ignore.enoent),
        step.rmdirUp(this.objectDirectory(key), this.bucketDirectory(key.bucket)),
      ],
      true,
    );
    return error === 0 ? good(undefined) : bad(this.error(`give back ${dir.name}`, error));
  }

  async space(): Promise<DriveOutcome<DriveSpace>> {
    const out = new BigUint64Array(new ArrayBuffer(1024));
    const { error } = await this.disk.run(
      [step.statvfs(`${this.root}/${SYSTEM_BUCKET}`, new Uint8Array(out.buffer))],
      true,
    );
    if (error !== 0) return bad(this.error("statvfs", error));
    const at = (i: number): number => Number(out[i] ?? 0n);
    return good({
      totalBytes: at(0),
      freeBytes: at(2),
      usedBytes: at(0) - at(1),
      totalInodes: at(3),
      freeInodes: at(4),
    });
  }
}

/** Below the drive's root. */
function stagePath(op: string, dataDir: string): string {
  return `${SYSTEM_BUCKET}/tmp/${op}.${dataDir}`;
}

function parseEntries(bytes: Uint8Array): DirectoryEntry[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: DirectoryEntry[] = [];
  for (let at = 0; at + 3 <= view.length; ) {
    const length = view.readUInt16LE(at + 1);
    entries.push({ name: view.toString("utf8", at + 3, at + 3 + length), isDirectory: view[at] === 2 });
    at += 3 + length;
  }
  return entries;
}
