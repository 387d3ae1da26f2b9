/**
 * BackgroundWork: work that goes on after the answer, counted, so that a stop can wait for it, and what removes a bucket for
 * the work on its keys; failures go to a sink. Milliseconds.
 */
import type { Clock } from "../sys/clock.ts";

/** Work that has no promise until somebody waits for it: there is much of it, and nearly nobody does. */
export interface Unfinished {
  readonly bucket: string;
  finished(): Promise<void>;
}

export class BackgroundWork {
  /** Each with the bucket that it is about; "" = none. */
  private readonly running = new Map<Promise<void>, string>();
  private readonly held = new Set<Unfinished>();

  constructor(private readonly failed: (error: unknown) => void) {}

  track(work: Promise<void>, bucket = ""): void {
    const tracked = work.then(
      () => {
        this.running.delete(tracked);
      },
      (error: unknown) => {
        this.running.delete(tracked);
        this.failed(error);
      },
    );
    this.running.set(tracked, bucket);
  }

  /** It goes on until it is released. */
  hold(work: Unfinished): void {
    this.held.add(work);
  }
  release(work: Unfinished): void {
    this.held.delete(work);
  }

  get size(): number {
    return this.running.size + this.held.size;
  }

  /** Resolves when nothing runs. */
  async idle(): Promise<void> {
    while (this.size > 0) await Promise.all([...this.running.keys(), ...[...this.held].map((work) => work.finished())]);
  }

  /** Resolves when what runs now on keys of the bucket has finished, or after `atMostMs`. */
  async finished(bucket: string, atMostMs: number, clock: Clock): Promise<void> {
    const own = [...this.running].flatMap(([work, of]) => (of === bucket ? [work] : []));
    for (const work of this.held) if (work.bucket === bucket) own.push(work.finished());
    if (own.length === 0) return;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const cancel = clock.after(atMostMs, resolve);
    await Promise.race([Promise.all(own), late]);
    cancel();
  }
}
