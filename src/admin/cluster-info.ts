/** Admin API: what the cluster is and holds: info, storageinfo, datausageinfo, accountinfo. Source: admin API §3.1, §4.1. */
import { formatRfc3339, GO_ZERO_TIME } from "../core/go-time.ts";
import { isOnline } from "../erasure/health.ts";
import type { ErasureSet } from "../erasure/erasure-set.ts";
import { spacesOf } from "../erasure/set-space.ts";
import type { StoredUsage } from "../erasure/store.ts";
import { CANNED_POLICIES, CONSOLE_ADMIN } from "../iam/canned-policies.ts";
import type { JsonObject } from "../iam/documents.ts";
import { tokenClaims } from "../iam/documents.ts";
import { mergedDocument } from "../iam/policies.ts";
import { ROOT_ACCOUNT_ID } from "../iam/principal.ts";
import { quotaOf } from "../bucket/quota.ts";
import { type AdminCall, type AdminReply, jsonReply } from "./call.ts";
import type { AdminContext } from "./context.ts";

interface Shape {
  readonly totalSets: readonly number[];
  readonly drivesPerSet: readonly number[];
}

function shapeOf({ pools }: AdminContext): Shape {
  const perPool = pools.options.pools;
  return {
    totalSets: perPool.map(({ sets }) => sets.length),
    drivesPerSet: perPool.map(({ sets }) => sets[0]?.size ?? 0),
  };
}

/** Every position of every set. */
async function drivesOf({ pools }: AdminContext): Promise<JsonObject[]> {
  return (await Promise.all(pools.allSets.map(drivesOfSet))).flat();
}

async function drivesOfSet(set: ErasureSet): Promise<JsonObject[]> {
  const spaces = await spacesOf(set);
  return set.drives.map((drive, position) => {
    const facts = spaces[position] ?? null;
    const isThere = drive !== null && isOnline(drive) && facts !== null;
    const endpoint = drive?.endpoint ?? `pool ${set.poolIndex} set ${set.setIndex} drive ${position}`;
    const isHealing = set.rebuilding.has(position);
    return {
      endpoint,
      path: endpoint,
      state: isThere ? "ok" : "offline",
      ...(drive === null ? {} : { uuid: drive.id }),
      ...(isHealing ? { healing: true } : {}),
      major: 0,
      minor: 0,
      ...(facts === null
        ? {}
        : { totalspace: facts.totalBytes, usedspace: facts.usedBytes, availspace: facts.freeBytes }),
      metrics: {},
      used_inodes: facts === null ? 0 : facts.totalInodes - facts.freeInodes,
      free_inodes: facts?.freeInodes ?? 0,
      local: true,
      pool_index: set.poolIndex,
      set_index: set.setIndex,
      disk_index: position,
    };
  });
}

interface Usage {
  readonly total: Omit<StoredUsage, "sizes" | "versionCounts">;
  /** Of buckets whose usage is known. */
  readonly buckets: ReadonlyMap<string, StoredUsage>;
  readonly bucketCount: number;
}

async function usageOfAll({ pools }: AdminContext): Promise<Usage> {
  const found = await pools.listBuckets();
  const buckets = new Map<string, StoredUsage>();
  const total = { objects: 0, versions: 0, deleteMarkers: 0, bytes: 0 };
  for (const { name } of found) {
    const usage = await pools.usage(name);
    if (usage === null) continue; // too few drives have an index yet
    buckets.set(name, usage);
    for (const sum of ["objects", "versions", "deleteMarkers", "bytes"] as const) total[sum] += usage[sum];
  }
  return { total, buckets, bucketCount: found.length };
}

export async function serverInfo(call: AdminCall): Promise<AdminReply> {
  const { context } = call;
  const { server, clock } = context;
  const [drives, usage] = [await drivesOf(context), await usageOfAll(context)];
  const online = drives.filter(({ state }) => state === "ok").length;
  const { totalSets, drivesPerSet } = shapeOf(context);
  const poolNumbers = totalSets.map((_, i) => i + 1);
  return jsonReply({
    mode: "online",
    ...(server.region === "" ? {} : { region: server.region }),
    deploymentID: server.deploymentId,
    buckets: { count: usage.bucketCount },
    objects: { count: usage.total.objects },
    versions: { count: usage.total.versions },
    deletemarkers: { count: usage.total.deleteMarkers },
    usage: { size: usage.total.bytes },
    services: { kms: {}, ldap: {} },
    backend: {
      backendType: "Erasure",
      onlineDisks: online,
      offlineDisks: drives.length - online,
      standardSCParity: server.standardParity,
      rrSCParity: server.reducedParity,
      totalSets,
      totalDrivesPerSet: drivesPerSet,
    },
    servers: [
      {
        state: "online",
        endpoint: server.endpoint,
        scheme: server.scheme,
        uptime: Math.floor((clock.nowMs() - server.startedMs) / 1000),
        version: server.version,
        commitID: "",
        network: { [server.endpoint]: "online" },
        drives,
        ...(poolNumbers.length === 1 ? { poolNumber: 1 } : {}),
        poolNumbers,
        mem_stats: { Alloc: 0, TotalAlloc: 0, Mallocs: 0, Frees: 0, HeapAlloc: 0 },
        num_cpu: server.cores,
        edition: "sherd",
        is_leader: true,
        ilm_expiry_in_progress: false,
      },
    ],
    pools: setsOf(context, drives, usage.total),
  });
}

/** Pool -> set -> space. What keys lie in which set is not counted apart: the first set shows the whole. */
function setsOf({ pools }: AdminContext, drives: readonly JsonObject[], total: Usage["total"]): JsonObject {
  const found: Record<string, Record<string, JsonObject>> = {};
  for (const set of pools.allSets) {
    const own = drives.filter((d) => d["pool_index"] === set.poolIndex && d["set_index"] === set.setIndex);
    const sum = (field: string): number => own.reduce((all, drive) => all + Number(drive[field] ?? 0), 0);
    const isFirst = set === pools.allSets[0];
    const pool = (found[String(set.poolIndex)] ??= {});
    pool[String(set.setIndex)] = {
      id: set.setIndex,
      rawUsage: sum("usedspace"),
      rawCapacity: sum("totalspace"),
      usage: isFirst ? total.bytes : 0,
      objectsCount: isFirst ? total.objects : 0,
      versionsCount: isFirst ? total.versions : 0,
      deleteMarkersCount: isFirst ? total.deleteMarkers : 0,
      healDisks: set.rebuilding.size,
    };
  }
  return found;
}

function backendInfo(context: AdminContext): JsonObject {
  const { server } = context;
  const { totalSets, drivesPerSet } = shapeOf(context);
  return {
    StandardSCData: drivesPerSet.map((size) => size - server.standardParity),
    StandardSCParities: null,
    RRSCData: drivesPerSet.map((size) => size - server.reducedParity),
    RRSCParities: null,
    TotalSets: totalSets,
    DrivesPerSet: drivesPerSet,
    StandardSCParity: server.standardParity,
    RRSCParity: server.reducedParity,
  };
}

export async function storageInfo(call: AdminCall): Promise<AdminReply> {
  const { context } = call;
  const drives = await drivesOf(context);
  const count = (state: string): JsonObject => {
    const found: Record<string, number> = { [context.server.endpoint]: 0 };
    for (const drive of drives)
      if (drive["state"] === state) found[context.server.endpoint] = (found[context.server.endpoint] ?? 0) + 1;
    return found;
  };
  const sets = shapeOf(context).totalSets.length;
  return jsonReply({
    Disks: drives,
    Backend: {
      Type: 2,
      GatewayOnline: false,
      OnlineDisks: count("ok"),
      OfflineDisks: count("offline"),
      ...backendInfo(context),
      StandardSCParities: Array<number>(sets).fill(context.server.standardParity),
      RRSCParities: Array<number>(sets).fill(context.server.reducedParity),
    },
  });
}

function bucketUsageInfo(usage: StoredUsage): JsonObject {
  return {
    size: usage.bytes,
    objectsPendingReplicationTotalSize: 0,
    objectsFailedReplicationTotalSize: 0,
    objectsReplicatedTotalSize: 0,
    objectsPendingReplicationCount: 0,
    objectsFailedReplicationCount: 0,
    objectsCount: usage.objects,
    objectsSizesHistogram: sizesOf(usage),
    objectsVersionsHistogram: Object.fromEntries(usage.versionCounts),
    versionsCount: usage.versions,
    deleteMarkersCount: usage.deleteMarkers,
    objectReplicaTotalSize: 0,
    objectReplicaCount: 0,
    objectsReplicationInfo: null,
  };
}

/** With the range of older releases, which newer ones show too. */
function sizesOf(usage: StoredUsage): JsonObject {
  const sizes = Object.fromEntries(usage.sizes);
  const older = [
    "BETWEEN_1024_B_AND_64_KB",
    "BETWEEN_64_KB_AND_256_KB",
    "BETWEEN_256_KB_AND_512_KB",
    "BETWEEN_512_KB_AND_1_MB",
  ];
  return { ...sizes, BETWEEN_1024B_AND_1_MB: older.reduce((sum, range) => sum + (sizes[range] ?? 0), 0) };
}

export async function dataUsageInfo(call: AdminCall): Promise<AdminReply> {
  const { context } = call;
  const { total, buckets, bucketCount } = await usageOfAll(context);
  const isComplete = buckets.size === bucketCount;
  return jsonReply({
    lastUpdate: formatRfc3339(isComplete ? context.clock.nowNs() : GO_ZERO_TIME), // sums are kept exact; zero = not known yet
    objectsCount: total.objects,
    versionsCount: total.versions,
    deleteMarkersCount: total.deleteMarkers,
    objectsTotalSize: total.bytes,
    objectsReplicationInfo: null,
    bucketsCount: bucketCount,
    bucketsUsageInfo: Object.fromEntries([...buckets].map(([name, usage]) => [name, bucketUsageInfo(usage)])),
    bucketsSizes: Object.fromEntries([...buckets].map(([name, usage]) => [name, usage.bytes])),
  });
}

// ---- what the caller may see

export async function accountInfo(call: AdminCall): Promise<AdminReply> {
  const { context } = call;
  const buckets: JsonObject[] = [];
  for (const bucket of await context.buckets.list()) {
    const mayBucket = (action: string): boolean => call.mayDo({ action, resource: `arn:aws:s3:::${bucket.name}` });
    const read = mayBucket("s3:ListBucket") || mayBucket("s3:GetBucketLocation");
    const write = call.mayDo({ action: "s3:PutObject", resource: `arn:aws:s3:::${bucket.name}/` });
    if (!read && !write) continue;
    const usage = await context.pools.usage(bucket.name);
    const { documents } = bucket.metadata;
    buckets.push({
      name: bucket.name,
      size: usage?.bytes ?? 0,
      objects: usage?.objects ?? 0,
      objectHistogram: usage === null ? null : sizesOf(usage),
      objectsVersionsHistogram: usage === null ? null : Object.fromEntries(usage.versionCounts),
      details: {
        versioning: bucket.versioning.status === "Enabled",
        versioningSuspended: bucket.versioning.status === "Suspended",
        locking: documents.objectLock.length > 0,
        replication: documents.replication.length > 0,
        tags: null,
        quota: quotaOf(documents.quota),
      },
      prefixUsage: null,
      created: formatRfc3339(bucket.createdNs),
      access: { read, write },
    });
  }
  return jsonReply({
    AccountName: call.ownUser,
    Server: { Type: 2, GatewayOnline: false, OnlineDisks: null, OfflineDisks: null, ...backendInfo(context) },
    Policy: effectivePolicy(call),
    Buckets: buckets.length === 0 ? null : buckets,
  });
}

function effectivePolicy(call: AdminCall): JsonObject {
  const { iam } = call.context;
  if (call.principal.canonicalId === ROOT_ACCOUNT_ID) return CANNED_POLICIES.get(CONSOLE_ADMIN) as JsonObject;
  const identity = iam.state.find(call.principal.accessKey)?.identity;
  const names = iam.known.effectiveNames(call.ownUser, identity?.groups ?? [], {
    ...tokenClaims(identity?.sessionToken ?? ""),
    ...identity?.claims,
  });
  return mergedDocument(iam.state, names) ?? { Version: "", Statement: null };
}
