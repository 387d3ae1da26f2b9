/** What tests commit to a single drive: small versions of a 2+2 object, by content and stamp, and what reads give back. */
import { loadCodec } from "../../src/codec/native.ts";
import { framedFileBytes } from "../../src/codec/bitrot.ts";
import type {
  Change,
  CommitAnswer,
  CommitTerms,
  DataSource,
  Drive,
  KeyState,
  ObjectPath,
  ShardWriter,
  Stamp,
} from "../../src/storage/drive.ts";
import { headerOf } from "../../src/storage/xl-meta-header.ts";
import { encodeDeleteMarker, encodeObjectVersionTemplate } from "../../src/storage/xl-meta-version.ts";
import { XlMeta } from "../../src/storage/xl-meta.ts";
import { PAGE_BYTES } from "../../src/sys/disk.ts";
import { must } from "./drive-makers.ts";

const codec = loadCodec();
export const KEY: ObjectPath = { bucket: "bucket", path: "a/key" };
export const NULL_VERSION = "null";
export const NO_CHANGES: ReadonlyMap<string, string | null> = new Map();
const BLOCK_BYTES = 1024 * 1024;

/** A put of a version whose tag is seen in its metadata; `data` says where its shard is. */
export function put(
  stamp: Stamp,
  tag: string,
  options: { versionId?: string; dataDir?: string; data?: DataSource; sizeBytes?: number } = {},
): Change {
  const versionId = options.versionId ?? NULL_VERSION;
  const dataDir = options.dataDir ?? "";
  const object = {
    type: 1 as const,
    versionId,
    dataDir: dataDir === "" ? "00000000-0000-4000-8000-000000000001" : dataDir,
    dataShards: 2,
    parityShards: 2,
    blockSizeBytes: BLOCK_BYTES,
    erasureIndex: 1,
    distribution: [1, 2, 3, 4],
    partNumbers: [1],
    partEtags: null,
    partSizes: [options.sizeBytes ?? 4],
    partActualSizes: [options.sizeBytes ?? 4],
    partIndices: null,
    sizeBytes: options.sizeBytes ?? 4,
    modTime: stamp,
    metaSys: new Map<string, Uint8Array>(),
    metaUsr: new Map([["tag", tag]]),
  };
  const body = encodeObjectVersionTemplate(object).withIndex(1);
  const data = options.data ?? { kind: "inline", bytes: new TextEncoder().encode(tag) };
  return { kind: "put", body, header: headerOf(object), versionId, dataDir: object.dataDir, data };
}

export function marker(stamp: Stamp, versionId: string): Change {
  const version = { type: 2 as const, versionId, modTime: stamp, metaSys: new Map<string, Uint8Array>() };
  return {
    kind: "put",
    body: encodeDeleteMarker(version),
    header: headerOf(version),
    versionId,
    dataDir: "",
    data: { kind: "none" },
  };
}

export function remove(versionId = NULL_VERSION): Change {
  return { kind: "delete-version", versionId };
}

export function terms(stamp: Stamp, more: Partial<CommitTerms> = {}): CommitTerms {
  return { stamp, prior: null, settles: [], ...more };
}

/** "accepted", or the reason of the refusal. */
export function said(answer: CommitAnswer): string {
  return answer.accepted ? "accepted" : answer.reason;
}

export async function commit(
  drive: Drive,
  change: Change,
  stamp: Stamp,
  more: Partial<CommitTerms> & { key?: ObjectPath } = {},
): Promise<string> {
  const { key, ...rest } = more;
  return said(must(await drive.commit(key ?? KEY, change, terms(stamp, rest))));
}

/** Commits a put and settles it: a state that nobody doubts. */
export async function settled(drive: Drive, stamp: Stamp, tag: string, key: ObjectPath = KEY): Promise<void> {
  const answer = must(await drive.commit(key, put(stamp, tag), terms(stamp)));
  if (!answer.accepted) throw new Error(`not accepted: ${answer.reason}`);
  must(await drive.settle(key, stamp));
}

/** Tags of the versions, newest first; null = absent. Markers show as "marker". */
export function tagsOf(meta: Uint8Array | null): readonly string[] | null {
  if (meta === null) return null;
  return XlMeta.decode(meta).versions.map(({ header, body }) =>
    header.type === 2 ? "marker" : (/tag[\s\S]([a-z0-9-]+)/.exec(Buffer.from(body).toString("latin1"))?.[1] ?? "?"),
  );
}

export async function tags(drive: Drive, key: ObjectPath = KEY): Promise<readonly string[] | null> {
  return tagsOf(must(await drive.read(key)).meta);
}

/** What a test compares: stamps, and tags instead of bytes. */
export async function shown(
  drive: Drive,
  key: ObjectPath = KEY,
): Promise<{ tags: readonly string[] | null; stamp: Stamp; prev: readonly string[] | null | "settled" }> {
  const state: KeyState = must(await drive.read(key));
  return {
    tags: tagsOf(state.meta),
    stamp: state.stamp,
    prev: state.prev === null ? "settled" : tagsOf(state.prev.meta),
  };
}

// ---- shard files

/** A framed shard file of `blocks` full blocks of a 2+2 object, seeded by `fill`. */
export function shardFile(blocks: number, fill: number): Uint8Array {
  const shard = BLOCK_BYTES / 2;
  const file = new Uint8Array(new ArrayBuffer(framedFileBytes(blocks * BLOCK_BYTES, BLOCK_BYTES, 2)));
  for (let block = 0; block < blocks; block++) {
    const at = block * (32 + shard);
    file.subarray(at + 32, at + 32 + shard).fill((fill + block) & 255);
    const hash = new Uint8Array(new ArrayBuffer(1024));
    codec.hash(file.subarray(at + 32, at + 32 + shard), hash.subarray(0, 32));
    file.set(hash.subarray(0, 32), at);
  }
  return file;
}
export const SHARD_BYTES: number = BLOCK_BYTES / 2;

/** Appends a piece of a file at its place, with the room before it that the drive fills. */
export async function append(writer: ShardWriter, piece: Uint8Array, offset: number): Promise<void> {
  const lead = offset % PAGE_BYTES;
  const region = new Uint8Array(new ArrayBuffer(lead + piece.length + 1024)).subarray(0, lead + piece.length);
  region.set(piece, lead);
  must(await writer.append(region, lead));
}

/** Stages a shard file as part.N, by a writer in frames, or in one step if it has one block. */
export async function stage(
  drive: Drive,
  at: { op: string; dataDir: string; part?: number },
  file: Uint8Array,
): Promise<void> {
  const part = at.part ?? 1;
  if (file.length <= 32 + SHARD_BYTES) {
    must(await drive.stageWhole(at.op, at.dataDir, part, file));
    return;
  }
  const writer = must(await drive.stage(at.op, at.dataDir, part));
  for (let from = 0; from < file.length; from += 32 + SHARD_BYTES)
    await append(writer, file.subarray(from, from + 32 + SHARD_BYTES), from);
  must(await writer.close());
}

/** Reads one frame; "good" or the code of the error. */
export async function frame(
  drive: Drive,
  file: { key?: ObjectPath; dataDir: string; part?: number },
  block: number,
): Promise<string> {
  const slot = new Uint8Array(new ArrayBuffer(32 + SHARD_BYTES));
  const outcome = await drive.readFrames({ ...(file.key ?? KEY), dataDir: file.dataDir, part: file.part ?? 1 }, [
    { slot, offset: block * (32 + SHARD_BYTES) },
  ]);
  return outcome.ok ? "good" : outcome.error.code;
}
