/**
 * Bucket policy: read, set, remove, and whether it is public. Stored as it came, where MinIO stores it if MinIO can read it,
 * else under a key of our own (iam/minio-policy.ts). Source: s3-api.md §4.15, AWS's rules for resources of a bucket policy.
 */
import { isPublic } from "../bucket/acl.ts";
import type { Bucket } from "../bucket/catalog.ts";
import { minioReads } from "../iam/minio-policy.ts";
import { parsePolicy, POLICY_BYTES_MAX, type Policy, type Statement } from "../iam/policy.ts";
import { PolicyError } from "../iam/policy-error.ts";
import { isPublicPolicy } from "../iam/public-policy.ts";
import { reachOf } from "../iam/s3-actions.ts";
import { bucketOf } from "../object/context.ts";
import { denied } from "./access.ts";
import { type Call, type Reply, reply, xmlReply } from "./call.ts";
import { S3_ERRORS } from "./errors.ts";
import { readDocument } from "./request-body.ts";
import { WireError } from "./wire-error.ts";
import { xmlDocument } from "./xml.ts";

export async function getBucketPolicy(call: Call): Promise<Reply> {
  return reply(200, { "Content-Type": "application/json" }, storedPolicy(await bucketOf(call.objects, call.bucket)));
}

function storedPolicy(bucket: Bucket): Uint8Array {
  const document = bucket.metadata.own.get("ownPolicy") ?? bucket.metadata.documents.policy;
  if (document.length === 0) throw new WireError("NoSuchBucketPolicy", S3_ERRORS.NoSuchBucketPolicy.message);
  return document;
}

export async function putBucketPolicy(call: Call): Promise<Reply> {
  const bucket = await bucketOf(call.objects, call.bucket);
  const document = await readDocument(call, 4 * POLICY_BYTES_MAX);
  const policy = checkedPolicy(document, call.bucket);
  if (call.access.settings(bucket).block?.BlockPublicPolicy === true && isPublicPolicy(policy)) throw denied();
  await storePolicy(call, bucket, minioReads(policy) ? { minio: document } : { own: document });
  return reply(204);
}

export async function deleteBucketPolicy(call: Call): Promise<Reply> {
  await storePolicy(call, await bucketOf(call.objects, call.bucket), {});
  return reply(204);
}

async function storePolicy(
  call: Call,
  bucket: Bucket,
  { minio, own }: { readonly minio?: Uint8Array; readonly own?: Uint8Array },
): Promise<void> {
  await call.objects.buckets.setDocument(bucket, "policy", minio ?? NOTHING, new Map([["ownPolicy", own ?? NOTHING]]));
}
const NOTHING = new Uint8Array(0);

export async function getBucketPolicyStatus(call: Call): Promise<Reply> {
  const bucket = await bucketOf(call.objects, call.bucket);
  const settings = call.access.settings(bucket);
  const hasLists = call.access.ownershipOf(settings) !== "BucketOwnerEnforced";
  const isListed = hasLists && settings.block?.IgnorePublicAcls !== true && isPublic(settings.acl);
  const isShown = call.access.policiesOf(bucket).some(isPublicPolicy) || isListed;
  return xmlReply(200, xmlDocument("PolicyStatus", [["IsPublic", isShown]]));
}

function checkedPolicy(document: Uint8Array, bucket: string): Policy {
  try {
    const policy = parsePolicy(document, "resource");
    for (const statement of policy.statements) demandOwnResources(statement, bucket);
    return policy;
  } catch (cause) {
    if (cause instanceof PolicyError) throw new WireError(cause.code, cause.message, {}, { cause });
    throw cause;
  }
}

/** Every resource lies in this bucket, and every action has one that it can be done to. */
function demandOwnResources({ resources, actionNames, actions }: Statement, bucket: string): void {
  const sources = (resources?.list ?? []).map(({ source }) => source);
  const whole = `arn:aws:s3:::${bucket}`;
  if (!sources.every((source) => source === whole || source.startsWith(`${whole}/`) || reaches(source, whole)))
    throw new WireError("MalformedPolicy", "Policy has invalid resource");
  if (actions.negated || resources?.negated === true) return;
  const hasObjects = sources.some((source) => source.startsWith(`${whole}/`) || source.endsWith("*"));
  const hasBucket = sources.some((source) => !source.startsWith(`${whole}/`));
  for (const name of actionNames) {
    const { buckets, objects } = reachOf(name);
    if (!buckets && !objects) throw new WireError("MalformedPolicy", "Policy has invalid action");
    if (!(buckets && hasBucket) && !(objects && hasObjects))
      throw new WireError("MalformedPolicy", "Action does not apply to any resource(s) in statement");
  }
}

/** "*" and "arn:aws:s3:::bu*": patterns that end in the bucket's name or before. */
function reaches(source: string, whole: string): boolean {
  const star = source.search(/[*?$]/);
  return star >= 0 && whole.startsWith(source.slice(0, star));
}
