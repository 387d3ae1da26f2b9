/**
 * tellDrives: one step of a write on the drives of a set, of which enough must take it. A drive that takes its time (patience.ts) is waited
 * for only where the others are not enough; else it is left out, and what it misses is given to it later.
 */
import { bad } from "../core/fan-out.ts";
import { type Drive, DriveError, type DriveErrorCode, type DriveOutcome, letGo } from "../storage/drive.ts";
import { QuorumError } from "../core/quorum-error.ts";
import type { ErasureSet } from "./erasure-set.ts";

export interface Telling<T> {
  /** Of the drives that are told, all of them there. */
  readonly positions: readonly number[];
  /** So many must take it. */
  readonly needed: number;
  readonly tell: (drive: Drive, position: number) => Promise<DriveOutcome<T>>;
  /** What a drive says when it has nothing to do for it, as it is so already. */
  readonly fine?: readonly DriveErrorCode[];
}

/** In the order of the positions. One that was left out says Timeout, and when it lets go of what it was given. */
export async function tellDrives<T>(set: ErasureSet, telling: Telling<T>): Promise<DriveOutcome<T>[]> {
  const { positions, needed, tell, fine = [] } = telling;
  const answers = positions.map((position) => tell(set.drives[position] as Drive, position));
  const heard = await set.writePatience.hear(positions, answers);
  const isEnough = heard.filter((outcome) => outcome !== null && hasTaken(outcome, fine)).length >= needed;
  return await Promise.all(
    heard.map((outcome, i) => {
      const answer = answers[i] as Promise<DriveOutcome<T>>;
      if (outcome !== null) return outcome;
      return isEnough ? leftOut(set.drives[positions[i] as number] as Drive, answer) : answer;
    }),
  );
}

export function hasTaken(outcome: DriveOutcome<unknown>, fine: readonly DriveErrorCode[]): boolean {
  return outcome.ok || fine.includes(outcome.error.code);
}

/** The same, and a QuorumError if too few have taken it. */
export async function tellEnough<T>(set: ErasureSet, what: string, telling: Telling<T>): Promise<void> {
  const { needed, fine = [] } = telling;
  const outcomes = await tellDrives(set, telling);
  const done = outcomes.filter((outcome) => hasTaken(outcome, fine)).length;
  if (done >= needed) return;
  const reasons = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.error.message])).join("; ");
  const words = `${what}: ${done} of ${needed} needed drives${reasons === "" ? "" : `: ${reasons}`}`;
  throw new QuorumError("WriteQuorum", words, { done, needed });
}

function leftOut({ endpoint }: Drive, answer: Promise<DriveOutcome<unknown>>): DriveOutcome<never> {
  const error = new DriveError("Timeout", `${endpoint} is waited for no longer: others have taken it`, { endpoint });
  error.letsGo = answer.then(letGo);
  return bad(error);
}
