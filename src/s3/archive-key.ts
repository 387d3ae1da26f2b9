/** Which requests read inside a zip archive: those with `x-minio-extract: true` whose key or prefix goes below one. Source: s3-api.md §4.21. */
import { splitArchiveKey } from "../object/zip-archive.ts";
import type { Call } from "./call.ts";

export interface AskedArchive {
  /** The archive's key. */
  readonly archive: string;
  /** Within it. */
  readonly inner: string;
}

/** null: the request means what it says. */
export function askedArchive({ request }: Pick<Call, "request">, path: string): AskedArchive | null {
  return request.headers.get("x-minio-extract") === "true" ? splitArchiveKey(path) : null;
}
