/**
 * Staging: a body becomes shards on the drives, invisible until committed. A 1 MiB block at a time: fill the slots of a
 * pooled block, hash it for the ETag in lanes with other uploads, code and hash its shards in one native call, append them
 * to all drives; at most BLOCKS_IN_FLIGHT blocks of a body are in memory. Small bodies stay in memory and go into xl.meta.
 * A drive that fails or hangs is left out; fewer than the write quorum left fails the whole. Source: on-disk-format.md §3, §4, §8.1.
 */
import type { Cancellation } from "../core/cancellation.ts";
import { encodeInline } from "../codec/bitrot.ts";
import { Digest, type DigestResult } from "../codec/checksum.ts";
import { assert, present } from "../core/assert.ts";
import { good } from "../core/fan-out.ts";
import type { Block } from "../core/block-pool.ts";
import { type ByteSource, sourceOf } from "../core/byte-stream.ts";
import { PAGE_BYTES, step } from "../sys/disk.ts";
import { type Drive, DriveError, type DriveOutcome, type ShardWriter } from "../storage/drive.ts";
import type { DigestLane } from "./digest-lanes.ts";
import type { ErasureSet } from "./erasure-set.ts";
import { QuorumError } from "../core/quorum-error.ts";
import { writeQuorum } from "./quorum.ts";
import { tellDrives } from "./tell-drives.ts";

export const BLOCK_BYTES = 1024 * 1024;
const HASH_BYTES = 32;
const BLOCKS_IN_FLIGHT = 2;
const SECTOR_BYTES = 512;
const FIRST_BYTES = 64 * 1024;
const EMPTY = new Uint8Array(0);
const DIGEST_INLINE_BYTES = 64 * 1024;
const NOTHING_STAGED = good(undefined);

export interface StagedShards {
  readonly set: ErasureSet;
  readonly op: string;
  readonly dataDir: string;
  readonly k: number;
  readonly m: number;
  /** dist[i] = shard number of the drive at position i. */
  readonly dist: readonly number[];
  /** As stored. */
  readonly sizeBytes: number;
  readonly clientBytes: number;
  readonly digests: DigestResult;
  /** By shard number - 1: the stream for xl.meta; null = staged as files. */
  readonly inline: readonly Uint8Array[] | null;
  /** Positions whose drive holds its shard. */
  readonly holders: ReadonlySet<number>;
  /** Removes what is staged; not after a commit took it. */
  discard(): Promise<void>;
}

export interface StageOptions {
  readonly body: ByteSource;
  /** null = known at the end; then the body gives whole blocks, the last one shorter. */
  readonly sizeBytes: number | null;
  /** The body may be shorter than that; then it is no inline one. */
  readonly sizeIsMax: boolean;
  /** Asked at the body's end; null = what is stored. */
  readonly clientBytes: (() => number) | null;
  readonly digests: number;
  readonly parity: number;
  readonly dist: readonly number[];
  readonly part: number;
  readonly dataDir: string;
  readonly inlineAllowed: boolean;
  /** A part of an upload: an empty one is a file too. */
  readonly isPart: boolean;
  readonly signal: Cancellation;
}

export async function stageShards(set: ErasureSet, options: StageOptions): Promise<StagedShards> {
  const k = set.size - options.parity;
  const op = set.resources.rng.uuid();
  const digest = new Digest(set.resources.codec, options.digests);
  if (options.inlineAllowed || (options.sizeBytes === 0 && !options.isPart)) {
    const coding = { k, m: options.parity, blockBytes: BLOCK_BYTES };
    const encode = (content: Uint8Array): readonly Uint8Array[] =>
      content.length === 0 ? emptyOnEach(set) : encodeInline(set.resources.codec, content, coding);
    const { sizeBytes, inline } = await readWhole(options.body, options.sizeBytes, { digest, set, encode });
    return stagedShards(set, op, options, { sizeBytes, digest, inline });
  }
  const files = new ShardFiles(set, op, options);
  let sizeBytes = 0;
  try {
    if (options.sizeBytes === 0) {
      assert((await options.body.next()) === null, "an empty body is empty");
    } else sizeBytes = await streamBlocks(set, files, { k, m: options.parity, digest, options });
    if (sizeBytes === 0 && options.isPart) await files.writeOnly(() => EMPTY);
    await files.close();
  } catch (error) {
    await files.discard();
    throw error;
  }
  if (sizeBytes === 0 && !options.isPart)
    return stagedShards(set, op, options, { sizeBytes, digest, inline: emptyOnEach(set) });
  return stagedShards(set, op, options, { sizeBytes, digest, inline: null }, files);
}

/** `files`: null = the shards stay in memory, and go into xl.meta. */
function stagedShards(
  set: ErasureSet,
  op: string,
  options: StageOptions,
  content: { readonly sizeBytes: number; readonly digest: Digest; readonly inline: readonly Uint8Array[] | null },
  files: ShardFiles | null = null,
): StagedShards {
  return {
    set,
    op,
    dataDir: options.dataDir,
    k: set.size - options.parity,
    m: options.parity,
    dist: options.dist,
    sizeBytes: content.sizeBytes,
    clientBytes: options.clientBytes?.() ?? content.sizeBytes,
    digests: content.digest.final(),
    inline: content.inline,
    holders: files?.holders() ?? set.positions,
    discard: files === null ? nothingToDiscard : () => files.discard(),
  };
}

function nothingToDiscard(): Promise<void> {
  return Promise.resolve();
}

function emptyOnEach(set: ErasureSet): Uint8Array[] {
  return new Array<Uint8Array>(set.size).fill(EMPTY);
}

interface WholeBody {
  readonly sizeBytes: number;
  /** By shard number - 1. */
  readonly inline: readonly Uint8Array[];
}

/** A small body, which most often comes in one piece: that is hashed and coded where it is. */
async function readWhole(
  body: ByteSource,
  sizeBytes: number | null,
  { digest, set, encode }: { digest: Digest; set: ErasureSet; encode: (content: Uint8Array) => readonly Uint8Array[] },
): Promise<WholeBody> {
  if (sizeBytes === null) {
    const content = await readToEnd(body);
    return { sizeBytes: content.length, inline: encode(content) };
  }
  const first = await body.next();
  if (first?.length === sizeBytes && sizeBytes <= DIGEST_INLINE_BYTES) {
    digest.update(first);
    const inline = encode(first);
    assert((await body.next()) === null, "a body is no longer than it says");
    return { sizeBytes, inline };
  }
  const content = await joined(body, first, sizeBytes);
  if (sizeBytes > DIGEST_INLINE_BYTES) await set.resources.jobs.run([step.digest(digest.state, content)]);
  else if (sizeBytes > 0) digest.update(content);
  return { sizeBytes, inline: encode(content) };
}

/** The first piece and those behind it, `sizeBytes` together. */
async function joined(body: ByteSource, first: Uint8Array | null, sizeBytes: number): Promise<Uint8Array> {
  const content = new Uint8Array(new ArrayBuffer(Math.max(sizeBytes, 1024))).subarray(0, sizeBytes);
  let at = 0;
  for (let chunk = first; chunk !== null; chunk = await body.next()) {
    assert(at + chunk.length <= sizeBytes, "a body is no longer than it says");
    content.set(chunk, at);
    at += chunk.length;
  }
  assert(at === sizeBytes, "a body is no shorter than it says");
  return content;
}

/** A body of unknown size; its digests are somebody else's. */
async function readToEnd(body: ByteSource): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let chunk = await body.next(); chunk !== null; chunk = await body.next()) chunks.push(new Uint8Array(chunk));
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const content = new Uint8Array(new ArrayBuffer(Math.max(bytes, 1024))).subarray(0, bytes);
  let at = 0;
  for (const chunk of chunks) {
    content.set(chunk, at);
    at += chunk.length;
  }
  return content;
}

/** The shard files of one part on all drives of the set. */
class ShardFiles {
  private readonly writers: (ShardWriter | null)[];
  private readonly failures: DriveError[] = [];
  private readonly quorum: number;
  private readonly failed: boolean[];
  /** Of those that failed: until when they hold what they were given. */
  private readonly lettingGo: (Promise<void> | null)[];
  private alive: number;
  private opened = false;

  constructor(
    private readonly set: ErasureSet,
    private readonly op: string,
    private readonly options: StageOptions,
  ) {
    this.writers = new Array<ShardWriter | null>(set.size).fill(null);
    this.lettingGo = new Array<Promise<void> | null>(set.size).fill(null);
    this.quorum = writeQuorum(set.size - options.parity, options.parity);
    this.alive = set.drives.filter((d) => d !== null).length;
    this.failed = set.drives.map((d) => d === null);
    this.leaveOutHanging();
    this.check();
  }
  private readonly stragglers: Promise<void>[] = [];

  /** As far as the others are enough. */
  private leaveOutHanging(): void {
    for (const [i, drive] of this.set.drives.entries())
      if (drive !== null && this.alive > this.quorum && this.set.writePatience.isHanging(i))
        this.fail(i, new DriveError("Faulty", `${drive.endpoint} hangs`));
  }

  /** Drives that hang and still hold the block that was written last. */
  takeStragglers(): Promise<void>[] {
    return this.stragglers.splice(0);
  }

  holders(): Set<number> {
    return new Set(this.positions());
  }
  private positions(): number[] {
    return [...this.failed.keys()].filter((i) => this.failed[i] === false);
  }

  /** The only block of a part: one step a drive, durable with the commit. */
  async writeOnly(slotOf: (shard: number) => Uint8Array): Promise<void> {
    await this.each(
      async (drive, i) => await drive.stageWhole(this.op, this.options.dataDir, this.options.part, slotOf(i)),
    );
  }

  /** `regionOf`: the room before the frame, and the frame. */
  async append(regionOf: (position: number) => Uint8Array, lead: number): Promise<void> {
    if (!this.opened) {
      this.opened = true;
      await this.each(async (drive, i) => {
        const writer = await drive.stage(this.op, this.options.dataDir, this.options.part);
        if (writer.ok) this.writers[i] = writer.value;
        return writer;
      });
    }
    await this.each(async (_, i) => await present(this.writers[i], "a shard writer").append(regionOf(i), lead));
  }

  async close(): Promise<void> {
    if (!this.opened) return;
    await this.each(async (_, i) => {
      const writer = present(this.writers[i], "a shard writer");
      this.writers[i] = null;
      return await writer.close();
    });
  }

  /** Those that hang do it when they let go of what they were given; nobody waits for them. */
  async discard(): Promise<void> {
    const positions = this.set.present();
    const answers = positions.map((i) => this.discardOn(i));
    const waited = [...positions.keys()].filter((at) => this.lettingGo[positions[at] as number] === null);
    await this.set.writePatience.hear(
      waited.map((at) => positions[at] as number),
      waited.map((at) => answers[at] as Promise<DriveOutcome<void>>),
    );
  }

  private async discardOn(position: number): Promise<DriveOutcome<void>> {
    await this.lettingGo[position];
    await this.writers[position]?.abort();
    return (await this.set.drives[position]?.unstage(this.op)) ?? NOTHING_STAGED;
  }

  private async each(work: (drive: Drive, position: number) => Promise<DriveOutcome<unknown>>): Promise<void> {
    const positions = this.positions();
    const outcomes = await tellDrives(this.set, { positions, needed: this.quorum, tell: work });
    for (const [at, outcome] of outcomes.entries()) if (!outcome.ok) this.fail(positions[at] as number, outcome.error);
    this.check();
  }

  private fail(position: number, error: DriveError): void {
    this.failed[position] = true;
    this.alive--;
    this.failures.push(error);
    this.lettingGo[position] = error.letsGo;
    if (error.letsGo !== null) this.stragglers.push(error.letsGo);
  }

  private check(): void {
    if (this.alive >= this.quorum) return;
    const full = this.failures.filter((f) => f.code === "NoSpace").length;
    const reasons = this.failures.map((f) => f.message).join("; ");
    throw new QuorumError(
      full > 0 ? "StorageFull" : "WriteQuorum",
      `${this.alive} of ${this.quorum} needed drives take the write${reasons === "" ? "" : `: ${reasons}`}`,
      { alive: this.alive, needed: this.quorum },
    );
  }
}

interface Coding {
  readonly k: number;
  readonly m: number;
  readonly digest: Digest;
  readonly options: StageOptions;
}

/** Returns the stored bytes. */
async function streamBlocks(set: ErasureSet, files: ShardFiles, coding: Coding): Promise<number> {
  const { options } = coding;
  const only = options.sizeBytes !== null && options.sizeBytes <= BLOCK_BYTES && !options.sizeIsMax;
  let coded = Promise.resolve(); // code and append, in block order
  let hashed = Promise.resolve(); // MD5 and others, in block order
  const inFlight: Promise<void>[] = [];
  let chunk: Uint8Array | null = null;
  let stored = 0;
  let hasEnded = false; // sooner than it might
  using lane = options.digests === 0 ? null : set.resources.digests.join(coding.digest.state);
  try {
    for (let fileBytes = 0; !hasEnded && stored < (options.sizeBytes ?? Number.POSITIVE_INFINITY); ) {
      let bytes = Math.min((options.sizeBytes ?? Number.POSITIVE_INFINITY) - stored, BLOCK_BYTES);
      if (options.sizeBytes === null) {
        chunk = await options.body.next();
        if (chunk === null) break;
        bytes = chunk.length;
        assert(bytes <= BLOCK_BYTES, "a body of unknown size gives blocks");
      } else chunk = await firstBytes(options.body, chunk, Math.min(bytes, FIRST_BYTES));
      const block = await BlockInSlots.acquire(set, coding.k, { bytes, lead: fileBytes % PAGE_BYTES });
      try {
        chunk = await block.fill(options.body, chunk, options.sizeIsMax);
      } catch (error) {
        block.release();
        throw error;
      }
      if (block.bytes === 0) {
        block.release();
        hasEnded = true;
        break;
      }
      if (lane !== null) hashed = after(hashed, () => block.digest(lane));
      coded = after(coded, () => block.encodeAndWrite(files, coding, only));
      inFlight.push(Promise.all([settled(hashed), settled(coded)]).then(() => block.release()));
      stored += block.bytes;
      hasEnded = block.bytes < bytes;
      fileBytes += block.frameBytes;
      while (inFlight.length >= BLOCKS_IN_FLIGHT) await inFlight.shift();
      options.signal.throwIfAborted();
    }
    if (options.sizeBytes !== null)
      assert(chunk === null && (await options.body.next()) === null, "a body is no longer than it says");
  } finally {
    lane?.[Symbol.dispose](); // nobody waits for more of this body
    await Promise.all(inFlight); // buffers are held until every drive is done with them
  }
  await hashed;
  await coded;
  return stored;
}

/** At least `wanted` bytes, if the body has them: a client that sends next to nothing must not hold a block. */
async function firstBytes(body: ByteSource, from: Uint8Array | null, wanted: number): Promise<Uint8Array | null> {
  let chunk = from;
  while (chunk === null || chunk.length < wanted) {
    // Valid until `next` is called, so that it is copied; `slice` of a Buffer would not.
    const before: Uint8Array | null = chunk === null ? null : new Uint8Array(chunk);
    const more = await body.next();
    if (more === null) return before;
    chunk = before === null ? more : new Uint8Array(Buffer.concat([before, more]));
  }
  return chunk;
}

/** `work` once `before` succeeded; a failure passes on. */
function after(before: Promise<void>, work: () => Promise<void>): Promise<void> {
  const next = before.then(work);
  next.then(noop, noop); // it is awaited at the end; until then a failure is not "unhandled"
  return next;
}
function noop(): void {
  /* deliberately nothing */
}
async function settled(work: Promise<void>): Promise<void> {
  await work.then(noop, noop);
}

/** One block of up to 1 MiB spread over n slots of [room for a part of a page][hash][shard]. */
class BlockInSlots {
  private constructor(
    private readonly set: ErasureSet,
    private readonly block: Block,
    private shape: {
      readonly k: number;
      readonly bytes: number;
      /** Bytes of room: the frame's offset in the file modulo a page. */
      readonly lead: number;
      readonly shardBytes: number;
      readonly stride: number;
    },
  ) {}

  static async acquire(set: ErasureSet, k: number, piece: { bytes: number; lead: number }): Promise<BlockInSlots> {
    const shardBytes = Math.ceil(piece.bytes / k);
    const stride = appendStrideOf(shardBytes);
    const block = await set.resources.blocks.acquire(stride * set.size);
    return new BlockInSlots(set, block, { k, ...piece, shardBytes, stride });
  }

  /** Of the body. */
  get bytes(): number {
    return this.shape.bytes;
  }

  get frameBytes(): number {
    return HASH_BYTES + this.shape.shardBytes;
  }

  /** Of the first slot, after its room. */
  private get frames(): Uint8Array {
    return this.block.bytes.subarray(this.shape.lead);
  }

  /** Copies body bytes into the data slots; returns what is left of the last chunk. */
  async fill(body: ByteSource, from: Uint8Array | null, mayEnd: boolean): Promise<Uint8Array | null> {
    const { k, bytes, shardBytes, stride } = this.shape;
    const { frames } = this;
    let chunk = from;
    for (let at = 0; at < bytes; ) {
      chunk ??= await body.next();
      if (chunk === null && mayEnd) {
        await this.shrinkTo(at);
        return null;
      }
      assert(chunk !== null, "a body is no shorter than it says");
      const shard = Math.floor(at / shardBytes);
      const inShard = at - shard * shardBytes;
      const take = Math.min(chunk.length, shardBytes - inShard, bytes - at);
      frames.set(take === chunk.length ? chunk : chunk.subarray(0, take), shard * stride + HASH_BYTES + inShard);
      at += take;
      chunk = take === chunk.length ? null : chunk.subarray(take);
    }
    for (let at = bytes; at < k * shardBytes; ) {
      const shard = Math.floor(at / shardBytes);
      const start = shard * stride + HASH_BYTES + (at - shard * shardBytes);
      const length = (shard + 1) * shardBytes - at;
      frames.fill(0, start, start + length);
      at += length;
    }
    return chunk;
  }

  /** The body ended here: what is in the slots is laid out anew. */
  private async shrinkTo(bytes: number): Promise<void> {
    const { k, shardBytes, stride } = this.shape;
    const content = new Uint8Array(bytes);
    for (let at = 0; at < bytes; at += shardBytes) {
      const start = (at / shardBytes) * stride + HASH_BYTES;
      content.set(this.frames.subarray(start, start + Math.min(shardBytes, bytes - at)), at);
    }
    const smaller = Math.ceil(bytes / k);
    this.shape = { ...this.shape, bytes, shardBytes: smaller, stride: appendStrideOf(smaller) };
    if (bytes > 0) await this.fill(sourceOf(content), null, false);
  }

  async digest(lane: DigestLane): Promise<void> {
    const { bytes, shardBytes, stride } = this.shape;
    await lane.update(this.frames.subarray(HASH_BYTES), { totalBytes: bytes, pieceBytes: shardBytes, stride });
  }

  async encodeAndWrite(files: ShardFiles, coding: Coding, only: boolean): Promise<void> {
    const { shardBytes, stride, lead } = this.shape;
    const plan = this.set.resources.codec.plan(coding.k, coding.m);
    const { error } = await this.set.resources.jobs.run([step.encode(plan, this.frames, stride, shardBytes)]);
    assert(error === 0, "a block of valid shape is coded");
    const regionOf = (position: number): Uint8Array => {
      const start = ((coding.options.dist[position] as number) - 1) * stride;
      return this.block.bytes.subarray(start, start + lead + HASH_BYTES + shardBytes);
    };
    try {
      if (only) await files.writeOnly(regionOf);
      else await files.append(regionOf, lead);
    } finally {
      for (const letsGo of files.takeStragglers()) this.block.holdUntil(letsGo);
    }
  }

  release(): void {
    this.block[Symbol.dispose]();
  }
}

/** Slots start so that shard data are 64-aligned where the block is. */
export function strideOf(shardBytes: number): number {
  return Math.ceil((HASH_BYTES + shardBytes) / 64) * 64;
}

/** The same with room for the part of a page before it; sector-aligned, but no two slots alike modulo a page (cache sets). */
export function appendStrideOf(shardBytes: number): number {
  return Math.ceil((PAGE_BYTES + HASH_BYTES + shardBytes) / PAGE_BYTES) * PAGE_BYTES + SECTOR_BYTES;
}
