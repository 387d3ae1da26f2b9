/**
 * One key over all pools. Versions of a key, and stale copies of them, may lie in several pools: all are asked, of one
 * version id the newest counts (on-disk-format.md §2.5). New keys go to a pool drawn by free space, others stay where
 * their newest version is, unless that pool is being drained.
 */
import { compareHeaders } from "../storage/xl-meta-header.ts";
import type { ObjectPath, Stamp } from "../storage/drive.ts";
import { later } from "../storage/key-memory.ts";
import type { ErasureSet } from "./erasure-set.ts";
import type { MergedVersion } from "./quorum.ts";
import { QuorumError } from "../core/quorum-error.ts";
import { isFree, type KeyReading, readKey } from "./read-version.ts";

export interface PoolReading {
  readonly set: ErasureSet;
  readonly reading: KeyReading;
}
export interface PlacedVersion extends PoolReading {
  readonly merged: MergedVersion;
}
export interface LocatedKey {
  readonly pools: readonly PoolReading[];
  /** Visible versions, newest first, one for each id. */
  readonly versions: readonly PlacedVersion[];
}

export function locateKey(sets: readonly ErasureSet[], key: ObjectPath, all = false): Promise<LocatedKey> {
  const [only] = sets;
  return only !== undefined && sets.length === 1 ? locateIn(only, sets, key, all) : locateInEach(sets, key, all);
}

async function locateIn(
  only: ErasureSet,
  sets: readonly ErasureSet[],
  key: ObjectPath,
  all: boolean,
): Promise<LocatedKey> {
  return combine(sets, [await readKey(only, key, all)]);
}

async function locateInEach(sets: readonly ErasureSet[], key: ObjectPath, all: boolean): Promise<LocatedKey> {
  return combine(sets, await Promise.all(sets.map((set) => readKey(set, key, all))));
}

export function combine(sets: readonly ErasureSet[], readings: readonly KeyReading[]): LocatedKey {
  const [set] = sets;
  const [reading] = readings;
  const isUsual = set !== undefined && reading !== undefined && sets.length === 1;
  return isUsual && reading.merged.versions.length <= 1 ? located(set, reading) : combineAll(sets, readings);
}

/** The usual case: one pool with one version, or none. */
function located(set: ErasureSet, reading: KeyReading): LocatedKey {
  const [merged] = reading.merged.versions;
  if (merged === undefined || isFree(merged)) return { pools: [{ set, reading }], versions: [] };
  const placed = { set, reading, merged };
  return { pools: [placed], versions: [placed] };
}

function combineAll(sets: readonly ErasureSet[], readings: readonly KeyReading[]): LocatedKey {
  const pools = sets.map((set, i) => ({ set, reading: readings[i] as KeyReading }));
  const byId = new Map<string, PlacedVersion>();
  for (const pool of pools) {
    for (const merged of pool.reading.merged.versions) {
      if (isFree(merged)) continue;
      const other = byId.get(merged.header.versionId);
      if (other === undefined || other.merged.header.modTime < merged.header.modTime)
        byId.set(merged.header.versionId, { ...pool, merged });
    }
  }
  const versions = [...byId.values()];
  if (pools.length > 1) versions.sort((a, b) => compareHeaders(a.merged.header, b.merged.header));
  return { pools, versions };
}

/** The highest stamp or promise that any pool shows: a newer write of the key must be above it, whichever pool takes it. */
export function highestOf({ pools }: LocatedKey): Stamp {
  return pools.reduce((most, { reading }) => later(most, reading.highest), 0n);
}

export interface Found extends PlacedVersion {
  readonly isLatest: boolean;
}

/** The version asked for, or the latest; undefined = none. Throws when it may exist but too few drives tell. */
export function findVersion(located: LocatedKey, versionId: string | undefined): Found | undefined {
  const latest = located.versions[0];
  const found = versionId === undefined ? latest : withId(located.versions, versionId);
  for (const { reading } of located.pools) {
    for (const header of reading.merged.undecided) {
      const asked = versionId === undefined || header.versionId === versionId;
      if (asked && (found === undefined || header.modTime > found.merged.header.modTime)) {
        throw new QuorumError(
          "ReadQuorum",
          `too few drives answer to tell the newest version of ${reading.key.bucket}/${reading.key.path}`,
          { key: reading.key },
        );
      }
    }
  }
  if (found === undefined) return undefined;
  const { set, reading, merged } = found;
  return { set, reading, merged, isLatest: found === latest };
}

function withId(versions: readonly PlacedVersion[], versionId: string): PlacedVersion | undefined {
  return versions.find((version) => version.merged.header.versionId === versionId);
}
