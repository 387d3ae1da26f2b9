/** Metrics: counts in, Prometheus text out; names and labels as dashboards ask for them; bounded and cheap. */
import { expect, test } from "bun:test";
import { EventLoopLag } from "../../../src/observe/event-loop-lag.ts";
import { Metrics, type MetricSources, metricsKindOf } from "../../../src/observe/metrics.ts";
import { parseProcess, type ProcessUsage } from "../../../src/observe/process-usage.ts";
import { BUCKETS_MAX } from "../../../src/observe/request-counters.ts";
import type { Clock } from "../../../src/sys/clock.ts";

const USAGE: ProcessUsage = {
  cpuSeconds: 12.5,
  residentBytes: 5e7,
  residentPeakBytes: 6e7,
  virtualBytes: null,
  threads: 9,
  openFiles: 33,
  openFilesMax: 1024,
  io: new Map([["rchar", 7]]),
  memory: new Map([
    ["MemTotal", 1000],
    ["MemAvailable", 250],
  ]),
  load: [0.5, 0.25, 0.125],
};
const space = { totalBytes: 1000, freeBytes: 400, usedBytes: 600, freeInodes: 77 };
const drive = { endpoint: "/d1", poolIndex: 0, setIndex: 0, driveIndex: 0, online: true, space };
const set = {
  poolIndex: 0,
  setIndex: 0,
  drives: 4,
  online: 3,
  healing: 0,
  writeQuorum: 3,
  readQuorum: 2,
  writable: true,
};

const SOURCES: MetricSources = {
  drives: () => Promise.resolve([drive, { ...drive, endpoint: "/d2", driveIndex: 1, online: false, space: null }]),
  health: () => ({ writable: true, writeQuorum: 3, sets: [set] }),
  process: () => Promise.resolve(USAGE),
  bucketCount: () => Promise.resolve(1),
  bucketUsage: () =>
    Promise.resolve([
      {
        bucket: "b",
        objects: 2,
        versions: 4,
        deleteMarkers: 1,
        bytes: 4096,
        sizes: new Map([["LESS_THAN_1024_B", 4]]),
        versionCounts: new Map([["UNVERSIONED", 1]]),
      },
    ]),
  heal: () => ({ waiting: 2, healed: 10, failed: 1, dropped: 3 }),
  upkeep: () => Promise.resolve(null),
  nativePool: () => ({ threads: 4, idle: 1, waiting: 6, completed: 900 }),
  blocks: () => ({
    writes: { lentBytes: 65536, strayBytes: 0, capacityBytes: 1e8 },
    reads: { lentBytes: 0, strayBytes: 4096, capacityBytes: 1e8 },
  }),
  commitLogs: () => [
    {
      endpoint: "/d1",
      usedBytes: 7e6,
      totalBytes: 67_108_864,
      records: 640,
      syncs: 40,
      applied: 500,
      waiting: 140,
      checkpointAgeSeconds: 2.5,
      failures: 1,
      isWritable: false,
    },
  ],
  groupSyncs: () => ({ syncs: 8, served: 80 }),
};

/** A clock that moves only when told; timers run from `advance`. */
function handClock(): Clock & { advance(ms: number, late: number): void } {
  let now = 0;
  const timers = new Map<() => void, number>();
  return {
    nowMs: () => 1_000_000 + now,
    nowNs: () => BigInt(now) * 1_000_000n,
    elapsedMs: () => now,
    yieldNow: () => Promise.resolve(),
    sleep: () => Promise.resolve(),
    after(ms, run) {
      timers.set(run, now + ms);
      return () => timers.delete(run);
    },
    advance(ms, late) {
      now += ms + late;
      for (const [run, due] of [...timers]) {
        if (due > now) continue;
        timers.delete(run);
        run();
      }
    },
  };
}

function setUp() {
  const clock = handClock();
  const lag = new EventLoopLag(clock);
  return {
    clock,
    lag,
    metrics: new Metrics({ sources: SOURCES, clock, lag, server: "127.0.0.1:9000", version: "0.1.0" }),
  };
}

/** Samples by "name{labels}", without the server label. */
function samplesOf(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(" ");
      const name = line.slice(0, at).replace(/,?server="127\.0\.0\.1:9000"/, "");
      return [name.replace("{}", ""), Number(line.slice(at + 1))];
    }),
  );
}

test("requests are counted by API, by outcome and by time to the first byte", async () => {
  const { metrics } = setUp();
  for (const [status, seconds] of [
    [200, 0.01],
    [206, 0.3],
    [404, 0.05],
    [503, 11],
  ] as const) {
    metrics.begin("GetObject");
    metrics.request("GetObject", "b", status, seconds, 0, 100);
  }
  metrics.begin("PutObject");
  metrics.rejected("timestamp");
  const samples = samplesOf(await metrics.render("node"));
  const of = (name: string) => samples.get(`minio_s3_requests_${name}`);
  expect([
    of('total{api="getobject"}'),
    of('errors_total{api="getobject"}'),
    of('4xx_errors_total{api="getobject"}'),
    of('5xx_errors_total{api="getobject"}'),
  ]).toEqual([4, 2, 1, 1]);
  expect([of('inflight_total{api="getobject"}'), of('inflight_total{api="putobject"}')]).toEqual([0, 1]);
  expect([of("rejected_timestamp_total"), of("rejected_auth_total")]).toEqual([1, 0]);
  const upTo = (le: string) => of(`ttfb_seconds_distribution{api="getobject",le="${le}"}`);
  expect([upTo("0.05"), upTo("0.25"), upTo("0.5"), upTo("10"), upTo("+Inf")]).toEqual([2, 2, 3, 3, 4]);
  expect(samples.get("minio_s3_traffic_sent_bytes")).toBe(400);
});

test("the node tells its drives, its process and what is ours; what is unknown is left out", async () => {
  const samples = samplesOf(await setUp().metrics.render("node"));
  expect(samples.get("minio_node_drive_offline_total")).toBe(1);
  expect(samples.get('minio_node_drive_free_bytes{drive="/d1",pool_index="0",set_index="0",drive_index="0"}')).toBe(
    400,
  );
  expect([...samples.keys()].some((name) => name.includes("/d2"))).toBe(false);
  expect(samples.get("minio_node_process_cpu_total_seconds")).toBe(12.5);
  expect(samples.has("minio_node_process_virtual_memory_bytes")).toBe(false);
  expect(samples.get("minio_heal_objects_heal_total")).toBe(10);
  expect(samples.get("sherd_group_sync_callers_total")).toBe(80);
  const log = (what: string): number | undefined => samples.get(`sherd_commit_log_${what}{drive="/d1"}`);
  expect([log("used_bytes"), log("size_bytes"), log("records_total"), log("syncs_total")]).toEqual([
    7e6, 67_108_864, 640, 40,
  ]);
  expect([log("unapplied_keys"), log("applied_keys_total"), log("checkpoint_age_seconds")]).toEqual([140, 500, 2.5]);
  expect([log("failures_total"), log("writable")]).toEqual([1, 0]);
  expect(samples.get('minio_software_version_info{version="0.1.0"}')).toBe(1);
});

test("the cluster tells capacity with and without parity, and the health of each set", async () => {
  const samples = samplesOf(await setUp().metrics.render("cluster"));
  expect(samples.get("minio_cluster_capacity_raw_total_bytes")).toBe(1000);
  expect(samples.get("minio_cluster_capacity_usable_total_bytes")).toBe(500);
  expect(samples.get("minio_cluster_health_status")).toBe(1);
  expect(samples.get("minio_cluster_write_quorum")).toBe(3);
  expect(samples.get("minio_cluster_bucket_total")).toBe(1);
  expect(samples.get("minio_cluster_usage_total_bytes")).toBe(4096);
  expect(samples.get("minio_cluster_usage_object_total")).toBe(2);
  expect(samples.get('minio_cluster_health_erasure_set_online_drives{pool="0",set="0"}')).toBe(3);
});

test("buckets have counters of their own, made-up names have none, and their number is bounded", async () => {
  const { metrics } = setUp();
  metrics.request("HeadBucket", "made-up", 404, 0, 0, 0);
  for (let i = 0; i < BUCKETS_MAX + 5; i++) metrics.request("PutObject", `b${i}`, 200, 0, 10, 0);
  metrics.request("PutObject", "b1", 403, 0, 0, 0);
  const samples = samplesOf(await metrics.render("bucket"));
  expect(samples.get('minio_bucket_requests_total{bucket="b1",api="putobject"}')).toBe(2);
  expect(samples.get('minio_bucket_requests_4xx_errors_total{bucket="b1",api="putobject"}')).toBe(1);
  expect(samples.get('minio_bucket_traffic_received_bytes{bucket="b1"}')).toBe(10);
  expect([...samples.keys()].some((name) => name.includes("made-up"))).toBe(false);
  expect(samples.get("sherd_bucket_requests_uncounted_total")).toBe(5);
});

test("buckets tell what they hold", async () => {
  const samples = samplesOf(await setUp().metrics.render("bucket"));
  expect(samples.get('minio_bucket_usage_object_total{bucket="b"}')).toBe(2);
  expect(samples.get('minio_bucket_usage_version_total{bucket="b"}')).toBe(4);
  expect(samples.get('minio_bucket_usage_deletemarker_total{bucket="b"}')).toBe(1);
  expect(samples.get('minio_bucket_usage_total_bytes{bucket="b"}')).toBe(4096);
  expect(samples.get('minio_bucket_objects_size_distribution{bucket="b",range="LESS_THAN_1024_B"}')).toBe(4);
  expect(samples.get('minio_bucket_objects_version_distribution{bucket="b",range="UNVERSIONED"}')).toBe(1);
});

test("the machine's memory and load are told as resources", async () => {
  const samples = samplesOf(await setUp().metrics.render("resource"));
  expect(samples.get("minio_node_mem_used_perc")).toBe(75);
  expect(samples.get("minio_node_cpu_avg_load5")).toBe(0.25);
});

test("scrapes do not disturb each other and every family has help and type", async () => {
  const { metrics } = setUp();
  metrics.request("GetObject", "b", 200, 0.01, 0, 1);
  const [a, b] = await Promise.all([metrics.render("cluster"), metrics.render("cluster")]);
  expect(a).toBe(b);
  expect(a.match(/^# HELP /gm)?.length).toBe(a.match(/^# TYPE /gm)?.length ?? 0);
  expect(a).toContain('minio_s3_requests_total{api="getobject",server="127.0.0.1:9000"} 1');
});

test("the lag of the event loop is how late a timer fires", () => {
  const { clock, lag } = setUp();
  lag.start();
  clock.advance(500, 120);
  clock.advance(500, 0);
  expect([lag.lastSeconds, lag.maxSeconds]).toEqual([0, 0.12]);
  lag.stop();
  clock.advance(500, 300);
  expect(lag.maxSeconds).toBe(0.12);
});

test("counting a request costs less than 2 microseconds", () => {
  const { metrics } = setUp();
  const run = (count: number): void => {
    for (let i = 0; i < count; i++) {
      metrics.begin("GetObject");
      metrics.request("GetObject", "bucket", 200, 0.002, 0, 4096);
    }
  };
  run(50_000);
  const rounds = [1, 2, 3].map(() => {
    const before = performance.now();
    run(50_000);
    return (performance.now() - before) / 50_000;
  });
  expect(Math.min(...rounds) * 1000).toBeLessThan(2);
});

test("process numbers are read from /proc whatever the program is called", () => {
  const stat = `7 (a ) b) S ${Array.from({ length: 40 }, (_, i) => i + 1).join(" ")}`;
  const parsed = parseProcess({
    stat,
    status: "Name:\tx\nVmHWM:\t  200 kB\nVmRSS:\t  100 kB\nThreads:\t12\n",
    io: "rchar: 5\nsyscr: 3\n",
    limits:
      "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                 files\n",
    memory: "MemTotal:       10 kB\n",
    load: "0.10 0.20 0.30 1/2 3\n",
  });
  expect(parsed).toMatchObject({
    cpuSeconds: 0.23,
    virtualBytes: 20,
    residentBytes: 102400,
    threads: 12,
    openFilesMax: 1024,
    load: [0.1, 0.2, 0.3],
  });
  expect(parseProcess({ stat: "", status: "", io: "", limits: "", memory: "", load: "" })).toMatchObject({
    cpuSeconds: null,
    residentBytes: null,
    load: [],
  });
});

test.each([
  ["/minio/v2/metrics/node", "node"],
  ["/minio/v2/metrics/cluster", "cluster"],
  ["/minio/v2/metrics/bucket", "bucket"],
  ["/minio/v2/metrics/resource", "resource"],
  ["/minio/v2/metrics/", null],
  ["/minio/v2/metrics/node/x", null],
  ["/bucket/minio/v2/metrics/node", null],
] as const)("the path %s asks for %p", (path, kind) => {
  expect(metricsKindOf(path)).toBe(kind);
});
