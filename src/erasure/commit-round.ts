/**
 * CommitRound: one COMMIT to the drives of a set, and the answers of all of them. Small writes are little else, so that a drive that
 * takes the commit at once is waited for without promises of its own.
 */
import { good } from "../core/fan-out.ts";
import type {
  Change,
  CommitAnswer,
  CommitTerms,
  CommitWaiter,
  Drive,
  DriveOutcome,
  ObjectPath,
} from "../storage/drive.ts";

/** Null = the drive was not asked. */
export type RoundAnswer = DriveOutcome<CommitAnswer | null>;

export class CommitRound {
  /** Every drive's, by position, once all are there. */
  readonly over: Promise<readonly RoundAnswer[]>;
  private readonly answers: RoundAnswer[] = [];
  private left: number;
  private readonly resolve: (answers: readonly RoundAnswer[]) => void;
  private readonly reject: (error: unknown) => void;

  /** Of `size` drives. */
  constructor(
    private readonly key: ObjectPath,
    size: number,
  ) {
    const { promise, resolve, reject } = Promise.withResolvers<readonly RoundAnswer[]>();
    this.over = promise;
    this.resolve = resolve;
    this.reject = reject;
    this.left = size;
    for (let i = 0; i < size; i++) this.answers.push(NOT_ASKED);
  }

  /** COMMIT to the drive at a position. */
  ask(drive: Drive, position: number, change: Change, terms: CommitTerms): void {
    if (drive.commitNow(this.key, change, terms, new Asked(this, position))) return;
    drive.commit(this.key, change, terms).then((answer) => this.answered(position, answer), this.reject);
  }

  /** It is known what the drive at a position says. */
  answered(position: number, answer: RoundAnswer): void {
    this.answers[position] = answer;
    this.left--;
    if (this.left === 0) this.resolve(this.answers);
  }
}

const NOT_ASKED = good(null);

class Asked implements CommitWaiter {
  constructor(
    private readonly round: CommitRound,
    private readonly position: number,
  ) {}

  answered(answer: DriveOutcome<CommitAnswer>): void {
    this.round.answered(this.position, answer);
  }
}
