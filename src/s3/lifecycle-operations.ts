/** The lifecycle document on the wire, and the headers that tell what it will do. Source: s3-api.md §4.13. */
import { storedLifecycle } from "../bucket/lifecycle-document.ts";
import type { Due } from "../bucket/lifecycle.ts";
import { lifecycleOf, putLifecycle } from "../object/buckets.ts";
import { type Call, type Reply, reply } from "./call.ts";
import { S3_ERRORS } from "./errors.ts";
import { readDocument } from "./request-body.ts";
import { WireError } from "./wire-error.ts";
import { parseXml } from "./xml.ts";

const DOCUMENT_BYTES_MAX = 2 * 1024 * 1024;

export async function getBucketLifecycle(call: Call): Promise<Reply> {
  const { document, updatedAtMs } = await lifecycleOf(call.objects, call.bucket);
  if (document.length === 0)
    throw new WireError("NoSuchLifecycleConfiguration", S3_ERRORS.NoSuchLifecycleConfiguration.message);
  const wantsTime = call.query.get("withUpdatedAt") === "true";
  const time = new Date(updatedAtMs).toISOString().replace(/[-:]|\.\d{3}/g, "");
  return reply(
    200,
    { "Content-Type": "application/xml", "X-Minio-LifecycleConfig-UpdatedAt": wantsTime ? time : null },
    document,
  );
}

export async function putBucketLifecycle(call: Call): Promise<Reply> {
  const root = parseXml(await readDocument(call, DOCUMENT_BYTES_MAX), "LifecycleConfiguration");
  await putLifecycle(call.objects, call.bucket, (bucket) =>
    storedLifecycle(root, () => call.objects.rng.uuid().replaceAll("-", ""), bucket.hasObjectLock),
  );
  return reply(200);
}

/** `x-amz-expiration`. */
export function expirationHeader(due: Due | null | undefined): string | null {
  if (due === null || due === undefined) return null;
  return `expiry-date="${new Date(due.atMs).toUTCString()}", rule-id="${ruleName(due)}"`;
}

/** Of a new upload. */
export function abortHeaders(due: Due | null): Record<string, string> {
  return due === null
    ? {}
    : { "x-amz-abort-date": new Date(due.atMs).toUTCString(), "x-amz-abort-rule-id": ruleName(due) };
}

/** An ID may be any text; a header may not. */
function ruleName(due: Due): string {
  return encodeURIComponent(due.ruleId).replaceAll("%20", " ").replaceAll("%2F", "/");
}
