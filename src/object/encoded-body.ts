/**
 * A body on its way to be stored encrypted, compressed or both: the client's bytes are digested (ETag, checksums) as they come,
 * in lanes with other uploads, while the native pool codes them a block at a time. Gives stored bytes; its memory is given
 * back when it is disposed. Source: on-disk-format.md §5.12, §5.13.
 */
import { Digest, type DigestResult } from "../codec/checksum.ts";
import { PACKAGE_BYTES, sealedSize, StreamKey } from "../codec/dare.ts";
import { paddingFor, S2_BLOCK_BYTES, S2_STREAM_START } from "../codec/s2.ts";
import { assert } from "../core/assert.ts";
import type { Block } from "../core/block-pool.ts";
import type { ByteSource } from "../core/byte-stream.ts";
import type { DigestLane } from "../erasure/digest-lanes.ts";
import { s2Room, step } from "../sys/disk.ts";
import type { Transforms } from "./transforms.ts";

const BLOCK_BYTES = S2_BLOCK_BYTES;
const ALIGN = 64;
/** What stays of a compressed stream until its package is full, the stream's start and its padding. */
const BESIDE_BYTES = PACKAGE_BYTES + 1024;

export interface BodyCoding {
  /** Key of the DARE stream and its nonce; null = stored in the clear. */
  readonly encryption: { readonly key: Uint8Array; readonly nonce: Uint8Array } | null;
  readonly isCompressed: boolean;
}

/** What is encoded. */
export interface PlainBody {
  readonly body: ByteSource;
  readonly sizeBytes: number;
  /** There may be fewer bytes. */
  readonly sizeIsMax?: boolean;
  readonly digests: number;
}

export class EncodedBody implements ByteSource, AsyncDisposable {
  private readonly body: ByteSource;
  /** The most that there may be, if `sizeIsMax`. */
  private readonly sizeBytes: number;
  private readonly sizeIsMax: boolean;
  private readonly digest: Digest;
  private readonly lane: DigestLane;
  private readonly stream: StreamKey | null;
  private memory: Block | null = null;
  private readonly plain: Uint8Array[] = [];
  private readonly digesting: Promise<void>[] = [Promise.resolve(), Promise.resolve()];
  private coded: Uint8Array = new Uint8Array(0);
  private sealed: Uint8Array = new Uint8Array(0);
  private whole: Uint8Array = new Uint8Array(0);
  private chunk: Uint8Array | null = null;
  private round = 0;
  private taken = 0;
  /** Nothing follows, and the body knows it. */
  private hasEnded = false;
  /** Of a compressed stream: bytes so far, and how many of `coded` wait for their package to be full. */
  private compressedBytes = 0;
  private waiting = 0;
  private nextPackage = 0;
  private ready: Uint8Array | null = null;

  constructor(
    private readonly transforms: Transforms,
    plain: PlainBody,
    private readonly coding: BodyCoding,
  ) {
    this.body = plain.body;
    this.sizeBytes = plain.sizeBytes;
    this.sizeIsMax = plain.sizeIsMax === true;
    this.digest = new Digest(transforms.codec, plain.digests);
    this.lane = transforms.lanes.join(this.digest.state);
    const { encryption } = coding;
    this.stream =
      encryption === null ? null : StreamKey.of(encryption.key, { cipher: "AES-256-GCM", nonce: encryption.nonce });
  }

  /** Stored bytes, if they are known before they are made. */
  get storedBytes(): number | null {
    return this.coding.isCompressed || this.sizeIsMax ? null : sealedSize(this.sizeBytes);
  }

  /** Of the client; before the body's end the most that there may be. */
  get clientBytes(): number {
    return this.hasEnded ? this.taken : this.sizeBytes;
  }

  /** Pieces of what is coded end anywhere: the writer wants blocks of 1 MiB, the last one shorter. */
  private get regroups(): boolean {
    return this.coding.isCompressed || this.sizeIsMax || this.sizeBytes > BLOCK_BYTES;
  }

  async next(): Promise<Uint8Array | null> {
    if (!this.regroups) return await this.nextCoded();
    let filled = 0;
    for (;;) {
      this.ready ??= await this.nextCoded();
      if (this.ready === null) return filled === 0 ? null : this.whole.subarray(0, filled);
      const take = Math.min(this.ready.length, BLOCK_BYTES - filled);
      this.whole.set(this.ready.subarray(0, take), filled);
      filled += take;
      this.ready = take === this.ready.length ? null : this.ready.subarray(take);
      if (filled === BLOCK_BYTES) return this.whole;
    }
  }

  /** The digests of the client's bytes, after the last one. */
  async digests(): Promise<DigestResult> {
    await Promise.all(this.digesting);
    return this.digest.final();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.lane[Symbol.dispose]();
    await Promise.all(this.digesting);
    this.stream?.[Symbol.dispose]();
    this.memory?.[Symbol.dispose]();
    this.memory = null;
  }

  private async nextCoded(): Promise<Uint8Array | null> {
    if (await this.atEnd()) {
      assert(this.hasEnded || (await this.body.next()) === null, "a body is no longer than it says");
      this.hasEnded = true;
      this.lane[Symbol.dispose](); // nobody waits for more of this body
      return null;
    }
    this.chunk ??= await this.body.next(); // before memory is taken: a client that sends nothing holds none
    if (this.memory === null) await this.reserve();
    const turn = this.round++ % 2;
    await this.digesting[turn];
    const block = await this.fill(this.plain[turn] as Uint8Array);
    this.digesting[turn] = this.lane.update(block, { totalBytes: block.length, pieceBytes: block.length, stride: 0 });
    const isLast = await this.atEnd();
    if (!this.coding.isCompressed) return await this.seal(block, isLast);
    await this.compress(block, isLast);
    if (this.stream !== null) return await this.sealWaiting(isLast);
    const out = this.coded.subarray(0, this.waiting);
    this.waiting = 0;
    return out;
  }

  /** Is the block that was filled last the last one? Where only the greatest size is known, the body is asked for more. */
  private async atEnd(): Promise<boolean> {
    if (!this.sizeIsMax) return this.taken === this.sizeBytes;
    while (!this.hasEnded && (this.chunk === null || this.chunk.length === 0)) {
      this.chunk = await this.body.next();
      this.hasEnded = this.chunk === null;
    }
    assert(this.hasEnded || this.taken < this.sizeBytes, "a body is no longer than it says");
    return this.hasEnded;
  }

  private async reserve(): Promise<void> {
    const plainBytes = Math.min(this.sizeBytes, BLOCK_BYTES);
    const { isCompressed } = this.coding;
    const codedBytes = isCompressed ? BESIDE_BYTES + s2Room(plainBytes) : 0;
    const sealedBytes = this.stream === null ? 0 : sealedSize(Math.max(plainBytes, codedBytes));
    const sizes = [plainBytes, plainBytes, codedBytes, sealedBytes, this.regroups ? BLOCK_BYTES : 0].map(
      (bytes) => Math.ceil(bytes / ALIGN) * ALIGN,
    );
    this.memory = await this.transforms.writeBlocks.acquire(sizes.reduce((sum, bytes) => sum + bytes, 0));
    const { bytes } = this.memory;
    let at = 0;
    const [a, b, coded, sealed, whole] = sizes.map((size) => bytes.subarray(at, (at += size))) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    this.plain.push(a, b);
    this.coded = coded;
    this.sealed = sealed;
    this.whole = whole;
  }

  private async fill(block: Uint8Array): Promise<Uint8Array> {
    const bytes = Math.min(BLOCK_BYTES, this.sizeBytes - this.taken);
    for (let at = 0; at < bytes; ) {
      this.chunk ??= await this.body.next();
      if (this.chunk === null && this.sizeIsMax) {
        this.hasEnded = true;
        this.taken += at;
        return block.subarray(0, at);
      }
      assert(this.chunk !== null, "a body is no shorter than it says");
      const take = Math.min(this.chunk.length, bytes - at);
      block.set(take === this.chunk.length ? this.chunk : this.chunk.subarray(0, take), at);
      at += take;
      this.chunk = take === this.chunk.length ? null : this.chunk.subarray(take);
    }
    this.taken += bytes;
    return block.subarray(0, bytes);
  }

  private async seal(plain: Uint8Array, isLast: boolean): Promise<Uint8Array> {
    const stream = this.stream as StreamKey;
    const out = this.sealed.subarray(0, sealedSize(plain.length));
    const { error } = await this.transforms.jobs.run([
      step.dareSeal(stream.memory, plain, out, this.nextPackage, isLast),
    ]);
    assert(error === 0, "a block is encrypted");
    this.nextPackage += Math.ceil(plain.length / PACKAGE_BYTES);
    return out;
  }

  /** Appends a block's chunk to `coded`. */
  private async compress(plain: Uint8Array, isLast: boolean): Promise<void> {
    const before = this.waiting;
    if (this.compressedBytes === 0) this.append(S2_STREAM_START);
    const { error, results } = await this.transforms.jobs.run([step.s2Chunk(plain, this.coded.subarray(this.waiting))]);
    assert(error === 0, "a block is compressed");
    this.waiting += results[0] as number;
    this.compressedBytes += this.waiting - before;
    if (isLast && this.stream !== null) this.append(paddingFor(this.compressedBytes));
  }

  private append(bytes: Uint8Array): void {
    this.coded.set(bytes, this.waiting);
    this.waiting += bytes.length;
  }

  /** Whole packages of what is compressed, and at the end all of it. */
  private async sealWaiting(isLast: boolean): Promise<Uint8Array> {
    const now = isLast ? this.waiting : Math.floor(this.waiting / PACKAGE_BYTES) * PACKAGE_BYTES;
    if (now === 0) return this.sealed.subarray(0, 0);
    const out = await this.seal(this.coded.subarray(0, now), isLast);
    this.coded.copyWithin(0, now, this.waiting);
    this.waiting -= now;
    return out;
  }
}
