/**
 * Authenticated encryption of a few bytes at once on the calling thread: keys, ETags, checksums, small documents. Not for object
 * data: those go through the native pool (dare.ts). Output = ciphertext and 16 bytes of tag.
 */
import { assert } from "../core/assert.ts";
import { type CipherName, StreamKey } from "./dare.ts";
import type { Codec } from "./native.ts";

export interface SmallAead {
  readonly cipher: CipherName;
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** 12 bytes. */
  readonly nonce: Uint8Array;
}

export const TAG_BYTES = 16;
/** What the calling thread may do at once. */
const SMALL_BYTES_MAX = 256 * 1024;

export function sealSmall(
  codec: Codec,
  { cipher, key, nonce }: SmallAead,
  plaintext: Uint8Array,
  aad: Uint8Array,
): Uint8Array {
  assert(plaintext.length <= SMALL_BYTES_MAX, "more than the calling thread encrypts");
  const out = new Uint8Array(new ArrayBuffer(Math.max(1024, plaintext.length + TAG_BYTES)));
  using stream = StreamKey.of(key, { cipher, nonce });
  codec.symbols.sherd_aead_seal(
    codec.ptr(stream.memory),
    aad.length === 0 ? 0 : codec.ptr(aad),
    aad.length,
    plaintext.length === 0 ? 0 : codec.ptr(plaintext),
    plaintext.length,
    codec.ptr(out),
  );
  return out.slice(0, plaintext.length + TAG_BYTES);
}

/** Null: not authentic. */
export function openSmall(
  codec: Codec,
  { cipher, key, nonce }: SmallAead,
  sealed: Uint8Array,
  aad: Uint8Array,
): Uint8Array | null {
  if (sealed.length < TAG_BYTES || sealed.length > SMALL_BYTES_MAX + TAG_BYTES) return null;
  const out = new Uint8Array(new ArrayBuffer(Math.max(1024, sealed.length)));
  using stream = StreamKey.of(key, { cipher, nonce });
  const good = codec.symbols.sherd_aead_open(
    codec.ptr(stream.memory),
    aad.length === 0 ? 0 : codec.ptr(aad),
    aad.length,
    codec.ptr(sealed),
    sealed.length,
    codec.ptr(out),
  );
  const plaintext = good === 1 ? out.slice(0, sealed.length - TAG_BYTES) : null;
  out.fill(0);
  return plaintext;
}
