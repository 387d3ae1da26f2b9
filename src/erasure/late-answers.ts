/**
 * Drives that have not answered when a write is acknowledged (engine.md §3, step 6). LateAnswers waits for those of one write: who took it
 * is told that it is settled, who did not is owed it. Lateness has how much each drive of a set is late with: a drive that lags is waited
 * for a little, so that clients do not outrun it, and one that hangs is asked for no more than memory may hold.
 */
import { isAnswered } from "../core/fan-out.ts";
import type { Clock } from "../sys/clock.ts";
import type { DriveOutcome } from "../storage/drive.ts";
import type { BackgroundWork, Unfinished } from "./background-work.ts";
import type { CommitRound, RoundAnswer } from "./commit-round.ts";

/** Late with more than this: a write waits for it, for so long at most. */
const LAGGING_BYTES = 1024 * 1024;
export const PATIENCE_MS = 100;
/** One that answers nothing for so long hangs: to wait for it would slow nobody down who could overtake it. */
export const HANGS_MS = 500;
/** Late with more than this: it is not asked, but owed. */
const FULL_BYTES = 16 * 1024 * 1024;

export class Lateness {
  private readonly bytes: number[] = [];
  /** When it answered last, or began to be late. */
  private readonly movedMs: number[] = [];

  /** Of a set of so many drives. */
  constructor(
    size: number,
    private readonly clock: Clock,
  ) {
    for (let i = 0; i < size; i++) {
      this.bytes.push(0);
      this.movedMs.push(0);
    }
  }

  add(position: number, bytes: number): void {
    if (this.of(position) === 0) this.movedMs[position] = this.clock.elapsedMs();
    this.bytes[position] = this.of(position) + bytes;
  }
  take(position: number, bytes: number): void {
    this.bytes[position] = this.of(position) - bytes;
    this.movedMs[position] = this.clock.elapsedMs();
  }
  of(position: number): number {
    return this.bytes[position] as number;
  }
  /** It comes behind, but it comes. */
  isLagging(position: number): boolean {
    if (this.of(position) <= LAGGING_BYTES) return false;
    return this.clock.elapsedMs() - (this.movedMs[position] as number) < HANGS_MS;
  }
  isFull(position: number): boolean {
    return this.of(position) > FULL_BYTES;
  }
}

/** What is done with a late answer, and in the end. */
export interface LateWork {
  readonly bucket: string;
  /** Of every late drive's commit, about. */
  readonly bytes: number;
  /** The drive at the position answers; what there is to wait for then, null = nothing. */
  judge(position: number, answer: RoundAnswer): Promise<DriveOutcome<void>> | null;
  /** All have answered, and what that brought is over. */
  over(): void;
}

export class LateAnswers implements Unfinished {
  private left = 0;
  private readonly waiting: Promise<unknown>[] = [];
  private promise: Promise<void> | null = null;
  private resolve: (() => void) | null = null;

  /** `first`: what the answers that came in time brought, and is not over yet. */
  constructor(
    private readonly lateness: Lateness,
    private readonly work: LateWork,
    private readonly background: BackgroundWork,
    first: readonly Promise<unknown>[],
  ) {
    this.waiting.push(...first);
  }

  /** Waits for the drives of the round that have not answered. */
  begin(round: CommitRound, answers: readonly (RoundAnswer | null)[]): void {
    for (let i = 0; i < answers.length; i++) {
      if (answers[i] !== null) continue;
      this.left++;
      this.lateness.add(i, this.work.bytes);
    }
    this.background.hold(this);
    round.tellLate(this);
  }

  get bucket(): string {
    return this.work.bucket;
  }

  finished(): Promise<void> {
    if (this.promise === null) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.promise = promise;
      this.resolve = resolve;
    }
    return this.promise;
  }

  answered(position: number, answer: RoundAnswer): void {
    this.lateness.take(position, this.work.bytes);
    const rest = this.work.judge(position, answer);
    if (rest !== null && !isAnswered(rest)) this.waiting.push(rest);
    this.left--;
    if (this.left > 0) return;
    if (this.waiting.every(isAnswered)) this.work.over();
    else this.background.track(this.waitForRest(), this.bucket);
    this.background.release(this);
    this.resolve?.();
  }

  private async waitForRest(): Promise<void> {
    await Promise.all(this.waiting);
    this.work.over();
  }
}
