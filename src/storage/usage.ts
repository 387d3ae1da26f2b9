/**
 * What a bucket holds, as sums of what its keys hold, so that it is exact at any time: numbers of the sums of an index row,
 * and the names that the histograms' ranges have in MinIO (admin-api.md). Sizes are the clients', in bytes.
 */
export const SUM = { objects: 0, versions: 1, deleteMarkers: 2, bytes: 3, sizes: 10, versionCounts: 30 } as const;

const KIB = 1024;
const MIB = 1024 * KIB;
/** Range name and the size below which a version falls into it; the first that fits. */
const SIZE_RANGES = [
  ["LESS_THAN_1024_B", KIB],
  ["BETWEEN_1024_B_AND_64_KB", 64 * KIB],
  ["BETWEEN_64_KB_AND_256_KB", 256 * KIB],
  ["BETWEEN_256_KB_AND_512_KB", 512 * KIB],
  ["BETWEEN_512_KB_AND_1_MB", MIB],
  ["BETWEEN_1_MB_AND_10_MB", 10 * MIB],
  ["BETWEEN_10_MB_AND_64_MB", 64 * MIB],
  ["BETWEEN_64_MB_AND_128_MB", 128 * MIB],
  ["BETWEEN_128_MB_AND_512_MB", 512 * MIB],
  ["GREATER_THAN_512_MB", Number.POSITIVE_INFINITY],
] as const;
const COUNT_RANGES = [
  ["UNVERSIONED", 1],
  ["SINGLE_VERSION", 2],
  ["BETWEEN_2_AND_10", 10],
  ["BETWEEN_10_AND_100", 100],
  ["BETWEEN_100_AND_1000", 1000],
  ["BETWEEN_1000_AND_10000", 10_000],
  ["GREATER_THAN_10000", Number.POSITIVE_INFINITY],
] as const;

export interface BucketUsage {
  /** Keys whose newest version is no delete marker. */
  readonly objects: number;
  /** Versions that are no delete markers. */
  readonly versions: number;
  readonly deleteMarkers: number;
  /** Of all versions. */
  readonly bytes: number;
  /** Versions by size; every range is named. */
  readonly sizes: ReadonlyMap<string, number>;
  /** Keys by their number of versions; every range is named. */
  readonly versionCounts: ReadonlyMap<string, number>;
}

export interface CountedVersion {
  readonly isDeleteMarker: boolean;
  readonly isNull: boolean;
  readonly sizeBytes: number;
}

/** Numbers and amounts of the sums that a key with these versions, newest first, adds to. */
export function countsOf(versions: readonly CountedVersion[]): number[] {
  const counts: number[] = [];
  const [latest] = versions;
  if (latest === undefined) return counts;
  let data = 0;
  let bytes = 0;
  for (const { isDeleteMarker, sizeBytes } of versions)
    if (!isDeleteMarker) {
      data++;
      bytes += sizeBytes;
    }
  add(counts, SUM.objects, latest.isDeleteMarker ? 0 : 1);
  add(counts, SUM.versions, data);
  add(counts, SUM.deleteMarkers, versions.length - data);
  add(counts, SUM.bytes, bytes);
  for (let range = 0; range < SIZE_RANGES.length; range++) {
    let inRange = 0;
    for (const version of versions) if (!version.isDeleteMarker && rangeOf(version.sizeBytes) === range) inRange++;
    add(counts, SUM.sizes + range, inRange);
  }
  const isUnversioned = versions.length === 1 && latest.isNull;
  const many = COUNT_RANGES.findIndex(([, below]) => versions.length < below);
  add(counts, SUM.versionCounts + (isUnversioned ? 0 : Math.max(1, many)), 1);
  return counts;
}

function add(counts: number[], sum: number, amount: number): void {
  if (amount !== 0) counts.push(sum, amount);
}

function rangeOf(sizeBytes: number): number {
  let range = 0;
  while (sizeBytes >= (SIZE_RANGES[range]?.[1] ?? Number.POSITIVE_INFINITY)) range++;
  return range;
}

export function usageOf(sums: ReadonlyMap<number, number>): BucketUsage {
  const at = (sum: number): number => sums.get(sum) ?? 0;
  const sizes = new Map<string, number>(SIZE_RANGES.map(([name], i) => [name, at(SUM.sizes + i)]));
  // MinIO's older range, kept beside those that it was split into.
  sizes.set(
    "BETWEEN_1024B_AND_1_MB",
    SIZE_RANGES.slice(1, 5).reduce((sum, _, i) => sum + at(SUM.sizes + 1 + i), 0),
  );
  return {
    objects: at(SUM.objects),
    versions: at(SUM.versions),
    deleteMarkers: at(SUM.deleteMarkers),
    bytes: at(SUM.bytes),
    sizes,
    versionCounts: new Map(COUNT_RANGES.map(([name], i) => [name, at(SUM.versionCounts + i)])),
  };
}

const USAGE_COUNTS = ["objects", "versions", "deleteMarkers", "bytes"] as const;

/** The usage of several sets together. */
export function addUsage(parts: readonly BucketUsage[]): BucketUsage {
  const total = { objects: 0, versions: 0, deleteMarkers: 0, bytes: 0 };
  const [sizes, versionCounts] = [new Map<string, number>(), new Map<string, number>()];
  for (const part of parts) {
    for (const name of USAGE_COUNTS) total[name] += part[name];
    for (const [name, count] of part.sizes) sizes.set(name, (sizes.get(name) ?? 0) + count);
    for (const [name, count] of part.versionCounts) versionCounts.set(name, (versionCounts.get(name) ?? 0) + count);
  }
  return { ...total, sizes, versionCounts };
}
