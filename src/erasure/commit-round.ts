/**
 * CommitRound: one COMMIT to the drives of a set, and their answers. It is over when enough drives have done their part, or when all have
 * answered; answers that come later are passed on. Small writes are little else, so that a drive that takes the commit at once is waited
 * for without promises of its own.
 */
import { bad, good } from "../core/fan-out.ts";
import type { Clock } from "../sys/clock.ts";
import {
  type Change,
  type CommitAnswer,
  type CommitTerms,
  type CommitWaiter,
  type Drive,
  DriveError,
  type DriveOutcome,
  type ObjectPath,
} from "../storage/drive.ts";
import { HANGS_MS, type Lateness, type Leaver, PATIENCE_MS } from "./late-answers.ts";

/** Of a drive that was asked, or good(null): it was not. */
export type RoundAnswer = DriveOutcome<CommitAnswer | null>;

export interface RoundRules {
  /** So many drives that have done their part suffice; as many as there are = all are waited for. */
  readonly enough: number;
  /** A drive that lacks the version has done its part. */
  readonly removes: boolean;
  /** The others are waited for until they hang, not for a moment only. */
  readonly isPatient?: boolean;
}

/** Who follows the drives of a set: what they are late with, and the time. */
export interface RoundPlace {
  readonly size: number;
  readonly lateness: Lateness;
  readonly clock: Clock;
}

/** Told of the answers that come when the round is over. */
export interface LateListener {
  answered(position: number, answer: RoundAnswer): void;
}

export const NOT_ASKED = good(null);

export class CommitRound implements Leaver {
  /** Every drive's answer, by position: null = it has none yet. Those that are late come into it too, until somebody is told of them. */
  readonly over: Promise<readonly (RoundAnswer | null)[]>;
  private readonly answers: (RoundAnswer | null)[] = [];
  private left: number;
  private done = 0;
  private isLeaving = false;
  private isOver = false;
  private listener: LateListener | null = null;
  private stopWaiting: (() => void) | null = null;
  private readonly resolve: (answers: readonly (RoundAnswer | null)[]) => void;
  private readonly reject: (error: unknown) => void;

  constructor(
    private readonly place: RoundPlace,
    private readonly key: ObjectPath,
    private readonly rules: RoundRules,
  ) {
    const { promise, resolve, reject } = Promise.withResolvers<readonly (RoundAnswer | null)[]>();
    this.over = promise;
    this.resolve = resolve;
    this.reject = reject;
    this.left = place.size;
    for (let i = 0; i < place.size; i++) this.answers.push(null);
  }

  /** COMMIT to the drive at a position. */
  ask(drive: Drive, position: number, change: Change, terms: CommitTerms): void {
    if (drive.commitNow(this.key, change, terms, new Asked(this, position))) return;
    drive.commit(this.key, change, terms).then(
      (answer) => this.answered(position, answer),
      (error: unknown) => this.broken(position, error),
    );
  }

  /** Drives answer with values; what is thrown is a broken promise of our own. The commit may have been taken. */
  private broken(position: number, error: unknown): void {
    this.reject(error);
    this.answered(position, bad(new DriveError("Io", `a commit was broken off: ${String(error)}`)));
  }

  /** It is known what the drive at a position says. */
  answered(position: number, answer: RoundAnswer): void {
    this.left--;
    if (this.listener !== null) {
      this.listener.answered(position, answer);
      return;
    }
    this.answers[position] = answer;
    if (this.isOver) return;
    if (hasDone(answer, this.rules.removes)) this.done++;
    if (this.left === 0) this.end();
    else if (this.done >= this.rules.enough) this.leave();
  }

  /** What comes from now on is the listener's. */
  tellLate(listener: LateListener): void {
    this.listener = listener;
  }

  /** Goes on without those that have not answered, in a moment; in some more where one of them lags, at once where all of them hang. */
  private leave(): void {
    if (this.isLeaving) return;
    this.isLeaving = true;
    const { lateness, clock } = this.place;
    if (this.answers.every((answer, i) => answer !== null || lateness.isHanging(i))) this.end();
    else if (this.rules.isPatient === true) this.stopWaiting = clock.after(HANGS_MS, () => this.end());
    else lateness.leaveSoon(this);
  }

  leaveNow(): void {
    if (this.isOver) return;
    const { lateness, clock } = this.place;
    if (this.answers.some((answer, i) => answer === null && lateness.isLagging(i)))
      this.stopWaiting = clock.after(PATIENCE_MS, () => this.end());
    else this.end();
  }

  private end(): void {
    this.isOver = true;
    this.stopWaiting?.();
    this.resolve(this.answers);
  }
}

/** The drive has what the write brought, or lacks what it removed. */
function hasDone(answer: RoundAnswer, removes: boolean): boolean {
  if (!answer.ok || answer.value === null) return false;
  return answer.value.accepted || (removes && answer.value.reason === "missing");
}

class Asked implements CommitWaiter {
  constructor(
    private readonly round: CommitRound,
    private readonly position: number,
  ) {}

  answered(answer: DriveOutcome<CommitAnswer>): void {
    this.round.answered(this.position, answer);
  }
}
