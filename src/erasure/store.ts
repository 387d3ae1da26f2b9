/**
 * Store: many drives acting as one, as the object and bucket layers see it. Pools, sets, drives, quorum and shards are
 * below; S3's meaning (versioning rules, conditions, names, documents) is above. Keys are as the client wrote them
 * (the `__XLDIR__` form is made below). Version ids are "null" or UUID text. Times are ns since 1970.
 * Every method throws QuorumError when the drives cannot tell or cannot keep; "not there" is a value.
 */
import type { Cancellation } from "../core/cancellation.ts";
import type { DigestResult } from "../codec/checksum.ts";
import type { ByteSink, ByteSource } from "../core/byte-stream.ts";
import type { PartNumbers } from "../storage/drive.ts";
import type { BucketUsage } from "../storage/usage.ts";
import type { VersionSummary } from "../storage/version-summary.ts";

/** What a bucket holds. */
export type StoredUsage = BucketUsage;

export interface StoredPart {
  readonly number: number;
  /** Stored bytes (equal to actualBytes unless compressed or encrypted). */
  readonly sizeBytes: number;
  readonly actualBytes: number;
  /** Index of a compressed part's stream, as stored. */
  readonly index?: Uint8Array | null;
}

/** A version that a quorum of drives agrees on. */
export interface StoredVersion {
  readonly versionId: string;
  readonly modTimeNs: bigint;
  readonly isDeleteMarker: boolean;
  readonly isLatest: boolean;
  readonly sizeBytes: number;
  readonly parts: readonly StoredPart[];
  /** MetaUsr: etag, content-type, X-Amz-Meta-…, X-Amz-Tagging, x-amz-storage-class… */
  readonly metaUsr: ReadonlyMap<string, string>;
  /** MetaSys: x-minio-internal-… */
  readonly metaSys: ReadonlyMap<string, Uint8Array>;
  /** UUID text; "" for delete markers. */
  readonly dataDir: string;
  readonly dataShards: number;
  readonly parityShards: number;
  /** True if the data lie in xl.meta. */
  readonly isInline: boolean;
  /** Versions of this key, free versions not counted. */
  readonly versionCount: number;
}

/** A version opened for reading: its files stay while it is open. Dispose it. */
export interface VersionReader extends AsyncDisposable {
  readonly version: StoredVersion;
  /** The whole content if it was inline and is verified, else null. */
  readonly inline: Uint8Array | null;
  /** Writes stored bytes [offset, offset + length) of the whole version to the sink, verified and rebuilt where needed. */
  stream(sink: ByteSink, offset: number, length: number): Promise<void>;
}

/** Shards of one part, synced on the drives (or in memory when inline), not visible. Dispose undoes what was not committed. */
export interface Staged extends AsyncDisposable {
  /** As stored. */
  readonly sizeBytes: number;
  readonly digests: StagedDigests;
  /** Opaque to callers. */
  readonly handle: unknown;
}
export type StagedDigests = DigestResult;

export interface StageRequest {
  readonly bucket: string;
  readonly key: string;
  readonly body: ByteSource;
  /** null = known at the end; then the body gives blocks of 1 MiB, the last one shorter. */
  readonly sizeBytes: number | null;
  /** The body may be shorter than the client said, so that it is no inline one; where `sizeBytes` is a number, that is the most. */
  readonly sizeIsMax?: boolean;
  /** What the client sent, if that is not what is stored; before the body's end the most that it may be. It decides about inline. */
  readonly clientBytes?: () => number;
  /** Digest flags of codec.h; MD5 is 1. */
  readonly digests: number;
  /** "STANDARD" or "REDUCED_REDUNDANCY": decides parity. */
  readonly storageClass: string;
  /** May the data go inline (single PUT, not a part)? `versioned` halves the limit as MinIO does (on-disk-format.md §5.9). */
  readonly inline: "never" | "unversioned" | "versioned";
  readonly signal: Cancellation;
  /** For a part: pins pool, set and erasure layout of the upload. */
  readonly upload?: UploadRef;
}

/** What a commit does to one key. */
export type VersionChange =
  | {
      readonly kind: "put";
      /** "null" or a new UUID. */
      readonly versionId: string;
      readonly staged: Staged;
      readonly metaUsr: ReadonlyMap<string, string>;
      readonly metaSys: ReadonlyMap<string, Uint8Array>;
      /** Keep a source's time (replica, mover); else the commit's stamp. */
      readonly modTimeNs?: bigint | undefined;
    }
  | { readonly kind: "delete-marker"; readonly versionId: string }
  | { readonly kind: "delete-version"; readonly versionId: string }
  | {
      readonly kind: "patch";
      readonly versionId: string;
      /** null removes the key. */
      readonly metaUsr?: ReadonlyMap<string, string | null>;
      readonly metaSys?: ReadonlyMap<string, Uint8Array | null>;
    };

export interface Committed {
  readonly versionId: string;
  readonly modTimeNs: bigint;
}

/** Other versions of the key, as they were read under its lock; null = none, or nothing was read. */
export type VersionLookup = (versionId: string) => StoredVersion | null;

export interface CommitRequest {
  readonly bucket: string;
  readonly key: string;
  /**
   * Decides under the key's lock, seeing the committed latest version (null = none; a delete marker is a version), when
   * `reads` says so; may throw an ObjectError, and then nothing changes. Returns the change, or null for "nothing to do".
   */
  decide(current: StoredVersion | null, versionOf: VersionLookup): VersionChange | null;
  /** "none": blind write, decide gets null. "latest": the latest version. {versionId}: that version. */
  readonly reads: "none" | "latest" | { readonly versionId: string };
  readonly signal: Cancellation;
}

/** A version as a listing shows it: sizes are the client's. */
export type ListedVersion = VersionSummary;
export interface ListedKey {
  readonly key: string;
  /** Newest first; only the latest one unless all were asked for. */
  readonly versions: readonly ListedVersion[];
}
export interface ListPage {
  /** In byte order. */
  readonly entries: readonly ListedKey[];
  readonly commonPrefixes: readonly string[];
  readonly isTruncated: boolean;
  /** Last key or common prefix looked at; the next page starts strictly after it. */
  readonly next: string;
}
export interface ListRequest {
  readonly bucket: string;
  readonly prefix: string;
  /** "" or any string. */
  readonly delimiter: string;
  /** Strictly after this key (a common prefix given here skips all keys below it). */
  readonly after: string;
  /** With allVersions: also return this very key first (to go on inside its versions). */
  readonly inclusive: boolean;
  /** Entries + common prefixes. Keys whose latest version is a delete marker count only with allVersions. */
  readonly limit: number;
  readonly allVersions: boolean;
  readonly signal: Cancellation;
}

/** A multipart upload in progress; pool and set are inside `handle`. */
export interface UploadRef {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
  readonly handle: unknown;
}
export interface UploadState {
  readonly ref: UploadRef;
  readonly initiatedNs: bigint;
  /** Version id reserved at initiation. */
  readonly versionId: string;
  readonly metaUsr: ReadonlyMap<string, string>;
  readonly metaSys: ReadonlyMap<string, Uint8Array>;
}
/** part.N.meta (on-disk-format.md §6.2). */
export interface UploadPart {
  readonly number: number;
  readonly etag: string;
  readonly sizeBytes: number;
  readonly actualBytes: number;
  readonly modTimeNs: bigint;
  /** Algorithm -> base64. */
  readonly checksums: ReadonlyMap<string, string>;
}

export interface Store {
  // ---- buckets
  /** False if it existed already. */
  makeBucket(bucket: string): Promise<boolean>;
  /** "gone", "missing" or "not-empty" (any object, version, delete marker). */
  removeBucket(bucket: string): Promise<"gone" | "missing" | "not-empty">;
  bucketExists(bucket: string): Promise<boolean>;
  /** Sorted by name; createdNs = directory time, the fallback of .metadata.bin. */
  listBuckets(): Promise<readonly { readonly name: string; readonly createdNs: bigint }[]>;

  // ---- small system objects, path below .minio.sys (e.g. "buckets/b/.metadata.bin")
  readDocument(path: string): Promise<Uint8Array | null>;
  writeDocument(path: string, bytes: Uint8Array): Promise<void>;
  removeDocument(path: string): Promise<void>;
  /** Paths of the documents below a folder; `prefix` ends in "/". */
  listDocuments(prefix: string): Promise<readonly string[]>;

  // ---- versions
  /** The latest version (delete markers included), or the one named; null = none. */
  readVersion(bucket: string, key: string, versionId?: string): Promise<StoredVersion | null>;
  /** As readVersion, and opened. A delete marker opens with no content. */
  openVersion(bucket: string, key: string, versionId?: string): Promise<VersionReader | null>;
  stage(request: StageRequest): Promise<Staged>;
  /** Null when `decide` returned null. */
  commit(request: CommitRequest): Promise<Committed | null>;
  list(request: ListRequest): Promise<ListPage>;
  /** What a bucket holds, exactly; null = not every set has a complete key index. */
  usage(bucket: string): Promise<StoredUsage | null>;

  // ---- uploads
  createUpload(request: {
    readonly bucket: string;
    readonly key: string;
    readonly versionId: string;
    readonly storageClass: string;
    readonly metaUsr: ReadonlyMap<string, string>;
    readonly metaSys: ReadonlyMap<string, Uint8Array>;
  }): Promise<UploadState>;
  /** Null = no such upload (of this bucket and key). */
  openUpload(bucket: string, key: string, uploadId: string): Promise<UploadState | null>;
  /** All uploads of a bucket whose key starts with `prefix` (bounded by `limit` internally per page is the caller's work), by key then initiation. */
  listUploads(bucket: string, prefix: string): Promise<readonly UploadState[]>;
  putPart(ref: UploadRef, staged: Staged, part: Omit<UploadPart, "modTimeNs">): Promise<UploadPart>;
  /** Ascending; of all numbers, or `only` these. */
  listParts(ref: UploadRef, only?: PartNumbers): Promise<readonly UploadPart[]>;
  /** Makes the version of the listed parts; decide as in commit (its put change without `staged`). */
  completeUpload(request: {
    readonly ref: UploadRef;
    readonly versionId: string;
    readonly parts: readonly UploadPart[];
    readonly metaUsr: ReadonlyMap<string, string>;
    readonly metaSys: ReadonlyMap<string, Uint8Array>;
    /** May throw; called under the key's lock with the latest version if `readsLatest`. */
    check(current: StoredVersion | null, versionOf: VersionLookup): void;
    readonly readsLatest: boolean;
    readonly signal: Cancellation;
  }): Promise<Committed>;
  abortUpload(ref: UploadRef): Promise<void>;
}
