/**
 * Quorum arithmetic: pure judgements on the answers of N drives (engine.md §1, §3; on-disk-format.md §8.4).
 * A write needs W = k drives, k + 1 if k = m; deletes and metadata W = floor(N/2) + 1. Two writes always meet, and any
 * k answers contain a copy of every committed write.
 */
import type { DriveError, KeyState, Stamp } from "../storage/drive.ts";
import { FormatError } from "../core/format-error.ts";
import { XlMeta } from "../storage/xl-meta.ts";
import type { XlVersion } from "../storage/xl-meta-container.ts";
import { compareHeaders, type XlHeader } from "../storage/xl-meta-header.ts";

export function writeQuorum(k: number, m: number): number {
  return k === m ? k + 1 : k;
}
export function deleteQuorum(drives: number): number {
  return Math.floor(drives / 2) + 1;
}
/** Holders that make a version count: k of an object, half of the drives (rounded up) of a delete marker. */
export function versionQuorum(header: Pick<XlHeader, "type" | "ecM">, drives: number, defaultData: number): number {
  if (header.type === 2) return Math.max(1, drives - Math.floor(drives / 2));
  return header.ecM > 0 ? header.ecM : defaultData;
}

/** Drives that held a version when its write was acknowledged. */
function ackQuorum(header: Pick<XlHeader, "type" | "ecM" | "ecN">, drives: number, defaultData: number): number {
  if (header.type === 2) return deleteQuorum(drives);
  const k = header.ecM > 0 ? header.ecM : defaultData;
  return writeQuorum(k, drives - k);
}

/** What one drive said of a key; undefined = silent (error, timeout, not asked). */
export interface View {
  readonly drive: number;
  readonly stamp: Stamp;
  readonly inDoubt: boolean;
  /** It missed a write of the key: what it holds may be of before, and counts only as far as another drive says the same. */
  readonly isBehind?: boolean;
  readonly meta: XlMeta | null;
}
interface Vote {
  readonly header: XlHeader;
  readonly drive: number;
  readonly isBehind: boolean;
}

/**
 * W of the operation that a state is in doubt about, told by what it brought: an object needs the drives of its own class,
 * markers, removals and metadata changes half of them and one.
 */
export function doubtQuorum(state: KeyState, drives: number, defaultData: number): number {
  return Math.max(deleteQuorum(drives), ...brought(state).map((header) => ackQuorum(header, drives, defaultData)));
}

/** Copies without which what the operation brought is not seen. */
export function doubtCopies(state: KeyState, drives: number, defaultData: number): number {
  return Math.max(1, ...brought(state).map((header) => versionQuorum(header, drives, defaultData)));
}

function brought(state: KeyState): readonly XlHeader[] {
  const before = new Set(versionsOf(state.prev?.meta ?? null).map(({ header }) => versionName(header)));
  return versionsOf(state.meta)
    .map(({ header }) => header)
    .filter((header) => !before.has(versionName(header)));
}

/** Ids of the versions that the operation in doubt took away. */
export function removedBy(state: KeyState): readonly string[] {
  const left = new Set(versionsOf(state.meta).map(({ header }) => header.versionId));
  return versionsOf(state.prev?.meta ?? null).flatMap(({ header: { versionId } }) =>
    left.has(versionId) ? [] : [versionId],
  );
}

export function versionName(header: XlHeader): string {
  return `${header.versionId} ${header.type} ${header.modTime}`;
}

/** An unreadable xl.meta has none. */
function versionsOf(meta: Uint8Array | null): readonly XlVersion[] {
  if (meta === null) return [];
  try {
    return XlMeta.shared(meta).versions;
  } catch (error) {
    if (error instanceof FormatError) return [];
    throw error;
  }
}

export type DoubtVerdict =
  | { readonly kind: "clear"; readonly rollBack: ReadonlySet<Stamp> }
  | { readonly kind: "unknown"; readonly stamp: Stamp };

/**
 * Does a state show the outcome of the operation that `doubt` is in doubt about? Stamps outlive a restart only where
 * something is in doubt, so the versions tell: who has what it brought took it; who lacks what it removed may have, unless it
 * has an older version of that id, which would be gone too.
 */
export function reflects(state: KeyState, doubt: KeyState): boolean {
  if (state.stamp === doubt.stamp) return true;
  const before = new Map(versionsOf(doubt.prev?.meta ?? null).map(({ header }) => [versionName(header), header]));
  const after = new Map(versionsOf(doubt.meta).map(({ header }) => [versionName(header), header]));
  const own = versionsOf(state.meta).map(({ header }) => header);
  const changed = [...after].filter(([name, header]) => before.get(name)?.signature !== header.signature);
  if (changed.length > 0)
    return changed.every(([name, { signature }]) =>
      own.some((header) => versionName(header) === name && header.signature === signature),
    );
  const removed = [...before].filter(([name]) => !after.has(name)).map(([, { versionId }]) => versionId);
  return removed.length > 0 && removed.every((id) => !own.some(({ versionId }) => versionId === id));
}

/**
 * Which doubtful operations count: those held by their W, settled anywhere, or outlived. Those that never can reach it are
 * looked behind. `quorumOf`: W of the operation in doubt.
 */
export function judgeDoubts(
  states: readonly (KeyState | undefined)[],
  quorumOf: (state: KeyState) => number,
): DoubtVerdict {
  let known = states.filter((s) => s !== undefined);
  const silent = states.length - known.length;
  const doubtful = new Map(known.filter((s) => s.prev !== null).map((s) => [s.stamp, s]));
  const rollBack = new Set<Stamp>();
  for (const [stamp, doubt] of [...doubtful].sort(([a], [b]) => (a > b ? -1 : 1))) {
    const holders = known.filter((s) => reflects(s, doubt)).length;
    const quorum = quorumOf(doubt);
    if (holders >= quorum || isOutlived(known, stamp)) return { kind: "clear", rollBack };
    if (holders + silent >= quorum) return { kind: "unknown", stamp };
    rollBack.add(stamp);
    known = known.map((s) => (s.stamp === stamp && s.prev !== null ? { ...s, ...s.prev, prev: null } : s));
  }
  return { kind: "clear", rollBack };
}

/**
 * Some drive has it settled, or something newer that is: nothing is accepted over a doubt. A drive that still is in doubt
 * about it lags behind, and taking it back there would take a copy that others may count on.
 */
export function isOutlived(states: readonly KeyState[], stamp: Stamp): boolean {
  return states.some((s) => (s.prev === null ? s.stamp >= stamp : s.prev.stamp === stamp));
}

export interface MergedVersion {
  readonly header: XlHeader;
  /** Drives that hold exactly this version. */
  readonly holders: readonly number[];
  /** Drives that hold its data: also those that missed a change of its metadata. */
  readonly copies: readonly number[];
}
export interface Merged {
  /** Newest first, free versions included. */
  readonly versions: readonly MergedVersion[];
  /** Versions that may be committed, but too few drives answered to know. */
  readonly undecided: readonly XlHeader[];
  /** Drives that answered and differ from the outcome. */
  readonly differing: readonly number[];
  /** Some drive shows a version that does not count and that no newer one replaces: a trace, or a change while drives were asked. */
  readonly hasTraces: boolean;
}

/**
 * The versions that enough drives agree on. Entries of one id with the same type and time count together even if their
 * signatures differ (a metadata change that some missed): the signature that most drives have wins. A drive that is behind
 * adds to what others say and says nothing alone, neither that what it holds is committed nor that what it lacks is not: it may
 * have begun anew over an xl.meta that it could not read.
 */
export function mergeVersions(views: readonly View[], drives: number, defaultData: number): Merged {
  const silent = drives - views.length;
  const groups = new Map<string, Vote[]>();
  for (const { meta, drive, isBehind = false } of views) {
    for (const { header } of meta?.versions ?? []) {
      const key = versionName(header);
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [{ header, drive, isBehind }]);
      else group.push({ header, drive, isBehind });
    }
  }
  const accepted = new Map<string, MergedVersion>();
  const undecided: XlHeader[] = [];
  const dropped: XlHeader[] = [];
  for (const votes of groups.values()) {
    const { header, holders } = majority(votes);
    const need = versionQuorum(header, drives, defaultData);
    if (votes.length < need || votes.every((vote) => vote.isBehind)) {
      dropped.push(header);
      const untold = silent + views.filter(({ drive, isBehind }) => isBehind === true && !holds(votes, drive)).length;
      if (votes.length + untold >= Math.max(need, ackQuorum(header, drives, defaultData))) undecided.push(header);
      continue;
    }
    const other = accepted.get(header.versionId);
    if (other === undefined || other.header.modTime < header.modTime)
      accepted.set(header.versionId, { header, holders, copies: votes.map((vote) => vote.drive) });
  }
  const versions = [...accepted.values()].sort((a, b) => compareHeaders(a.header, b.header));
  const differing = views.filter((view) => !holdsExactly(view, versions)).map((view) => view.drive);
  const hasTraces = dropped.some((header) => (accepted.get(header.versionId)?.header.modTime ?? -1n) < header.modTime);
  return { versions, undecided, differing, hasTraces };
}

function holds(votes: readonly Vote[], drive: number): boolean {
  return votes.some((vote) => vote.drive === drive);
}

function majority(votes: readonly Vote[]): { header: XlHeader; holders: number[] } {
  const bySignature = new Map<number, { header: XlHeader; holders: number[]; isBehind: boolean }>();
  for (const { header, drive, isBehind } of votes) {
    const entry = bySignature.get(header.signature);
    if (entry === undefined) bySignature.set(header.signature, { header, holders: [drive], isBehind });
    else {
      entry.holders.push(drive);
      entry.isBehind &&= isBehind;
    }
  }
  const mayCount = [...bySignature.values()].filter((entry) => !entry.isBehind);
  let best: { header: XlHeader; holders: number[] } | undefined;
  for (const entry of mayCount.length > 0 ? mayCount : bySignature.values()) {
    if (
      best === undefined ||
      entry.holders.length > best.holders.length ||
      (entry.holders.length === best.holders.length && entry.header.signature > best.header.signature)
    )
      best = entry;
  }
  return best as { header: XlHeader; holders: number[] };
}

function holdsExactly(view: View, versions: readonly MergedVersion[]): boolean {
  const own = view.meta?.versions ?? [];
  return own.length === versions.length && versions.every((version) => version.holders.includes(view.drive));
}

/** "late": it has not answered yet. */
export type CommitVote = "accepted" | "missing" | "refused" | "untouched" | "unknown" | "late";
export type CommitVerdict = "committed" | "refused" | "unknown";

/** "untouched": the drive failed before anything changed there. */
export function judgeCommit(votes: readonly CommitVote[], quorum: number): CommitVerdict {
  let done = 0;
  let never = 0;
  for (const vote of votes) {
    if (vote === "accepted" || vote === "missing") done++;
    else if (vote === "refused" || vote === "untouched") never++;
  }
  if (done >= quorum) return "committed";
  return never > votes.length - quorum ? "refused" : "unknown";
}

/** A drive's failure during a commit: did it change anything there? */
export function voteOfError(error: DriveError): CommitVote {
  switch (error.code) {
    case "NoSpace":
    case "ReadOnly":
    case "NotFound":
    case "Denied":
    case "Faulty":
    case "Exists":
    case "NotEmpty":
    case "Corrupt":
      return "untouched";
    case "Io":
    case "Timeout":
      return "unknown";
  }
}
