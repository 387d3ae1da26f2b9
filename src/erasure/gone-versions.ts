/**
 * Which versions of a drive are gone for certain: it may be brought to "deleted". What too few drives hold is no proof, it may
 * be what a loss left, and stays. Proof is the debt that names the version that the missed operation took away, or that most
 * drives of the set hold nothing of the key by a settled operation later than anything this drive knows of it. Pure.
 */
import type { Stamp } from "../storage/drive.ts";
import type { XlHeader } from "../storage/xl-meta-header.ts";
import { deleteQuorum } from "./quorum.ts";
import type { KeyReading } from "./read-version.ts";

/** Ids of versions on the drive at `position`; `removed`: what operations that it missed took away. */
export function goneVersions(
  reading: KeyReading,
  position: number,
  removed: ReadonlyMap<string, Stamp> | null,
): readonly string[] {
  const { versions, undecided } = reading.merged;
  const own = reading.states[position];
  const held = reading.metas[position]?.versions ?? [];
  if (held.length === 0 || own === undefined || own.prev !== null) return [];
  const kept = new Set([...versions.map((v) => v.header), ...undecided].map((header) => header.versionId));
  const isDeletedSince = keyIsGone(reading, position, own.stamp);
  return held.flatMap(({ header }) => {
    if (kept.has(header.versionId)) return [];
    const { versionId, modTime } = header;
    const isOwed = modTime <= (removed?.get(versionId) ?? -1n);
    return isOwed || isDeletedSince(header) ? [versionId] : [];
  });
}

/**
 * Most drives took a settled operation that left nothing, later than this drive's last one. One of them had what was
 * acknowledged before, whatever it was. Stamps are remembered for a while only: after it this proves nothing.
 */
function keyIsGone(reading: KeyReading, position: number, ownStamp: Stamp): (header: XlHeader) => boolean {
  const latest = (header: XlHeader): Stamp => (header.modTime > ownStamp ? header.modTime : ownStamp);
  return (header) => {
    const witnesses = reading.states.filter(
      (state, i) => i !== position && state?.meta === null && state.prev === null && state.stamp > latest(header),
    );
    return witnesses.length >= deleteQuorum(reading.states.length);
  };
}
