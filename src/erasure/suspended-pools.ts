/** Which pools are drained, as pool.bin says, and its upkeep: it is written when the pools of the command line are not those that it names. */
import { QuorumError } from "../core/quorum-error.ts";
import type { Log } from "../observe/log.ts";
import type { Clock } from "../sys/clock.ts";
import { decodePoolMeta, encodePoolMeta, POOL_META_PATH, reconcilePools } from "./pool-meta.ts";
import type { Pools } from "./pools.ts";

/** Numbers of the drained ones. `names`: the pools' arguments, in order. Throws QuorumError when it cannot be told of several. */
export async function suspendedPools(
  pools: Pools,
  names: readonly string[],
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<ReadonlySet<number>> {
  let bytes: Uint8Array | null;
  try {
    bytes = await pools.readDocument(POOL_META_PATH);
  } catch (error) {
    // One pool is not drained; with as many drives gone as there is parity its objects are still read.
    if (!(error instanceof QuorumError) || names.length > 1) throw error;
    log.warn("pool.bin cannot be read", { message: error.message });
    return new Set();
  }
  const known = bytes === null ? [] : decodePoolMeta(bytes);
  const now = reconcilePools(known, names, clock.nowNs());
  if (now !== null && (names.length > 1 || bytes !== null))
    await pools.writeDocument(POOL_META_PATH, encodePoolMeta(now));
  return new Set((now ?? known).flatMap((pool, i) => (pool.decommission === null ? [] : [i])));
}
