/** What the pools of a deployment are made of, and the part of Pools that uploads.ts works with. */
import type { KeyLock } from "../core/key-lock.ts";
import type { ObjectPath, Stamp } from "../storage/drive.ts";
import { encodeKey } from "../storage/paths.ts";
import type { BackgroundWork } from "./background-work.ts";
import type { ErasureSet } from "./erasure-set.ts";
import type { LocatedKey } from "./locate.ts";
import type { PlacementAlgorithm } from "./placement.ts";
import type { StoredVersion, VersionLookup } from "./store.ts";

export interface Pool {
  readonly sets: readonly ErasureSet[];
  readonly placement: PlacementAlgorithm;
  /** Takes no new objects (decommissioned). */
  readonly isSuspended: boolean;
}
export interface PoolsOptions {
  readonly pools: readonly Pool[];
  readonly deploymentId: string;
  readonly background: BackgroundWork;
}

export interface UploadHost {
  readonly allSets: readonly ErasureSet[];
  readonly locks: KeyLock;
  readonly background: BackgroundWork;
  setsOf(path: string): readonly ErasureSet[];
  /** The set of a new key. */
  placeNew(path: ObjectPath): Promise<ErasureSet>;
  lookupIn(located: LocatedKey | null): VersionLookup;
  /** For a blind write, under the key's lock: what its stamp must be above in the other pools. */
  newestStamp(path: ObjectPath): Promise<Stamp>;
  latestOf(path: ObjectPath): Promise<{ readonly located: LocatedKey; readonly current: StoredVersion | null }>;
}

export function pathOf(bucket: string, key: string): ObjectPath {
  const path = encodeKey(key);
  return { bucket, path, name: `${bucket}/${path}` };
}
