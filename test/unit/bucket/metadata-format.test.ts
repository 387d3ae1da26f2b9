import { describe, expect, test } from "bun:test";
import {
  BUCKET_DOCUMENTS,
  decodeBucketMetadata,
  encodeBucketMetadata,
  newBucketMetadata,
  withDocument,
} from "../../../src/bucket/metadata-format.ts";
import { FormatError } from "../../../src/core/format-error.ts";
import { GO_ZERO_TIME } from "../../../src/core/go-time.ts";
import { takeoverDocuments } from "../storage/takeover-drives.ts";
import { fixture, hex, onFixtures } from "../storage/xl-meta-fixtures.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

describe("bucket metadata that MinIO wrote", () => {
  onFixtures("decodes, and encodes to the same bytes", () => {
    const bytes = fixture("bucket-metadata.bin");
    const file = decodeBucketMetadata(bytes);
    expect(file.name).toBe("interop");
    expect(text(file.documents.versioning)).toContain("<Status>Enabled</Status>");
    expect(JSON.parse(text(file.documents.policy))).toHaveProperty("Statement");
    expect(hex(encodeBucketMetadata(file))).toBe(hex(bytes));
  });

  onFixtures.each([
    ["set4", true],
    ["pools", true],
    ["single", true],
    ["old-2024-03-26", false],
    ["old-2023-05-04", false],
    ["old-2021-08-05", false],
  ])("of the buckets of %s is read; current files are written back the same: %p", (set, isCurrent) => {
    const documents = takeoverDocuments(set, /\.minio\.sys\/buckets\/[^/]+\/\.metadata\.bin\/xl\.meta$/);
    expect(documents.size).toBeGreaterThan(2);
    for (const [path, bytes] of documents) {
      const file = decodeBucketMetadata(bytes);
      expect(path).toContain(`/${file.name}/`);
      expect(file.unknownKeys.size).toBe(0);
      if (isCurrent) expect(hex(encodeBucketMetadata(file))).toBe(hex(bytes));
      else expect(decodeBucketMetadata(encodeBucketMetadata(file))).toEqual(file);
    }
  });
});

test("a new bucket has 25 keys, nothing configured and no times but its own", () => {
  const file = newBucketMetadata("fresh", 1_700_000_000_000_000_001n);
  const bytes = encodeBucketMetadata(file);
  expect(hex(bytes.subarray(0, 7))).toBe("01000100de0019");
  expect(decodeBucketMetadata(bytes)).toEqual(file);
  expect(
    BUCKET_DOCUMENTS.every((name) => file.documents[name].length === 0 && file.updatedAt[name] === GO_ZERO_TIME),
  ).toBe(true);
});

test("a document is set with its time and the rest stays", () => {
  const before = newBucketMetadata("b", 5n);
  const after = withDocument(before, "tagging", new TextEncoder().encode("<Tagging/>"), 7n);
  const read = decodeBucketMetadata(encodeBucketMetadata(after));
  expect([text(read.documents.tagging), read.updatedAt.tagging, read.created]).toEqual(["<Tagging/>", 7n, 5n]);
  expect(before.documents.tagging.length).toBe(0);
});

test("keys of newer releases are kept", () => {
  const file = { ...newBucketMetadata("b", 5n), unknownKeys: new Map([["NewKey", new Uint8Array([0x91, 0xc3])]]) };
  expect(decodeBucketMetadata(encodeBucketMetadata(file))).toEqual(file);
});

onFixtures("every truncation and a newer version are refused", () => {
  const bytes = fixture("bucket-metadata.bin");
  for (let length = 0; length < bytes.length; length += 7) {
    expect(() => decodeBucketMetadata(bytes.subarray(0, length))).toThrow(FormatError);
  }
  const newer = bytes.slice();
  newer[2] = 2;
  expect(() => decodeBucketMetadata(newer)).toThrow(FormatError);
});
