/**
 * applyChange: one Change on one drive's own xl.meta. Pure: bytes in, bytes out, so that drives with different old
 * versions need not agree on them. A file that cannot be read counts as empty, as in MinIO (on-disk-format.md §8.1): who commits
 * decides whether a put may begin so (ADR 0018).
 */
import type { Change, LoneVersion } from "./drive.ts";
import { FormatError } from "../core/format-error.ts";
import { XlMeta } from "./xl-meta.ts";

export interface Applied {
  /** New xl.meta; null = the key is gone. */
  readonly meta: Uint8Array | null;
  /** The same, where it is cheaper to copy than to ask for; null = it is not. */
  readonly lone: LoneVersion | null;
  /** The same, decoded; null = the key is gone. */
  readonly parsed: XlMeta | null;
  /** Data directories that no version refers to any more. */
  readonly freedDirs: readonly string[];
  /** A put over a file that could not be read: what else was in it is not in the new one. */
  readonly isAnew: boolean;
}

const NO_DIRECTORIES: readonly string[] = [];
const GONE = { meta: null, lone: null, parsed: null };

/** Null: the version that a delete or patch names is not here. */
export function applyChange(current: Uint8Array | null, change: Change): Applied | null {
  if (current === null && change.kind === "put" && change.alone !== undefined)
    return new AppliedAlone(change.alone, NO_DIRECTORIES);
  if (current !== null && change.kind === "delete-version" && isOnly(current, change.versionId))
    return gone(XlMeta.shared(current), change.versionId);
  const known = current === null ? XlMeta.empty() : decodeOrNull(current);
  const meta = known ?? XlMeta.empty();
  switch (change.kind) {
    case "put": {
      const freed = meta.dataDirFreedBy(change.versionId);
      const freedDirs = freed === "" || freed === change.dataDir ? [] : [freed];
      const isAll = known !== null && meta.versions.every(({ header }) => header.versionId === change.versionId);
      if (isAll && change.alone !== undefined) return new AppliedAlone(change.alone, freedDirs);
      meta.putBody(change.body, change.data.kind === "inline" ? change.data.bytes : undefined, change.header);
      return { ...encoded(meta), freedDirs, isAnew: known === null };
    }
    case "delete-version": {
      if (meta.find(change.versionId) === undefined) return null;
      const freed = meta.dataDirFreedBy(change.versionId);
      meta.removeVersion(change.versionId); // another one is left
      return { ...encoded(meta), freedDirs: freed === "" ? [] : [freed], isAnew: false };
    }
    case "patch": {
      if (meta.find(change.versionId) === undefined) return null;
      meta.patchMeta(change.versionId, change.metaUsr, change.metaSys);
      return { ...encoded(meta), freedDirs: [], isAnew: false };
    }
    case "replace": {
      const old = meta.dataDirs();
      const parsed = XlMeta.decode(change.meta);
      if (parsed.versions.length === 0) return { ...GONE, freedDirs: [...old], isAnew: false };
      const now = new Set(parsed.dataDirs());
      return {
        meta: change.meta,
        lone: null,
        parsed,
        freedDirs: [...old].filter((dir) => !now.has(dir)),
        isAnew: false,
      };
    }
  }
}

/** Is it all that these bytes hold? Nearly always somebody decoded them already, to see what there is. */
function isOnly(bytes: Uint8Array, versionId: string): boolean {
  if (!isReadable(bytes)) return false;
  const { versions } = XlMeta.shared(bytes);
  return versions.length === 1 && versions[0]?.header.versionId === versionId;
}

/** Its only version is removed. */
function gone(meta: XlMeta, versionId: string): Applied {
  const freed = meta.dataDirFreedBy(versionId);
  return { ...GONE, freedDirs: freed === "" ? NO_DIRECTORIES : [freed], isAnew: false };
}

/** Of a key that has only what is put. */
class AppliedAlone implements Applied {
  readonly isAnew = false;

  constructor(
    readonly lone: LoneVersion,
    readonly freedDirs: readonly string[],
  ) {}

  get meta(): Uint8Array {
    const bytes = new Uint8Array(this.lone.length);
    this.lone.writeTo(bytes, 0);
    return bytes;
  }
  get parsed(): XlMeta {
    return this.lone.parsed;
  }
}

function encoded(meta: XlMeta): { readonly meta: Uint8Array; readonly lone: null; readonly parsed: XlMeta } {
  return { meta: meta.encode(), lone: null, parsed: meta };
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

function decodeOrNull(bytes: Uint8Array): XlMeta | null {
  try {
    return XlMeta.decode(bytes);
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

/** What a read gave is an xl.meta, or says that there is none. */
export function isReadable(meta: Uint8Array | null): boolean {
  if (meta === null) return true;
  try {
    XlMeta.shared(meta);
    return true;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

/** Newest modTime of the versions: the stamp of a state that MinIO or a previous run left. 0 = absent, 1 = unreadable. */
export function stampOf(meta: Uint8Array | null): bigint {
  if (meta === null) return 0n;
  const first = isReadable(meta) ? XlMeta.shared(meta).versions[0] : undefined;
  return first === undefined ? 1n : first.header.modTime;
}
