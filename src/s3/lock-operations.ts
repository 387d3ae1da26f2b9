/** Object lock on the wire: the bucket's configuration, retention and legal hold of versions. Source: s3-api.md §4.11. */
import { legalHoldOf, parseLockConfiguration, retentionOf } from "../bucket/object-lock.ts";
import { putLockConfiguration } from "../object/buckets.ts";
import { lockedVersion, putLegalHold, putRetention } from "../object/object-lock.ts";
import type { TaggingRequest } from "../object/types.ts";
import { bypassAsked } from "./authorize.ts";
import { type Call, type Reply, reply, xmlReply } from "./call.ts";
import { S3_ERRORS } from "./errors.ts";
import { versionIdFrom } from "./headers.ts";
import { retentionFrom } from "./lock-headers.ts";
import { hasBodyDigest, readDocument } from "./request-body.ts";
import { WireError } from "./wire-error.ts";
import { child, childText, parseXml, xmlDocument } from "./xml.ts";

const DOCUMENT_BYTES_MAX = 64 * 1024;

export async function putObjectLockConfiguration(call: Call): Promise<Reply> {
  const root = parseXml(await readDocument(call, DOCUMENT_BYTES_MAX), "ObjectLockConfiguration");
  await putLockConfiguration(call.objects, call.bucket, parseLockConfiguration(root));
  return reply(200);
}

export async function getObjectRetention(call: Call): Promise<Reply> {
  const info = await lockedVersion(call.objects, versionOf(call));
  const retention = retentionOf(info.metadata);
  if (retention === null)
    throw new WireError("NoSuchObjectLockConfiguration", S3_ERRORS.NoSuchObjectLockConfiguration.message);
  return xmlReply(
    200,
    xmlDocument("Retention", [
      ["Mode", retention.mode],
      ["RetainUntilDate", retention.until],
    ]),
  );
}

export async function putObjectRetention(call: Call): Promise<Reply> {
  demandDigest(call);
  const root = parseXml(await readDocument(call, DOCUMENT_BYTES_MAX), "Retention");
  const [mode, date] = [childText(root, "Mode"), childText(root, "RetainUntilDate")];
  const isEmpty = mode === undefined && date === undefined;
  const retention = isEmpty ? null : retentionFrom(mode, date, "MalformedXML");
  const { versionId } = await putRetention(call.objects, {
    ...versionOf(call),
    retention,
    bypassGovernance: bypassAsked(call),
  });
  return reply(200, { "x-amz-version-id": versionId === "null" ? null : versionId });
}

export async function getObjectLegalHold(call: Call): Promise<Reply> {
  const info = await lockedVersion(call.objects, versionOf(call));
  const hold = legalHoldOf(info.metadata);
  if (hold === null)
    throw new WireError("NoSuchObjectLockConfiguration", S3_ERRORS.NoSuchObjectLockConfiguration.message);
  return xmlReply(200, xmlDocument("LegalHold", [["Status", hold]]));
}

export async function putObjectLegalHold(call: Call): Promise<Reply> {
  demandDigest(call);
  const root = parseXml(await readDocument(call, DOCUMENT_BYTES_MAX), "LegalHold");
  const hold = child(root, "Status")?.text.trim();
  if (hold !== "ON" && hold !== "OFF") throw new WireError("MalformedXML", "The status must be ON or OFF.");
  const { versionId } = await putLegalHold(call.objects, { ...versionOf(call), legalHold: hold });
  return reply(200, { "x-amz-version-id": versionId === "null" ? null : versionId });
}

function versionOf(call: Call): TaggingRequest {
  const versionId = versionIdFrom(call.query.get("versionId"));
  return {
    bucket: call.bucket,
    key: call.key,
    signal: call.request.signal,
    ...(versionId === undefined ? {} : { versionId }),
  };
}

function demandDigest(call: Call): void {
  if (!hasBodyDigest(call))
    throw new WireError("MissingContentMD5", "Missing required header for this request: Content-Md5 or a checksum.");
}
