/**
 * What a bucket holds over all sets, from the drives' key indexes. Each drive's sums are exact for what it holds. Where the drives of
 * a set differ, because each missed another write or a write is under way, no drive's sums are the bucket's: a small bucket is
 * counted key by key then; of a larger one, what most drives say of each number is told until they are healed.
 */
import { addUsage, type BucketUsage, countsOf, usageOf } from "../storage/usage.ts";
import { NULL_VERSION_ID } from "../storage/uuid.ts";
import { QuorumError } from "../core/quorum-error.ts";
import type { BucketUsageFacts } from "../observe/usage-families.ts";
import { askDrives } from "./ask-drives.ts";
import type { ErasureSet } from "./erasure-set.ts";
import type { ListedKey, ListPage, Store } from "./store.ts";

/** The first keys of the bucket with all their versions. */
type FirstPage = () => Promise<ListPage>;

/** Versions that are counted one by one: a page, for a write of a bucket with a quota waits for it. */
const COUNTED_MAX = 1000;

/** null = a set has too few drives with a complete index. Without `page` nothing is counted. */
export async function bucketUsage(
  sets: readonly ErasureSet[],
  bucket: string,
  page: FirstPage | null,
): Promise<BucketUsage | null> {
  const parts = await Promise.all(sets.map((set) => usageOnSet(set, bucket)));
  const known = parts.filter((part) => part !== null);
  if (known.length < parts.length) return null;
  const said = addUsage(known.map(({ usage }) => usage));
  const isSure = known.every(({ isAgreed }) => isAgreed);
  if (isSure || page === null || said.versions + said.deleteMarkers > COUNTED_MAX) return said;
  try {
    const { entries, isTruncated } = await page();
    return isTruncated ? said : countKeys(entries);
  } catch (error) {
    if (error instanceof QuorumError) return said;
    throw error;
  }
}

function countKeys(entries: readonly ListedKey[]): BucketUsage {
  const sums = new Map<number, number>();
  for (const { versions } of entries) {
    const counts = countsOf(versions.map((v) => ({ ...v, isNull: v.versionId === NULL_VERSION_ID })));
    for (let i = 0; i + 1 < counts.length; i += 2) {
      const [sum, amount] = [counts[i] as number, counts[i + 1] as number];
      sums.set(sum, (sums.get(sum) ?? 0) + amount);
    }
  }
  return usageOf(sums);
}

/** `isAgreed`: all drives that answer say the same. */
async function usageOnSet(
  set: ErasureSet,
  bucket: string,
): Promise<{ readonly usage: BucketUsage; readonly isAgreed: boolean } | null> {
  const needed = set.size - Math.floor(set.size / 2);
  const answers = await askDrives(set, {
    needed,
    ofAll: true,
    ask: (drive) => drive.usage(bucket),
    told: (outcome) => (outcome.ok ? outcome.value : null),
  });
  const [first] = answers;
  if (first === undefined || answers.length < needed) return null;
  if (answers.every((usage) => isSame(usage, first))) return { usage: first, isAgreed: true };
  const agreed = (of: (usage: BucketUsage) => number): number => mostSaid(answers.map(of));
  const each = (of: (usage: BucketUsage) => ReadonlyMap<string, number>): ReadonlyMap<string, number> =>
    new Map([...of(first).keys()].map((name) => [name, agreed((usage) => of(usage).get(name) ?? 0)]));
  const usage = {
    objects: agreed(({ objects }) => objects),
    versions: agreed(({ versions }) => versions),
    deleteMarkers: agreed(({ deleteMarkers }) => deleteMarkers),
    bytes: agreed(({ bytes }) => bytes),
    sizes: each(({ sizes }) => sizes),
    versionCounts: each(({ versionCounts }) => versionCounts),
  };
  return { usage, isAgreed: false };
}

function isSame(a: BucketUsage, b: BucketUsage): boolean {
  const text = ({ objects, versions, deleteMarkers, bytes, sizes, versionCounts }: BucketUsage): string =>
    [objects, versions, deleteMarkers, bytes, ...sizes.values(), ...versionCounts.values()].join(" ");
  return text(a) === text(b);
}

/** Of two as common ones the larger: k copies are enough. */
function mostSaid(numbers: readonly number[]): number {
  const votes = new Map<number, number>();
  for (const number of numbers) votes.set(number, (votes.get(number) ?? 0) + 1);
  let best = numbers[0] ?? 0;
  for (const [number, count] of votes) {
    const most = votes.get(best) ?? 0;
    if (count > most || (count === most && number > best)) best = number;
  }
  return best;
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
