/**
 * The usual read, in one turn: a key of one version whose xl.meta the drives that are asked first have in memory, nothing in
 * doubt, and agree on. It says what `readKey` would say, at a third of the cost; whatever is not usual is left to that.
 */
import { HASH_BYTES, shardBytesOf } from "../codec/bitrot.ts";
import type { Glance } from "../codec/glance.ts";
import { FormatError } from "../core/format-error.ts";
import { MsgpackReader } from "../core/msgpack.ts";
import type { ObjectPath } from "../storage/drive.ts";
import { readHeader, VERSION_FLAG, type XlHeader } from "../storage/xl-meta-header.ts";
import { type AnyVersion, isReadable, type ObjectVersion, readVersion } from "../storage/xl-meta-version.ts";
import type { ErasureSet } from "./erasure-set.ts";
import { DataInMemory, NO_DATA, type OpenedData } from "./open-version.ts";
import { fewOf, witnessesOf } from "./read-version.ts";
import type { StoredVersion } from "./store.ts";
import { asStored } from "./stored-version.ts";

const HEADER_VERSION = 3;
const NOTHING = new Uint8Array(0);
const SOLE = { isLatest: true, versionCount: 1 } as const;

export interface QuickVersion {
  readonly version: StoredVersion;
  /** None, if nobody asked for it. */
  readonly data: OpenedData;
}

/**
 * The version that a key has in the set of the only pool, or null: read it otherwise. `versionId`: no other one than this will do.
 * `withContent`: nor one whose content is not in memory too.
 */
export function quickRead(
  sets: readonly ErasureSet[],
  key: ObjectPath,
  versionId: string | undefined,
  withContent: boolean,
): QuickVersion | null {
  const [set] = sets;
  if (set === undefined || sets.length > 1) return null;
  const { glance } = set.resources.codec;
  const few = fewOf(set);
  if (few > glance.slots.length || !takeFiles(set, key, few, glance) || !glance.look(few)) return null;
  const found = decoded(glance);
  if (found === null || !isUsual(found, few, glance)) return null;
  const { header, body } = found;
  if (versionId !== undefined && header.versionId !== versionId) return null;
  if (!withContent || body.type !== 1) return { version: asStored(header, body, SOLE), data: NO_DATA };
  const content = contentOf(header, body, glance);
  return content === null ? null : { version: asStored(header, body, SOLE), data: new DataInMemory(content) };
}

/** False: a drive that has to be asked has nothing at hand. */
function takeFiles(set: ErasureSet, key: ObjectPath, few: number, glance: Glance): boolean {
  const order = witnessesOf(set, key, few);
  if (order === null) return false;
  for (let n = 0; n < few; n++) {
    const bytes = set.drives[order[n] as number]?.copyNow(key, glance.slots[n] as Uint8Array) ?? 0;
    if (bytes <= 0) return false;
    glance.setSize(n, bytes);
  }
  return true;
}

interface Decoded {
  readonly header: XlHeader;
  readonly body: AnyVersion;
}

/** Of the first file; null = it cannot be read. */
function decoded({ header, body, lent }: Glance): Decoded | null {
  try {
    return {
      header: readHeader(new MsgpackReader(lent, header.from, header.to), HEADER_VERSION),
      body: readVersion(new MsgpackReader(lent, body.from, body.to)),
    };
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

/** Is it a version that `few` copies prove, and that clients see? */
function isUsual({ header, body }: Decoded, few: number, glance: Glance): boolean {
  if (header.isFreeVersion || header.type !== body.type) return false;
  if (body.type === 2) return true;
  if (body.type !== 1 || !isReadable(body) || body.dataShards !== header.ecM || body.dataShards > few) return false;
  return few === 1 || glance.shardNumber(0) === body.erasureIndex;
}

/** From data shards inline in the files, which are good and in the order of the drives; null = it is not so. */
function contentOf({ flags }: XlHeader, body: ObjectVersion, glance: Glance): Uint8Array | null {
  const { sizeBytes, blockSizeBytes, dataShards: k, versionId } = body;
  if (sizeBytes === 0) return NOTHING;
  const isInline = (flags & VERSION_FLAG.inlineData) !== 0 && glance.dataKey === versionId;
  if (!isInline || sizeBytes < 0 || sizeBytes > blockSizeBytes || body.erasureIndex !== 1) return null;
  const shardBytes = shardBytesOf(sizeBytes, k);
  const content = new Uint8Array(new ArrayBuffer(sizeBytes));
  for (let shard = 0; shard * shardBytes < sizeBytes; shard++) {
    const frame = glance.data(shard);
    if (shard > 0 && glance.shardNumber(shard) !== shard + 1) return null;
    if (frame.to - frame.from !== HASH_BYTES + shardBytes || !glance.isGood(frame)) return null;
    const at = shard * shardBytes;
    const from = frame.from + HASH_BYTES;
    glance.lent.text.copy(content, at, from, from + Math.min(shardBytes, sizeBytes - at));
  }
  return content;
}
