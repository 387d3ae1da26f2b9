/**
 * RoundState: where a round over one set stands, kept in a note on its drives, so that a restart goes on there. The newest note
 * wins: the one of the highest round that got furthest. Pure, but for the notes. Times in ms since 1970.
 */
import type { ErasureSet } from "../erasure/erasure-set.ts";

export interface RoundPosition {
  readonly round: number;
  /** Counts saves of the round. */
  readonly saves: number;
  readonly startedMs: number;
  /** "" = at the beginning; the last directory that was looked at. */
  readonly bucket: string;
  readonly path: string;
  /** Objects seen so far, and bytes read of them. */
  readonly keys: number;
  readonly bytes: number;
  /** Found wrong so far. */
  readonly found: number;
  /** Null while the round is under way. */
  readonly endedMs: number | null;
  /** Of the round before: how much there was, for an estimate. */
  readonly lastKeys: number;
  readonly lastEndedMs: number | null;
  /** Versions that dangled when they were looked at: id and the time of the first look. */
  readonly doubtful: readonly (readonly [id: string, sinceMs: number])[];
}

export function firstRound(nowMs: number): RoundPosition {
  const counts = { keys: 0, bytes: 0, found: 0, lastKeys: 0 };
  return {
    ...counts,
    round: 1,
    saves: 0,
    startedMs: nowMs,
    bucket: "",
    path: "",
    endedMs: null,
    lastEndedMs: null,
    doubtful: [],
  };
}

export function nextRound(last: RoundPosition, nowMs: number): RoundPosition {
  const { round, keys, endedMs, doubtful } = last;
  return { ...firstRound(nowMs), round: round + 1, lastKeys: keys, lastEndedMs: endedMs, doubtful };
}

/** When the round will be done, by what the last one found; null = nothing to judge by. */
export function doneMs(at: RoundPosition, nowMs: number): number | null {
  if (at.endedMs !== null) return at.endedMs;
  if (at.keys === 0 || at.lastKeys === 0) return null;
  const share = Math.min(1, at.keys / at.lastKeys);
  return Math.round(at.startedMs + (nowMs - at.startedMs) / share);
}

export async function loadRound(set: ErasureSet, name: string): Promise<RoundPosition | null> {
  const outcomes = await set.each((drive) => drive.upkeep.readNote(name));
  let best: RoundPosition | null = null;
  for (const outcome of outcomes) {
    const read = outcome.ok && outcome.value !== null ? parse(outcome.value) : null;
    if (
      read !== null &&
      (best === null || read.round > best.round || (read.round === best.round && read.saves > best.saves))
    )
      best = read;
  }
  return best;
}

export async function saveRound(set: ErasureSet, name: string, at: RoundPosition): Promise<void> {
  const bytes = new TextEncoder().encode(`${JSON.stringify(at)}\n`);
  await set.each((drive) => drive.upkeep.writeNote(name, bytes, false));
}

/** Null: no position of ours; the round begins anew, which costs time and nothing else. */
function parse(bytes: Uint8Array): RoundPosition | null {
  try {
    const read = JSON.parse(Buffer.from(bytes).toString("utf8")) as Partial<RoundPosition> | null;
    const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
    if (read === null || !isNumber(read.round) || !isNumber(read.saves) || !isNumber(read.startedMs)) return null;
    if (typeof read.bucket !== "string" || typeof read.path !== "string" || !Array.isArray(read.doubtful)) return null;
    return { ...firstRound(read.startedMs), ...read };
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
