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
  DIGEST,
  Digest,
  encodeChecksumRecords,
  isKnownToMinio,
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
  ["MD5", "x-amz-checksum-md5", "ChecksumMD5", 16, "COMPOSITE"],
  ["SHA512", "x-amz-checksum-sha512", "ChecksumSHA512", 64, "COMPOSITE"],
  ["XXHASH64", "x-amz-checksum-xxhash64", "ChecksumXXHASH64", 8, "COMPOSITE"],
  ["XXHASH3", "x-amz-checksum-xxhash3", "ChecksumXXHASH3", 8, "COMPOSITE"],
  ["XXHASH128", "x-amz-checksum-xxhash128", "ChecksumXXHASH128", 16, "COMPOSITE"],
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

const TEXT = Uint8Array.from({ length: 20_000 }, (_, i) => (i * 131 + (i >> 7) * 17 + 5) & 255);
test.each([
  // bytes  XXH64  XXH3  XXH3 of 128 bits, as the xxhash package of Python has them
  [0, "ef46db3751d8e999", "2d06800538d394c2", "99aa06d3014798d86001c324468d497f"],
  [3, "8c704fa7bd712bdf", "30069c90b99182f2", "6314f6269026169330069c90b99182f2"],
  [8, "e1df83c269c49579", "69a0b1f9db1af9ca", "f638c7d0289261a59dab33761e888bdc"],
  [16, "2acd3622caa011b5", "98ea59f608d94941", "b7c9f9df6d6bd8b075750de25ef8b2ce"],
  [17, "de8e2874cebcba99", "a08e9bdf66b32953", "d633e30463db164a1210b42b2844b708"],
  [100, "4568dd5b02a2e5e3", "f543607708549681", "ec8491c3fa0222837c5f91a472ccc0cc"],
  [128, "bc40807856498c3b", "99c2e662da058357", "1f89463d95789d07684810c47dfc23b1"],
  [129, "5b64e75b58779a3c", "1cd4628f0cf1168e", "b1aadb80efa83001ba5f106439e0fb24"],
  [200, "93a58c9c296816c4", "a5cbd60dc7867e96", "b873c9b427764da2d8ca710abb0b5761"],
  [240, "5a6a216c77390579", "5a632d6838b0282d", "23edfc615d9c14053f41115d0f8a9129"],
  [241, "49f8f92a51cc03a2", "26dc8f598a4b4699", "269a82b10a1ec11326dc8f598a4b4699"],
  [256, "f6b19c09d6e860e6", "ab437f568c67018d", "a0e33a700ca07d31ab437f568c67018d"],
  [257, "e3fd3065a3a98dec", "8bdb9ef21fee10b2", "33a1a7da0b8691ec8bdb9ef21fee10b2"],
  [1024, "e788a1144bc3acaa", "d0449ffb55831268", "569f4bcd3e03f3d8d0449ffb55831268"],
  [1025, "c7d0f80c5733c03b", "7c86b9ce06886635", "ee73d05012272a2c7c86b9ce06886635"],
  [5000, "29011928cab9a542", "5969cd4b567d2553", "fa2632c2782d900d5969cd4b567d2553"],
  [20000, "636a54d12849ffa5", "baab66f252fd805d", "fa9168b9b043df73baab66f252fd805d"],
])("%p bytes have their XXHASHes, in whatever pieces they come", (bytes, xxhash64, xxhash3, xxhash128) => {
  for (const piece of [1, 7, 63, 64, 300, 20_000]) {
    const digest = new Digest(codec, DIGEST.xxhash64 | DIGEST.xxhash3 | DIGEST.xxhash128 | DIGEST.sha512);
    for (let at = 0; at < bytes; at += piece) digest.update(TEXT.subarray(at, Math.min(bytes, at + piece)));
    const found = digest.final();
    expect([hex(found.xxhash64), hex(found.xxhash3), hex(found.xxhash128)]).toEqual([xxhash64, xxhash3, xxhash128]);
    expect(hex(found.sha512)).toBe(createHash("sha512").update(TEXT.subarray(0, bytes)).digest("hex"));
  }
});

test("records of algorithms that MinIO does not know are ours alone", () => {
  for (const name of ["MD5", "SHA512", "XXHASH64", "XXHASH3", "XXHASH128"] as const) {
    const value = filled(checksumAlgorithmOf(name).bytes, 7);
    const record: ChecksumRecord = {
      algorithm: name,
      type: "COMPOSITE",
      value,
      parts: 2,
      partValues: [value, value],
      trailing: false,
    };
    const bytes = encodeChecksumRecords([record]);
    expect(isKnownToMinio(name)).toBe(false);
    expect(decodeChecksumRecords(bytes, true)).toEqual([record]);
    expect(() => decodeChecksumRecords(bytes)).toThrow(ChecksumError);
  }
  expect(() => decodeChecksumRecords(bytesOfHex("08 a7fb3297"), true)).toThrow(ChecksumError);
});
