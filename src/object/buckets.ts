/** Buckets: list, create, head, delete, versioning. */
import type { BucketDocument, OwnDocument, OwnDocuments } from "../bucket/metadata-format.ts";
import { type LockConfiguration, storedLockConfiguration } from "../bucket/object-lock.ts";
import { NEVER_VERSIONED, storedVersioning, type Versioning } from "../bucket/versioning.ts";
import { bucketOf, type ObjectContext } from "./context.ts";
import { ObjectError } from "./errors.ts";
import { checkBucketName } from "./names.ts";
import { openTargets } from "./sealed-targets.ts";
import type { BucketInfo } from "./types.ts";

export async function listBuckets(ctx: ObjectContext): Promise<readonly BucketInfo[]> {
  return (await ctx.buckets.list()).map(({ name, createdNs }) => ({ name, createdNs }));
}

/** `own`: what the new bucket begins with, see bucket/access-settings.ts. */
export async function createBucket(
  ctx: ObjectContext,
  name: string,
  options: {
    readonly objectLock: boolean;
    readonly own: OwnDocuments;
    /** A Tagging document. */
    readonly tagging?: Uint8Array | null;
  } = { objectLock: false, own: new Map() },
): Promise<void> {
  checkBucketName(name);
  const locked = {
    versioning: storedVersioning({ ...NEVER_VERSIONED, status: "Enabled" }),
    objectLock: storedLockConfiguration({ retention: null }),
  };
  const tagging = options.tagging ?? null;
  const documents = { ...(options.objectLock ? locked : {}), ...(tagging === null ? {} : { tagging }) };
  if (await ctx.buckets.create(name, documents, options.own)) return;
  throw new ObjectError(
    "BucketAlreadyOwnedByYou",
    "Your previous request to create the named bucket succeeded and you already own it.",
    { bucket: name },
  );
}

export async function headBucket(ctx: ObjectContext, name: string): Promise<BucketInfo> {
  const { createdNs } = await bucketOf(ctx, name);
  return { name, createdNs };
}

export async function deleteBucket(ctx: ObjectContext, name: string): Promise<void> {
  await bucketOf(ctx, name);
  const outcome = await ctx.buckets.remove(name);
  if (outcome === "not-empty")
    throw new ObjectError("BucketNotEmpty", "The bucket you tried to delete is not empty.", { bucket: name });
  if (outcome === "missing")
    throw new ObjectError("NoSuchBucket", "The specified bucket does not exist", { bucket: name });
}

export async function getVersioning(ctx: ObjectContext, name: string): Promise<Versioning> {
  return (await bucketOf(ctx, name)).versioning;
}

export async function putVersioning(ctx: ObjectContext, name: string, versioning: Versioning): Promise<void> {
  const bucket = await bucketOf(ctx, name);
  const { objectLock, replication } = bucket.metadata.documents;
  const weakens = versioning.status === "Suspended";
  const excludes = versioning.excludeFolders || versioning.excludedPrefixes.length > 0;
  if ((weakens || excludes) && objectLock.length > 0)
    throw new ObjectError(
      "InvalidBucketState",
      "An Object Lock configuration is present on this bucket, so all of it stays versioned.",
      { bucket: name },
    );
  if (weakens && replication.length > 0)
    throw new ObjectError(
      "InvalidBucketState",
      "A replication configuration is present on this bucket, versioning cannot be suspended.",
      { bucket: name },
    );
  await ctx.buckets.setDocument(bucket, "versioning", storedVersioning(versioning));
}

/** Once on, it stays on. Only for versioned buckets. */
export async function putLockConfiguration(
  ctx: ObjectContext,
  name: string,
  configuration: LockConfiguration,
): Promise<void> {
  const bucket = await bucketOf(ctx, name);
  const { status, excludeFolders, excludedPrefixes } = bucket.versioning;
  if (status !== "Enabled" || excludeFolders || excludedPrefixes.length > 0)
    throw new ObjectError("InvalidBucketState", "Versioning must be 'Enabled' on the bucket to apply an Object Lock", {
      bucket: name,
    });
  await ctx.buckets.setDocument(bucket, "objectLock", storedLockConfiguration(configuration));
}

/** Stores a document of the bucket; "" removes it. */
export async function setBucketDocument(
  ctx: ObjectContext,
  name: string,
  which: BucketDocument,
  document: string | Uint8Array,
): Promise<void> {
  const bucket = await bucketOf(ctx, name);
  const bytes = typeof document === "string" ? new TextEncoder().encode(document) : document;
  await ctx.buckets.setDocument(bucket, which, bytes);
}

export async function lifecycleOf(
  ctx: ObjectContext,
  name: string,
): Promise<{ readonly document: Uint8Array; readonly updatedAtMs: number }> {
  const { metadata } = await bucketOf(ctx, name);
  const updatedAtMs = Number(metadata.updatedAt.lifecycle / 1_000_000n);
  return { document: metadata.documents.lifecycle, updatedAtMs: Math.max(0, updatedAtMs) };
}

/** `judge` makes the stored document for such a bucket, or throws. */
export async function putLifecycle(
  ctx: ObjectContext,
  name: string,
  judge: (bucket: { readonly hasObjectLock: boolean }) => Uint8Array,
): Promise<void> {
  const bucket = await bucketOf(ctx, name);
  const document = judge({ hasObjectLock: bucket.metadata.documents.objectLock.length > 0 });
  await ctx.buckets.setDocument(bucket, "lifecycle", document);
}

/** `judge` makes the stored document, by the bucket's remote targets as JSON, or throws. Only for versioned buckets. */
export async function putReplication(
  ctx: ObjectContext,
  name: string,
  judge: (targets: Uint8Array) => Uint8Array,
): Promise<void> {
  const bucket = await bucketOf(ctx, name);
  if (bucket.versioning.status !== "Enabled")
    throw new ObjectError(
      "InvalidRequest",
      "Versioning must be 'Enabled' on the bucket to apply a replication configuration",
    );
  await ctx.buckets.changeDocuments(bucket, async ({ metadata }) => ({
    replication: judge(await openTargets(ctx.transforms, name, metadata.documents)),
  }));
}

/** With the remote targets, as in MinIO. */
export async function removeReplication(ctx: ObjectContext, name: string): Promise<void> {
  const none = new Uint8Array(0);
  const removed = { replication: none, targets: none, targetsMeta: none };
  await ctx.buckets.changeDocuments(await bucketOf(ctx, name), () => Promise.resolve(removed));
}

/** A document that MinIO does not know; empty = none. */
export async function ownDocument(ctx: ObjectContext, name: string, which: OwnDocument): Promise<Uint8Array> {
  return (await bucketOf(ctx, name)).metadata.own.get(which) ?? new Uint8Array(0);
}

/** An empty one removes it. */
export async function setOwnDocument(
  ctx: ObjectContext,
  name: string,
  which: OwnDocument,
  document: Uint8Array,
): Promise<void> {
  await ctx.buckets.setOwnDocuments(await bucketOf(ctx, name), new Map([[which, document]]));
}

/** A stored document, as bytes; empty = none. */
export async function bucketDocument(ctx: ObjectContext, name: string, which: BucketDocument): Promise<Uint8Array> {
  return (await bucketOf(ctx, name)).metadata.documents[which];
}
