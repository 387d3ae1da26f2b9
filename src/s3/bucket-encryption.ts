/** PutBucketEncryption and DeleteBucketEncryption on the wire. Source: s3-api.md §4.14. */
import { storedEncryption } from "../bucket/encryption.ts";
import { setBucketDocument } from "../object/buckets.ts";
import { type Call, type Reply, reply } from "./call.ts";
import { readDocument } from "./request-body.ts";
import { WireError } from "./wire-error.ts";
import { parseXml } from "./xml.ts";

const DOCUMENT_BYTES_MAX = 64 * 1024;

export async function putBucketEncryption(call: Call): Promise<Reply> {
  const root = parseXml(await readDocument(call, DOCUMENT_BYTES_MAX), "ServerSideEncryptionConfiguration");
  const { document, keyId } = storedEncryption(root);
  const { kms } = call.objects.transforms;
  if (kms === null)
    throw new WireError("NotImplemented", "Server side encryption specified but KMS is not configured.");
  if (keyId !== null && !(await kms.listKeys(keyId)).includes(keyId))
    throw new WireError("KMS.NotFoundException", "The specified KMS key does not exist.");
  await setBucketDocument(call.objects, call.bucket, "encryption", document);
  return reply(200);
}

export async function deleteBucketEncryption(call: Call): Promise<Reply> {
  await setBucketDocument(call.objects, call.bucket, "encryption", "");
  return reply(204);
}
