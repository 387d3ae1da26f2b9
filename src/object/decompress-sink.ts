/**
 * Decompressing on the way out: bytes of one S2 stream come in, from a chunk's start; the wanted range of the content goes on.
 * Blocks are decoded and their CRCs checked by the native pool before any of their bytes is passed on. A stream that is
 * damaged throws ObjectTampered. Source: on-disk-format.md §5.12.
 */
import { chunkBytes, parseChunk, S2_BLOCK_BYTES, S2_CHUNK_BYTES_MAX, type S2Chunk } from "../codec/s2.ts";
import type { ByteSink } from "../core/byte-stream.ts";
import { type Disk, step } from "../sys/disk.ts";
import { ObjectError } from "./errors.ts";

/** Memory for a chunk and for what it holds, of the usual block size. */
const CHUNK_BYTES = S2_BLOCK_BYTES + 64 * 1024;
export const DECOMPRESS_BYTES = CHUNK_BYTES + S2_BLOCK_BYTES;

export class DecompressSink implements ByteSink {
  private chunk: Uint8Array;
  private readonly plain: Uint8Array;
  private held = 0;

  constructor(
    private readonly jobs: Disk,
    private readonly inner: ByteSink,
    /** DECOMPRESS_BYTES of its own. */
    memory: Uint8Array,
    /** `skip`: bytes of content between where the stream begins and the range. */
    private readonly range: { skip: number; left: number },
  ) {
    this.chunk = memory.subarray(0, CHUNK_BYTES);
    this.plain = memory.subarray(CHUNK_BYTES, DECOMPRESS_BYTES);
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length && this.range.left > 0; ) {
      const wanted = this.held < 4 ? 4 : 4 + chunkBytes(this.chunk);
      const take = Math.min(bytes.length - at, wanted - this.held);
      this.chunk.set(bytes.subarray(at, at + take), this.held);
      this.held += take;
      at += take;
      if (this.held < wanted) return;
      if (wanted > 4 || chunkBytes(this.chunk) === 0) await this.whole();
      else this.makeRoom(4 + chunkBytes(this.chunk));
    }
  }

  /** After the last byte. */
  end(): Promise<void> {
    if (this.range.left > 0) throw damaged();
    return Promise.resolve();
  }

  /** Nothing of a chunk waits for its rest. */
  get isBetweenChunks(): boolean {
    return this.held === 0;
  }

  /** Blocks larger than the usual are rare: they get memory of their own. */
  private makeRoom(bytes: number): void {
    if (bytes > S2_CHUNK_BYTES_MAX) throw damaged();
    if (bytes <= this.chunk.length) return;
    const larger = new Uint8Array(new ArrayBuffer(bytes));
    larger.set(this.chunk.subarray(0, this.held));
    this.chunk = larger;
  }

  private async whole(): Promise<void> {
    const parsed = parseChunk(this.chunk.subarray(0, this.held));
    this.held = 0;
    if (parsed === null) throw damaged();
    if (parsed.kind === "skip") return;
    const { range } = this;
    if (range.skip >= parsed.plainBytes) {
      range.skip -= parsed.plainBytes;
      return;
    }
    const content = await this.decoded(parsed);
    const to = Math.min(content.length, range.skip + range.left);
    const part = content.subarray(range.skip, to);
    range.left -= part.length;
    range.skip = 0;
    if (part.length > 0) await this.inner.write(part);
  }

  private async decoded(block: S2Chunk & { kind: "block" }): Promise<Uint8Array> {
    const { body, crc, plainBytes } = block;
    const out =
      plainBytes <= this.plain.length
        ? this.plain.subarray(0, plainBytes)
        : new Uint8Array(new ArrayBuffer(plainBytes));
    const { error } = await this.jobs.run([
      block.isCompressed ? step.s2Decode(body, out, crc) : step.s2Check(body, crc),
    ]);
    if (error !== 0) throw damaged();
    return block.isCompressed ? out : body;
  }
}

function damaged(): ObjectError {
  return new ObjectError("ObjectTampered", "A compressed part of the object is damaged.");
}
