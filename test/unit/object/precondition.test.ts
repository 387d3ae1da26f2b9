/** The truth tables of preconditions. Source: s3-api.md §4.1. */
import { expect, test } from "bun:test";
import { hasWriteConditions, judgeRead, judgeWrite } from "../../../src/object/precondition.ts";

const found = { etag: "e", modTimeMs: 10_500, sizeBytes: 3 };

test.each([
  [{}, "go"],
  [{ ifMatch: ["e"] }, "go"],
  [{ ifMatch: ["*"] }, "go"],
  [{ ifMatch: ["x"] }, "failed"],
  [{ ifMatch: ["x"], ifNoneMatch: ["e"] }, "failed"],
  [{ ifMatch: ["e"], ifUnmodifiedSinceMs: 0 }, "go"],
  [{ ifUnmodifiedSinceMs: 9_000 }, "failed"],
  [{ ifUnmodifiedSinceMs: 10_000 }, "go"],
  [{ ifNoneMatch: ["e"] }, "not-modified"],
  [{ ifNoneMatch: ["x"], ifModifiedSinceMs: 11_000 }, "go"],
  [{ ifModifiedSinceMs: 10_000 }, "not-modified"],
  [{ ifModifiedSinceMs: 9_000 }, "go"],
] as const)("row %#: a read with these conditions", (conditions, verdict) => {
  expect(judgeRead(conditions, found)).toBe(verdict);
});

test.each([
  [{}, found, "go"],
  [{ ifMatch: ["e"] }, found, "go"],
  [{ ifMatch: ["x"] }, found, "failed"],
  [{ ifMatch: ["*"] }, null, "absent"],
  [{ ifNoneMatch: ["*"] }, found, "failed"],
  [{ ifNoneMatch: ["*"] }, null, "go"],
  [{ ifMatchSizeBytes: 3 }, found, "go"],
  [{ ifMatchSizeBytes: 4 }, found, "failed"],
  [{ ifMatchSizeBytes: 4 }, null, "go"],
  [{ ifMatchModTimeMs: 10_000 }, found, "go"],
  [{ ifMatchModTimeMs: 11_000 }, found, "failed"],
] as const)("row %#: a write with these conditions", (conditions, current, verdict) => {
  expect(judgeWrite(conditions, current)).toBe(verdict);
  expect(hasWriteConditions(conditions)).toBe(Object.keys(conditions).length > 0);
});
