/**
 * compareSet: the drives of a set compared with one another by hashes of ranges of their key indexes, and the keys where they
 * differ healed. For a drive whose debt is not known. Where a drive has no complete index the bucket is walked instead.
 * System documents have no index and are few: each is looked at.
 */
import type { KeyLock } from "../core/key-lock.ts";
import { compareKeys } from "../core/key-order.ts";
import type { ErasureSet } from "../erasure/erasure-set.ts";
import { healKey } from "../erasure/heal-version.ts";
import { walkSet } from "../erasure/walk-set.ts";
import type { IndexRangeAnswer, IndexRangeAsked } from "../storage/drive-upkeep.ts";
import { encodeKey, SYSTEM_BUCKET, SYSTEM_PATHS } from "../storage/paths.ts";
import { messageOf } from "./message-of.ts";

const RANGE_KEYS = 1_000;
/** What hashing a range on each drive counts for: it takes milliseconds of the JavaScript thread. */
export const RANGE_LOOKS = 25;

export interface CompareOptions {
  readonly locks: KeyLock;
  readonly signal: AbortSignal;
  readonly buckets: readonly string[];
  /** Before so many looks. */
  readonly pace: (looks: number) => Promise<void>;
  readonly onFailure: (bucket: string, path: string, message: string) => void;
  /** Only by indexes: a bucket that some drive has no complete index of is left out, and so are system documents. */
  readonly indexed?: boolean;
}
export interface Compared {
  /** Ranges whose hashes were compared, and of them different ones. */
  readonly ranges: number;
  readonly different: number;
  readonly keysHealed: number;
  readonly keysFailed: number;
  /** Positions that were there from the beginning to the end. */
  readonly positions: readonly number[];
}

/** Throws on abort, and when no drive lists a bucket. */
export async function compareSet(set: ErasureSet, options: CompareOptions): Promise<Compared> {
  return await new Comparison(set, options).run();
}

class Comparison {
  private ranges = 0;
  private different = 0;
  private keysHealed = 0;
  private keysFailed = 0;

  constructor(
    private readonly set: ErasureSet,
    private readonly options: CompareOptions,
  ) {}

  async run(): Promise<Compared> {
    const there = this.present();
    const mayWalk = this.options.indexed !== true;
    if (mayWalk)
      for (const folder of [SYSTEM_PATHS.config, SYSTEM_PATHS.buckets]) await this.walk(SYSTEM_BUCKET, folder);
    for (const bucket of this.options.buckets)
      if (!(await this.byRanges(bucket)) && mayWalk) await this.walk(bucket, "");
    const still = new Set(this.present());
    const { ranges, different, keysHealed, keysFailed } = this;
    return { ranges, different, keysHealed, keysFailed, positions: there.filter((position) => still.has(position)) };
  }

  private present(): number[] {
    return [...this.set.drives.keys()].filter((i) => {
      const drive = this.set.drives[i];
      return drive != null && drive.state !== "faulty";
    });
  }

  /** False: some drive has no complete index. */
  private async byRanges(bucket: string): Promise<boolean> {
    for (let after = ""; ; ) {
      await this.options.pace(RANGE_LOOKS);
      const first = await this.ask({ bucket, after, last: null, limit: RANGE_KEYS }, false);
      if (first === null) return false;
      // The range that every drive can tell whole ends where the first of them stopped.
      const ends = first.flatMap(({ last }) => (last === null ? [] : [last])).sort(compareKeys);
      const last = ends[0] ?? null;
      if (!(await this.range(bucket, after, last))) return false;
      if (last === null) return true;
      after = last;
    }
  }

  private async range(bucket: string, after: string, last: string | null): Promise<boolean> {
    const asked = { bucket, after, last, limit: Number.MAX_SAFE_INTEGER };
    const answers = await this.ask(asked, false);
    if (answers === null) return false;
    this.ranges++;
    if (answers.every(({ hash, keys }) => hash === answers[0]?.hash && keys === answers[0].keys)) return true;
    this.different++;
    const told = await this.ask(asked, true);
    if (told === null) return false;
    const keys = new Set(told.flatMap(({ rows }) => [...(rows?.keys() ?? [])]));
    for (const key of [...keys].sort(compareKeys)) {
      const rows = told.map((answer) => answer.rows?.get(key));
      if (rows.some((row) => row !== rows[0])) await this.heal(bucket, encodeKey(key));
    }
    return true;
  }

  /** What the drives that answer say; null = one of them has no complete index. */
  private async ask(asked: IndexRangeAsked, withRows: boolean): Promise<readonly IndexRangeAnswer[] | null> {
    const outcomes = await this.set.each((drive) => drive.upkeep.indexRange(asked, withRows));
    const answers = outcomes.flatMap((outcome) => (outcome.ok ? [outcome.value] : []));
    return answers.every((answer) => answer !== null) ? answers : null;
  }

  private async walk(bucket: string, directory: string): Promise<void> {
    const pace = (): Promise<void> => this.options.pace(1);
    for await (const { key, isObject } of walkSet(this.set, { bucket, directory, after: "", pace }))
      if (isObject) await this.heal(bucket, key.path);
  }

  private async heal(bucket: string, path: string): Promise<void> {
    this.options.signal.throwIfAborted();
    await this.options.pace(1);
    try {
      const { healed } = await healKey(this.set, { bucket, path }, this.options.locks, { deep: false });
      if (healed.length > 0) this.keysHealed++;
    } catch (error) {
      if (this.options.signal.aborted) throw error;
      this.keysFailed++;
      this.options.onFailure(bucket, path, messageOf(error));
    }
  }
}
