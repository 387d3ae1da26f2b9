import { expect, test } from "bun:test";
import { FormatError } from "../../../src/core/format-error.ts";
import { decodePartMeta, encodePartMeta, type PartRecord } from "../../../src/storage/part-meta.ts";
import { takeoverFiles } from "./takeover-drives.ts";
import { onFixtures } from "./xl-meta-fixtures.ts";

const PART: PartRecord = {
  etag: "d41d8cd98f00b204e9800998ecf8427e",
  number: 3,
  sizeBytes: 5 << 20,
  actualBytes: 2 ** 40,
  modTime: 1_700_000_000_123_456_789n,
  index: null,
  checksums: new Map(),
};

test.each([
  ["plain", PART],
  ["with an index", { ...PART, index: new Uint8Array([1, 2, 3]) }],
  ["with checksums", { ...PART, checksums: new Map([["CRC32C", "AAAAAA=="]]) }],
])("a record %s survives encoding", (_, part) => {
  expect(decodePartMeta(encodePartMeta(part))).toEqual(part);
});

onFixtures("the array form of 2022 to 2024 is read", () => {
  const file = takeoverFiles("old-2024-03-26", /part\.1\.meta$/)[0];
  const part = decodePartMeta(file?.bytes ?? new Uint8Array(0));
  expect([part.number, part.etag.length, part.sizeBytes > 0, part.modTime > 0n]).toEqual([1, 32, true, true]);
});

onFixtures("every truncation of both forms is refused", () => {
  const old = takeoverFiles("old-2024-03-26", /part\.1\.meta$/)[0]?.bytes ?? new Uint8Array(0);
  for (const bytes of [encodePartMeta(PART), old]) {
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodePartMeta(bytes.subarray(0, length))).toThrow(FormatError);
  }
});
