/** LZ4 blocks and XXH32, which LZ4's frames carry. Pure. Source: lz4_Block_format.md and the XXH32 specification, both by Yann Collet. */

const MATCH_BYTES_MIN = 4;

/**
 * Decodes a block into `out` from `at` on; matches may reach back to `from`. Returns where the output ends; -1: the block is damaged
 * or does not fit.
 */
export function decodeLz4Block(block: Uint8Array, out: Uint8Array, at: number, from: number): number {
  let i = 0;
  let o = at;
  while (i < block.length) {
    const token = block[i++] as number;
    let literals = token >>> 4;
    if (literals === 15) {
      let more = 255;
      while (more === 255) {
        if (i >= block.length) return -1;
        more = block[i++] as number;
        literals += more;
      }
    }
    if (i + literals > block.length || o + literals > out.length) return -1;
    if (literals > 32) out.set(block.subarray(i, i + literals), o);
    else for (let n = 0; n < literals; n++) out[o + n] = block[i + n] as number;
    i += literals;
    o += literals;
    if (i === block.length) return o; // the last sequence has no match
    if (i + 2 > block.length) return -1;
    const distance = (block[i] as number) | ((block[i + 1] as number) << 8);
    i += 2;
    let length = (token & 15) + MATCH_BYTES_MIN;
    if ((token & 15) === 15) {
      let more = 255;
      while (more === 255) {
        if (i >= block.length) return -1;
        more = block[i++] as number;
        length += more;
      }
    }
    const source = o - distance;
    if (distance === 0 || source < from || o + length > out.length) return -1;
    if (distance >= length && length > 32) out.copyWithin(o, source, source + length);
    else for (let n = 0; n < length; n++) out[o + n] = out[source + n] as number;
    o += length;
  }
  return -1;
}

const PRIME_1 = 0x9e3779b1;
const PRIME_2 = 0x85ebca77;
const PRIME_3 = 0xc2b2ae3d;
const PRIME_4 = 0x27d4eb2f;
const PRIME_5 = 0x165667b1;
const STRIPE_BYTES = 16;

function rotated(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** XXH32 with seed 0 of bytes that come in pieces. */
export class XxHash32 {
  private readonly lanes = Int32Array.of(PRIME_1 + PRIME_2, PRIME_2, 0, -PRIME_1);
  private readonly tail = new Uint8Array(STRIPE_BYTES);
  private held = 0;
  private total = 0;

  update(bytes: Uint8Array): this {
    this.total += bytes.length;
    let at = 0;
    if (this.held > 0) {
      at = Math.min(bytes.length, STRIPE_BYTES - this.held);
      this.tail.set(bytes.subarray(0, at), this.held);
      this.held += at;
      if (this.held < STRIPE_BYTES) return this;
      this.stripes(this.tail, 0, STRIPE_BYTES);
    }
    const whole = at + Math.floor((bytes.length - at) / STRIPE_BYTES) * STRIPE_BYTES;
    this.stripes(bytes, at, whole);
    this.tail.set(bytes.subarray(whole));
    this.held = bytes.length - whole;
    return this;
  }

  /** Of what came so far. */
  digest(): number {
    const [a, b, c, d] = this.lanes as unknown as readonly [number, number, number, number];
    let hash =
      this.total >= STRIPE_BYTES ? (rotated(a, 1) + rotated(b, 7) + rotated(c, 12) + rotated(d, 18)) | 0 : PRIME_5;
    hash = (hash + this.total) | 0;
    let at = 0;
    const view = new DataView(this.tail.buffer);
    for (; at + 4 <= this.held; at += 4)
      hash = Math.imul(rotated((hash + Math.imul(view.getUint32(at, true), PRIME_3)) | 0, 17), PRIME_4);
    for (; at < this.held; at++)
      hash = Math.imul(rotated((hash + Math.imul(this.tail[at] as number, PRIME_5)) | 0, 11), PRIME_1);
    hash = Math.imul(hash ^ (hash >>> 15), PRIME_2);
    hash = Math.imul(hash ^ (hash >>> 13), PRIME_3);
    return (hash ^ (hash >>> 16)) >>> 0;
  }

  private stripes(bytes: Uint8Array, from: number, to: number): void {
    const { lanes } = this;
    let [a, b, c, d] = lanes as unknown as readonly [number, number, number, number];
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = from; at < to; at += STRIPE_BYTES) {
      a = Math.imul(rotated((a + Math.imul(view.getUint32(at, true), PRIME_2)) | 0, 13), PRIME_1);
      b = Math.imul(rotated((b + Math.imul(view.getUint32(at + 4, true), PRIME_2)) | 0, 13), PRIME_1);
      c = Math.imul(rotated((c + Math.imul(view.getUint32(at + 8, true), PRIME_2)) | 0, 13), PRIME_1);
      d = Math.imul(rotated((d + Math.imul(view.getUint32(at + 12, true), PRIME_2)) | 0, 13), PRIME_1);
    }
    lanes.set([a, b, c, d]);
  }
}
