/** From a stored version to what the wire shows. Source: on-disk-format.md §5.10, §5.11. */
import { type ChecksumRecord, checksumToBase64, decodeChecksumRecords } from "../codec/checksum.ts";
import type { StoredVersion } from "../erasure/store.ts";
import { ObjectError } from "./errors.ts";
import { opaqueEtag } from "./object-key.ts";
import type { Checksum, EncryptionInfo, VersionInfo } from "./types.ts";

export const ACTUAL_SIZE_KEY = "X-Minio-Internal-actual-size";
export const CRC_KEY = "x-minio-internal-crc";
/** The same for algorithms that MinIO does not know: it keeps the entry and shows no checksum. */
export const OWN_CRC_KEY = "x-minio-internal-sherd-crc";
export const TAGGING_KEY = "X-Amz-Tagging";
export const REDIRECT_LOCATION_KEY = "X-Amz-Website-Redirect-Location";
const STORAGE_CLASS_KEY = "x-amz-storage-class";
export const COMPRESSION_KEY = "X-Minio-Internal-compression";
const ENCRYPTION_MARK = "x-minio-internal-server-side-encryption-";

/** What only the key of an encrypted version shows. */
export interface Unsealed {
  readonly etag: string;
  readonly encryption: EncryptionInfo | null;
  /** Opens the stored checksums. */
  readonly open: (sealed: Uint8Array) => Uint8Array | null;
}

/** `unsealed`: of an encrypted version; without it its checksums are not shown, nor what its sealed ETag holds. */
export function versionInfo(
  bucket: string,
  key: string,
  version: StoredVersion,
  unsealed: Unsealed | null = null,
): VersionInfo {
  return new StoredInfo(bucket, key, version, unsealed);
}

/** What few ask for is found when it is asked for. */
class StoredInfo implements VersionInfo {
  readonly versionId: string;
  readonly isLatest: boolean;
  readonly isDeleteMarker: boolean;
  readonly modTimeNs: bigint;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly storageClass: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly internal: ReadonlyMap<string, Uint8Array>;
  readonly tagging: string;
  readonly isMultipart: boolean;
  readonly encryption: EncryptionInfo | null;
  private knownParts: VersionInfo["parts"] | null = null;
  private knownPartChecksums: readonly string[] | null = null;
  /** undefined = not looked at yet. */
  private record: ChecksumRecord | null | undefined;

  constructor(
    readonly bucket: string,
    readonly key: string,
    private readonly version: StoredVersion,
    unsealed: Unsealed | null,
  ) {
    const { metaUsr, metaSys } = version;
    const etag = opaqueEtag(metaUsr.get("etag") ?? "");
    this.versionId = version.versionId;
    this.isLatest = version.isLatest;
    this.isDeleteMarker = version.isDeleteMarker;
    this.modTimeNs = version.modTimeNs;
    this.sizeBytes = actualSize(version);
    this.etag = unsealed?.etag ?? etag;
    this.storageClass = metaUsr.get(STORAGE_CLASS_KEY) ?? "STANDARD";
    this.metadata = metaUsr;
    this.internal = metaSys;
    this.tagging = metaUsr.get(TAGGING_KEY) ?? "";
    this.isMultipart = metaSys.has(ACTUAL_SIZE_KEY) && etag.includes("-");
    this.encryption = unsealed?.encryption ?? null;
    this.record = unsealed === null ? undefined : checksumRecord(version, unsealed.open); // as long as there is the key
  }

  get parts(): VersionInfo["parts"] {
    this.knownParts ??= this.version.parts.map((p) => ({
      number: p.number,
      sizeBytes: p.actualBytes >= 0 ? p.actualBytes : p.sizeBytes,
    }));
    return this.knownParts;
  }

  get checksum(): Checksum | null {
    const record = this.checksums;
    return record === null ? null : shown(record);
  }

  get partChecksums(): readonly string[] {
    this.knownPartChecksums ??= this.checksums?.partValues.map(checksumToBase64) ?? [];
    return this.knownPartChecksums;
  }

  private get checksums(): ChecksumRecord | null {
    if (this.record === undefined) this.record = checksumRecord(this.version, null);
    return this.record;
  }
}

function shown(record: ChecksumRecord): Checksum {
  return { algorithm: record.algorithm, type: record.type, value: checksumToBase64(record.value), parts: record.parts };
}

/** The client's size: what was stored may be compressed or encrypted. */
export function actualSize(version: StoredVersion): number {
  const text = version.metaSys.get(ACTUAL_SIZE_KEY);
  if (text !== undefined) {
    const size = Number(Buffer.from(text).toString("latin1"));
    if (Number.isSafeInteger(size) && size >= 0) return size;
  }
  if (isTransformed(version)) return version.parts.reduce((sum, p) => sum + Math.max(0, p.actualBytes), 0);
  return version.sizeBytes;
}

function checksumRecord(
  version: StoredVersion,
  open: ((sealed: Uint8Array) => Uint8Array | null) | null,
): ChecksumRecord | null {
  const own = version.metaSys.get(OWN_CRC_KEY);
  const stored = own ?? version.metaSys.get(CRC_KEY);
  if (stored === undefined) return null;
  const bytes = isEncrypted(version) ? (open?.(stored) ?? null) : stored;
  if (bytes === null) return null;
  try {
    return decodeChecksumRecords(bytes, own !== undefined)[0] ?? null;
  } catch {
    return null; // a checksum that cannot be read is a checksum that cannot be shown; the data have their own
  }
}

export function isEncrypted(version: Pick<StoredVersion, "metaSys">): boolean {
  for (const name of version.metaSys.keys()) if (name.toLowerCase().startsWith(ENCRYPTION_MARK)) return true;
  return false;
}
function isTransformed(version: Pick<StoredVersion, "metaSys">): boolean {
  return isEncrypted(version) || version.metaSys.has(COMPRESSION_KEY);
}

/** Refuses content that this release cannot reach. */
export function demandReachable(version: StoredVersion): void {
  const status = version.metaSys.get("x-minio-internal-transition-status");
  if (status !== undefined && Buffer.from(status).toString() === "complete")
    throw new ObjectError("NotImplemented", "The object lies in a remote tier; this release cannot reach it.");
}

/** MetaUsr of a new version: the client's metadata, what locks it, tags, class and ETag. */
export function userMetadata(
  metadata: ReadonlyMap<string, string>,
  own: {
    readonly etag: string;
    readonly tagging: string;
    readonly storageClass: string;
    readonly lock?: ReadonlyMap<string, string>;
  },
): Map<string, string> {
  const out = new Map(metadata);
  if (own.lock !== undefined) for (const [name, value] of own.lock) out.set(name, value);
  if (own.etag !== "") out.set("etag", own.etag);
  if (!out.has("content-type")) out.set("content-type", "binary/octet-stream");
  if (own.tagging !== "") out.set(TAGGING_KEY, own.tagging);
  if (own.storageClass !== "STANDARD") out.set(STORAGE_CLASS_KEY, own.storageClass);
  return out;
}

export function modTimeMs(version: Pick<StoredVersion, "modTimeNs">): number {
  return Number(version.modTimeNs / 1_000_000n);
}
