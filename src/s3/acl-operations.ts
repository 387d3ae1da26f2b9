/**
 * ACLs as MinIO has them: the owner has full control of everything, and a PUT that says just that succeeds. Who else may do
 * what is for policies. Source: s3-api.md §4.10.
 */
import { headBucket } from "../object/buckets.ts";
import { getTagging } from "../object/tagging.ts";
import { type Call, type Reply, reply, xmlReply } from "./call.ts";
import { versionIdFrom } from "./headers.ts";
import { OWNER_ID } from "./list-operations.ts";
import { readDocument } from "./request-body.ts";
import { WireError } from "./wire-error.ts";
import { child, childrenOf, childText, parseXml } from "./xml.ts";

const DOCUMENT_BYTES_MAX = 64 * 1024;
const GRANT = `<?xml version="1.0" encoding="UTF-8"?>
<AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>${OWNER_ID}</ID><DisplayName>minio</DisplayName></Owner><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>${OWNER_ID}</ID><DisplayName>minio</DisplayName></Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>`;

export async function getBucketAcl(call: Call): Promise<Reply> {
  await headBucket(call.objects, call.bucket);
  return xmlReply(200, GRANT);
}
export async function putBucketAcl(call: Call): Promise<Reply> {
  await headBucket(call.objects, call.bucket);
  await demandPrivate(call);
  return reply(200);
}
export async function getObjectAcl(call: Call): Promise<Reply> {
  await demandObject(call);
  return xmlReply(200, GRANT);
}
export async function putObjectAcl(call: Call): Promise<Reply> {
  await demandObject(call);
  await demandPrivate(call);
  return reply(200);
}

async function demandObject(call: Call): Promise<void> {
  const versionId = versionIdFrom(call.query.get("versionId"));
  await getTagging(call.objects, {
    bucket: call.bucket,
    key: call.key,
    signal: call.request.signal,
    ...(versionId === undefined ? {} : { versionId }),
  });
}

/** Anything but "the owner alone" would silently not be done. */
async function demandPrivate(call: Call): Promise<void> {
  const refuse = (): never => {
    throw new WireError("NotImplemented", "Access control lists other than private are not implemented.");
  };
  const document = await readDocument(call, DOCUMENT_BYTES_MAX);
  if ([...call.request.headers.keys()].some((name) => name.startsWith("x-amz-grant-"))) refuse();
  const canned = call.parameter("x-amz-acl") ?? "";
  if (canned !== "") {
    if (canned !== "private") refuse();
    return;
  }
  const list = child(parseXml(document, "AccessControlPolicy"), "AccessControlList");
  const grants = list === undefined ? [] : childrenOf(list, "Grant");
  if (grants[0] === undefined) throw new WireError("MalformedXML", "The document has no grant.");
  if (childText(grants[0], "Permission") !== "FULL_CONTROL") refuse();
}
