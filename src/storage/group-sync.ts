/**
 * GroupSync: durability for many at the price of one. Callers that ask while a sync of the file system runs share the
 * next one: a lone writer pays one sync, sixty-four share it. One per file system, no timer. `syncfs` covers file data,
 * metadata and directory entries alike (ADR 0005), so a commit needs two: before and after its rename.
 */
import { type Disk, step } from "../sys/disk.ts";

export class GroupSync {
  private next: Promise<number> | null = null;
  private running: Promise<number> | null = null;
  /** Syncs done and callers served, for the metrics. */
  syncs = 0;
  served = 0;

  constructor(
    private readonly disk: Disk,
    private readonly path: string,
  ) {}

  /** Resolves with 0, or the errno of the sync, when everything written before this call is durable. */
  sync(): Promise<number> {
    this.served++;
    if (this.next === null) this.next = this.start(this.running);
    return this.next;
  }

  private async start(before: Promise<number> | null): Promise<number> {
    if (before !== null) await before;
    else await Promise.resolve(); // let the callers of this turn join
    this.running = this.next;
    this.next = null;
    this.syncs++;
    const { error } = await this.disk.run([step.syncfs(this.path)]);
    if (this.next === null) this.running = null;
    return error;
  }
}
