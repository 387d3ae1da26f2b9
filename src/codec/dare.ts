/**
 * DARE: MinIO's encrypted streams, packages of 64 KiB of plaintext with 32 bytes around each (on-disk-format.md §5.13). Owns their
 * sizes, the memory of a stream's key, and sealing and opening of a few bytes at once; bulk data are steps of the native pool
 * (`dareSeal`, `dareOpen` in sys/disk.ts) on the same memory. Sizes in bytes, offsets from a stream's start.
 */
import { assert } from "../core/assert.ts";
import type { Codec } from "./native.ts";

export type CipherName = "AES-256-GCM" | "ChaCha20-Poly1305";

export const PACKAGE_BYTES = 64 * 1024;
export const PACKAGE_OVERHEAD = 32;
export const SEALED_PACKAGE_BYTES = PACKAGE_BYTES + PACKAGE_OVERHEAD;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
/** struct stream of native/dare.c. */
const MEMORY_BYTES = 56;
const CIPHERS = { "AES-256-GCM": 0, "ChaCha20-Poly1305": 1 } as const;
/** What the calling thread may do at once. */
const SMALL_BYTES_MAX = 512 * 1024;

/** Of `plainBytes` bytes, encrypted. */
export function sealedSize(plainBytes: number): number {
  return plainBytes + Math.ceil(plainBytes / PACKAGE_BYTES) * PACKAGE_OVERHEAD;
}

/** Of a stream of `sealedBytes`, decrypted; null: no stream has this size. */
export function plainSize(sealedBytes: number): number | null {
  const packages = Math.ceil(sealedBytes / SEALED_PACKAGE_BYTES);
  const plain = sealedBytes - packages * PACKAGE_OVERHEAD;
  return sealedSize(plain) === sealedBytes && plain >= 0 ? plain : null;
}

/** A stream's key and state in memory that native code reads; wiped when disposed, which must wait for the steps that use it. */
export class StreamKey implements Disposable {
  private constructor(readonly memory: Uint8Array) {}

  /** With a nonce: to write. Without: to read; the first package read fixes nonce and cipher. */
  static of(key: Uint8Array, how: { readonly cipher: CipherName; readonly nonce: Uint8Array } | null): StreamKey {
    assert(key.length === KEY_BYTES && (how === null || how.nonce.length === NONCE_BYTES), "a key has 32 bytes");
    const memory = new Uint8Array(new ArrayBuffer(1024)).subarray(0, MEMORY_BYTES);
    memory.set(key, 8);
    if (how !== null) {
      memory[0] = CIPHERS[how.cipher];
      memory.set(how.nonce, 8 + KEY_BYTES);
    }
    return new StreamKey(memory);
  }

  [Symbol.dispose](): void {
    this.memory.fill(0);
  }
}

/** A whole stream of a few bytes, on this thread. */
export function sealStream(codec: Codec, key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array): Uint8Array {
  assert(plaintext.length <= SMALL_BYTES_MAX, "more than the calling thread encrypts");
  if (plaintext.length === 0) return new Uint8Array(0);
  const bytes = sealedSize(plaintext.length);
  const out = new Uint8Array(new ArrayBuffer(Math.max(1024, bytes)));
  using stream = StreamKey.of(key, { cipher: "AES-256-GCM", nonce });
  codec.symbols.sherd_dare_seal(codec.ptr(stream.memory), codec.ptr(plaintext), plaintext.length, codec.ptr(out), 0, 1);
  return out.subarray(0, bytes);
}

/** Null: not authentic, or not a stream. */
export function openStream(codec: Codec, key: Uint8Array, sealed: Uint8Array): Uint8Array | null {
  const bytes = plainSize(sealed.length);
  if (bytes === null || bytes > SMALL_BYTES_MAX) return null;
  if (bytes === 0) return new Uint8Array(0);
  const out = new Uint8Array(new ArrayBuffer(Math.max(1024, bytes)));
  using stream = StreamKey.of(key, null);
  const wrong = codec.symbols.sherd_dare_open(
    codec.ptr(stream.memory),
    codec.ptr(sealed),
    sealed.length,
    codec.ptr(out),
    0,
    1,
  );
  return wrong === 0 ? out.subarray(0, bytes) : null;
}
