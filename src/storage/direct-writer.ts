/**
 * DirectWriter: appends frames to a staged shard file past the page cache. Whole pages are written from where the frames lie; the
 * part of a page that is left of each waits in a tail for the next one, so that a large upload costs no copy and no cache pages
 * (bench/README.md has the figures).
 */
import { assert } from "../core/assert.ts";
import { type Disk, PAGE_BYTES, step } from "../sys/disk.ts";
import type { DriveOutcome, ShardWriter } from "./drive.ts";

export class DirectWriter implements ShardWriter {
  private readonly tail = new Uint8Array(new ArrayBuffer(PAGE_BYTES));
  private size = 0;
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly disk: Disk,
    private readonly descriptor: number,
    private readonly outcome: (errno: number) => DriveOutcome<void>,
  ) {}

  async append(region: Uint8Array, lead: number): Promise<DriveOutcome<void>> {
    assert(lead === this.size % PAGE_BYTES, "a frame comes with room for what is left of the one before");
    const to = { tail: this.tail, offset: this.size - lead };
    this.size += region.length - lead;
    // One after the other: they share the tail.
    const run = this.last.then(() => this.disk.run([step.use(this.descriptor), step.append(region, lead, to)]));
    this.last = run;
    return this.outcome((await run).error);
  }

  async close(): Promise<DriveOutcome<void>> {
    await this.last;
    const left = this.size % PAGE_BYTES;
    const { error } = await this.disk.run([
      step.use(this.descriptor, true),
      step.flush(this.tail, left, this.size - left),
      step.fdatasync(),
    ]);
    return this.outcome(error);
  }

  async abort(): Promise<void> {
    await this.last;
    await this.disk.run([step.use(this.descriptor, true)], true);
  }
}
