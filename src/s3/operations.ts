/**
 * THE table: every operation of the S3 surface, in match order: method, what the path names, the query keys or header that
 * select it, the action that authorizes it, its handler. What is not there yet answers NotImplemented here, never by
 * falling through to another operation. Source: s3-api.md §1.
 */
import { getBucketAcl, getObjectAcl, putBucketAcl, putObjectAcl } from "./acl-operations.ts";
import {
  createBucket,
  deleteBucket,
  deleteBucketTagging,
  deleteObjectTagging,
  getBucketLocation,
  getBucketVersioning,
  getEmpty,
  getNotification,
  getObjectTagging,
  getStored,
  headBucket,
  listBuckets,
  notImplemented,
  removeStored,
  putBucketTagging,
  putBucketVersioning,
  putObjectTagging,
  restoreObject,
} from "./bucket-operations.ts";
import type { Call, Reply } from "./call.ts";
import {
  getObjectLegalHold,
  getObjectRetention,
  putObjectLegalHold,
  putObjectLockConfiguration,
  putObjectRetention,
} from "./lock-operations.ts";
import { deleteBucketCors, getBucketCors, putBucketCors } from "./cors.ts";
import { getBucketLifecycle, putBucketLifecycle } from "./lifecycle-operations.ts";
import {
  deleteBucketReplication,
  deleteBucketWebsite,
  getBucketWebsite,
  putBucketAccelerate,
  putBucketLogging,
  putBucketNotification,
  putBucketReplication,
  putBucketRequestPayment,
  putBucketWebsite,
} from "./setting-operations.ts";
import { extractArchive } from "./extract-archive.ts";
import { WRITE_OFFSET } from "./headers.ts";
import { listObjectsV1, listObjectsV2, listObjectVersions } from "./list-operations.ts";
import { deleteBucketEncryption, putBucketEncryption } from "./bucket-encryption.ts";
import {
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  getObjectAttributes,
  listMultipartUploads,
  listParts,
  uploadPart,
  uploadPartCopy,
} from "./multipart-operations.ts";
import { deleteBucketPolicy, getBucketPolicy, getBucketPolicyStatus, putBucketPolicy } from "./policy-operations.ts";
import {
  deleteOwnershipControls,
  deletePublicAccessBlock,
  getOwnershipControls,
  getPublicAccessBlock,
  putOwnershipControls,
  putPublicAccessBlock,
} from "./public-access.ts";
import { postObject } from "./post-object.ts";
import {
  appendObject,
  copyObject,
  deleteObject,
  deleteObjects,
  getObject,
  headObject,
  putObject,
} from "./object-operations.ts";
import { selectObjectContent } from "./select-operations.ts";

export type Target = "service" | "bucket" | "object";
export interface Operation {
  readonly name: string;
  readonly method: string;
  readonly target: Target;
  /** Query keys that must be there; "k=v" with that value. */
  readonly query: readonly string[];
  /** A header that must be there. */
  readonly header: string | null;
  readonly action: string;
  readonly run: (call: Call) => Promise<Reply | null>;
}

type Selector = { readonly query?: readonly string[]; readonly header?: string; readonly action?: string };

function op(name: string, method: string, target: Target, run: Operation["run"], selector: Selector = {}): Operation {
  return {
    name,
    method,
    target,
    run,
    query: selector.query ?? [],
    header: selector.header ?? null,
    action: selector.action ?? `s3:${name}`,
  };
}

type Change = {
  readonly put?: Operation["run"];
  readonly remove?: Operation["run"];
  /** What actions call the setting, where it is not Bucket<Name>. */
  readonly called?: string;
  /** Removing has an action of its own; else it is that of setting. */
  readonly deletes?: boolean;
};
const bucketSettings = (name: string, key: string, get: Operation["run"], change: Change = {}): Operation[] => {
  const called = change.called ?? `Bucket${name}`;
  const removal = change.deletes === true ? `s3:Delete${called}` : `s3:Put${called}`;
  return [
    op(`GetBucket${name}`, "GET", "bucket", get, { query: [key], action: `s3:Get${called}` }),
    op(`PutBucket${name}`, "PUT", "bucket", change.put ?? notImplemented, { query: [key], action: `s3:Put${called}` }),
    op(`DeleteBucket${name}`, "DELETE", "bucket", change.remove ?? notImplemented, { query: [key], action: removal }),
  ];
};
const REFUSED_BUCKET = [
  "inventory",
  "metrics",
  "analytics",
  "intelligent-tiering",
  "replication-metrics",
  "replication-reset",
  "replication-reset-status",
  "replication-check",
  "events",
  "metadataTable",
  "metadataConfiguration",
  "session",
  "abac",
];

export const OPERATIONS: readonly Operation[] = [
  op("ListBuckets", "GET", "service", listBuckets, { action: "s3:ListAllMyBuckets" }),

  op("GetBucketLocation", "GET", "bucket", getBucketLocation, { query: ["location"] }),
  op("GetBucketVersioning", "GET", "bucket", getBucketVersioning, { query: ["versioning"] }),
  op("PutBucketVersioning", "PUT", "bucket", putBucketVersioning, { query: ["versioning"] }),
  op("GetBucketPolicyStatus", "GET", "bucket", getBucketPolicyStatus, { query: ["policyStatus"] }),
  ...bucketSettings("Policy", "policy", getBucketPolicy, {
    put: putBucketPolicy,
    remove: deleteBucketPolicy,
    deletes: true,
  }),
  ...bucketSettings("Tagging", "tagging", getStored("tagging", "NoSuchTagSet"), {
    put: putBucketTagging,
    remove: deleteBucketTagging,
  }),
  ...bucketSettings("Lifecycle", "lifecycle", getBucketLifecycle, {
    called: "LifecycleConfiguration",
    put: putBucketLifecycle,
    remove: removeStored("lifecycle"),
  }),
  ...bucketSettings(
    "Encryption",
    "encryption",
    getStored("encryption", "ServerSideEncryptionConfigurationNotFoundError"),
    { called: "EncryptionConfiguration", put: putBucketEncryption, remove: deleteBucketEncryption },
  ),
  ...bucketSettings(
    "ObjectLockConfiguration",
    "object-lock",
    getStored("objectLock", "ObjectLockConfigurationNotFoundError"),
    { put: putObjectLockConfiguration },
  ),
  ...bucketSettings("Replication", "replication", getStored("replication", "ReplicationConfigurationNotFoundError"), {
    called: "ReplicationConfiguration",
    put: putBucketReplication,
    remove: deleteBucketReplication,
  }),
  ...bucketSettings("Notification", "notification", getNotification, { put: putBucketNotification }),
  ...bucketSettings("Cors", "cors", getBucketCors, { put: putBucketCors, remove: deleteBucketCors }),
  ...bucketSettings("Website", "website", getBucketWebsite, {
    put: putBucketWebsite,
    remove: deleteBucketWebsite,
    deletes: true,
  }),
  ...bucketSettings("PublicAccessBlock", "publicAccessBlock", getPublicAccessBlock, {
    put: putPublicAccessBlock,
    remove: deletePublicAccessBlock,
  }),
  ...bucketSettings("OwnershipControls", "ownershipControls", getOwnershipControls, {
    put: putOwnershipControls,
    remove: deleteOwnershipControls,
  }),
  ...bucketSettings("Acl", "acl", getBucketAcl, { put: putBucketAcl }),
  ...bucketSettings("Logging", "logging", getEmpty("BucketLoggingStatus"), { put: putBucketLogging }),
  ...bucketSettings("Accelerate", "accelerate", getEmpty("AccelerateConfiguration"), {
    called: "AccelerateConfiguration",
    put: putBucketAccelerate,
  }),
  ...bucketSettings(
    "RequestPayment",
    "requestPayment",
    getEmpty("RequestPaymentConfiguration", [["Payer", "BucketOwner"]]),
    { put: putBucketRequestPayment },
  ),
  ...REFUSED_BUCKET.flatMap((key) =>
    ["GET", "PUT", "DELETE", "POST"].map((method) =>
      op(`Bucket:${key}`, method, "bucket", notImplemented, { query: [key] }),
    ),
  ),
  op("ListMultipartUploads", "GET", "bucket", listMultipartUploads, {
    query: ["uploads"],
    action: "s3:ListBucketMultipartUploads",
  }),
  op("ListObjectVersions", "GET", "bucket", listObjectVersions, {
    query: ["versions"],
    action: "s3:ListBucketVersions",
  }),
  op("ListObjectsV2", "GET", "bucket", listObjectsV2, { query: ["list-type=2"], action: "s3:ListBucket" }),
  op("DeleteObjects", "POST", "bucket", deleteObjects, { query: ["delete"], action: "s3:DeleteObject" }),
  op("PostObject", "POST", "bucket", postObject, { action: "s3:PutObject" }),
  op("HeadBucket", "HEAD", "bucket", headBucket),
  op("ListObjects", "GET", "bucket", listObjectsV1, { action: "s3:ListBucket" }),
  op("CreateBucket", "PUT", "bucket", createBucket),
  op("DeleteBucket", "DELETE", "bucket", deleteBucket),

  ...["GET", "PUT", "POST", "DELETE"].map((method) =>
    op("ObjectTorrent", method, "object", notImplemented, { query: ["torrent"] }),
  ),
  op("GetObjectAttributes", "GET", "object", getObjectAttributes, { query: ["attributes"] }),
  op("UploadPartCopy", "PUT", "object", uploadPartCopy, {
    query: ["partNumber", "uploadId"],
    header: "x-amz-copy-source",
    action: "s3:PutObject",
  }),
  op("UploadPart", "PUT", "object", uploadPart, { query: ["partNumber", "uploadId"], action: "s3:PutObject" }),
  op("ListParts", "GET", "object", listParts, { query: ["uploadId"], action: "s3:ListMultipartUploadParts" }),
  op("CompleteMultipartUpload", "POST", "object", completeMultipartUpload, {
    query: ["uploadId"],
    action: "s3:PutObject",
  }),
  op("CreateMultipartUpload", "POST", "object", createMultipartUpload, { query: ["uploads"], action: "s3:PutObject" }),
  op("AbortMultipartUpload", "DELETE", "object", abortMultipartUpload, { query: ["uploadId"] }),
  op("GetObjectAcl", "GET", "object", getObjectAcl, { query: ["acl"] }),
  op("PutObjectAcl", "PUT", "object", putObjectAcl, { query: ["acl"] }),
  op("DeleteObjectAcl", "DELETE", "object", notImplemented, { query: ["acl"] }),
  op("GetObjectTagging", "GET", "object", getObjectTagging, { query: ["tagging"] }),
  op("PutObjectTagging", "PUT", "object", putObjectTagging, { query: ["tagging"] }),
  op("DeleteObjectTagging", "DELETE", "object", deleteObjectTagging, { query: ["tagging"] }),
  op("SelectObjectContent", "POST", "object", selectObjectContent, { query: ["select"], action: "s3:GetObject" }),
  op("RestoreObject", "POST", "object", restoreObject, { query: ["restore"] }),
  op("GetObjectRetention", "GET", "object", getObjectRetention, { query: ["retention"] }),
  op("PutObjectRetention", "PUT", "object", putObjectRetention, { query: ["retention"] }),
  op("GetObjectLegalHold", "GET", "object", getObjectLegalHold, { query: ["legal-hold"] }),
  op("PutObjectLegalHold", "PUT", "object", putObjectLegalHold, { query: ["legal-hold"] }),
  op("GetObjectLambda", "GET", "object", notImplemented, { query: ["lambdaArn"] }),
  ...["PUT", "GET"].map((method) => op("RenameObject", method, "object", notImplemented, { query: ["renameObject"] })),
  op("HeadObject", "HEAD", "object", headObject, { action: "s3:GetObject" }),
  op("GetObject", "GET", "object", getObject),
  op("CopyObject", "PUT", "object", copyObject, { header: "x-amz-copy-source", action: "s3:PutObject" }),
  op("PutObjectExtract", "PUT", "object", extractArchive, {
    header: "x-amz-meta-snowball-auto-extract",
    action: "s3:PutObject",
  }),
  op("AppendObject", "PUT", "object", appendObject, { header: WRITE_OFFSET, action: "s3:PutObject" }),
  op("PutObject", "PUT", "object", putObject),
  op("DeleteObject", "DELETE", "object", deleteObject),
];

/** Rows by target and method, so that a request looks at few. */
const ROWS: Readonly<Record<Target, ReadonlyMap<string, readonly Operation[]>>> = {
  service: rowsOf("service"),
  bucket: rowsOf("bucket"),
  object: rowsOf("object"),
};
function rowsOf(target: Target): Map<string, Operation[]> {
  return Map.groupBy(
    OPERATIONS.filter((operation) => operation.target === target),
    ({ method }) => method,
  );
}

/** Query keys that a plain PUT or DELETE may carry; any other sub-resource on them is refused, not ignored. */
const HARMLESS = /^(x-id|versionId|X-Amz-.*|AWSAccessKeyId|Signature|Expires|response-.*)$/i;

/** Sub-resources by target. A plain GET, HEAD or POST ignores what it does not know, but is never the answer to one of these. */
const SUB_RESOURCES: Readonly<Record<Target, ReadonlySet<string>>> = {
  service: new Set(),
  bucket: subResourcesOf("bucket"),
  object: subResourcesOf("object"),
};
function subResourcesOf(target: Target): ReadonlySet<string> {
  const keys = OPERATIONS.filter((o) => o.target === target).flatMap((o) => o.query);
  return new Set(keys.filter((key) => !key.includes("=") && key !== "partNumber"));
}

export function findOperation(
  method: string,
  target: Target,
  query: ReadonlyMap<string, string>,
  headers: ReadonlyMap<string, string>,
): Operation | "not-implemented" | null {
  const rows = ROWS[target].get(method);
  if (rows === undefined) return null;
  for (const row of rows) {
    if (query.size === 0 && row.query.length > 0) continue;
    if (row.header !== null && !headers.has(row.header) && !isHoisted(query, row.header)) continue;
    if (!hasKeys(query, row.query)) continue;
    if (row.query.length === 0 && query.size > 0) {
      const isWrite = method === "PUT" || method === "DELETE";
      for (const key of query.keys())
        if (isWrite ? !HARMLESS.test(key) : SUB_RESOURCES[target].has(key)) return "not-implemented";
    }
    return row;
  }
  return null;
}

/** Presigned URLs may carry headers in the query. */
function isHoisted(query: ReadonlyMap<string, string>, header: string): boolean {
  for (const key of query.keys()) if (key.toLowerCase() === header) return true;
  return false;
}

function hasKeys(query: ReadonlyMap<string, string>, all: readonly string[]): boolean {
  for (const wanted of all) if (!hasKey(query, wanted)) return false;
  return true;
}

function hasKey(query: ReadonlyMap<string, string>, wanted: string): boolean {
  const equals = wanted.indexOf("=");
  return equals < 0 ? query.has(wanted) : query.get(wanted.slice(0, equals)) === wanted.slice(equals + 1);
}
