/**
 * The four-byte signature of a version: equal on every drive that holds the same version, whatever its shard number and
 * whatever the order of its metadata. Given as the uint32 whose big-endian bytes are stored, so that comparing numbers
 * compares the stored bytes. Source: docs/format.md §5.7.
 */
import { MsgpackWriter } from "../core/msgpack.ts";
import { writeLegacy } from "./xl-meta-legacy.ts";
import { type AnyVersion, decodeVersion, writeMarkerFields, writeObjectFields } from "./xl-meta-version.ts";

const SEED_USER = 0xc2b40bbac11a7295n;
const SEED_SYSTEM = 0x1bbc7e1dde654743n;
const KEY_MASK = 0x4ee3bbaf7ab2506bn;
const VALUE_MASK = 0x8da4c8da66194257n;

/** Order-independent hash of a map; an empty map gives the seed. */
export function mapHash(map: ReadonlyMap<string, string | Uint8Array>, seed: bigint): bigint {
  let hash = seed;
  for (const [key, value] of map) {
    const sum = (Bun.hash.xxHash3(key) ^ KEY_MASK) + (Bun.hash.xxHash3(value) ^ VALUE_MASK);
    hash ^= BigInt.asUintN(64, sum);
  }
  return hash;
}

export function userMapHash(map: ReadonlyMap<string, string>): bigint {
  return mapHash(map, SEED_USER);
}

export function systemMapHash(map: ReadonlyMap<string, Uint8Array>): bigint {
  return mapHash(map, SEED_SYSTEM);
}

export function signatureOf(version: AnyVersion | Uint8Array): number {
  const v = version instanceof Uint8Array ? decodeVersion(version) : version;
  const writer = new MsgpackWriter();
  let hash: bigint;
  if (v.type === 1) {
    hash = userMapHash(v.metaUsr) ^ systemMapHash(v.metaSys);
    writeObjectFields(writer, v, "signed");
  } else if (v.type === 2) {
    hash = systemMapHash(v.metaSys);
    writeMarkerFields(writer, v, "signed");
  } else {
    hash = userMapHash(v.meta);
    writeLegacy(writer, { ...v, erasureIndex: 0, release: "", meta: new Map() });
  }
  return folded(hash ^ Bun.hash.xxHash64(writer.finish()));
}

/** Low word of h ^ (h >> 32), stored little-endian and read back big-endian. */
function folded(hash: bigint): number {
  const word = Number(BigInt.asUintN(32, hash ^ (hash >> 32n)));
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}
