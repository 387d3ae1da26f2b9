/** S3 checksums: the table, base64, composites and the stored record. */
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  CHECKSUM_ALGORITHMS,
  ChecksumError,
  type ChecksumRecord,
  checksumAlgorithmOf,
  checksumAlgorithmOfHeader,
  checksumFromBase64,
  checksumToBase64,
  compositeChecksum,
  decodeChecksumRecords,
  Digest,
  encodeChecksumRecords,
} from "../../../src/codec/checksum.ts";
import { loadCodec } from "../../../src/codec/native.ts";

const codec = loadCodec();
const bytesOfHex = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const filled = (bytes: number, with_: number) => new Uint8Array(bytes).fill(with_);

test.each([
  // name       header                        element              bytes  types
  ["CRC32", "x-amz-checksum-crc32", "ChecksumCRC32", 4, "COMPOSITE FULL_OBJECT"],
  ["CRC32C", "x-amz-checksum-crc32c", "ChecksumCRC32C", 4, "COMPOSITE FULL_OBJECT"],
  ["SHA1", "x-amz-checksum-sha1", "ChecksumSHA1", 20, "COMPOSITE"],
  ["SHA256", "x-amz-checksum-sha256", "ChecksumSHA256", 32, "COMPOSITE"],
  ["CRC64NVME", "x-amz-checksum-crc64nvme", "ChecksumCRC64NVME", 8, "FULL_OBJECT"],
])("%s is carried by %s", (name, header, element, bytes, types) => {
  const algorithm = checksumAlgorithmOf(name.toLowerCase());
  expect(algorithm?.header).toBe(header);
  expect(algorithm?.element).toBe(element);
  expect(algorithm?.bytes).toBe(bytes);
  expect(algorithm?.multipartTypes.join(" ")).toBe(types);
  expect(checksumAlgorithmOfHeader(` ${header.toUpperCase()}`)).toBe(algorithm);
});

test("an algorithm nobody knows is not found", () => {
  expect(checksumAlgorithmOf("MD4")).toBeUndefined();
  expect(checksumAlgorithmOfHeader("x-amz-checksum-type")).toBeUndefined();
});

test("every algorithm's digest has the length of its value", () => {
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    expect(new Digest(codec, algorithm.flag).final()[algorithm.digest].length).toBe(algorithm.bytes);
  }
});

test("base64 goes both ways", () => {
  const value = checksumFromBase64("CRC32", "p/sylw==");
  expect(hex(value)).toBe("a7fb3297");
  expect(checksumToBase64(value)).toBe("p/sylw==");
  expect(checksumToBase64(filled(40, 1).subarray(3, 6))).toBe("AQEB");
});

test.each(["", "p/sylw", "p/sylw=", "p_sylw==", "p/syl", " p/sylw==", "p/sylw==\n", "p/sylwAA", "****"])(
  "%p is not a CRC32 checksum",
  (text) => {
    expect(() => checksumFromBase64("CRC32", text)).toThrow(ChecksumError);
  },
);

test("a composite is the checksum of the parts' raw values", () => {
  const parts = [filled(32, 7), filled(32, 9)];
  expect(hex(compositeChecksum(codec, "SHA256", parts))).toBe(
    createHash("sha256").update(Buffer.concat(parts)).digest("hex"),
  );
  // As stored by another server for one part: see the record below.
  expect(hex(compositeChecksum(codec, "CRC32C", [bytesOfHex("9325344d")]))).toBe("bbcd55bc");
});

const single = { type: "FULL_OBJECT", parts: 0, partValues: [], trailing: false } as const;
const RECORDS: [string, ChecksumRecord][] = [
  ["08 a7fb3297", { ...single, algorithm: "CRC32", value: bytesOfHex("a7fb3297") }],
  ["11 01020304", { ...single, algorithm: "CRC32C", value: bytesOfHex("01020304"), trailing: true }],
  ["8002 0102030405060708", { ...single, algorithm: "CRC64NVME", value: bytesOfHex("0102030405060708") }],
  [
    "d001 bbcd55bc 01 9325344d",
    {
      algorithm: "CRC32C",
      type: "COMPOSITE",
      value: bytesOfHex("bbcd55bc"),
      parts: 1,
      partValues: [bytesOfHex("9325344d")],
      trailing: false,
    },
  ],
  [
    "c805 bbcd55bc 02 9325344d 01020304",
    {
      algorithm: "CRC32",
      type: "FULL_OBJECT",
      value: bytesOfHex("bbcd55bc"),
      parts: 2,
      partValues: [bytesOfHex("9325344d"), bytesOfHex("01020304")],
      trailing: false,
    },
  ],
  [
    "c003 0102030405060708 01 0102030405060708",
    {
      algorithm: "CRC64NVME",
      type: "FULL_OBJECT",
      value: bytesOfHex("0102030405060708"),
      parts: 1,
      partValues: [bytesOfHex("0102030405060708")],
      trailing: false,
    },
  ],
  [
    `42 ${"05".repeat(32)} ac02`,
    { algorithm: "SHA256", type: "COMPOSITE", value: filled(32, 5), parts: 300, partValues: [], trailing: false },
  ],
];

test.each(RECORDS)("the stored record %s is read and written the same", (text, record) => {
  expect(decodeChecksumRecords(bytesOfHex(text))).toEqual([record]);
  expect(hex(encodeChecksumRecords([record]))).toBe(text.replaceAll(" ", ""));
});

test("several records stand one after the other, and none is an empty value", () => {
  const records = RECORDS.map(([, record]) => record);
  expect(decodeChecksumRecords(encodeChecksumRecords(records))).toEqual(records);
  expect(decodeChecksumRecords(new Uint8Array(0))).toEqual([]);
});

test("values do not share the memory they were read from", () => {
  const source = bytesOfHex("08 a7fb3297");
  const [record] = decodeChecksumRecords(source);
  source.fill(0);
  expect(hex(record?.value ?? source)).toBe("a7fb3297");
});

test.each([
  "08",
  "08 a7fb32",
  "00",
  "18 01020304",
  "28 01020304",
  "d001 bbcd55bc",
  "d001 bbcd55bc 02 9325344d",
  "ffffffffff",
  "88",
])("the record %s is refused", (text) => {
  expect(() => decodeChecksumRecords(bytesOfHex(text))).toThrow(ChecksumError);
});
