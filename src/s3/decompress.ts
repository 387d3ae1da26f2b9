/**
 * A body that may be compressed, as what it was before: gzip and zstd by their first bytes, anything else as it is. The work is
 * done by the runtime's threads; back pressure goes through. Bytes.
 */
import { once } from "node:events";
import type { Transform } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import type { ByteSource } from "../core/byte-stream.ts";
import { WireError } from "./wire-error.ts";

const MAGIC_BYTES = 4;
/** Of algorithms that the archives of other clients may have. */
const UNKNOWN: readonly (readonly [name: string, magic: readonly number[]])[] = [
  ["lz4", [0x04, 0x22, 0x4d, 0x18]],
  ["s2", [0xff, 0x06, 0x00, 0x00]],
  ["bzip2", [0x42, 0x5a, 0x68]],
];

export interface Decompressed extends ByteSource, AsyncDisposable {}

export async function decompressed(source: ByteSource): Promise<Decompressed> {
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
  if (begins([0x1f, 0x8b, 8])) return through(whole, createGunzip());
  if (begins([0x28, 0xb5, 0x2f, 0xfd])) return through(whole, createZstdDecompress());
  return { next: () => whole.next(), [Symbol.asyncDispose]: () => Promise.resolve() };
}

function through(source: ByteSource, transform: Transform): Decompressed {
  const chunks = transform[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let failure: unknown = null;
  const pump = async (): Promise<void> => {
    try {
      for (let chunk = await source.next(); chunk !== null; chunk = await source.next()) {
        if (transform.destroyed) return;
        // A copy: the chunk is gone when the next one is asked for, the transform may still read it.
        if (!transform.write(new Uint8Array(chunk)))
          await Promise.race([once(transform, "drain"), once(transform, "close")]);
      }
      transform.end();
    } catch (error) {
      failure = error;
      transform.destroy();
    }
  };
  const pumped = pump();
  return {
    async next() {
      try {
        const { value, done } = await chunks.next();
        if (done !== true) return value;
      } catch (cause) {
        if (failure === null) throw new WireError("BadRequest", "The archive cannot be decompressed.", {}, { cause });
      }
      if (failure !== null) throw failure;
      return null;
    },
    async [Symbol.asyncDispose]() {
      const isOver = transform.writableFinished;
      transform.destroy();
      if (isOver) await pumped; // else it waits for a client of whom no more is wanted
    },
  };
}
