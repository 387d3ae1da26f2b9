/**
 * HealQueue: keys reported as damaged wait here, each once, and are healed one after another. Bounded: a queue is a hint,
 * the drives are the truth, and `sherd heal` finds what was dropped.
 */
import type { DamageReport, DamageSink } from "../erasure/damage.ts";
import type { Log } from "../observe/log.ts";
import type { Clock } from "../sys/clock.ts";

const QUEUE_MAX = 10_000;
const PAUSE_MS = 50;
const RETRY_MS = 30_000;

export class HealQueue implements DamageSink {
  private readonly waiting = new Map<string, DamageReport>();
  private readonly resting = new Map<string, number>();
  private running: Promise<void> | null = null;
  private stopped = false;
  healed = 0;
  failed = 0;
  dropped = 0;

  /** `heal` returns the number of drives that were given something. */
  constructor(
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly heal: (damage: DamageReport) => Promise<number>,
  ) {}

  report(damage: DamageReport): void {
    const name = `${damage.bucket}/${damage.path}`;
    if (this.stopped || this.waiting.has(name)) return;
    if ((this.resting.get(name) ?? 0) > this.clock.elapsedMs()) return; // it was tried just now
    if (this.waiting.size >= QUEUE_MAX) {
      this.dropped++;
      return;
    }
    this.waiting.set(name, damage);
    this.running ??= this.run();
  }

  get length(): number {
    return this.waiting.size;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.waiting.clear();
    await this.running;
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    await this.running;
  }

  private async run(): Promise<void> {
    await this.clock.sleep(PAUSE_MS); // the write that reported it settles first
    for (
      let next = this.waiting.entries().next();
      next.done !== true && !this.stopped;
      next = this.waiting.entries().next()
    ) {
      const [name, damage] = next.value;
      try {
        if ((await this.heal(damage)) > 0) {
          this.healed++;
          this.log.info("healed", { bucket: damage.bucket, key: damage.path, why: damage.why });
        }
      } catch (error) {
        this.failed++;
        this.log.warn("heal failed", {
          bucket: damage.bucket,
          key: damage.path,
          message: error instanceof Error ? error.message : String(error),
        });
      }
      this.rest(name);
      this.waiting.delete(name);
    }
    this.running = null;
  }

  private rest(name: string): void {
    this.resting.set(name, this.clock.elapsedMs() + RETRY_MS);
    if (this.resting.size > QUEUE_MAX) this.resting.delete(this.resting.keys().next().value as string);
  }
}
