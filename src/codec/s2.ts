/**
 * S2 streams as MinIO stores compressed objects: chunks of a header of 4 bytes and a body; blocks of up to 4 MiB with a CRC-32C.
 * Owns the framing and the index; blocks are coded by native/s2.c in the pool. Source: on-disk-format.md §5.12, Snappy's framing.
 */

export const S2_BLOCK_BYTES = 1024 * 1024;
export const S2_BLOCK_BYTES_MAX = 4 * 1024 * 1024;
/** Header, CRC and what an incompressible block may grow by. */
export const S2_CHUNK_BYTES_MAX = 8 + S2_BLOCK_BYTES_MAX + S2_BLOCK_BYTES_MAX / 6 + 64;
export const S2_STREAM_START = Uint8Array.from([0xff, 6, 0, 0, ...Buffer.from("S2sTwO")]);
const SNAPPY_START = Uint8Array.from([0xff, 6, 0, 0, ...Buffer.from("sNaPpY")]);
const PADDING = 0xfe;
const CRC_BYTES = 4;
/** Encrypted streams end on a multiple of this, so that their size tells less. */
export const PADDED_TO = 256;

export type S2Chunk =
  | {
      readonly kind: "block";
      readonly isCompressed: boolean;
      readonly plainBytes: number;
      readonly crc: number;
      readonly body: Uint8Array;
    }
  | { readonly kind: "skip" };

/** Bytes of a chunk's body, from its header. */
export function chunkBytes(header: Uint8Array): number {
  return (header[1] as number) | ((header[2] as number) << 8) | ((header[3] as number) << 16);
}

/** A whole chunk; null: no stream has it. */
export function parseChunk(chunk: Uint8Array): S2Chunk | null {
  const type = chunk[0] as number;
  if (type === 0xff) {
    const isStart = [S2_STREAM_START, SNAPPY_START].some((start) => Buffer.compare(start, chunk) === 0);
    return isStart ? { kind: "skip" } : null;
  }
  if (type >= 0x80) return { kind: "skip" };
  if (type > 1 || chunk.length < 4 + CRC_BYTES) return null;
  const crc = new DataView(chunk.buffer, chunk.byteOffset, chunk.length).getUint32(4, true);
  const body = chunk.subarray(4 + CRC_BYTES);
  const plainBytes = type === 1 ? body.length : plainSizeOf(body);
  if (plainBytes === null || plainBytes > S2_BLOCK_BYTES_MAX) return null;
  return { kind: "block", isCompressed: type === 0, plainBytes, crc, body };
}

/** The length that a compressed block begins with. */
function plainSizeOf(body: Uint8Array): number | null {
  let size = 0;
  for (let i = 0; i < 4; i++) {
    const byte = body[i];
    if (byte === undefined) return null;
    size += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return size;
  }
  return null;
}

/** The chunk that brings a stream of `bytes` to a multiple of PADDED_TO; readers pass over it. */
export function paddingFor(bytes: number): Uint8Array {
  let missing = (PADDED_TO - (bytes % PADDED_TO)) % PADDED_TO;
  if (missing === 0) return new Uint8Array(0);
  if (missing < 4) missing += PADDED_TO;
  const chunk = new Uint8Array(missing);
  chunk[0] = PADDING;
  chunk[1] = (missing - 4) & 0xff;
  chunk[2] = (missing - 4) >> 8;
  return chunk;
}

/** Where a range may begin to be read: offsets in the stream and in what it holds. */
export interface S2Start {
  readonly storedOffset: number;
  readonly plainOffset: number;
}

const INDEX_ENTRIES_MAX = 65_536;

/** The last place of a stored index that is not after `offset`; the stream's start if the index cannot be used. */
export function startFor(index: Uint8Array | null, offset: number): S2Start {
  const start = { storedOffset: 0, plainOffset: 0 };
  if (index === null) return start;
  const entries = readIndex(index);
  let best = start;
  for (const entry of entries ?? []) {
    if (entry.plainOffset > offset) break;
    best = entry;
  }
  return best;
}

/** Null: it is damaged. */
export function readIndex(index: Uint8Array): readonly S2Start[] | null {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let i = 0; i < 8; i++) {
      const byte = index[at++];
      if (byte === undefined) return Number.NaN;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
    return Number.NaN;
  };
  const [plainTotal, storedTotal, blockBytes, count] = [varint(), varint(), varint(), varint()] as const;
  const isWhole = [plainTotal, storedTotal, blockBytes, count].every((n) => Number.isSafeInteger(n) && n >= 0);
  const hasPlain = index[at++];
  if (!isWhole || count > INDEX_ENTRIES_MAX || (hasPlain !== 0 && hasPlain !== 1)) return null;
  const plain: number[] = [];
  for (let i = 0; i < count; i++)
    plain.push((hasPlain === 1 ? varint() : 0) + (i === 0 ? 0 : (plain[i - 1] as number) + blockBytes));
  const entries: S2Start[] = [];
  let predicted = Math.floor(blockBytes / 2);
  for (let i = 0; i < count; i++) {
    const delta = varint();
    const storedOffset = i === 0 ? delta : delta + (entries[i - 1] as S2Start).storedOffset + predicted;
    if (i > 0) predicted += Math.trunc(delta / 2);
    const plainOffset = plain[i] as number;
    const before = entries[i - 1];
    const isOrdered = before === undefined || (plainOffset > before.plainOffset && storedOffset > before.storedOffset);
    if (!isOrdered || !(storedOffset >= 0 && plainOffset >= 0 && storedOffset < storedTotal)) return null;
    entries.push({ storedOffset, plainOffset });
  }
  return entries;
}
