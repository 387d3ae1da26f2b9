/**
 * The composition root: builds every object of a running server, in order, and stops them in reverse. Nothing else wires
 * objects together; nothing imports this but main.ts.
 */
import { CertificateWatch, described } from "./background/certificate-watch.ts";
import { rebuildReplaced } from "./background/drive-healer.ts";
import { ClientLoad } from "./background/client-load.ts";
import { HealQueue } from "./background/heal-queue.ts";
import { type KeptSet, openBooks, Upkeep } from "./background/upkeep.ts";
import { BucketCatalog } from "./bucket/catalog.ts";
import { type Codec, loadCodec } from "./codec/native.ts";
import { NativePool } from "./codec/pool.ts";
import { layoutPools, type PoolLayout } from "./config/endpoints.ts";
import type { ServerOptions } from "./config/options.ts";
import { storageClassesOf } from "./config/storage-class.ts";
import { BlockPool } from "./core/block-pool.ts";
import { QuorumError } from "./core/quorum-error.ts";
import { BackgroundWork } from "./erasure/background-work.ts";
import type { DamageReport } from "./erasure/damage.ts";
import { DigestLanes } from "./erasure/digest-lanes.ts";
import { ErasureSet, type SetResources } from "./erasure/erasure-set.ts";
import { clusterHealth } from "./erasure/health.ts";
import { healKey } from "./erasure/heal-version.ts";
import { decodePoolMeta, encodePoolMeta, POOL_META_PATH, reconcilePools } from "./erasure/pool-meta.ts";
import type { Pool } from "./erasure/pool-layout.ts";
import { Pools } from "./erasure/pools.ts";
import { resolveAll } from "./erasure/resolve-doubt.ts";
import { rootOnly } from "./iam/principal.ts";
import { CompletedUploads } from "./object/context.ts";
import { EventLoopLag } from "./observe/event-loop-lag.ts";
import type { Log } from "./observe/log.ts";
import { Metrics, metricsKindOf } from "./observe/metrics.ts";
import type { BucketUsageFacts } from "./observe/usage-families.ts";
import { readProcessUsage } from "./observe/process-usage.ts";
import { bearerIsValid } from "./observe/prometheus-auth.ts";
import { accessMeans } from "./s3/access.ts";
import { createS3Handler } from "./s3/pipeline.ts";
import { SigningKeys } from "./s3/sigv4.ts";
import { unmarkRebuild } from "./storage/rebuild-mark.ts";
import { GuardedDrive } from "./storage/guarded-drive.ts";
import type { LocalDrive } from "./storage/local-drive.ts";
import { GroupSyncs, type OpenedPool, openPool, StartError } from "./storage/open-pool.ts";
import { SummaryCache } from "./storage/version-summary.ts";
import type { HttpExchange, RunningServer } from "./sys/http.ts";
import { startHttpServer } from "./sys/http.ts";
import { SqliteTables } from "./sys/sqlite-tables.ts";
import { CertificateFolder } from "./sys/tls.ts";
import type { Clock } from "./sys/clock.ts";
import type { Rng } from "./sys/rng.ts";

export const VERSION = "0.1.0";
const WRITE_POOL_BYTES = 192 * 1024 * 1024;
const READ_POOL_BYTES = 96 * 1024 * 1024;
const INLINE_BYTES_DEFAULT = 128 * 1024;
const HEADER_BYTES_MAX = 64 * 1024;
const BODY_IDLE_MS = 60_000;
const THREADS_MAX = 64;
const TIERS = { auto: -1, portable: 0, neon: 1, avx2: 3, avx512: 4 } as const;

export interface Outside {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly cores: number;
  /** Absolute form of a path argument. */
  readonly absolute: (path: string) => string;
}

/** The store over the operator's drives, without a network in front: what `heal` and `server` share. */
export interface OpenedStore {
  readonly codec: Codec;
  readonly pool: NativePool;
  readonly pools: Pools;
  readonly layouts: readonly PoolLayout[];
  readonly deploymentId: string;
  readonly syncs: GroupSyncs;
  readonly resources: SetResources;
  readonly healQueue: HealQueue;
  readonly background: BackgroundWork;
  /** What drives are owed. */
  readonly books: readonly KeptSet[];
  /** `run` is called when a drive answers again. */
  readonly returned: { run: () => void };
  /** Sets with a drive that came empty. */
  readonly toRebuild: readonly ErasureSet[];
  /** The drives that came empty have everything: from now on they count like the others, also after a restart. */
  rebuilt(): Promise<void>;
  /** Brings what the commit logs hold into the drives' trees; in words, what could not be. */
  flush(): Promise<readonly string[]>;
  close(): Promise<void>;
}

export async function openStore(
  options: ServerOptions,
  endpoints: readonly string[],
  outside: Outside,
): Promise<OpenedStore> {
  const { clock, log } = outside;
  const layouts = layoutPools(endpoints, options.setDriveCount);
  refuseUrls(layouts);
  const classes = storageClassesOf(
    layouts.map((l) => l.setSize),
    { standard: options.standardClass, reduced: options.reducedClass },
  );
  const codec = loadCodec({ tier: TIERS[options.codecTier] });
  const native = new NativePool(codec, {
    threads: options.codecThreads > 0 ? options.codecThreads : outside.cores,
    threadsMax: THREADS_MAX,
  });
  const syncs = new GroupSyncs(native);
  const failedLater = (error: unknown): void =>
    log.error("background work failed", { message: error instanceof Error ? error.message : String(error) });
  const background = new BackgroundWork(failedLater);
  const healer: { run: (damage: DamageReport) => Promise<number> } = { run: () => Promise.resolve(0) };
  const healQueue = new HealQueue(clock, log, (damage) => healer.run(damage));
  const resources = setResources(options, { codec, native, damage: healQueue }, outside);
  const tables = new SqliteTables();
  const opened = await openPools(options, layouts, { native, syncs, tables, outside });
  const deploymentId = (opened[0] as OpenedPool).format.deploymentId;
  const returned = { run: (): void => undefined };
  const common = { ...classes, resources, log, returned };
  const sets = opened.map((pool, i) => setsOf(pool, i, layouts[i] as PoolLayout, common));
  const books = await openBooks(sets.flat(), background);
  const poolsWith = (suspended: ReadonlySet<number>): Pools =>
    new Pools({
      deploymentId,
      background,
      pools: sets.map(
        (own, i): Pool => ({
          sets: own,
          placement: (opened[i] as OpenedPool).format.distribution,
          isSuspended: suspended.has(i),
        }),
      ),
    });
  const toRebuild = markReplaced(opened, layouts, sets); // before doubts: such a drive is no witness of what was not written
  await decideDoubts(sets.flat(), log);
  const pools = poolsWith(await suspendedPools(poolsWith(new Set()), layouts, outside));
  healer.run = async (damage) => {
    let healed = 0;
    for (const set of pools.setsOf(damage.path))
      healed += (await healKey(set, damage, pools.locks, { deep: damage.why === "shard" })).healed.length;
    return healed;
  };
  for (const drive of opened.flatMap((p) => p.drives))
    if (drive !== null) background.track(drive.sweep().then(() => undefined));
  const rebuilt = async (): Promise<void> => {
    for (const root of replacedRoots(opened, layouts, outside)) await unmarkRebuild(native, root);
    for (const set of toRebuild) set.rebuilding.clear();
  };
  const flush = (): Promise<string[]> => flushDrives(opened, background);
  const close = async (): Promise<void> => {
    await healQueue.stop();
    await background.idle();
    for (const { book } of books) await book.close();
    await closeDrives(opened, syncs, tables);
  };
  const parts = { codec, pool: native, pools, layouts, deploymentId, syncs, resources, healQueue, background };
  return { ...parts, books, returned, toRebuild, rebuilt, flush, close };
}

/** What all sets share. */
function setResources(
  options: ServerOptions,
  parts: { codec: Codec; native: NativePool; damage: HealQueue },
  outside: Outside,
): SetResources {
  const { codec, native, damage } = parts;
  const { clock, rng } = outside;
  return {
    codec,
    jobs: native,
    digests: new DigestLanes(native, clock),
    blocks: new BlockPool(WRITE_POOL_BYTES, (bytes) => codec.ptr(bytes)),
    readBlocks: new BlockPool(READ_POOL_BYTES),
    clock,
    rng,
    damage,
    inlineBytesMax: options.inlineBlockBytes ?? INLINE_BYTES_DEFAULT,
  };
}

async function flushDrives(opened: readonly OpenedPool[], background: BackgroundWork): Promise<string[]> {
  await background.idle();
  const left: string[] = [];
  for (const drive of opened.flatMap((p) => p.drives)) {
    if (drive === null || (await drive.flush())) continue;
    left.push(drive.writeFailure?.message ?? `${drive.endpoint}: an operation is in doubt until more drives are back`);
  }
  return left;
}

async function closeDrives(opened: readonly OpenedPool[], syncs: GroupSyncs, tables: SqliteTables): Promise<void> {
  await Promise.all(syncs.all().map((sync) => sync.sync())); // what is settled is known on all drives before one forgets it
  for (const drive of opened.flatMap((p) => p.drives)) await drive?.close();
  await tables.close();
}

function refuseUrls(layouts: readonly PoolLayout[]): void {
  const url = layouts.flatMap((l) => l.endpoints).find((endpoint) => /^[a-z]+:\/\//i.test(endpoint));
  if (url !== undefined)
    throw new StartError("NoAccess", `${url}: several nodes are not there yet; give folders of this machine`);
}

async function openPools(
  options: ServerOptions,
  layouts: readonly PoolLayout[],
  means: { native: NativePool; syncs: GroupSyncs; tables: SqliteTables; outside: Outside },
): Promise<OpenedPool[]> {
  const { native, syncs, tables, outside } = means;
  const summaries = new SummaryCache();
  const opened: OpenedPool[] = [];
  for (const layout of layouts) {
    const warn = (message: string): void => outside.log.warn("drive", { message });
    const paths = layout.endpoints.map(outside.absolute);
    opened.push(
      await openPool({
        endpoints: layout.endpoints,
        paths,
        setSize: layout.setSize,
        deploymentId: opened[0]?.format.deploymentId ?? null,
        allowRootDrive: options.allowRootDrive,
        disk: native,
        rng: outside.rng,
        clock: outside.clock,
        syncs,
        warn,
        index: { tables, clock: outside.clock, summaries, warn },
      }),
    );
  }
  return opened;
}

function setsOf(
  pool: OpenedPool,
  poolIndex: number,
  { setSize, setCount }: PoolLayout,
  common: {
    standardParity: number;
    reducedParity: number;
    resources: SetResources;
    log: Log;
    returned: { run: () => void };
  },
): ErasureSet[] {
  const { standardParity, reducedParity, resources, log, returned } = common;
  return Array.from({ length: setCount }, (_, i) => {
    const onState = (endpoint: string, state: string): void => {
      log.warn("drive state", { endpoint, state });
      if (state === "ok") returned.run();
    };
    const guarded = (drive: LocalDrive | null): GuardedDrive | null =>
      drive === null ? null : new GuardedDrive(drive, { clock: resources.clock, onState });
    const drives = pool.drives.slice(i * setSize, (i + 1) * setSize).map(guarded);
    return new ErasureSet(poolIndex, i, drives, standardParity, reducedParity, resources);
  });
}

/** What a crash left in doubt is decided before anything is served. */
async function decideDoubts(sets: readonly ErasureSet[], log: Log): Promise<void> {
  for (const set of sets) {
    const { decided, waiting } = await resolveAll(set);
    if (decided > 0 || waiting.length > 0) log.info("operations in doubt", { decided, waiting: waiting.length });
  }
}

function replacedRoots(opened: readonly OpenedPool[], layouts: readonly PoolLayout[], outside: Outside): string[] {
  return opened.flatMap((pool, p) =>
    pool.replaced.map((i) => outside.absolute((layouts[p] as PoolLayout).endpoints[i] as string)),
  );
}

/** Drives that came empty say nothing until they are rebuilt. Returns their sets. */
function markReplaced(
  opened: readonly OpenedPool[],
  layouts: readonly PoolLayout[],
  sets: readonly ErasureSet[][],
): ErasureSet[] {
  const found = new Set<ErasureSet>();
  for (const [p, pool] of opened.entries()) {
    const { setSize } = layouts[p] as PoolLayout;
    for (const position of pool.replaced) {
      const set = sets[p]?.[Math.floor(position / setSize)] as ErasureSet;
      set.rebuilding.add(position % setSize);
      found.add(set);
    }
  }
  return [...found];
}

/** pool.bin: which pools are drained. Written when the pools of the command line are not those that it names. */
async function suspendedPools(
  pools: Pools,
  layouts: readonly PoolLayout[],
  { clock, log }: Outside,
): Promise<ReadonlySet<number>> {
  let bytes: Uint8Array | null;
  try {
    bytes = await pools.readDocument(POOL_META_PATH);
  } catch (error) {
    // One pool is not drained; with as many drives gone as there is parity its objects are still read.
    if (!(error instanceof QuorumError) || layouts.length > 1) throw error;
    log.warn("pool.bin cannot be read", { message: error.message });
    return new Set();
  }
  const known = bytes === null ? [] : decodePoolMeta(bytes);
  const now = reconcilePools(
    known,
    layouts.map((l) => l.argument),
    clock.nowNs(),
  );
  if (now !== null && (layouts.length > 1 || bytes !== null))
    await pools.writeDocument(POOL_META_PATH, encodePoolMeta(now));
  return new Set((now ?? known).flatMap((pool, i) => (pool.decommission === null ? [] : [i])));
}

export interface RunningSherd {
  readonly url: string;
  /** Drains and stops; true if every request in flight finished. */
  stop(): Promise<boolean>;
  /** Looks for renewed certificates now. */
  lookAtCertificates(): void;
}

export async function startServer(
  options: ServerOptions,
  endpoints: readonly string[],
  outside: Outside,
): Promise<RunningSherd> {
  const { clock, rng, log } = outside;
  const store = await openStore(options, endpoints, outside);
  const { pools, codec } = store;
  const lag = new EventLoopLag(clock);
  const buckets = new BucketCatalog(pools, clock);
  const objects = objectsOf(options, store, buckets, outside);
  const host = `${options.address.host === "" ? "127.0.0.1" : options.address.host}:${options.address.port}`;
  const served = new ClientLoad();
  const upkeep = upkeepOf(options, store, outside, { served, lag });
  const metrics = new Metrics({ sources: metricSources(store, upkeep), clock, lag, server: host, version: VERSION });
  const secretOf = (accessKey: string): string | undefined =>
    accessKey === options.rootUser ? options.rootPassword : undefined;
  const nextRequestId = requestIds(rng);
  const handle = createS3Handler({
    objects,
    codec,
    auth: {
      identities: rootOnly(options.rootUser, options.rootPassword),
      region: options.region,
      nowMs: () => clock.nowMs(),
      signingKeys: new SigningKeys(),
    },
    access: accessMeans(objects),
    domains: options.domains,
    hostId: Bun.hash.xxHash64(store.deploymentId).toString(16).padStart(16, "0"),
    log,
    newRequestId: nextRequestId,
    elapsedMs: () => clock.elapsedMs(),
    observe: (r) => metrics.request(r.api, r.bucket, r.status, r.seconds, r.bytesIn, r.bytesOut),
    aside: (exchange) =>
      serveAside(exchange, {
        pools,
        metrics,
        isPublic: options.metricsAuth === "public",
        secretOf,
        nowMs: () => clock.nowMs(),
      }),
  });
  const certificates = options.certsDir === null ? null : await openCertificates(options.certsDir, log);
  const http = await startHttpServer({
    host: options.address.host === "" ? "0.0.0.0" : options.address.host,
    port: options.address.port,
    tls: certificates,
    headerBytesMax: HEADER_BYTES_MAX,
    bodyIdleMs: BODY_IDLE_MS,
    handle: served.counted(handle),
    failed: (error) => log.error("handler failed", { message: stackOf(error) }),
  });
  lag.start();
  upkeep.start();
  const watch = certificates === null ? null : watchCertificates(certificates, http, outside);
  const stopRebuild = new AbortController();
  if (store.toRebuild.length > 0) store.background.track(rebuildReplaced(store, outside, stopRebuild.signal));
  const scheme = certificates === null ? "http" : "https";
  const shown = options.address.host === "" || options.address.host === "0.0.0.0" ? "127.0.0.1" : options.address.host;
  return {
    url: `${scheme}://${shown}:${http.port}`,
    stop: () => stopAll({ http, store, upkeep, lag, watch, stopRebuild, drainMs: options.drainTimeoutMs }),
    lookAtCertificates: () => watch?.lookNow(),
  };
}

/** Random, upper-case hex; chance is asked for many at once. */
function requestIds(rng: Rng): () => string {
  const bytes = Buffer.alloc(8 * 128);
  let at = bytes.length;
  return () => {
    if (at === bytes.length) rng.fill(bytes);
    if (at === bytes.length) at = 0;
    at += 8;
    return bytes.toString("hex", at - 8, at).toUpperCase();
  };
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function watchCertificates(folder: CertificateFolder, http: RunningServer, { clock, log }: Outside): CertificateWatch {
  const watch = new CertificateWatch({ folder, clock, log, renewed: () => http.certificatesRenewed() });
  watch.start();
  return watch;
}

/** Throws when the folder has no usable pair of its own; a broken pair for further names is told and left out. */
async function openCertificates(directory: string, log: Log): Promise<CertificateFolder> {
  const { folder, refused } = await CertificateFolder.open(directory);
  for (const message of refused) log.error("certificate not used", { message });
  log.info("certificate", described(folder.main));
  return folder;
}

async function stopAll(parts: {
  http: RunningServer;
  store: OpenedStore;
  upkeep: Upkeep;
  lag: EventLoopLag;
  watch: CertificateWatch | null;
  stopRebuild: AbortController;
  drainMs: number;
}): Promise<boolean> {
  const finished = await parts.http.stop(parts.drainMs);
  parts.lag.stop();
  parts.watch?.stop();
  parts.stopRebuild.abort(new Error("the server stops"));
  await parts.upkeep.stop();
  await parts.store.close();
  return finished;
}

function objectsOf(options: ServerOptions, store: OpenedStore, buckets: BucketCatalog, { clock, rng }: Outside) {
  const { pools, codec } = store;
  const { region } = options;
  return { store: pools, buckets, codec, clock, rng, region, completed: new CompletedUploads() };
}

function upkeepOf(
  settings: ServerOptions,
  store: OpenedStore,
  { clock, log }: Outside,
  load: { readonly served: ClientLoad; readonly lag: EventLoopLag },
): Upkeep {
  const { books, pools, returned } = store;
  const upkeep = new Upkeep({
    books,
    locks: pools.locks,
    listBuckets: () => pools.listBuckets(),
    clock,
    log,
    load: load.served,
    lateness: () => load.lag.lastSeconds,
    settings,
    queue: store.healQueue,
  });
  returned.run = () => upkeep.replay.wake();
  return upkeep;
}

interface Aside {
  readonly pools: Pools;
  readonly metrics: Metrics;
  readonly isPublic: boolean;
  readonly secretOf: (accessKey: string) => string | undefined;
  readonly nowMs: () => number;
}

/** Health and metrics: never the S3 surface. Source: s3-api.md §6. */
async function serveAside(exchange: HttpExchange, aside: Aside): Promise<boolean> {
  const { rawPath, method, headers } = exchange.request;
  const kind = metricsKindOf(rawPath);
  if (kind !== null) {
    if (!aside.isPublic && !bearerIsValid(headers.get("authorization"), aside.secretOf, aside.nowMs())) {
      await exchange.response.send(
        403,
        [["Content-Type", "application/json"]],
        JSON.stringify({ Code: "AccessDenied", Message: "Access Denied." }),
      );
      return true;
    }
    await exchange.response.send(
      200,
      [["Content-Type", "text/plain; version=0.0.4; charset=utf-8"]],
      await aside.metrics.render(kind),
    );
    return true;
  }
  if (!rawPath.startsWith("/minio/health/") || (method !== "GET" && method !== "HEAD")) {
    if (rawPath.startsWith("/minio/admin/")) {
      await exchange.response.send(
        501,
        [["Content-Type", "application/json"]],
        JSON.stringify({ Code: "NotImplemented", Message: "The admin API is not implemented yet." }),
      );
      return true;
    }
    return false;
  }
  const answer = health(rawPath.slice("/minio/health/".length), aside.pools);
  if (answer === null) return false;
  await exchange.response.send(answer.status, answer.headers, "");
  return true;
}

function health(what: string, pools: Pools): { status: number; headers: [string, string][] } | null {
  if (what === "live" || what === "ready") return { status: 200, headers: [] };
  if (what !== "cluster" && what !== "cluster/read") return null;
  const now = clusterHealth(pools.allSets, {
    isHealing: (id) =>
      pools.allSets.some((set) => set.drives.some((drive, i) => drive?.id === id && set.rebuilding.has(i))),
  });
  const good = what === "cluster" ? now.writable : now.readable;
  const quorum: [string, string] =
    what === "cluster"
      ? ["x-minio-write-quorum", String(now.writeQuorum)]
      : ["x-minio-read-quorum", String(now.readQuorum)];
  return { status: good ? 200 : 503, headers: [quorum, ["x-minio-storage-class-defaults", "true"]] };
}

/** Buckets whose usage is known; none while the drives cannot tell. */
async function usageOfBuckets(pools: Pools): Promise<BucketUsageFacts[]> {
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

function metricSources(store: OpenedStore, upkeep: Upkeep): ConstructorParameters<typeof Metrics>[0]["sources"] {
  const { pools } = store;
  return {
    drives: async () =>
      await Promise.all(
        pools.allSets.flatMap((set) =>
          set.drives.map(async (drive, driveIndex) => {
            const space = await drive?.space();
            const endpoint = drive?.endpoint ?? `pool ${set.poolIndex} set ${set.setIndex} drive ${driveIndex}`;
            return {
              endpoint,
              poolIndex: set.poolIndex,
              setIndex: set.setIndex,
              driveIndex,
              online: drive !== null && drive.state !== "faulty",
              space: space?.ok === true ? space.value : null,
            };
          }),
        ),
      ),
    health: () => clusterHealth(pools.allSets),
    process: () => readProcessUsage(store.pool),
    bucketUsage: () => usageOfBuckets(pools),
    bucketCount: () =>
      pools.listBuckets().then(
        (found) => found.length,
        () => null,
      ),
    heal: () => ({
      waiting: store.healQueue.length,
      healed: store.healQueue.healed,
      failed: store.healQueue.failed,
      dropped: store.healQueue.dropped,
    }),
    upkeep: () => upkeep.facts(),
    nativePool: () => store.pool.stats(),
    blocks: () => ({ writes: store.resources.blocks, reads: store.resources.readBlocks }),
    groupSyncs: () =>
      store.syncs
        .all()
        .reduce((sum, s) => ({ syncs: sum.syncs + s.syncs, served: sum.served + s.served }), { syncs: 0, served: 0 }),
  };
}
