/** From what drives hold to what the layers above see: one agreed version, and where its shards are. */
import { present } from "../core/assert.ts";
import { encodedKey } from "../core/msgpack.ts";
import { type AnyVersion, decodeVersion } from "../storage/xl-meta-version.ts";
import type { XlMeta } from "../storage/xl-meta.ts";
import { summarize, type VersionSummary } from "../storage/version-summary.ts";
import { QuorumError } from "../core/quorum-error.ts";
import type { LocatedKey } from "./locate.ts";
import type { MergedVersion } from "./quorum.ts";
import type { ShardLayout, ShardPlace } from "./read-shards.ts";
import type { KeyReading } from "./read-version.ts";
import type { StoredVersion } from "./store.ts";

const NO_BYTES: ReadonlyMap<string, Uint8Array> = new Map();
const INLINE_FLAG = 4;

export interface VersionPlace {
  readonly isLatest: boolean;
  readonly versionCount: number;
}

export function storedVersion(reading: KeyReading, merged: MergedVersion, place: VersionPlace): StoredVersion {
  const body = versionOf(bodyOn(reading, merged, merged.holders[0] as number));
  const common = {
    versionId: merged.header.versionId,
    modTimeNs: merged.header.modTime,
    isLatest: place.isLatest,
    versionCount: place.versionCount,
  };
  if (body.type === 2) {
    return {
      ...common,
      isDeleteMarker: true,
      sizeBytes: 0,
      parts: [],
      metaUsr: new Map(),
      metaSys: body.metaSys,
      dataDir: "",
      dataShards: 0,
      parityShards: 0,
      isInline: false,
    };
  }
  if (body.type === 3) {
    const parts = body.parts.map((p) => ({ number: p.number, sizeBytes: p.sizeBytes, actualBytes: p.actualBytes }));
    return {
      ...common,
      isDeleteMarker: false,
      sizeBytes: body.sizeBytes,
      parts,
      metaUsr: body.meta,
      metaSys: NO_BYTES,
      dataDir: body.dataDir,
      dataShards: body.dataShards,
      parityShards: body.parityShards,
      isInline: false,
    };
  }
  const parts = body.partNumbers.map((number, i) => ({
    number,
    sizeBytes: body.partSizes[i] ?? 0,
    actualBytes: body.partActualSizes[i] ?? body.partSizes[i] ?? 0,
    index: body.partIndices?.[i] ?? null,
  }));
  return {
    ...common,
    isDeleteMarker: false,
    sizeBytes: body.sizeBytes,
    parts,
    metaUsr: body.metaUsr,
    metaSys: body.metaSys,
    dataDir: body.dataDir,
    dataShards: body.dataShards,
    parityShards: body.parityShards,
    isInline: (merged.header.flags & INLINE_FLAG) !== 0,
  };
}

/** What a listing shows of the versions that the pools agree on, newest first. */
export function listedVersions(located: LocatedKey): readonly VersionSummary[] {
  return located.versions.map(({ reading, merged }) =>
    summarize(versionOf(bodyOn(reading, merged, merged.holders[0] as number))),
  );
}

/** Bodies are decoded once: a GET needs them for its headers and for its data. */
const DECODED = new WeakMap<Uint8Array, AnyVersion>();

function versionOf(body: Uint8Array): AnyVersion {
  const known = DECODED.get(body);
  if (known !== undefined) return known;
  const fresh = decodeVersion(body);
  DECODED.set(body, fresh);
  return fresh;
}

const INDEX_KEY = encodedKey("EcIndex");
const SHARDS_MAX = 16;

/** A version, and which shard of it one drive has. */
interface Copy {
  readonly version: Exclude<AnyVersion, { type: 2 }>;
  readonly erasureIndex: number;
}

/**
 * The copy in `body`, of which `other` is another drive's: nearly always they differ in the shard's number alone, and then
 * it need not be decoded again. null = a delete marker.
 */
function copyLike(body: Uint8Array, other: Uint8Array): Copy | null {
  const known = versionOf(other);
  if (body !== other && known.type === 1 && body.length === other.length) {
    const index = indexOfCopy(body, other, known.erasureIndex);
    if (index > 0) return { version: known, erasureIndex: index };
  }
  const version = versionOf(body);
  return version.type === 2 ? null : { version, erasureIndex: version.erasureIndex };
}

/** The shard's number in `body`, if that is all in which it differs from `other`, whose is `otherIndex`; else 0. */
function indexOfCopy(body: Uint8Array, other: Uint8Array, otherIndex: number): number {
  let at = 0;
  while (at < body.length && body[at] === other[at]) at++;
  const index = body[at] ?? 0;
  if (index < 1 || index > SHARDS_MAX || other[at] !== otherIndex || at < INDEX_KEY.length) return 0;
  for (let i = 0; i < INDEX_KEY.length; i++) if (body[at - INDEX_KEY.length + i] !== INDEX_KEY[i]) return 0;
  return Buffer.compare(body.subarray(at + 1), other.subarray(at + 1)) === 0 ? index : 0;
}

function bodyOn(reading: KeyReading, merged: MergedVersion, position: number): Uint8Array {
  const meta = present(reading.metas[position], "the xl.meta of a holder");
  return present(meta.find(merged.header.versionId), "the version of a holder").body;
}

export interface ShardSources {
  readonly layout: ShardLayout;
  /** Inline shard streams by shard index; undefined = that drive has none inline. */
  readonly inline: readonly (Uint8Array | undefined)[];
  readonly sizeBytes: number;
}

/** Where the shards of an object version are, by the metadata of the drives that have them. */
export function shardSources(reading: KeyReading, merged: MergedVersion): ShardSources {
  const sample = bodyOn(reading, merged, merged.holders[0] as number);
  const copies = merged.copies.map((position) => copyLike(bodyOn(reading, merged, position), sample));
  const first = copies[0]?.version;
  if (first === undefined) throw new QuorumError("ReadQuorum", "a delete marker has no data");
  const total = first.dataShards + first.parityShards;
  const places = new Array<ShardPlace | null>(total).fill(null);
  const inline = new Array<Uint8Array | undefined>(total).fill(undefined);
  let asDistributed = 0;
  for (const [i, copy] of copies.entries())
    if (copy !== null && copy.version.distribution[merged.copies[i] as number] === copy.erasureIndex) asDistributed++;
  const consistent = asDistributed > copies.length - Math.max(1, first.parityShards);
  for (const [i, copy] of copies.entries()) {
    if (copy === null) continue;
    const { version, erasureIndex } = copy;
    const position = merged.copies[i] as number;
    const index = (consistent ? erasureIndex : (version.distribution[position] ?? erasureIndex)) - 1;
    if (index < 0 || index >= total || places[index] !== null) continue;
    places[index] = { position, dataDir: version.dataDir };
    const data = (reading.metas[position] as XlMeta).inlineData(merged.header.versionId);
    if (data !== undefined && (data.length > 0 || first.sizeBytes === 0)) inline[index] = data;
  }
  const parts =
    first.type === 3
      ? first.parts.map((p) => ({ number: p.number, sizeBytes: p.sizeBytes }))
      : first.partNumbers.map((number, i) => ({ number, sizeBytes: first.partSizes[i] ?? 0 }));
  return {
    layout: {
      key: reading.key,
      k: first.dataShards,
      m: first.parityShards,
      blockBytes: first.blockSizeBytes,
      places,
      parts,
    },
    inline,
    sizeBytes: first.sizeBytes,
  };
}
