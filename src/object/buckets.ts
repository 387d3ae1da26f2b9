/** Buckets: list, create, head, delete, versioning. */
import type { OwnDocument } from "../bucket/metadata-format.ts";
import { storedVersioning, type Versioning } from "../bucket/versioning.ts";
import { bucketOf, type ObjectContext } from "./context.ts";
import { ObjectError } from "./errors.ts";
import { checkBucketName } from "./names.ts";
import type { BucketInfo } from "./types.ts";

export async function listBuckets(ctx: ObjectContext): Promise<readonly BucketInfo[]> {
  return (await ctx.buckets.list()).map(({ name, createdNs }) => ({ name, createdNs }));
}

/** `own`: what the new bucket begins with, see bucket/access-settings.ts. */
export async function createBucket(
  ctx: ObjectContext,
  name: string,
  own: ReadonlyMap<OwnDocument, Uint8Array>,
): Promise<void> {
  checkBucketName(name);
  if (await ctx.buckets.create(name, own)) return;
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
    throw new ObjectError("NoSuchBucket", "The specified bucket does not exist.", { bucket: name });
}

export async function getVersioning(ctx: ObjectContext, name: string): Promise<Versioning> {
  return (await bucketOf(ctx, name)).versioning;
}

export async function putVersioning(ctx: ObjectContext, name: string, versioning: Versioning): Promise<void> {
  const bucket = await bucketOf(ctx, name);
  if (versioning.status === "Suspended" && bucket.metadata.documents.objectLock.length > 0) {
    throw new ObjectError(
      "InvalidBucketState",
      "An Object Lock configuration is present on this bucket, versioning cannot be suspended.",
      { bucket: name },
    );
  }
  await ctx.buckets.setDocument(bucket, "versioning", storedVersioning(versioning));
}

/** Stores a document of the bucket; "" removes it. */
export async function setBucketDocument(
  ctx: ObjectContext,
  name: string,
  which: "tagging",
  document: string,
): Promise<void> {
  const bucket = await bucketOf(ctx, name);
  await ctx.buckets.setDocument(bucket, which, new TextEncoder().encode(document));
}

/** A stored document, as bytes; empty = none. */
export async function bucketDocument(
  ctx: ObjectContext,
  name: string,
  which: "policy" | "lifecycle" | "tagging" | "encryption" | "replication" | "objectLock" | "notification",
): Promise<Uint8Array> {
  return (await bucketOf(ctx, name)).metadata.documents[which];
}
