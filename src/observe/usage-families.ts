/** Metrics of what buckets hold, under MinIO's names. Source: s3-api.md §6.2. */
import type { Families, Row } from "./metrics.ts";

export interface BucketUsageFacts {
  readonly bucket: string;
  readonly objects: number;
  /** Without delete markers. */
  readonly versions: number;
  readonly deleteMarkers: number;
  readonly bytes: number;
  /** Versions by size, keys by their number of versions: range name and count. */
  readonly sizes: ReadonlyMap<string, number>;
  readonly versionCounts: ReadonlyMap<string, number>;
}

export function bucketUsageFamilies({ gauge }: Families, buckets: readonly BucketUsageFacts[]): void {
  const each = (of: (b: BucketUsageFacts) => number): Row[] => buckets.map((b) => [{ bucket: b.bucket }, of(b)]);
  const ranges = (of: (b: BucketUsageFacts) => ReadonlyMap<string, number>): Row[] =>
    buckets.flatMap((b) => [...of(b)].map(([range, count]): Row => [{ bucket: b.bucket, range }, count]));
  const NAME = "minio_bucket_usage";
  gauge(
    `${NAME}_total_bytes`,
    "Bytes of all versions in the bucket",
    each((b) => b.bytes),
  );
  gauge(
    `${NAME}_object_total`,
    "Objects in the bucket",
    each((b) => b.objects),
  );
  gauge(
    `${NAME}_version_total`,
    "Versions in the bucket",
    each((b) => b.versions),
  );
  gauge(
    `${NAME}_deletemarker_total`,
    "Delete markers in the bucket",
    each((b) => b.deleteMarkers),
  );
  gauge(
    "minio_bucket_objects_size_distribution",
    "Versions in the bucket by size",
    ranges((b) => b.sizes),
  );
  gauge(
    "minio_bucket_objects_version_distribution",
    "Objects in the bucket by their number of versions",
    ranges((b) => b.versionCounts),
  );
}

export function clusterUsageFamilies({ gauge }: Families, buckets: readonly BucketUsageFacts[]): void {
  const sum = (of: (b: BucketUsageFacts) => number): Row[] => [[{}, buckets.reduce((total, b) => total + of(b), 0)]];
  const ranges = (of: (b: BucketUsageFacts) => ReadonlyMap<string, number>): Row[] => {
    const total = new Map<string, number>();
    for (const b of buckets) for (const [range, count] of of(b)) total.set(range, (total.get(range) ?? 0) + count);
    return [...total].map(([range, count]) => [{ range }, count]);
  };
  gauge(
    "minio_cluster_usage_total_bytes",
    "Bytes of all versions",
    sum((b) => b.bytes),
  );
  gauge(
    "minio_cluster_usage_object_total",
    "Objects",
    sum((b) => b.objects),
  );
  gauge(
    "minio_cluster_usage_version_total",
    "Versions",
    sum((b) => b.versions),
  );
  gauge(
    "minio_cluster_usage_deletemarker_total",
    "Delete markers",
    sum((b) => b.deleteMarkers),
  );
  gauge(
    "minio_cluster_objects_size_distribution",
    "Versions by size",
    ranges((b) => b.sizes),
  );
  gauge(
    "minio_cluster_objects_version_distribution",
    "Objects by their number of versions",
    ranges((b) => b.versionCounts),
  );
}
