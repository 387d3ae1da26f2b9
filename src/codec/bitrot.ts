/**
 * Bitrot framing: [32-byte HighwayHash-256][shard] for each block, in shard files and inline data alike.
 * Layout arithmetic, and the coding of small objects in memory. Source: on-disk-format.md §3, §4.
 */
import { assert } from "../core/assert.ts";
import type { Codec } from "./native.ts";

export const HASH_BYTES = 32;

export function shardBytesOf(blockBytes: number, k: number): number {
  return Math.ceil(blockBytes / k);
}

/** Shard bytes of a part, without hashes. */
export function shardFileBytes(partBytes: number, blockBytes: number, k: number): number {
  const whole = Math.floor(partBytes / blockBytes);
  return whole * shardBytesOf(blockBytes, k) + Math.ceil((partBytes - whole * blockBytes) / k);
}

/** Size of the file on the drive. */
export function framedFileBytes(partBytes: number, blockBytes: number, k: number): number {
  return shardFileBytes(partBytes, blockBytes, k) + HASH_BYTES * Math.ceil(partBytes / blockBytes);
}

export function frameOffset(block: number, blockBytes: number, k: number): number {
  return block * (HASH_BYTES + shardBytesOf(blockBytes, k));
}

export interface Coding {
  readonly k: number;
  readonly m: number;
  readonly blockBytes: number;
}

/** The framed stream of every shard of a small object. */
export function encodeInline(codec: Codec, content: Uint8Array, coding: Coding): Uint8Array[] {
  const { k, m, blockBytes } = coding;
  const n = k + m;
  const total = framedFileBytes(content.length, blockBytes, k);
  const stride = Math.ceil((HASH_BYTES + shardBytesOf(Math.min(content.length, blockBytes), k)) / 64) * 64;
  const slots = new Uint8Array(new ArrayBuffer(Math.max(1024, stride * n)));
  // One block, as nearly always: what is coded is the stream already.
  const isOneBlock = content.length <= blockBytes;
  const streams: Uint8Array[] = [];
  for (let shard = 0; shard < n; shard++)
    streams.push(isOneBlock ? slots.subarray(shard * stride, shard * stride + total) : new Uint8Array(total));
  for (let block = 0; block * blockBytes < content.length; block++) {
    const bytes = isOneBlock ? content : content.subarray(block * blockBytes, (block + 1) * blockBytes);
    const shardBytes = shardBytesOf(bytes.length, k);
    for (let shard = 0; shard < k; shard++) {
      const piece = bytes.subarray(shard * shardBytes, (shard + 1) * shardBytes);
      const at = shard * stride + HASH_BYTES;
      slots.set(piece, at);
      slots.fill(0, at + piece.length, at + shardBytes);
    }
    codec.encode(coding, slots, stride, shardBytes);
    if (isOneBlock) break;
    const offset = frameOffset(block, blockBytes, k);
    for (let shard = 0; shard < n; shard++)
      (streams[shard] as Uint8Array).set(
        slots.subarray(shard * stride, shard * stride + HASH_BYTES + shardBytes),
        offset,
      );
  }
  return streams;
}

export interface DecodedInline {
  /** null = fewer than k good shards. */
  readonly data: Uint8Array | null;
  /** Shard indices whose stream was there and wrong. */
  readonly bad: readonly number[];
}

/** A small object from its framed streams, by shard index; verifies, and rebuilds what is missing or wrong. */
export function decodeInline(
  codec: Codec,
  streams: readonly (Uint8Array | undefined)[],
  object: Coding & { readonly sizeBytes: number },
): DecodedInline {
  const { k, m, blockBytes, sizeBytes } = object;
  const n = k + m;
  assert(streams.length === n, "one stream, or none, for each shard");
  const usual = decodeGoodBlock(codec, streams, object);
  if (usual !== null) return { data: usual, bad: [] };
  const data = new Uint8Array(sizeBytes);
  const bad = new Set<number>();
  const total = framedFileBytes(sizeBytes, blockBytes, k);
  const stride = Math.ceil((HASH_BYTES + shardBytesOf(Math.min(sizeBytes, blockBytes), k)) / 64) * 64;
  const slots = new Uint8Array(new ArrayBuffer(Math.max(1024, stride * n)));
  for (let block = 0; block * blockBytes < sizeBytes; block++) {
    const bytes = Math.min(blockBytes, sizeBytes - block * blockBytes);
    const shardBytes = shardBytesOf(bytes, k);
    const offset = frameOffset(block, blockBytes, k);
    let have = 0;
    for (let shard = 0, count = 0; shard < n && count < k; shard++) {
      const stream = streams[shard];
      if (stream === undefined || bad.has(shard)) continue;
      const slot = slots.subarray(shard * stride, shard * stride + HASH_BYTES + shardBytes);
      if (stream.length !== total) {
        bad.add(shard);
        continue;
      }
      slot.set(stream.subarray(offset, offset + slot.length));
      if (codec.verify(slot.subarray(0, HASH_BYTES), slot.subarray(HASH_BYTES))) {
        have |= 1 << shard;
        count++;
      } else bad.add(shard);
    }
    const want = ((1 << k) - 1) & ~have;
    if (want !== 0 && !codec.rebuildSlots({ k, m }, slots, { stride, shardBytes, have, want }))
      return { data: null, bad: [...bad] };
    for (let shard = 0; shard * shardBytes < bytes; shard++) {
      const at = shard * shardBytes;
      data.set(
        slots.subarray(shard * stride + HASH_BYTES, shard * stride + HASH_BYTES + Math.min(shardBytes, bytes - at)),
        block * blockBytes + at,
      );
    }
  }
  return { data, bad: [...bad] };
}

/** The usual case, without a copy into slots: one block, whose data shards are all there and good. Null: it is not so. */
function decodeGoodBlock(
  codec: Codec,
  streams: readonly (Uint8Array | undefined)[],
  { k, blockBytes, sizeBytes }: Coding & { readonly sizeBytes: number },
): Uint8Array | null {
  if (sizeBytes === 0 || sizeBytes > blockBytes) return null;
  const shardBytes = shardBytesOf(sizeBytes, k);
  const data = new Uint8Array(sizeBytes);
  for (let shard = 0; shard * shardBytes < sizeBytes; shard++) {
    const stream = streams[shard];
    if (stream?.length !== HASH_BYTES + shardBytes || !codec.verifyFrame(stream)) return null;
    const at = shard * shardBytes;
    const end = HASH_BYTES + Math.min(shardBytes, sizeBytes - at);
    data.set(stream.subarray(HASH_BYTES, end), at);
  }
  return data;
}
