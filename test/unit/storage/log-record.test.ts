/** The record codec: what is written is read, the checksum is Castagnoli's, and no bytes make the reader stumble. */
import { expect, test } from "bun:test";
import { loadCodec } from "../../../src/codec/native.ts";
import { NativePool } from "../../../src/codec/pool.ts";
import {
  claimedMark,
  crc32c,
  decodeRecord,
  type LogRecord,
  paddedLength,
  readHeader,
  recordBytesMax,
  RecordWriter,
  sealRecords,
} from "../../../src/storage/log-record.ts";
import { step } from "../../../src/sys/disk.ts";
import { seededRng } from "../../sim/seeded.ts";

const native = new NativePool(loadCodec(), { threads: 1, threadsMax: 4 });
const MARK = 0xc0ff_ee42;
const key = { bucket: "bucket", path: "a/ключ" };
const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 31) & 255);
const RECORDS: readonly LogRecord[] = [
  {
    type: "commit",
    key,
    stamp: 2n ** 60n + 5n,
    image: { kind: "bytes", bytes: bytes(300) },
    prev: { kind: "bytes", bytes: bytes(7) },
    prevStamp: 9n,
    heals: false,
    newDirs: [
      { name: "d1", from: ".minio.sys/tmp/op.d1", keepParts: null },
      { name: "d2", from: ".minio.sys/multipart/x/d2", keepParts: [1, 2, 10_000] },
    ],
    oldDirs: ["old1", "old2"],
  },
  {
    type: "commit",
    key,
    stamp: 1n,
    image: null,
    prev: { kind: "file", name: "image-1" },
    prevStamp: 0n,
    heals: true,
    newDirs: [],
    oldDirs: [],
  },
  {
    type: "commit",
    key,
    stamp: 2n,
    image: null,
    prev: { kind: "before" },
    prevStamp: 1n,
    heals: false,
    newDirs: [],
    oldDirs: ["old"],
  },
  { type: "settle", sequences: [1, 2 ** 40 + 3] },
  { type: "fence", key, stamp: 3n },
  { type: "restore", key, stamp: 4n, expect: 3n },
  { type: "promise", key, stamp: 5n },
  { type: "dropBucket", bucket: "bucket" },
  { type: "remove", key },
];

function written(records: readonly LogRecord[], first: number): { log: Uint8Array<ArrayBuffer>; starts: number[] } {
  const log = new Uint8Array(new ArrayBuffer(8192));
  const writer = new RecordWriter(log, MARK);
  const starts: number[] = [];
  let at = 0;
  for (const record of records) {
    starts.push(at);
    const { padded } = writer.write(record, at);
    expect(padded).toBeLessThanOrEqual(recordBytesMax(record));
    at += padded;
  }
  sealRecords(log, first);
  return { log: log.subarray(0, at), starts };
}

test("CRC32C is that of RFC 3720", () => {
  expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe306_9283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a91_36aa);
});

test("every kind of record is read as it was written, with its sequence and batch", () => {
  const { log, starts } = written(RECORDS, 2 ** 33 + 7);
  for (const [i, record] of RECORDS.entries()) {
    const at = starts[i] as number;
    expect(readHeader(log, at, MARK)).toMatchObject({ sequence: 2 ** 33 + 7 + i, batchStart: 2 ** 33 + 7 });
    expect(decodeRecord(log, at, MARK)?.record).toEqual(record);
  }
  const commit = decodeRecord(log, 0, MARK);
  const image = commit?.images.image as number;
  expect(Buffer.from(log.subarray(image, image + 300))).toEqual(Buffer.from(bytes(300)));
});

test("the native pool seals like the portable code", async () => {
  const { log } = written(RECORDS, 12_345);
  const copy = new Uint8Array(log);
  for (let at = 0; at < copy.length; at += paddedLength(new DataView(log.buffer).getUint32(at, true)))
    copy.fill(0xaa, at + 4, at + 19);
  await native.run([step.seal(copy, 12_345)]);
  expect(copy).toEqual(log);
});

test("a record of another log does not count, and says whose it is", () => {
  const { log, starts } = written(RECORDS, 5);
  for (const at of starts) {
    expect([claimedMark(log, at), readHeader(log, at, MARK) === null]).toEqual([MARK, false]);
    for (const other of [0, MARK ^ 1, MARK ^ 0x100, MARK ^ 0x8000_0000].map((mark) => mark >>> 0))
      expect([readHeader(log, at, other), decodeRecord(log, at, other)]).toEqual([null, null]);
  }
  expect(claimedMark(log, 8)).toBeNull();
});

test("a record cut short or changed at any byte does not count", () => {
  const { log } = written(RECORDS.slice(0, 1), 5);
  const { length } = readHeader(log, 0, MARK) as { length: number };
  for (let cut = 0; cut < length; cut++) {
    const torn = new Uint8Array(log);
    torn.fill(0, cut);
    if (torn.every((byte, i) => byte === log[i])) continue; // zeros were there
    expect(decodeRecord(torn, 0, MARK)).toBeNull();
    const flipped = new Uint8Array(log);
    flipped[cut] = (flipped[cut] as number) ^ 0x10;
    const found = decodeRecord(flipped, 0, MARK);
    expect(found).toBeNull();
  }
});

test("bodies of nonsense with a right checksum are refused or read, never thrown at", () => {
  const rng = seededRng(7);
  const { log } = written(RECORDS.slice(0, 1), 5);
  const { length } = readHeader(log, 0, MARK) as { length: number };
  for (let round = 0; round < 3000; round++) {
    const mutant = new Uint8Array(log);
    for (let n = 0; n < 4; n++) mutant[24 + Math.floor(rng.next() * 100)] = Math.floor(rng.next() * 256);
    mutant[20] = Math.floor(rng.next() * 10);
    new DataView(mutant.buffer).setUint32(4, crc32c(mutant.subarray(8, length)), true);
    decodeRecord(mutant, 0, MARK);
  }
});
