/**
 * Heal one key of one set: what drives lack is rebuilt from k good shards, staged, and committed there under the key's
 * lock if the key has not changed meanwhile. Versions that only a minority holds stay where they are, except on a drive
 * that is known to have missed the operation which removed them (gone-versions.ts).
 * Source: on-disk-format.md §8.6; engine.md §1.
 */
import { decodeInline, encodeInline, framedFileBytes, shardBytesOf } from "../codec/bitrot.ts";
import { present } from "../core/assert.ts";
import type { KeyLock } from "../core/key-lock.ts";
import { PAGE_BYTES, step } from "../sys/disk.ts";
import { type Drive, DriveError, nameOf, type ObjectPath, type ShardWriter, type Stamp } from "../storage/drive.ts";
import { later } from "../storage/key-memory.ts";
import { isReadable } from "../storage/apply-change.ts";
import { decodeVersion, encodeVersion, type ObjectVersion } from "../storage/xl-meta-version.ts";
import { XlMeta } from "../storage/xl-meta.ts";
import type { ErasureSet } from "./erasure-set.ts";
import { goneVersions } from "./gone-versions.ts";
import { QuorumError } from "../core/quorum-error.ts";
import type { MergedVersion } from "./quorum.ts";
import { type KeyReading, readKeyPatiently } from "./read-version.ts";
import { isInDoubt, resolveDoubt } from "./resolve-doubt.ts";
import type { ShardLayout } from "./read-shards.ts";
import { type ShardSources, shardSources } from "./stored-version.ts";
import { appendStrideOf } from "./write-shards.ts";

export interface HealOutcome {
  /** Drives that were given something. */
  readonly healed: readonly number[];
  /** Drives that still lack something: the key changed meanwhile, or they cannot be read and it is not known what they lack. */
  readonly lacking: readonly number[];
  /** A version may be committed that a drive which does not answer must tell of: what others lack of it is not known. */
  readonly isUndecided: boolean;
  /** Drives that did not tell what they hold. */
  readonly silent: readonly number[];
  readonly bytes: number;
}

export interface HealHow {
  /** Read and verify every shard, not just look whether it is there. */
  readonly deep: boolean;
  /** Before so many bytes are read to be verified. */
  readonly pace?: (bytes: number) => Promise<void>;
}

export async function healKey(set: ErasureSet, key: ObjectPath, locks: KeyLock, how: HealHow): Promise<HealOutcome> {
  if (isInDoubt(set, key)) {
    using _ = await locks.acquire(nameOf(key));
    if ((await resolveDoubt(set, key)) === "waiting")
      throw new QuorumError("ReadQuorum", `a write of ${key.bucket}/${key.path} is in doubt and cannot be decided yet`);
  }
  using _pin = set.pin(key);
  const reading = await readKeyPatiently(set, key);
  const isUndecided = reading.merged.undecided.length > 0 && set.drives.some((_, i) => isSilent(set, reading, i));
  const healed: number[] = [];
  const stillLacking: number[] = [];
  let bytes = 0;
  const failures: DriveError[] = [];
  for (const [position, drive] of set.drives.entries()) {
    if (drive === null) continue;
    const stamp = reading.states[position]?.stamp ?? (await stampOfReplaced(set, key, position));
    if (stamp === null) continue;
    const lacking = await lackingVersions(set, reading, position, how);
    const removed = set.debt?.removed(position, key) ?? null;
    const gone = goneVersions(reading, position, { removed, rebuilding: set.rebuilding });
    if (lacking.length + gone.length === 0) continue;
    if (isUndecided && !isReadable(reading.states[position]?.meta ?? null)) {
      stillLacking.push(position); // without what is undecided it would be a witness against it
      continue;
    }
    try {
      const written = await healDrive(set, reading, { drive, position, stamp, lacking, gone, locks });
      if (written === null) {
        stillLacking.push(position);
        continue;
      }
      bytes += written;
      healed.push(position);
    } catch (error) {
      if (!(error instanceof DriveError)) throw error;
      failures.push(error); // the others are healed all the same
    }
  }
  if (failures[0] !== undefined) throw failures[0];
  const silent = [...set.drives.keys()].filter((i) => reading.states[i] === undefined && !healed.includes(i));
  return { healed, lacking: stillLacking, isUndecided, silent, bytes };
}

/** Not of a replaced drive: it has nothing to tell. */
function isSilent(set: ErasureSet, reading: KeyReading, position: number): boolean {
  return reading.states[position] === undefined && !set.rebuilding.has(position);
}

/** A replaced drive is no witness of what there is, but the first to be given it. Null: it does not answer, or is none. */
async function stampOfReplaced(set: ErasureSet, key: ObjectPath, position: number): Promise<Stamp | null> {
  if (!set.rebuilding.has(position)) return null;
  const state = await set.drives[position]?.read(key);
  return state?.ok === true && state.value.meta === null ? state.value.stamp : null;
}

/** Agreed versions that this drive lacks in its metadata or data. */
export async function lackingVersions(
  set: ErasureSet,
  reading: KeyReading,
  position: number,
  how: HealHow,
): Promise<MergedVersion[]> {
  const lacking: MergedVersion[] = [];
  for (const version of reading.merged.versions) {
    if (!version.holders.includes(position)) lacking.push(version);
    else if (version.header.type === 1 && !(await hasData(set, reading, version, { position, how })))
      lacking.push(version);
  }
  return lacking;
}

async function hasData(
  set: ErasureSet,
  reading: KeyReading,
  version: MergedVersion,
  at: { position: number; how: HealHow },
): Promise<boolean> {
  const body = bodyOn(reading, version, at.position);
  if (body.type !== 1 || body.sizeBytes === 0) return true;
  const inline = reading.metas[at.position]?.inlineData(version.header.versionId);
  const file = { ...reading.key, dataDir: body.dataDir };
  const { blockSizeBytes, dataShards } = body;
  if (inline !== undefined && inline.length > 0)
    return (
      inline.length === framedFileBytes(body.sizeBytes, blockSizeBytes, dataShards) && framesAreGood(set, inline, body)
    );
  const drive = present(set.drives[at.position], "a drive");
  for (const [i, part] of body.partNumbers.entries()) {
    const partBytes = body.partSizes[i] ?? 0;
    const size = await drive.shardSize({ ...file, part });
    if (!size.ok || size.value !== framedFileBytes(partBytes, blockSizeBytes, dataShards)) return false;
    const shape = { partBytes, blockBytes: blockSizeBytes, k: dataShards, pace: at.how.pace };
    if (at.how.deep && !(await verifyPart(set, drive, { ...file, part }, shape))) return false;
  }
  return true;
}

function framesAreGood(set: ErasureSet, stream: Uint8Array, body: ObjectVersion): boolean {
  const full = shardBytesOf(body.blockSizeBytes, body.dataShards);
  for (let at = 0; at < stream.length; at += 32 + full) {
    const frame = stream.subarray(at, at + 32 + full);
    if (!set.resources.codec.verify(frame.subarray(0, 32), frame.subarray(32))) return false;
  }
  return true;
}

async function verifyPart(
  set: ErasureSet,
  drive: Drive,
  file: Parameters<Drive["readFrames"]>[0],
  part: { partBytes: number; blockBytes: number; k: number; pace: HealHow["pace"] },
): Promise<boolean> {
  const full = shardBytesOf(part.blockBytes, part.k);
  using block = await set.resources.blocks.acquire(32 + full);
  for (let b = 0; b * part.blockBytes < part.partBytes; b++) {
    const length = shardBytesOf(Math.min(part.blockBytes, part.partBytes - b * part.blockBytes), part.k);
    await part.pace?.(length);
    const outcome = await drive.readFrames(file, [
      { slot: block.bytes.subarray(0, 32 + length), offset: b * (32 + full) },
    ]);
    if (!outcome.ok) {
      await outcome.error.letsGo; // the block is its own until then
      return false;
    }
  }
  return true;
}

function bodyOn(reading: KeyReading, version: MergedVersion, position: number): ReturnType<typeof decodeVersion> {
  return decodeVersion(present(reading.metas[position]?.find(version.header.versionId), "a holder's version").body);
}

interface Target {
  readonly drive: Drive;
  readonly position: number;
  /** What it holds now. */
  readonly stamp: Stamp;
  readonly lacking: readonly MergedVersion[];
  /** Ids of versions that go (gone-versions.ts). */
  readonly gone: readonly string[];
  readonly locks: KeyLock;
}

/** Bytes written; null = the key changed meanwhile, and the drive was given nothing. */
async function healDrive(set: ErasureSet, reading: KeyReading, target: Target): Promise<number | null> {
  const op = set.resources.rng.uuid();
  const own = reading.metas[target.position];
  const meta = own === undefined || own === null ? XlMeta.empty() : XlMeta.decode(own.encode()); // others look at `own`
  const dataDirs: string[] = [];
  let bytes = 0;
  try {
    for (const version of target.lacking) {
      const from = version.holders.find((h) => h !== target.position) ?? target.position;
      const body = bodyOn(reading, version, from);
      if (body.type !== 1) {
        meta.putBody(encodeVersion(body), undefined, version.header);
        continue;
      }
      const shard = (body.distribution[target.position] ?? 1) - 1;
      const sources = withoutShard(shardSources(reading, version), shard);
      const fresh: ObjectVersion = { ...body, erasureIndex: shard + 1 };
      if (sources.sizeBytes === 0) meta.putBody(encodeVersion(fresh), new Uint8Array(0), version.header);
      else if (sources.inline.some((s) => s !== undefined)) {
        const stream = rebuildInline(set, sources, shard);
        bytes += stream.length;
        meta.putBody(encodeVersion(fresh), stream, version.header);
      } else {
        bytes += await rebuildFiles(set, sources, { shard, op, dataDir: body.dataDir, drive: target.drive });
        dataDirs.push(body.dataDir);
        meta.putBody(encodeVersion(fresh), undefined, version.header);
      }
    }
    for (const id of target.gone) meta.removeVersion(id);
    const taken = await commitHealed(set, reading, target, { op, dataDirs, meta: meta.encode() });
    return taken ? bytes : null;
  } finally {
    await target.drive.unstage(op);
  }
}

/** The shard to rebuild must not be its own source. */
function withoutShard(sources: ShardSources, shard: number): ShardSources {
  const places = sources.layout.places.map((place, i) => (i === shard ? null : place));
  const inline = sources.inline.map((stream, i) => (i === shard ? undefined : stream));
  return { ...sources, inline, layout: { ...sources.layout, places } };
}

function rebuildInline(set: ErasureSet, sources: ShardSources, shard: number): Uint8Array {
  const { k, m, blockBytes, key } = sources.layout;
  const { data } = decodeInline(set.resources.codec, sources.inline, {
    sizeBytes: sources.sizeBytes,
    k,
    m,
    blockBytes,
  });
  if (data === null) throw new QuorumError("ReadQuorum", `too few good inline shards of ${key.bucket}/${key.path}`);
  return present(encodeInline(set.resources.codec, data, { k, m, blockBytes })[shard], "a shard stream");
}

async function rebuildFiles(
  set: ErasureSet,
  sources: ShardSources,
  to: { shard: number; op: string; dataDir: string; drive: Drive },
): Promise<number> {
  let bytes = 0;
  for (const part of sources.layout.parts) {
    const opened = await to.drive.stage(to.op, to.dataDir, part.number);
    if (!opened.ok) throw opened.error;
    try {
      bytes += await rebuildPart(set, sources.layout, part, { writer: opened.value, shard: to.shard });
    } catch (error) {
      await opened.value.abort();
      throw error;
    }
    const closed = await opened.value.close();
    if (!closed.ok) throw closed.error;
  }
  return bytes;
}

/** One part's shard of a drive, from k good ones; bytes written. */
export async function rebuildPart(
  set: ErasureSet,
  layout: ShardLayout,
  part: { number: number; sizeBytes: number },
  to: { writer: ShardWriter; shard: number },
): Promise<number> {
  const { k, m, blockBytes, places, key } = layout;
  const full = shardBytesOf(blockBytes, k);
  const stride = appendStrideOf(full);
  using block = await set.resources.blocks.acquire(stride * (k + m));
  let written = 0;
  for (let b = 0; b * blockBytes < part.sizeBytes; b++) {
    const shardBytes = shardBytesOf(Math.min(blockBytes, part.sizeBytes - b * blockBytes), k);
    const lead = (b * (32 + full)) % PAGE_BYTES;
    const slots = block.bytes.subarray(lead);
    let have = 0;
    let count = 0;
    for (const [shard, place] of places.entries()) {
      const drive = place === null ? null : set.drives[place.position];
      if (count === k || place === null || drive == null) continue;
      const slot = slots.subarray(shard * stride, shard * stride + 32 + shardBytes);
      const read = await drive.readFrames({ ...key, dataDir: place.dataDir, part: part.number }, [
        { slot, offset: b * (32 + full) },
      ]);
      if (!read.ok) {
        await read.error.letsGo; // the block is its own until then
        continue;
      }
      have |= 1 << shard;
      count++;
    }
    if (count < k)
      throw new QuorumError(
        "ReadQuorum",
        `${count} of ${k} needed shards of ${key.bucket}/${key.path} part ${part.number} can be read`,
      );
    await set.resources.jobs.run([
      step.rebuildSlots(set.resources.codec.plan(k, m), slots, { stride, shardBytes, have, want: 1 << to.shard }),
    ]);
    const appended = await to.writer.append(
      block.bytes.subarray(to.shard * stride, to.shard * stride + lead + 32 + shardBytes),
      lead,
    );
    if (!appended.ok) {
      await appended.error.letsGo;
      throw appended.error;
    }
    written += shardBytes;
  }
  return written;
}

async function commitHealed(
  set: ErasureSet,
  before: KeyReading,
  target: Target,
  fresh: { op: string; dataDirs: readonly string[]; meta: Uint8Array },
): Promise<boolean> {
  const { key } = before;
  using _ = await target.locks.acquire(nameOf(key));
  const now = await target.drive.read(key);
  if (!now.ok) throw now.error;
  // Over what is in doubt nothing newer is written: it would say that the doubt is over, and on which side.
  if (isInDoubt(set, key) || now.value.stamp !== target.stamp || (await changed(set, before))) {
    set.resources.damage.report({ bucket: key.bucket, path: key.path, why: "differs" }); // look again later
    return false;
  }
  const stamp = set.resources.stamps.above(later(now.value.promised, now.value.stamp));
  const terms = { stamp, prior: now.value.stamp, settles: [] };
  const take = (): ReturnType<Drive["commit"]> => target.drive.commit(key, { kind: "replace", ...fresh }, terms);
  let answer = await take();
  if (!answer.ok && answer.error.code === "NotFound") {
    // A drive that came empty, or missed the making of the bucket.
    const made = await target.drive.makeBucket(key.bucket);
    if (made.ok || made.error.code === "Exists") answer = await take();
  }
  if (!answer.ok) throw answer.error;
  if (!answer.value.accepted) return false;
  const settled = await target.drive.settle(key, stamp);
  if (!settled.ok) throw settled.error;
  return true;
}

async function changed(set: ErasureSet, before: KeyReading): Promise<boolean> {
  const after = await readKeyPatiently(set, before.key);
  const ids = (r: KeyReading): string =>
    r.merged.versions.map((v) => `${v.header.versionId}:${v.header.modTime}:${v.header.signature}`).join();
  return ids(after) !== ids(before);
}
