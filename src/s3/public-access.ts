/**
 * Public access block and object ownership of a bucket: documents in and out. MinIO knows neither: they lie under keys of our
 * own in the bucket's metadata, in short form.
 */
import {
  BLOCKS,
  encodeBlock,
  NO_BLOCK,
  type Ownership,
  OWNERSHIPS,
  type PublicAccessBlock,
} from "../bucket/access-settings.ts";
import { isPrivate } from "../bucket/acl.ts";
import type { OwnDocument } from "../bucket/metadata-format.ts";
import { bucketOf } from "../object/context.ts";
import { type Call, type Reply, reply, xmlReply } from "./call.ts";
import { S3_ERRORS } from "./errors.ts";
import { readDocument } from "./request-body.ts";
import { WireError } from "./wire-error.ts";
import { child, childrenOf, childText, parseXml, xmlDocument, type XmlNode } from "./xml.ts";

const DOCUMENT_BYTES_MAX = 64 * 1024;

export async function getPublicAccessBlock(call: Call): Promise<Reply> {
  const { block } = call.access.settings(await bucketOf(call.objects, call.bucket));
  if (block === null)
    throw new WireError("NoSuchPublicAccessBlockConfiguration", S3_ERRORS.NoSuchPublicAccessBlockConfiguration.message);
  const flags = BLOCKS.map((name): XmlNode => [name, block[name]]);
  return xmlReply(200, xmlDocument("PublicAccessBlockConfiguration", flags));
}

export async function putPublicAccessBlock(call: Call): Promise<Reply> {
  const root = parseXml(await readDocument(call, DOCUMENT_BYTES_MAX), "PublicAccessBlockConfiguration");
  const flags = BLOCKS.map((name): [string, boolean] => {
    const text = childText(root, name)?.trim().toLowerCase() ?? "false";
    if (text !== "true" && text !== "false") throw new WireError("MalformedXML", `${name} must be true or false.`);
    return [name, text === "true"];
  });
  const block = { ...NO_BLOCK, ...(Object.fromEntries(flags) as PublicAccessBlock) };
  await setOwn(call, "publicAccessBlock", encodeBlock(block));
  return reply(200);
}

export async function deletePublicAccessBlock(call: Call): Promise<Reply> {
  await setOwn(call, "publicAccessBlock", "");
  return reply(204);
}

export async function getOwnershipControls(call: Call): Promise<Reply> {
  const { ownership } = call.access.settings(await bucketOf(call.objects, call.bucket));
  if (ownership === null)
    throw new WireError("OwnershipControlsNotFoundError", S3_ERRORS.OwnershipControlsNotFoundError.message);
  return xmlReply(200, xmlDocument("OwnershipControls", [["Rule", [["ObjectOwnership", ownership]]]]));
}

export async function putOwnershipControls(call: Call): Promise<Reply> {
  const root = parseXml(await readDocument(call, DOCUMENT_BYTES_MAX), "OwnershipControls");
  const rules = childrenOf(root, "Rule");
  const rule = rules[0];
  if (rule === undefined || rules.length > 1 || child(rule, "ObjectOwnership") === undefined)
    throw new WireError("MalformedXML", S3_ERRORS.MalformedXML.message);
  const ownership = ownershipFrom(childText(rule, "ObjectOwnership") ?? "", "MalformedXML");
  const { acl } = call.access.settings(await bucketOf(call.objects, call.bucket));
  if (ownership === "BucketOwnerEnforced" && !isPrivate(acl))
    throw new WireError("InvalidBucketAclWithObjectOwnership", S3_ERRORS.InvalidBucketAclWithObjectOwnership.message);
  await setOwn(call, "ownershipControls", ownership);
  return reply(200);
}

export async function deleteOwnershipControls(call: Call): Promise<Reply> {
  await setOwn(call, "ownershipControls", "");
  return reply(204);
}

export function ownershipFrom(text: string, code: "MalformedXML" | "InvalidArgument"): Ownership {
  const found = OWNERSHIPS.find((o) => o === text.trim());
  if (found !== undefined) return found;
  throw new WireError(code, `Invalid x-amz-object-ownership: ${text.slice(0, 64)}`);
}

async function setOwn(call: Call, which: OwnDocument, text: string): Promise<void> {
  const bucket = await bucketOf(call.objects, call.bucket);
  await call.objects.buckets.setOwnDocuments(bucket, new Map([[which, new TextEncoder().encode(text)]]));
}
