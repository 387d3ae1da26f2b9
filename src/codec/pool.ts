/**
 * NativePool: runs tasks of steps (native/pool.h) on the library's threads; one submit per event-loop turn, many
 * completions per wake-up. A task's memory lives in a slot of an arena that does not move; buffers it names are held
 * here until the task is done, so a caller may drop them but must not reuse them.
 */
import { assert, AssertionError } from "../core/assert.ts";
import type { Codec } from "./native.ts";

const HEADER_BYTES = 56;
const STEP_BYTES = 64;
const SLOT_BYTES = 8192;
const SLOTS_PER_ARENA = 128;
const DRAIN_MAX = 256;
const OP_DIGEST = 23;
const TASK_LIGHT = 1;
/** Of the header: where a task's lane is, and so many there are. */
const LANE_WORD = 13;
const LANES = 255;
const PATH_BYTES_MAX = 4095;
const EAGAIN = 11;

type Argument = string | number | Uint8Array;
interface PoolStep {
  readonly op: number;
  readonly flags: number;
  readonly a: readonly Argument[];
}
interface PoolResult {
  readonly error: number;
  readonly failedStep: number;
  readonly results: readonly number[];
}
interface Slot {
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  readonly pointer: number;
  readonly large: boolean;
  /** Of the task in it. Held until it is done, and with them the memory that they name. */
  steps: readonly PoolStep[];
  resolve: (result: PoolResult) => void;
}

export interface PoolOptions {
  /** Workers that always run; 0 = one per core. */
  readonly threads: number;
  /** Ceiling when workers are stuck in system calls. */
  readonly threadsMax: number;
}

export class NativePool {
  private readonly codec: Codec;
  private readonly free: Slot[] = [];
  private readonly pending = new Map<number, Slot>();
  private readonly queued: Slot[] = [];
  private readonly encoder = new TextEncoder();
  /** 64-bit words as pairs, low before high: a BigInt for each would be an object. */
  private readonly drained = new Uint32Array(new ArrayBuffer(DRAIN_MAX * 8));
  private submitList = new Uint32Array(new ArrayBuffer(1024 * 8));
  private readonly pathBytes = new Uint8Array(new ArrayBuffer(PATH_BYTES_MAX + 1));
  private readonly pathPointer: number;
  private nextId = 1;
  private lanes = 0;
  private readonly endedIn = new Float64Array(LANES + 1);
  private flushing = false;

  constructor(codec: Codec, options: PoolOptions) {
    this.codec = codec;
    this.pathPointer = codec.ptr(this.pathBytes);
    const wake = codec.threadsafeCallback(() => this.drain());
    const started = codec.symbols.sherd_pool_start(options.threads, options.threadsMax, wake);
    assert(started === 0, `the native pool did not start (${started})`);
  }

  /** Runs the steps in order on one worker until one fails. Never rejects. `lane`: of which drive, 0 = of none. */
  run(steps: readonly PoolStep[], light = false, lane = 0): Promise<PoolResult> {
    const slot = this.encode(steps, light);
    slot.words[LANE_WORD] = lane;
    const { promise, resolve } = Promise.withResolvers<PoolResult>();
    slot.steps = steps;
    slot.resolve = resolve;
    this.pending.set(this.nextId, slot);
    slot.words[2] = this.nextId;
    slot.words[3] = 0;
    this.nextId = this.nextId >= 0xffff_fff0 ? 1 : this.nextId + 1;
    this.queued.push(slot);
    if (!this.flushing) {
      this.flushing = true;
      queueMicrotask(this.flush);
    }
    return promise;
  }

  /**
   * A whole small file of a drive at once, if the kernel has it in memory: its size, or -errno. -EAGAIN: it may wait for a drive,
   * so run a task. Costs a tenth of a task: no thread has to wake up. `root`: the drive's, with which the path begins.
   */
  readCached(path: string, into: Uint8Array, root: string): number {
    const { written } = this.encoder.encodeInto(path, this.pathBytes);
    if (written >= PATH_BYTES_MAX) return -EAGAIN;
    this.pathBytes[written] = 0;
    const rootBytes = Buffer.byteLength(root, "utf8");
    return Number(this.codec.symbols.sherd_read_cached(this.pathPointer, this.codec.ptr(into), into.length, rootBytes));
  }

  /** The same of a piece of an open file: all of its `bytes`, or -EAGAIN. */
  preadCached(descriptor: number, into: Uint8Array, offset: number, bytes: number): number {
    assert(bytes <= into.length, "room for what is read");
    return Number(this.codec.symbols.sherd_pread_cached(descriptor, this.codec.ptr(into), bytes, offset));
  }

  /** The pool for one drive more: however many of its tasks hang, a part of the threads is left to the others. */
  lane(): PoolLane {
    this.lanes = (this.lanes % LANES) + 1;
    return new PoolLane(this, this.lanes);
  }

  /** Tasks of a lane that came back. */
  endedOf(lane: number): number {
    return this.endedIn[lane] as number;
  }

  /** Tasks that were handed over and did not come back yet. */
  get inFlight(): number {
    return this.pending.size;
  }

  stats(): { threads: number; idle: number; waiting: number; submitted: number; completed: number } {
    const out = new BigUint64Array(new ArrayBuffer(64));
    this.codec.symbols.sherd_pool_stats(this.codec.ptr(out));
    const at = (i: number): number => Number(out[i] ?? 0n);
    return { threads: at(0), idle: at(1), waiting: at(2) + at(3), submitted: at(4), completed: at(5) };
  }

  private readonly flush = (): void => {
    this.flushing = false;
    const count = this.queued.length;
    if (count * 2 > this.submitList.length) this.submitList = new Uint32Array(new ArrayBuffer(count * 16));
    for (let i = 0; i < count; i++) {
      const { pointer } = this.queued[i] as Slot;
      this.submitList[2 * i] = pointer >>> 0;
      this.submitList[2 * i + 1] = Math.floor(pointer / 4294967296);
    }
    this.queued.length = 0;
    this.codec.symbols.sherd_pool_submit(this.codec.ptr(this.submitList), count);
  };

  private drain(): void {
    for (;;) {
      const count = this.codec.symbols.sherd_pool_drain(this.codec.ptr(this.drained), DRAIN_MAX);
      for (let i = 0; i < count; i++) this.complete(this.drained[2 * i] as number); // ids have 32 bits
      if (count < DRAIN_MAX) return;
    }
  }

  private complete(id: number): void {
    const slot = this.pending.get(id);
    if (slot === undefined) throw new AssertionError(`task ${id} came back twice`);
    this.pending.delete(id);
    const { words, steps, resolve } = slot;
    const lane = words[LANE_WORD] as number;
    this.endedIn[lane] = this.endedOf(lane) + 1;
    slot.steps = NO_STEPS;
    slot.resolve = notRunning;
    const results = new Array<number>(steps.length);
    for (let i = 0; i < steps.length; i++) {
      const at = (HEADER_BYTES + i * STEP_BYTES + 8) >> 2;
      results[i] = ((words[at + 1] as number) | 0) * 4294967296 + (words[at] as number);
    }
    resolve({ error: (words[6] as number) | 0, failedStep: (words[7] as number) | 0, results });
    if (!slot.large) this.free.push(slot);
  }

  private encode(steps: readonly PoolStep[], light: boolean): Slot {
    let need = HEADER_BYTES + steps.length * STEP_BYTES;
    for (const s of steps) for (const a of s.a) if (typeof a === "string") need += a.length * 3 + 1;
    const slot = this.slot(need);
    const words = slot.words;
    words[4] = steps.length;
    words[5] = light ? TASK_LIGHT : 0;
    let text = HEADER_BYTES + steps.length * STEP_BYTES;
    for (let i = 0; i < steps.length; i++) {
      const s = steps[i] as PoolStep;
      assert(s.op !== OP_DIGEST || steps.length === 1, "a digest is a task of its own");
      let at = (HEADER_BYTES + i * STEP_BYTES) >> 2;
      words[at] = s.op;
      words[at + 1] = s.flags;
      words[at + 2] = 0;
      words[at + 3] = 0;
      at += 4;
      for (const a of s.a) {
        let value: number;
        if (typeof a === "number") value = a;
        else if (typeof a === "string") {
          value = slot.pointer + text;
          text = this.writeText(a, slot.bytes, text);
        } else value = a.byteLength === 0 ? 0 : this.codec.ptr(a);
        words[at++] = value >>> 0;
        words[at++] = Math.floor(value / 4294967296);
      }
    }
    return slot;
  }

  /** As a C string, at an offset; returns where it ends. Nearly all are ASCII. */
  private writeText(text: string, bytes: Uint8Array, offset: number): number {
    const { length } = text;
    let i = 0;
    for (; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 128) break;
      bytes[offset + i] = code;
    }
    const written = i === length ? length : this.encoder.encodeInto(text, bytes.subarray(offset)).written;
    bytes[offset + written] = 0;
    return offset + written + 1;
  }

  private slot(bytes: number): Slot {
    if (bytes > SLOT_BYTES) return this.carve(new ArrayBuffer(bytes + 16), 0, bytes & ~7, true);
    if (this.free.length === 0) {
      const arena = new ArrayBuffer(SLOT_BYTES * SLOTS_PER_ARENA);
      for (let i = 0; i < SLOTS_PER_ARENA; i++) this.free.push(this.carve(arena, i * SLOT_BYTES, SLOT_BYTES, false));
    }
    return this.free.pop() as Slot;
  }

  private carve(arena: ArrayBuffer, offset: number, length: number, large: boolean): Slot {
    const size = large ? arena.byteLength & ~7 : length;
    const bytes = new Uint8Array(arena, offset, size);
    const words = new Uint32Array(arena, offset, size >> 2);
    return { bytes, words, pointer: this.codec.ptr(bytes), large, steps: NO_STEPS, resolve: notRunning };
  }
}

/** The pool for one drive. */
export class PoolLane {
  constructor(
    private readonly pool: NativePool,
    private readonly number: number,
  ) {}

  get ended(): number {
    return this.pool.endedOf(this.number);
  }
  run(steps: readonly PoolStep[], light = false): Promise<PoolResult> {
    return this.pool.run(steps, light, this.number);
  }
  readCached(path: string, into: Uint8Array, root: string): number {
    return this.pool.readCached(path, into, root);
  }
  preadCached(descriptor: number, into: Uint8Array, offset: number, bytes: number): number {
    return this.pool.preadCached(descriptor, into, offset, bytes);
  }
}

const NO_STEPS: readonly PoolStep[] = [];
function notRunning(): void {
  /* deliberately nothing: the slot is free */
}
