/** ListObjects and ListObjectVersions over the store's pages. Source: s3-api.md §4.3. */
import type { Bucket } from "../bucket/catalog.ts";
import { expiryOf, hasExpiration } from "../bucket/lifecycle.ts";
import { compareKeys } from "../core/key-order.ts";
import type { ListedKey } from "../erasure/store.ts";
import { bucketOf, type ObjectContext } from "./context.ts";
import { withShownEtags } from "./listed-etags.ts";
import { isPrefix } from "./names.ts";
import { hasObjectLock } from "./object-lock.ts";
import type {
  ListedObject,
  ListObjectsRequest,
  ListObjectsResult,
  ListVersionsRequest,
  ListVersionsResult,
} from "./types.ts";

export async function listObjects(ctx: ObjectContext, request: ListObjectsRequest): Promise<ListObjectsResult> {
  const bucket = await bucketOf(ctx, request.bucket);
  if (!isPrefix(request.prefix)) return { objects: [], commonPrefixes: [], isTruncated: false, nextAfter: "" };
  const page = await ctx.store.list({ ...request, inclusive: false, limit: request.maxKeys, allVersions: false });
  const objects = alive(ctx, bucket, page.entries).flatMap(({ key, versions }) =>
    versions.map((version) => ({ key, isLatest: true, version })),
  );
  return {
    objects: await withShownEtags(ctx, request.bucket, objects),
    commonPrefixes: page.commonPrefixes,
    isTruncated: page.isTruncated,
    nextAfter: page.next,
  };
}

/**
 * Without what expired, by rules that ask for no tags (a listing has none): a page may be shorter for it. Common prefixes are
 * shown until the objects are removed, and so are keys of buckets with object lock: a listing does not know what is held.
 */
function alive(ctx: ObjectContext, bucket: Bucket, entries: readonly ListedKey[]): readonly ListedKey[] {
  if (!hasExpiration(bucket.lifecycle) || hasObjectLock(bucket)) return entries;
  const now = ctx.clock.nowMs();
  return entries.filter(({ key, versions }) => {
    const latest = versions[0];
    if (latest === undefined) return true;
    const subject = { key, sizeBytes: latest.sizeBytes, tags: null, modTimeMs: latest.modTimeMs };
    const due = expiryOf(bucket.lifecycle, subject);
    return due === null || due.atMs > now;
  });
}

export async function listVersions(ctx: ObjectContext, request: ListVersionsRequest): Promise<ListVersionsResult> {
  const page = await versionsPage(ctx, request);
  return { ...page, versions: await withShownEtags(ctx, request.bucket, page.versions) };
}

async function versionsPage(ctx: ObjectContext, request: ListVersionsRequest): Promise<ListVersionsResult> {
  await bucketOf(ctx, request.bucket);
  const { maxKeys, keyMarker, versionIdMarker } = request;
  if (!isPrefix(request.prefix))
    return { versions: [], commonPrefixes: [], isTruncated: false, nextKeyMarker: "", nextVersionIdMarker: "" };
  const limit = Math.max(maxKeys, 0);
  const inclusive = versionIdMarker !== "";
  const page = await ctx.store.list({
    ...request,
    after: keyMarker,
    inclusive,
    limit: inclusive && limit > 0 ? limit + 1 : limit, // the marker's own key may have nothing left to show
    allVersions: true,
  });
  const versions: ListedObject[] = [];
  const prefixes = [...page.commonPrefixes];
  const commonPrefixes: string[] = [];
  for (const { key, versions: all } of page.entries) {
    // A key's place among the common prefixes decides what still fits this page.
    while (
      prefixes.length > 0 &&
      compareKeys(prefixes[0] as string, key) < 0 &&
      versions.length + commonPrefixes.length < limit
    )
      commonPrefixes.push(prefixes.shift() as string);
    const resumeAt =
      key === keyMarker && versionIdMarker !== "" ? all.findIndex((v) => v.versionId === versionIdMarker) + 1 : 0;
    for (const [i, version] of all.entries()) {
      if (i < resumeAt) continue;
      if (versions.length + commonPrefixes.length >= limit) return cut(versions, commonPrefixes);
      versions.push({ key, isLatest: i === 0, version });
    }
  }
  while (prefixes.length > 0) {
    if (versions.length + commonPrefixes.length >= limit) return cut(versions, commonPrefixes);
    commonPrefixes.push(prefixes.shift() as string);
  }
  if (page.isTruncated) return cut(versions, commonPrefixes, page.next);
  return { versions, commonPrefixes, isTruncated: false, nextKeyMarker: "", nextVersionIdMarker: "" };
}

function cut(versions: readonly ListedObject[], commonPrefixes: readonly string[], next = ""): ListVersionsResult {
  const last = versions.at(-1);
  const prefix = commonPrefixes.at(-1) ?? "";
  if (last === undefined || compareKeys(prefix, last.key) > 0)
    return {
      versions,
      commonPrefixes,
      isTruncated: true,
      nextKeyMarker: prefix === "" ? next : prefix,
      nextVersionIdMarker: "",
    };
  return {
    versions,
    commonPrefixes,
    isTruncated: true,
    nextKeyMarker: last.key,
    nextVersionIdMarker: last.version.versionId,
  };
}
