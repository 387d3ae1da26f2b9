/** One drive on the simulated disk, as tests of its commit log use it: versions told apart by a tag, small segments. */
import { loadCodec } from "../../src/codec/native.ts";
import type { CommitSink } from "../../src/storage/commit-sink.ts";
import type { Change, CommitTerms, Drive, DriveOutcome, ObjectPath, Stamp } from "../../src/storage/drive.ts";
import type { LogOptions } from "../../src/storage/drive-log.ts";
import { GroupSync } from "../../src/storage/group-sync.ts";
import { LocalDrive } from "../../src/storage/local-drive.ts";
import { headerOf } from "../../src/storage/xl-meta-header.ts";
import { encodeObjectVersionTemplate } from "../../src/storage/xl-meta-version.ts";
import { XlMeta } from "../../src/storage/xl-meta.ts";
import type { Clock } from "../../src/sys/clock.ts";
import { seededRng, SimulatedClock } from "./seeded.ts";
import { SimulatedDisk } from "./simulated-disk.ts";

export const ROOT = "/drive";
export const LOG_FOLDER = `${ROOT}/.minio.sys/sherd/log`;
export const SMALL_LOG: LogOptions = { segmentBytes: 16_384, totalBytes: 65_536 };
const codec = loadCodec();
let opened = 0;

export function simulatedDisk(seed = 1): SimulatedDisk {
  return SimulatedDisk.create(codec, seed, [ROOT]);
}

export interface OpenOptions {
  readonly seed?: number;
  readonly clock?: Clock;
  readonly log?: LogOptions;
  readonly changes?: CommitSink;
  readonly warn?: (message: string) => void;
}

export async function openDrive(disk: SimulatedDisk, options: OpenOptions = {}): Promise<LocalDrive> {
  return must(
    await LocalDrive.open({
      id: "id",
      root: ROOT,
      endpoint: ROOT,
      disk,
      rng: seededRng(options.seed ?? ++opened), // names are never used twice
      clock: options.clock ?? new SimulatedClock(),
      groupSync: new GroupSync(disk, ROOT),
      log: options.log ?? SMALL_LOG,
      ...(options.changes === undefined ? {} : { changes: options.changes }),
      warn: options.warn ?? ((message) => expectNoWarning(message)),
    }),
  );
}

function expectNoWarning(message: string): never {
  throw new Error(`a warning that nobody expected: ${message}`);
}

export function must<T>(outcome: DriveOutcome<T>): T {
  if (!outcome.ok) throw outcome.error;
  return outcome.value;
}

export function keyOf(path: string): ObjectPath {
  return { bucket: "bucket", path };
}

/** A put of the null version, with its tag as inline data, filled up to `bytes`. */
export function put(stamp: Stamp, tag: string, bytes = 0): Change {
  const object = {
    type: 1 as const,
    versionId: "null",
    dataDir: "00000000-0000-4000-8000-000000000001",
    dataShards: 2,
    parityShards: 2,
    blockSizeBytes: 1_048_576,
    erasureIndex: 1,
    distribution: [1, 2, 3, 4],
    partNumbers: [1],
    partEtags: null,
    partSizes: [4],
    partActualSizes: [4],
    partIndices: null,
    sizeBytes: 4,
    modTime: stamp,
    metaSys: new Map<string, Uint8Array>(),
    metaUsr: new Map<string, string>(),
  };
  const body = encodeObjectVersionTemplate(object).withIndex(1);
  const data = Buffer.alloc(Math.max(bytes, tag.length), 32);
  data.write(tag);
  return {
    kind: "put",
    body,
    header: headerOf(object),
    versionId: "null",
    dataDir: object.dataDir,
    data: { kind: "inline", bytes: data },
  };
}

export const DELETE: Change = { kind: "delete-version", versionId: "null" };

export function terms(stamp: Stamp, settles: readonly Stamp[] = []): CommitTerms {
  return { stamp, prior: null, settles };
}

/** Accepted and settled. */
export async function write(drive: Drive, path: string, stamp: Stamp, tag: string, bytes = 0): Promise<void> {
  const answer = must(await drive.commit(keyOf(path), put(stamp, tag, bytes), terms(stamp)));
  if (!answer.accepted) throw new Error(`${path} at ${stamp} was refused: ${answer.reason}`);
  must(await drive.settle(keyOf(path), stamp));
}

export async function erase(drive: Drive, path: string, stamp: Stamp): Promise<void> {
  const answer = must(await drive.commit(keyOf(path), DELETE, terms(stamp)));
  if (!answer.accepted) throw new Error(`the delete of ${path} at ${stamp} was refused: ${answer.reason}`);
  must(await drive.settle(keyOf(path), stamp));
}

export function tagOf(meta: Uint8Array | null): string | null {
  if (meta === null) return null;
  return Buffer.from(XlMeta.decode(meta).inlineData("null") ?? [])
    .toString()
    .trim();
}
export async function tagAt(drive: Drive, path: string): Promise<string | null> {
  return tagOf(must(await drive.read(keyOf(path))).meta);
}
