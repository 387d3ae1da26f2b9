/** Semaphore over units (bytes, slots): first come first served. */
import { assert } from "./assert.ts";

export class Semaphore {
  private used = 0;
  private readonly waiting: { units: number; resolve: () => void }[] = [];

  constructor(readonly capacity: number) {}

  async acquire(units: number): Promise<void> {
    const want = Math.min(units, this.capacity);
    if (this.waiting.length === 0 && this.used + want <= this.capacity) {
      this.used += want;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.waiting.push({ units: want, resolve });
    await promise;
  }

  /** Takes only what is free now. */
  tryAcquire(units: number): boolean {
    if (this.waiting.length > 0 || this.used + units > this.capacity) return false;
    this.used += units;
    return true;
  }

  release(units: number): void {
    this.used -= Math.min(units, this.capacity);
    assert(this.used >= 0, "more units released than acquired");
    for (
      let next = this.waiting[0];
      next !== undefined && this.used + next.units <= this.capacity;
      next = this.waiting[0]
    ) {
      this.waiting.shift();
      this.used += next.units;
      next.resolve();
    }
  }

  get inUse(): number {
    return this.used;
  }
}
