/**
 * Which versions of a drive are gone for certain: a heal takes them away there. What too few drives hold is no proof, it may be
 * what a loss left, and stays. There are three proofs, and one is enough:
 *
 * - the debt of the drive names the version as taken away by an operation that the drive missed;
 * - most drives of the set hold nothing of the key by a settled operation later than anything this drive knows of it;
 * - the drive is being rebuilt, and others that are not, enough of them to hold a copy of every committed write, do not show the
 *   version. The log of such a drive may have lost the removal (`sherd drive repair`), and what it shows would come back once it
 *   counts again. A drive without a gap knows all that it took: of that one the same picture proves nothing.
 *
 * A heal verifies under the key's lock that nothing changed meanwhile. Pure.
 */
import type { Stamp } from "../storage/drive.ts";
import type { XlHeader } from "../storage/xl-meta-header.ts";
import { deleteQuorum, versionName } from "./quorum.ts";
import type { KeyReading } from "./read-version.ts";

export interface Missed {
  /** What operations that the drive missed took away; null = it is owed nothing. */
  readonly removed: ReadonlyMap<string, Stamp> | null;
  /** Positions of the drives that are being rebuilt. */
  readonly rebuilding: ReadonlySet<number>;
}
type Proof = (header: XlHeader) => boolean;
const NO_PROOF: Proof = () => false;

/** Ids of versions on the drive at `position`. */
export function goneVersions(
  reading: KeyReading,
  position: number,
  { removed, rebuilding }: Missed,
): readonly string[] {
  const { versions, undecided } = reading.merged;
  const own = reading.states[position];
  const held = reading.metas[position]?.versions ?? [];
  if (held.length === 0 || own === undefined || own.prev !== null) return [];
  const kept = new Set([...versions.map((v) => v.header), ...undecided].map((header) => header.versionId));
  const isOwed: Proof = ({ versionId, modTime }) => modTime <= (removed?.get(versionId) ?? -1n);
  const isDeletedSince = keyIsGone(reading, position, own.stamp);
  const isBehindGap = rebuilding.has(position) ? othersShowNone(reading, rebuilding) : NO_PROOF;
  return held.flatMap(({ header }) => {
    if (kept.has(header.versionId)) return [];
    return isOwed(header) || isDeletedSince(header) || isBehindGap(header) ? [header.versionId] : [];
  });
}

/**
 * Most drives took a settled operation that left nothing, later than this drive's last one. One of them had what was
 * acknowledged before, whatever it was. Stamps are remembered for a while only: after it this proves nothing.
 */
function keyIsGone(reading: KeyReading, position: number, ownStamp: Stamp): Proof {
  const latest = (header: XlHeader): Stamp => (header.modTime > ownStamp ? header.modTime : ownStamp);
  return (header) => {
    const witnesses = reading.states.filter(
      (state, i) => i !== position && state?.meta === null && state.prev === null && state.stamp > latest(header),
    );
    return witnesses.length >= deleteQuorum(reading.states.length);
  };
}

/** N - floor(N/2) drives without a gap, none of all in doubt, show no such version. What cannot be read is no witness. */
function othersShowNone({ states, metas }: KeyReading, rebuilding: ReadonlySet<number>): Proof {
  if (states.some((state) => state !== undefined && state.prev !== null)) return NO_PROOF;
  const witnesses = metas.filter((meta, i) => {
    const state = states[i];
    const isReadable = state !== undefined && (state.meta === null || (meta !== null && meta !== undefined));
    return isReadable && !rebuilding.has(i);
  });
  if (witnesses.length < states.length - Math.floor(states.length / 2)) return NO_PROOF;
  const shown = new Set(witnesses.flatMap((meta) => meta?.versions ?? []).map(({ header }) => versionName(header)));
  return (header) => !shown.has(versionName(header));
}
