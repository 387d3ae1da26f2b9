/**
 * DigestLanes: lets the digests of concurrent bodies run together. MD5 of one stream cannot be made faster, but of eight it costs
 * a fifth in SIMD lanes; so a block waits for those of the other bodies that are being received, at most WAIT_MS, and all
 * go to the native pool in one hand-over. A body alone never waits, and one that came too late is not waited for until it
 * brings its next block: slow clients do not hold up fast ones. Digests of one body stay in order.
 */
import { assert } from "../core/assert.ts";
import type { Clock } from "../sys/clock.ts";
import { type Disk, step } from "../sys/disk.ts";

const WAIT_MS = 30;
const LANES_MAX = 16;

/** Where a block's bytes are: pieces of `pieceBytes` that start `stride` apart. */
export interface Pieces {
  readonly totalBytes: number;
  readonly pieceBytes: number;
  readonly stride: number;
}

interface Waiting {
  readonly lane: DigestLane;
  readonly bytes: Uint8Array;
  readonly pieces: Pieces;
  readonly done: () => void;
}

/** One body; others wait for its blocks until it is disposed. */
export class DigestLane implements Disposable {
  /** Is its next block expected within WAIT_MS? */
  isAwaited = true;
  /** Has it a block in the batch that is being collected? */
  isReady = false;

  constructor(
    private readonly lanes: DigestLanes,
    readonly state: Uint8Array,
  ) {}

  /** Resolves when the bytes are digested; they stay untouched until then. */
  update(bytes: Uint8Array, pieces: Pieces): Promise<void> {
    assert(pieces.totalBytes <= pieces.pieceBytes * 16, "a block has at most 16 pieces");
    return this.lanes.add(this, bytes, pieces);
  }

  [Symbol.dispose](): void {
    this.lanes.leave(this);
  }
}

export class DigestLanes {
  private waiting: Waiting[] = [];
  private readonly members = new Set<DigestLane>();
  private running = false;
  private cancelTimer: (() => void) | null = null;

  constructor(
    private readonly jobs: Disk,
    private readonly clock: Clock,
  ) {}

  /** A body whose digest has this state. */
  join(state: Uint8Array): DigestLane {
    const lane = new DigestLane(this, state);
    this.members.add(lane);
    return lane;
  }

  leave(lane: DigestLane): void {
    if (this.members.delete(lane)) this.look();
  }

  add(lane: DigestLane, bytes: Uint8Array, pieces: Pieces): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.waiting.push({ lane, bytes, pieces, done: resolve });
    lane.isAwaited = true;
    lane.isReady = true;
    this.look();
    return promise;
  }

  private look(): void {
    if (this.running || this.waiting.length === 0) return;
    if (this.waiting.length >= LANES_MAX || this.everybodyIsReady()) this.start();
    else this.cancelTimer ??= this.clock.after(WAIT_MS, () => this.start());
  }

  private everybodyIsReady(): boolean {
    for (const lane of this.members) if (lane.isAwaited && !lane.isReady) return false;
    return true;
  }

  private start(): void {
    this.cancelTimer?.();
    this.cancelTimer = null;
    if (this.running || this.waiting.length === 0) return;
    const batch = this.waiting;
    this.waiting = [];
    for (const lane of this.members) {
      lane.isAwaited = lane.isReady;
      lane.isReady = false;
    }
    this.running = true;
    const tasks = batch.map(({ lane, bytes, pieces }) => this.jobs.run([step.digest(lane.state, bytes, pieces)]));
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
