/**
 * What a bucket holds over all sets, from the drives' key indexes. Each drive's sums are exact for what it holds; where drives
 * of a set differ, because one missed a write or a write is under way, what most of them say counts.
 */
import { addUsage, type BucketUsage } from "../storage/usage.ts";
import { QuorumError } from "../core/quorum-error.ts";
import type { BucketUsageFacts } from "../observe/usage-families.ts";
import type { ErasureSet } from "./erasure-set.ts";
import type { Store } from "./store.ts";

/** null = a set has too few drives with a complete index. */
export async function bucketUsage(sets: readonly ErasureSet[], bucket: string): Promise<BucketUsage | null> {
  const parts = await Promise.all(sets.map((set) => usageOnSet(set, bucket)));
  const known = parts.filter((part) => part !== null);
  return known.length === parts.length ? addUsage(known) : null;
}

async function usageOnSet(set: ErasureSet, bucket: string): Promise<BucketUsage | null> {
  const outcomes = await set.each((drive) => drive.usage(bucket));
  const votes = new Map<string, { readonly usage: BucketUsage; count: number }>();
  let answers = 0;
  for (const [i, outcome] of outcomes.entries()) {
    if (!outcome.ok || outcome.value === null || set.rebuilding.has(i)) continue;
    answers++;
    const { objects, versions, deleteMarkers, bytes, sizes } = outcome.value;
    const vote = [objects, versions, deleteMarkers, bytes, ...sizes.values()].join(" ");
    const known = votes.get(vote);
    if (known === undefined) votes.set(vote, { usage: outcome.value, count: 1 });
    else known.count++;
  }
  if (answers < set.size - Math.floor(set.size / 2)) return null;
  let best: { readonly usage: BucketUsage; count: number } | null = null;
  for (const vote of votes.values())
    if (
      best === null ||
      vote.count > best.count ||
      (vote.count === best.count && vote.usage.versions > best.usage.versions)
    )
      best = vote;
  return best?.usage ?? null;
}

/** Buckets whose usage is known; none while the drives cannot tell. */
export async function usageOfBuckets(pools: Pick<Store, "listBuckets" | "usage">): Promise<BucketUsageFacts[]> {
  const buckets = await pools.listBuckets().catch((error: unknown) => {
    if (error instanceof QuorumError) return [];
    throw error;
  });
  const facts: BucketUsageFacts[] = [];
  for (const { name } of buckets) {
    const usage = await pools.usage(name);
    if (usage !== null) facts.push({ bucket: name, ...usage });
  }
  return facts;
}
