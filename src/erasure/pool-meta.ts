/**
 * `pool.bin`: the pools of a deployment by their command-line argument, and which of them are being drained.
 * Saved in every pool, read from the first. A pool takes no new objects exactly while `decommission` is set, whatever its
 * flags say. Times are ns since 1970. Throws FormatError. Source: docs/format.md §7.6.
 */
import { FormatError } from "../core/format-error.ts";
import { GO_ZERO_TIME } from "../core/go-time.ts";
import { MsgpackReader, MsgpackWriter } from "../core/msgpack.ts";

export const POOL_META_PATH = "pool.bin";

export interface Decommission {
  readonly startTime: bigint;
  readonly startSizeBytes: number;
  readonly totalSizeBytes: number;
  readonly currentSizeBytes: number;
  readonly isComplete: boolean;
  readonly isFailed: boolean;
  readonly isCanceled: boolean;
  readonly queuedBuckets: readonly string[];
  readonly doneBuckets: readonly string[];
  /** Where it stands. */
  readonly bucket: string;
  readonly prefix: string;
  readonly object: string;
  readonly itemsDone: number;
  readonly itemsFailed: number;
  readonly bytesDone: number;
  readonly bytesFailed: number;
}

export interface PoolStatus {
  readonly id: number;
  /** The argument of the command line, verbatim. */
  readonly argument: string;
  readonly lastUpdate: bigint;
  /** null = takes new objects. */
  readonly decommission: Decommission | null;
}

const FORMAT_BYTES = 4;
const META_VERSION = 1;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export function decodePoolMeta(bytes: Uint8Array): PoolStatus[] {
  const [format0, format1, version0, version1] = bytes;
  if (bytes.length <= FORMAT_BYTES || format0 !== 1 || format1 !== 0 || version0 !== 1 || version1 !== 0) {
    throw new FormatError("pool.bin: unknown format or version");
  }
  const reader = new MsgpackReader(bytes, FORMAT_BYTES);
  const count = reader.mapHeader();
  let pools: PoolStatus[] = [];
  for (let index = 0; index < count; index++) {
    const key = reader.str();
    if (key === "v") {
      const version = reader.int();
      if (version !== META_VERSION) throw new FormatError(`pool.bin: version ${version} is not known`);
    } else if (key === "pls") pools = readList(reader, readPool);
    else reader.skip();
  }
  return pools;
}

function readList<T>(reader: MsgpackReader, item: (reader: MsgpackReader) => T): T[] {
  if (reader.takeNil()) return [];
  const count = reader.arrayHeader();
  const out: T[] = [];
  for (let index = 0; index < count; index++) out.push(item(reader));
  return out;
}

function readPool(reader: MsgpackReader): PoolStatus {
  const out: Mutable<PoolStatus> = { id: 0, argument: "", lastUpdate: GO_ZERO_TIME, decommission: null };
  const count = reader.mapHeader();
  for (let index = 0; index < count; index++) {
    const key = reader.str();
    if (key === "id") out.id = reader.int();
    else if (key === "cl") out.argument = reader.str();
    else if (key === "lu") out.lastUpdate = reader.time();
    else if (key === "dec") out.decommission = reader.takeNil() ? null : readDecommission(reader);
    else reader.skip();
  }
  return out;
}

const COUNTERS = {
  ss: "startSizeBytes",
  ts: "totalSizeBytes",
  cs: "currentSizeBytes",
  id: "itemsDone",
  idf: "itemsFailed",
  bd: "bytesDone",
  bf: "bytesFailed",
} as const;
const FLAGS = { cmp: "isComplete", fl: "isFailed", cnl: "isCanceled" } as const;
const LISTS = { bkts: "queuedBuckets", dbkts: "doneBuckets" } as const;
const TEXTS = { bkt: "bucket", pfx: "prefix", obj: "object" } as const;
/** In the order of writing. */
const DECOMMISSION_KEYS = [
  "st",
  "ss",
  "ts",
  "cs",
  "cmp",
  "fl",
  "cnl",
  "bkts",
  "dbkts",
  "bkt",
  "pfx",
  "obj",
  "id",
  "idf",
  "bd",
  "bf",
] as const;

function isKeyOf<T extends object>(table: T, key: string): key is Extract<keyof T, string> {
  return Object.hasOwn(table, key);
}

function readDecommission(reader: MsgpackReader): Decommission {
  const out: Mutable<Decommission> = {
    startTime: GO_ZERO_TIME,
    startSizeBytes: 0,
    totalSizeBytes: 0,
    currentSizeBytes: 0,
    isComplete: false,
    isFailed: false,
    isCanceled: false,
    queuedBuckets: [],
    doneBuckets: [],
    bucket: "",
    prefix: "",
    object: "",
    itemsDone: 0,
    itemsFailed: 0,
    bytesDone: 0,
    bytesFailed: 0,
  };
  const count = reader.mapHeader();
  for (let index = 0; index < count; index++) {
    const key = reader.str();
    if (key === "st") out.startTime = reader.time();
    else if (isKeyOf(COUNTERS, key)) out[COUNTERS[key]] = reader.int();
    else if (isKeyOf(FLAGS, key)) out[FLAGS[key]] = reader.bool();
    else if (isKeyOf(LISTS, key)) out[LISTS[key]] = readList(reader, (r) => r.str());
    else if (isKeyOf(TEXTS, key)) out[TEXTS[key]] = reader.str();
    else reader.skip();
  }
  return out;
}

export function encodePoolMeta(pools: readonly PoolStatus[]): Uint8Array {
  const writer = new MsgpackWriter();
  writer.raw(Uint8Array.of(1, 0, 1, 0));
  writer.mapHeader(2);
  writer.str("v");
  writer.int(META_VERSION);
  writer.str("pls");
  writer.arrayHeader(pools.length);
  for (const pool of pools) {
    writer.mapHeader(4);
    writer.str("id");
    writer.int(pool.id);
    writer.str("cl");
    writer.str(pool.argument);
    writer.str("lu");
    writer.time(pool.lastUpdate);
    writer.str("dec");
    if (pool.decommission === null) writer.nil();
    else writeDecommission(writer, pool.decommission);
  }
  return writer.finish();
}

function writeDecommission(writer: MsgpackWriter, status: Decommission): void {
  writer.mapHeader(DECOMMISSION_KEYS.length);
  for (const key of DECOMMISSION_KEYS) {
    writer.str(key);
    if (key === "st") writer.time(status.startTime);
    else if (isKeyOf(COUNTERS, key)) writer.int(status[COUNTERS[key]]);
    else if (isKeyOf(FLAGS, key)) writer.bool(status[FLAGS[key]]);
    else if (isKeyOf(TEXTS, key)) writer.str(status[TEXTS[key]]);
    else if (isKeyOf(LISTS, key)) {
      const names = status[LISTS[key]];
      writer.arrayHeader(names.length);
      for (const name of names) writer.str(name);
    }
  }
}

/**
 * The status for these command-line arguments: known pools keep theirs, new ones begin at `nowNs`. Null if `known` is
 * right already and need not be saved.
 */
export function reconcilePools(
  known: readonly PoolStatus[],
  poolArguments: readonly string[],
  nowNs: bigint,
): PoolStatus[] | null {
  const isSame =
    known.length === poolArguments.length && known.every(({ argument }, index) => argument === poolArguments[index]);
  if (isSame) return null;
  return poolArguments.map((argument, id) => {
    const old = known.find((pool) => pool.argument === argument);
    return old === undefined ? { id, argument, lastUpdate: nowNs, decommission: null } : { ...old, id };
  });
}
