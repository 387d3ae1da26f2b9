/** Clock: time of day, elapsed time and timers. Milliseconds, except where a name says ns. */
import { assert } from "../core/assert.ts";

export interface Clock {
  /** Milliseconds since 1970. */
  nowMs(): number;
  /** Nanoseconds since 1970, strictly increasing within the process. */
  nowNs(): bigint;
  /** Monotonic milliseconds from an arbitrary start. */
  elapsedMs(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Lets everything else that is ready go first; at once when nothing is, unlike `sleep(0)`. */
  yieldNow(): Promise<void>;
  /** Calls `run` after `ms`; the returned function cancels it. */
  after(ms: number, run: () => void): () => void;
}

const TIMER_MAX_MS = 2 ** 31 - 1;

export function realClock(): Clock {
  let last = 0n;
  const clock: Clock = {
    nowMs: () => Date.now(),
    nowNs() {
      const now = BigInt(Date.now()) * 1_000_000n;
      last = now > last ? now : last + 1n;
      return last;
    },
    elapsedMs: () => performance.now(),
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        const stop = clock.after(ms, () => {
          signal?.removeEventListener("abort", abort);
          resolve();
        });
        const abort = (): void => {
          stop();
          reject(signal?.reason as Error);
        };
        if (signal?.aborted === true) abort();
        else signal?.addEventListener("abort", abort, { once: true });
      });
    },
    yieldNow: () => new Promise((resolve) => setImmediate(resolve)),
    after(ms, run) {
      assert(ms >= 0 && ms <= TIMER_MAX_MS, "a timer is in range");
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
  };
  return clock;
}
