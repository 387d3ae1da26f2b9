/**
 * Decrypting on the way out: stored bytes of one DARE stream come in, the wanted range of the plaintext goes on. Packages are
 * opened by the native pool, some at a time and whole: nothing of a package that is not authentic is passed on. Then the sink
 * throws ObjectTampered. Source: on-disk-format.md §5.13.
 */
import { PACKAGE_BYTES, SEALED_PACKAGE_BYTES, sealedSize, StreamKey } from "../codec/dare.ts";
import { assert } from "../core/assert.ts";
import type { ByteSink } from "../core/byte-stream.ts";
import { type Disk, step } from "../sys/disk.ts";
import { ObjectError } from "./errors.ts";

const BATCH_PACKAGES = 16;
export const DECRYPT_BYTES_MAX = BATCH_PACKAGES * SEALED_PACKAGE_BYTES;

/** The stored bytes that hold plaintext [offset, offset + length) of a stream of `plainBytes`. */
export function sealedRange(plainBytes: number, offset: number, length: number): { offset: number; length: number } {
  const first = Math.floor(offset / PACKAGE_BYTES);
  const end = Math.min(plainBytes, Math.ceil((offset + length) / PACKAGE_BYTES) * PACKAGE_BYTES);
  const start = first * SEALED_PACKAGE_BYTES;
  return { offset: start, length: sealedSize(end) - start };
}

export class DecryptSink implements ByteSink, Disposable {
  private readonly stream: StreamKey;
  private held = 0;
  private next: number;
  private skip: number;
  private left: number;

  constructor(
    private readonly jobs: Disk,
    private readonly inner: ByteSink,
    /** Memory of its own for as long as it lives: DECRYPT_BYTES_MAX, or all of the stored bytes if they are fewer. */
    private readonly memory: Uint8Array,
    private readonly what: { key: Uint8Array; plainBytes: number; offset: number; length: number },
  ) {
    this.stream = StreamKey.of(what.key, null);
    this.next = Math.floor(what.offset / PACKAGE_BYTES);
    this.skip = what.offset - this.next * PACKAGE_BYTES;
    this.left = what.length;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const room = Math.min(DECRYPT_BYTES_MAX, this.memory.length);
      const take = Math.min(bytes.length - at, room - this.held);
      assert(take > 0, "the memory holds the range");
      this.memory.set(bytes.subarray(at, at + take), this.held);
      this.held += take;
      at += take;
      if (this.held === DECRYPT_BYTES_MAX) await this.open();
    }
  }

  /** After the last stored byte. */
  async end(): Promise<void> {
    if (this.held > 0) await this.open();
    assert(this.left === 0, "the range is complete");
  }

  private async open(): Promise<void> {
    const packages = Math.ceil(this.held / SEALED_PACKAGE_BYTES);
    const isLast = this.next + packages === Math.ceil(this.what.plainBytes / PACKAGE_BYTES);
    const sealed = this.memory.subarray(0, this.held);
    const { error } = await this.jobs.run([step.dareOpen(this.stream.memory, sealed, this.next, isLast)]);
    if (error !== 0) throw new ObjectError("ObjectTampered", "A part of the object is not what was stored.");
    const plain = this.held - 32 * packages;
    const from = this.skip;
    const to = Math.min(plain, from + this.left);
    this.next += packages;
    this.held = 0;
    this.skip = 0;
    this.left -= to - from;
    if (to > from) await this.inner.write(this.memory.subarray(from, to));
  }

  [Symbol.dispose](): void {
    this.stream[Symbol.dispose]();
  }
}
