/** DamageSink: where this layer reports keys that lack redundancy. A report is a hint; the drives are the truth. */
export interface DamageReport {
  readonly bucket: string;
  /** Encoded path below the bucket. */
  readonly path: string;
  readonly why: "missed-write" | "differs" | "shard";
}
export interface DamageSink {
  report(damage: DamageReport): void;
}
