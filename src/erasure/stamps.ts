/**
 * Stamps: the stamps of operations (engine.md §1), ns since 1970. One is above all that its coordinator saw of the key, and none is
 * given out twice: a drive takes a commit with a stamp that it has accepted for that commit come again, and answers
 * "accepted" without doing anything. Clocks do not vouch for it: they stand still, are set back, and are behind other clocks.
 */
import type { Stamp } from "../storage/drive.ts";
import type { Clock } from "../sys/clock.ts";
import type { Rng } from "../sys/rng.ts";

const MS = 1_000_000n;
/** About a millisecond; of a stamp that no clock gave. */
const COUNTER_BITS = 20n;
const COUNTER_MASK = (1n << COUNTER_BITS) - 1n;

export class Stamps {
  /** Even, below a millisecond: two runs, and two servers, take other ones in the same millisecond. */
  private readonly offset: bigint;
  private last = 0n;
  private counter: bigint;

  constructor(
    private readonly clock: Clock,
    rng: Rng,
  ) {
    const random = new BigUint64Array(rng.fill(new Uint8Array(16)).slice().buffer);
    this.offset = ((random[0] as bigint) % MS) & ~1n;
    this.counter = (random[1] as bigint) & COUNTER_MASK;
  }

  /** Even where the clock is above `floor`, else odd: a millisecond or two above `floor`, told apart by a counter. */
  above(floor: Stamp): Stamp {
    const now = (this.clock.nowNs() & ~1n) + this.offset;
    const next = now > this.last ? now : this.last + 2n;
    if (next > floor) {
      this.last = next;
      return next;
    }
    this.counter = (this.counter + 2n) & COUNTER_MASK;
    return (((floor >> COUNTER_BITS) + 1n) << COUNTER_BITS) | this.counter | 1n;
  }
}
