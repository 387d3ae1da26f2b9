/**
 * Scrub: rounds over every set that read every shard on every drive and verify its hash, so that a bit that flipped is found
 * while enough others are good. Damage goes to the heal queue. Its speed is what a round within the period needs, so that it
 * is never felt; it goes on where the last process stopped.
 */
import type { ErasureSet } from "../erasure/erasure-set.ts";
import { inspectKey } from "../erasure/inspect-key.ts";
import type { Visit } from "../erasure/walk-set.ts";
import type { Log } from "../observe/log.ts";
import type { Clock } from "../sys/clock.ts";
import { messageOf } from "./message-of.ts";
import { type SeenNow, SetRound } from "./set-round.ts";
import type { Throttle } from "./throttle.ts";
import { RoundWorker } from "./worker.ts";

const NOTE = "scrub/position.json";
const LOOK_MS_MAX = 60 * 60_000;
const TOLD_MAX = 20;
const DAY_MS = 24 * 60 * 60_000;
const BYTES_PER_SECOND_MIN = 256 * 1024;
const BYTES_PER_SECOND_MAX = 256 * 1024 * 1024;
/** In half of the period when nobody disturbs it: what clients take is not made up for. */
const HASTE = 2;

export interface ScrubOptions {
  readonly sets: readonly ErasureSet[];
  readonly listBuckets: () => Promise<readonly { readonly name: string }[]>;
  readonly clock: Clock;
  readonly log: Log;
  /** A full round within so many days. */
  readonly days: number;
  /** null = what a round within the days needs. */
  readonly bytesPerSecond: number | null;
  readonly throttle: (signal: AbortSignal, bytesPerSecond: () => number) => Throttle;
}

/** Bytes a second that a round over so many needs. */
export function scrubRate(usedBytes: number, days: number): number {
  const needed = (HASTE * usedBytes) / (days * (DAY_MS / 1000));
  return Math.min(BYTES_PER_SECOND_MAX, Math.max(BYTES_PER_SECOND_MIN, needed));
}

export class Scrub {
  private readonly worker: RoundWorker;
  readonly rounds: readonly SetRound[];
  private readonly pacer: Throttle;
  private bytesPerSecond = BYTES_PER_SECOND_MIN;
  private told = 0;
  objects = 0;
  bytes = 0;
  damaged = 0;
  finished = 0;

  constructor(private readonly options: ScrubOptions) {
    const { clock, log, days, listBuckets } = options;
    const everyMs = Math.min(LOOK_MS_MAX, days * DAY_MS);
    this.worker = new RoundWorker({ name: "scrub", clock, log, everyMs, round: (signal) => this.round(signal) });
    this.pacer = options.throttle(this.worker.signal, () => this.bytesPerSecond);
    this.rounds = options.sets.map((set) => {
      const nothing = (): Promise<SeenNow> => Promise.resolve({ bytes: 0, found: 0 });
      const visitor = { visit: (visit: Visit) => this.visit(set, visit), endOfBucket: nothing, endOfRound: nothing };
      return new SetRound({ set, name: NOTE, clock, listBuckets, visitor, pace: () => this.pacer.take(1, 0) });
    });
  }

  start(): void {
    this.worker.start();
  }
  stop(): Promise<void> {
    return this.worker.stop();
  }

  /** A round over each set whose last one began longer ago than the period, or did not end. */
  async round(signal: AbortSignal): Promise<void> {
    for (const round of this.rounds) {
      const begun = await round.load();
      const isDue = this.options.clock.nowMs() - begun.startedMs >= this.options.days * DAY_MS;
      if (begun.endedMs !== null && !isDue) continue;
      this.bytesPerSecond = this.options.bytesPerSecond ?? scrubRate(await usedBytes(round.set), this.options.days);
      this.told = 0;
      const { round: number, keys, bytes, found, startedMs, endedMs } = await round.run(signal);
      this.finished++;
      const { poolIndex, setIndex } = round.set;
      const hours = Math.round(((endedMs ?? startedMs) - startedMs) / 36_000) / 100;
      const told = { pool: poolIndex, set: setIndex, round: number, keys, bytes, damaged: found, hours };
      this.options.log.info("scrub round done", told);
    }
  }

  private async visit(set: ErasureSet, { key, isObject }: Visit): Promise<SeenNow> {
    if (!isObject) return { bytes: 0, found: 0 };
    let bytes = 0;
    const pace = async (more: number): Promise<void> => {
      bytes += more;
      this.bytes += more;
      await this.pacer.take(0, more);
    };
    try {
      const { lacking } = await inspectKey(set, key, { deep: true, pace });
      this.objects++;
      if (lacking.length === 0) return { bytes, found: 0 };
      this.damaged++;
      this.options.log.warn("scrub found damage", { bucket: key.bucket, key: key.path, drives: lacking.join(" ") });
      set.resources.damage.report({ bucket: key.bucket, path: key.path, why: "shard" });
      return { bytes, found: 1 };
    } catch (error) {
      if (this.worker.signal.aborted) throw error;
      if (this.told++ < TOLD_MAX)
        this.options.log.warn("a key cannot be scrubbed", {
          bucket: key.bucket,
          key: key.path,
          message: messageOf(error),
        });
      return { bytes, found: 1 };
    }
  }
}

async function usedBytes(set: ErasureSet): Promise<number> {
  const outcomes = await set.each((drive) => drive.space());
  return outcomes.reduce((sum, o) => sum + (o.ok ? o.value.usedBytes : 0), 0);
}
