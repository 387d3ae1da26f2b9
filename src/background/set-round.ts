/**
 * SetRound: one round over everything in one set, directory by directory, that is saved now and then and goes on after a
 * restart. What is done with what is seen is the visitor's: the scanner's or the scrub's.
 */
import { compareKeys } from "../core/key-order.ts";
import type { ErasureSet } from "../erasure/erasure-set.ts";
import { type Visit, walkSet } from "../erasure/walk-set.ts";
import { SYSTEM_BUCKET, SYSTEM_PATHS } from "../storage/paths.ts";
import type { Clock } from "../sys/clock.ts";
import { firstRound, loadRound, nextRound, type RoundPosition, saveRound } from "./round-state.ts";

const SAVE_MS = 30_000;
/** Sorts before every bucket, and is none. */
const SYSTEM_SECTIONS = [SYSTEM_PATHS.buckets, SYSTEM_PATHS.config];

export interface SeenNow {
  readonly bytes: number;
  readonly found: number;
}
export interface RoundVisitor {
  /** What was read for it, and how much was found wrong. */
  visit(visit: Visit): Promise<SeenNow>;
  endOfBucket(bucket: string): Promise<SeenNow>;
  endOfRound(): Promise<SeenNow>;
}
export interface SetRoundOptions {
  readonly set: ErasureSet;
  /** Name of the note. */
  readonly name: string;
  readonly clock: Clock;
  readonly pace: () => Promise<void>;
  readonly listBuckets: () => Promise<readonly { readonly name: string }[]>;
  readonly visitor: RoundVisitor;
}

export class SetRound {
  private state: RoundPosition | null = null;
  private savedMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: SetRoundOptions) {}

  get at(): RoundPosition | null {
    return this.state;
  }
  get set(): ErasureSet {
    return this.options.set;
  }

  async load(): Promise<RoundPosition> {
    const { set, name, clock } = this.options;
    this.state ??= (await loadRound(set, name)) ?? firstRound(clock.nowMs());
    return this.state;
  }

  /** Replaces what is remembered of versions that dangle. */
  note(doubtful: RoundPosition["doubtful"]): void {
    if (this.state !== null) this.state = { ...this.state, doubtful };
  }

  /** To the end of the round under way, or of the next one. Throws on abort; the position is saved then. */
  async run(signal: AbortSignal): Promise<RoundPosition> {
    const { clock } = this.options;
    const before = await this.load();
    if (before.endedMs !== null) this.state = nextRound(before, clock.nowMs());
    try {
      await this.walk(signal);
      this.add(await this.options.visitor.endOfRound());
      this.state = { ...this.now, bucket: "", path: "", endedMs: clock.nowMs() };
    } finally {
      await this.save();
    }
    return this.now;
  }

  private async walk(signal: AbortSignal): Promise<void> {
    const buckets = (await this.options.listBuckets()).map(({ name }) => name).sort(compareKeys);
    const sections = [
      ...SYSTEM_SECTIONS.map((directory) => ({ bucket: SYSTEM_BUCKET, directory })),
      ...buckets.map((bucket) => ({ bucket, directory: "" })),
    ];
    const from = { bucket: this.now.bucket, path: this.now.path };
    for (const { bucket, directory } of sections) {
      const order = from.bucket === "" ? 1 : compareSections({ bucket, directory }, from);
      if (order < 0) continue;
      const after = order === 0 ? from.path : "";
      for await (const visit of walkSet(this.set, { bucket, directory, after, pace: this.options.pace })) {
        signal.throwIfAborted();
        const seen = await this.options.visitor.visit(visit);
        this.add({ ...seen, keys: visit.isObject ? 1 : 0 });
        this.state = { ...this.now, bucket, path: visit.key.path };
        if (clockOf(this.options) - this.savedMs >= SAVE_MS) await this.save();
      }
      if (bucket !== SYSTEM_BUCKET) this.add(await this.options.visitor.endOfBucket(bucket));
    }
  }

  private get now(): RoundPosition {
    return this.state ?? firstRound(this.options.clock.nowMs());
  }

  private add({ bytes, found, keys = 0 }: SeenNow & { readonly keys?: number }): void {
    const { now } = this;
    this.state = { ...now, keys: now.keys + keys, bytes: now.bytes + bytes, found: now.found + found };
  }

  private async save(): Promise<void> {
    this.savedMs = this.options.clock.elapsedMs();
    this.state = { ...this.now, saves: this.now.saves + 1 };
    await saveRound(this.set, this.options.name, this.state);
  }
}

function clockOf({ clock }: SetRoundOptions): number {
  return clock.elapsedMs();
}

/** 0 = the position is in this section; system sections come first, each with paths of its own. */
function compareSections(section: { bucket: string; directory: string }, at: { bucket: string; path: string }): number {
  if (section.bucket !== SYSTEM_BUCKET) return at.bucket === SYSTEM_BUCKET ? 1 : compareKeys(section.bucket, at.bucket);
  if (at.bucket !== SYSTEM_BUCKET) return -1;
  const [folder] = at.path.split("/");
  return SYSTEM_SECTIONS.indexOf(section.directory as never) - SYSTEM_SECTIONS.indexOf(folder as never);
}
