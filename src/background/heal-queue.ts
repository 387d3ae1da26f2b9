/**
 * HealQueue: keys reported as damaged wait here, each once, and are healed a few at a time. A key that was healed just now
 * rests before it is looked at again; what is reported of it meanwhile waits for that. A heal that fails is tried again, later
 * and later, and in the end left to the scanner. Bounded in bytes: what does not fit is counted and told, so that the scanner
 * looks for it. A queue is a hint, the drives are the truth.
 */
import type { DamageReport, DamageSink } from "../erasure/damage.ts";
import type { Log } from "../observe/log.ts";
import type { Clock } from "../sys/clock.ts";
import { messageOf } from "./message-of.ts";

const BYTES_MAX = 8 * 1024 * 1024;
/** Of an entry beside its name. */
const ENTRY_BYTES = 160;
const KEYS_AT_ONCE = 4;
const PAUSE_MS = 50;
const REST_MS = 30_000;
/** After pauses of 30 s, 1, 2, 4 … minutes: an hour in all. */
const TRIES_MAX = 7;
const GIVEN_UP_MAX = 10_000;
/** The higher includes the lower: only of a shard is every hash verified. */
const WEIGHT = { "missed-write": 0, differs: 0, shard: 1 } as const;

interface Job {
  readonly damage: DamageReport;
  readonly dueMs: number;
  /** That failed. */
  readonly tries: number;
}
export class HealQueue implements DamageSink {
  private readonly due = new Map<string, Job>();
  private readonly later = new Map<string, Job>();
  /** Name -> until when it rests. In the order of time. */
  private readonly resting = new Map<string, number>();
  private readonly underWay = new Set<string>();
  /** Could not be healed in the end; as many as fit. */
  private readonly givenUp = new Set<string>();
  private running: Promise<void> | null = null;
  private timer: { readonly dueMs: number; readonly stop: () => void } | null = null;
  private stopped = false;
  private bytes = 0;
  healed = 0;
  failed = 0;
  /** Called when a report did not fit. */
  overflowed: () => void = () => undefined;
  /** Reports that did not fit. */
  dropped = 0;

  /** `heal` returns the number of drives that were given something. */
  constructor(
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly heal: (damage: DamageReport) => Promise<number>,
    private readonly bytesMax = BYTES_MAX,
  ) {}

  report(damage: DamageReport): void {
    if (this.stopped) return;
    const name = `${damage.bucket}/${damage.path}`;
    const known = this.due.get(name) ?? this.later.get(name);
    if (known !== undefined) {
      if (WEIGHT[damage.why] <= WEIGHT[known.damage.why]) return;
      (this.due.has(name) ? this.due : this.later).set(name, { ...known, damage });
      return;
    }
    const now = this.clock.elapsedMs();
    const dueMs = this.underWay.has(name) ? now + REST_MS : Math.max(now, this.resting.get(name) ?? 0);
    this.put(name, { damage, dueMs, tries: 0 });
  }

  /** Keys that are known to be damaged: waiting, under way, and those that could not be healed. */
  names(): ReadonlySet<string> {
    return new Set([...this.due.keys(), ...this.later.keys(), ...this.underWay, ...this.givenUp]);
  }

  /** Waiting keys, and those that are being healed. */
  get length(): number {
    return this.due.size + this.later.size + this.underWay.size;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.stop();
    this.due.clear();
    this.later.clear();
    await this.running;
  }

  /** Resolves when nothing is due; what rests may still wait. */
  async idle(): Promise<void> {
    await this.running;
  }

  private put(name: string, job: Job): void {
    const bytes = ENTRY_BYTES + 2 * name.length;
    if (this.bytes + bytes > this.bytesMax) {
      if (this.dropped++ === 0)
        this.log.warn("more damage than the queue of repairs holds; the scanner will find it", {});
      this.overflowed();
      return;
    }
    this.bytes += bytes;
    if (job.dueMs <= this.clock.elapsedMs()) {
      this.due.set(name, job);
      this.running ??= this.run();
    } else {
      this.later.set(name, job);
      this.wakeAt(job.dueMs);
    }
  }

  private take(jobs: Map<string, Job>, name: string): void {
    if (jobs.delete(name)) this.bytes -= ENTRY_BYTES + 2 * name.length;
  }

  private wakeAt(dueMs: number): void {
    if (this.stopped || (this.timer !== null && this.timer.dueMs <= dueMs)) return;
    this.timer?.stop();
    const stop = this.clock.after(Math.max(1, dueMs - this.clock.elapsedMs()), () => {
      this.timer = null;
      this.wake();
    });
    this.timer = { dueMs, stop };
  }

  private wake(): void {
    const now = this.clock.elapsedMs();
    let first = Number.POSITIVE_INFINITY;
    for (const [name, job] of this.later) {
      if (job.dueMs > now) {
        first = Math.min(first, job.dueMs);
        continue;
      }
      this.later.delete(name);
      this.due.set(name, job);
    }
    if (this.due.size > 0) this.running ??= this.run();
    if (first < Number.POSITIVE_INFINITY) this.wakeAt(first);
  }

  private async run(): Promise<void> {
    await this.clock.sleep(PAUSE_MS); // the write that reported it settles first
    await Promise.all(Array.from({ length: KEYS_AT_ONCE }, () => this.work()));
    this.running = null;
    if (this.due.size > 0 && !this.stopped) this.running = this.run();
  }

  private async work(): Promise<void> {
    for (let next = this.due.entries().next(); next.done !== true && !this.stopped; next = this.due.entries().next()) {
      const [name, job] = next.value;
      this.take(this.due, name);
      this.underWay.add(name);
      const again = await this.healOne(job);
      this.underWay.delete(name);
      this.rest(name);
      if (again === null || this.stopped) continue;
      const known = this.later.get(name);
      if (known === undefined) this.put(name, again);
      else if (WEIGHT[again.damage.why] > WEIGHT[known.damage.why])
        this.later.set(name, { ...known, damage: again.damage });
    }
  }

  /** The job to come back to; null = done with it. */
  private async healOne({ damage, tries }: Job): Promise<Job | null> {
    const { bucket, path, why } = damage;
    try {
      const given = await this.heal(damage);
      this.givenUp.delete(`${bucket}/${path}`);
      if (given > 0) {
        this.healed++;
        this.log.info("healed", { bucket, key: path, why });
      }
      return null;
    } catch (error) {
      this.failed++;
      this.log.warn("heal failed", { bucket, key: path, tries: tries + 1, message: messageOf(error) });
      if (tries + 1 >= TRIES_MAX && this.givenUp.size < GIVEN_UP_MAX) this.givenUp.add(`${bucket}/${path}`);
      return tries + 1 >= TRIES_MAX
        ? null
        : { damage, dueMs: this.clock.elapsedMs() + REST_MS * 2 ** tries, tries: tries + 1 };
    }
  }

  private rest(name: string): void {
    const now = this.clock.elapsedMs();
    for (const [old, untilMs] of this.resting) {
      if (untilMs > now && this.resting.size * ENTRY_BYTES <= BYTES_MAX) break;
      this.resting.delete(old);
    }
    this.resting.delete(name);
    this.resting.set(name, now + REST_MS);
  }
}
