/**
 * askDrives: the same question to as many drives of a set as are needed, for reads that take enough good answers for the truth. A drive that
 * takes its time (patience.ts) is waited for only where the others cannot answer in its place.
 */
import type { Drive, DriveOutcome } from "../storage/drive.ts";
import type { ErasureSet } from "./erasure-set.ts";

export interface Question<T, R> {
  /** So many good answers are enough. */
  readonly needed: number;
  /** All are asked at once, and all that answer in time are heard. */
  readonly ofAll: boolean;
  readonly ask: (drive: Drive) => Promise<DriveOutcome<T>>;
  /** Of an answer; null = it is no good. */
  readonly told: (outcome: DriveOutcome<T>) => R | null;
}
interface Asked<T> {
  readonly position: number;
  readonly answer: Promise<DriveOutcome<T>>;
}

/** The good answers; fewer than needed when there are no more. Drives that are rebuilt are not asked: what they lack says nothing. */
export async function askDrives<T, R>(set: ErasureSet, question: Question<T, R>): Promise<R[]> {
  const { needed, ofAll, ask } = question;
  const order = orderOf(set);
  const found: R[] = [];
  const slow: Asked<T>[] = [];
  const take = (position: number, outcome: DriveOutcome<T>): void => {
    // What is rebuilt while others are waited for may have answered before it was.
    const told = set.rebuilding.has(position) ? null : question.told(outcome);
    if (told !== null) found.push(told);
  };
  for (let at = 0; at < order.length && found.length < needed; ) {
    const positions = order.slice(at, ofAll ? order.length : at + needed - found.length);
    at += positions.length;
    const answers = positions.map((position) => ask(set.drives[position] as Drive));
    const outcomes = await set.patience.hear(positions, answers);
    for (const [i, position] of positions.entries()) {
      const outcome = outcomes[i] ?? null;
      if (outcome === null) slow.push({ position, answer: answers[i] as Promise<DriveOutcome<T>> });
      else take(position, outcome);
    }
  }
  for (const { position, answer } of slow) {
    if (found.length >= needed) break;
    take(position, await answer);
  }
  return found;
}

/** Positions with a drive, the likely ones first. */
function orderOf(set: ErasureSet): number[] {
  const hindrance = (position: number): number =>
    Number(set.drives[position]?.state !== "ok") + Number(set.patience.isHanging(position));
  const there = [...set.drives.keys()].filter((i) => set.drives[i] !== null && !set.rebuilding.has(i));
  return there.sort((a, b) => hindrance(a) - hindrance(b));
}
