/**
 * Patience: how long a call waits for a drive while others can do in its place. One that was given up goes on; until it ends the
 * drive counts as one that hangs: it is asked last, and nobody waits for it who need not. Where more drives are slow than may be missing it
 * is the load, and to ask still more of them would add to it: then nobody is given up.
 */
import { isAnswered } from "../core/fan-out.ts";
import { DeadlineWatch, type Watched } from "../core/deadline-watch.ts";
import type { Clock } from "../sys/clock.ts";

/** Up to a quarter more, in milliseconds. What a disk under load may take, and a client hardly notices. */
export const READ_PATIENCE_MS = 200;
/** The same of data that a drive is to take: what it misses has to be given to it later. Above what a sync takes on a busy disk. */
export const WRITE_PATIENCE_MS = 5_000;

export class Patience {
  private readonly watch: DeadlineWatch;
  /** Of each drive: calls that take longer than half of the patience, and those that were given up; none of them has ended. */
  private readonly slow: number[] = [];
  private readonly givenUp: number[] = [];

  /** For a set of so many drives, of which so many may be missing. */
  constructor(
    size: number,
    private readonly parity: number,
    clock: Clock,
    patienceMs: number,
  ) {
    this.watch = new DeadlineWatch((ms, run) => clock.after(ms, run), patienceMs / 2);
    for (let i = 0; i < size; i++) {
      this.slow.push(0);
      this.givenUp.push(0);
    }
  }

  isHanging(position: number): boolean {
    return (this.givenUp[position] as number) > 0;
  }

  /** What the drives at these positions answer, each null if it takes too long. Rejects as the first that does. */
  wait<T extends object>(positions: readonly number[], answers: readonly Promise<T>[]): Promise<(T | null)[]> {
    const { promise, resolve, reject } = Promise.withResolvers<(T | null)[]>();
    const calls = new WatchedCalls<T>(this, positions, resolve);
    this.watch.watch(calls);
    for (let i = 0; i < answers.length; i++)
      (answers[i] as Promise<T>).then((value) => calls.answered(i, value), reject);
    return promise;
  }

  /** The same, but who has answered is not waited for, nor a drive that hangs: null for it at once. */
  async hear<T extends object>(positions: readonly number[], answers: readonly Promise<T>[]): Promise<(T | null)[]> {
    if (answers.every(isAnswered)) return await Promise.all(answers);
    const waited = [...answers.keys()].filter(
      (i) => isAnswered(answers[i] as Promise<T>) || !this.isHanging(positions[i] as number),
    );
    const heard: (T | null)[] = answers.map(() => null);
    if (waited.length === 0) return heard;
    const found = await this.wait(
      waited.map((i) => positions[i] as number),
      waited.map((i) => answers[i] as Promise<T>),
    );
    for (const [at, i] of waited.entries()) heard[i] = found[at] ?? null;
    return heard;
  }

  /** For WatchedCalls: they end. */
  over(calls: Watched): void {
    this.watch.end(calls);
  }
  /** They take half of the patience longer. */
  again(calls: Watched): void {
    calls.ticks = 0;
    this.watch.watch(calls);
  }
  countSlow(position: number, more: 1 | -1): void {
    this.slow[position] = (this.slow[position] as number) + more;
  }
  countGivenUp(position: number, more: 1 | -1): void {
    this.givenUp[position] = (this.givenUp[position] as number) + more;
  }
  get isLoad(): boolean {
    let drives = 0;
    for (const count of this.slow) if (count > 0) drives++;
    return drives > this.parity;
  }
}

/** Calls that are waited for together, until all have ended or those that have not are given up. */
class WatchedCalls<T extends object> implements Watched {
  ticks = 0;
  private state: "new" | "slow" | "given up" = "new";
  private left: number;
  private readonly found: (T | null)[] = [];

  constructor(
    private readonly patience: Patience,
    private readonly positions: readonly number[],
    private readonly resolve: (found: (T | null)[]) => void,
  ) {
    this.left = positions.length;
    for (let i = 0; i < positions.length; i++) this.found.push(null);
  }

  answered(index: number, value: T): void {
    const { patience, state } = this;
    const position = this.positions[index] as number;
    if (state !== "new") patience.countSlow(position, -1);
    if (state === "given up") {
      patience.countGivenUp(position, -1);
      return;
    }
    this.found[index] = value;
    this.left--;
    if (this.left > 0) return;
    patience.over(this);
    this.resolve(this.found);
  }

  late(): void {
    const { patience } = this;
    if (this.state === "new") {
      this.state = "slow";
      this.eachLeft((position) => patience.countSlow(position, 1));
      patience.again(this);
    } else if (patience.isLoad) patience.again(this);
    else {
      this.state = "given up";
      this.eachLeft((position) => patience.countGivenUp(position, 1));
      this.resolve(this.found);
    }
  }

  private eachLeft(work: (position: number) => void): void {
    for (let i = 0; i < this.found.length; i++) if (this.found[i] === null) work(this.positions[i] as number);
  }
}
