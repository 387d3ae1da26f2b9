/** A store on one simulated disk, as a process finds it at start: doubts decided, nothing in memory. Four drives, 2+2, if not told otherwise. */
import type { Codec } from "../../src/codec/native.ts";
import { BlockPool } from "../../src/core/block-pool.ts";
import { sourceOf } from "../../src/core/byte-stream.ts";
import { BackgroundWork } from "../../src/erasure/background-work.ts";
import type { DamageReport } from "../../src/erasure/damage.ts";
import { DigestLanes } from "../../src/erasure/digest-lanes.ts";
import { ErasureSet } from "../../src/erasure/erasure-set.ts";
import { Pools } from "../../src/erasure/pools.ts";
import type { ListPage, ListRequest } from "../../src/erasure/store.ts";
import { Stamps } from "../../src/erasure/stamps.ts";
import { resolveAll } from "../../src/erasure/resolve-doubt.ts";
import { walkPage } from "../../src/erasure/walk-page.ts";
import type { Drive } from "../../src/storage/drive.ts";
import type { IndexOptions } from "../../src/storage/drive-index.ts";
import { GuardedDrive } from "../../src/storage/guarded-drive.ts";
import type { LocalDrive } from "../../src/storage/local-drive.ts";
import { GroupSyncs, openPool } from "../../src/storage/open-pool.ts";
import type { Clock } from "../../src/sys/clock.ts";
import type { Rng } from "../../src/sys/rng.ts";
import { seededRng, SimulatedClock } from "./seeded.ts";
import type { SimulatedDisk } from "./simulated-disk.ts";

export const DRIVES = ["/d1", "/d2", "/d3", "/d4"];
export const NO_SIGNAL: AbortSignal = new AbortController().signal;

export interface StoreShape {
  /** Of each pool; mount points of the disk. */
  readonly pools?: readonly (readonly string[])[];
  readonly parity?: number;
  readonly reducedParity?: number;
  readonly inlineBytesMax?: number;
  /** What stands between the set and a drive: a guard, a spy. */
  readonly wrap?: (drive: Drive, position: number) => Drive;
  /** Drives that are not there, by position in their pool. */
  readonly without?: readonly number[];
}
export interface SimulatedStore {
  readonly pools: Pools;
  /** The set of the first pool. */
  readonly set: ErasureSet;
  readonly sets: readonly ErasureSet[];
  /** As they were opened, of all pools. */
  readonly drives: readonly (LocalDrive | null)[];
  readonly damage: DamageReport[];
}

export function mounts(count: number, prefix = "d"): string[] {
  return Array.from({ length: count }, (_, i) => `/${prefix}${i + 1}`);
}

export async function simulatedStore(
  codec: Codec,
  disk: SimulatedDisk,
  outside: { clock: Clock; rng: Rng; index?: IndexOptions },
  shape: StoreShape = {},
): Promise<SimulatedStore> {
  const { clock, rng } = outside;
  const damage: DamageReport[] = [];
  const resources = {
    codec,
    jobs: disk,
    digests: new DigestLanes(disk, clock),
    blocks: new BlockPool(64 * 1024 * 1024),
    readBlocks: new BlockPool(64 * 1024 * 1024),
    clock,
    rng,
    stamps: new Stamps(clock, rng),
    damage: { report: (found: DamageReport): number => damage.push(found) },
    inlineBytesMax: shape.inlineBytesMax ?? 131_072,
  };
  const sets: ErasureSet[] = [];
  const found: (LocalDrive | null)[] = [];
  const pools = [];
  let deploymentId: string | null = null;
  for (const [index, paths] of (shape.pools ?? [DRIVES]).entries()) {
    const opened = await openPool({
      endpoints: paths,
      paths,
      setSize: paths.length,
      deploymentId,
      allowRootDrive: true,
      disk,
      rng,
      clock,
      syncs: new GroupSyncs(disk),
      log: { segmentBytes: 65_536, totalBytes: 262_144, retryMs: 0 },
      warn: () => undefined,
      index: outside.index ?? null,
    });
    found.push(...opened.drives);
    deploymentId = opened.format.deploymentId;
    const drives = opened.drives.map((drive, i) =>
      drive === null || shape.without?.includes(i) === true ? null : (shape.wrap?.(drive, i) ?? drive),
    );
    const set = new ErasureSet(index, 0, drives, shape.parity ?? 2, shape.reducedParity ?? 1, resources);
    for (const position of opened.replaced) set.rebuilding.add(position);
    await resolveAll(set);
    sets.push(set);
    pools.push({ sets: [set], placement: opened.format.distribution, isSuspended: false });
  }
  const background = new BackgroundWork(() => undefined);
  const store = new Pools({ pools, deploymentId: deploymentId ?? "", background });
  return { set: sets[0] as ErasureSet, sets, drives: found, damage, pools: store };
}

/** All of the bucket, but for what `part` says. */
export function listRequest(part: Partial<ListRequest> = {}): ListRequest {
  const whole = { bucket: "bucket", prefix: "", delimiter: "", after: "", inclusive: false, limit: 1000 };
  return { ...whole, allVersions: false, signal: NO_SIGNAL, ...part };
}

/** The same page from a walk over the directories. */
export function walked(pools: Pools, asked: ListRequest): Promise<ListPage> {
  return walkPage({ ...asked, setsOf: (path) => pools.setsOf(path), allSets: pools.allSets }, asked);
}

export async function putBytes(
  pools: Pools,
  key: string,
  bytes: Uint8Array,
  versionId = "null",
  storageClass = "STANDARD",
): Promise<void> {
  await using staged = await pools.stage({
    bucket: "bucket",
    key,
    body: sourceOf(bytes),
    sizeBytes: bytes.length,
    digests: 1,
    storageClass,
    inline: "unversioned",
    signal: NO_SIGNAL,
  });
  const etag = Buffer.from(staged.digests.md5).toString("hex");
  await pools.commit({
    bucket: "bucket",
    key,
    reads: "none",
    signal: NO_SIGNAL,
    decide: () => ({ kind: "put", versionId, staged, metaUsr: new Map([["etag", etag]]), metaSys: new Map() }),
  });
}

/** The whole content; null = nothing there. */
export async function getBytes(pools: Pools, key: string): Promise<Buffer | null> {
  await using reader = await pools.openVersion("bucket", key);
  if (reader === null || reader.version.isDeleteMarker) return null;
  const chunks: Buffer[] = [];
  const write = (bytes: Uint8Array): Promise<void> => {
    chunks.push(Buffer.from(bytes));
    return Promise.resolve();
  };
  await reader.stream({ write }, 0, reader.version.sizeBytes);
  return Buffer.concat(chunks);
}

export async function deleteKey(pools: Pools, key: string): Promise<void> {
  await pools.commit({
    bucket: "bucket",
    key,
    reads: "latest",
    signal: NO_SIGNAL,
    decide: (current) => (current === null ? null : { kind: "delete-version", versionId: current.versionId }),
  });
}

/** Sets the tag of the latest version. */
export async function tagKey(pools: Pools, key: string, tag: string): Promise<void> {
  await pools.commit({
    bucket: "bucket",
    key,
    reads: "latest",
    signal: NO_SIGNAL,
    decide: (current) =>
      current === null
        ? null
        : { kind: "patch", versionId: current.versionId, metaUsr: new Map([["X-Amz-Tagging", tag]]) },
  });
}
export async function tagOf(pools: Pools, key: string): Promise<string | undefined> {
  return (await pools.readVersion("bucket", key))?.metaUsr.get("X-Amz-Tagging");
}

/** A store on time of its own whose drives have guards, with a bucket. */
export async function guardedStore(
  codec: Codec,
  disk: SimulatedDisk,
  { seed, deadlineMs }: { readonly seed: number; readonly deadlineMs: number },
): Promise<SimulatedStore & { readonly clock: SimulatedClock }> {
  const clock = new SimulatedClock();
  const guard = (drive: Drive): Drive => new GuardedDrive(drive, { clock, deadlineMs, onState: () => undefined });
  const store = await simulatedStore(codec, disk, { clock, rng: seededRng(seed) }, { wrap: guard });
  await store.pools.makeBucket("bucket");
  return { ...store, clock };
}
