/**
 * What a drive remembers of a key beyond its xl.meta (engine.md §1): stamp, promised, fenced, last, accepted. Of keys used
 * long ago nothing but a floor is kept, which all of them have promised and may have accepted. In memory; the commit log
 * makes it last, and its checkpoint note the floor.
 */
import { Generations } from "../core/generations.ts";
import type { Stamp } from "./drive.ts";

const REMEMBERED_MAX = 2 * 16_384;
const ACCEPTED_MAX = 16;

export interface Memory {
  stamp: Stamp;
  promised: Stamp;
  fenced: Stamp;
  last: Stamp;
  /** Accepted before `stamp`; null = none. */
  earlier: Stamp[] | null;
}

export function later(a: Stamp, b: Stamp): Stamp {
  return a > b ? a : b;
}

export class KeyMemory {
  private readonly keys = new Generations<Memory>(REMEMBERED_MAX, (forgotten) => {
    for (const { promised, last } of forgotten.values()) this.floor = later(this.floor, later(promised, last));
  });
  /** The highest stamp that any key promised or accepted: the floor after a restart. */
  highest: Stamp;

  constructor(private floor: Stamp) {
    this.highest = floor;
  }

  get(name: string): Memory | undefined {
    return this.keys.peek(name);
  }
  /** It was, and was not taken back. */
  hasAccepted(name: string, stamp: Stamp): boolean {
    const memory = this.keys.peek(name);
    return memory !== undefined && (memory.stamp === stamp || memory.earlier?.includes(stamp) === true);
  }
  promised(name: string): Stamp {
    return later(this.keys.peek(name)?.promised ?? 0n, this.floor);
  }

  /** To be changed by the caller. */
  of(name: string): Memory {
    const known = this.keys.get(name);
    if (known !== undefined) return known;
    const fresh: Memory = { stamp: 0n, promised: this.floor, fenced: 0n, last: this.floor, earlier: null };
    this.keys.set(name, fresh);
    return fresh;
  }

  accept(name: string, stamp: Stamp): void {
    const memory = this.of(name);
    if (memory.stamp !== 0n) {
      memory.earlier ??= [];
      memory.earlier.push(memory.stamp);
      if (memory.earlier.length >= ACCEPTED_MAX) memory.earlier.shift();
    }
    memory.stamp = stamp;
    memory.last = later(memory.last, stamp);
    this.promise(name, stamp);
  }
  promise(name: string, stamp: Stamp): void {
    const memory = this.of(name);
    memory.promised = later(memory.promised, stamp);
    this.highest = later(this.highest, stamp);
  }
  fence(name: string, stamp: Stamp): void {
    const memory = this.of(name);
    memory.fenced = later(memory.fenced, stamp);
    this.promise(name, stamp);
  }
  /** The doubtful `expect` was taken back: the key stands at `stamp` again. */
  restore(name: string, expect: Stamp, stamp: Stamp): void {
    const memory = this.of(name);
    memory.earlier = memory.earlier?.filter((s) => s !== expect) ?? null;
    memory.stamp = stamp;
    this.promise(name, expect);
  }
}
