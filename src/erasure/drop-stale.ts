/**
 * What a drive that is being rebuilt shows and its set has removed: the log of such a drive may have lost the removal
 * (`sherd drive repair`). Left there it would come back once the drive counts again and enough others have the same gap. It is taken
 * away on proof only: enough whole drives answer to hold a copy of every committed write, and none of them shows it.
 */
import type { KeyLock } from "../core/key-lock.ts";
import type { ObjectPath } from "../storage/drive.ts";
import { later } from "../storage/key-memory.ts";
import type { ErasureSet } from "./erasure-set.ts";
import { versionName } from "./quorum.ts";
import { type KeyReading, readKey } from "./read-version.ts";

/** Takes the key's lock. Versions removed; a drive that cannot do it throws its DriveError, as in a heal. */
export async function dropStale(set: ErasureSet, key: ObjectPath, locks: KeyLock): Promise<number> {
  if (set.rebuilding.size === 0) return 0;
  using _ = await locks.acquire(`${key.bucket}/${key.path}`);
  const reading = await readKey(set, key, true);
  let dropped = 0;
  for (const { position, versionId } of staleVersions(set, reading)) {
    const drive = set.drives[position];
    const state = await drive?.read(key);
    if (drive == null || state?.ok !== true || state.value.prev !== null) continue;
    const { stamp: prior, promised } = state.value;
    const stamp = later(set.resources.clock.nowNs(), later(prior, promised) + 1n);
    const terms = { stamp, prior, settles: [] };
    const answer = await drive.commit(key, { kind: "delete-version", versionId }, terms);
    if (!answer.ok) throw answer.error;
    if (!answer.value.accepted) continue;
    const settled = await drive.settle(key, terms.stamp);
    if (!settled.ok) throw settled.error;
    dropped++;
  }
  return dropped;
}

function staleVersions(set: ErasureSet, reading: KeyReading): { position: number; versionId: string }[] {
  const whole = reading.metas.filter((meta, position) => meta !== undefined && !set.rebuilding.has(position));
  if (whole.length < set.size - Math.floor(set.size / 2)) return [];
  const shown = new Set(whole.flatMap((meta) => (meta?.versions ?? []).map(({ header }) => versionName(header))));
  const replaced = new Set(reading.merged.versions.map(({ header }) => header.versionId)); // a heal writes over these
  const isInDoubt = reading.states.some((state) => state !== undefined && state.prev !== null);
  return isInDoubt
    ? []
    : [...set.rebuilding].flatMap((position) =>
        (reading.metas[position]?.versions ?? [])
          .filter(({ header }) => !shown.has(versionName(header)) && !replaced.has(header.versionId))
          .map(({ header }) => ({ position, versionId: header.versionId })),
      );
}
