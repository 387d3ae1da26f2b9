/**
 * Admin API: documents of buckets out of an exported zip archive, each checked as its S3 operation checks it; what is wrong is told
 * by name, and the others are set. Source: admin API §3.4.
 */
import { parseCors, storedCors } from "../bucket/cors.ts";
import { DocumentError } from "../bucket/document-error.ts";
import { storedEncryption } from "../bucket/encryption.ts";
import { storedLifecycle } from "../bucket/lifecycle-document.ts";
import { storedNotification } from "../bucket/notification.ts";
import { parseLockConfiguration } from "../bucket/object-lock.ts";
import { quotaOf } from "../bucket/quota.ts";
import { storedReplication, targetArns } from "../bucket/replication.ts";
import { storedTagging } from "../bucket/tagging.ts";
import { parseVersioning } from "../bucket/versioning.ts";
import { FormatError } from "../core/format-error.ts";
import { parseXmlDocument } from "../core/xml.ts";
import { parsePolicy } from "../iam/policy.ts";
import { PolicyError } from "../iam/policy-error.ts";
import {
  createBucket,
  putLifecycle,
  putLockConfiguration,
  putReplication,
  putVersioning,
  setBucketDocument,
  setOwnDocument,
} from "../object/buckets.ts";
import { ObjectError } from "../object/errors.ts";
import { type AdminCall, type AdminReply, jsonReply } from "./call.ts";
import { AdminError } from "./errors.ts";
import { importTargets } from "./remote-targets.ts";
import { ARCHIVE_BYTES_MAX, unzipped } from "./zip-archive.ts";

type Setter = (call: AdminCall, bucket: string, content: Uint8Array) => Promise<void>;

/** In the order in which they are set: lock and rules need versioning, rules their targets. */
const IMPORTS: readonly (readonly [file: string, result: string, set: Setter])[] = [
  [
    "versioning.xml",
    "versioning",
    async ({ context }, bucket, content) =>
      await putVersioning(
        context.objects,
        bucket,
        parseVersioning(parseXmlDocument(content, "VersioningConfiguration")),
      ),
  ],
  [
    "object-lock.xml",
    "olock",
    async ({ context }, bucket, content) => {
      const configuration = parseLockConfiguration(parseXmlDocument(content, "ObjectLockConfiguration"));
      await putLockConfiguration(context.objects, bucket, configuration);
    },
  ],
  ["bucket-targets.json", "targets", importTargets],
  [
    "replication.xml",
    "replication",
    async ({ context }, bucket, content) =>
      await putReplication(context.objects, bucket, (targets) =>
        storedReplication(parseXmlDocument(content, "ReplicationConfiguration"), targetArns(targets)),
      ),
  ],
  [
    "lifecycle.xml",
    "lifecycle",
    async ({ context }, bucket, content) =>
      await putLifecycle(context.objects, bucket, ({ hasObjectLock }) => {
        const root = parseXmlDocument(content, "LifecycleConfiguration");
        return storedLifecycle(root, () => context.rng.uuid().replaceAll("-", ""), hasObjectLock);
      }),
  ],
  [
    "notification.xml",
    "notification",
    async ({ context }, bucket, content) => {
      const document = storedNotification(parseXmlDocument(content, "NotificationConfiguration"), new Set());
      await setBucketDocument(context.objects, bucket, "notification", document);
    },
  ],
  [
    "bucket-encryption.xml",
    "sse",
    async ({ context }, bucket, content) => {
      const { document, keyId } = storedEncryption(parseXmlDocument(content, "ServerSideEncryptionConfiguration"));
      const { kms } = context.objects.transforms;
      if (kms === null) throw new ObjectError("KmsNotConfigured", "Server side encryption needs a KMS.");
      if (keyId !== null && !(await kms.listKeys(keyId)).includes(keyId))
        throw new ObjectError("KmsKeyNotFound", "The specified KMS key does not exist.");
      await setBucketDocument(context.objects, bucket, "encryption", document);
    },
  ],
  [
    "tagging.xml",
    "tagging",
    async ({ context }, bucket, content) =>
      await setBucketDocument(context.objects, bucket, "tagging", storedTagging(parseXmlDocument(content, "Tagging"))),
  ],
  [
    "quota.json",
    "quota",
    async ({ context }, bucket, content) => {
      if (quotaOf(content) === null) throw new DocumentError("Malformed", "The quota is no JSON object.");
      await setBucketDocument(context.objects, bucket, "quota", content);
    },
  ],
  [
    "policy.json",
    "policy",
    async ({ context }, bucket, content) => {
      parsePolicy(content, "resource");
      await setBucketDocument(context.objects, bucket, "policy", content);
    },
  ],
  [
    "cors.xml",
    "cors",
    async ({ context }, bucket, content) =>
      await setOwnDocument(
        context.objects,
        bucket,
        "cors",
        storedCors(parseCors(parseXmlDocument(content, "CORSConfiguration"))),
      ),
  ],
];

type Status = { isSet: boolean; error?: string };

export async function importBucketMetadata(call: AdminCall): Promise<AdminReply> {
  const only = call.optional("bucket");
  const buckets: Record<string, Record<string, Status | string>> = {};
  for (const [name, files] of filesByBucket(unzipped(await call.request.body(ARCHIVE_BYTES_MAX)))) {
    if (only !== "" && name !== only) continue;
    const results: Record<string, Status | string> = {};
    buckets[name] = results;
    const refused = await told(() => demandBucket(call, name, files.has("object-lock.xml")));
    if (refused !== null) {
      results["error"] = refused;
      continue;
    }
    for (const [file, result, set] of IMPORTS) {
      const content = files.get(file);
      if (content === undefined) continue;
      const error = await told(() => set(call, name, content));
      results[result] = error === null ? { isSet: true } : { isSet: false, error };
    }
  }
  return jsonReply({ buckets });
}

function filesByBucket(archive: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, ReadonlyMap<string, Uint8Array>> {
  const out = new Map<string, Map<string, Uint8Array>>();
  for (const [path, content] of archive) {
    const slash = path.indexOf("/");
    if (slash <= 0 || content.length === 0) continue;
    const name = path.slice(0, slash);
    const files = out.get(name) ?? new Map<string, Uint8Array>();
    out.set(name, files.set(path.slice(slash + 1), content));
  }
  return out;
}

/** Made if it is not there; one with object lock can only be made so. */
async function demandBucket({ context }: AdminCall, name: string, objectLock: boolean): Promise<void> {
  if ((await context.buckets.get(name)) !== null) return;
  await createBucket(context.objects, name, { objectLock, own: new Map() });
}

/** null = it is done; else why not. */
async function told(work: () => Promise<void>): Promise<string | null> {
  try {
    await work();
    return null;
  } catch (error) {
    const isRefusal =
      error instanceof ObjectError ||
      error instanceof DocumentError ||
      error instanceof PolicyError ||
      error instanceof AdminError ||
      error instanceof FormatError;
    if (isRefusal) return error.message;
    throw error;
  }
}
