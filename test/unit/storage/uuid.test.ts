import { expect, test } from "bun:test";
import { FormatError } from "../../../src/core/format-error.ts";
import {
  isUuidText,
  NULL_VERSION_ID,
  uuidBytes,
  uuidText,
  versionIdBytes,
  versionIdText,
} from "../../../src/storage/uuid.ts";

const TEXT = "0f1e2d3c-4b5a-4697-8879-6a5b4c3d2eff";

test("text and bytes are each other's inverse", () => {
  expect(uuidText(uuidBytes(TEXT))).toBe(TEXT);
  expect(uuidText(uuidBytes(TEXT.toUpperCase()))).toBe(TEXT);
  expect(Buffer.from(uuidBytes(TEXT)).toString("hex")).toBe(TEXT.replaceAll("-", ""));
});

test("a view into a larger buffer is read at its place", () => {
  const large = new Uint8Array(40).fill(9);
  large.set(uuidBytes(TEXT), 5);
  expect(uuidText(large.subarray(5, 21))).toBe(TEXT);
});

test("zero bytes are the null version", () => {
  expect(versionIdText(new Uint8Array(16))).toBe(NULL_VERSION_ID);
  expect(versionIdBytes("null")).toEqual(new Uint8Array(16));
  expect(versionIdBytes("")).toEqual(new Uint8Array(16));
  expect(versionIdText(versionIdBytes(TEXT))).toBe(TEXT);
});

test.each([
  "",
  "null",
  TEXT.slice(1),
  `${TEXT}0`,
  TEXT.replace("-", "0"),
  TEXT.replace("0", "g"),
  TEXT.replace("f", "é"),
  "-".repeat(36),
])("%p is no UUID", (text) => {
  expect(isUuidText(text)).toBe(false);
  expect(() => uuidBytes(text)).toThrow(FormatError);
});
