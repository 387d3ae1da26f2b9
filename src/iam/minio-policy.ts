/**
 * Can MinIO read this bucket policy? A document that it refuses would make it lose the bucket's whole configuration, so such
 * a one is stored under a key of our own, where MinIO sees none. Conservative: what is doubtful it cannot. Source: s3-api.md §4.15.
 */
import type { Condition } from "./condition.ts";
import type { Policy, Statement } from "./policy.ts";

const OPERATORS: ReadonlySet<string> = new Set([
  "StringEquals",
  "StringNotEquals",
  "StringEqualsIgnoreCase",
  "StringNotEqualsIgnoreCase",
  "StringLike",
  "StringNotLike",
  "BinaryEquals",
  "IpAddress",
  "NotIpAddress",
  "Null",
  "Bool",
  "NumericEquals",
  "NumericNotEquals",
  "NumericLessThan",
  "NumericLessThanEquals",
  "NumericGreaterThan",
  "NumericGreaterThanEquals",
  "DateEquals",
  "DateNotEquals",
  "DateLessThan",
  "DateLessThanEquals",
  "DateGreaterThan",
  "DateGreaterThanEquals",
]);
const GLOBAL_KEYS: ReadonlySet<string> = new Set(["aws:referer", "aws:sourceip"]);
/** Keys that go with every action that takes conditions on them; others are refused beside some actions. */
const LISTING_KEYS: ReadonlySet<string> = new Set(["s3:prefix", "s3:delimiter", "s3:max-keys"]);
/** Actions of MinIO's own templates and their kin. */
const ACTIONS: ReadonlySet<string> = new Set(
  [
    "*",
    "AbortMultipartUpload",
    "DeleteObject",
    "DeleteObjectTagging",
    "DeleteObjectVersion",
    "GetBucketLocation",
    "GetBucketNotification",
    "GetBucketPolicy",
    "GetBucketTagging",
    "GetBucketVersioning",
    "GetObject",
    "GetObjectAttributes",
    "GetObjectLegalHold",
    "GetObjectRetention",
    "GetObjectTagging",
    "GetObjectVersion",
    "GetObjectVersionTagging",
    "ListBucket",
    "ListBucketMultipartUploads",
    "ListBucketVersions",
    "ListMultipartUploadParts",
    "PutObject",
    "PutObjectLegalHold",
    "PutObjectRetention",
    "PutObjectTagging",
    "PutObjectVersionTagging",
  ].map((name) => `s3:${name}`),
);

export function minioReads(policy: Policy): boolean {
  return policy.version === "2012-10-17" && policy.statements.every(readsStatement);
}

function readsStatement({ principals, actionNames, actions, resources, conditions }: Statement): boolean {
  if (principals === null || principals.negated || actions.negated || resources === null || resources.negated)
    return false;
  if (!principals.list.every((name) => !name.includes(":") || name.startsWith("arn:"))) return false;
  if (!actionNames.every((name) => ACTIONS.has(name))) return false;
  if (!resources.list.every(({ source }) => source.startsWith("arn:aws:s3:::"))) return false;
  const lists = actionNames.every((name) => name === "s3:ListBucket");
  return conditions.every((condition) => readsCondition(condition, lists));
}

function readsCondition({ key, operator, isOptional }: Condition, lists: boolean): boolean {
  return !isOptional && OPERATORS.has(operator) && (GLOBAL_KEYS.has(key) || (lists && LISTING_KEYS.has(key)));
}
