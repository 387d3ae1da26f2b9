/**
 * inspectKey: what a set lacks of one key, without changing anything: drives that lack an agreed version, and versions that
 * dangle: too few drives hold them for anybody to read, every drive says so, and nothing is in doubt or owed.
 */
import { decodeVersion } from "../storage/xl-meta-version.ts";
import type { ObjectPath } from "../storage/drive.ts";
import type { ErasureSet } from "./erasure-set.ts";
import { type HealHow, lackingVersions } from "./heal-version.ts";
import { type KeyReading, readKeyPatiently } from "./read-version.ts";

export interface Dangling {
  readonly position: number;
  readonly versionId: string;
  /** ns since 1970. */
  readonly modTimeNs: bigint;
}
export interface KeyCondition {
  /** Drives that answer and lack something. */
  readonly lacking: readonly number[];
  readonly dangling: readonly Dangling[];
  readonly versions: number;
}

export async function inspectKey(set: ErasureSet, key: ObjectPath, how: HealHow): Promise<KeyCondition> {
  using _pin = set.pin(key); // an overwrite must not take away what is being looked at
  const reading = await readKeyPatiently(set, key);
  const lacking: number[] = [];
  for (const [position, drive] of set.drives.entries()) {
    if (drive === null || reading.states[position] === undefined) continue;
    if ((await lackingVersions(set, reading, position, how)).length > 0) lacking.push(position);
  }
  return { lacking, dangling: danglingVersions(set, reading), versions: reading.merged.versions.length };
}

/** None while a drive is silent, being rebuilt or given what it missed, unreadable, or in doubt. */
export function danglingVersions(set: ErasureSet, reading: KeyReading): readonly Dangling[] {
  if (set.rebuilding.size > 0 || set.debt?.behind(reading.key) != null) return [];
  const isWhole = set.drives.every((drive, i) => {
    const state = reading.states[i];
    return drive !== null && drive.state === "ok" && state?.prev === null && !isUnreadable(reading, i);
  });
  if (!isWhole) return [];
  const { versions, undecided } = reading.merged;
  const known = new Set([...versions.map((v) => v.header), ...undecided].map((header) => header.versionId));
  return reading.metas.flatMap((meta, position) =>
    (meta?.versions ?? [])
      .filter(({ header }) => !known.has(header.versionId))
      .map(({ header }) => ({ position, versionId: header.versionId, modTimeNs: header.modTime })),
  );
}

/** Bytes that are no xl.meta read as an absent one. */
function isUnreadable(reading: KeyReading, position: number): boolean {
  return reading.states[position]?.meta != null && reading.metas[position] == null;
}

/** The data directory of a version that has one of its own; "" = none. */
export function dataDirOfVersion(reading: KeyReading, position: number, versionId: string): string {
  const meta = reading.metas[position];
  const found = meta?.find(versionId);
  if (found === undefined || meta == null || decodeVersion(found.body).type === 2) return "";
  return meta.dataDirFreedBy(versionId);
}
