/**
 * LogHealth: whether a drive's commit log can be written, and why not. A failure is for good (until sherd is started again) or
 * until an attempt succeeds: attempts are made when somebody wants to write, at most one in `retryMs`, and every few seconds
 * without being asked, so that a drive with space again comes back by itself. Says both turns to the operator.
 */
import type { Clock } from "../sys/clock.ts";
import type { DriveError } from "./drive.ts";

export const LOG_RETRY_MS = 250;
const UNASKED_MS = 5_000;

export interface LogHealthOptions {
  readonly endpoint: string;
  readonly clock: Clock;
  /** At least so long between two attempts. */
  readonly retryMs: number;
  readonly warn: (message: string) => void;
}

export class LogHealth {
  /** Why nothing is written; null = all is well. */
  failure: DriveError | null = null;
  /** How often it failed, for the metrics. */
  failures = 0;
  private attempt: (() => Promise<boolean>) | null = null;
  private attempting: Promise<void> | null = null;
  private attemptedMs = 0;
  private stopTimer: (() => void) | null = null;
  private asking: Promise<void> = Promise.resolve();
  private isClosed = false;

  constructor(private readonly options: LogHealthOptions) {}

  /** Nothing is written until the next start. */
  end(failure: DriveError): void {
    if (this.failure !== null && this.attempt === null) return;
    this.failures++;
    this.failure = failure;
    this.attempt = null;
    this.stopTimer?.();
    this.options.warn(failure.message);
  }

  /** Nothing is written until `attempt` says that it can be. */
  suspend(failure: DriveError, attempt: () => Promise<boolean>): void {
    if (this.failure !== null) return;
    this.failures++;
    this.failure = failure;
    this.attempt = attempt;
    this.attemptedMs = this.options.clock.elapsedMs();
    this.options.warn(failure.message);
    this.tryUnasked();
  }

  /** Why nothing can be written now; tries when it is time to. */
  async refusal(): Promise<DriveError | null> {
    if (this.failure === null || this.attempt === null) return this.failure;
    if (this.options.clock.elapsedMs() - this.attemptedMs >= this.options.retryMs) await this.try(this.attempt);
    return this.failure;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.stopTimer?.();
    await this.asking;
  }

  private tryUnasked(): void {
    this.stopTimer?.();
    if (this.isClosed || this.attempt === null) return;
    this.stopTimer = this.options.clock.after(UNASKED_MS, () => {
      this.asking = this.attempt === null ? Promise.resolve() : this.try(this.attempt).then(() => this.tryUnasked());
    });
  }

  private try(attempt: () => Promise<boolean>): Promise<void> {
    this.attempting ??= this.tryOnce(attempt).finally(() => {
      this.attempting = null;
    });
    return this.attempting;
  }

  private async tryOnce(attempt: () => Promise<boolean>): Promise<void> {
    const isWell = await attempt();
    this.attemptedMs = this.options.clock.elapsedMs();
    if (!isWell || this.attempt !== attempt) return;
    this.failure = null;
    this.attempt = null;
    this.stopTimer?.();
    this.options.warn(`${this.options.endpoint}: takes writes again`);
  }
}
