/**
 * ACLs of buckets and versions, and the list that a new bucket or version begins with. Under BucketOwnerEnforced lists are
 * off: they read as the owner's alone, and setting them to anything else is refused as AWS does.
 */
import type { AccessSettings } from "../bucket/access-settings.ts";
import { ACL_KEY, type Acl, ANONYMOUS_ID, encodeAcl, isPrivate, isPublic, privateAcl } from "../bucket/acl.ts";
import type { Bucket } from "../bucket/catalog.ts";
import type { OwnDocument } from "../bucket/metadata-format.ts";
import { ROOT_ACCOUNT_ID } from "../iam/principal.ts";
import { getObjectAcl as readAcl, putObjectAcl as writeAcl, storedAcl } from "../object/acl.ts";
import { bucketOf, knownBucket } from "../object/context.ts";
import { aclDocument, aclFromDocument, aclFromHeaders, type AclOwners } from "./acl-document.ts";
import { denied } from "./access.ts";
import { type Call, type Reply, reply, xmlReply } from "./call.ts";
import { S3_ERRORS } from "./errors.ts";
import { versionIdFrom } from "./headers.ts";
import { ownershipFrom } from "./public-access.ts";
import { readDocument } from "./request-body.ts";
import { WireError } from "./wire-error.ts";

const DOCUMENT_BYTES_MAX = 256 * 1024;
const NO_ENTRIES: ReadonlyMap<string, Uint8Array> = new Map();

interface Found {
  readonly bucket: Bucket;
  readonly settings: AccessSettings;
  /** Lists are on. */
  readonly hasLists: boolean;
}

async function bucketFound(call: Call): Promise<Found> {
  return foundIn(call, await bucketOf(call.objects, call.bucket));
}

function foundIn(call: Call, bucket: Bucket): Found {
  const settings = call.access.settings(bucket);
  return { bucket, settings, hasLists: call.access.ownershipOf(settings) !== "BucketOwnerEnforced" };
}

export async function getBucketAcl(call: Call): Promise<Reply> {
  const { settings, hasLists } = await bucketFound(call);
  const acl = hasLists ? settings.acl : privateAcl(settings.owner);
  return xmlReply(200, aclDocument(acl, call.access.identities));
}

export async function putBucketAcl(call: Call): Promise<Reply> {
  const { bucket, settings, hasLists } = await bucketFound(call);
  const { owner } = settings;
  const acl = await aclAsked(call, { owner, bucketOwner: owner });
  demandAccepted(acl, { settings, hasLists, isNew: false });
  if (hasLists) await call.objects.buckets.setOwnDocuments(bucket, new Map([["acl", bucketAclDocument(acl)]]));
  return reply(200);
}

/** Empty = the default. */
export function bucketAclDocument(acl: Acl): Uint8Array {
  return isPrivate(acl) ? new Uint8Array(0) : encodeAcl(acl);
}

function versionAsked(call: Call): Parameters<typeof readAcl>[1] {
  const versionId = versionIdFrom(call.query.get("versionId"));
  return {
    bucket: call.bucket,
    key: call.key,
    signal: call.request.signal,
    ...(versionId === undefined ? {} : { versionId }),
  };
}

export async function getObjectAcl(call: Call): Promise<Reply> {
  const { settings, hasLists } = await bucketFound(call);
  const { acl, info } = await readAcl(call.objects, versionAsked(call), settings.owner);
  return xmlReply(200, aclDocument(hasLists ? acl : privateAcl(settings.owner), call.access.identities), {
    "x-amz-version-id": info.versionId === "null" ? null : info.versionId,
  });
}

export async function putObjectAcl(call: Call): Promise<Reply> {
  const { settings, hasLists } = await bucketFound(call);
  const asked = versionAsked(call);
  const { acl: current } = await readAcl(call.objects, asked, settings.owner);
  const owner = hasLists ? current.owner : settings.owner;
  const acl = await aclAsked(call, { owner, bucketOwner: settings.owner });
  demandAccepted(acl, { settings, hasLists, isNew: false });
  if (!hasLists) return reply(200);
  const { versionId } = await writeAcl(call.objects, asked, {
    bucketOwner: settings.owner,
    change: ({ owner: now }) => ({ ...acl, owner: now }),
  });
  return reply(200, { "x-amz-version-id": versionId === "null" ? null : versionId });
}

/** The list that a request to set one gives: by name, by headers or by document, and by one of these only. */
async function aclAsked(call: Call, owners: AclOwners): Promise<Acl> {
  const document = await readDocument(call, DOCUMENT_BYTES_MAX);
  const named = aclFromHeaders(call, call.access.identities, owners);
  if (named === null) {
    if (document.length === 0)
      throw new WireError("MissingSecurityHeader", "Your request was missing a required header");
    return aclFromDocument(document, call.access.identities, owners.owner);
  }
  if (document.length > 0) throw new WireError("UnexpectedContent", "This request does not support content");
  return named;
}

/** Where lists are off by default, saying what is true anyway is accepted; a bucket that turned them off itself is as on AWS. */
function demandAccepted(
  acl: Acl,
  { settings, hasLists, isNew }: { settings: AccessSettings; hasLists: boolean; isNew: boolean },
): void {
  if (!hasLists && (!isPrivate(acl) || (settings.ownership !== null && !isNew)))
    throw new WireError("AccessControlListNotSupported", "The bucket does not allow ACLs");
  if (settings.block?.BlockPublicAcls === true && isPublic(acl)) throw denied();
}

/** What a new bucket begins with: who made it, its ownership and its list, as far as they are not what every bucket has. */
export function ownOfNewBucket(call: Call): ReadonlyMap<OwnDocument, Uint8Array> {
  const { principal, identities, hasAccounts } = call.access;
  const owner = principal.canonicalId === "" ? ANONYMOUS_ID : principal.canonicalId;
  const own = new Map<OwnDocument, Uint8Array>();
  const text = new TextEncoder();
  if (owner !== ROOT_ACCOUNT_ID) own.set("owner", text.encode(owner));
  const given = call.parameter("x-amz-object-ownership");
  const ownership = given === undefined ? null : ownershipFrom(given, "InvalidArgument");
  if (ownership !== null) own.set("ownershipControls", text.encode(ownership));
  const acl = aclFromHeaders(call, identities, { owner, bucketOwner: owner });
  if (acl === null || isPrivate(acl)) return own;
  if (ownership === null ? !hasAccounts : ownership === "BucketOwnerEnforced")
    throw new WireError(
      "InvalidBucketAclWithObjectOwnership",
      "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
    );
  return own.set("acl", encodeAcl(acl));
}

/** Of a bucket that is there already: another account's name is taken. */
export async function demandOwnBucket(call: Call): Promise<void> {
  const { settings } = await bucketFound(call);
  if (call.access.hasAccounts && settings.owner !== call.access.principal.canonicalId)
    throw new WireError("BucketAlreadyExists", S3_ERRORS.BucketAlreadyExists.message);
}

/**
 * Entries of MetaSys that record who owns a new version and what it grants, from the request's headers.
 * Nothing where the bucket's owner owns it alone. Throws what AWS answers to a list that the bucket does not take.
 */
export async function aclOfNewVersion(call: Call): Promise<ReadonlyMap<string, Uint8Array>> {
  const bucket = knownBucket(call.objects, call.bucket) ?? (await bucketOf(call.objects, call.bucket));
  const { settings, hasLists } = foundIn(call, bucket);
  const bucketOwner = settings.owner;
  const { principal, identities } = call.access;
  const writer = principal.canonicalId === "" ? ANONYMOUS_ID : principal.canonicalId;
  const isGiven =
    call.access.ownershipOf(settings) === "BucketOwnerPreferred" &&
    call.parameter("x-amz-acl") === "bucket-owner-full-control";
  const owner = !hasLists || isGiven ? bucketOwner : writer;
  const acl = aclFromHeaders(call, identities, { owner, bucketOwner }) ?? privateAcl(owner);
  demandAccepted(acl, { settings, hasLists, isNew: call.parameter("x-amz-acl") !== "private" });
  const stored = hasLists ? storedAcl(acl, bucketOwner) : null;
  return stored === null ? NO_ENTRIES : new Map([[ACL_KEY, stored]]);
}
