/**
 * Settings of a bucket that say what others do: notification, replication, website; and those that AWS answers for a feature
 * that nobody uses: logging, accelerate, request payment. Source: s3-api.md §1.3, §4.16, §4.18.
 */
import { storedNotification } from "../bucket/notification.ts";
import { storedReplication, targetArns } from "../bucket/replication.ts";
import { storedWebsite } from "../bucket/website.ts";
import {
  headBucket,
  ownDocument,
  putReplication,
  removeReplication,
  setBucketDocument,
  setOwnDocument,
} from "../object/buckets.ts";
import { type Call, type Reply, reply } from "./call.ts";
import { S3_ERRORS } from "./errors.ts";
import { readDocument } from "./request-body.ts";
import { WireError } from "./wire-error.ts";
import { childText, parseXml, type XmlElement } from "./xml.ts";

const DOCUMENT_BYTES_MAX = 1024 * 1024;
/** There are no targets that could be told yet. */
const NOTIFICATION_TARGETS: ReadonlySet<string> = new Set();

async function documentOf(call: Call, root: string): Promise<XmlElement> {
  return parseXml(await readDocument(call, DOCUMENT_BYTES_MAX), root);
}

export async function putBucketNotification(call: Call): Promise<Reply> {
  const document = storedNotification(await documentOf(call, "NotificationConfiguration"), NOTIFICATION_TARGETS);
  await setBucketDocument(call.objects, call.bucket, "notification", document);
  return reply(200);
}

export async function putBucketReplication(call: Call): Promise<Reply> {
  const root = await documentOf(call, "ReplicationConfiguration");
  await putReplication(call.objects, call.bucket, (targets) => storedReplication(root, targetArns(targets)));
  return reply(200);
}

/** With its remote targets, and with 200, as in MinIO: its clients take nothing else. */
export async function deleteBucketReplication(call: Call): Promise<Reply> {
  await removeReplication(call.objects, call.bucket);
  return reply(200);
}

export async function getBucketWebsite(call: Call): Promise<Reply> {
  const document = await ownDocument(call.objects, call.bucket, "website");
  if (document.length === 0)
    throw new WireError("NoSuchWebsiteConfiguration", S3_ERRORS.NoSuchWebsiteConfiguration.message);
  return reply(200, { "Content-Type": "application/xml" }, document);
}

export async function putBucketWebsite(call: Call): Promise<Reply> {
  const document = storedWebsite(await documentOf(call, "WebsiteConfiguration"));
  await setOwnDocument(call.objects, call.bucket, "website", document);
  return reply(200);
}

export async function deleteBucketWebsite(call: Call): Promise<Reply> {
  await setOwnDocument(call.objects, call.bucket, "website", new Uint8Array(0));
  return reply(204);
}

/** PUT of a feature that is off and stays off. */
function staysOff(
  root: string,
  isOff: (document: XmlElement) => boolean,
  what: string,
): (call: Call) => Promise<Reply> {
  return async (call) => {
    const document = await documentOf(call, root);
    await headBucket(call.objects, call.bucket);
    if (!isOff(document)) throw new WireError("NotImplemented", `${what} is not implemented.`);
    return reply(200);
  };
}

export const putBucketLogging = staysOff(
  "BucketLoggingStatus",
  (d) => d.children.length === 0,
  "Access logging to a bucket",
);
export const putBucketAccelerate = staysOff(
  "AccelerateConfiguration",
  (d) => childText(d, "Status") === "Suspended",
  "Transfer acceleration",
);
export const putBucketRequestPayment = staysOff(
  "RequestPaymentConfiguration",
  (d) => childText(d, "Payer") === "BucketOwner",
  "Payment by the requester",
);
