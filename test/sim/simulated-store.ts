/** A store of four drives, 2+2, on one simulated disk, as a process finds it at start: doubts decided, nothing in memory. */
import type { Codec } from "../../src/codec/native.ts";
import { BlockPool } from "../../src/core/block-pool.ts";
import { sourceOf } from "../../src/core/byte-stream.ts";
import { BackgroundWork } from "../../src/erasure/background-work.ts";
import { DigestLanes } from "../../src/erasure/digest-lanes.ts";
import { ErasureSet } from "../../src/erasure/erasure-set.ts";
import { Pools } from "../../src/erasure/pools.ts";
import { resolveAll } from "../../src/erasure/resolve-doubt.ts";
import { GroupSyncs, openPool } from "../../src/storage/open-pool.ts";
import type { Clock } from "../../src/sys/clock.ts";
import type { Rng } from "../../src/sys/rng.ts";
import type { SimulatedDisk } from "./simulated-disk.ts";

export const DRIVES = ["/d1", "/d2", "/d3", "/d4"];
export const NO_SIGNAL: AbortSignal = new AbortController().signal;

export interface SimulatedStore {
  readonly pools: Pools;
  readonly set: ErasureSet;
}

export async function simulatedStore(
  codec: Codec,
  disk: SimulatedDisk,
  outside: { clock: Clock; rng: Rng },
): Promise<SimulatedStore> {
  const { clock, rng } = outside;
  const opened = await openPool({
    endpoints: DRIVES,
    paths: DRIVES,
    setSize: 4,
    deploymentId: null,
    allowRootDrive: true,
    disk,
    rng,
    syncs: new GroupSyncs(disk),
    warn: () => undefined,
  });
  const resources = {
    codec,
    jobs: disk,
    digests: new DigestLanes(disk, clock),
    blocks: new BlockPool(64 * 1024 * 1024),
    clock,
    rng,
    damage: { report: () => undefined },
    inlineBytesMax: 131_072,
  };
  const set = new ErasureSet(0, 0, opened.drives, 2, 1, resources);
  await resolveAll(set);
  const pool = { sets: [set], placement: opened.format.distribution, isSuspended: false };
  const background = new BackgroundWork(() => undefined);
  return { set, pools: new Pools({ pools: [pool], deploymentId: opened.format.deploymentId, background }) };
}

export async function putBytes(pools: Pools, key: string, bytes: Uint8Array, versionId = "null"): Promise<void> {
  await using staged = await pools.stage({
    bucket: "bucket",
    key,
    body: sourceOf(bytes),
    sizeBytes: bytes.length,
    digests: 1,
    storageClass: "STANDARD",
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
