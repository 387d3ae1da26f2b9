/**
 * A stream that may be compressed, as what it was before: gzip, zstd, lz4, s2, snappy's framing and bzip2 by their first bytes,
 * anything else as it is. A few MiB of memory for a stream, from a pool of their own; back pressure goes through. Bytes.
 */
import { createGunzip, createZstdDecompress } from "node:zlib";
import { ByteReader } from "../core/byte-reader.ts";
import type { ByteSink, ByteSource } from "../core/byte-stream.ts";
import { FormatError } from "../core/format-error.ts";
import { BZIP2_MEMORY_BYTES, decodeBzip2 } from "./bzip2-blocks.ts";
import type { ObjectContext } from "./context.ts";
import { DECOMPRESS_BYTES, DecompressSink } from "./decompress-sink.ts";
import { ObjectError } from "./errors.ts";
import { decodeLz4, LZ4_MEMORY_BYTES } from "./lz4-frames.ts";
import { pipeContent } from "./pipe-content.ts";
import { throughTransform } from "./transform-source.ts";

export type UnpackMeans = Pick<ObjectContext, "transforms" | "clock">;
export interface UnpackedStream extends ByteSource, AsyncDisposable {}

export type Packing = "gzip" | "zstd" | "lz4" | "s2" | "bzip2";

const MAGIC_BYTES = 4;
/** Snappy's framing begins as S2's does. */
const MAGIC: Readonly<Record<Packing, readonly number[]>> = {
  gzip: [0x1f, 0x8b, 8],
  zstd: [0x28, 0xb5, 0x2f, 0xfd],
  lz4: [0x04, 0x22, 0x4d, 0x18],
  s2: [0xff, 6, 0, 0],
  bzip2: [0x42, 0x5a, 0x68],
};

/**
 * `broken` makes the error of a stream that cannot be decompressed; the source's own errors come as they are. `expected`: it is
 * this or broken, null = whatever it is.
 */
export async function unpackStream(
  means: UnpackMeans,
  source: ByteSource,
  broken: (cause: unknown) => Error,
  expected: Packing | null = null,
): Promise<UnpackedStream> {
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
  const packing = packingOf(first);
  if (expected !== null && packing !== expected) throw broken(new FormatError(`the data are not ${expected}`));
  if (packing === null) return { next: () => whole.next(), [Symbol.asyncDispose]: () => Promise.resolve() };
  if (packing === "gzip") return throughTransform(whole, createGunzip(), broken);
  if (packing === "zstd") return throughTransform(whole, createZstdDecompress(), broken);
  const decode = { lz4, s2, bzip2 }[packing];
  return pipeContent({ stream: (sink) => decode(means, whole, sink).catch(rethrown(broken)) }, 0, 1);
}

function packingOf(first: Uint8Array): Packing | null {
  for (const [packing, magic] of Object.entries(MAGIC) as [Packing, readonly number[]][])
    if (magic.every((byte, i) => first[i] === byte)) return packing;
  return null;
}

function rethrown(broken: (cause: unknown) => Error): (error: unknown) => never {
  return (error) => {
    const isDamage = error instanceof FormatError || (error instanceof ObjectError && error.code === "ObjectTampered");
    throw isDamage ? broken(error) : error;
  };
}

async function lz4({ transforms }: UnpackMeans, source: ByteSource, sink: ByteSink): Promise<void> {
  using memory = await transforms.unpackBlocks.acquire(LZ4_MEMORY_BYTES);
  await decodeLz4(new ByteReader(source), sink, memory.bytes);
}

async function bzip2({ transforms, clock }: UnpackMeans, source: ByteSource, sink: ByteSink): Promise<void> {
  using memory = await transforms.unpackBlocks.acquire(BZIP2_MEMORY_BYTES);
  const means = { memory: memory.bytes, yieldNow: () => clock.yieldNow() };
  await decodeBzip2(new ByteReader(source), sink, means);
}

async function s2({ transforms }: UnpackMeans, source: ByteSource, sink: ByteSink): Promise<void> {
  using memory = await transforms.unpackBlocks.acquire(DECOMPRESS_BYTES);
  const everything = { skip: 0, left: Number.POSITIVE_INFINITY };
  const decompress = new DecompressSink(transforms.jobs, sink, memory.bytes, everything);
  for (let chunk = await source.next(); chunk !== null; chunk = await source.next()) await decompress.write(chunk);
  if (!decompress.isBetweenChunks) throw new FormatError("the data end too early");
}
