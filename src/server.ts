/**
 * The composition root: builds every object of a running server, in order, and stops them in reverse. Nothing else wires
 * objects together; nothing imports this but main.ts.
 */
import { CertificateWatch, openCertificates } from "./background/certificate-watch.ts";
import { rebuildReplaced } from "./background/drive-healer.ts";
import { ClientLoad } from "./background/client-load.ts";
import { HealQueue } from "./background/heal-queue.ts";
import { type KeptSet, openBooks, Upkeep } from "./background/upkeep.ts";
import { BucketCatalog } from "./bucket/catalog.ts";
import { CachedReads } from "./codec/cached-reads.ts";
import { type Codec, loadCodec } from "./codec/native.ts";
import { NativePool } from "./codec/pool.ts";
import { layoutPools, type PoolLayout } from "./config/endpoints.ts";
import type { ServerOptions } from "./config/options.ts";
import { storageClassesOf } from "./config/storage-class.ts";
import { BlockPool } from "./core/block-pool.ts";
import { BackgroundWork } from "./erasure/background-work.ts";
import type { DamageReport } from "./erasure/damage.ts";
import { DigestLanes } from "./erasure/digest-lanes.ts";
import { ErasureSet, type SetResources } from "./erasure/erasure-set.ts";
import { usageOfBuckets } from "./erasure/bucket-usage.ts";
import { clusterHealth } from "./erasure/health.ts";
import { healKey } from "./erasure/heal-version.ts";
import { driveFactsOf } from "./erasure/set-space.ts";
import { suspendedPools } from "./erasure/suspended-pools.ts";
import type { Pool } from "./erasure/pool-layout.ts";
import { Pools } from "./erasure/pools.ts";
import { Stamps } from "./erasure/stamps.ts";
import { resolveAll } from "./erasure/resolve-doubt.ts";
import { type OpenedIdentities, openIdentities } from "./admin/open-identities.ts";
import type { AdminOptions } from "./admin/serve.ts";
import { serveAside } from "./admin/serve-aside.ts";
import type { Kms } from "./kms/kms.ts";
import { withCache } from "./kms/cached-kms.ts";
import { openKms } from "./kms/open-kms.ts";
import { CompletedUploads, type ObjectContext } from "./object/context.ts";
import { QuotaLedger } from "./object/quota.ts";
import { newTransforms } from "./object/transforms.ts";
import { errorCodeOf, errorMessageOf, errorStatusOf } from "./s3/error-reply.ts";
import { signedCall } from "./s3/signed-call.ts";
import type { AuthOptions } from "./s3/authenticate.ts";
import { EventLoopLag } from "./observe/event-loop-lag.ts";
import type { Log } from "./observe/log.ts";
import { Metrics } from "./observe/metrics.ts";
import { readProcessUsage } from "./observe/process-usage.ts";
import { AccessFacts } from "./s3/access-facts.ts";
import { globalCors } from "./s3/cors.ts";
import { createS3Handler } from "./s3/pipeline.ts";
import { requestIds } from "./s3/request-ids.ts";
import { SigningKeys } from "./s3/sigv4.ts";
import { unmarkRebuild } from "./storage/rebuild-mark.ts";
import { LOG_DEFAULTS } from "./storage/drive-log.ts";
import { flushDrives } from "./storage/flush-drives.ts";
import { GuardedDrive } from "./storage/guarded-drive.ts";
import type { LocalDrive } from "./storage/local-drive.ts";
import { closePools, GroupSyncs, type OpenedPool, openPool, refuseUrls } from "./storage/open-pool.ts";
import { SummaryCache } from "./storage/version-summary.ts";
import type { HttpServerOptions, RunningServer } from "./sys/http.ts";
import { startHttpServer } from "./sys/http.ts";
import { plainHttpCall } from "./sys/http-client.ts";
import { SqliteTables } from "./sys/sqlite-tables.ts";
import type { CertificateFolder } from "./sys/tls.ts";
import type { Clock } from "./sys/clock.ts";
import type { Rng } from "./sys/rng.ts";

export const VERSION = "0.1.0";
const WRITE_POOL_BYTES = 192 * 1024 * 1024;
const READ_POOL_BYTES = 96 * 1024 * 1024;
const INLINE_BYTES_DEFAULT = 128 * 1024;
const HEADER_BYTES_MAX = 64 * 1024;
/** Those beyond the cores are for tasks that wait for drives, of which each may keep 48 (`native/pool.c`). */
const THREADS_MAX = 256;
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
  /** Those that could be opened. */
  readonly drives: readonly LocalDrive[];
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
  refuseUrls(layouts.flatMap((layout) => layout.endpoints));
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
  const tables = new SqliteTables(new CachedReads(codec));
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
  const pools = poolsWith(await suspendedPools(poolsWith(new Set()), argumentsOf(layouts), outside));
  healer.run = async (damage) => {
    let healed = 0;
    for (const set of pools.setsOf(damage.path))
      healed += (await healKey(set, damage, pools.locks, { deep: damage.why === "shard" })).healed.length;
    return healed;
  };
  const drives = opened.flatMap((p) => p.drives.filter((drive) => drive !== null));
  for (const drive of drives) background.track(drive.sweep().then(() => undefined));
  const rebuilt = async (): Promise<void> => {
    for (const root of replacedRoots(opened, layouts, outside)) await unmarkRebuild(native, root);
    for (const set of toRebuild) set.rebuilding.clear();
  };
  const flush = async (): Promise<string[]> => {
    await background.idle();
    return await flushDrives(drives);
  };
  const close = async (): Promise<void> => {
    await healQueue.stop();
    await background.idle();
    for (const { book } of books) await book.close();
    await closeDrives(opened, syncs, tables, outside);
  };
  const parts = { codec, pool: native, pools, layouts, deploymentId, syncs, resources, drives, healQueue, background };
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
    stamps: new Stamps(clock, rng),
    damage,
    inlineBytesMax: options.inlineBlockBytes ?? INLINE_BYTES_DEFAULT,
  };
}

async function closeDrives(
  opened: readonly OpenedPool[],
  syncs: GroupSyncs,
  tables: SqliteTables,
  { clock, log }: Outside,
): Promise<void> {
  for (const { endpoint } of await closePools(opened, syncs, clock))
    log.warn("drive", {
      message: `${endpoint} does not answer, and is left as it is: its commit log says what it has`,
    });
  await tables.close();
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
        log: { ...LOG_DEFAULTS, totalBytes: options.logSizeBytes, applyAfterMs: options.applyAfterMs },
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

function argumentsOf(layouts: readonly PoolLayout[]): string[] {
  return layouts.map((layout) => layout.argument);
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

function objectContext(
  options: ServerOptions,
  store: OpenedStore,
  kms: Kms | null,
  { clock, rng }: Outside,
): ObjectContext {
  const { codec, pool, resources } = store;
  const means = { codec, jobs: pool, rng: resources.rng, lanes: resources.digests, kms };
  return {
    store: store.pools,
    buckets: new BucketCatalog(store.pools, clock),
    codec,
    clock,
    rng,
    region: options.region,
    completed: new CompletedUploads(),
    quotas: new QuotaLedger(),
    defaultChecksum: options.defaultChecksum ? "CRC64NVME" : null,
    transforms: newTransforms(means, options),
  };
}

export interface RunningSherd {
  readonly url: string;
  /** What an administrator asked for over the network. */
  readonly asked: Promise<"restart" | "stop">;
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
  const kms = withCache(await openKms(options, { codec, rng }), clock);
  const objects = objectContext(options, store, kms, outside);
  const host = `${options.address.host === "" ? "127.0.0.1" : options.address.host}:${options.address.port}`;
  const served = new ClientLoad();
  const upkeep = upkeepOf(options, store, outside, { served, lag });
  const metrics = new Metrics({ sources: metricSources(store, upkeep), clock, lag, server: host, version: VERSION });
  const identities = await openIdentities({ pools, codec, clock, rng, log, kms, options });
  const nextRequestId = requestIds(rng);
  const auth: AuthOptions = {
    identities: identities.iam,
    region: options.region,
    nowMs: () => clock.nowMs(),
    signingKeys: new SigningKeys(),
    signatureV2: options.signatureV2,
  };
  const asked = Promise.withResolvers<"restart" | "stop">();
  const hostId = Bun.hash.xxHash64(store.deploymentId).toString(16).padStart(16, "0");
  const shared = { options, objects, auth, hostId, nextRequestId, metrics, outside };
  const admin = adminOptions({ ...shared, store, identities, asked: asked.resolve, port: () => http.port });
  const handle = s3Handler({ ...shared, admin, pools, identities });
  const certificates = options.certsDir === null ? null : await openCertificates(options.certsDir, log);
  const clientAuthorities = identities.providers.certificates ? (certificates?.authorities ?? null) : undefined;
  const http = await listen(options, { tls: certificates, clientAuthorities, handle: served.counted(handle), log });
  lag.start();
  upkeep.start();
  const watch = certificates === null ? null : watchCertificates(certificates, http, outside);
  const stopRebuild = new AbortController();
  if (store.toRebuild.length > 0) store.background.track(rebuildReplaced(store, outside, stopRebuild.signal));
  const scheme = certificates === null ? "http" : "https";
  const shown = options.address.host === "" || options.address.host === "0.0.0.0" ? "127.0.0.1" : options.address.host;
  return {
    url: `${scheme}://${shown}:${http.port}`,
    asked: asked.promise,
    stop: () => stopAll({ http, store, upkeep, lag, watch, stopRebuild, identities, drainMs: options.drainTimeoutMs }),
    lookAtCertificates: () => watch?.lookNow(),
  };
}

function listen(
  options: ServerOptions,
  by: Pick<HttpServerOptions, "tls" | "clientAuthorities" | "handle"> & { readonly log: Log },
): Promise<RunningServer> {
  return startHttpServer({
    host: options.address.host === "" ? "0.0.0.0" : options.address.host,
    port: options.address.port,
    tls: by.tls,
    clientAuthorities: by.clientAuthorities,
    headerBytesMax: HEADER_BYTES_MAX,
    bodyIdleMs: options.bodyIdleMs,
    headerMs: options.headerMs,
    idleMs: options.idleMs,
    connectionsMax: options.connectionsMax,
    handle: by.handle,
    failed: (error) => by.log.error("handler failed", { message: stackOf(error) }),
  });
}

function s3Handler(parts: {
  options: ServerOptions;
  objects: ObjectContext;
  auth: AuthOptions;
  hostId: string;
  nextRequestId: () => string;
  metrics: Metrics;
  admin: AdminOptions;
  identities: OpenedIdentities;
  pools: Pools;
  outside: Outside;
}): ReturnType<typeof createS3Handler> {
  const { options, objects, auth, hostId, metrics, admin, pools, identities } = parts;
  const { clock, log } = parts.outside;
  return createS3Handler({
    objects,
    codec: objects.codec,
    auth,
    access: new AccessFacts(objects, auth.identities, options.objectOwnership),
    sts: {
      ...identities,
      auth,
      log,
      newRequestId: parts.nextRequestId,
      observe: ({ api, status }) => metrics.request(api, "", status, 0, 0, 0),
    },
    domains: options.domains,
    websiteDomains: options.websiteDomains,
    cors: globalCors(options.corsOrigins),
    hostId,
    log,
    newRequestId: parts.nextRequestId,
    elapsedMs: () => clock.elapsedMs(),
    observe: (r) => metrics.request(r.api, r.bucket, r.status, r.seconds, r.bytesIn, r.bytesOut),
    aside: (exchange) =>
      serveAside(exchange, {
        pools,
        metrics,
        kms: objects.transforms.kms,
        isPublic: options.metricsAuth === "public",
        secretOf: identities.metricsSecretOf,
        nowMs: () => clock.nowMs(),
        admin,
      }),
  });
}

function adminOptions(parts: {
  options: ServerOptions;
  store: OpenedStore;
  objects: ObjectContext;
  identities: OpenedIdentities;
  auth: AuthOptions;
  outside: Outside;
  hostId: string;
  nextRequestId: () => string;
  asked: (action: "restart" | "stop") => void;
  /** What is listened on. */
  port: () => number;
  metrics: Metrics;
}): AdminOptions {
  const { options, store, objects, identities, auth, outside, asked } = parts;
  const { clock, rng, log } = outside;
  const set = store.pools.allSets[0] as ErasureSet;
  const host = options.address.host === "" || options.address.host === "0.0.0.0" ? "127.0.0.1" : options.address.host;
  return {
    context: {
      ...identities,
      buckets: objects.buckets,
      pools: store.pools,
      objects,
      clock,
      rng,

      control: asked,
      httpCall: plainHttpCall,
      server: {
        deploymentId: store.deploymentId,
        region: options.region,
        get endpoint() {
          return `${host}:${parts.port()}`;
        },
        scheme: options.certsDir === null ? "http" : "https",
        version: VERSION,
        startedMs: clock.nowMs(),
        cores: outside.cores,
        standardParity: set.standardParity,
        reducedParity: set.reducedParity,
      },
    },
    log,
    hostId: parts.hostId,
    newRequestId: parts.nextRequestId,
    authenticate: (request) => signedCall(request, auth),
    describe: (error) => {
      const code = errorCodeOf(error);
      return { code, status: errorStatusOf(code), message: errorMessageOf(error) };
    },
    observe: ({ api, status }) => parts.metrics.request(api, "", status, 0, 0, 0),
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

async function stopAll(parts: {
  http: RunningServer;
  store: OpenedStore;
  upkeep: Upkeep;
  lag: EventLoopLag;
  watch: CertificateWatch | null;
  stopRebuild: AbortController;
  identities: OpenedIdentities;
  drainMs: number;
}): Promise<boolean> {
  const finished = await parts.http.stop(parts.drainMs);
  await parts.identities.iam.stop();
  parts.lag.stop();
  parts.watch?.stop();
  parts.stopRebuild.abort(new Error("the server stops"));
  await parts.upkeep.stop();
  await parts.store.close();
  return finished;
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

function metricSources(store: OpenedStore, upkeep: Upkeep): ConstructorParameters<typeof Metrics>[0]["sources"] {
  const { pools } = store;
  return {
    drives: async () => (await Promise.all(pools.allSets.map(driveFactsOf))).flat(),
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
    commitLogs: () => store.drives.map((drive) => ({ endpoint: drive.endpoint, ...drive.logStats() })),
    groupSyncs: () =>
      store.syncs
        .all()
        .reduce((sum, s) => ({ syncs: sum.syncs + s.syncs, served: sum.served + s.served }), { syncs: 0, served: 0 }),
  };
}
