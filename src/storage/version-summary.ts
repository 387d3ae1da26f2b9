/**
 * What a listing shows of a version, out of its body, without the rest; and its form in an index row: one line of text, equal
 * on every drive that holds the same version. Sizes are the client's bytes, times ms since 1970.
 */
import { decodeChecksumRecords } from "../codec/checksum.ts";
import { Generations } from "../core/generations.ts";
import { type AnyVersion, decodeVersion } from "./xl-meta-version.ts";
import type { XlVersion } from "./xl-meta-container.ts";

export interface VersionSummary {
  /** "null" or UUID text. */
  readonly versionId: string;
  readonly modTimeMs: number;
  readonly isDeleteMarker: boolean;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly storageClass: string;
  /** null = none stored, or none that can be read. */
  readonly checksum: { readonly algorithm: string; readonly type: string } | null;
  /** Canonical id by the version's own list; "" = it has none: whose the bucket is. */
  readonly owner: string;
}

/** Separates fields; what contains one of these is not kept as text. */
const FIELD = "\u001f";
const RECORD = "\u001e";
const ACTUAL_SIZE_KEY = "X-Minio-Internal-actual-size";
const COMPRESSION_KEY = "X-Minio-Internal-compression";
/** JSON with a field `owner`: bucket/acl.ts. */
const ACL_KEY = "x-sherd-acl";
const CHECKSUM_KEY = "x-minio-internal-crc";
const OWN_CHECKSUM_KEY = "x-minio-internal-sherd-crc";
const ENCRYPTION_MARK = "x-minio-internal-server-side-encryption-";
const NO_ENTRIES: ReadonlyMap<string, Uint8Array> = new Map();
const CACHED_MAX = 32_768;

export function summarize(version: AnyVersion): VersionSummary {
  const common = { versionId: version.versionId, modTimeMs: Number(version.modTime / 1_000_000n) };
  if (version.type === 2)
    return {
      ...common,
      isDeleteMarker: true,
      sizeBytes: 0,
      etag: "",
      storageClass: "STANDARD",
      checksum: null,
      owner: "",
    };
  const meta = version.type === 1 ? version.metaUsr : version.meta;
  return {
    ...common,
    isDeleteMarker: false,
    sizeBytes: clientBytes(version),
    etag: meta.get("etag") ?? "",
    storageClass: meta.get("x-amz-storage-class") ?? "STANDARD",
    checksum: version.type === 1 ? checksumShape(version.metaSys) : null,
    owner: version.type === 1 ? ownerOf(version.metaSys) : "",
  };
}

function ownerOf(metaSys: ReadonlyMap<string, Uint8Array>): string {
  const list = metaSys.get(ACL_KEY);
  if (list === undefined || list.length === 0) return "";
  try {
    const { owner } = JSON.parse(Buffer.from(list).toString("utf8")) as { owner?: unknown };
    return typeof owner === "string" ? owner : "";
  } catch {
    return ""; // as everywhere, a list that cannot be read is none
  }
}

/** What was stored may be compressed or encrypted. */
function clientBytes(version: Exclude<AnyVersion, { type: 2 }>): number {
  const metaSys = version.type === 1 ? version.metaSys : NO_ENTRIES;
  const text = metaSys.get(ACTUAL_SIZE_KEY);
  if (text !== undefined) {
    const size = Number(Buffer.from(text).toString("latin1"));
    if (Number.isSafeInteger(size) && size >= 0) return size;
  }
  if (version.type !== 1 || !(metaSys.has(COMPRESSION_KEY) || isEncrypted(metaSys))) return version.sizeBytes;
  return version.partActualSizes.reduce((sum, size) => sum + Math.max(0, size), 0);
}

function isEncrypted(metaSys: ReadonlyMap<string, Uint8Array>): boolean {
  for (const name of metaSys.keys()) if (name.toLowerCase().startsWith(ENCRYPTION_MARK)) return true;
  return false;
}

function checksumShape(metaSys: ReadonlyMap<string, Uint8Array>): VersionSummary["checksum"] {
  const own = metaSys.get(OWN_CHECKSUM_KEY);
  const bytes = own ?? metaSys.get(CHECKSUM_KEY);
  if (bytes === undefined || isEncrypted(metaSys)) return null;
  try {
    const [record] = decodeChecksumRecords(bytes, own !== undefined);
    return record === undefined ? null : { algorithm: record.algorithm, type: record.type };
  } catch {
    return null; // a checksum that cannot be read is a checksum that cannot be shown; the data have their own
  }
}

/** null = it has characters that the text form cannot hold. */
export function summaryText(v: VersionSummary): string | null {
  const { etag, storageClass, checksum, owner } = v;
  const algorithm = checksum?.algorithm ?? "";
  const type = checksum?.type ?? "";
  const texts = `${etag} ${storageClass} ${algorithm} ${type} ${owner}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these two are the separators
  if (/[\u001e\u001f]/.test(texts) || !texts.isWellFormed()) return null;
  const numbers = `${v.versionId}${FIELD}${v.modTimeMs}${FIELD}${v.isDeleteMarker ? 1 : 0}${FIELD}${v.sizeBytes}`;
  const text = `${numbers}${FIELD}${etag}${FIELD}${storageClass}${FIELD}${algorithm}${FIELD}${type}`;
  return owner === "" ? text : `${text}${FIELD}${owner}`; // a field more than others have, and older rows
}

/** From the fields of a text, of which the first is at `at`. */
export function summaryOfFields(fields: readonly string[], at: number): VersionSummary {
  const algorithm = fields[at + 6] as string;
  return {
    versionId: fields[at] as string,
    modTimeMs: Number(fields[at + 1]),
    isDeleteMarker: fields[at + 2] === "1",
    sizeBytes: Number(fields[at + 3]),
    etag: fields[at + 4] as string,
    storageClass: fields[at + 5] as string,
    checksum: algorithm === "" ? null : { algorithm, type: fields[at + 7] as string },
    owner: fields[at + 8] ?? "",
  };
}

export function joinSummaries(texts: readonly string[]): string {
  return texts.join(RECORD);
}
export function splitSummaries(text: string): VersionSummary[] {
  return text === "" ? [] : text.split(RECORD).map((one) => summaryOfFields(one.split(FIELD), 0));
}

export interface Summarized {
  readonly summary: VersionSummary;
  readonly text: string | null;
}

/** Summaries of versions seen lately: the same version lies on several drives, and stays when a key gets another one. */
export class SummaryCache {
  private readonly known = new Generations<Summarized>(CACHED_MAX);

  of({ header, body, decoded }: XlVersion): Summarized {
    if (decoded != null) return summarized(decoded); // cheaper than to look whether it is known
    const name = `${header.versionId} ${header.signature} ${header.modTime}`;
    const found = this.known.get(name);
    if (found !== undefined) return found;
    const made = summarized(decodeVersion(body));
    this.known.set(name, made);
    return made;
  }
}

function summarized(version: AnyVersion): Summarized {
  const summary = summarize(version);
  return { summary, text: summaryText(summary) };
}
