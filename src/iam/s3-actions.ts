/**
 * The actions that a bucket's policy may name, by what they are done to: AWS's of buckets and objects, and MinIO's own. A name
 * that is none is a mistake, and in a Deny a hole. Source: s3-api.md §4.15, AWS's service authorization reference.
 */
import { Glob } from "../core/glob.ts";

const SETTINGS = [
  "Accelerate",
  "Analytics",
  "IntelligentTiering",
  "Inventory",
  "Metrics",
  "Replication",
  "Lifecycle",
  "Encryption",
].flatMap((name) => [`Get${name}Configuration`, `Put${name}Configuration`]);
const BUCKET_SETTINGS = [
  "Abac",
  "Acl",
  "CORS",
  "Logging",
  "MetadataTableConfiguration",
  "Notification",
  "ObjectLockConfiguration",
  "OwnershipControls",
  "Policy",
  "PublicAccessBlock",
  "RequestPayment",
  "Tagging",
  "Versioning",
  "Website",
].flatMap((name) => [`GetBucket${name}`, `PutBucket${name}`]);

const OF_BUCKETS = [
  ...SETTINGS,
  ...BUCKET_SETTINGS,
  "CreateBucket",
  "CreateBucketMetadataTableConfiguration",
  "DeleteBucket",
  "DeleteBucketCors",
  "DeleteBucketMetadataTableConfiguration",
  "DeleteBucketPolicy",
  "DeleteBucketWebsite",
  "ForceDeleteBucket",
  "GetBucketLocation",
  "GetBucketPolicyStatus",
  "HeadBucket",
  "ListAllMyBuckets",
  "ListBucket",
  "ListBucketMultipartUploads",
  "ListBucketVersions",
  "ListenBucketNotification",
  "ListenNotification",
  "ListTagsForResource",
  "ResetBucketReplicationState",
  "TagResource",
  "UntagResource",
];

const OF_OBJECTS = [
  "AbortMultipartUpload",
  "BypassGovernanceRetention",
  "DeleteObject",
  "DeleteObjectTagging",
  "DeleteObjectVersion",
  "DeleteObjectVersionTagging",
  "GetObject",
  "GetObjectAcl",
  "GetObjectAttributes",
  "GetObjectLegalHold",
  "GetObjectRetention",
  "GetObjectTagging",
  "GetObjectTorrent",
  "GetObjectVersion",
  "GetObjectVersionAcl",
  "GetObjectVersionAttributes",
  "GetObjectVersionForReplication",
  "GetObjectVersionTagging",
  "GetObjectVersionTorrent",
  "InitiateReplication",
  "ListMultipartUploadParts",
  "ObjectOwnerOverrideToBucketOwner",
  "PutObject",
  "PutObjectAcl",
  "PutObjectFanOut",
  "PutObjectLegalHold",
  "PutObjectRetention",
  "PutObjectTagging",
  "PutObjectVersionAcl",
  "PutObjectVersionTagging",
  "ReplicateDelete",
  "ReplicateObject",
  "ReplicateTags",
  "RestoreObject",
  "UpdateObjectEncryption",
];

const asWritten = (names: readonly string[]): readonly string[] => names.map((name) => `s3:${name}`.toLowerCase());
const BUCKET_ACTIONS = asWritten(OF_BUCKETS);
const OBJECT_ACTIONS = asWritten(OF_OBJECTS);

/** What the actions that a name or pattern stands for are done to; neither = there is no such action. */
export function reachOf(action: string): { readonly buckets: boolean; readonly objects: boolean } {
  const pattern = Glob.of(action.toLowerCase());
  const reaches = (name: string): boolean => pattern.matches(name);
  return { buckets: BUCKET_ACTIONS.some(reaches), objects: OBJECT_ACTIONS.some(reaches) };
}
