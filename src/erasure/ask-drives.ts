/**
 * askDrives: the same question to as many drives of a set as are needed, for reads that take enough good answers for the truth. A drive that
 * takes its time (patience.ts) is waited for only where the others cannot answer in its place.
 */
import { isAnswered } from "../core/fan-out.ts";
import type { Drive, DriveOutcome } from "../storage/drive.ts";
import type { ErasureSet } from "./erasure-set.ts";

export interface Question<T> {
  /** So many good answers are enough. */
  readonly needed: number;
  /** All are asked at once, and all that answer in time are heard. */
  readonly ofAll: boolean;
  readonly ask: (drive: Drive) => Promise<DriveOutcome<T>>;
  readonly isGood: (outcome: DriveOutcome<T>) => boolean;
}
interface Asked<T> {
  readonly position: number;
  readonly answer: Promise<DriveOutcome<T>>;
}

/** The good answers; fewer than needed when there are no more. Drives that are rebuilt are not asked: what they lack says nothing. */
export async function askDrives<T>(set: ErasureSet, question: Question<T>): Promise<DriveOutcome<T>[]> {
  const { needed, isGood } = question;
  const order = orderOf(set);
  const found: DriveOutcome<T>[] = [];
  const slow: Asked<T>[] = [];
  const hear = (position: number, outcome: DriveOutcome<T>): void => {
    // What is rebuilt while others are waited for may have answered before it was.
    if (!set.rebuilding.has(position) && isGood(outcome)) found.push(outcome);
  };
  for (let at = 0; at < order.length && found.length < needed; ) {
    const count = question.ofAll ? order.length : needed - found.length;
    const asked = order.slice(at, at + count).map((position) => ({
      position,
      answer: question.ask(set.drives[position] as Drive),
    }));
    at += count;
    const waited = asked.filter(({ position, answer }) => isAnswered(answer) || !set.patience.isHanging(position));
    slow.push(...asked.filter((each) => !waited.includes(each)));
    if (waited.length === 0) continue;
    const outcomes = await set.patience.wait(
      waited.map(({ position }) => position),
      waited.map(({ answer }) => answer),
    );
    for (const [i, each] of waited.entries()) {
      const outcome = outcomes[i] ?? null;
      if (outcome === null) slow.push(each);
      else hear(each.position, outcome);
    }
  }
  for (const { position, answer } of slow) {
    if (found.length >= needed) break;
    hear(position, await answer);
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
