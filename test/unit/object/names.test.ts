/** What buckets and keys may be called. Source: s3-api.md §1.6. */
import { expect, test } from "bun:test";
import { checkKey, isBucketName, isPrefix } from "../../../src/object/names.ts";

test.each(["abc", "a.b-c", "0abc9", "a".repeat(63)])("%s is a bucket name", (name) => {
  expect(isBucketName(name)).toBe(true);
});
test.each(["ab", "a".repeat(64), "Abc", "a_b", "-ab", "ab-", "a..b", "a.-b", "a-.b", "10.0.0.1", "a b", "ab\n"])(
  "%p is no bucket name",
  (name) => {
    expect(isBucketName(name)).toBe(false);
  },
);

test.each(["a", "a/b", "a/", ".a", "a..b", "...", "\u0001", "a\\b", "k".repeat(255), `${"k".repeat(246)}/`])(
  "%p is a key",
  (key) => {
    checkKey(key);
  },
);
test.each([
  "",
  "/a",
  "a//b",
  "a\0",
  "..",
  "../a",
  "a/..",
  "a/./b",
  "a\\..\\b",
  " ..",
  "xl.meta",
  "a/xl.meta/b",
  "a__XLDIR__",
  "\ud800",
  "k".repeat(256),
  `${"k".repeat(247)}/`,
  `${"k/".repeat(512)}k`,
])("%p is no key", (key) => {
  expect(() => checkKey(key)).toThrow();
});

test("a prefix may be the beginning of a key", () => {
  expect(["", "a", "a/", ".", "..", "a/."].filter(isPrefix)).toEqual(["", "a", "a/", ".", "..", "a/."]);
  expect(["/", "/a", "a//", "\0", "../", "a/../b", "k".repeat(1025)].filter(isPrefix)).toEqual([]);
});
