/**
 * The object layer's requests and results: S3's meaning without HTTP. One operation, one file beside this one; each is
 * `export async function putObject(ctx: ObjectContext, request: PutObjectRequest): Promise<PutObjectResult>` and so on.
 * Times are nanoseconds (bigint) since 1970 where they come from a version, keys are as the client wrote them.
 */
import type { Cancellation } from "../core/cancellation.ts";
import type { Due } from "../bucket/lifecycle.ts";
import type { LockWish } from "../bucket/object-lock.ts";
import type { ChecksumName as Algorithm, ChecksumType as Extent, DigestResult } from "../codec/checksum.ts";
import type { ByteSink, ByteSource } from "../core/byte-stream.ts";
import type { ListedVersion, StoredVersion } from "../erasure/store.ts";

/** Digest flags as in codec.h. */
export type DigestFlags = number;
export type Digests = DigestResult;

export type ChecksumName = Algorithm;
export type ChecksumType = Extent;

/** A checksum as stored and shown; `value` is base64, without the `-N` of composites; parts = number of parts, 0 for single PUT. */
export interface Checksum {
  readonly algorithm: ChecksumName;
  readonly type: ChecksumType;
  readonly value: string;
  readonly parts: number;
}

/** A body on its way in. The object layer hashes it block by block with `digests` (MD5 is always added). */
export interface ObjectBody extends ByteSource {
  /** Payload bytes, known before the first one (aws-chunked: the decoded length). */
  readonly sizeBytes: number;
  /** There may be fewer bytes: a form does not say how long its file is. */
  readonly sizeIsMax?: boolean;
  /** Digests that `verify` wants. */
  readonly digests: DigestFlags;
  /** Algorithm of the client's checksum, which may come in a trailer; null = it brings none. */
  readonly declares: ChecksumName | null;
  /** Called once after the last byte, before anything is committed: throws the wire's error on a wrong digest or trailer. */
  verify(digests: Digests): void;
  /** The client's checksum, known at the latest after the last byte (trailers), to be stored; null = none. */
  checksum(): { readonly algorithm: ChecksumName; readonly value: string } | null;
}

/** Conditions of RFC 9110 as given; ETags without quotes, "*" kept; times in ms. */
export interface Conditions {
  readonly ifMatch?: readonly string[];
  readonly ifNoneMatch?: readonly string[];
  readonly ifModifiedSinceMs?: number;
  readonly ifUnmodifiedSinceMs?: number;
  /** Deletes only: what is there must have this size and, to the second, this time. */
  readonly ifMatchSizeBytes?: number;
  readonly ifMatchModTimeMs?: number;
}

export type EncryptionKind = "SSE-C" | "SSE-S3" | "SSE-KMS";
/** How a new version is to be encrypted. */
export type Encryption =
  | { readonly kind: "SSE-S3" }
  | {
      readonly kind: "SSE-KMS";
      /** null = the default master key. */
      readonly keyId: string | null;
      /** As the client sent it: base64 of JSON; "" = none. */
      readonly context: string;
    }
  /** 32 bytes, the client's. */
  | { readonly kind: "SSE-C"; readonly key: Uint8Array };

/** How a version is encrypted, as responses say. */
export interface EncryptionInfo {
  readonly kind: EncryptionKind;
  /** "" for SSE-C. */
  readonly keyId: string;
  /** Base64; "" = none. */
  readonly context: string;
  /** Base64 of the MD5 of the client's key; "" unless SSE-C. */
  readonly customerKeyMd5: string;
}

/** Metadata that a client gives to a new version; keys as stored in MetaUsr (on-disk-format.md §5.10). */
export interface NewMetadata {
  /** content-type, content-encoding, cache-control, X-Amz-Meta-…: stored spelling -> value. */
  readonly metadata: ReadonlyMap<string, string>;
  /** URL-encoded tag query as stored under X-Amz-Tagging; "" = none. */
  readonly tagging: string;
  /** STANDARD or REDUCED_REDUNDANCY. */
  readonly storageClass: string;
  /** Absent: as the bucket says. */
  readonly encryption?: Encryption | undefined;
  /** More entries of MetaSys, like an ACL. */
  readonly internal?: ReadonlyMap<string, Uint8Array>;
  /** Retention and legal hold that the client asks for. */
  readonly lock: LockWish;
}

export interface VersionInfo {
  readonly bucket: string;
  readonly key: string;
  /** "null" or UUID text. */
  readonly versionId: string;
  /** True when the bucket is or was versioned: then x-amz-version-id is sent (never for MinIO-parity null unless versioned; see s3-api §4.2). */
  readonly isLatest: boolean;
  readonly isDeleteMarker: boolean;
  readonly modTimeNs: bigint;
  readonly sizeBytes: number;
  /** Without quotes. */
  readonly etag: string;
  readonly storageClass: string;
  readonly metadata: ReadonlyMap<string, string>;
  /** Internal (MetaSys), verbatim. */
  readonly internal: ReadonlyMap<string, Uint8Array>;
  readonly tagging: string;
  readonly parts: readonly { readonly number: number; readonly sizeBytes: number }[];
  readonly isMultipart: boolean;
  readonly checksum: Checksum | null;
  /** null = not encrypted. */
  readonly encryption: EncryptionInfo | null;
  /** Base64 per part in the order of `parts`, if stored. */
  readonly partChecksums: readonly string[];
}

export interface ObjectTarget {
  readonly bucket: string;
  readonly key: string;
  readonly signal: Cancellation;
}

// ---- put-object.ts: putObject
export interface PutObjectRequest extends ObjectTarget, NewMetadata {
  /** Of a copy of something older; else the time of the write. */
  readonly modTimeNs?: bigint;
  readonly body: ObjectBody;
  readonly conditions: Conditions;
  /** Throws unless the latest version (null = none) is what the write was made from. Absent: whatever is there. */
  demand?(current: StoredVersion | null): void;
}
export interface PutObjectResult {
  readonly etag: string;
  /** null when the bucket never was versioned or is suspended (no header). */
  readonly versionId: string | null;
  readonly checksum: Checksum | null;
  readonly modTimeNs: bigint;
  /** null = stored in the clear. */
  readonly encryption: EncryptionInfo | null;
  /** When the bucket's rules will make it expire; null = never. */
  readonly expiry: Due | null;
}

// ---- append-object.ts: appendObject
export interface AppendObjectRequest extends ObjectTarget, NewMetadata {
  /** Where the client's bytes begin: the size of what is there. */
  readonly offset: number;
  readonly body: ObjectBody;
  readonly conditions: Conditions;
}
export interface AppendObjectResult extends PutObjectResult {
  /** Of the whole. */
  readonly sizeBytes: number;
}

// ---- get-object.ts: openObject (GET and HEAD): headers are known before bytes move
export interface OpenObjectRequest extends Pick<ObjectTarget, "bucket" | "key"> {
  readonly versionId?: string | undefined;
  /** The client's key, if it sent one. */
  readonly customerKey?: Uint8Array | undefined;
  readonly conditions: Conditions;
  /** Nothing will be streamed: the data are not looked at. */
  readonly withoutContent?: boolean;
}
export interface OpenedObject extends AsyncDisposable {
  readonly info: VersionInfo;
  /** When the bucket's rules make it expire; null = never. */
  readonly expiry: Due | null;
  /** Writes bytes [offset, offset+length) to the sink. Throws QuorumError when they cannot be had. */
  stream(sink: ByteSink, offset: number, length: number): Promise<void>;
  /** For small objects that are already in memory: the whole content, else null. */
  readonly inline: Uint8Array | null;
}
/* openObject throws ObjectError: NoSuchBucket, NoSuchKey, NoSuchVersion, DeleteMarker (detail: versionId, modTimeNs, latest: boolean),
   NotModified (detail.info), PreconditionFailed (detail.info), and QuorumError. */

// ---- copy-object.ts: copyObject
export interface CopySource {
  readonly bucket: string;
  readonly key: string;
  readonly versionId?: string;
  readonly conditions: Conditions;
  /** The client's key of the source, if it sent one. */
  readonly customerKey?: Uint8Array | undefined;
}
export interface CopyObjectRequest extends ObjectTarget {
  readonly source: CopySource;
  /** Absent: as the bucket says. */
  readonly encryption?: Encryption | undefined;
  readonly conditions: Conditions;
  /** null = COPY directive. */
  readonly replaceMetadata: ReadonlyMap<string, string> | null;
  /** null = COPY directive. */
  readonly replaceTagging: string | null;
  /** Of the copy, as a page of a website; never copied. */
  readonly redirectLocation: string | null;
  /** null = STANDARD unless … keep the source's (MinIO). */
  readonly storageClass: string | null;
  readonly checksumAlgorithm: ChecksumName | null;
  /** More entries of MetaSys of the copy, like an ACL: the source's are not copied. */
  readonly internal?: ReadonlyMap<string, Uint8Array>;
  readonly lock: LockWish;
}
export interface CopyObjectResult extends PutObjectResult {
  readonly sourceHasChecksum: boolean;
  readonly sourceVersionId: string | null;
}

// ---- delete-object.ts: deleteObject
export interface DeleteObjectRequest extends ObjectTarget {
  readonly versionId?: string;
  /** x-amz-bypass-governance-retention, asked for by someone who may. */
  readonly bypassGovernance: boolean;
  readonly conditions: Conditions;
}
export interface DeleteObjectResult {
  /** The version removed or the marker made; null = no header. */
  readonly versionId: string | null;
  readonly isDeleteMarker: boolean;
}

// ---- list-objects.ts: listObjects (V1 and V2), listVersions
export interface ListObjectsRequest {
  readonly bucket: string;
  readonly prefix: string;
  readonly delimiter: string;
  /** Keys strictly after this one. */
  readonly after: string;
  readonly maxKeys: number;
  readonly signal: Cancellation;
}
export interface ListedObject {
  readonly key: string;
  readonly isLatest: boolean;
  readonly version: ListedVersion;
}
export interface ListObjectsResult {
  readonly objects: readonly ListedObject[];
  readonly commonPrefixes: readonly string[];
  readonly isTruncated: boolean;
  /** The last key or prefix of this page; where the next one continues. */
  readonly nextAfter: string;
}
export interface ListVersionsRequest extends Omit<ListObjectsRequest, "after"> {
  readonly keyMarker: string;
  readonly versionIdMarker: string;
}
export interface ListVersionsResult {
  readonly versions: readonly ListedObject[];
  readonly commonPrefixes: readonly string[];
  readonly isTruncated: boolean;
  readonly nextKeyMarker: string;
  readonly nextVersionIdMarker: string;
}

// ---- tagging.ts: getTagging, putTagging ("" deletes); returns the version touched
export interface TaggingRequest extends ObjectTarget {
  readonly versionId?: string;
}

// ---- object-lock.ts: lockedVersion, putRetention, putLegalHold
export type LockChange = TaggingRequest;

// ---- multipart.ts: createUpload, uploadPart, uploadPartCopy, listParts, completeUpload, abortUpload, listUploads
export interface CreateUploadRequest extends ObjectTarget, NewMetadata {
  readonly checksumAlgorithm: ChecksumName | null;
  readonly checksumType: ChecksumType | null;
}
export interface CreateUploadResult {
  readonly uploadId: string;
  readonly encryption: EncryptionInfo | null;
  readonly checksumAlgorithm: ChecksumName | null;
  readonly checksumType: ChecksumType | null;
  /** When the bucket's rules give it up; null = never. */
  readonly abort: Due | null;
}
export interface UploadPartRequest extends ObjectTarget {
  readonly uploadId: string;
  readonly partNumber: number;
  readonly body: ObjectBody;
  /** The client's key, for uploads with SSE-C. */
  readonly customerKey?: Uint8Array | undefined;
}
export interface PartInfo {
  readonly partNumber: number;
  readonly etag: string;
  readonly sizeBytes: number;
  readonly modTimeNs: bigint;
  readonly checksum: { readonly algorithm: ChecksumName; readonly value: string } | null;
}
export interface StoredPartInfo extends PartInfo {
  readonly encryption: EncryptionInfo | null;
}
export interface UploadPartCopyRequest extends ObjectTarget {
  readonly customerKey?: Uint8Array | undefined;
  readonly uploadId: string;
  readonly partNumber: number;
  readonly source: CopySource;
  /** Inclusive bounds, or null for the whole source. */
  readonly range: { readonly first: number; readonly last: number } | null;
}
export interface UploadPartCopyResult extends StoredPartInfo {
  readonly sourceVersionId: string | null;
}
export interface ListPartsRequest extends ObjectTarget {
  readonly uploadId: string;
  readonly partNumberMarker: number;
  readonly maxParts: number;
}
export interface ListPartsResult {
  readonly parts: readonly PartInfo[];
  readonly isTruncated: boolean;
  readonly nextPartNumberMarker: number;
  readonly storageClass: string;
  /** MetaSys of the upload. */
  readonly internal: ReadonlyMap<string, Uint8Array>;
  readonly checksumAlgorithm: ChecksumName | null;
  readonly checksumType: ChecksumType | null;
}
export interface CompleteUploadRequest extends ObjectTarget {
  readonly customerKey?: Uint8Array | undefined;
  readonly uploadId: string;
  readonly parts: readonly {
    readonly partNumber: number;
    readonly etag: string;
    readonly checksum: { readonly algorithm: ChecksumName; readonly value: string } | null;
  }[];
  readonly conditions: Conditions;
  /** The client's whole-object checksum header and type, if given. */
  readonly checksum: { readonly algorithm: ChecksumName; readonly value: string } | null;
  readonly checksumType: ChecksumType | null;
  /** x-amz-mp-object-size, or null. */
  readonly objectSizeBytes: number | null;
}
export interface ListUploadsRequest {
  readonly bucket: string;
  readonly prefix: string;
  readonly delimiter: string;
  readonly keyMarker: string;
  readonly uploadIdMarker: string;
  readonly maxUploads: number;
}
export interface UploadInfo {
  readonly key: string;
  readonly uploadId: string;
  readonly initiatedNs: bigint;
  /** MetaSys of the upload. */
  readonly internal: ReadonlyMap<string, Uint8Array>;
  /** As the upload was begun with; null = none was named, and none is shown, as on MinIO. */
  readonly storageClass: string | null;
  readonly checksumAlgorithm: ChecksumName | null;
  readonly checksumType: ChecksumType | null;
}
export interface ListUploadsResult {
  readonly uploads: readonly UploadInfo[];
  readonly commonPrefixes: readonly string[];
  readonly isTruncated: boolean;
  readonly nextKeyMarker: string;
  readonly nextUploadIdMarker: string;
}

// ---- buckets.ts: listBuckets, createBucket, headBucket, deleteBucket, getVersioning, putVersioning
export interface BucketInfo {
  readonly name: string;
  readonly createdNs: bigint;
}
/** Versioning of a bucket: "" = never set. */
export type VersioningStatus = "" | "Enabled" | "Suspended";
