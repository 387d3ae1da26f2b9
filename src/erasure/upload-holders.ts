/**
 * Which drives have every listed part of an upload, before a Complete counts them: a drive that missed a part, or the sending of
 * it again, would give an acknowledged object less than its redundancy, or shards of two contents. Those that lack parts
 * are given them first, so that an upload of which every part was acknowledged can be completed whoever missed which.
 */
import { type Drive, DriveError, type DriveOutcome, type ObjectPath } from "../storage/drive.ts";
import { present } from "../core/assert.ts";
import { FormatError } from "../core/format-error.ts";
import { QuorumError } from "../core/quorum-error.ts";
import { decodePartMeta, type PartRecord } from "../storage/part-meta.ts";
import { SYSTEM_BUCKET } from "../storage/paths.ts";
import type { ErasureSet } from "./erasure-set.ts";
import { rebuildPart } from "./heal-version.ts";
import type { ShardLayout, ShardPlace } from "./read-shards.ts";
import type { UploadPart } from "./store.ts";
import { BLOCK_BYTES } from "./write-shards.ts";

/** Where an upload is; `UploadRef.handle`. */
export interface UploadPlace {
  readonly set: ErasureSet;
  readonly path: string;
  readonly dataDir: string;
  readonly k: number;
  readonly parity: number;
  /** dist[i] = shard number of the drive at position i. */
  readonly dist: readonly number[];
}
/** Records of the parts that a drive has as they are listed. */
type Held = ReadonlyMap<number, Uint8Array>;

/** Null = damaged on this drive: the others have it. */
export function readPartRecord(bytes: Uint8Array): PartRecord | null {
  try {
    return decodePartMeta(bytes);
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

/** Called under the upload's lock. Positions of drives that have all of `parts`. Those that hang are asked only if the others are not `enough`. */
export async function wholeHolders(
  place: UploadPlace,
  parts: readonly UploadPart[],
  enough: number,
): Promise<ReadonlySet<number>> {
  const { set } = place;
  const awake = set.present().filter((position) => !set.writePatience.isHanging(position));
  const whole = await wholeAmong(place, parts, awake);
  return whole.size >= enough || awake.length === set.present().length
    ? whole
    : await wholeAmong(place, parts, set.present());
}

async function wholeAmong(
  place: UploadPlace,
  parts: readonly UploadPart[],
  asked: readonly number[],
): Promise<ReadonlySet<number>> {
  const wanted = new Map(parts.map((part) => [part.number, part]));
  const only = { first: Math.min(...wanted.keys()), last: Math.max(...wanted.keys()) };
  const held = new Array<Held | null>(place.set.size).fill(null);
  await Promise.all(
    asked.map(async (position) => {
      const read = await present(place.set.drives[position], "a drive").readParts(place.path, place.dataDir, only);
      held[position] = heldOf(read, wanted);
    }),
  );
  const whole = new Set<number>();
  for (const [position, has] of held.entries()) {
    if (has === null) continue;
    const lacking = parts.filter((part) => !has.has(part.number));
    if (lacking.length === 0 || (await giveParts(place, position, lacking, held))) whole.add(position);
  }
  return whole;
}

/** Null: the drive does not answer. */
function heldOf(
  outcome: DriveOutcome<ReadonlyMap<number, Uint8Array>>,
  wanted: ReadonlyMap<number, UploadPart>,
): Held | null {
  if (!outcome.ok) return null;
  return new Map(
    [...outcome.value].filter(([number, bytes]) => {
      const part = wanted.get(number);
      const record = part === undefined ? null : readPartRecord(bytes);
      // One sending of a part has one time on all drives; another may have other bytes under the same ETag, and the ETag that is
      // listed of an encrypted part is not the one in its record.
      return record !== null && record.modTime === part?.modTimeNs && record.sizeBytes === part.sizeBytes;
    }),
  );
}

/** False: it cannot be given all of them now. */
async function giveParts(
  place: UploadPlace,
  position: number,
  lacking: readonly UploadPart[],
  held: readonly (Held | null)[],
): Promise<boolean> {
  const drive = place.set.drives[position];
  if (drive == null) return false;
  try {
    for (const part of lacking) await givePart(place, { drive, position }, part, held);
    return true;
  } catch (error) {
    if (error instanceof DriveError || error instanceof QuorumError) return false; // the others decide
    throw error;
  }
}

async function givePart(
  place: UploadPlace,
  to: { readonly drive: Drive; readonly position: number },
  part: UploadPart,
  held: readonly (Held | null)[],
): Promise<void> {
  const { set, path, dataDir } = place;
  const holders = [...held.keys()].filter((i) => held[i]?.has(part.number) === true);
  const meta = held[holders[0] ?? -1]?.get(part.number);
  if (meta === undefined || holders.length < place.k)
    throw new QuorumError("ReadQuorum", `${holders.length} of ${place.k} needed drives have part ${part.number}`);
  const op = set.resources.rng.uuid();
  const writer = must(await to.drive.stage(op, dataDir, 1));
  try {
    const shard = (place.dist[to.position] as number) - 1;
    await rebuildPart(set, layoutOf(place, holders), part, { writer, shard });
  } catch (error) {
    await writer.abort();
    throw error;
  }
  must(await writer.close());
  must(await to.drive.putPart({ op, uploadPath: path, dataDir, part: part.number, meta }));
}

function layoutOf(place: UploadPlace, holders: readonly number[]): ShardLayout {
  const { k, parity: m, dataDir, dist } = place;
  const key: ObjectPath = { bucket: SYSTEM_BUCKET, path: place.path };
  const places = new Array<ShardPlace | null>(k + m).fill(null);
  for (const position of holders) places[(dist[position] as number) - 1] = { position, dataDir };
  return { key, k, m, blockBytes: BLOCK_BYTES, places, parts: [] };
}

function must<T>(outcome: DriveOutcome<T>): T {
  if (!outcome.ok) throw outcome.error;
  return outcome.value;
}
