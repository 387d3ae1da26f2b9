/**
 * Reading data: k frames of each block, data shards first, hashes verified by the drive's job; on a bad, missing or
 * failing one the others are read and the block is rebuilt, and the damage is reported. A wrong hash counts as missing.
 * The next block is read while the current one is sent. Source: on-disk-format.md §3, §4, §8.4.
 */
import { assert } from "../core/assert.ts";
import type { Block } from "../core/block-pool.ts";
import type { ByteSink } from "../core/byte-stream.ts";
import { step } from "../sys/disk.ts";
import type { ObjectPath } from "../storage/drive.ts";
import type { ErasureSet } from "./erasure-set.ts";
import { QuorumError } from "../core/quorum-error.ts";
import { strideOf } from "./write-shards.ts";

const HASH_BYTES = 32;

/** Where shard `number - 1` of every part is: the drive's position and that drive's data directory. */
export interface ShardPlace {
  readonly position: number;
  readonly dataDir: string;
}
export interface ShardLayout {
  readonly key: ObjectPath;
  readonly k: number;
  readonly m: number;
  readonly blockBytes: number;
  /** By shard index 0..k+m-1; null = no drive has it. */
  readonly places: readonly (ShardPlace | null)[];
  readonly parts: readonly { readonly number: number; readonly sizeBytes: number }[];
}

/** Writes stored bytes [offset, offset + length) of the parts laid end to end. */
export async function streamShards(
  set: ErasureSet,
  layout: ShardLayout,
  range: { offset: number; length: number },
  sink: ByteSink,
): Promise<void> {
  const pieces = planPieces(layout, range.offset, range.length);
  const broken = new Set<number>(); // shards that failed once are not tried again first
  let next = nextBlock(set, layout, pieces, broken);
  try {
    while (next !== null) {
      const block = await next;
      next = null;
      try {
        next = nextBlock(set, layout, pieces, broken);
        await block.send(sink);
      } finally {
        block.release();
      }
    }
  } finally {
    if (next !== null) await next.then((block) => block.release(), ignore); // the reason is thrown already
  }
}

function ignore(): void {
  /* deliberately nothing: the first error is the one that counts */
}

interface Piece {
  readonly part: number;
  readonly partBytes: number;
  readonly block: number;
  /** Bytes of the block, and the wanted range inside it. */
  readonly bytes: number;
  readonly from: number;
  readonly to: number;
}

function* planPieces(layout: ShardLayout, offset: number, length: number): Generator<Piece> {
  let start = 0;
  const end = offset + length;
  for (const part of layout.parts) {
    const partEnd = start + part.sizeBytes;
    if (partEnd > offset && start < end) {
      const first = Math.floor(Math.max(0, offset - start) / layout.blockBytes);
      for (let block = first; block * layout.blockBytes < Math.min(part.sizeBytes, end - start); block++) {
        const blockStart = start + block * layout.blockBytes;
        const bytes = Math.min(layout.blockBytes, part.sizeBytes - block * layout.blockBytes);
        yield {
          part: part.number,
          partBytes: part.sizeBytes,
          block,
          bytes,
          from: Math.max(0, offset - blockStart),
          to: Math.min(bytes, end - blockStart),
        };
      }
    }
    start = partEnd;
  }
}

function nextBlock(
  set: ErasureSet,
  layout: ShardLayout,
  pieces: Generator<Piece>,
  broken: Set<number>,
): Promise<ReadBlock> | null {
  const piece = pieces.next();
  if (piece.done === true) return null;
  const reading = ReadBlock.read(set, layout, piece.value, broken);
  reading.then(ignore, ignore); // awaited one block later; until then a failure is not "unhandled"
  return reading;
}

class ReadBlock {
  /** Does a drive that hangs still hold the block? */
  private isShared = false;

  private constructor(
    private block: Block,
    private readonly piece: Piece,
    private readonly shardBytes: number,
    private readonly stride: number,
  ) {}

  static async read(set: ErasureSet, layout: ShardLayout, piece: Piece, broken: Set<number>): Promise<ReadBlock> {
    const shardBytes = Math.ceil(piece.bytes / layout.k);
    const stride = strideOf(shardBytes);
    const block = await set.resources.blocks.acquire(stride * (layout.k + layout.m));
    const result = new ReadBlock(block, piece, shardBytes, stride);
    try {
      await result.gather(set, layout, broken);
    } catch (error) {
      result.release();
      throw error;
    }
    return result;
  }

  private async gather(set: ErasureSet, layout: ShardLayout, broken: Set<number>): Promise<void> {
    const { k, m } = layout;
    const candidates = layout.places.map((_, shard) => shard).filter((shard) => layout.places[shard] !== null);
    candidates.sort((a, b) => Number(broken.has(a)) - Number(broken.has(b)) || a - b);
    let have = 0;
    let count = 0;
    let at = 0;
    while (count < k && at < candidates.length) {
      const tried = candidates.slice(at, at + (k - count));
      at += tried.length;
      const outcomes = await Promise.all(tried.map((shard) => this.readShard(set, layout, shard)));
      for (const [i, ok] of outcomes.entries()) {
        const shard = tried[i] as number;
        if (ok) {
          have |= 1 << shard;
          count++;
        } else broken.add(shard);
      }
    }
    if (broken.size > 0)
      set.resources.damage.report({ bucket: layout.key.bucket, path: layout.key.path, why: "shard" });
    if (count < k) {
      throw new QuorumError(
        "ReadQuorum",
        `${count} of ${k} needed shards of ${layout.key.bucket}/${layout.key.path} part ${this.piece.part} can be read`,
        { have: count, needed: k },
      );
    }
    if (this.isShared) await this.moveAway(set);
    const want = ((1 << k) - 1) & ~have;
    if (want === 0) return;
    const plan = set.resources.codec.plan(k, m);
    const { error } = await set.resources.jobs.run([
      step.rebuildSlots(plan, this.block.bytes, { stride: this.stride, shardBytes: this.shardBytes, have, want }),
    ]);
    assert(error === 0, "k shards rebuild the others");
  }

  private async readShard(set: ErasureSet, layout: ShardLayout, shard: number): Promise<boolean> {
    const place = layout.places[shard] as ShardPlace;
    const drive = set.drives[place.position];
    if (drive == null) return false;
    const full = Math.ceil(layout.blockBytes / layout.k);
    const slot = this.block.bytes.subarray(shard * this.stride, shard * this.stride + HASH_BYTES + this.shardBytes);
    const outcome = await drive.readFrames({ ...layout.key, dataDir: place.dataDir, part: this.piece.part }, [
      { slot, offset: this.piece.block * (HASH_BYTES + full) },
    ]);
    if (!outcome.ok && outcome.error.letsGo !== null) {
      this.isShared = true;
      this.block.holdUntil(outcome.error.letsGo);
    }
    return outcome.ok;
  }

  /** A drive that hangs may still write into its slot: what is sent lies elsewhere. */
  private async moveAway(set: ErasureSet): Promise<void> {
    const fresh = await set.resources.blocks.acquire(this.block.bytes.length);
    fresh.bytes.set(this.block.bytes.subarray(0, fresh.bytes.length));
    this.release();
    this.block = fresh;
  }

  async send(sink: ByteSink): Promise<void> {
    const { from, to } = this.piece;
    for (let at = from; at < to; ) {
      const shard = Math.floor(at / this.shardBytes);
      const end = Math.min(to, (shard + 1) * this.shardBytes);
      const start = shard * this.stride + HASH_BYTES + (at - shard * this.shardBytes);
      await sink.write(this.block.bytes.subarray(start, start + end - at));
      at = end;
    }
  }

  release(): void {
    this.block[Symbol.dispose]();
  }
}
