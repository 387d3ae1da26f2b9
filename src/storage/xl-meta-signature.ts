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
/** Low word before high. */
const KEY_MASK = [0x7ab2506b, 0x4ee3bbaf] as const;
const VALUE_MASK = [0x66194257, 0x8da4c8da] as const;
const TWO_32 = 0x1_0000_0000;

/** The hash of a version, of 64 bits, from its parts in any order. As two words: of a bigint each step would be an object. */
export class VersionHash {
  private low = 0;
  private high = 0;
  private readonly buffer = new ArrayBuffer(8);
  private readonly given = new BigUint64Array(this.buffer);
  /** Of `given`; the processors that we run on are little-endian. */
  private readonly words = new Uint32Array(this.buffer);

  get value(): bigint {
    return (BigInt(this.high >>> 0) << 32n) | BigInt(this.low >>> 0);
  }

  add(hash: bigint): this {
    this.given[0] = hash;
    this.low ^= this.words[0] as number;
    this.high ^= this.words[1] as number;
    return this;
  }

  /** Metadata in any order; an empty map gives the seed. */
  addUser(map: ReadonlyMap<string, string>): this {
    return this.add(SEED_USER).addMap(map);
  }
  addSystem(map: ReadonlyMap<string, Uint8Array>): this {
    return this.add(SEED_SYSTEM).addMap(map);
  }

  private addMap(map: ReadonlyMap<string, string | Uint8Array>): this {
    const { given, words } = this;
    for (const key of map.keys()) {
      given[0] = Bun.hash.xxHash3(key);
      const keyLow = ((words[0] as number) ^ KEY_MASK[0]) >>> 0;
      const keyHigh = ((words[1] as number) ^ KEY_MASK[1]) >>> 0;
      given[0] = Bun.hash.xxHash3(map.get(key) as string | Uint8Array);
      const low = keyLow + (((words[0] as number) ^ VALUE_MASK[0]) >>> 0);
      const carry = low >= TWO_32 ? 1 : 0;
      this.low ^= low;
      this.high ^= keyHigh + (((words[1] as number) ^ VALUE_MASK[1]) >>> 0) + carry;
    }
    return this;
  }

  /** Low word of h ^ (h >> 32), stored little-endian and read back big-endian. */
  folded(): number {
    const word = this.low ^ this.high;
    return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
  }
}

export function signatureOf(version: AnyVersion | Uint8Array): number {
  const v = version instanceof Uint8Array ? decodeVersion(version) : version;
  const writer = new MsgpackWriter();
  const hash = new VersionHash();
  if (v.type === 1) {
    hash.addUser(v.metaUsr).addSystem(v.metaSys);
    writeObjectFields(writer, v, "signed");
  } else if (v.type === 2) {
    hash.addSystem(v.metaSys);
    writeMarkerFields(writer, v, "signed");
  } else {
    hash.addUser(v.meta);
    writeLegacy(writer, { ...v, erasureIndex: 0, release: "", meta: new Map() });
  }
  return hash.add(Bun.hash.xxHash64(writer.finish())).folded();
}
