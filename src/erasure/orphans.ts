/**
 * What nothing refers to any more, and its removal with proof: data directories that no xl.meta of any drive names, uploads
 * that nobody continues. Proof: most drives of the set answer, none is in doubt about the key, the age is beyond the limit, and all of
 * it is looked at again under the key's lock, which every write that could refer to it takes.
 */
import { FormatError } from "../core/format-error.ts";
import type { KeyLock } from "../core/key-lock.ts";
import { type Drive, nameOf, type ObjectPath } from "../storage/drive.ts";
import { decodePartMeta } from "../storage/part-meta.ts";
import { SYSTEM_BUCKET, uploadInitiatedNs } from "../storage/paths.ts";
import { isUuidText } from "../storage/uuid.ts";
import { XlMeta } from "../storage/xl-meta.ts";
import type { ErasureSet } from "./erasure-set.ts";
import { deleteQuorum } from "./quorum.ts";
import { type DriveLook, lookAt } from "./walk-set.ts";

type Looks = readonly (DriveLook | null)[];

/** Directories that may be data and that no drive names; by position. */
export function unnamedDirectories(set: ErasureSet, looks: Looks): readonly { position: number; name: string }[] {
  const answered = looks.filter((look) => look !== null);
  const isClear = answered.every((look) => look.named !== null && !look.inDoubt);
  if (answered.length < deleteQuorum(set.size) || !isClear) return [];
  const named = new Set(answered.flatMap((look) => [...(look.named ?? [])]));
  return looks.flatMap((look, position) =>
    (look?.directories ?? [])
      .filter((name) => isUuidText(name) && !named.has(name))
      .map((name) => ({ position, name })),
  );
}

/** How many were removed. */
export async function removeOrphans(
  set: ErasureSet,
  key: ObjectPath,
  looks: Looks,
  how: { readonly locks: KeyLock; readonly untouchedSinceNs: bigint },
): Promise<number> {
  const suspects = unnamedDirectories(set, looks);
  if (suspects.length === 0) return 0;
  const old: (typeof suspects)[number][] = [];
  for (const suspect of suspects)
    if (await isOldData(set.drives[suspect.position], key, suspect.name, how)) old.push(suspect);
  if (old.length === 0) return 0;
  using _ = await how.locks.acquire(nameOf(key));
  if (set.isRead(key) || set.unsettled.has(nameOf(key))) return 0;
  const still = unnamedDirectories(set, await lookAt(set, key));
  let removed = 0;
  for (const { position, name } of old) {
    const drive = set.drives[position];
    if (drive == null || !still.some((s) => s.position === position && s.name === name)) continue;
    if (!(await isOldData(drive, key, name, how))) continue;
    if ((await drive.upkeep.discardData(key, name)).ok) removed++;
  }
  return removed;
}

async function isOldData(
  drive: Drive | null | undefined,
  key: ObjectPath,
  name: string,
  how: { readonly untouchedSinceNs: bigint },
): Promise<boolean> {
  const found = await drive?.upkeep.dataDirectory(key, name);
  if (found?.ok !== true || found.value === null) return false;
  return found.value.onlyParts && found.value.changedNs < how.untouchedSinceNs;
}

/** Uploads that began and got their last part before the limit; how many were removed. */
export async function removeStaleUploads(set: ErasureSet, locks: KeyLock, beforeNs: bigint): Promise<number> {
  let removed = 0;
  for (const parent of await namesOn(set, "multipart")) {
    for (const uploadDir of await namesOn(set, `multipart/${parent}`)) {
      const initiatedNs = uploadInitiatedNs(uploadDir);
      if (initiatedNs !== null && initiatedNs >= beforeNs) continue;
      const path = `multipart/${parent}/${uploadDir}`;
      using _ = await locks.acquire(`${SYSTEM_BUCKET}/${path}`); // a part, or the end of the upload, comes before or after
      if (!(await isStale(set, path, beforeNs))) continue;
      const gone = await set.each((drive) => drive.removeUpload(path));
      if (gone.some((o) => o.ok)) removed++;
    }
  }
  return removed;
}

/** Most drives answer, and none has a sign of life since. */
async function isStale(set: ErasureSet, path: string, beforeNs: bigint): Promise<boolean> {
  const newest = await Promise.all(set.drives.map((drive) => (drive === null ? null : lastActivity(drive, path))));
  const answers = newest.filter((ns) => ns !== null);
  return answers.length >= deleteQuorum(set.size) && answers.every((ns) => ns < beforeNs);
}

/** ns since 1970, 0 = the drive knows nothing of it; null = it does not tell. */
async function lastActivity(drive: Drive, path: string): Promise<bigint | null> {
  const state = await drive.read({ bucket: SYSTEM_BUCKET, path });
  if (!state.ok || state.value.prev !== null) return null;
  let newest = 0n;
  const see = (ns: bigint): void => {
    if (ns > newest) newest = ns;
  };
  const names = await drive.readDirectory(SYSTEM_BUCKET, path);
  if (!names.ok) return names.error.code === "NotFound" ? 0n : null;
  try {
    if (state.value.meta !== null)
      for (const { header } of XlMeta.decode(state.value.meta).versions) see(header.modTime);
    for (const { name, isDirectory } of names.value) {
      if (!isDirectory) continue;
      const folder = await drive.upkeep.dataDirectory({ bucket: SYSTEM_BUCKET, path }, name);
      if (!folder.ok) return null;
      see(folder.value?.changedNs ?? 0n);
      const parts = await drive.readParts(path, name);
      if (!parts.ok) return null;
      for (const bytes of parts.value.values()) see(decodePartMeta(bytes).modTime);
    }
  } catch (error) {
    if (error instanceof FormatError) return newest; // a damaged record is no sign of life
    throw error;
  }
  return newest;
}

async function namesOn(set: ErasureSet, path: string): Promise<readonly string[]> {
  const outcomes = await set.each((drive) => drive.readDirectory(SYSTEM_BUCKET, path));
  const names = outcomes.flatMap((o) => (o.ok ? o.value.filter((e) => e.isDirectory).map((e) => e.name) : []));
  return [...new Set(names)].sort();
}
