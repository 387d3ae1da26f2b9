/**
 * Moves versions that dangle into the quarantine of the drives that hold them, and gives them back. The drive keeps them aside
 * durably first; then the key gives them up by an ordinary commit, under the key's lock and after a last look at all drives.
 */
import { present } from "../core/assert.ts";
import { QuorumError } from "../core/quorum-error.ts";
import type { KeyLock } from "../core/key-lock.ts";
import { type Drive, nameOf, type ObjectPath, type Stamp } from "../storage/drive.ts";
import { later } from "../storage/key-memory.ts";
import type { QuarantinedVersion } from "../storage/drive-upkeep.ts";
import { XlMeta } from "../storage/xl-meta.ts";
import type { ErasureSet } from "./erasure-set.ts";
import { type Dangling, danglingVersions, dataDirOfVersion } from "./inspect-key.ts";
import { type KeyReading, readKeyPatiently } from "./read-version.ts";
import { isInDoubt } from "./resolve-doubt.ts";

/** The same on every drive that has a part of the version. */
export function quarantineId(key: ObjectPath, version: { versionId: string; modTimeNs: bigint }): string {
  const text = `${key.bucket}/${key.path} ${version.versionId} ${version.modTimeNs}`;
  return (Bun.hash.xxHash64(text) as bigint).toString(16).padStart(16, "0");
}

/** Those of `wanted` that still dangle; returns how many were moved. Throws DriveError and QuorumError. */
export async function quarantineVersions(
  set: ErasureSet,
  key: ObjectPath,
  wanted: readonly Dangling[],
  locks: KeyLock,
): Promise<number> {
  using _ = await locks.acquire(nameOf(key));
  if (set.isRead(key)) return 0;
  const reading = await readKeyPatiently(set, key);
  const still = danglingVersions(set, reading).filter((found) =>
    wanted.some(
      (w) => w.position === found.position && w.versionId === found.versionId && w.modTimeNs === found.modTimeNs,
    ),
  );
  for (const [position, versions] of Map.groupBy(still, (found) => found.position))
    await moveFrom(set, reading, position, versions);
  return still.length;
}

async function moveFrom(
  set: ErasureSet,
  reading: KeyReading,
  position: number,
  versions: readonly Dangling[],
): Promise<void> {
  const { key } = reading;
  const drive = present(set.drives[position], "a drive that dangles");
  const state = present(reading.states[position], "its state");
  const meta = XlMeta.decode(present(state.meta, "its xl.meta")); // what was read is others' too
  for (const version of versions) {
    const alone = XlMeta.empty();
    alone.setEncoded(present(meta.find(version.versionId), "its version"), meta.inlineData(version.versionId));
    const kept = await drive.upkeep.quarantine({
      ...key,
      id: quarantineId(key, version),
      versionId: version.versionId,
      modTimeNs: version.modTimeNs,
      movedNs: set.resources.clock.nowNs(),
      dataDir: dataDirOfVersion(reading, position, version.versionId),
      meta: alone.encode(),
    });
    if (!kept.ok) throw kept.error;
  }
  for (const { versionId } of versions) meta.removeVersion(versionId);
  await replaceOn(set, drive, key, {
    prior: state.stamp,
    meta,
    op: "",
    dataDirs: [],
  });
}

async function replaceOn(
  set: ErasureSet,
  drive: Drive,
  key: ObjectPath,
  change: { readonly prior: Stamp; readonly meta: XlMeta; readonly op: string; readonly dataDirs: readonly string[] },
): Promise<void> {
  const state = await drive.read(key);
  if (!state.ok) throw state.error;
  const { promised, stamp: held } = state.value;
  const stamp = set.resources.stamps.above(later(promised, held));
  const { prior, op, dataDirs } = change;
  const meta = change.meta.encode();
  const answer = await drive.commit(key, { kind: "replace", meta, op, dataDirs }, { stamp, prior, settles: [] });
  if (!answer.ok) throw answer.error;
  if (!answer.value.accepted) return; // it changed: another time
  const settled = await drive.settle(key, stamp);
  if (!settled.ok) throw settled.error;
}

/** Versions in quarantine on any drive of a set, each once, with the positions that have a part. */
export async function listQuarantine(
  set: ErasureSet,
): Promise<readonly { readonly version: QuarantinedVersion; readonly positions: readonly number[] }[]> {
  const found = new Map<string, { version: QuarantinedVersion; positions: number[] }>();
  const outcomes = await set.each((drive) => drive.upkeep.quarantined());
  for (const [position, outcome] of outcomes.entries()) {
    for (const version of outcome.ok ? outcome.value : []) {
      const known = found.get(version.id);
      if (known === undefined) found.set(version.id, { version, positions: [position] });
      else known.positions.push(position);
    }
  }
  return [...found.values()];
}

/** Gives every drive its part of a version back; returns on how many. A drive that has the version again keeps its own. */
export async function restoreQuarantined(set: ErasureSet, id: string, locks: KeyLock): Promise<number> {
  let restored = 0;
  for (const drive of set.drives) {
    const kept = await drive?.upkeep.quarantined();
    if (drive === null || kept?.ok !== true) continue;
    for (const version of kept.value)
      if (version.id === id && (await restoreOn(set, drive, version, locks))) restored++;
  }
  return restored;
}

/** Removes what is set aside, for good; returns on how many drives. */
export async function dropQuarantined(set: ErasureSet, id: string): Promise<number> {
  const ids = await set.each((drive) => drive.upkeep.quarantinedIds());
  let dropped = 0;
  for (const [position, found] of ids.entries()) {
    if (!found.ok || !found.value.includes(id)) continue;
    const gone = await present(set.drives[position], "a drive that answered").upkeep.dropQuarantined(id);
    if (!gone.ok) throw gone.error;
    dropped++;
  }
  return dropped;
}

/** How many versions are set aside. */
export async function countQuarantine(set: ErasureSet): Promise<number> {
  const ids = await set.each((drive) => drive.upkeep.quarantinedIds());
  return new Set(ids.flatMap((found) => (found.ok ? found.value : []))).size;
}

async function restoreOn(set: ErasureSet, drive: Drive, version: QuarantinedVersion, locks: KeyLock): Promise<boolean> {
  const key = { bucket: version.bucket, path: version.path };
  using _ = await locks.acquire(nameOf(key));
  // Over what is in doubt nothing newer is written, as by a heal.
  if (isInDoubt(set, key))
    throw new QuorumError("ReadQuorum", `a write of ${key.bucket}/${key.path} is in doubt and is to be decided first`);
  const state = await drive.read(key);
  if (!state.ok) throw state.error;
  const meta = state.value.meta === null ? XlMeta.empty() : XlMeta.decode(state.value.meta);
  if (meta.find(version.versionId) !== undefined) return false;
  const alone = XlMeta.decode(version.meta);
  const own = present(alone.find(version.versionId), "the version in quarantine");
  meta.setEncoded(own, alone.inlineData(version.versionId));
  const op = set.resources.rng.uuid();
  const staged = await drive.upkeep.stageQuarantined(version, op);
  if (!staged.ok) throw staged.error;
  const made = await drive.makeBucket(key.bucket);
  if (!made.ok && made.error.code !== "Exists") throw made.error;
  const dataDirs = version.dataDir === "" ? [] : [version.dataDir];
  await replaceOn(set, drive, key, { prior: state.value.stamp, meta, op, dataDirs });
  const now = await drive.read(key);
  if (!now.ok) throw now.error;
  if (now.value.meta === null || XlMeta.decode(now.value.meta).find(version.versionId) === undefined) return false;
  const dropped = await drive.upkeep.dropQuarantined(version.id);
  if (!dropped.ok) throw dropped.error;
  return true;
}
