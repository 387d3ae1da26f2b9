/**
 * GroupSync: durability for many at the price of one. Callers that ask while a sync of the file system runs share the
 * next one: a lone writer pays one sync, sixty-four share it. One per file system, no timer. `syncfs` covers file data,
 * metadata and directory entries alike (ADR 0005), so a commit needs two: before and after its rename.
 */
import { type Disk, Errno, step } from "../sys/disk.ts";

export class GroupSync {
  private next: Promise<number> | null = null;
  private running: Promise<number> | null = null;
  /** Syncs done and callers served, for the metrics. */
  syncs = 0;
  served = 0;

  /** On this file system: a drive that was taken away must not keep the others from being synced. */
  private readonly paths: string[];

  constructor(
    private readonly disk: Disk,
    path: string,
  ) {
    this.paths = [path];
  }

  alsoAt(path: string): void {
    if (!this.paths.includes(path)) this.paths.push(path);
  }

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
    const error = await this.syncOnce();
    if (this.next === null) this.running = null;
    return error;
  }

  private async syncOnce(): Promise<number> {
    let error: number = Errno.ENOENT;
    for (const path of this.paths) {
      ({ error } = await this.disk.run([step.syncfs(path)]));
      if (error !== Errno.ENOENT) break;
    }
    return error;
  }
}
