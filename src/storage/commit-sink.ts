/** CommitSink: who wants to know what changed on a drive, in the order in which it changed. */
import type { ObjectPath, Stamp } from "./drive.ts";
import type { XlMeta } from "./xl-meta.ts";

export interface CommitSink {
  /**
   * The key now is `meta` (null = gone; "unreadable" = bytes that are no xl.meta). Called before the change is acknowledged,
   * with a sequence that grows; must not wait.
   */
  changed(sequence: number, key: ObjectPath, meta: XlMeta | null | "unreadable", stamp: Stamp): void;
  /** Every key of the bucket is gone, and the bucket too. */
  dropped(bucket: string): void;
  /** The last sequence that it was told and has kept: what came later is told again at a start by whoever can, numbers go on. */
  readonly after: number;
  /** Waits while the sink is behind; null = it is not. */
  room(): Promise<void> | null;
}
