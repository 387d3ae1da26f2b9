/** PutObject, GetObject, HeadObject, CopyObject, DeleteObject, DeleteObjects on the wire. Source: s3-api.md §4.2-4.8. */
import { OperatingError } from "../core/errors.ts";
import { appendObject as append } from "../object/append-object.ts";
import { bucketOf } from "../object/context.ts";
import { copyObject as copy } from "../object/copy-object.ts";
import { deleteObject as remove } from "../object/delete-object.ts";
import { deletePrefix } from "../object/delete-prefix.ts";
import { ObjectError } from "../object/errors.ts";
import { openObject } from "../object/get-object.ts";
import { hasObjectLock } from "../object/object-lock.ts";
import { putObject as put } from "../object/put-object.ts";
import type {
  Conditions,
  CopySource,
  NewMetadata,
  OpenedObject,
  PutObjectResult,
  VersionInfo,
} from "../object/types.ts";
import type { Header, HeaderList } from "../sys/http.ts";
import { aclOfNewVersion } from "./acl-operations.ts";
import { askedArchive } from "./archive-key.ts";
import { serveMember } from "./archive-operations.ts";
import { bypassAsked, demandDeletion } from "./authorize.ts";
import { type Call, type Reply, reply, xmlReply } from "./call.ts";
import { customerKeyFrom, encryptionFrom, encryptionHeaders, readingKeyFrom } from "./encryption-headers.ts";
import { errorCodeOf, errorMessageOf } from "./error-reply.ts";
import {
  checksumHeaders,
  checksumNameFrom,
  conditionsFrom,
  copySourceFrom,
  httpDate,
  isoDate,
  metadataFrom,
  newMetadata,
  objectHeaders,
  quoted,
  rangeFrom,
  redirectLocationFrom,
  refuseUnsupported,
  storageClassFrom,
  taggingFrom,
  versionIdFrom,
  versionIdHeader,
  WRITE_OFFSET,
} from "./headers.ts";
import { expirationHeader } from "./lifecycle-operations.ts";
import { lockFrom } from "./lock-headers.ts";
import { hasBodyDigest, readDocument, requestBody } from "./request-body.ts";
import { WireError } from "./wire-error.ts";
import { child, childrenOf, childText, parseXml, xmlDocument, type XmlNode } from "./xml.ts";

const DELETE_DOCUMENT_BYTES_MAX = 4 * 1024 * 1024;
const DELETE_KEYS_MAX = 1000;
const DELETES_AT_ONCE = 16;

export async function putObject(call: Call): Promise<Reply> {
  const metadata = newMetadata(call);
  const internal = await aclOfNewVersion(call);
  return reply(200, putHeaders(await put(call.objects, newObject(call, metadata, internal))));
}

export async function appendObject(call: Call): Promise<Reply> {
  const metadata = newMetadata(call, true);
  const value = call.parameter(WRITE_OFFSET) ?? "";
  const offset = Number(value);
  if (!/^\d{1,16}$/.test(value) || !Number.isSafeInteger(offset))
    throw new WireError("InvalidArgument", "The write offset is not a number of bytes.");
  const internal = await aclOfNewVersion(call);
  const result = await append(call.objects, { ...newObject(call, metadata, internal), offset });
  return reply(200, { ...putHeaders(result), "x-amz-object-size": String(result.sizeBytes) });
}

function newObject(call: Call, metadata: NewMetadata, internal: ReadonlyMap<string, Uint8Array>) {
  return {
    bucket: call.bucket,
    key: call.key,
    signal: call.request.signal,
    body: requestBody(call),
    conditions: conditionsFrom(call),
    metadata: metadata.metadata,
    tagging: metadata.tagging,
    storageClass: metadata.storageClass,
    encryption: metadata.encryption,
    lock: metadata.lock,
    internal,
  };
}

function putHeaders(result: PutObjectResult): Record<string, string | null> {
  const headers = {
    ETag: quoted(result.etag),
    "x-amz-version-id": result.versionId,
    "x-amz-expiration": expirationHeader(result.expiry),
  };
  if (result.checksum !== null) Object.assign(headers, checksumHeaders(result.checksum));
  if (result.encryption !== null) Object.assign(headers, encryptionHeaders(result.encryption));
  return headers;
}

export function getObject(call: Call): Promise<Reply | null> {
  return serveObject(call, true);
}
export function headObject(call: Call): Promise<Reply | null> {
  return serveObject(call, false);
}

async function serveObject(call: Call, withBody: boolean): Promise<Reply | null> {
  const archive = askedArchive(call, call.key);
  if (archive !== null)
    return await serveMember(call, archive, { withBody, overrideHeaders: (headers) => overrideHeaders(call, headers) });
  refuseUnsupported(call);
  refuseOverridesOfAnonymous(call);
  const partNumber = partNumberFrom(call);
  await using opened = await openObject(call.objects, {
    bucket: call.bucket,
    key: call.key,
    versionId: versionIdFrom(call.query.get("versionId")),
    customerKey: readingKeyFrom(call),
    conditions: conditionsFrom(call),
    withoutContent: !withBody,
  });
  const { info } = opened;
  const headers = objectHeaders(info);
  const expiration = expirationHeader(opened.expiry);
  if (expiration !== null) headers.push(["x-amz-expiration", expiration]);
  const part = partNumber === null ? null : partOf(info, partNumber);
  const range = part ?? rangeFrom(call.request.headers.get("range"), info.sizeBytes);
  const length = range === null ? info.sizeBytes : range.last - range.first + 1;
  if (range !== null && length > 0)
    headers.push(["Content-Range", `bytes ${range.first}-${range.last}/${info.sizeBytes}`]);
  if (part !== null && info.isMultipart) headers.push(["x-amz-mp-parts-count", String(info.parts.length)]);
  addChecksum(call, info, headers, part);
  overrideHeaders(call, headers);
  for (const header of call.commonHeaders) headers.push(header);
  const status = range === null ? 200 : 206;
  if (withBody) await sendContent(call, opened, { status, headers, offset: range?.first ?? 0, length });
  else {
    call.response.start(status, headers, length);
    await call.response.end();
  }
  return null;
}

interface ContentToSend {
  readonly status: number;
  readonly headers: HeaderList;
  readonly offset: number;
  readonly length: number;
}

function sendContent(call: Call, opened: OpenedObject, what: ContentToSend): Promise<void> {
  const { inline } = opened;
  if (inline === null) return streamContent(call, opened, what);
  const isWhole = what.length === inline.length;
  const bytes = isWhole ? inline : inline.subarray(what.offset, what.offset + what.length);
  return call.response.send(what.status, what.headers, bytes);
}

async function streamContent(call: Call, opened: OpenedObject, what: ContentToSend): Promise<void> {
  const sink = call.response.start(what.status, what.headers, what.length);
  await opened.stream(sink, what.offset, what.length);
  await call.response.end();
}

/** `?partNumber=n`. */
function partNumberFrom(call: Call): number | null {
  const value = call.query.get("partNumber");
  if (value === undefined) return null;
  if (call.request.headers.has("range"))
    throw new WireError("InvalidRequest", "Cannot specify both Range header and partNumber query parameter.");
  if (!/^\d{1,5}$/.test(value) || Number(value) < 1 || Number(value) > 10_000)
    throw new WireError("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive.", {
      argumentName: "partNumber",
      argumentValue: value,
    });
  return Number(value);
}

/** The part as a byte range. */
function partOf(info: VersionInfo, number: number): { first: number; last: number; index: number } {
  let first = 0;
  for (const [index, part] of info.parts.entries()) {
    if (part.number === number) return { first, last: first + part.sizeBytes - 1, index };
    first += part.sizeBytes;
  }
  throw new WireError("InvalidPartNumber", "The requested partnumber is not satisfiable.");
}

function addChecksum(call: Call, info: VersionInfo, headers: Header[], part: { index: number } | null): void {
  if (
    call.parameter("x-amz-checksum-mode")?.toUpperCase() !== "ENABLED" ||
    info.checksum === null ||
    call.request.headers.has("range")
  )
    return;
  const value = part !== null && info.isMultipart ? info.partChecksums[part.index] : undefined;
  const shown =
    part !== null && info.isMultipart && value !== undefined
      ? checksumHeaders({ algorithm: info.checksum.algorithm, value })
      : checksumHeaders(info.checksum);
  headers.push(...Object.entries(shown));
  if (part !== null && value !== undefined) headers.push(["x-amz-checksum-type", info.checksum.type]);
}

const OVERRIDES: Readonly<Record<string, string>> = {
  "response-content-type": "Content-Type",
  "response-content-language": "Content-Language",
  "response-expires": "Expires",
  "response-cache-control": "Cache-Control",
  "response-content-disposition": "Content-Disposition",
  "response-content-encoding": "Content-Encoding",
};

/** A link that anyone can make must not decide what a browser takes the content for. */
function refuseOverridesOfAnonymous(call: Call): void {
  if (call.identity.authType === "" && Object.keys(OVERRIDES).some((name) => call.query.has(name)))
    throw new WireError(
      "InvalidRequest",
      "Request specific response headers cannot be used for anonymous GET requests.",
    );
}

function overrideHeaders(call: Call, headers: Header[]): void {
  if (call.query.size === 0) return;
  for (const [parameter, name] of Object.entries(OVERRIDES)) {
    const value = call.query.get(parameter);
    if (value === undefined) continue;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
    if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value))
      throw new WireError("InvalidArgument", `${parameter} holds characters that a header cannot.`);
    const bytes = Buffer.from(value, "utf8").toString("latin1"); // what the wire carries
    const at = headers.findIndex(([n]) => n === name);
    if (at >= 0) headers[at] = [name, bytes];
    else headers.push([name, bytes]);
  }
}

export function sourceOf(call: Call): CopySource {
  return {
    ...copySourceFrom(call.parameter("x-amz-copy-source") ?? ""),
    conditions: conditionsFrom(call, "x-amz-copy-source-"),
    customerKey: customerKeyFrom(call, "copy-source"),
  };
}

export async function copyObject(call: Call): Promise<Reply> {
  refuseUnsupported(call);
  const directive = (name: string): boolean => {
    const value = call.parameter(name) ?? "COPY";
    if (value !== "COPY" && value !== "REPLACE")
      throw new WireError(
        "InvalidArgument",
        `Unknown ${name === "x-amz-metadata-directive" ? "metadata" : "tagging"} directive.`,
      );
    return value === "REPLACE";
  };
  const given = metadataFrom(call); // checked even where it is not asked for
  const internal = await aclOfNewVersion(call);
  const result = await copy(call.objects, {
    internal,
    bucket: call.bucket,
    key: call.key,
    signal: call.request.signal,
    source: sourceOf(call),
    encryption: encryptionFrom(call),
    conditions: conditionsFrom(call),
    replaceMetadata: directive("x-amz-metadata-directive") ? given : null,
    redirectLocation: redirectLocationFrom(call),
    replaceTagging: directive("x-amz-tagging-directive") ? taggingFrom(call.parameter("x-amz-tagging")) : null,
    storageClass: storageClassFrom(call),
    checksumAlgorithm: checksumNameFrom(call.parameter("x-amz-checksum-algorithm")),
    lock: lockFrom(call),
  });
  const isWanted = call.parameter("x-amz-checksum-algorithm") !== undefined || result.sourceHasChecksum;
  const shown: XmlNode[] =
    isWanted && result.checksum !== null
      ? [
          [`Checksum${result.checksum.algorithm}`, result.checksum.value],
          ["ChecksumType", result.checksum.type],
        ]
      : [];
  const document = xmlDocument("CopyObjectResult", [
    ["LastModified", isoDate(result.modTimeNs)],
    ["ETag", quoted(result.etag)],
    ...shown,
  ]);
  return xmlReply(200, document, {
    "x-amz-version-id": result.versionId,
    "x-amz-copy-source-version-id": result.sourceVersionId,
    ...encryptionHeaders(result.encryption),
    "x-amz-expiration": expirationHeader(result.expiry),
  });
}

export async function deleteObject(call: Call): Promise<Reply> {
  if (call.request.headers.get("x-minio-force-delete") === "true") return await deleteBelow(call);
  const versionId = versionIdFrom(call.query.get("versionId"));
  const result = await remove(call.objects, {
    bucket: call.bucket,
    key: call.key,
    signal: call.request.signal,
    conditions: conditionsOfDelete(call),
    bypassGovernance: bypassAsked(call),
    ...(versionId === undefined ? {} : { versionId }),
  });
  return reply(204, {
    "x-amz-version-id": result.versionId,
    "x-amz-delete-marker": result.isDeleteMarker ? "true" : null,
  });
}

/** MinIO's extension: all versions of the key and of what lies below it. */
async function deleteBelow(call: Call): Promise<Reply> {
  if (hasObjectLock(await bucketOf(call.objects, call.bucket)))
    throw new WireError("InvalidArgument", "force-delete is forbidden on Object Locking enabled buckets");
  await deletePrefix(call.objects, {
    bucket: call.bucket,
    key: call.key,
    signal: call.request.signal,
    demand: (key, versionId) => demandDeletion(call, key, versionId),
  });
  return reply(204);
}

function conditionsOfDelete(call: Call): Conditions {
  const size = call.parameter("x-amz-if-match-size");
  const time = call.parameter("x-amz-if-match-last-modified-time");
  const common = conditionsFrom(call);
  return size === undefined && time === undefined ? common : { ...common, ...deleteConditions(size, time) };
}

/** Conditions that only deletes know: size in bytes and time, each as text. */
function deleteConditions(size: string | undefined, time: string | undefined): Conditions {
  const bytes = Number(size);
  const ms = Date.parse(time ?? "");
  if ((size !== undefined && !/^\d{1,15}$/.test(size)) || (time !== undefined && Number.isNaN(ms)))
    throw new WireError("InvalidArgument", "A size or time to match is not one.");
  return {
    ...(size === undefined ? {} : { ifMatchSizeBytes: bytes }),
    ...(time === undefined ? {} : { ifMatchModTimeMs: ms }),
  };
}

export async function deleteObjects(call: Call): Promise<Reply> {
  if (!hasBodyDigest(call))
    throw new WireError("MissingContentMD5", "Missing required header for this request: Content-Md5 or a checksum.");
  const root = parseXml(await readDocument(call, DELETE_DOCUMENT_BYTES_MAX), "Delete");
  const asked = childrenOf(root, "Object");
  if (asked.some((item) => child(item, "Key") === undefined))
    throw new WireError("MalformedXML", "An object has no key.");
  if (asked.length === 0 || asked.length > DELETE_KEYS_MAX)
    throw new WireError("MalformedXML", `Between 1 and ${DELETE_KEYS_MAX} keys may be deleted at once.`);
  await call.objects.buckets.get(call.bucket).then((bucket) => {
    if (bucket === null) throw new ObjectError("NoSuchBucket", "The specified bucket does not exist");
  });
  const quiet = childText(root, "Quiet") === "true";
  const answers: (XmlNode | null)[] = new Array<XmlNode | null>(asked.length).fill(null);
  const lanes = Array.from({ length: Math.min(DELETES_AT_ONCE, asked.length) }, async (_, lane) => {
    for (let i = lane; i < asked.length; i += DELETES_AT_ONCE) {
      const item = asked[i] as (typeof asked)[number];
      const key = child(item, "Key")?.text ?? "";
      answers[i] = await deleteOne(
        call,
        {
          key,
          versionText: childText(item, "VersionId") ?? "",
          etag: childText(item, "ETag"),
          size: childText(item, "Size"),
          time: childText(item, "LastModifiedTime"),
        },
        quiet,
      );
    }
  });
  await Promise.all(lanes);
  return xmlReply(200, xmlDocument("DeleteResult", answers));
}

async function deleteOne(
  call: Call,
  item: {
    key: string;
    versionText: string;
    etag: string | undefined;
    size: string | undefined;
    time: string | undefined;
  },
  quiet: boolean,
): Promise<XmlNode | null> {
  const { key, versionText } = item;
  const version: XmlNode | null = versionText === "" ? null : ["VersionId", versionText];
  try {
    const versionId = knownVersion(versionText);
    const conditions = {
      ...(item.etag === undefined ? {} : { ifMatch: [item.etag.replaceAll('"', "")] }),
      ...deleteConditions(item.size, item.time),
    };
    const name = key.replace(/^\/+/, "");
    await demandDeletion(call, name, versionId);
    const result = await remove(call.objects, {
      bucket: call.bucket,
      key: name,
      signal: call.request.signal,
      conditions,
      bypassGovernance: bypassAsked(call),
      ...(versionId === undefined ? {} : { versionId }),
    });
    if (quiet) return null;
    const marker: XmlNode[] = result.isDeleteMarker
      ? [
          ["DeleteMarker", true],
          ["DeleteMarkerVersionId", result.versionId ?? "null"],
        ]
      : [];
    return ["Deleted", [["Key", key], version, ...marker]];
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
    return ["Error", [["Code", errorCodeOf(error)], ["Message", errorMessageOf(error)], ["Key", key], version]];
  }
}

function knownVersion(text: string): string | undefined {
  try {
    return versionIdFrom(text);
  } catch (cause) {
    throw new ObjectError("NoSuchVersion", "The specified version does not exist.", {}, { cause });
  }
}

/** Headers of 304 and 412. */
export function validatorHeaders(info: VersionInfo): [string, string][] {
  const headers: [string, string][] = [
    ["ETag", quoted(info.etag)],
    ["Last-Modified", httpDate(info.modTimeNs)],
  ];
  const id = versionIdHeader(info);
  if (id !== null) headers.push(["x-amz-version-id", id]);
  for (const name of ["cache-control", "expires"]) {
    const value = info.metadata.get(name);
    if (value !== undefined) headers.push([name === "expires" ? "Expires" : "Cache-Control", value]);
  }
  return headers;
}
