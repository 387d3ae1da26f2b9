/** From what drives hold to what the layers above see: one agreed version, and where its shards are. */
import { present } from "../core/assert.ts";
import { encodedKey } from "../core/msgpack.ts";
import { decodedVersion, type XlVersion } from "../storage/xl-meta-container.ts";
import type { XlHeader } from "../storage/xl-meta-header.ts";
import type { AnyVersion } from "../storage/xl-meta-version.ts";
import type { XlMeta } from "../storage/xl-meta.ts";
import { summarize, type VersionSummary } from "../storage/version-summary.ts";
import { QuorumError } from "../core/quorum-error.ts";
import type { LocatedKey } from "./locate.ts";
import type { MergedVersion } from "./quorum.ts";
import type { ShardLayout, ShardPlace } from "./read-shards.ts";
import type { KeyReading } from "./read-version.ts";
import type { StoredPart, StoredVersion } from "./store.ts";

const NO_BYTES: ReadonlyMap<string, Uint8Array> = new Map();
const NO_TEXTS: ReadonlyMap<string, string> = new Map();
const INLINE_FLAG = 4;

export interface VersionPlace {
  readonly isLatest: boolean;
  readonly versionCount: number;
}

export function storedVersion(reading: KeyReading, merged: MergedVersion, place: VersionPlace): StoredVersion {
  return asStored(merged.header, decodedOn(reading, merged, merged.holders[0] as number), place);
}

/** The same of a header and a body. */
export function asStored(header: XlHeader, body: AnyVersion, place: VersionPlace): StoredVersion {
  const hasData = body.type !== 2;
  return {
    versionId: header.versionId,
    modTimeNs: header.modTime,
    isLatest: place.isLatest,
    versionCount: place.versionCount,
    isDeleteMarker: !hasData,
    sizeBytes: hasData ? body.sizeBytes : 0,
    parts: storedParts(body),
    metaUsr: body.type === 1 ? body.metaUsr : body.type === 3 ? body.meta : NO_TEXTS,
    metaSys: body.type === 3 ? NO_BYTES : body.metaSys,
    dataDir: hasData ? body.dataDir : "",
    dataShards: hasData ? body.dataShards : 0,
    parityShards: hasData ? body.parityShards : 0,
    isInline: body.type === 1 && (header.flags & INLINE_FLAG) !== 0,
  };
}

function storedParts(body: AnyVersion): StoredPart[] {
  const parts: StoredPart[] = [];
  if (body.type === 1)
    for (let i = 0; i < body.partNumbers.length; i++) {
      const sizeBytes = body.partSizes[i] ?? 0;
      const actualBytes = body.partActualSizes[i] ?? sizeBytes;
      parts.push({
        number: body.partNumbers[i] as number,
        sizeBytes,
        actualBytes,
        index: body.partIndices?.[i] ?? null,
      });
    }
  else if (body.type === 3)
    for (const { number, sizeBytes, actualBytes } of body.parts) parts.push({ number, sizeBytes, actualBytes });
  return parts;
}

/** What a listing shows of the versions that the pools agree on, newest first. */
export function listedVersions(located: LocatedKey): readonly VersionSummary[] {
  return located.versions.map(({ reading, merged }) =>
    summarize(decodedOn(reading, merged, merged.holders[0] as number)),
  );
}

const INDEX_KEY = encodedKey("EcIndex");
const SHARDS_MAX = 16;

/** A version, and which shard of it one drive has. */
interface Copy {
  readonly version: Exclude<AnyVersion, { type: 2 }>;
  readonly erasureIndex: number;
}

/**
 * The copy in `found`, of which `other` is another drive's: nearly always they differ in the shard's number alone, and then
 * it need not be decoded again. null = a delete marker.
 */
function copyLike(found: XlVersion, other: XlVersion): Copy | null {
  const known = decodedVersion(other);
  if (found !== other && known.type === 1 && found.body.length === other.body.length) {
    const index = indexOfCopy(found.body, other.body, known.erasureIndex);
    if (index > 0) return { version: known, erasureIndex: index };
  }
  const version = decodedVersion(found);
  return version.type === 2 ? null : { version, erasureIndex: version.erasureIndex };
}

/** The shard's number in `body`, if that is all in which it differs from `other`, whose is `otherIndex`; else 0. */
function indexOfCopy(body: Uint8Array, other: Uint8Array, otherIndex: number): number {
  let at = 0;
  while (at < body.length && body[at] === other[at]) at++;
  const index = body[at] ?? 0;
  if (index < 1 || index > SHARDS_MAX || other[at] !== otherIndex || at < INDEX_KEY.length) return 0;
  for (let i = 0; i < INDEX_KEY.length; i++) if (body[at - INDEX_KEY.length + i] !== INDEX_KEY[i]) return 0;
  for (let i = at + 1; i < body.length; i++) if (body[i] !== other[i]) return 0;
  return index;
}

function versionOn(reading: KeyReading, merged: MergedVersion, position: number): XlVersion {
  const meta = present(reading.metas[position], "the xl.meta of a holder");
  return present(meta.find(merged.header.versionId), "the version of a holder");
}

function decodedOn(reading: KeyReading, merged: MergedVersion, position: number): AnyVersion {
  return decodedVersion(versionOn(reading, merged, position));
}

export interface ShardSources {
  readonly layout: ShardLayout;
  /** Inline shard streams by shard index; undefined = that drive has none inline. */
  readonly inline: readonly (Uint8Array | undefined)[];
  readonly sizeBytes: number;
}

/** Where the shards of an object version are, by the metadata of the drives that have them. */
export function shardSources(reading: KeyReading, merged: MergedVersion): ShardSources {
  const sample = versionOn(reading, merged, merged.holders[0] as number);
  const copies: (Copy | null)[] = [];
  let asDistributed = 0;
  for (const position of merged.copies) {
    const copy = copyLike(versionOn(reading, merged, position), sample);
    copies.push(copy);
    if (copy !== null && copy.version.distribution[position] === copy.erasureIndex) asDistributed++;
  }
  const first = copies[0]?.version;
  if (first === undefined) throw new QuorumError("ReadQuorum", "a delete marker has no data");
  const total = first.dataShards + first.parityShards;
  const places = new Array<ShardPlace | null>(total).fill(null);
  const inline = new Array<Uint8Array | undefined>(total).fill(undefined);
  const consistent = asDistributed > copies.length - Math.max(1, first.parityShards);
  for (let i = 0; i < copies.length; i++) {
    const copy = copies[i] ?? null;
    if (copy === null) continue;
    const { version, erasureIndex } = copy;
    const position = merged.copies[i] as number;
    const index = (consistent ? erasureIndex : (version.distribution[position] ?? erasureIndex)) - 1;
    if (index < 0 || index >= total || places[index] !== null) continue;
    places[index] = { position, dataDir: version.dataDir };
    const data = (reading.metas[position] as XlMeta).inlineData(merged.header.versionId);
    if (data !== undefined && (data.length > 0 || first.sizeBytes === 0)) inline[index] = data;
  }
  return {
    layout: {
      key: reading.key,
      k: first.dataShards,
      m: first.parityShards,
      blockBytes: first.blockSizeBytes,
      places,
      parts: storedParts(first),
    },
    inline,
    sizeBytes: first.sizeBytes,
  };
}
