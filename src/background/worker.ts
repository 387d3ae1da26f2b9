/**
 * RoundWorker: the life of one piece of background work: rounds one after the other, the next when it is woken or after a while.
 * A round that fails is told and comes again; nothing is left running after `stop`.
 */
import type { Log } from "../observe/log.ts";
import type { Clock } from "../sys/clock.ts";
import { messageOf } from "./message-of.ts";

export interface WorkerOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly everyMs: number;
  readonly round: (signal: AbortSignal) => Promise<void>;
}

export class RoundWorker {
  private readonly stopping = new AbortController();
  private running: Promise<void> | null = null;
  private isWoken = false;
  private wakeUp: (() => void) | null = null;

  constructor(private readonly options: WorkerOptions) {}

  get signal(): AbortSignal {
    return this.stopping.signal;
  }

  start(): void {
    this.running ??= this.run();
  }

  /** A round begins now, or when the one under way ends. */
  wake(): void {
    this.isWoken = true;
    this.wakeUp?.();
  }

  async stop(): Promise<void> {
    this.stopping.abort(new Error(`${this.options.name} stops`));
    this.wakeUp?.();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      this.isWoken = false;
      try {
        await this.options.round(signal);
      } catch (error) {
        if (!signal.aborted) this.options.log.warn(`${this.options.name} failed`, { message: messageOf(error) });
      }
      if (!signal.aborted && !this.isWoken) await this.rest();
    }
  }

  private async rest(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.wakeUp = resolve;
    const stopTimer = this.options.clock.after(this.options.everyMs, resolve);
    await promise;
    stopTimer();
    this.wakeUp = null;
  }
}
