/**
 * From the endpoints of a pool to its drives in order: reads every format.json, formats a fresh pool, gives a lost format
 * back to a replaced drive, and refuses what does not belong here. Each message says what to do.
 * Source: on-disk-format.md §1.1, §1.4.
 */
import { OperatingError } from "../core/errors.ts";
import { assert, present } from "../core/assert.ts";
import { type Disk, Errno, Ignore, step } from "../sys/disk.ts";
import type { Clock } from "../sys/clock.ts";
import type { Rng } from "../sys/rng.ts";
import {
  type DriveFormat,
  type FormatReading,
  formatAt,
  freshFormats,
  judgeFormats,
  parseFormat,
  serializeFormat,
} from "./format.ts";
import { FormatError } from "../core/format-error.ts";
import type { IndexOptions } from "./drive-index.ts";
import { GroupSync } from "./group-sync.ts";
import type { LogOptions } from "./drive-log.ts";
import { LocalDrive } from "./local-drive.ts";
import { SYSTEM_BUCKET } from "./paths.ts";
import { isMarkedForRebuild, markRebuild, RebuildMarkError } from "./rebuild-mark.ts";

export class StartError extends OperatingError<
  "SameDriveTwice" | "WrongDrive" | "NoQuorum" | "BadFormat" | "NoAccess"
> {}

export interface OpenPoolOptions {
  /** As the operator wrote them, and as absolute paths, in order. */
  readonly endpoints: readonly string[];
  readonly paths: readonly string[];
  readonly setSize: number;
  /** Of the first pool; null = this is the first. */
  readonly deploymentId: string | null;
  readonly allowRootDrive: boolean;
  readonly disk: Disk;
  readonly rng: Rng;
  readonly clock: Clock;
  readonly syncs: GroupSyncs;
  /** Of each drive's commit log. */
  readonly log?: LogOptions;
  readonly warn: (message: string) => void;
  /** null = drives without a key index. */
  readonly index?: IndexOptions | null;
}
export interface OpenedPool {
  readonly format: DriveFormat;
  /** By position; null = not usable now. */
  readonly drives: readonly (LocalDrive | null)[];
  /** Positions whose drive came empty, now or before its rebuild was done, and must be rebuilt. */
  readonly replaced: readonly number[];
}

/** One GroupSync a file system, by device number. */
export class GroupSyncs {
  private readonly byDevice = new Map<number, GroupSync>();
  constructor(private readonly disk: Disk) {}
  of(device: number, path: string): GroupSync {
    const known = this.byDevice.get(device);
    known?.alsoAt(path);
    if (known !== undefined) return known;
    const fresh = new GroupSync(this.disk, path);
    this.byDevice.set(device, fresh);
    return fresh;
  }
  all(): readonly GroupSync[] {
    return [...this.byDevice.values()];
  }
}

export function refuseUrls(endpoints: readonly string[]): void {
  const url = endpoints.find((endpoint) => /^[a-z]+:\/\//i.test(endpoint));
  if (url !== undefined)
    throw new StartError("NoAccess", `${url}: several nodes are not there yet; give folders of this machine`);
}

interface Root {
  readonly endpoint: string;
  readonly path: string;
  readonly device: number;
  readonly inode: number;
  readonly onRootFilesystem: boolean;
  readonly existed: boolean;
  readonly reading: FormatReading;
}

export async function openPool(options: OpenPoolOptions): Promise<OpenedPool> {
  const roots = await Promise.all(
    options.paths.map((path, i) => lookAtRoot(options, path, options.endpoints[i] as string)),
  );
  refuseTwice(roots);
  const verdict = judgeFormats(
    roots.map((r) => r.reading),
    options.setSize,
  );
  if (verdict.kind === "fatal")
    throw new StartError(
      "BadFormat",
      `${verdict.reason}: give the arguments that the deployment was started with, every drive in its place`,
    );
  if (verdict.kind === "wait")
    throw new StartError("NoQuorum", `${verdict.reason}; bring more of the drives back and start again`);
  if (verdict.kind === "fresh") return await formatPool(options, roots);
  const reference = verdict.reference;
  if (options.deploymentId !== null && options.deploymentId !== reference.deploymentId) {
    throw new StartError(
      "WrongDrive",
      `the drives ${options.endpoints[0]}… belong to deployment ${reference.deploymentId}, the first pool to ${options.deploymentId}: check the order and the paths of the arguments`,
    );
  }
  const replaced: number[] = [];
  const drives: (LocalDrive | null)[] = [];
  for (const [i, drive] of verdict.drives.entries()) {
    const root = roots[i] as Root;
    if (drive.kind === "accepted") {
      if (await isMarkedForRebuild(options.disk, root.path)) replaced.push(i);
      drives.push(await open(options, root, drive.format));
    } else if (drive.kind === "heal" && mayRebuild(options, root)) {
      const opened = await takeReplacement(options, root, formatAt(reference, i));
      if (opened !== null) replaced.push(i);
      drives.push(opened);
    } else {
      if (drive.kind === "refused") options.warn(`${root.endpoint} is not used: ${drive.reason}: ${adviceFor(root)}`);
      if (drive.kind === "offline")
        options.warn(`${root.endpoint} cannot be read: check that it is mounted and readable`);
      drives.push(null);
    }
  }
  return { format: reference, drives, replaced };
}

function adviceFor(root: Root): string {
  return root.reading.kind === "corrupt"
    ? "restore its format.json, or empty the drive to have it rebuilt"
    : "check the order of the arguments and the mounts";
}

/** Marked first: a drive with a format and without the mark would count as whole. Null: it cannot be written. */
async function takeReplacement(options: OpenPoolOptions, root: Root, format: DriveFormat): Promise<LocalDrive | null> {
  try {
    await markRebuild(options.disk, root.path);
    await writeFormat(options, root, format);
  } catch (error) {
    if (!(error instanceof StartError) && !(error instanceof RebuildMarkError)) throw error;
    options.warn(
      `${root.endpoint} is empty and cannot be written, it is not used: ${error.message}; check its permissions and that it is not mounted read-only, and start again`,
    );
    return null;
  }
  return await open(options, root, format);
}

/** An empty drive among formatted ones: a replacement, or a mount point without its drive. */
function mayRebuild(options: OpenPoolOptions, root: Root): boolean {
  if (!root.onRootFilesystem || options.allowRootDrive) return true;
  options.warn(
    `${root.endpoint} is empty and on the root file system while the other drives are formatted: is its drive not mounted? It is not used. Mount it and start again; if it is meant to be there, start with --allow-root-drive`,
  );
  return false;
}

async function lookAtRoot(options: OpenPoolOptions, path: string, endpoint: string): Promise<Root> {
  const { disk } = options;
  const facts = new BigUint64Array(new ArrayBuffer(1024));
  const rootFacts = new BigUint64Array(new ArrayBuffer(1024));
  const before = await disk.run([step.stat(path, new Uint8Array(facts.buffer))]);
  const existed = before.error === 0;
  if (!existed) {
    const made = await disk.run([step.mkdirPath(path, ""), step.stat(path, new Uint8Array(facts.buffer))]);
    if (made.error !== 0)
      return { endpoint, path, device: -1, inode: -1, onRootFilesystem: false, existed, reading: { kind: "offline" } };
  }
  await disk.run([step.stat("/", new Uint8Array(rootFacts.buffer))]);
  const buffer = new Uint8Array(new ArrayBuffer(1024 * 1024));
  const file = await disk.run([step.readFile(`${path}/${SYSTEM_BUCKET}/format.json`, buffer)]);
  const device = Number(facts[2]);
  const reading = readingOf(file.error, buffer.subarray(0, Math.max(0, file.results[0] ?? 0)));
  return {
    endpoint,
    path,
    device,
    inode: Number(facts[3]),
    onRootFilesystem: facts[2] === rootFacts[2],
    existed,
    reading,
  };
}

function readingOf(error: number, bytes: Uint8Array): FormatReading {
  if (error === Errno.ENOENT || error === Errno.ENOTDIR) return { kind: "unformatted" };
  if (error !== 0) return { kind: "offline" };
  try {
    return { kind: "format", format: parseFormat(bytes).format };
  } catch (cause) {
    if (cause instanceof FormatError) return { kind: "corrupt", reason: cause.message };
    throw cause;
  }
}

function refuseTwice(roots: readonly Root[]): void {
  const seen = new Map<string, string>();
  for (const root of roots) {
    if (root.device < 0) continue;
    const name = `${root.device}:${root.inode}`;
    const other = seen.get(name);
    if (other !== undefined)
      throw new StartError(
        "SameDriveTwice",
        `${root.endpoint} and ${other} are the same directory: name each drive once`,
      );
    seen.set(name, root.endpoint);
  }
}

async function formatPool(options: OpenPoolOptions, roots: readonly Root[]): Promise<OpenedPool> {
  const deploymentId = options.deploymentId ?? options.rng.uuid();
  const formats = freshFormats(deploymentId, options.endpoints.length / options.setSize, options.setSize, () =>
    options.rng.uuid(),
  );
  if (!options.allowRootDrive && roots.some((r) => r.onRootFilesystem)) {
    options.warn("formatting drives on the root file system: fine to try things out; for real data use mounted drives");
  }
  const drives: (LocalDrive | null)[] = [];
  for (const [i, root] of roots.entries()) {
    const format = present(formats[i], "a format for every drive");
    await writeFormat(options, root, format);
    drives.push(await open(options, root, format));
  }
  return { format: present(formats[0], "a first format"), drives, replaced: [] };
}

async function writeFormat(options: OpenPoolOptions, root: Root, format: DriveFormat): Promise<void> {
  const system = `${root.path}/${SYSTEM_BUCKET}`;
  const tmp = `${system}/${options.rng.uuid()}`;
  const { error } = await options.disk.run([
    step.mkdir(system, Ignore.eexist),
    step.writeFile(tmp, serializeFormat(format), { exclusive: true, sync: true }),
    step.rename(tmp, `${system}/format.json`),
    step.syncfs(root.path),
  ]);
  if (error !== 0)
    throw new StartError(
      "NoAccess",
      `${root.endpoint} cannot be written (errno ${error}): check its permissions and that it is not mounted read-only`,
    );
}

async function open(options: OpenPoolOptions, root: Root, format: DriveFormat): Promise<LocalDrive | null> {
  assert(root.device >= 0, "an opened drive was looked at");
  await options.disk.run([step.unrelatedChildren(root.path)]); // its buckets
  const groupSync = options.syncs.of(root.device, root.path);
  const drive = await LocalDrive.open({
    id: format.driveId,
    root: root.path,
    endpoint: root.endpoint,
    disk: options.disk.lane?.() ?? options.disk,
    rng: options.rng,
    clock: options.clock,
    groupSync,
    index: options.index ?? null,
    ...(options.log === undefined ? {} : { log: options.log }),
    warn: options.warn,
  });
  if (drive.ok) return drive.value;
  options.warn(`${root.endpoint} is not used: ${drive.error.message}`);
  return null;
}
