/**
 * A body that may be compressed, as what it was before: gzip and zstd by their first bytes, anything else as it is. The work is
 * done by the runtime's threads; back pressure goes through. Bytes.
 */
import { createGunzip, createZstdDecompress } from "node:zlib";
import type { ByteSource } from "../core/byte-stream.ts";
import { type TransformedSource, throughTransform } from "../object/transform-source.ts";
import { WireError } from "./wire-error.ts";

const MAGIC_BYTES = 4;
/** Of algorithms that the archives of other clients may have. */
const UNKNOWN: readonly (readonly [name: string, magic: readonly number[]])[] = [
  ["lz4", [0x04, 0x22, 0x4d, 0x18]],
  ["s2", [0xff, 0x06, 0x00, 0x00]],
  ["bzip2", [0x42, 0x5a, 0x68]],
];

export async function decompressed(source: ByteSource): Promise<TransformedSource> {
  let first = Buffer.alloc(0);
  while (first.length < MAGIC_BYTES) {
    const chunk = await source.next();
    if (chunk === null) break;
    first = Buffer.concat([first, chunk]);
  }
  let isGiven = first.length === 0;
  const whole: ByteSource = {
    next() {
      if (isGiven) return source.next();
      isGiven = true;
      return Promise.resolve(first);
    },
  };
  const begins = (magic: readonly number[]): boolean => magic.every((byte, i) => first[i] === byte);
  for (const [name, magic] of UNKNOWN)
    if (begins(magic)) throw new WireError("NotImplemented", `Archives compressed by ${name} cannot be read yet.`);
  if (begins([0x1f, 0x8b, 8])) return throughTransform(whole, createGunzip(), broken);
  if (begins([0x28, 0xb5, 0x2f, 0xfd])) return throughTransform(whole, createZstdDecompress(), broken);
  return { next: () => whole.next(), [Symbol.asyncDispose]: () => Promise.resolve() };
}

function broken(cause: unknown): WireError {
  return new WireError("BadRequest", "The archive cannot be decompressed.", {}, { cause });
}
