/**
 * What each operation of the table needs to be allowed: its action on its bucket or key, for a named version the action of
 * versions, and more where headers ask for more. Called once for every request; operations over many keys (DeleteObjects,
 * ListBuckets, archives) ask `Access` key by key themselves, with the functions of this file. Source: s3-api.md §1.2–1.4.
 */
import { isUnrestricted } from "../iam/principal.ts";
import { denied, type Wanted } from "./access.ts";
import { askedArchive } from "./archive-key.ts";
import type { Call } from "./call.ts";
import { GRANT_HEADERS } from "./acl-document.ts";
import { copySourceFrom } from "./headers.ts";
import type { Operation } from "./operations.ts";

/** Action -> the one for a named version. On AWS a version needs this one alone, on MinIO the plain one: either allows, both can deny. */
const VERSION_ACTIONS: ReadonlyMap<string, string> = new Map([
  ["s3:GetObject", "s3:GetObjectVersion"],
  ["s3:GetObjectAcl", "s3:GetObjectVersionAcl"],
  ["s3:GetObjectAttributes", "s3:GetObjectVersionAttributes"],
  ["s3:GetObjectTagging", "s3:GetObjectVersionTagging"],
  ["s3:PutObjectAcl", "s3:PutObjectVersionAcl"],
  ["s3:PutObjectTagging", "s3:PutObjectVersionTagging"],
  ["s3:DeleteObject", "s3:DeleteObjectVersion"],
  ["s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"],
]);

export async function authorize(operation: Operation, call: Call): Promise<void> {
  const expected = call.parameter(EXPECTED_OWNER);
  if (expected !== undefined) await demandExpectedOwner(call, expected, call.bucket);
  if (hasSource(operation))
    await demandExpectedOwner(
      call,
      call.parameter("x-amz-source-expected-bucket-owner"),
      copySourceFrom(call.parameter("x-amz-copy-source") ?? "").bucket,
    );
  for (const wanted of wantedBy(operation, call)) {
    if (call.access.mayEverything || (await call.access.may(wanted))) continue;
    // Who may list learns that a key is not there; to anybody else it is as if it were another's.
    if (!(READS_OBJECT.has(operation.name) && (await isMissing(wanted, call)) && (await mayList(call)))) throw denied();
  }
}

const EXPECTED_OWNER = "x-amz-expected-bucket-owner";

/** Is it known at once that `authorize` does not refuse? Nothing is to be looked up for who may do everything and expects nothing. */
export function isAuthorized(operation: Operation, call: Call): boolean {
  return (
    isUnrestricted(call.identity.principal) && !hasSource(operation) && call.parameter(EXPECTED_OWNER) === undefined
  );
}

function hasSource({ name }: Operation): boolean {
  return name === "CopyObject" || name === "UploadPartCopy";
}

/** A client may insist on whose bucket it is. */
async function demandExpectedOwner(call: Call, expected: string | undefined, bucket: string): Promise<void> {
  if (expected === undefined || bucket === "") return;
  const owner = await call.access.ownerOf(bucket);
  if (owner !== null && owner !== expected) throw denied();
}

/** What a handler's "there is no such key" is to this caller: on AWS only who may list the bucket is told. */
export async function missingKeySeenBy(call: Call, operation: string): Promise<"told" | "denied"> {
  return !READS_OBJECT.has(operation) || (await mayList(call)) ? "told" : "denied";
}

const READS_OBJECT: ReadonlySet<string> = new Set(["GetObject", "HeadObject", "GetObjectAttributes", "GetObjectAcl"]);

async function isMissing(wanted: Wanted, call: Call): Promise<boolean> {
  return wanted.bucket === call.bucket && wanted.key === call.key && !(await call.access.exists(wanted));
}

async function mayList(call: Call): Promise<boolean> {
  return await call.access.may({ anyOf: ["s3:ListBucket"], bucket: call.bucket, key: "", prefix: call.key });
}

export function onObject(action: string, bucket: string, key: string, versionId?: string): Wanted {
  const versioned = versionId === undefined || versionId === "" ? undefined : VERSION_ACTIONS.get(action);
  return { anyOf: versioned === undefined ? [action] : [action, versioned], bucket, key, versionId };
}

function wantedBy(operation: Operation, call: Call): Wanted[] {
  const { bucket, key } = call;
  switch (operation.name) {
    case "ListBuckets":
      if (call.access.principal.kind === "anonymous") throw denied();
      return []; // shows what the caller may see
    case "DeleteObjects": // key by key
    case "PutObjectTagging": // the tags are in the document
      return [];
    case "HeadBucket":
      return [{ anyOf: ["s3:ListBucket", "s3:HeadBucket"], bucket, key: "" }];
    case "ListObjectVersions":
      return [{ anyOf: ["s3:ListBucketVersions", "s3:ListBucket"], bucket, key: "" }];
    case "CreateBucket":
      return [{ anyOf: ["s3:CreateBucket"], bucket, key: "", isNew: true }, ...onCreation(call)];
    case "DeleteBucket": {
      const isForced = call.request.headers.get("x-minio-force-delete") === "true";
      return [{ anyOf: [isForced ? "s3:ForceDeleteBucket" : "s3:DeleteBucket"], bucket, key: "" }];
    }
    default:
      return key === "" ? [{ anyOf: [operation.action], bucket, key: "" }] : onKey(operation, call);
  }
}

function onCreation(call: Call): Wanted[] {
  const { bucket } = call;
  const more: Wanted[] = [];
  const add = (action: string): unknown => more.push({ anyOf: [action], bucket, key: "", isNew: true });
  if (call.request.headers.get("x-amz-bucket-object-lock-enabled")?.toLowerCase() === "true") {
    add("s3:PutBucketObjectLockConfiguration");
    add("s3:PutBucketVersioning");
  }
  if (hasAcl(call)) add("s3:PutBucketAcl");
  if (call.parameter("x-amz-object-ownership") !== undefined) add("s3:PutBucketOwnershipControls");
  return more;
}

/** Operations that make a new version, whose headers may set more than its content. */
const MAKES_VERSION: ReadonlySet<string> = new Set([
  "PutObject",
  "AppendObject",
  "CopyObject",
  "CreateMultipartUpload",
  "PostObject",
  "PutObjectExtract",
]);
const HEADER_ACTIONS: readonly (readonly [header: string, action: string])[] = [
  ["x-amz-tagging", "s3:PutObjectTagging"],
  ["x-amz-object-lock-mode", "s3:PutObjectRetention"],
  ["x-amz-object-lock-retain-until-date", "s3:PutObjectRetention"],
  ["x-amz-object-lock-legal-hold", "s3:PutObjectLegalHold"],
];

function onKey(operation: Operation, call: Call): Wanted[] {
  const { bucket } = call;
  const isRead = operation.name === "GetObject" || operation.name === "HeadObject";
  const key = (isRead ? askedArchive(call, call.key)?.archive : undefined) ?? call.key;
  const wanted = [onObject(operation.action, bucket, key, call.query.get("versionId"))];
  if (operation.name === "GetObjectAttributes")
    wanted.push(onObject("s3:GetObject", bucket, key, call.query.get("versionId")));
  if (operation.name === "CopyObject" || operation.name === "UploadPartCopy") wanted.push(...onSource(call));
  if (MAKES_VERSION.has(operation.name)) wanted.push(...onHeaders(call));
  if (operation.name === "DeleteObject" || operation.name === "PutObjectRetention") wanted.push(...onBypass(call, key));
  return wanted;
}

/** Who may write only may not open what is written; another account owns what it writes, and may. */
function onHeaders(call: Call): Wanted[] {
  const { bucket, key } = call;
  const wanted = HEADER_ACTIONS.filter(([header]) => call.parameter(header) !== undefined).map(([, action]) =>
    onObject(action, bucket, key),
  );
  if (hasAcl(call)) wanted.push({ anyOf: ["s3:PutObjectAcl"], bucket, key, isForOwner: true });
  return wanted;
}

const HARMLESS_ACLS: readonly string[] = ["", "private", "bucket-owner-full-control"];
function hasAcl(call: Call): boolean {
  return (
    !HARMLESS_ACLS.includes(call.parameter("x-amz-acl") ?? "") ||
    GRANT_HEADERS.some(([header]) => call.parameter(header) !== undefined)
  );
}

function onBypass(call: Call, key: string): Wanted[] {
  return bypassAsked(call) ? [onObject("s3:BypassGovernanceRetention", call.bucket, key)] : [];
}

/** One key of DeleteObjects. */
export async function demandDeletion(call: Call, key: string, versionId: string | undefined): Promise<void> {
  for (const wanted of [onObject("s3:DeleteObject", call.bucket, key, versionId), ...onBypass(call, key)])
    await call.access.demand(wanted);
}

function onSource(call: Call): Wanted[] {
  const source = copySourceFrom(call.parameter("x-amz-copy-source") ?? "");
  return [onObject("s3:GetObject", source.bucket, source.key, source.versionId)];
}

/** PutObjectTagging, once its tags are known: conditions may ask for them. */
export async function demandTagging(call: Call, tags: readonly (readonly [string, string])[]): Promise<void> {
  call.access.values.setRequestTags(tags);
  await call.access.demand(onObject("s3:PutObjectTagging", call.bucket, call.key, call.query.get("versionId")));
}

/** All (where users are accounts: those of the caller's) for who may list them, else those that the caller may list or locate; AccessDenied where that is none. */
export async function visibleBuckets<B extends { readonly name: string }>(
  { access }: Call,
  every: readonly B[],
): Promise<readonly B[]> {
  const all = await access.ownBuckets(every);
  if (await access.may({ anyOf: ["s3:ListAllMyBuckets"], bucket: "", key: "" })) return all;
  const seen: B[] = [];
  for (const bucket of all)
    for (const action of ["s3:ListBucket", "s3:GetBucketLocation"])
      if (seen.at(-1) !== bucket && (await access.may({ anyOf: [action], bucket: bucket.name, key: "" })))
        seen.push(bucket);
  if (seen.length === 0) throw denied();
  return seen;
}

export function bypassAsked(call: Call): boolean {
  return call.parameter("x-amz-bypass-governance-retention")?.toLowerCase() === "true";
}
