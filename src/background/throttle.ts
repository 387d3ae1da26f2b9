/**
 * Throttle: the budget of work that no client waits for: so many bytes and looks a second, a tenth of it while clients are
 * served and a second longer, and none while the JavaScript thread is late. Waits end with the signal (by throwing its reason).
 */
import { TokenBucket } from "../core/token-bucket.ts";
import type { Clock } from "../sys/clock.ts";

const WAIT_MS_MAX = 1_000;
const LATE_SECONDS = 0.05;
const LATE_REST_MS = 250;
const BUSY_SHARE = 0.1;
const BUSY_MS = 1_000;

/** Of clients: being served, and ever begun. */
export interface ClientLoadFacts {
  readonly inFlight: number;
  readonly begun: number;
}
export interface ThrottleOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly bytesPerSecond: () => number;
  readonly looksPerSecond: () => number;
  readonly load: ClientLoadFacts;
  /** How late the JavaScript thread is, in seconds. */
  readonly lateness: () => number;
}

export class Throttle {
  private readonly bytes: TokenBucket;
  private readonly looks: TokenBucket;
  private begun = 0;
  private busyUntilMs = Number.NEGATIVE_INFINITY;
  /** ms spent waiting. */
  waitedMs = 0;

  constructor(private readonly options: ThrottleOptions) {
    const now = options.clock.elapsedMs();
    this.bytes = new TokenBucket(options.bytesPerSecond(), now);
    this.looks = new TokenBucket(options.looksPerSecond(), now);
  }

  /** Before the work. */
  async take(looks: number, bytes: number): Promise<void> {
    const { clock, signal, load, lateness } = this.options;
    signal.throwIfAborted();
    if (lateness() > LATE_SECONDS) await this.wait(LATE_REST_MS);
    const now = clock.elapsedMs();
    if (load.inFlight > 0 || load.begun !== this.begun) this.busyUntilMs = now + BUSY_MS;
    this.begun = load.begun;
    const share = now < this.busyUntilMs ? BUSY_SHARE : 1;
    const forLooks = this.looks.spend(looks, this.options.looksPerSecond() * share, now);
    const forBytes = this.bytes.spend(bytes, this.options.bytesPerSecond() * share, now);
    for (let left = Math.max(forLooks, forBytes); left > 0; left -= WAIT_MS_MAX)
      await this.wait(Math.min(left, WAIT_MS_MAX));
  }

  private async wait(ms: number): Promise<void> {
    this.waitedMs += ms;
    await this.options.clock.sleep(ms, this.options.signal);
  }
}
