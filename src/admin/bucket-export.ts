/** Admin API: the documents of buckets as a zip archive, `<bucket>/<file>`. Source: admin API §3.4. */
import type { Bucket } from "../bucket/catalog.ts";
import type { BucketDocument } from "../bucket/metadata-format.ts";
import { openTargets } from "../object/sealed-targets.ts";
import { bucketNamed } from "./bucket-operations.ts";
import type { AdminCall, AdminReply } from "./call.ts";
import { zipped } from "./zip-archive.ts";

const FILES: readonly (readonly [file: string, document: BucketDocument])[] = [
  ["policy.json", "policy"],
  ["notification.xml", "notification"],
  ["lifecycle.xml", "lifecycle"],
  ["bucket-encryption.xml", "encryption"],
  ["tagging.xml", "tagging"],
  ["quota.json", "quota"],
  ["object-lock.xml", "objectLock"],
  ["versioning.xml", "versioning"],
  ["replication.xml", "replication"],
];

/** With the secrets of remote targets, as in MinIO: whoever exports must keep the archive like a key. */
export async function exportBucketMetadata(call: AdminCall): Promise<AdminReply> {
  const buckets: readonly Bucket[] =
    call.optional("bucket") === "" ? await call.context.buckets.list() : [await bucketNamed(call)];
  const files = new Map<string, Uint8Array>();
  for (const { name, metadata } of buckets) {
    const { documents, own } = metadata;
    const add = (file: string, content: Uint8Array | undefined): void => {
      if (content !== undefined && content.length > 0) files.set(`${name}/${file}`, content);
    };
    for (const [file, document] of FILES) add(file, documents[document]);
    add("bucket-targets.json", await openTargets(call.context.objects.transforms, name, documents));
    add("cors.xml", own.get("cors"));
    if (documents.policy.length === 0) add("policy.json", own.get("ownPolicy"));
  }
  return { status: 200, headers: [["Content-Type", "application/zip"]], body: zipped(files) };
}
