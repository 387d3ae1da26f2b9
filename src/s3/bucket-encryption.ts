/** PutBucketEncryption and DeleteBucketEncryption on the wire. Source: s3-api.md §4.14. */
import { setBucketDocument } from "../object/buckets.ts";
import { withoutArn } from "../bucket/encryption.ts";
import { type Call, type Reply, reply } from "./call.ts";
import { readDocument } from "./request-body.ts";
import { WireError } from "./wire-error.ts";
import { child, childrenOf, childText, parseXml, xmlDocument, type XmlNode } from "./xml.ts";

const DOCUMENT_BYTES_MAX = 64 * 1024;
const ROOT = "ServerSideEncryptionConfiguration";

export async function putBucketEncryption(call: Call): Promise<Reply> {
  const rules = childrenOf(parseXml(await readDocument(call, DOCUMENT_BYTES_MAX), ROOT), "Rule");
  const [rule] = rules;
  const byDefault = rule === undefined ? undefined : child(rule, "ApplyServerSideEncryptionByDefault");
  if (rules.length !== 1 || byDefault === undefined)
    throw new WireError("MalformedXML", "An encryption configuration has one rule with a default.");
  const algorithm = childText(byDefault, "SSEAlgorithm");
  const keyId = childText(byDefault, "KMSMasterKeyID");
  if (algorithm !== "AES256" && algorithm !== "aws:kms")
    throw new WireError("MalformedXML", "The encryption algorithm must be AES256 or aws:kms.");
  if (algorithm === "AES256" && keyId !== undefined)
    throw new WireError("MalformedXML", "Only aws:kms takes a KMS key.");
  const { kms } = call.objects.transforms;
  if (kms === null)
    throw new WireError("NotImplemented", "Server side encryption specified but KMS is not configured.");
  if (keyId !== undefined && !(await kms.listKeys(withoutArn(keyId))).includes(withoutArn(keyId)))
    throw new WireError("KMS.NotFoundException", "The specified KMS key does not exist.");
  const nodes: (XmlNode | null)[] = [
    ["SSEAlgorithm", algorithm],
    keyId === undefined ? null : ["KMSMasterKeyID", keyId],
  ];
  const document = xmlDocument(ROOT, [["Rule", [["ApplyServerSideEncryptionByDefault", nodes]]]]);
  await setBucketDocument(call.objects, call.bucket, "encryption", document);
  return reply(200);
}

export async function deleteBucketEncryption(call: Call): Promise<Reply> {
  await setBucketDocument(call.objects, call.bucket, "encryption", "");
  return reply(204);
}
