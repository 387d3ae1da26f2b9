/**
 * Metrics: counts requests and renders them, with what the sources tell, in Prometheus' text format under the names that
 * MinIO's dashboards ask for, and `sherd_*` for what only we have. Owns the registry of one scrape; there is no global.
 * What is not known is left out. Source: s3-api.md §6.2 (v2 names).
 */
import type { Counter, Gauge, Registry } from "prom-client";
import type { Clock } from "../sys/clock.ts";
import type { EventLoopLag } from "./event-loop-lag.ts";
import { type LogFacts, logFamilies } from "./log-families.ts";
import type { ProcessUsage } from "./process-usage.ts";
import { type UpkeepFacts, upkeepFamilies } from "./upkeep-families.ts";
import { type BucketUsageFacts, bucketUsageFamilies, clusterUsageFamilies } from "./usage-families.ts";
import { type ApiCounter, type Rejection, RequestCounters, TTFB_SECONDS } from "./request-counters.ts";

export type MetricsKind = "node" | "cluster" | "bucket" | "resource";
const KINDS: ReadonlySet<string> = new Set<MetricsKind>(["node", "cluster", "bucket", "resource"]);
const PATH = "/minio/v2/metrics/";

/** The kind that a request path asks for; null = another path. */
export function metricsKindOf(path: string): MetricsKind | null {
  const kind = path.startsWith(PATH) ? path.slice(PATH.length) : "";
  return KINDS.has(kind) ? (kind as MetricsKind) : null;
}

export interface DriveFacts {
  readonly endpoint: string;
  readonly poolIndex: number;
  readonly setIndex: number;
  readonly driveIndex: number;
  readonly online: boolean;
  /** null = it does not answer. */
  readonly space: {
    readonly totalBytes: number;
    readonly freeBytes: number;
    readonly usedBytes: number;
    readonly freeInodes: number;
  } | null;
}
/** As clusterHealth of erasure/health.ts tells it. */
export interface HealthFacts {
  readonly writable: boolean;
  readonly writeQuorum: number;
  readonly sets: readonly SetFacts[];
}
export interface SetFacts {
  readonly poolIndex: number;
  readonly setIndex: number;
  readonly drives: number;
  readonly online: number;
  readonly healing: number;
  readonly writeQuorum: number;
  readonly readQuorum: number;
  readonly writable: boolean;
}
/** Of a pool of blocks. */
export interface BlockMemory {
  readonly lentBytes: number;
  readonly strayBytes: number;
  readonly capacityBytes: number;
}

export interface MetricSources {
  drives(): Promise<readonly DriveFacts[]>;
  health(): HealthFacts;
  process(): Promise<ProcessUsage>;
  /** What buckets hold, of those whose key indexes are complete. */
  bucketUsage(): Promise<readonly BucketUsageFacts[]>;
  /** Number of buckets; null = cannot be told now. */
  bucketCount(): Promise<number | null>;
  heal(): { readonly waiting: number; readonly healed: number; readonly failed: number; readonly dropped: number };
  /** Debts, scanner, scrub; null = not running. */
  upkeep(): Promise<UpkeepFacts | null>;
  nativePool(): {
    readonly threads: number;
    readonly idle: number;
    readonly waiting: number;
    readonly completed: number;
  };
  blocks(): Readonly<Record<"writes" | "reads", BlockMemory>>;
  commitLogs(): readonly LogFacts[];
  groupSyncs(): { readonly syncs: number; readonly served: number };
}
export interface MetricsOptions {
  readonly sources: MetricSources;
  readonly clock: Clock;
  readonly lag: EventLoopLag;
  /** The `server` label: this node's host:port. */
  readonly server: string;
  readonly version: string;
}

export type Labels = Readonly<Record<string, string>>;
export type Row = readonly [labels: Labels, value: number | null | undefined];
export type Family = (name: string, help: string, rows: readonly Row[]) => void;
export interface Families {
  readonly gauge: Family;
  readonly counter: Family;
}

export class Metrics {
  readonly requests = new RequestCounters();
  private readonly startedMs: number;

  constructor(private readonly options: MetricsOptions) {
    this.startedMs = options.clock.nowMs();
  }

  /** A request is being worked on; each ends with one `request`. */
  begin(api: string): void {
    this.requests.begin(api);
  }

  /** A request has ended; `bucket` "" = of none, `seconds` until the first byte of the answer. */
  request(api: string, bucket: string, status: number, seconds: number, bytesIn: number, bytesOut: number): void {
    this.requests.end(api, bucket, status, seconds, bytesIn, bytesOut);
  }

  /** The client left before the answer; besides `request`. */
  canceled(api: string, bucket: string): void {
    this.requests.canceled(api, bucket);
  }

  /** Turned away before it became an operation. */
  rejected(reason: Rejection): void {
    this.requests.rejected[reason]++;
  }

  async render(kind: MetricsKind): Promise<string> {
    // Loaded at the first scrape: it costs 70 ms and 18 MB that a server without scrapes does not pay.
    const { Registry, Gauge, Counter } = await import("prom-client");
    const registry = new Registry();
    registry.setDefaultLabels({ server: this.options.server });
    const families = familiesOf(registry, { Gauge, Counter });
    if (kind === "bucket") {
      this.bucketFamilies(families);
      bucketUsageFamilies(families, await this.options.sources.bucketUsage());
    } else if (kind === "resource") machineFamilies(families, await this.options.sources.process());
    else {
      const [drives, usage] = await Promise.all([this.options.sources.drives(), this.options.sources.process()]);
      this.requestFamilies(families);
      driveFamilies(families, drives);
      this.processFamilies(families, usage);
      this.ownFamilies(families);
      const upkeep = await this.options.sources.upkeep();
      if (upkeep !== null) upkeepFamilies(families, upkeep, this.options.clock.nowMs());
      logFamilies(families, this.options.sources.commitLogs());
      if (kind === "cluster") {
        const { sources } = this.options;
        const [buckets, used] = await Promise.all([sources.bucketCount(), sources.bucketUsage()]);
        clusterFamilies(families, drives, { health: sources.health(), buckets });
        if (used.length === buckets) clusterUsageFamilies(families, used); // a sum of some would look like all
      }
    }
    return await registry.metrics();
  }

  private requestFamilies({ gauge, counter }: Families): void {
    const { apis, rejected, bytesIn, bytesOut } = this.requests;
    const each = (of: (c: ApiCounter) => number): Row[] =>
      [...apis].map(([api, c]) => [{ api: labelOf(api) }, of(c)] as const);
    const NAME = "minio_s3_requests";
    counter(
      `${NAME}_total`,
      "S3 requests that have ended",
      each((c) => c.total),
    );
    counter(
      `${NAME}_errors_total`,
      "S3 requests that ended with 4xx or 5xx",
      each((c) => c.errors4xx + c.errors5xx),
    );
    counter(
      `${NAME}_4xx_errors_total`,
      "S3 requests that ended with 4xx",
      each((c) => c.errors4xx),
    );
    counter(
      `${NAME}_5xx_errors_total`,
      "S3 requests that ended with 5xx",
      each((c) => c.errors5xx),
    );
    counter(
      `${NAME}_canceled_total`,
      "S3 requests whose client left",
      each((c) => c.canceled),
    );
    gauge(
      `${NAME}_inflight_total`,
      "S3 requests being worked on",
      each((c) => c.inflight),
    );
    for (const reason of ["auth", "header", "timestamp", "invalid"] as const)
      counter(`${NAME}_rejected_${reason}_total`, `Requests turned away: ${reason}`, [[{}, rejected[reason]]]);
    gauge(
      `${NAME}_ttfb_seconds_distribution`,
      "Requests by the time to the first byte of the answer, cumulative",
      distribution(apis, {}),
    );
    counter("minio_s3_traffic_received_bytes", "Bytes of request bodies", [[{}, bytesIn]]);
    counter("minio_s3_traffic_sent_bytes", "Bytes of response bodies", [[{}, bytesOut]]);
  }

  private bucketFamilies({ gauge, counter }: Families): void {
    const buckets = [...this.requests.buckets];
    const each = (of: (c: ApiCounter) => number): Row[] =>
      buckets.flatMap(([bucket, { apis }]) =>
        [...apis].map(([api, c]) => [{ bucket, api: labelOf(api) }, of(c)] as const),
      );
    const NAME = "minio_bucket_requests";
    counter(
      `${NAME}_total`,
      "S3 requests of the bucket that have ended",
      each((c) => c.total),
    );
    counter(
      `${NAME}_4xx_errors_total`,
      "S3 requests of the bucket that ended with 4xx",
      each((c) => c.errors4xx),
    );
    counter(
      `${NAME}_5xx_errors_total`,
      "S3 requests of the bucket that ended with 5xx",
      each((c) => c.errors5xx),
    );
    counter(
      `${NAME}_canceled_total`,
      "S3 requests of the bucket whose client left",
      each((c) => c.canceled),
    );
    gauge(
      `${NAME}_ttfb_seconds_distribution`,
      "Requests of the bucket by the time to the first byte, cumulative",
      buckets.flatMap(([bucket, { apis }]) => distribution(apis, { bucket })),
    );
    counter(
      "minio_bucket_traffic_received_bytes",
      "Bytes of request bodies",
      buckets.map(([bucket, b]) => [{ bucket }, b.bytesIn]),
    );
    counter(
      "minio_bucket_traffic_sent_bytes",
      "Bytes of response bodies",
      buckets.map(([bucket, b]) => [{ bucket }, b.bytesOut]),
    );
    counter(
      "sherd_bucket_requests_uncounted_total",
      "Requests of buckets beyond those that have counters of their own",
      [[{}, this.requests.bucketsLeftOut]],
    );
  }

  private processFamilies({ gauge, counter }: Families, usage: ProcessUsage): void {
    counter("minio_node_process_cpu_total_seconds", "CPU time of the process, user and system", [
      [{}, usage.cpuSeconds],
    ]);
    gauge("minio_node_process_resident_memory_bytes", "Resident memory", [[{}, usage.residentBytes]]);
    gauge("minio_node_process_virtual_memory_bytes", "Virtual memory", [[{}, usage.virtualBytes]]);
    gauge("minio_node_process_starttime_seconds", "Start time in seconds since 1970", [[{}, this.startedMs / 1000]]);
    gauge("minio_node_process_uptime_seconds", "Seconds since the start", [
      [{}, (this.options.clock.nowMs() - this.startedMs) / 1000],
    ]);
    gauge("minio_node_file_descriptor_open_total", "Open files", [[{}, usage.openFiles]]);
    gauge("minio_node_file_descriptor_limit_total", "Most files that may be open", [[{}, usage.openFilesMax]]);
    counter("minio_node_syscall_read_total", "Read system calls", [[{}, usage.io.get("syscr")]]);
    counter("minio_node_syscall_write_total", "Write system calls", [[{}, usage.io.get("syscw")]]);
    counter("minio_node_io_rchar_bytes", "Bytes read, cache included", [[{}, usage.io.get("rchar")]]);
    counter("minio_node_io_wchar_bytes", "Bytes written, cache included", [[{}, usage.io.get("wchar")]]);
    counter("minio_node_io_read_bytes", "Bytes read from storage", [[{}, usage.io.get("read_bytes")]]);
    counter("minio_node_io_write_bytes", "Bytes written to storage", [[{}, usage.io.get("write_bytes")]]);
    gauge("sherd_process_resident_memory_peak_bytes", "Greatest resident memory since the start", [
      [{}, usage.residentPeakBytes],
    ]);
    gauge("sherd_process_threads", "Threads of the process", [[{}, usage.threads]]);
    gauge("minio_software_version_info", "Version of the server", [[{ version: this.options.version }, 1]]);
  }

  private ownFamilies({ gauge, counter }: Families): void {
    const { sources, lag } = this.options;
    const heal = sources.heal();
    counter("minio_heal_objects_total", "Objects that a repair looked at", [[{}, heal.healed + heal.failed]]);
    counter("minio_heal_objects_heal_total", "Objects repaired", [[{}, heal.healed]]);
    counter("minio_heal_objects_errors_total", "Objects whose repair failed", [[{}, heal.failed]]);
    gauge("sherd_heal_queue_length", "Damaged keys that wait for repair", [[{}, heal.waiting]]);
    counter("sherd_heal_dropped_total", "Reports of damage that found the queue full", [[{}, heal.dropped]]);
    gauge("sherd_event_loop_lag_seconds", "How late the last probe of the JavaScript thread ran", [
      [{}, lag.lastSeconds],
    ]);
    gauge("sherd_event_loop_lag_max_seconds", "The greatest lag of the last minute", [[{}, lag.maxSeconds]]);
    const pool = sources.nativePool();
    gauge("sherd_native_pool_threads", "Threads of the native pool", [
      [{ state: "busy" }, pool.threads - pool.idle],
      [{ state: "idle" }, pool.idle],
    ]);
    gauge("sherd_native_pool_waiting", "Tasks that wait for a thread", [[{}, pool.waiting]]);
    counter("sherd_native_pool_tasks_total", "Tasks done by the native pool", [[{}, pool.completed]]);
    const blocks = sources.blocks();
    const each = (of: keyof BlockMemory): Row[] => [
      [{ pool: "writes" }, blocks.writes[of]],
      [{ pool: "reads" }, blocks.reads[of]],
    ];
    gauge("sherd_block_pool_lent_bytes", "Block memory in use", each("lentBytes"));
    gauge("sherd_block_pool_stray_bytes", "Block memory that only drives that hang hold", each("strayBytes"));
    gauge("sherd_block_pool_capacity_bytes", "Block memory that may be in use", each("capacityBytes"));
    const syncs = sources.groupSyncs();
    counter("sherd_group_syncs_total", "Syncs of file systems", [[{}, syncs.syncs]]);
    counter("sherd_group_sync_callers_total", "Callers that these syncs served", [[{}, syncs.served]]);
  }
}

/** Each call makes one family of `registry`; rows without a value are left out, and a family without rows. */
function familiesOf(registry: Registry, types: { Gauge: typeof Gauge; Counter: typeof Counter }): Families {
  const known = (rows: readonly Row[]): (readonly [Labels, number])[] =>
    rows.flatMap(([labels, value]) => (value === null || value === undefined ? [] : [[labels, value] as const]));
  const settings = (name: string, help: string, rows: readonly (readonly [Labels, number])[]) => ({
    name,
    help,
    labelNames: Object.keys(rows[0]?.[0] ?? {}),
    registers: [registry],
  });
  return {
    gauge(name, help, rows) {
      const told = known(rows);
      const metric = told.length === 0 ? null : new types.Gauge<string>(settings(name, help, told));
      for (const [labels, value] of told) metric?.set(labels, value);
    },
    counter(name, help, rows) {
      const told = known(rows);
      const metric = told.length === 0 ? null : new types.Counter<string>(settings(name, help, told));
      for (const [labels, value] of told) metric?.inc(labels, value);
    },
  };
}

/** MinIO labels "PutObject" as "putobject". */
function labelOf(api: string): string {
  return api.toLowerCase();
}

function distribution(apis: ReadonlyMap<string, ApiCounter>, labels: Labels): Row[] {
  return [...apis].flatMap(([api, { slots }]) => {
    let sum = 0;
    return [...slots].map(
      (count, i): Row => [
        { ...labels, api: labelOf(api), le: i < TTFB_SECONDS.length ? String(TTFB_SECONDS[i]) : "+Inf" },
        (sum += count),
      ],
    );
  });
}

function driveFamilies({ gauge }: Families, drives: readonly DriveFacts[]): void {
  const online = drives.filter((d) => d.online).length;
  const each = (of: (space: NonNullable<DriveFacts["space"]>) => number): Row[] =>
    drives.map((d) => [driveLabels(d), d.space === null ? null : of(d.space)]);
  gauge("minio_node_drive_total", "Drives of this node", [[{}, drives.length]]);
  gauge("minio_node_drive_online_total", "Drives of this node that answer", [[{}, online]]);
  gauge("minio_node_drive_offline_total", "Drives of this node that do not answer", [[{}, drives.length - online]]);
  gauge(
    "minio_node_drive_total_bytes",
    "Size of the drive",
    each((s) => s.totalBytes),
  );
  gauge(
    "minio_node_drive_used_bytes",
    "Used on the drive",
    each((s) => s.usedBytes),
  );
  gauge(
    "minio_node_drive_free_bytes",
    "Free on the drive",
    each((s) => s.freeBytes),
  );
  gauge(
    "minio_node_drive_free_inodes",
    "Free inodes of the drive",
    each((s) => s.freeInodes),
  );
}

function driveLabels(d: DriveFacts): Labels {
  return {
    drive: d.endpoint,
    pool_index: String(d.poolIndex),
    set_index: String(d.setIndex),
    drive_index: String(d.driveIndex),
  };
}

function clusterFamilies(
  { gauge }: Families,
  drives: readonly DriveFacts[],
  facts: { readonly health: HealthFacts; readonly buckets: number | null },
): void {
  const { health } = facts;
  const online = drives.filter((d) => d.online).length;
  const share = (d: DriveFacts): number => {
    const set = health.sets.find((s) => s.poolIndex === d.poolIndex && s.setIndex === d.setIndex);
    return set === undefined ? 1 : set.readQuorum / set.drives; // k of n shards are data
  };
  const sum = (of: (d: DriveFacts) => number): Row[] => [
    [{}, Math.floor(drives.reduce((total, d) => total + of(d), 0))],
  ];
  gauge(
    "minio_cluster_capacity_raw_total_bytes",
    "Size of all drives",
    sum((d) => d.space?.totalBytes ?? 0),
  );
  gauge(
    "minio_cluster_capacity_raw_free_bytes",
    "Free on all drives",
    sum((d) => d.space?.freeBytes ?? 0),
  );
  gauge(
    "minio_cluster_capacity_usable_total_bytes",
    "Size of all drives without parity",
    sum((d) => (d.space?.totalBytes ?? 0) * share(d)),
  );
  gauge(
    "minio_cluster_capacity_usable_free_bytes",
    "Free on all drives without parity",
    sum((d) => (d.space?.freeBytes ?? 0) * share(d)),
  );
  gauge("minio_cluster_drive_total", "Drives of the cluster", [[{}, drives.length]]);
  gauge("minio_cluster_drive_online_total", "Drives that answer", [[{}, online]]);
  gauge("minio_cluster_drive_offline_total", "Drives that do not answer", [[{}, drives.length - online]]);
  gauge("minio_cluster_nodes_online_total", "Nodes that answer", [[{}, 1]]);
  gauge("minio_cluster_nodes_offline_total", "Nodes that do not answer", [[{}, 0]]);
  gauge("minio_cluster_bucket_total", "Buckets", [[{}, facts.buckets]]);
  gauge("minio_cluster_health_status", "1 = every erasure set can be written", [[{}, health.writable ? 1 : 0]]);
  gauge("minio_cluster_write_quorum", "Drives that a write needs, the most of any set", [[{}, health.writeQuorum]]);
  const sets = (of: (s: SetFacts) => number): Row[] =>
    health.sets.map((s) => [{ pool: String(s.poolIndex), set: String(s.setIndex) }, of(s)]);
  const NAME = "minio_cluster_health_erasure_set";
  gauge(
    `${NAME}_status`,
    "1 = the set can be written",
    sets((s) => (s.writable ? 1 : 0)),
  );
  gauge(
    `${NAME}_online_drives`,
    "Drives of the set that answer",
    sets((s) => s.online),
  );
  gauge(
    `${NAME}_healing_drives`,
    "Drives of the set that are being rebuilt",
    sets((s) => s.healing),
  );
  gauge(
    `${NAME}_read_quorum`,
    "Drives that a read needs",
    sets((s) => s.readQuorum),
  );
  gauge(
    `${NAME}_write_quorum`,
    "Drives that a write needs",
    sets((s) => s.writeQuorum),
  );
}

function machineFamilies({ gauge }: Families, usage: ProcessUsage): void {
  const memory = (name: string): number | undefined => usage.memory.get(name);
  const [total, available] = [memory("MemTotal"), memory("MemAvailable")];
  gauge("minio_node_mem_total", "Memory of the machine in bytes", [[{}, total]]);
  gauge("minio_node_mem_available", "Memory available in bytes", [[{}, available]]);
  gauge("minio_node_mem_free", "Memory free in bytes", [[{}, memory("MemFree")]]);
  gauge("minio_node_mem_buffers", "Memory in buffers in bytes", [[{}, memory("Buffers")]]);
  gauge("minio_node_mem_cache", "Memory in the page cache in bytes", [[{}, memory("Cached")]]);
  gauge("minio_node_mem_shared", "Memory shared in bytes", [[{}, memory("Shmem")]]);
  if (total !== undefined && available !== undefined) {
    gauge("minio_node_mem_used", "Memory used in bytes", [[{}, total - available]]);
    gauge("minio_node_mem_used_perc", "Memory used in percent", [[{}, (100 * (total - available)) / total]]);
  }
  for (const [i, minutes] of [1, 5, 15].entries())
    gauge(`minio_node_cpu_avg_load${minutes}`, `Load of the last ${minutes} min`, [[{}, usage.load[i]]]);
}
