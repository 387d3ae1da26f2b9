import { expect, test } from "bun:test";
import { newBucketMetadata, withOwnDocument } from "../../../src/bucket/metadata-format.ts";
import { decodeOwnDocuments, encodeOwnDocuments } from "../../../src/bucket/own-documents.ts";
import { FormatError } from "../../../src/core/format-error.ts";
import { GO_ZERO_TIME } from "../../../src/core/go-time.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const one = withOwnDocument(newBucketMetadata("b", 5n), "cors", bytes("<CORSConfiguration>ü</CORSConfiguration>")).own;

test("documents are read as they were written, and what is removed is gone", () => {
  expect(decodeOwnDocuments(encodeOwnDocuments(one, 5n), 5n)).toEqual(one);
  expect(withOwnDocument({ ...newBucketMetadata("b", 5n), own: one }, "cors", bytes("")).own.size).toBe(0);
});

test("documents of a bucket that had the name before are none; a time that is not known decides nothing", () => {
  expect(decodeOwnDocuments(encodeOwnDocuments(one, 5n), 6n).size).toBe(0);
  expect(decodeOwnDocuments(encodeOwnDocuments(one, GO_ZERO_TIME), 6n).size).toBe(1);
  expect(decodeOwnDocuments(encodeOwnDocuments(one, 5n), GO_ZERO_TIME).size).toBe(1);
});

test("a document of a newer release is kept", () => {
  const newer = bytes('{"version":1,"created":"5","documents":{"later":"x"}}');
  const read = decodeOwnDocuments(newer, 5n);
  expect(Buffer.from(encodeOwnDocuments(read, 5n)).toString()).toBe(Buffer.from(newer).toString());
});

test.each([
  "",
  "[]",
  "null",
  "{",
  '{"version":2}',
  '{"version":1,"created":"x","documents":{}}',
  '{"version":1,"created":"9","documents":{"cors":1}}',
])("%p is a format error, not a bucket without settings", (text) => {
  expect(() => decodeOwnDocuments(bytes(text), 5n)).toThrow(FormatError);
});
