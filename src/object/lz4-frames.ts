/**
 * LZ4 frames, decoded into a sink: header, blocks and content are held against the checksums that are there; a frame that needs a
 * dictionary is refused. Throws FormatError. Source: lz4_Frame_format.md 1.6 by Yann Collet.
 */
import { decodeLz4Block, XxHash32 } from "../codec/lz4.ts";
import type { ByteReader } from "../core/byte-reader.ts";
import type { ByteSink } from "../core/byte-stream.ts";
import { FormatError } from "../core/format-error.ts";

const MAGIC = 0x184d2204;
const SKIPPED = 0x184d2a50;
const WINDOW_BYTES = 64 * 1024;
const BLOCK_BYTES_MAX = 4 * 1024 * 1024;
/** A block as it comes, and the window before what it holds. */
export const LZ4_MEMORY_BYTES = BLOCK_BYTES_MAX + WINDOW_BYTES + BLOCK_BYTES_MAX;

interface Frame {
  readonly isLinked: boolean;
  readonly hasBlockChecksums: boolean;
  readonly hasContentChecksum: boolean;
  readonly sizeBytes: number | null;
  readonly blockBytesMax: number;
}

/** All frames to the end of the data. `memory`: LZ4_MEMORY_BYTES. */
export async function decodeLz4(reader: ByteReader, sink: ByteSink, memory: Uint8Array): Promise<void> {
  const word = new Uint8Array(4);
  while (await reader.fill(word)) {
    const magic = uint32(word);
    if (magic === MAGIC) await decodeFrame(reader, sink, memory);
    else if ((magic & 0xfffffff0) >>> 0 === SKIPPED) await reader.skip(uint32(await reader.demand(word)));
    else throw new FormatError("no LZ4 frame");
  }
}

async function headerOf(reader: ByteReader): Promise<Frame> {
  const [flags, sizes] = (await reader.demand(new Uint8Array(2))) as unknown as readonly [number, number];
  const blockBytesMax = { 4: 64 * 1024, 5: 256 * 1024, 6: 1024 * 1024, 7: BLOCK_BYTES_MAX }[(sizes >>> 4) & 7];
  if (flags >>> 6 !== 1 || (flags & 2) !== 0 || (sizes & 0x8f) !== 0 || blockBytesMax === undefined)
    throw new FormatError("an LZ4 frame of another version");
  if ((flags & 1) !== 0) throw new FormatError("an LZ4 frame that needs a dictionary");
  const size = await reader.demand(new Uint8Array((flags & 8) === 0 ? 0 : 8));
  const hash = new XxHash32().update(Uint8Array.of(flags, sizes)).update(size).digest();
  const [check] = await reader.demand(new Uint8Array(1));
  if (((hash >>> 8) & 0xff) !== check) throw new FormatError("an LZ4 frame's header is damaged");
  return {
    isLinked: (flags & 0x20) === 0,
    hasBlockChecksums: (flags & 0x10) !== 0,
    hasContentChecksum: (flags & 4) !== 0,
    sizeBytes: size.length === 0 ? null : uint32(size) + uint32(size.subarray(4)) * 2 ** 32,
    blockBytesMax,
  };
}

async function decodeFrame(reader: ByteReader, sink: ByteSink, memory: Uint8Array): Promise<void> {
  const frame = await headerOf(reader);
  const out = memory.subarray(BLOCK_BYTES_MAX, BLOCK_BYTES_MAX + WINDOW_BYTES + frame.blockBytesMax);
  const content = new XxHash32();
  const word = new Uint8Array(4);
  let total = 0;
  let windowBytes = 0;
  for (let head = uint32(await reader.demand(word)); head !== 0; head = uint32(await reader.demand(word))) {
    const bytes = head & 0x7fffffff;
    if (bytes > frame.blockBytesMax) throw new FormatError("an LZ4 block is too large");
    const block = await reader.demand(memory.subarray(0, bytes));
    if (frame.hasBlockChecksums && uint32(await reader.demand(word)) !== new XxHash32().update(block).digest())
      throw new FormatError("an LZ4 block is damaged");
    const end = decoded(block, out, { isPlain: head >>> 31 === 1, from: WINDOW_BYTES - windowBytes });
    const plain = out.subarray(WINDOW_BYTES, end);
    if (frame.hasContentChecksum) content.update(plain);
    total += plain.length;
    if (plain.length > 0) await sink.write(plain);
    if (!frame.isLinked) continue;
    windowBytes = Math.min(WINDOW_BYTES, windowBytes + plain.length);
    out.copyWithin(WINDOW_BYTES - windowBytes, end - windowBytes, end);
  }
  if (frame.hasContentChecksum && uint32(await reader.demand(word)) !== content.digest())
    throw new FormatError("the content of an LZ4 frame is damaged");
  if (frame.sizeBytes !== null && frame.sizeBytes !== total) throw new FormatError("an LZ4 frame has another size");
}

/** Where the block's content ends in `out`; it begins after the window. */
function decoded(block: Uint8Array, out: Uint8Array, { isPlain, from }: { isPlain: boolean; from: number }): number {
  if (isPlain) {
    out.set(block, WINDOW_BYTES);
    return WINDOW_BYTES + block.length;
  }
  const end = decodeLz4Block(block, out, WINDOW_BYTES, from);
  if (end < 0) throw new FormatError("an LZ4 block is damaged");
  return end;
}

function uint32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
}
