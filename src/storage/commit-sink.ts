/** CommitSink: who wants to know what changed on a drive, in the order in which it changed, and keeps it. */
import type { ObjectPath, Stamp } from "./drive.ts";
import type { XlMeta } from "./xl-meta.ts";

export interface CommitSink {
  /**
   * At a start, first of all: changes from this sequence on will be told again; null = what was told before is not known to be
   * all that there was. `after` counts from then on.
   */
  retold(first: number | null): Promise<void>;
  /** The last sequence that it was told and has kept: only what came later is told again. */
  readonly after: number;
  /**
   * The key now is `meta` (null = gone; "unreadable" = bytes that are no xl.meta). Called before the change is acknowledged,
   * with a sequence that grows; must not wait.
   */
  changed(sequence: number, key: ObjectPath, meta: XlMeta | null | "unreadable", stamp: Stamp): void;
  /** Every key of the bucket is gone, and the bucket too. */
  dropped(sequence: number, bucket: string): void;
  /** Waits while the sink is behind; null = it is not. */
  room(): Promise<void> | null;
  /**
   * It was told all up to `sequence`, and will not be again. Resolves when that is written; the next sync of the file system
   * makes it durable. A sink that cannot write it has given up what it keeps.
   */
  keep(sequence: number): Promise<void>;
  /** It takes too long, or what it was told is not all: it must not be believed any more. */
  giveUp(why: string): void;
}
