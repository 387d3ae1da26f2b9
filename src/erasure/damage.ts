/**
 * DamageSink: where this layer reports keys that lack redundancy: a hint; the drives are the truth. DebtSink: what drives
 * are owed, which is kept. Both must not wait.
 */
import type { ObjectPath, Stamp } from "../storage/drive.ts";

export interface DamageReport {
  readonly bucket: string;
  /** Encoded path below the bucket. */
  readonly path: string;
  readonly why: "missed-write" | "differs" | "shard";
}
export interface DamageSink {
  report(damage: DamageReport): void;
}

/** A write that was acknowledged, or is about to be. */
export interface Committed {
  readonly key: ObjectPath;
  readonly stamp: Stamp;
  /** Ids of versions that it took away. */
  readonly removed: readonly string[];
}
export interface DebtSink {
  /** The drives at these positions missed it. */
  owe(committed: Committed, positions: readonly number[]): void;
  /** Positions whose drive missed a write of the key: what it says of it may be of before. Null = none. */
  behind(key: ObjectPath): ReadonlySet<number> | null;
  /** Ids of versions that operations took away which the drive at the position missed, with their stamps. */
  removed(position: number, key: ObjectPath): ReadonlyMap<string, Stamp> | null;
}
