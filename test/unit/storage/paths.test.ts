import { describe, expect, test } from "bun:test";
import {
  decodeKey,
  decodeUploadId,
  encodeKey,
  encodeUploadId,
  isBucketDirectory,
  isBucketName,
  isListablePrefix,
  keyProblem,
  uploadDirName,
  uploadInitiatedNs,
  uploadParent,
  uploadPath,
} from "../../../src/storage/paths.ts";
import { fixtureJson, onFixtures } from "./xl-meta-fixtures.ts";

interface Multipart {
  readonly bucket: string;
  readonly object: string;
  readonly shaDir: string;
  readonly uploadDir: string;
  readonly uploadId: string;
}
const VECTORS = fixtureJson<{ multipart: Multipart; placement: { deploymentId: string } }>("vectors.json", {
  multipart: { bucket: "", object: "", shaDir: "", uploadDir: "", uploadId: "" },
  placement: { deploymentId: "" },
});

describe("object paths", () => {
  test.each([
    ["a", "a"],
    ["a/b/", "a/b__XLDIR__"],
    ["a/b/c", "a/b/c"],
    ["ü/", "ü__XLDIR__"],
  ])("%s lies at %s", (key, path) => {
    expect(encodeKey(key)).toBe(path);
    expect(decodeKey(path)).toBe(key);
  });

  test.each([
    "a",
    "a/b",
    "a/",
    "a\\b",
    " a",
    "...",
    "a/...b",
    "ü".repeat(127),
    "x".repeat(255),
    `${"a/".repeat(500)}b`,
    "xl.meta",
  ])("%p can be stored", (key) => {
    expect(keyProblem(key)).toBeNull();
  });

  test.each([
    ["", "empty"],
    ["x".repeat(1025), "too-long"],
    ["ü".repeat(513), "too-long"],
    ["x".repeat(256), "too-long"],
    [`${"x".repeat(255)}/`, "too-long"],
    ["/a", "not-allowed"],
    ["a//b", "not-allowed"],
    ["a\0b", "not-allowed"],
    ["a/../b", "not-allowed"],
    ["./a", "not-allowed"],
    ["a/ .. /b", "not-allowed"],
    ["a\\..\\b", "not-allowed"],
    ["..", "not-allowed"],
    ["a\ud800", "not-allowed"],
  ])("%p cannot be stored: %s", (key, problem) => {
    expect(keyProblem(key)).toBe(problem as ReturnType<typeof keyProblem>);
  });

  test("the empty prefix lists, a climbing one does not", () => {
    expect([isListablePrefix(""), isListablePrefix("a/"), isListablePrefix("../")]).toEqual([true, true, false]);
  });
});

test.each([
  // name             new    directory
  ["abc", true, true],
  ["a.b-c9", true, true],
  ["ab", false, false],
  ["My_Bucket", false, true],
  ["a..b", false, false],
  ["a.-b", false, false],
  ["192.168.0.1", false, false],
  ["-abc", false, false],
  [".minio.sys", false, false],
  ["minio", false, false],
  ["lost+found", false, false],
  ["x".repeat(63), true, true],
  ["x".repeat(64), false, false],
])("bucket %s: may be made %p, is listed %p", (name, made, listed) => {
  expect([isBucketName(name), isBucketDirectory(name)]).toEqual([made, listed]);
});

describe("uploads", () => {
  const { bucket, object, shaDir, uploadDir, uploadId } = VECTORS.multipart;

  onFixtures("names are MinIO's", () => {
    expect(uploadParent(bucket, object)).toBe(shaDir);
    expect(uploadPath(bucket, object, uploadDir)).toBe(`multipart/${shaDir}/${uploadDir}`);
    expect(uploadDirName("6ba7b810-9dad-41d1-80b4-00c04fd430c8", 1_700_000_000_123_456_789n)).toBe(uploadDir);
    expect(encodeUploadId(VECTORS.placement.deploymentId, uploadDir)).toBe(uploadId);
    expect(decodeUploadId(uploadId)).toBe(uploadDir);
    expect(uploadInitiatedNs(uploadDir)).toBe(1_700_000_000_123_456_789n);
  });

  test("a bare UUID of an old release is its own upload id", () => {
    const uuid = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
    expect(decodeUploadId(uuid)).toBe(uuid);
    expect(uploadInitiatedNs(uuid)).toBeNull();
  });

  test.each([
    "",
    "x",
    "../../etc",
    encodeUploadId("d", "../../../etc/passwd"),
    encodeUploadId("d", ""),
    encodeUploadId("d", `${"a".repeat(36)}x1`),
  ])("%p names no upload", (id) => {
    expect(decodeUploadId(id)).toBeNull();
  });
});
