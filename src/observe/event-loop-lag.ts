/**
 * EventLoopLag: how late a timer fires, which is how long some piece of work held the JavaScript thread. Probed twice a
 * second; the greatest of the last minute is kept, since a scrape sees only one moment. Seconds.
 */
import type { Clock } from "../sys/clock.ts";

const PROBE_MS = 500;
const PROBES_KEPT = 120;

export class EventLoopLag {
  private readonly kept = new Float64Array(PROBES_KEPT);
  private next = 0;
  private stopTimer: (() => void) | null = null;

  constructor(private readonly clock: Clock) {}

  start(): void {
    if (this.stopTimer === null) this.probe();
  }

  stop(): void {
    this.stopTimer?.();
    this.stopTimer = null;
  }

  get lastSeconds(): number {
    return this.kept[(this.next + PROBES_KEPT - 1) % PROBES_KEPT] as number;
  }
  get maxSeconds(): number {
    return this.kept.reduce((most, lag) => Math.max(most, lag), 0);
  }

  private probe(): void {
    const due = this.clock.elapsedMs() + PROBE_MS;
    this.stopTimer = this.clock.after(PROBE_MS, () => {
      this.kept[this.next] = Math.max(0, this.clock.elapsedMs() - due) / 1000;
      this.next = (this.next + 1) % PROBES_KEPT;
      this.probe();
    });
  }
}
