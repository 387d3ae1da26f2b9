/**
 * Drives that have not answered when a write is acknowledged (engine.md §3, step 6). LateAnswers waits for those of one write: who took it
 * is told that it is settled, who did not is owed it. Lateness has how much each drive of a set is late with: a drive that lags is waited
 * for a little, so that clients do not outrun it, and one that hangs is asked for no more than memory may hold.
 */
import { isAnswered } from "../core/fan-out.ts";
import type { Clock } from "../sys/clock.ts";
import type { BackgroundWork, Unfinished } from "./background-work.ts";
import type { CommitRound, RoundAnswer } from "./commit-round.ts";

/** So long at most a write waits for drives that are about to answer, as most are: it is cheaper than to follow them. */
export const GRACE_MS = 1;
/** Late with more than this: a write waits for it, for so long at most. */
const LAGGING_BYTES = 1024 * 1024;
export const PATIENCE_MS = 100;
/** One that answers nothing for so long hangs: to wait for it would slow nobody down who could overtake it. */
export const HANGS_MS = 500;
/** Late with more than this: it is not asked, but owed. */
const FULL_BYTES = 16 * 1024 * 1024;

/** What goes on without late drives. */
export interface Leaver {
  leaveNow(): void;
}

export class Lateness {
  private leaving: Leaver[] = [];
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

  /** It leaves in a moment, if it still has to. One timer for all. */
  leaveSoon(leaver: Leaver): void {
    if (this.leaving.push(leaver) > 1) return;
    this.clock.after(GRACE_MS, () => {
      const now = this.leaving;
      this.leaving = [];
      for (const each of now) each.leaveNow();
    });
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
    return this.of(position) > LAGGING_BYTES && !this.isHanging(position);
  }
  isHanging(position: number): boolean {
    return this.of(position) > 0 && this.clock.elapsedMs() - (this.movedMs[position] as number) >= HANGS_MS;
  }
  isFull(position: number): boolean {
    return this.of(position) > FULL_BYTES;
  }
}

/** What is waited for on behalf of the late drives of one write. */
export abstract class LateAnswers implements Unfinished {
  /** A bit for each position that has not answered. */
  private late = 0;
  /** What answers brought that is not over yet. */
  private readonly waiting: Promise<unknown>[] = [];
  private whenFinished: PromiseWithResolvers<void> | null = null;

  /** `bytes`: about what is kept for each of them. */
  constructor(
    readonly bucket: string,
    private readonly bytes: number,
    private readonly lateness: Lateness,
    private readonly background: BackgroundWork,
  ) {}

  /** The drive at the position answers. */
  protected abstract judge(position: number, answer: RoundAnswer): void;
  /** All have answered, and what that brought is over. */
  protected abstract over(): void;

  /** It is over only after this. */
  protected waitFor(work: Promise<unknown>): void {
    if (!isAnswered(work)) this.waiting.push(work);
  }

  isLate(position: number): boolean {
    return (this.late & (1 << position)) !== 0;
  }

  /** Waits for the drives of the round that have not answered. */
  begin(round: CommitRound, answers: readonly (RoundAnswer | null)[]): void {
    for (let i = 0; i < answers.length; i++) {
      if (answers[i] !== null) continue;
      this.late |= 1 << i;
      this.lateness.add(i, this.bytes);
    }
    this.background.hold(this);
    round.tellLate(this);
  }

  finished(): Promise<void> {
    this.whenFinished ??= Promise.withResolvers<void>();
    return this.whenFinished.promise;
  }

  answered(position: number, answer: RoundAnswer): void {
    this.lateness.take(position, this.bytes);
    this.late &= ~(1 << position);
    this.judge(position, answer);
    if (this.late !== 0) return;
    if (this.waiting.every(isAnswered)) this.over();
    else this.background.track(this.waitForRest(), this.bucket);
    this.background.release(this);
    this.whenFinished?.resolve();
  }

  private async waitForRest(): Promise<void> {
    await Promise.all(this.waiting);
    this.over();
  }
}
