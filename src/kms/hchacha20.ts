/**
 * HChaCha20: a 32-byte key and 16 bytes of input to a new 32-byte key. Only for data keys that old releases sealed with the
 * builtin KMS on CPUs without AES. Source: draft-irtf-cfrg-xchacha-03 §2.2.
 */
import { assert } from "../core/assert.ts";

const CONSTANTS = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const;
const ROUNDS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;

export function hchacha20(key: Uint8Array, input: Uint8Array): Uint8Array {
  assert(key.length === 32 && input.length === 16, "HChaCha20 takes 32 and 16 bytes");
  const x = new Uint32Array(16);
  const words = (bytes: Uint8Array, at: number): void => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let i = 0; i < bytes.length / 4; i++) x[at + i] = view.getUint32(i * 4, true);
  };
  x.set(CONSTANTS);
  words(key, 4);
  words(input, 12);
  for (let i = 0; i < 10; i++) for (const [a, b, c, d] of ROUNDS) quarterRound(x, a, b, c, d);
  const out = new Uint8Array(32);
  const view = new DataView(out.buffer);
  for (let i = 0; i < 4; i++) {
    view.setUint32(i * 4, x[i] as number, true);
    view.setUint32(16 + i * 4, x[12 + i] as number, true);
  }
  return out;
}

function quarterRound(x: Uint32Array, a: number, b: number, c: number, d: number): void {
  const step = (to: number, from: number, turned: number, by: number): void => {
    x[to] = (x[to] as number) + (x[from] as number);
    const mixed = (x[turned] as number) ^ (x[to] as number);
    x[turned] = (mixed << by) | (mixed >>> (32 - by));
  };
  step(a, b, d, 16);
  step(c, d, b, 12);
  step(a, b, d, 8);
  step(c, d, b, 7);
}
