/** From a VersionChange of the layers above to the Change that each drive applies. Bodies are encoded once; only EcIndex differs. */
import { PutTemplate } from "../storage/put-template.ts";
import { INLINE_DATA_KEY, headerOf } from "../storage/xl-meta-header.ts";
import { encodeDeleteMarker, type ObjectVersion } from "../storage/xl-meta-version.ts";
import type { Change, DataSource, Stamp } from "../storage/drive.ts";
import type { StoredPart } from "./store.ts";
import { BLOCK_BYTES, type StagedShards } from "./write-shards.ts";

const TRUE = new TextEncoder().encode("true");

export interface NewVersion {
  readonly versionId: string;
  readonly dataDir: string;
  readonly k: number;
  readonly m: number;
  readonly dist: readonly number[];
  readonly sizeBytes: number;
  readonly parts: readonly StoredPart[];
  readonly metaUsr: ReadonlyMap<string, string>;
  readonly metaSys: ReadonlyMap<string, Uint8Array>;
  readonly modTimeNs?: bigint | undefined;
}

/** A function for CommitPlan.changeFor: the put of `version`, with each drive's data from `dataFor`. */
export function putChange(
  version: NewVersion,
  dataFor: (position: number) => DataSource | null,
): (position: number, stamp: Stamp) => Change | null {
  let made: { readonly stamp: Stamp; readonly template: PutTemplate } | null = null;
  return (position, stamp) => {
    const data = dataFor(position);
    if (data === null) return null;
    if (made?.stamp !== stamp)
      made = { stamp, template: new PutTemplate(objectVersion(version, version.modTimeNs ?? stamp)) };
    return made.template.changeFor(version.dist[position] as number, data);
  };
}

function objectVersion(version: NewVersion, modTime: bigint): ObjectVersion {
  return {
    type: 1,
    versionId: version.versionId,
    dataDir: version.dataDir,
    dataShards: version.k,
    parityShards: version.m,
    blockSizeBytes: BLOCK_BYTES,
    erasureIndex: 1,
    distribution: version.dist,
    partNumbers: version.parts.map((p) => p.number),
    partEtags: null,
    partSizes: version.parts.map((p) => p.sizeBytes),
    partActualSizes: version.parts.map((p) => p.actualBytes),
    partIndices: null,
    sizeBytes: version.sizeBytes,
    modTime,
    metaSys: version.metaSys,
    metaUsr: version.metaUsr,
  };
}

/** The put of a staged single-part object. */
export function putStaged(
  staged: StagedShards,
  version: {
    readonly versionId: string;
    readonly metaUsr: ReadonlyMap<string, string>;
    readonly metaSys: ReadonlyMap<string, Uint8Array>;
    readonly modTimeNs?: bigint | undefined;
  },
): (position: number, stamp: Stamp) => Change | null {
  const metaSys = staged.inline === null ? version.metaSys : new Map(version.metaSys).set(INLINE_DATA_KEY, TRUE);
  const object: NewVersion = {
    versionId: version.versionId,
    metaUsr: version.metaUsr,
    metaSys,
    modTimeNs: version.modTimeNs,
    dataDir: staged.dataDir,
    k: staged.k,
    m: staged.m,
    dist: staged.dist,
    sizeBytes: staged.sizeBytes,
    parts: [{ number: 1, sizeBytes: staged.sizeBytes, actualBytes: staged.clientBytes }],
  };
  return putChange(object, (position) => {
    const { inline } = staged;
    if (inline !== null) return { kind: "inline", bytes: inline[(staged.dist[position] as number) - 1] as Uint8Array };
    return staged.holders.has(position) ? { kind: "staged", op: staged.op } : null;
  });
}

export function deleteMarkerChange(versionId: string): (position: number, stamp: Stamp) => Change {
  return (_position, stamp) => {
    const marker = { type: 2 as const, versionId, modTime: stamp, metaSys: new Map<string, Uint8Array>() };
    return {
      kind: "put",
      body: encodeDeleteMarker(marker),
      header: headerOf(marker),
      versionId,
      dataDir: "",
      data: { kind: "none" },
    };
  };
}
