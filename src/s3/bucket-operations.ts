/** Buckets, versioning, tagging and the settings that are not there yet. Source: s3-api.md §1.2-1.4, §4.10, §4.12. */
import {
  bucketDocument,
  createBucket as create,
  deleteBucket as remove,
  getVersioning as versioningOf,
  headBucket as head,
  listBuckets as list,
  putVersioning as setVersioning,
  setBucketDocument,
} from "../object/buckets.ts";
import { ROOT_ACCOUNT_ID } from "../iam/principal.ts";
import { parseVersioning } from "../bucket/versioning.ts";
import { bucketOf } from "../object/context.ts";
import { deletePrefix } from "../object/delete-prefix.ts";
import { hasObjectLock } from "../object/object-lock.ts";
import { getTagging, putTagging } from "../object/tagging.ts";
import { demandOwnBucket, ownOfNewBucket } from "./acl-operations.ts";
import { demandTagging, visibleBuckets } from "./authorize.ts";
import { type Call, type Reply, reply, xmlReply } from "./call.ts";
import type { S3Code } from "./errors.ts";
import { S3_ERRORS } from "./errors.ts";
import { checkTags, decodeTags, encodeTags, isoDate, versionIdFrom } from "./headers.ts";
import { decodeToken } from "./list-operations.ts";
import { ownerNode } from "./owners.ts";
import { readDocument } from "./request-body.ts";
import { WireError } from "./wire-error.ts";
import { child, childrenOf, childText, parseXml, type XmlElement, xmlDocument, type XmlNode } from "./xml.ts";

const DOCUMENT_BYTES_MAX = 1024 * 1024;
const BUCKETS_MAX = 10_000;
const OBJECT_TAGS_MAX = 10;
const BUCKET_TAGS_MAX = 50;

export async function listBuckets(call: Call): Promise<Reply> {
  const prefix = call.query.get("prefix") ?? "";
  const max = bucketsMaxFrom(call.query.get("max-buckets") ?? "");
  const token = call.query.get("continuation-token") ?? "";
  const after = token === "" ? "" : decodeToken(token);
  const visible = await visibleBuckets(call, await list(call.objects));
  const all = visible.filter((b) => b.name.startsWith(prefix) && b.name > after);
  const page = all.slice(0, max);
  const buckets = page.map(
    (b): XmlNode => [
      "Bucket",
      [
        ["Name", b.name],
        ["CreationDate", isoDate(b.createdNs)],
      ],
    ],
  );
  const next: XmlNode | null =
    all.length > page.length ? ["ContinuationToken", Buffer.from(page.at(-1)?.name ?? "").toString("base64url")] : null;
  return xmlReply(
    200,
    xmlDocument("ListAllMyBucketsResult", [
      ownerNode(call, call.access.hasAccounts ? call.access.principal.canonicalId : ROOT_ACCOUNT_ID),
      ["Buckets", buckets],
      prefix === "" ? null : ["Prefix", prefix],
      next,
    ]),
  );
}

function bucketsMaxFrom(value: string): number {
  if (value === "") return BUCKETS_MAX;
  if (!/^\d{1,9}$/.test(value) || Number(value) < 1 || Number(value) > BUCKETS_MAX)
    throw new WireError("InvalidArgument", `Argument max-buckets must be an integer between 1 and ${BUCKETS_MAX}.`, {
      argumentName: "max-buckets",
      argumentValue: value,
    });
  return Number(value);
}

export async function createBucket(call: Call): Promise<Reply> {
  const objectLock = call.request.headers.get("x-amz-bucket-object-lock-enabled")?.toLowerCase() === "true";
  const document = await readDocument(call, DOCUMENT_BYTES_MAX);
  const root = document.length === 0 ? null : parseXml(document, "CreateBucketConfiguration");
  const constraint = root === null ? "" : (childText(root, "LocationConstraint") ?? "");
  const { region } = call.objects;
  if (region !== "" && constraint !== "" && constraint !== region)
    throw new WireError("InvalidRegion", "Region does not match.");
  const tagging = root === null ? null : await taggingOfNewBucket(call, root);
  const own = ownOfNewBucket(call);
  try {
    await create(call.objects, call.bucket, { objectLock, own, tagging });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "BucketAlreadyOwnedByYou")) throw error;
    await demandOwnBucket(call);
    // AWS's first region lets an owner create a bucket again; all others, and a server without a region, do not.
    const isRepeat = call.objects.region === "us-east-1" && own.get("acl") === undefined && !objectLock;
    if (!isRepeat && call.request.headers.get("x-minio-force-create") !== "true") throw error;
  }
  return reply(200, { Location: `/${call.bucket}` });
}

/** The tags that a bucket is created with, as its document; null = none. */
async function taggingOfNewBucket(call: Call, root: XmlElement): Promise<Uint8Array | null> {
  const tags = tagsOf(child(root, "Tags"));
  if (tags.length === 0) return null;
  if (tags.length > BUCKET_TAGS_MAX)
    throw new WireError("BadRequest", `A bucket can have at most ${BUCKET_TAGS_MAX} tags.`);
  checkTags(tags, BUCKET_TAGS_MAX);
  await call.access.demand({ anyOf: ["s3:PutBucketTagging"], bucket: call.bucket, key: "", isNew: true });
  return new TextEncoder().encode(xmlDocument("Tagging", [tagSet(tags)]));
}

export async function headBucket(call: Call): Promise<Reply> {
  await head(call.objects, call.bucket);
  return reply(200, { "Content-Type": "application/xml" });
}

export async function deleteBucket(call: Call): Promise<Reply> {
  if (call.request.headers.get("x-minio-force-delete") === "true") await empty(call);
  await remove(call.objects, call.bucket);
  return reply(204);
}

/** MinIO's extension, behind an action of its own: the contents go first. */
async function empty(call: Call): Promise<void> {
  const bucket = await bucketOf(call.objects, call.bucket);
  if (hasObjectLock(bucket) || bucket.metadata.documents.replication.length > 0)
    throw new WireError(
      "MethodNotAllowed",
      "A bucket with object lock or replication is not deleted with its contents.",
    );
  const { signal } = call.request;
  await deletePrefix(call.objects, { bucket: call.bucket, key: "", signal, demand: () => Promise.resolve() });
}

export async function getBucketLocation(call: Call): Promise<Reply> {
  await head(call.objects, call.bucket);
  const { region } = call.objects;
  return xmlReply(
    200,
    `<?xml version="1.0" encoding="UTF-8"?>\n<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${region === "us-east-1" ? "" : region}</LocationConstraint>`,
  );
}

export async function getBucketVersioning(call: Call): Promise<Reply> {
  const versioning = await versioningOf(call.objects, call.bucket);
  const nodes: (XmlNode | null)[] = [
    versioning.status === "" ? null : ["Status", versioning.status],
    ...versioning.excludedPrefixes.map((p): XmlNode => ["ExcludedPrefixes", [["Prefix", p]]]),
    versioning.excludeFolders ? ["ExcludeFolders", true] : null,
  ];
  return xmlReply(200, xmlDocument("VersioningConfiguration", nodes));
}

export async function putBucketVersioning(call: Call): Promise<Reply> {
  const root = parseXml(await readDocument(call, DOCUMENT_BYTES_MAX), "VersioningConfiguration");
  await setVersioning(call.objects, call.bucket, parseVersioning(root));
  return reply(200);
}

// ---- object tagging

function tagSet(tags: readonly (readonly [string, string])[]): XmlNode {
  return [
    "TagSet",
    tags.map(
      ([k, v]): XmlNode => [
        "Tag",
        [
          ["Key", k],
          ["Value", v],
        ],
      ],
    ),
  ];
}

export async function getObjectTagging(call: Call): Promise<Reply> {
  const versionId = versionIdFrom(call.query.get("versionId"));
  const info = await getTagging(call.objects, {
    bucket: call.bucket,
    key: call.key,
    signal: call.request.signal,
    ...(versionId === undefined ? {} : { versionId }),
  });
  const tags = decodeTags(info.tagging);
  checkTags(tags, Number.POSITIVE_INFINITY);
  return xmlReply(200, xmlDocument("Tagging", [tagSet(tags)]), {
    "x-amz-version-id": info.versionId === "null" ? null : info.versionId,
  });
}

export async function putObjectTagging(call: Call): Promise<Reply> {
  const tags = tagsFrom(await readDocument(call, DOCUMENT_BYTES_MAX));
  await demandTagging(call, tags);
  checkTags(tags, OBJECT_TAGS_MAX);
  return await setTags(call, encodeTags(tags), 200);
}

/** Of a Tagging document. */
export function tagsFrom(document: Uint8Array): (readonly [string, string])[] {
  const set = child(parseXml(document, "Tagging"), "TagSet");
  if (set === undefined) throw new WireError("MalformedXML", "The document has no TagSet.");
  return tagsOf(set);
}

function tagsOf(set: XmlElement | undefined): (readonly [string, string])[] {
  if (set === undefined) return [];
  return childrenOf(set, "Tag").map((tag) => [child(tag, "Key")?.text ?? "", child(tag, "Value")?.text ?? ""] as const);
}

export async function putBucketTagging(call: Call): Promise<Reply> {
  const tags = tagsFrom(await readDocument(call, DOCUMENT_BYTES_MAX));
  if (tags.length > BUCKET_TAGS_MAX)
    throw new WireError("MalformedXML", `A bucket can have at most ${BUCKET_TAGS_MAX} tags.`);
  checkTags(tags, BUCKET_TAGS_MAX);
  await setBucketDocument(call.objects, call.bucket, "tagging", xmlDocument("Tagging", [tagSet(tags)]));
  return reply(200);
}

export async function deleteBucketTagging(call: Call): Promise<Reply> {
  await setBucketDocument(call.objects, call.bucket, "tagging", "");
  return reply(204);
}

export async function deleteObjectTagging(call: Call): Promise<Reply> {
  return await setTags(call, "", 204);
}

async function setTags(call: Call, tagging: string, status: number): Promise<Reply> {
  const versionId = versionIdFrom(call.query.get("versionId"));
  const result = await putTagging(call.objects, {
    bucket: call.bucket,
    key: call.key,
    signal: call.request.signal,
    tagging,
    ...(versionId === undefined ? {} : { versionId }),
  });
  return reply(status, { "x-amz-version-id": result.versionId === "null" ? null : result.versionId });
}

/** Nothing is archived: tiers are not there yet, and what MinIO put into one cannot be reached. */
export async function restoreObject(call: Call): Promise<Reply> {
  const root = parseXml(await readDocument(call, DOCUMENT_BYTES_MAX), "RestoreRequest");
  if (!/^[1-9]\d{0,5}$/.test(childText(root, "Days") ?? ""))
    throw new WireError("MalformedXML", "Days must be at least 1.");
  const versionId = versionIdFrom(call.query.get("versionId"));
  const info = await getTagging(call.objects, {
    bucket: call.bucket,
    key: call.key,
    signal: call.request.signal,
    ...(versionId === undefined ? {} : { versionId }),
  });
  if (info.internal.has("x-minio-internal-transition-status"))
    throw new WireError("NotImplemented", "The object lies in a remote tier; this release cannot reach it.");
  throw new WireError("InvalidObjectState", "The operation is not valid for the current state of the object.");
}

// ---- settings that may lie on the drives already, and those that no bucket has

type Stored = Parameters<typeof bucketDocument>[2];

/** Reading a setting that MinIO may have stored: shown as it is; there is no way to change it yet. */
export function getStored(which: Stored, missing: S3Code): (call: Call) => Promise<Reply> {
  return async (call) => {
    const document = await bucketDocument(call.objects, call.bucket, which);
    if (document.length === 0) throw new WireError(missing, S3_ERRORS[missing].message);
    return reply(200, { "Content-Type": which === "policy" ? "application/json" : "application/xml" }, document);
  };
}

export function removeStored(which: Stored): (call: Call) => Promise<Reply> {
  return async (call) => {
    await setBucketDocument(call.objects, call.bucket, which, "");
    return reply(204);
  };
}

export async function getNotification(call: Call): Promise<Reply> {
  const document = await bucketDocument(call.objects, call.bucket, "notification");
  return document.length > 0
    ? reply(200, { "Content-Type": "application/xml" }, document)
    : xmlReply(200, xmlDocument("NotificationConfiguration", []));
}

export function getEmpty(root: string, children: readonly XmlNode[] = []): (call: Call) => Promise<Reply> {
  return async (call) => {
    await head(call.objects, call.bucket);
    return xmlReply(200, xmlDocument(root, children));
  };
}

export function notImplemented(_call: Call): Promise<Reply> {
  return Promise.reject(new WireError("NotImplemented", S3_ERRORS.NotImplemented.message));
}
