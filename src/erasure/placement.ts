/**
 * Where an object lies: which erasure set of a pool, which drive holds which shard, which pool takes a new one.
 * Pure arithmetic over names and free space; exactly MinIO's, because it finds objects by it.
 * `path` is always the encoded key (paths.ts). Source: docs/format.md §2.3-2.5.
 */
import { assert } from "../core/assert.ts";
import type { DriveSpace } from "../storage/drive.ts";
import { uuidBytes } from "../storage/uuid.ts";

/** `distributionAlgo` of format.json. */
export type PlacementAlgorithm = "SIPMOD+PARITY" | "SIPMOD" | "CRCMOD";

const TWO_32 = 0x1_0000_0000;

/** Chooses the set of a path within one pool. */
export class SetChooser {
  readonly #key: Uint8Array;

  /** `deploymentId`: UUID text. Throws FormatError if it is none. */
  constructor(
    readonly algorithm: PlacementAlgorithm,
    deploymentId: string,
    readonly setCount: number,
  ) {
    assert(Number.isInteger(setCount) && setCount >= 1, "a pool has at least one set");
    this.#key = uuidBytes(deploymentId);
  }

  /** Index of the set that holds `path`; the bucket does not matter. */
  choose(path: string | Uint8Array): number {
    if (this.setCount === 1) return 0;
    if (this.algorithm === "CRCMOD") return crc32(path) % this.setCount;
    const bytes = typeof path === "string" ? new TextEncoder().encode(path) : path;
    const [high, low] = sipHash24(this.#key, bytes);
    return ((high % this.setCount) * (TWO_32 % this.setCount) + (low % this.setCount)) % this.setCount;
  }
}

/** dist[i] = 1-based shard number of the drive at position i of the set; `name` is `<bucket>/<path>`. */
export function distribution(name: string | Uint8Array, driveCount: number): number[] {
  return distributionFrom(distributionStart(name, driveCount), driveCount);
}

/** Which of the `driveCount` distributions a name has. */
export function distributionStart(name: string | Uint8Array, driveCount: number): number {
  assert(driveCount >= 1, "a set has drives");
  return crc32(name) % driveCount;
}

export function distributionFrom(start: number, driveCount: number): number[] {
  const out: number[] = [];
  for (let position = 0; position < driveCount; position++) out.push(1 + ((start + position + 1) % driveCount));
  return out;
}

function crc32(bytes: string | Uint8Array): number {
  return Bun.hash.crc32(bytes) >>> 0;
}

// ---- SipHash-2-4 on pairs of 32-bit words: twenty times faster than with bigint

/** [high, low] words of the hash of `bytes` under a key of 16 bytes. */
export function sipHash24(key: Uint8Array, bytes: Uint8Array): readonly [number, number] {
  assert(key.length === 16, "a SipHash key has 16 bytes");
  const [k0l, k0h, k1l, k1h] = [word(key, 0, 4), word(key, 4, 8), word(key, 8, 12), word(key, 12, 16)];
  // Words v0..v3, low before high.
  const v = Int32Array.of(
    k0l ^ 0x70736575,
    k0h ^ 0x736f6d65,
    k1l ^ 0x6e646f6d,
    k1h ^ 0x646f7261,
    k0l ^ 0x6e657261,
    k0h ^ 0x6c796765,
    k1l ^ 0x79746573,
    k1h ^ 0x74656462,
  );
  const whole = bytes.length & ~7;
  for (let at = 0; at < whole; at += 8) absorb(v, word(bytes, at, at + 4), word(bytes, at + 4, at + 8));
  const low = word(bytes, whole, Math.min(whole + 4, bytes.length));
  const high = word(bytes, whole + 4, bytes.length) | (bytes.length << 24);
  absorb(v, low, high);
  v[4] = (v[4] as number) ^ 0xff;
  for (let round = 0; round < 4; round++) sipRound(v);
  const at = (index: number): number => v[index] as number;
  return [(at(1) ^ at(3) ^ at(5) ^ at(7)) >>> 0, (at(0) ^ at(2) ^ at(4) ^ at(6)) >>> 0];
}

/** Bytes [from, to) as a little-endian word; empty = 0. */
function word(bytes: Uint8Array, from: number, to: number): number {
  let out = 0;
  for (let index = from; index < to; index++) out |= (bytes[index] as number) << ((index - from) * 8);
  return out;
}

function absorb(v: Int32Array, low: number, high: number): void {
  v[6] = (v[6] as number) ^ low;
  v[7] = (v[7] as number) ^ high;
  sipRound(v);
  sipRound(v);
  v[0] = (v[0] as number) ^ low;
  v[1] = (v[1] as number) ^ high;
}

function sipRound(v: Int32Array): void {
  add(v, 0, 2);
  rotateXor(v, 2, 13, 0);
  swap(v, 0);
  add(v, 4, 6);
  rotateXor(v, 6, 16, 4);
  add(v, 0, 6);
  rotateXor(v, 6, 21, 0);
  add(v, 4, 2);
  rotateXor(v, 2, 17, 4);
  swap(v, 4);
}

/** v[to] += v[from], 64 bits. */
function add(v: Int32Array, to: number, from: number): void {
  const low = ((v[to] as number) >>> 0) + ((v[from] as number) >>> 0);
  v[to + 1] = (v[to + 1] as number) + (v[from + 1] as number) + (low >= TWO_32 ? 1 : 0);
  v[to] = low;
}

/** v[at] = rotl(v[at], bits) ^ v[other]; 0 < bits < 32. */
function rotateXor(v: Int32Array, at: number, bits: number, other: number): void {
  const low = v[at] as number;
  const high = v[at + 1] as number;
  v[at] = ((low << bits) | (high >>> (32 - bits))) ^ (v[other] as number);
  v[at + 1] = ((high << bits) | (low >>> (32 - bits))) ^ (v[other + 1] as number);
}

/** Rotation by 32 bits. */
function swap(v: Int32Array, at: number): void {
  const low = v[at] as number;
  v[at] = v[at + 1] as number;
  v[at + 1] = low;
}

// ---- pool choice

export interface PoolSpace {
  /** Drives of the set that would take the object; null = not known now. */
  readonly drives: readonly (DriveSpace | null)[];
  readonly setCount: number;
  /** Being drained or rebalanced: takes no new objects. */
  readonly isExcluded: boolean;
}

const UNKNOWN_SIZE_BYTES = 1024 ** 3;
const FREE_INODES_MIN = 1000;
const LEFT_FRACTION_MIN = 0.01;
const FULL_FRACTION = 0.85;

/** Bytes by which each pool is weighted for an object of `sizeBytes` (-1 = unknown); 0 = cannot take it. */
export function poolWeights(pools: readonly PoolSpace[], sizeBytes: number, isSystem: boolean): number[] {
  const needed = 2 * (sizeBytes < 0 ? UNKNOWN_SIZE_BYTES : sizeBytes);
  const weights = pools.map((pool) => (pool.isExcluded || !(isSystem || hasRoom(pool, needed)) ? 0 : available(pool)));
  const roomy = weights.map((weight, index) => (isNearlyFull(pools[index]) ? 0 : weight));
  return roomy.some((weight) => weight > 0) ? roomy : weights;
}

/** Index of a pool drawn by weight; -1 if none can take it. `chance` in [0, 1). */
export function drawPool(weights: readonly number[], chance: number): number {
  assert(chance >= 0 && chance < 1, "chance is in [0, 1)");
  let left = weights.reduce((sum, weight) => sum + weight, 0) * chance;
  let last = -1;
  for (const [index, weight] of weights.entries()) {
    if (weight <= 0) continue;
    last = index;
    if (left < weight) return index;
    left -= weight;
  }
  return last;
}

function knownDrives(pool: PoolSpace): DriveSpace[] {
  return pool.drives.filter((drive) => drive !== null);
}

function available(pool: PoolSpace): number {
  const free = knownDrives(pool).reduce((sum, drive) => sum + Math.max(0, drive.totalBytes - drive.usedBytes), 0);
  return free * pool.setCount;
}

function hasRoom(pool: PoolSpace, neededBytes: number): boolean {
  const drives = knownDrives(pool);
  if (drives.length === 0 || drives.length < Math.floor(pool.drives.length / 2)) return false;
  const perDrive = neededBytes / drives.length;
  for (const drive of drives) {
    if (drive.freeBytes <= perDrive) return false;
    // File systems without a fixed number of inodes tell 0 of 0.
    if (drive.totalInodes > 0 && drive.freeInodes < FREE_INODES_MIN) return false;
  }
  const total = drives.reduce((sum, drive) => sum + drive.totalBytes, 0);
  const left = drives.reduce((sum, drive) => sum + drive.totalBytes - drive.usedBytes, 0) - neededBytes;
  return left > total * LEFT_FRACTION_MIN;
}

function isNearlyFull(pool: PoolSpace | undefined): boolean {
  if (pool === undefined) return true;
  return knownDrives(pool).some((drive) => drive.totalBytes > 0 && drive.usedBytes / drive.totalBytes >= FULL_FRACTION);
}
