/** PoolChooser: which pool takes a new key: drawn by free space, which is measured every few seconds (on-disk-format.md §2.5). */
import { QuorumError } from "../core/quorum-error.ts";
import type { ErasureSet } from "./erasure-set.ts";
import { spacesOf } from "./set-space.ts";
import { drawPool, type PoolSpace, poolWeights } from "./placement.ts";

const FRESH_MS = 5_000;

export class PoolChooser {
  private spaces: readonly PoolSpace[] = [];
  private measuredAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly pools: readonly { readonly isSuspended: boolean; readonly sets: readonly unknown[] }[],
  ) {}

  /** Index of the pool. `sets` = the key's set in each pool. */
  async choose(sets: readonly ErasureSet[], sizeBytes: number, isSystem: boolean): Promise<number> {
    const { clock, rng } = (sets[0] as ErasureSet).resources;
    if (clock.elapsedMs() - this.measuredAtMs > FRESH_MS) {
      this.spaces = await Promise.all(sets.map((set, i) => this.measure(set, i)));
      this.measuredAtMs = clock.elapsedMs();
    }
    const index = drawPool(poolWeights(this.spaces, sizeBytes, isSystem), rng.next());
    if (index < 0) throw new QuorumError("StorageFull", "no pool has room for a new object");
    return index;
  }

  private async measure(set: ErasureSet, index: number): Promise<PoolSpace> {
    const drives = await spacesOf(set);
    const pool = this.pools[index];
    return {
      drives,
      setCount: pool?.sets.length ?? 1,
      isExcluded: pool?.isSuspended === true,
    };
  }
}
