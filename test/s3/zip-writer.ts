/** Zip archives for tests: stored and deflated members, folders, links, zip64. Written apart from src. */
import { crc32, deflateRawSync } from "node:zlib";

export interface Packed {
  readonly name: string;
  readonly content?: string | Uint8Array;
  /** 0 stored, 8 deflated (default), or one that nobody knows. */
  readonly method?: number;
  /** Unix mode. */
  readonly mode?: number;
  readonly flags?: number;
  /** What the directory says instead of the truth. */
  readonly says?: { readonly sizeBytes?: number; readonly crc?: number; readonly offset?: number };
  readonly zip64?: boolean;
  readonly comment?: string;
}

export interface Wrapping {
  /** Before the archive's first byte, as installers have it. */
  readonly prefix?: Uint8Array;
  readonly comment?: string;
  readonly zip64?: boolean;
}

export function zipOf(members: readonly Packed[], { prefix, comment = "", zip64 = false }: Wrapping = {}): Buffer {
  const pieces: Buffer[] = [];
  const records: Buffer[] = [];
  let at = 0;
  const add = (piece: Buffer): void => {
    pieces.push(piece);
    at += piece.length;
  };
  for (const member of members) {
    const content = Buffer.from(member.content ?? "");
    const method = member.method ?? 8;
    const stored = method === 8 ? deflateRawSync(content) : content;
    const name = Buffer.from(member.name, "utf8");
    records.push(recordOf(member, { name, method, storedBytes: stored.length, content, offset: at }));
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(20, 4);
    local.writeUInt16LE((member.flags ?? 0) | 0x800, 6);
    local.writeUInt16LE(method, 8);
    local.writeUInt16LE(name.length, 26);
    local.writeUInt16LE(9, 28); // an extra field that the directory does not have
    add(Buffer.concat([local, name, Buffer.from([0x55, 0x54, 5, 0, 1, 0, 0, 0, 0]), stored]));
  }
  const start = at;
  for (const record of records) add(record);
  const bytes = at - start;
  if (zip64) {
    const end = Buffer.alloc(56 + 20);
    end.writeUInt32LE(0x06064b50, 0);
    end.writeBigUInt64LE(44n, 4);
    end.writeBigUInt64LE(BigInt(records.length), 24);
    end.writeBigUInt64LE(BigInt(records.length), 32);
    end.writeBigUInt64LE(BigInt(bytes), 40);
    end.writeBigUInt64LE(BigInt(start), 48);
    end.writeUInt32LE(0x07064b50, 56);
    end.writeBigUInt64LE(BigInt(at), 64);
    end.writeUInt32LE(1, 72);
    add(end);
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(zip64 ? 0xffff : records.length % 65_536, 8);
  end.writeUInt16LE(zip64 ? 0xffff : records.length % 65_536, 10);
  end.writeUInt32LE(zip64 ? 0xffffffff : bytes, 12);
  end.writeUInt32LE(zip64 ? 0xffffffff : start, 16);
  end.writeUInt16LE(Buffer.byteLength(comment), 20);
  return Buffer.concat([prefix ?? Buffer.alloc(0), ...pieces, end, Buffer.from(comment)]);
}

function recordOf(
  member: Packed,
  is: { name: Buffer; method: number; storedBytes: number; content: Buffer; offset: number },
): Buffer {
  const { says = {}, zip64 = false, comment = "" } = member;
  const numbers = [says.sizeBytes ?? is.content.length, is.storedBytes, says.offset ?? is.offset] as const;
  const extra = Buffer.alloc(zip64 ? 28 : 0);
  if (zip64) {
    extra.writeUInt16LE(1, 0);
    extra.writeUInt16LE(24, 2);
    for (const [i, number] of numbers.entries()) extra.writeBigUInt64LE(BigInt(number), 4 + 8 * i);
  }
  const record = Buffer.alloc(46);
  record.writeUInt32LE(0x02014b50, 0);
  record.writeUInt8(20, 4);
  record.writeUInt8(member.mode === undefined ? 0 : 3, 5);
  record.writeUInt16LE(20, 6);
  record.writeUInt16LE((member.flags ?? 0) | 0x800, 8);
  record.writeUInt16LE(is.method, 10);
  record.writeUInt32LE(says.crc ?? crc32(is.content), 16);
  record.writeUInt32LE(zip64 ? 0xffffffff : numbers[1], 20);
  record.writeUInt32LE(zip64 ? 0xffffffff : numbers[0], 24);
  record.writeUInt16LE(is.name.length, 28);
  record.writeUInt16LE(extra.length, 30);
  record.writeUInt16LE(Buffer.byteLength(comment), 32);
  record.writeUInt32LE(((member.mode ?? 0) * 65_536) >>> 0, 38);
  record.writeUInt32LE(zip64 ? 0xffffffff : numbers[2], 42);
  return Buffer.concat([record, is.name, extra, Buffer.from(comment)]);
}
