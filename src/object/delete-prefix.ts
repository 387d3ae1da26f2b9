/**
 * MinIO's forced delete: every version of a key and of all keys below it, or of a whole bucket, for good. Page by page: what was
 * removed before it ended early is gone. A bucket with object lock refuses it. Source: s3-api.md §4.7, §4.11.
 */
import type { Cancellation } from "../core/cancellation.ts";
import type { ListedKey } from "../erasure/store.ts";
import { bucketOf, type ObjectContext } from "./context.ts";
import { deleteObject } from "./delete-object.ts";
import { checkKey } from "./names.ts";

const KEYS_AT_ONCE = 1000;
const DELETES_AT_ONCE = 16;

export interface DeletePrefixRequest {
  readonly bucket: string;
  /** With a slash at its end: what lies below it, and itself; "" = all of the bucket. */
  readonly key: string;
  readonly signal: Cancellation;
  /** Throws for a version that the caller may not remove; asked of a whole page before any of it goes. */
  readonly demand: (key: string, versionId: string) => Promise<void>;
}

export async function deletePrefix(ctx: ObjectContext, request: DeletePrefixRequest): Promise<void> {
  await bucketOf(ctx, request.bucket);
  const { key } = request;
  const isFolder = key === "" || key.endsWith("/");
  if (key !== "") checkKey(key);
  if (!isFolder) {
    const [first] = (await page(ctx, request, { prefix: key, after: "", limit: 1 })).entries;
    if (first?.key === key) await removeAll(ctx, request, [first]);
  }
  const prefix = isFolder ? key : `${key}/`;
  for (let after = ""; ; ) {
    const { entries, isTruncated, next } = await page(ctx, request, { prefix, after, limit: KEYS_AT_ONCE });
    await removeAll(ctx, request, entries);
    if (!isTruncated) return;
    after = next;
  }
}

function page(
  ctx: ObjectContext,
  { bucket, signal }: DeletePrefixRequest,
  at: { readonly prefix: string; readonly after: string; readonly limit: number },
): ReturnType<ObjectContext["store"]["list"]> {
  return ctx.store.list({ bucket, signal, delimiter: "", inclusive: false, allVersions: true, ...at });
}

async function removeAll(ctx: ObjectContext, request: DeletePrefixRequest, keys: readonly ListedKey[]): Promise<void> {
  for (const { key, versions } of keys) for (const { versionId } of versions) await request.demand(key, versionId);
  let next = 0;
  const lanes = Array.from({ length: Math.min(DELETES_AT_ONCE, keys.length) }, async () => {
    while (next < keys.length) {
      const { key, versions } = keys[next] as ListedKey;
      next += 1;
      for (const { versionId } of versions) await removeVersion(ctx, request, key, versionId);
    }
  });
  await Promise.all(lanes);
}

async function removeVersion(
  ctx: ObjectContext,
  { bucket, signal }: DeletePrefixRequest,
  key: string,
  versionId: string,
): Promise<void> {
  await deleteObject(ctx, { bucket, key, versionId, signal, conditions: {}, bypassGovernance: false });
}
