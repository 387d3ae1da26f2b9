/**
 * Admin API: the documents of buckets as a zip archive, `<bucket>/<file>`, and back. Of an import, what this release can check is
 * taken, the rest refused by name. Source: admin API §3.4.
 */
import type { Bucket } from "../bucket/catalog.ts";
import type { BucketDocument } from "../bucket/metadata-format.ts";
import { quotaOf } from "../bucket/quota.ts";
import { parseStoredVersioning, storedVersioning } from "../bucket/versioning.ts";
import { createBucket } from "../object/buckets.ts";
import { ObjectError } from "../object/errors.ts";
import { parsePolicy } from "../iam/policy.ts";
import { PolicyError } from "../iam/policy-error.ts";
import { bucketNamed } from "./bucket-operations.ts";
import { type AdminCall, type AdminReply, jsonReply } from "./call.ts";
import { ARCHIVE_BYTES_MAX, unzipped, zipped } from "./zip-archive.ts";

/** File -> document; targets hold secrets of other deployments and stay. */
const FILES: ReadonlyMap<string, { readonly document: BucketDocument; readonly result: string }> = new Map([
  ["policy.json", { document: "policy", result: "policy" }],
  ["notification.xml", { document: "notification", result: "notification" }],
  ["lifecycle.xml", { document: "lifecycle", result: "lifecycle" }],
  ["bucket-encryption.xml", { document: "encryption", result: "sse" }],
  ["tagging.xml", { document: "tagging", result: "tagging" }],
  ["quota.json", { document: "quota", result: "quota" }],
  ["object-lock.xml", { document: "objectLock", result: "olock" }],
  ["versioning.xml", { document: "versioning", result: "versioning" }],
  ["replication.xml", { document: "replication", result: "replication" }],
]);

export async function exportBucketMetadata(call: AdminCall): Promise<AdminReply> {
  const buckets: readonly Bucket[] =
    call.optional("bucket") === "" ? await call.context.buckets.list() : [await bucketNamed(call)];
  const files = new Map<string, Uint8Array>();
  for (const bucket of buckets)
    for (const [file, { document }] of FILES) {
      const content = bucket.metadata.documents[document];
      if (content.length > 0) files.set(`${bucket.name}/${file}`, content);
    }
  return { status: 200, headers: [["Content-Type", "application/zip"]], body: zipped(files) };
}

type Status = { isSet: boolean; error?: string };

export async function importBucketMetadata(call: AdminCall): Promise<AdminReply> {
  const only = call.optional("bucket");
  const buckets: Record<string, Record<string, Status | string>> = {};
  for (const [path, content] of unzipped(await call.request.body(ARCHIVE_BYTES_MAX))) {
    const slash = path.indexOf("/");
    const [name, file] = [path.slice(0, Math.max(0, slash)), path.slice(slash + 1)];
    const known = FILES.get(file);
    if (known === undefined || (only !== "" && name !== only)) continue;
    const status = (buckets[name] ??= {});
    const why = await importDocument(call, name, known.document, content);
    status[known.result] = why === null ? { isSet: true } : { isSet: false, error: why };
  }
  return jsonReply({ buckets });
}

/** null = it is set; else why not. */
async function importDocument(
  call: AdminCall,
  name: string,
  which: BucketDocument,
  content: Uint8Array,
): Promise<string | null> {
  const checked = checkedDocument(which, content);
  if (typeof checked === "string") return checked;
  const { buckets } = call.context;
  let bucket: Bucket | null;
  try {
    bucket = await buckets.get(name);
    if (bucket === null) {
      await createBucket(call.context.objects, name);
      bucket = await buckets.get(name);
    }
  } catch (error) {
    if (error instanceof ObjectError) return error.message;
    throw error;
  }
  if (bucket === null) return "the bucket was removed meanwhile";
  await buckets.setDocument(bucket, which, checked);
  return null;
}

/** The document as it is stored, or in words why it is refused. */
function checkedDocument(which: BucketDocument, content: Uint8Array): Uint8Array | string {
  if (which === "policy") return checkedPolicy(content);
  if (which === "quota") return quotaOf(content) === null ? "the quota is no JSON object" : content;
  if (which === "versioning") return storedVersioning(parseStoredVersioning(content));
  return "this document must be set by its S3 operation";
}

function checkedPolicy(content: Uint8Array): Uint8Array | string {
  try {
    parsePolicy(content, "resource");
    return content;
  } catch (error) {
    if (error instanceof PolicyError) return error.message;
    throw error;
  }
}
