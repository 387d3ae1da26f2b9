/** Listings on the wire: objects V1 and V2, versions. Source: s3-api.md §4.3. */
import { escapeXml } from "../core/xml.ts";
import { listObjects, listVersions } from "../object/list-objects.ts";
import type { ListedObject } from "../object/types.ts";
import { askedArchive } from "./archive-key.ts";
import { type MemberPage, memberPage } from "./archive-operations.ts";
import { type Call, type Reply, xmlReply } from "./call.ts";
import { integerFrom, queryEscape } from "./headers.ts";
import { listedMetadata } from "./listed-metadata.ts";
import { type OwnerXml, ownerXmlOf } from "./owners.ts";
import { WireError } from "./wire-error.ts";
import { xmlListing, type XmlNode } from "./xml.ts";

const KEYS_MAX = 1000;

export interface Common {
  readonly prefix: string;
  readonly delimiter: string;
  readonly maxKeys: number;
  /** Encodes keys if the client asked for it. */
  readonly encode: (text: string) => string;
  readonly encodingNode: XmlNode | null;
}

export function commonParameters(call: Call, maxName = "max-keys"): Common {
  const encoding = call.query.get("encoding-type");
  if (encoding !== undefined && encoding !== "" && encoding.toLowerCase() !== "url")
    throw new WireError("InvalidArgument", "Invalid Encoding Method specified in Request.");
  const isUrl = encoding !== undefined && encoding !== "";
  return {
    prefix: call.query.get("prefix") ?? "",
    delimiter: call.query.get("delimiter") ?? "",
    maxKeys: integerFrom(call.query.get(maxName), maxName, KEYS_MAX, { min: 0, max: KEYS_MAX }),
    encode: isUrl ? encodeKey : (text) => text,
    encodingNode: isUrl ? ["EncodingType", "url"] : null,
  };
}

/** A blank becomes %20, which every decoder reads; "+" would stay a plus in those that do not know forms. */
function encodeKey(text: string): string {
  return queryEscape(text).replaceAll("+", "%20").replaceAll("%2F", "/").replaceAll("%2A", "*");
}

const nobody: OwnerXml = () => "";

interface Beside {
  readonly owner: OwnerXml;
  /** By the place in the page. */
  readonly metadata: readonly string[];
}

function contents(page: readonly ListedObject[], common: Common, xml: Beside): string {
  const isoOf = isoDates();
  let out = "";
  for (const [i, { key, version }] of page.entries()) {
    out += `<Contents><Key>${escapeXml(common.encode(key))}</Key>${shown(version, isoOf)}${xml.owner(
      version.owner,
    )}<StorageClass>${escapeXml(version.storageClass)}</StorageClass>${xml.metadata[i] ?? ""}</Contents>`;
  }
  return out;
}

/** What an object and a version show alike. */
function shown(version: ListedObject["version"], isoOf: (ms: number) => string): string {
  const { modTimeMs, etag, sizeBytes, checksum } = version;
  const checksumXml =
    checksum === null
      ? ""
      : `<ChecksumAlgorithm>${checksum.algorithm}</ChecksumAlgorithm><ChecksumType>${checksum.type}</ChecksumType>`;
  return `<LastModified>${isoOf(modTimeMs)}</LastModified><ETag>&#34;${escapeXml(etag)}&#34;</ETag><Size>${sizeBytes}</Size>${checksumXml}`;
}

/** ISO 8601 of times that often lie within one second. */
function isoDates(): (ms: number) => string {
  let second = Number.NaN;
  let prefix = "";
  return (ms) => {
    const now = Math.floor(ms / 1000);
    if (now !== second) {
      second = now;
      prefix = new Date(now * 1000).toISOString().slice(0, -4);
    }
    return `${prefix}${String(ms - now * 1000).padStart(3, "0")}Z`;
  };
}

function prefixes(common: Common, list: readonly string[]): string {
  return list
    .map((prefix) => `<CommonPrefixes><Prefix>${escapeXml(common.encode(prefix))}</Prefix></CommonPrefixes>`)
    .join("");
}

function delimiterNode(common: Common): XmlNode | null {
  return common.delimiter === "" ? null : ["Delimiter", common.encode(common.delimiter)];
}

export async function listObjectsV1(call: Call): Promise<Reply> {
  const common = commonParameters(call);
  const marker = call.query.get("marker") ?? "";
  const page = await listObjects(call.objects, {
    bucket: call.bucket,
    prefix: common.prefix,
    delimiter: common.delimiter,
    after: marker,
    maxKeys: common.maxKeys,
    signal: call.request.signal,
  });
  return xmlReply(
    200,
    xmlListing(
      "ListBucketResult",
      [
        ["Name", call.bucket],
        ["Prefix", common.encode(common.prefix)],
        ["Marker", common.encode(marker)],
        page.isTruncated ? ["NextMarker", common.encode(page.nextAfter)] : null,
        ["MaxKeys", common.maxKeys],
        delimiterNode(common),
        ["IsTruncated", page.isTruncated],
      ],
      contents(page.objects, common, { owner: await ownerXmlOf(call), metadata: [] }) +
        prefixes(common, page.commonPrefixes),
      [common.encodingNode],
    ),
  );
}

export async function listObjectsV2(call: Call): Promise<Reply> {
  const common = commonParameters(call);
  const token = call.query.get("continuation-token");
  if (token === "") throw new WireError("InvalidArgument", "The continuation token provided is incorrect.");
  const startAfter = call.query.get("start-after") ?? "";
  const after = token === undefined ? startAfter : decodeToken(token);
  const ownerXml = call.query.get("fetch-owner") === "true" ? await ownerXmlOf(call) : nobody;
  const archive = askedArchive(call, common.prefix);
  const page =
    archive === null
      ? await objectPage(call, common, after, ownerXml)
      : await memberPage(call, archive, { ...common, after, ownerXml: ownerXml("") });
  return xmlReply(
    200,
    xmlListing(
      "ListBucketResult",
      [
        ["Name", call.bucket],
        ["Prefix", common.encode(common.prefix)],
        startAfter === "" ? null : ["StartAfter", common.encode(startAfter)],
        token === undefined ? null : ["ContinuationToken", token],
        page.isTruncated ? ["NextContinuationToken", Buffer.from(page.nextAfter, "utf8").toString("base64url")] : null,
        ["KeyCount", page.count],
        ["MaxKeys", common.maxKeys],
        delimiterNode(common),
        ["IsTruncated", page.isTruncated],
      ],
      page.xml,
      [common.encodingNode],
    ),
  );
}

async function objectPage(call: Call, common: Common, after: string, ownerXml: OwnerXml): Promise<MemberPage> {
  const { objects, commonPrefixes, isTruncated, nextAfter } = await listObjects(call.objects, {
    bucket: call.bucket,
    prefix: common.prefix,
    delimiter: common.delimiter,
    after,
    maxKeys: common.maxKeys,
    signal: call.request.signal,
  });
  const metadata = await listedMetadata(call, objects);
  const xml = contents(objects, common, { owner: ownerXml, metadata }) + prefixes(common, commonPrefixes);
  return { xml, count: objects.length + commonPrefixes.length, isTruncated, nextAfter };
}

/** A continuation token of ours: base64url of the last name given out. */
export function decodeToken(token: string): string {
  const text = Buffer.from(token, "base64url").toString("utf8");
  if (text === "" || Buffer.from(text, "utf8").toString("base64url") !== token.replace(/=+$/, ""))
    throw new WireError("InvalidArgument", "The continuation token provided is incorrect.");
  return text;
}

export async function listObjectVersions(call: Call): Promise<Reply> {
  const common = commonParameters(call);
  const keyMarker = call.query.get("key-marker") ?? "";
  const versionIdMarker = call.query.get("version-id-marker") ?? "";
  if (keyMarker === "" && versionIdMarker !== "")
    throw new WireError("InvalidArgument", "A version-id marker cannot be specified without a key marker.");
  const page = await listVersions(call.objects, {
    bucket: call.bucket,
    prefix: common.prefix,
    delimiter: common.delimiter,
    keyMarker,
    versionIdMarker,
    maxKeys: common.maxKeys,
    signal: call.request.signal,
  });
  const xml: Beside = { owner: await ownerXmlOf(call), metadata: await listedMetadata(call, page.versions) };
  return xmlReply(
    200,
    xmlListing(
      "ListVersionsResult",
      [
        ["Name", call.bucket],
        ["Prefix", common.encode(common.prefix)],
        ["KeyMarker", common.encode(keyMarker)],
        ["VersionIdMarker", versionIdMarker],
        page.isTruncated ? ["NextKeyMarker", common.encode(page.nextKeyMarker)] : null,
        page.isTruncated && page.nextVersionIdMarker !== "" ? ["NextVersionIdMarker", page.nextVersionIdMarker] : null,
        ["MaxKeys", common.maxKeys],
        delimiterNode(common),
        ["IsTruncated", page.isTruncated],
      ],
      versions(page.versions, common, xml) + prefixes(common, page.commonPrefixes),
      [common.encodingNode],
    ),
  );
}

function versions(page: readonly ListedObject[], common: Common, xml: Beside): string {
  const isoOf = isoDates();
  let out = "";
  for (const [i, { key, isLatest, version }] of page.entries()) {
    const head = `<Key>${escapeXml(common.encode(key))}</Key><VersionId>${version.versionId}</VersionId><IsLatest>${isLatest}</IsLatest>`;
    out += version.isDeleteMarker
      ? `<DeleteMarker>${head}<LastModified>${isoOf(version.modTimeMs)}</LastModified>${xml.owner("")}</DeleteMarker>`
      : `<Version>${head}${shown(version, isoOf)}${xml.owner(version.owner)}<StorageClass>${escapeXml(version.storageClass)}</StorageClass>${xml.metadata[i] ?? ""}</Version>`;
  }
  return out;
}
