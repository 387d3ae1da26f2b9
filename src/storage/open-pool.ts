/**
 * From the endpoints of a pool to its drives in order: reads every format.json, formats a fresh pool, gives a lost format
 * back to a replaced drive, and refuses what does not belong here. Each message says what to do.
 * Source: on-disk-format.md §1.1, §1.4.
 */
import { OperatingError } from "../core/errors.ts";
import { assert, present } from "../core/assert.ts";
import { type DriveDisk, Errno, Ignore, type SharedDisk, step } from "../sys/disk.ts";
import type { Clock } from "../sys/clock.ts";
import type { Rng } from "../sys/rng.ts";
import {
  type DriveFormat,
  type DriveVerdict,
  type FormatReading,
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
import { whileItAnswers } from "./while-it-answers.ts";
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
  readonly disk: SharedDisk;
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
  /** By position: what they are on, and the file system. */
  readonly places: readonly { readonly disk: DriveDisk; readonly device: number }[];
  /** Positions whose drive came empty, now or before its rebuild was done, and must be rebuilt. */
  readonly replaced: readonly number[];
}

/** One GroupSync a file system, by device number. */
export class GroupSyncs {
  private readonly byDevice = new Map<number, { readonly groupSync: GroupSync; readonly disk: DriveDisk }>();
  constructor(private readonly disk: SharedDisk) {}
  of(device: number, path: string): GroupSync {
    const known = this.byDevice.get(device);
    known?.groupSync.alsoAt(path);
    if (known !== undefined) return known.groupSync;
    const disk = this.disk.lane();
    const groupSync = new GroupSync(disk, path);
    this.byDevice.set(device, { groupSync, disk });
    return groupSync;
  }
  all(): readonly GroupSync[] {
    return [...this.byDevice.values()].map(({ groupSync }) => groupSync);
  }
  /** Devices that do not answer; the others are synced. */
  async syncAll(clock: Clock): Promise<ReadonlySet<number>> {
    const silent = new Set<number>();
    const each = [...this.byDevice].map(async ([device, { groupSync, disk }]) => {
      if ((await whileItAnswers(disk, clock, groupSync.sync().then(boxed))) === null) silent.add(device);
    });
    await Promise.all(each);
    return silent;
  }
}

/**
 * Closes the drives, when what is settled is known on all of them. Those that do not answer are left as they are, and returned: their
 * commit logs say at the next start what they have.
 */
export async function closePools(
  pools: readonly OpenedPool[],
  syncs: GroupSyncs,
  clock: Clock,
): Promise<readonly LocalDrive[]> {
  const silent: LocalDrive[] = [];
  const silentDevices = await syncs.syncAll(clock);
  const close = async (drive: LocalDrive | null, { disk, device }: OpenedPool["places"][number]): Promise<void> => {
    if (drive === null) return;
    const isClosed =
      !silentDevices.has(device) && (await whileItAnswers(disk, clock, drive.close().then(boxed))) !== null;
    if (!isClosed) silent.push(drive);
  };
  await Promise.all(pools.flatMap(({ drives, places }) => places.map((place, i) => close(drives[i] ?? null, place))));
  return silent;
}

function boxed<T>(value: T): { readonly value: T } {
  return { value };
}

export function refuseUrls(endpoints: readonly string[]): void {
  const url = endpoints.find((endpoint) => /^[a-z]+:\/\//i.test(endpoint));
  if (url !== undefined)
    throw new StartError("NoAccess", `${url}: several nodes are not there yet; give folders of this machine`);
}

interface Root {
  readonly endpoint: string;
  readonly path: string;
  readonly disk: DriveDisk;
  readonly device: number;
  readonly inode: number;
  readonly onRootFilesystem: boolean;
  readonly existed: boolean;
  /** It does not answer. */
  readonly isSilent: boolean;
  readonly reading: FormatReading;
}

export async function openPool(options: OpenPoolOptions): Promise<OpenedPool> {
  const roots = await Promise.all(
    options.paths.map(async (path, i) => {
      const place = { endpoint: options.endpoints[i] as string, path, disk: options.disk.lane() };
      return (
        (await whileItAnswers(place.disk, options.clock, lookAtRoot(place))) ?? unreadable(place, { isSilent: true })
      );
    }),
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
  for (const [i, verdictOfOne] of verdict.drives.entries()) {
    const used = await use(options, roots[i] as Root, verdictOfOne);
    if (used.isReplaced) replaced.push(i);
    drives.push(used.drive);
  }
  return { format: reference, drives, places: roots, replaced };
}

interface Used {
  /** Null: it is not used. */
  readonly drive: LocalDrive | null;
  readonly isReplaced: boolean;
}
const UNUSED: Used = { drive: null, isReplaced: false };

async function use(options: OpenPoolOptions, root: Root, verdict: DriveVerdict): Promise<Used> {
  if (verdict.kind === "accepted") return await inTime(options, root, useAsItIs(options, root, verdict.format));
  if (verdict.kind === "heal" && mayRebuild(options, root))
    return await inTime(options, root, takeReplacement(options, root, verdict.format));
  if (verdict.kind === "refused") options.warn(`${root.endpoint} is not used: ${verdict.reason}: ${adviceFor(root)}`);
  if (verdict.kind === "offline" && root.isSilent) options.warn(silence(root));
  else if (verdict.kind === "offline")
    options.warn(`${root.endpoint} cannot be read: check that it is mounted and readable`);
  return UNUSED;
}

/** A drive that hangs does not keep the others from being served. What it opens when it answers again is closed again. */
async function inTime(options: OpenPoolOptions, root: Root, opening: Promise<Used>): Promise<Used> {
  const used = await whileItAnswers(root.disk, options.clock, opening);
  if (used !== null) return used;
  options.warn(silence(root));
  opening.then(
    ({ drive }) => drive?.close(),
    () => undefined, // it is not used
  );
  return UNUSED;
}

function silence({ endpoint }: Root): string {
  return `${endpoint} does not answer: it is not used until sherd is started again`;
}

function adviceFor(root: Root): string {
  return root.reading.kind === "corrupt"
    ? "restore its format.json, or empty the drive to have it rebuilt"
    : "check the order of the arguments and the mounts";
}

/** Marked first: a drive with a format and without the mark would count as whole. Null: it cannot be written. */
async function takeReplacement(options: OpenPoolOptions, root: Root, format: DriveFormat): Promise<Used> {
  try {
    await markRebuild(root.disk, root.path);
    await writeFormat(options, root, format);
  } catch (error) {
    if (!(error instanceof StartError) && !(error instanceof RebuildMarkError)) throw error;
    options.warn(
      `${root.endpoint} is empty and cannot be written, it is not used: ${error.message}; check its permissions and that it is not mounted read-only, and start again`,
    );
    return UNUSED;
  }
  const drive = await open(options, root, format);
  return { drive, isReplaced: drive !== null };
}

async function useAsItIs(options: OpenPoolOptions, root: Root, format: DriveFormat): Promise<Used> {
  const isReplaced = await isMarkedForRebuild(root.disk, root.path);
  return { drive: await open(options, root, format), isReplaced };
}

/** An empty drive among formatted ones: a replacement, or a mount point without its drive. */
function mayRebuild(options: OpenPoolOptions, root: Root): boolean {
  if (!root.onRootFilesystem || options.allowRootDrive) return true;
  options.warn(
    `${root.endpoint} is empty and on the root file system while the other drives are formatted: is its drive not mounted? It is not used. Mount it and start again; if it is meant to be there, start with --allow-root-drive`,
  );
  return false;
}

type Place = Pick<Root, "endpoint" | "path" | "disk">;

async function lookAtRoot(place: Place): Promise<Root> {
  const { path, disk } = place;
  const facts = new BigUint64Array(new ArrayBuffer(1024));
  const rootFacts = new BigUint64Array(new ArrayBuffer(1024));
  const before = await disk.run([step.stat(path, new Uint8Array(facts.buffer))]);
  const existed = before.error === 0;
  if (!existed) {
    const made = await disk.run([step.mkdirPath(path, ""), step.stat(path, new Uint8Array(facts.buffer))]);
    if (made.error !== 0) return unreadable(place, { existed });
  }
  await disk.run([step.stat("/", new Uint8Array(rootFacts.buffer))]);
  const buffer = new Uint8Array(new ArrayBuffer(1024 * 1024));
  const file = await disk.run([step.readFile(`${path}/${SYSTEM_BUCKET}/format.json`, buffer)]);
  return {
    ...place,
    device: Number(facts[2]),
    inode: Number(facts[3]),
    onRootFilesystem: facts[2] === rootFacts[2],
    existed,
    isSilent: false,
    reading: readingOf(file.error, buffer.subarray(0, Math.max(0, file.results[0] ?? 0))),
  };
}

function unreadable(place: Place, { existed = true, isSilent = false }): Root {
  return { ...place, device: -1, inode: -1, onRootFilesystem: false, existed, isSilent, reading: { kind: "offline" } };
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
    const opening = writeFormat(options, root, format).then(() => open(options, root, format));
    const opened = await whileItAnswers(root.disk, options.clock, opening.then(boxed));
    if (opened === null) throw new StartError("NoAccess", `${root.endpoint} does not answer: it cannot be formatted`);
    drives.push(opened.value);
  }
  return { format: present(formats[0], "a first format"), drives, places: roots, replaced: [] };
}

async function writeFormat(options: OpenPoolOptions, root: Root, format: DriveFormat): Promise<void> {
  const system = `${root.path}/${SYSTEM_BUCKET}`;
  const tmp = `${system}/${options.rng.uuid()}`;
  const { error } = await root.disk.run([
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
  await root.disk.run([step.unrelatedChildren(root.path)]); // its buckets
  const groupSync = options.syncs.of(root.device, root.path);
  const drive = await LocalDrive.open({
    id: format.driveId,
    root: root.path,
    endpoint: root.endpoint,
    disk: root.disk,
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
