/**
 * `.metadata.bin`: what a bucket is configured to do, as MinIO stores it: four bytes, then a msgpack map of 25 keys.
 * Configurations are the documents verbatim (XML or JSON), views of the input; an empty one is unset. Times are ns since
 * 1970, GO_ZERO_TIME = unset; older files lack keys, and then have the default. Unknown keys are kept. Throws FormatError.
 * Source: docs/format.md §7.2.
 */
import { FormatError } from "../core/format-error.ts";
import { GO_ZERO_TIME } from "../core/go-time.ts";
import { MsgpackReader, MsgpackWriter } from "../core/msgpack.ts";

/** Configuration -> key of its document. The order is the file's. */
const DOCUMENT_KEYS = {
  policy: "PolicyConfigJSON",
  notification: "NotificationConfigXML",
  lifecycle: "LifecycleConfigXML",
  objectLock: "ObjectLockConfigXML",
  versioning: "VersioningConfigXML",
  encryption: "EncryptionConfigXML",
  tagging: "TaggingConfigXML",
  quota: "QuotaConfigJSON",
  replication: "ReplicationConfigXML",
  targets: "BucketTargetsConfigJSON",
  /** Sealed keys of `targets`, when those are encrypted. */
  targetsMeta: "BucketTargetsConfigMetaJSON",
} as const;
export type BucketDocument = keyof typeof DOCUMENT_KEYS;

const TIME_KEYS = {
  policy: "PolicyConfigUpdatedAt",
  objectLock: "ObjectLockConfigUpdatedAt",
  encryption: "EncryptionConfigUpdatedAt",
  tagging: "TaggingConfigUpdatedAt",
  quota: "QuotaConfigUpdatedAt",
  replication: "ReplicationConfigUpdatedAt",
  versioning: "VersioningConfigUpdatedAt",
  lifecycle: "LifecycleConfigUpdatedAt",
  notification: "NotificationConfigUpdatedAt",
  targets: "BucketTargetsConfigUpdatedAt",
  targetsMeta: "BucketTargetsConfigMetaUpdatedAt",
} as const satisfies Record<BucketDocument, string>;

/** Documents that MinIO has no key for: they lie in a file of their own (own-documents.ts). */
export type OwnDocument =
  | "cors"
  | "website"
  /** A policy that MinIO could not read: then `policy` is empty. */
  | "ownPolicy"
  | "publicAccessBlock"
  | "ownershipControls"
  /** Account that created the bucket; unset = root's. */
  | "owner"
  | "acl";
export type OwnDocuments = ReadonlyMap<OwnDocument, Uint8Array>;

export const BUCKET_DOCUMENTS = Object.keys(DOCUMENT_KEYS) as readonly BucketDocument[];
const TIMES = Object.keys(TIME_KEYS) as readonly BucketDocument[];
const DOCUMENT_BY_KEY: ReadonlyMap<string, BucketDocument> = new Map(
  BUCKET_DOCUMENTS.map((name) => [DOCUMENT_KEYS[name], name]),
);
const TIME_BY_KEY: ReadonlyMap<string, BucketDocument> = new Map(TIMES.map((name) => [TIME_KEYS[name], name]));

const KEY_COUNT = 25;
const HEADER_BYTES = 4;
const EMPTY: Uint8Array = new Uint8Array(0);

export interface BucketMetadataFile {
  readonly name: string;
  /** Creation time shown to clients; GO_ZERO_TIME in files of before 2021: use the directory's time. */
  readonly created: bigint;
  /** Legacy, always false in new files. */
  readonly lockEnabled: boolean;
  readonly documents: Readonly<Record<BucketDocument, Uint8Array>>;
  readonly updatedAt: Readonly<Record<BucketDocument, bigint>>;
  /** What MinIO does not know; not in this file. */
  readonly own: OwnDocuments;
  /** Keys of newer releases, as msgpack. */
  readonly unknownKeys: ReadonlyMap<string, Uint8Array>;
}

function forEachDocument<T>(value: T): Record<BucketDocument, T> {
  return Object.fromEntries(BUCKET_DOCUMENTS.map((name) => [name, value])) as Record<BucketDocument, T>;
}

/** Metadata of a bucket that has no configuration. */
export function newBucketMetadata(name: string, created: bigint): BucketMetadataFile {
  return {
    name,
    created,
    lockEnabled: false,
    documents: forEachDocument(EMPTY),
    updatedAt: forEachDocument(GO_ZERO_TIME),
    own: new Map(),
    unknownKeys: new Map(),
  };
}

/** With one document set or (empty) removed. */
export function withDocument(
  file: BucketMetadataFile,
  which: BucketDocument,
  document: Uint8Array,
  updatedAt: bigint,
): BucketMetadataFile {
  return {
    ...file,
    documents: { ...file.documents, [which]: document },
    updatedAt: { ...file.updatedAt, [which]: updatedAt },
  };
}

/** A key of our own, which MinIO drops when it writes the file: the bucket has had documents of its own since then. */
const HAS_OWN_KEY = "SherdDocuments";
const TRUE: Uint8Array = Uint8Array.of(0xc3);

export function namesOwnDocuments(file: BucketMetadataFile): boolean {
  return file.unknownKeys.has(HAS_OWN_KEY);
}
export function namingOwnDocuments(file: BucketMetadataFile): BucketMetadataFile {
  return { ...file, unknownKeys: new Map([...file.unknownKeys, [HAS_OWN_KEY, TRUE]]) };
}

/** With one of our own documents set or (empty) removed. */
export function withOwnDocument(
  file: BucketMetadataFile,
  which: OwnDocument,
  document: Uint8Array,
): BucketMetadataFile {
  const own = new Map(file.own);
  if (document.length > 0) own.set(which, document);
  else own.delete(which);
  return { ...file, own };
}

export function decodeBucketMetadata(bytes: Uint8Array): BucketMetadataFile {
  const [format0, format1, version0, version1] = bytes;
  if (bytes.length <= HEADER_BYTES || format0 !== 1 || format1 !== 0 || version0 !== 1 || version1 !== 0) {
    throw new FormatError("bucket metadata: unknown format or version");
  }
  const reader = new MsgpackReader(bytes, HEADER_BYTES);
  const count = reader.mapHeader();
  let name = "";
  let created = GO_ZERO_TIME;
  let lockEnabled = false;
  const documents = forEachDocument(EMPTY);
  const updatedAt = forEachDocument(GO_ZERO_TIME);
  const unknownKeys = new Map<string, Uint8Array>();
  for (let index = 0; index < count; index++) {
    const key = reader.str();
    const document = DOCUMENT_BY_KEY.get(key);
    const time = TIME_BY_KEY.get(key);
    if (document !== undefined) documents[document] = reader.takeNil() ? EMPTY : reader.bin();
    else if (time !== undefined) updatedAt[time] = reader.time();
    else if (key === "Name") name = reader.str();
    else if (key === "Created") created = reader.time();
    else if (key === "LockEnabled") lockEnabled = reader.bool();
    else unknownKeys.set(key, reader.skip());
  }
  return { name, created, lockEnabled, documents, updatedAt, own: new Map(), unknownKeys };
}

export function encodeBucketMetadata(file: BucketMetadataFile): Uint8Array {
  const writer = new MsgpackWriter(2048);
  writer.raw(Uint8Array.of(1, 0, 1, 0));
  writer.mapHeader(KEY_COUNT + file.unknownKeys.size);
  writer.str("Name");
  writer.str(file.name);
  writer.str("Created");
  writer.time(file.created);
  writer.str("LockEnabled");
  writer.bool(file.lockEnabled);
  for (const document of BUCKET_DOCUMENTS) {
    writer.str(DOCUMENT_KEYS[document]);
    writer.bin(file.documents[document]);
  }
  for (const time of TIMES) {
    writer.str(TIME_KEYS[time]);
    writer.time(file.updatedAt[time]);
  }
  for (const [key, value] of file.unknownKeys) {
    writer.str(key);
    writer.raw(value);
  }
  return writer.finish();
}
