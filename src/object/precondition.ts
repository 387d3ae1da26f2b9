/** Preconditions of RFC 9110 in its order. Pure; times in ms, ETags without quotes. Source: s3-api.md §4.1. */
import type { Conditions } from "./types.ts";

export interface Validators {
  readonly etag: string;
  readonly modTimeMs: number;
  /** For deletes. */
  readonly sizeBytes?: number;
}

export type ReadVerdict = "go" | "not-modified" | "failed";

/** GET and HEAD of something that exists. */
export function judgeRead(conditions: Conditions, found: Validators): ReadVerdict {
  const seconds = Math.floor(found.modTimeMs / 1000) * 1000;
  if (conditions.ifMatch !== undefined) {
    if (!matches(conditions.ifMatch, found.etag)) return "failed";
  } else if (conditions.ifUnmodifiedSinceMs !== undefined && seconds > conditions.ifUnmodifiedSinceMs) return "failed";
  if (conditions.ifNoneMatch !== undefined) {
    if (matches(conditions.ifNoneMatch, found.etag)) return "not-modified";
  } else if (conditions.ifModifiedSinceMs !== undefined && seconds <= conditions.ifModifiedSinceMs)
    return "not-modified";
  return "go";
}

export type WriteVerdict = "go" | "failed" | "absent";

/** Writes and deletes; null = nothing is there (a delete marker counts as nothing). */
export function judgeWrite(conditions: Conditions, found: Validators | null): WriteVerdict {
  if (conditions.ifMatch !== undefined) {
    if (found === null) return "absent";
    if (!matches(conditions.ifMatch, found.etag)) return "failed";
  }
  if (conditions.ifNoneMatch !== undefined && found !== null && matches(conditions.ifNoneMatch, found.etag))
    return "failed";
  if (found === null) return "go";
  if (conditions.ifMatchSizeBytes !== undefined && conditions.ifMatchSizeBytes !== found.sizeBytes) return "failed";
  const { ifMatchModTimeMs } = conditions;
  if (ifMatchModTimeMs !== undefined && Math.floor(ifMatchModTimeMs / 1000) !== Math.floor(found.modTimeMs / 1000))
    return "failed";
  return "go";
}

export function hasWriteConditions(conditions: Conditions): boolean {
  return (
    conditions.ifMatch !== undefined ||
    conditions.ifNoneMatch !== undefined ||
    conditions.ifMatchSizeBytes !== undefined ||
    conditions.ifMatchModTimeMs !== undefined
  );
}

/** Any failure of a copy source's conditions is a 412. */
export function judgeCopySource(conditions: Conditions, found: Validators): boolean {
  return judgeRead(conditions, found) === "go";
}

function matches(etags: readonly string[], etag: string): boolean {
  return etags.some((given) => given === "*" || given === etag);
}
