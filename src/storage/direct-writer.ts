/**
 * DirectWriter: appends to a staged shard file past the page cache. Frames are gathered in a page-aligned buffer and written
 * when it is full, so that a large upload costs one copy more and no cache pages (bench/README.md has the figures).
 */
import { bad, good } from "../core/fan-out.ts";
import { APPEND_BUFFER_BYTES, APPEND_BYTES, type Disk, step } from "../sys/disk.ts";
import type { DriveOutcome, ShardWriter } from "./drive.ts";

export const APPEND_BUFFERS_KEPT = 16;

export function newAppendBuffer(): Uint8Array {
  return new Uint8Array(new ArrayBuffer(APPEND_BUFFER_BYTES));
}

export class DirectWriter implements ShardWriter {
  private readonly buffer: Uint8Array;
  private fill = 0;
  private offset = 0;
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly disk: Disk,
    private readonly descriptor: number,
    /** Where buffers come from and go back to. */
    private readonly buffers: Uint8Array[],
    private readonly outcome: (errno: number) => DriveOutcome<void>,
  ) {
    this.buffer = buffers.pop() ?? newAppendBuffer();
  }

  async append(bytes: Uint8Array): Promise<DriveOutcome<void>> {
    const at = { fill: this.fill, offset: this.offset };
    const end = this.fill + bytes.length;
    this.fill = end % APPEND_BYTES;
    this.offset += end - this.fill;
    // One after the other: they share the buffer.
    const run = this.last.then(() => this.disk.run([step.use(this.descriptor), step.append(bytes, this.buffer, at)]));
    this.last = run;
    return this.outcome((await run).error);
  }

  async close(): Promise<DriveOutcome<void>> {
    await this.last;
    const at = { fill: this.fill, offset: this.offset };
    const { error } = await this.disk.run([
      step.use(this.descriptor, true),
      step.flush(this.buffer, at),
      step.fdatasync(),
    ]);
    this.giveBack();
    const outcome = this.outcome(error);
    return outcome.ok ? good(undefined) : bad(outcome.error);
  }

  async abort(): Promise<void> {
    await this.last;
    await this.disk.run([step.use(this.descriptor, true)], true);
    this.giveBack();
  }

  private giveBack(): void {
    if (this.buffers.length < APPEND_BUFFERS_KEPT) this.buffers.push(this.buffer);
  }
}
