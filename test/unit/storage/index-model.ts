/** Random keys with versions, and a naive answer to what a listing of them shows. */
import type { IndexListRequest } from "../../../src/storage/index-list.ts";
import { XlMeta } from "../../../src/storage/xl-meta.ts";
import { encodeKey } from "../../../src/storage/paths.ts";

export const PIECES = [
  "a",
  "b",
  "dir/",
  "d/",
  "é",
  "\u{e000}",
  "\u{ffff}",
  "\u{10000}",
  "\u{10ffff}",
  "/x",
  "0",
  "~",
  " ",
];

export function randomKey(next: () => number): string {
  for (;;) {
    const pieces = Array.from({ length: 1 + Math.floor(next() * 5) }, () => PIECES[Math.floor(next() * PIECES.length)]);
    const key = pieces.join("").replaceAll("//", "/").replace(/^\//, "");
    if (key !== "") return key;
  }
}

export interface ModelVersion {
  readonly versionId: string;
  readonly isDeleteMarker: boolean;
  readonly sizeBytes: number;
  readonly modTime: bigint;
}
/** Newest first. */
export type ModelKey = readonly ModelVersion[];

export function metaOf(versions: ModelKey): XlMeta {
  const meta = XlMeta.empty();
  for (const { versionId, isDeleteMarker, sizeBytes, modTime } of [...versions].reverse())
    meta.setVersion(
      isDeleteMarker
        ? { type: 2, versionId, modTime, metaSys: new Map() }
        : {
            type: 1,
            versionId,
            dataDir: "0b9a3d2e-4b2c-4d5e-8f60-718293a4b5c6",
            dataShards: 2,
            parityShards: 2,
            blockSizeBytes: 1_048_576,
            erasureIndex: 1,
            distribution: [1, 2, 3, 4],
            partNumbers: [1],
            partEtags: null,
            partSizes: [sizeBytes],
            partActualSizes: [sizeBytes],
            partIndices: null,
            sizeBytes,
            modTime,
            metaSys: new Map(),
            metaUsr: new Map([["etag", `e${sizeBytes}`]]),
          },
    );
  return meta;
}

export function pathOf(key: string): { readonly bucket: string; readonly path: string } {
  return { bucket: "b", path: encodeKey(key) };
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Every key and common prefix after the request's marker, in order: `key` or `prefix*`. */
export function naiveListing(keys: ReadonlyMap<string, ModelKey>, request: IndexListRequest): string[] {
  const { prefix, delimiter, after, inclusive, allVersions } = request;
  const out: string[] = [];
  for (const [key, versions] of [...keys].sort(([a], [b]) => byBytes(a, b))) {
    if (!key.startsWith(prefix)) continue;
    const order = byBytes(key, after);
    if (order < 0 || (order === 0 && !inclusive)) continue;
    if (!allVersions && versions[0]?.isDeleteMarker !== false) continue;
    const at = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    const item = at < 0 ? key : `${key.slice(0, at + delimiter.length)}*`;
    if (out.at(-1) !== item) out.push(item);
  }
  return out;
}
