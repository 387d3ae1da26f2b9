/**
 * DigestLanes: lets the digests of concurrent bodies run together. MD5 of one stream cannot be made faster, but of eight it costs
 * a fifth in SIMD lanes; so a block waits for those of the other bodies that are being received, at most WAIT_MS, and all
 * go to the native pool in one hand-over. A body alone never waits. Digests of one body stay in order.
 */
import { assert } from "../core/assert.ts";
import type { Clock } from "../sys/clock.ts";
import { type Disk, step } from "../sys/disk.ts";

/** Of a stream that is alone for the moment this bounds the rate: two blocks in WAIT_MS. */
const WAIT_MS = 4;
const LANES_MAX = 16;

/** A digest's state and the bytes that come next, in pieces of `pieceBytes` that start `stride` apart. */
export interface DigestJob {
  readonly state: Uint8Array;
  readonly bytes: Uint8Array;
  readonly pieces: { readonly totalBytes: number; readonly pieceBytes: number; readonly stride: number };
}

interface Waiting {
  readonly job: DigestJob;
  readonly done: () => void;
}

export class DigestLanes {
  private waiting: Waiting[] = [];
  private readonly states = new Set<Uint8Array>();
  private streams = 0;
  private running = false;
  private cancelTimer: (() => void) | null = null;

  constructor(
    private readonly jobs: Disk,
    private readonly clock: Clock,
  ) {}

  /** Until disposed, others wait for this body's blocks. */
  join(): Disposable {
    this.streams++;
    let joined = true;
    return {
      [Symbol.dispose]: () => {
        if (!joined) return;
        joined = false;
        this.streams--;
        this.look();
      },
    };
  }

  /** Resolves when the bytes are digested; they stay untouched until then. */
  update(job: DigestJob): Promise<void> {
    assert(job.pieces.totalBytes <= job.pieces.pieceBytes * LANES_MAX, "a block has at most 16 pieces");
    const { promise, resolve } = Promise.withResolvers<void>();
    this.waiting.push({ job, done: resolve });
    this.states.add(job.state);
    this.look();
    return promise;
  }

  private look(): void {
    if (this.running || this.waiting.length === 0) return;
    if (this.states.size >= Math.min(this.streams, LANES_MAX)) this.start();
    else this.cancelTimer ??= this.clock.after(WAIT_MS, () => this.start());
  }

  private start(): void {
    this.cancelTimer?.();
    this.cancelTimer = null;
    if (this.running || this.waiting.length === 0) return;
    const batch = this.waiting;
    this.waiting = [];
    this.states.clear();
    this.running = true;
    const tasks = batch.map(({ job }) => this.jobs.run([step.digest(job.state, job.bytes, job.pieces)]));
    Promise.all(tasks).then(() => {
      this.running = false;
      for (const { done } of batch) done();
      this.look();
    }, fail);
  }
}

/** The pool answers with values; a rejection is a broken promise of our own. */
function fail(error: unknown): never {
  throw error;
}
