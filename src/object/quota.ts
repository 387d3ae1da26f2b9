/**
 * The quota of a bucket, where a write may end it: the bytes of all versions, which the key indexes sum up exactly, and those that
 * come. Asked before anything is staged; writes at the same time may together go over it by what they bring. Source: s3-api.md §4.23.
 */
import type { Bucket } from "../bucket/catalog.ts";
import { quotaBytes } from "../bucket/quota.ts";
import type { ObjectContext } from "./context.ts";
import { ObjectError } from "./errors.ts";

export async function demandRoom(ctx: ObjectContext, bucket: Bucket, sizeBytes: number): Promise<void> {
  const limit = quotaBytes(bucket.metadata.documents.quota);
  if (limit === null) return; // nearly always
  const usage = await ctx.store.usage(bucket.name);
  if (usage === null) return; // too few drives have an index: nobody knows
  if (usage.bytes + sizeBytes > limit)
    throw new ObjectError("QuotaExceeded", "Bucket quota exceeded", { bucket: bucket.name });
}
