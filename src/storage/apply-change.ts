/**
 * applyChange: one Change on one drive's own xl.meta. Pure: bytes in, bytes out, so that drives with different old
 * versions need not agree on them. A file that cannot be read counts as empty, as MinIO does (on-disk-format.md §8.1).
 */
import type { Change } from "./drive.ts";
import { FormatError } from "../core/format-error.ts";
import { XlMeta } from "./xl-meta.ts";

export interface Applied {
  /** New xl.meta; null = the key is gone. */
  readonly meta: Uint8Array | null;
  /** The same, decoded. */
  readonly parsed: XlMeta | null;
  /** Data directories that no version refers to any more. */
  readonly freedDirs: readonly string[];
}

/** Null: the version that a delete or patch names is not here. */
export function applyChange(current: Uint8Array | null, change: Change): Applied | null {
  const meta = current === null ? XlMeta.empty() : decodeOrEmpty(current);
  switch (change.kind) {
    case "put": {
      const freed = meta.dataDirFreedBy(change.versionId);
      meta.putBody(change.body, change.data.kind === "inline" ? change.data.bytes : undefined, change.header);
      return { ...encoded(meta), freedDirs: freed === "" || freed === change.dataDir ? [] : [freed] };
    }
    case "delete-version": {
      if (meta.find(change.versionId) === undefined) return null;
      const freed = meta.dataDirFreedBy(change.versionId);
      meta.removeVersion(change.versionId);
      const left = meta.versions.length === 0 ? { meta: null, parsed: null } : encoded(meta);
      return { ...left, freedDirs: freed === "" ? [] : [freed] };
    }
    case "patch": {
      if (meta.find(change.versionId) === undefined) return null;
      meta.patchMeta(change.versionId, change.metaUsr, change.metaSys);
      return { ...encoded(meta), freedDirs: [] };
    }
    case "replace": {
      const old = meta.dataDirs();
      const parsed = XlMeta.decode(change.meta);
      if (parsed.versions.length === 0) return { meta: null, parsed: null, freedDirs: [...old] };
      const now = new Set(parsed.dataDirs());
      return { meta: change.meta, parsed, freedDirs: [...old].filter((dir) => !now.has(dir)) };
    }
  }
}

function encoded(meta: XlMeta): { readonly meta: Uint8Array; readonly parsed: XlMeta } {
  return { meta: meta.encode(), parsed: meta };
}

/** What bytes of an xl.meta say; null = absent. */
export function parseMeta(meta: Uint8Array | null): XlMeta | null | "unreadable" {
  if (meta === null) return null;
  try {
    return XlMeta.decode(meta);
  } catch (error) {
    if (error instanceof FormatError) return "unreadable";
    throw error;
  }
}

function decodeOrEmpty(bytes: Uint8Array): XlMeta {
  try {
    return XlMeta.decode(bytes);
  } catch (error) {
    if (error instanceof FormatError) return XlMeta.empty();
    throw error;
  }
}

function readOrEmpty(bytes: Uint8Array): XlMeta {
  try {
    return XlMeta.shared(bytes);
  } catch (error) {
    if (error instanceof FormatError) return XlMeta.empty();
    throw error;
  }
}

/** Data directories that an xl.meta refers to; null = it cannot be read. */
export function dataDirsOf(meta: Uint8Array | null): ReadonlySet<string> | null {
  if (meta === null) return new Set();
  try {
    return XlMeta.shared(meta).dataDirs();
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

/** Newest modTime of the versions: the stamp of a state that MinIO or a previous run left. 0 = absent or unreadable. */
export function stampOf(meta: Uint8Array | null): bigint {
  if (meta === null) return 0n;
  const first = readOrEmpty(meta).versions[0];
  return first === undefined ? 1n : first.header.modTime;
}
