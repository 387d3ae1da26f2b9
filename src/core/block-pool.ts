/**
 * BlockPool: the bound of the data path. Blocks are big buffers of a few sizes, reused last-in first-out so that they stay
 * in cache; the sum of all that are lent out never exceeds `capacityBytes` (a single larger one is still lent, alone).
 * What only drives that hang hold is beside that, up to half as much again, or they would stop whoever can do without them.
 * Blocks start at a disk sector, for writes past the page cache, but differ modulo a page, or lanes that read several of
 * them would fight for the same cache sets.
 */
import { assert } from "./assert.ts";
import { Semaphore } from "./semaphore.ts";

const GRAIN = 64 * 1024;
const PAGE = 4096;
const SECTOR = 512;
/** What a pool keeps when nothing is lent. */
const IDLE_BYTES = 64 * 1024 * 1024;
/** Of the capacity. */
const STRAYS_MAX = 0.5;

export class Block implements Disposable {
  private holders = 1;
  /** Of these, drives that hang. */
  private strays = 0;

  constructor(
    readonly bytes: Uint8Array,
    private readonly lender: Lender,
  ) {}

  /** One more holder until `done`, which does not fail: a drive that hangs. */
  holdUntil(done: Promise<void>): void {
    this.hold();
    this.strays++;
    done.then(
      () => {
        this.strays--;
        this[Symbol.dispose]();
      },
      (error: unknown) => {
        throw error;
      },
    );
  }

  /** One more holder; each disposes once. */
  hold(): this {
    assert(this.holders > 0, "a released block was held");
    this.holders++;
    return this;
  }

  [Symbol.dispose](): void {
    assert(this.holders > 0, "a block was released twice");
    if (--this.holders === 0) this.lender.takeBack(this);
    else if (this.holders === this.strays) this.lender.writeOff(this);
  }
}

/** Who lends blocks, for them. */
interface Lender {
  takeBack(block: Block): void;
  /** Only drives that hang hold it any more. */
  writeOff(block: Block): void;
}

export class BlockPool implements Lender {
  private readonly free = new Map<number, Uint8Array[]>();
  private readonly budget: Semaphore;
  private keptBytes = 0;
  private made = 0;
  /** Lent, and beside the budget. */
  private readonly strays = new Set<Block>();
  private bytesOfStrays = 0;

  constructor(
    readonly capacityBytes: number,
    /** Where memory lies; without it blocks are as aligned as they come. */
    private readonly addressOf: (bytes: Uint8Array) => number = () => 0,
  ) {
    this.budget = new Semaphore(capacityBytes);
  }

  /** A block of at least `bytes`; waits while the pool is lent out. Its contents are whatever was there. */
  async acquire(bytes: number): Promise<Block> {
    const size = Math.ceil(bytes / GRAIN) * GRAIN;
    await this.budget.acquire(size);
    return this.lend(size);
  }

  /** A block if one may be had at once. */
  tryAcquire(bytes: number): Block | null {
    const size = Math.ceil(bytes / GRAIN) * GRAIN;
    return this.budget.tryAcquire(size) ? this.lend(size) : null;
  }

  /** Another block in the place of one that drives hold who hang, for whoever else holds that. Waits only if there are too many such. */
  async replace(block: Block): Promise<Block> {
    const size = block.bytes.length;
    return this.countOut(block) ? this.lend(size) : await this.acquire(size);
  }

  private lend(size: number): Block {
    const kept = this.free.get(size)?.pop();
    if (kept !== undefined) this.keptBytes -= size;
    else this.makeRoom(size);
    return new Block(kept ?? this.make(size), this);
  }

  /** For Block. */
  takeBack(block: Block): void {
    const { bytes } = block;
    const size = bytes.length;
    if (this.strays.delete(block)) {
      this.bytesOfStrays -= size;
      if (this.lentBytes + this.keptBytes + size > this.capacityBytes) {
        freeAtOnce(bytes);
        return;
      }
    } else this.budget.release(size);
    const list = this.free.get(size);
    if (list === undefined) this.free.set(size, [bytes]);
    else list.push(bytes);
    this.keptBytes += size;
    if (this.lentBytes === 0) this.freeKept(() => this.keptBytes > IDLE_BYTES);
  }

  /** For Block. */
  writeOff(block: Block): void {
    if (!this.strays.has(block) && this.countOut(block)) this.budget.release(block.bytes.length);
  }

  /** True: it does not count any more, and its part of the budget is the caller's. */
  private countOut(block: Block): boolean {
    const { length } = block.bytes;
    if (this.strays.has(block) || this.bytesOfStrays + length > this.capacityBytes * STRAYS_MAX) return false;
    this.strays.add(block);
    this.bytesOfStrays += length;
    return true;
  }

  /** For a block of `size` that is lent and not made yet: what is lent and kept must fit. */
  private makeRoom(size: number): void {
    this.freeKept((kind) => kind !== size && this.lentBytes + this.keptBytes > this.capacityBytes);
  }

  private freeKept(isTooMuch: (kind: number) => boolean): void {
    for (const [kind, list] of this.free)
      while (list.length > 0 && isTooMuch(kind)) {
        freeAtOnce(list.pop() as Uint8Array);
        this.keptBytes -= kind;
      }
  }

  /** Without strays. */
  get lentBytes(): number {
    return this.budget.inUse;
  }

  /** Lent to drives that hang. */
  get strayBytes(): number {
    return this.bytesOfStrays;
  }

  private make(size: number): Uint8Array {
    const memory = new Uint8Array(new ArrayBuffer(size + 2 * PAGE));
    const toPage = (PAGE - (this.addressOf(memory) % PAGE)) % PAGE;
    const start = toPage + SECTOR * (this.made++ % (PAGE / SECTOR));
    return memory.subarray(start, start + size);
  }
}

/** Left to the garbage collector, blocks of other sizes would pile up beside those in use. */
function freeAtOnce(bytes: Uint8Array): void {
  (bytes.buffer as ArrayBuffer).transfer(0);
}
