/**
 * Reading data: k frames of each block, data shards first, hashes verified by the drive's job; on a bad, missing or
 * failing one the others are read and the block is rebuilt, and the damage is reported. A wrong hash counts as missing, and so does a
 * drive that takes its time, as far as the others suffice.
 * The next block is read while the current one is sent. Source: on-disk-format.md §3, §4, §8.4.
 */
import { assert } from "../core/assert.ts";
import { bad } from "../core/fan-out.ts";
import type { Block } from "../core/block-pool.ts";
import type { ByteSink } from "../core/byte-stream.ts";
import { step } from "../sys/disk.ts";
import { type DriveOutcome, letGo, type ObjectPath } from "../storage/drive.ts";
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

/**
 * Writes stored bytes [offset, offset + length) of the parts laid end to end. `canAskMore`: the caller knows of more drives, so that one that
 * hangs and cannot be done without ends it.
 */
export async function streamShards(
  set: ErasureSet,
  layout: ShardLayout,
  range: { offset: number; length: number; canAskMore?: boolean },
  sink: ByteSink,
): Promise<void> {
  const isPatient = range.canAskMore !== true;
  const blocks = new BlockReader(set, layout, planPieces(layout, range.offset, range.length), isPatient);
  let next = blocks.next();
  try {
    while (next !== null) {
      const block = await next;
      next = null;
      try {
        next = blocks.ahead();
        await block.send(sink);
      } finally {
        block.release();
      }
      next ??= blocks.next();
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

/** Hands out the blocks of a range in order, each in memory of the read pool. */
class BlockReader {
  /** Shards that failed once are not tried again first. */
  private readonly broken = new Set<number>();
  /** Must there be room for parity shards too? */
  private needsParity: boolean;
  private piece: Piece | undefined;

  constructor(
    private readonly set: ErasureSet,
    private readonly layout: ShardLayout,
    private readonly pieces: Iterator<Piece>,
    /** Waits for drives that hang where there are no others. */
    private readonly isPatient: boolean,
  ) {
    const hangs = (place: ShardPlace | null): boolean => place === null || set.patience.isHanging(place.position);
    this.needsParity = layout.places.slice(0, layout.k).some(hangs);
    this.advance();
  }

  private advance(): void {
    const { done, value } = this.pieces.next();
    this.piece = done === true ? undefined : value;
  }

  /** Null: there are no more. */
  next(): Promise<ReadBlock> | null {
    const { piece } = this;
    if (piece === undefined) return null;
    this.advance();
    return this.noted(
      this.set.resources.readBlocks.acquire(this.bytesOf(piece)).then((block) => this.read(piece, block)),
    );
  }

  /** The next block, if there is memory to read it while the one before is sent: slow clients must not hold what others need. */
  ahead(): Promise<ReadBlock> | null {
    const { piece } = this;
    if (piece === undefined) return null;
    const block = this.set.resources.readBlocks.tryAcquire(this.bytesOf(piece));
    if (block === null) return null;
    this.advance();
    return this.noted(this.read(piece, block));
  }

  private bytesOf(piece: Piece): number {
    const { k, m } = this.layout;
    return strideOf(Math.ceil(piece.bytes / k)) * (this.needsParity ? k + m : k);
  }

  /** Awaited one block later; until then a failure is not "unhandled". */
  private noted(reading: Promise<ReadBlock>): Promise<ReadBlock> {
    reading.then(ignore, ignore);
    return reading;
  }

  private async read(piece: Piece, block: Block): Promise<ReadBlock> {
    const { set, layout, broken, isPatient } = this;
    const first = new ReadBlock(block, layout, piece);
    try {
      if (await first.gather(set, { broken, isPatient })) return first;
    } catch (error) {
      first.release();
      throw error;
    }
    first.release(); // there was room for the data shards alone, and one of them is not good
    this.needsParity = true;
    const second = new ReadBlock(await set.resources.readBlocks.acquire(this.bytesOf(piece)), layout, piece);
    try {
      await second.gather(set, { broken, isPatient });
      return second;
    } catch (error) {
      second.release();
      throw error;
    }
  }
}

class ReadBlock {
  /** Does a drive that hangs still hold the block? */
  private isShared = false;
  /** Shards that are not there yet, and were not waited for. */
  private readonly slow: { readonly shard: number; readonly reading: Promise<DriveOutcome<void>> }[] = [];
  private readonly shardBytes: number;
  private readonly stride: number;

  constructor(
    private block: Block,
    private readonly layout: ShardLayout,
    private readonly piece: Piece,
  ) {
    this.shardBytes = Math.ceil(piece.bytes / layout.k);
    this.stride = strideOf(this.shardBytes);
  }

  /** Slots that the memory has: of the data shards, or of all. */
  private get slots(): number {
    const { k, m } = this.layout;
    return this.block.bytes.length >= this.stride * (k + m) ? k + m : k;
  }

  /** False: a data shard is not good, and there is no room for others. */
  async gather(
    set: ErasureSet,
    { broken, isPatient }: { readonly broken: Set<number>; readonly isPatient: boolean },
  ): Promise<boolean> {
    const { k, m, places, key } = this.layout;
    const { slots } = this;
    const candidates = [...places.keys()].filter((shard) => places[shard] !== null && shard < slots);
    const hindrance = (shard: number): number =>
      broken.has(shard) ? 2 : Number(set.patience.isHanging((places[shard] as ShardPlace).position));
    candidates.sort((a, b) => hindrance(a) - hindrance(b) || a - b);
    let have = 0;
    let count = 0;
    for (let at = 0; count < k && at < candidates.length; ) {
      const tried = candidates.slice(at, at + (k - count));
      at += tried.length;
      const readings = tried.map((shard) => this.readShard(set, shard));
      const positions = tried.map((shard) => (places[shard] as ShardPlace).position);
      const outcomes = m === 0 ? await Promise.all(readings) : await set.patience.wait(positions, readings);
      for (const [i, outcome] of outcomes.entries()) {
        const shard = tried[i] as number;
        if (outcome === null) this.leave(shard, readings[i] as Promise<DriveOutcome<void>>);
        else if (outcome.ok) {
          have |= 1 << shard;
          count++;
        } else {
          broken.add(shard);
          if (outcome.error.letsGo !== null) this.share(outcome.error.letsGo);
        }
      }
    }
    const hasOthers = places.slice(slots).some((place) => place !== null);
    if (isPatient && !hasOthers)
      for (const { shard, reading } of this.slow) {
        if (count >= k) break;
        if (!(await reading).ok) continue;
        have |= 1 << shard;
        count++;
      }
    if (broken.size > 0) set.resources.damage.report({ bucket: key.bucket, path: key.path, why: "shard" });
    if (count < k && hasOthers) return false;
    if (count < k) throw this.tooFew(count);
    if (this.isShared) await this.moveAway(set);
    await this.rebuild(set, have);
    return true;
  }

  private tooFew(count: number): QuorumError {
    const { k, key } = this.layout;
    return new QuorumError(
      "ReadQuorum",
      `${count} of ${k} needed shards of ${key.bucket}/${key.path} part ${this.piece.part} can be read`,
      { have: count, needed: k },
    );
  }

  /** The data shards that are not among those that were read. */
  private async rebuild(set: ErasureSet, have: number): Promise<void> {
    const { k, m } = this.layout;
    const want = ((1 << k) - 1) & ~have;
    if (want === 0) return;
    const plan = set.resources.codec.plan(k, m);
    const { error } = await set.resources.jobs.run([
      step.rebuildSlots(plan, this.block.bytes, { stride: this.stride, shardBytes: this.shardBytes, have, want }),
    ]);
    assert(error === 0, "k shards rebuild the others");
  }

  private readShard(set: ErasureSet, shard: number): Promise<DriveOutcome<void>> {
    const { layout } = this;
    const { position, dataDir } = layout.places[shard] as ShardPlace;
    const drive = set.drives[position];
    if (drive == null) return Promise.resolve(bad(set.noDrive(position)));
    const full = Math.ceil(layout.blockBytes / layout.k);
    const slot = this.block.bytes.subarray(shard * this.stride, shard * this.stride + HASH_BYTES + this.shardBytes);
    return drive.readFrames({ ...layout.key, dataDir, part: this.piece.part }, [
      { slot, offset: this.piece.block * (HASH_BYTES + full) },
    ]);
  }

  /** A shard that is not there yet is not waited for; its drive goes on to fill it. */
  private leave(shard: number, reading: Promise<DriveOutcome<void>>): void {
    this.slow.push({ shard, reading });
    this.share(reading.then(letGo));
  }

  private share(until: Promise<void>): void {
    this.isShared = true;
    this.block.holdUntil(until);
  }

  /** A drive that hangs may still write into its slot: what is sent lies elsewhere. */
  private async moveAway(set: ErasureSet): Promise<void> {
    const fresh = await set.resources.readBlocks.replace(this.block);
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
