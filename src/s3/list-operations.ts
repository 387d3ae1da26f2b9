/** Listings on the wire: objects V1 and V2, versions. Source: s3-api.md §4.3. */
import { listObjects, listVersions } from "../object/list-objects.ts";
import type { VersionInfo } from "../object/types.ts";
import { type Call, type Reply, xmlReply } from "./call.ts";
import { integerFrom, isoDate, quoted, queryEscape } from "./headers.ts";
import { WireError } from "./wire-error.ts";
import { xmlDocument, type XmlNode } from "./xml.ts";

export const OWNER_ID = "02d6176db174dc93cb1b899f7c6078f08654445fe8cf1b6ce98d8855f66bdbf4";
export const OWNER: XmlNode = [
  "Owner",
  [
    ["ID", OWNER_ID],
    ["DisplayName", "minio"],
  ],
];
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

function contents(info: VersionInfo, common: Common, owner: boolean): XmlNode {
  const algorithm: XmlNode[] =
    info.checksum === null
      ? []
      : [
          ["ChecksumAlgorithm", info.checksum.algorithm],
          ["ChecksumType", info.checksum.type],
        ];
  return [
    "Contents",
    [
      ["Key", common.encode(info.key)],
      ["LastModified", isoDate(info.modTimeNs)],
      ["ETag", quoted(info.etag)],
      ["Size", info.sizeBytes],
      ...algorithm,
      owner ? OWNER : null,
      ["StorageClass", info.storageClass],
    ],
  ];
}

function prefixes(common: Common, list: readonly string[]): XmlNode[] {
  return list.map((prefix) => ["CommonPrefixes", [["Prefix", common.encode(prefix)]]]);
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
    xmlDocument("ListBucketResult", [
      ["Name", call.bucket],
      ["Prefix", common.encode(common.prefix)],
      ["Marker", common.encode(marker)],
      page.isTruncated ? ["NextMarker", common.encode(page.nextAfter)] : null,
      ["MaxKeys", common.maxKeys],
      delimiterNode(common),
      ["IsTruncated", page.isTruncated],
      ...page.objects.map((o) => contents(o, common, true)),
      ...prefixes(common, page.commonPrefixes),
      common.encodingNode,
    ]),
  );
}

export async function listObjectsV2(call: Call): Promise<Reply> {
  const common = commonParameters(call);
  const token = call.query.get("continuation-token");
  if (token === "") throw new WireError("InvalidArgument", "The continuation token provided is incorrect.");
  const startAfter = call.query.get("start-after") ?? "";
  const after = token === undefined ? startAfter : decodeToken(token);
  const page = await listObjects(call.objects, {
    bucket: call.bucket,
    prefix: common.prefix,
    delimiter: common.delimiter,
    after,
    maxKeys: common.maxKeys,
    signal: call.request.signal,
  });
  const owner = call.query.get("fetch-owner") === "true";
  return xmlReply(
    200,
    xmlDocument("ListBucketResult", [
      ["Name", call.bucket],
      ["Prefix", common.encode(common.prefix)],
      startAfter === "" ? null : ["StartAfter", common.encode(startAfter)],
      token === undefined ? null : ["ContinuationToken", token],
      page.isTruncated ? ["NextContinuationToken", Buffer.from(page.nextAfter, "utf8").toString("base64url")] : null,
      ["KeyCount", page.objects.length + page.commonPrefixes.length],
      ["MaxKeys", common.maxKeys],
      delimiterNode(common),
      ["IsTruncated", page.isTruncated],
      ...page.objects.map((o) => contents(o, common, owner)),
      ...prefixes(common, page.commonPrefixes),
      common.encodingNode,
    ]),
  );
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
  return xmlReply(
    200,
    xmlDocument("ListVersionsResult", [
      ["Name", call.bucket],
      ["Prefix", common.encode(common.prefix)],
      ["KeyMarker", common.encode(keyMarker)],
      ["VersionIdMarker", versionIdMarker],
      page.isTruncated ? ["NextKeyMarker", common.encode(page.nextKeyMarker)] : null,
      page.isTruncated && page.nextVersionIdMarker !== "" ? ["NextVersionIdMarker", page.nextVersionIdMarker] : null,
      ["MaxKeys", common.maxKeys],
      delimiterNode(common),
      ["IsTruncated", page.isTruncated],
      ...page.versions.map((v) => versionNode(v, common)),
      ...prefixes(common, page.commonPrefixes),
      common.encodingNode,
    ]),
  );
}

function versionNode(info: VersionInfo, common: Common): XmlNode {
  const head: XmlNode[] = [
    ["Key", common.encode(info.key)],
    ["VersionId", info.versionId],
    ["IsLatest", info.isLatest],
    ["LastModified", isoDate(info.modTimeNs)],
  ];
  if (info.isDeleteMarker) return ["DeleteMarker", [...head, OWNER]];
  return [
    "Version",
    [...head, ["ETag", quoted(info.etag)], ["Size", info.sizeBytes], OWNER, ["StorageClass", info.storageClass]],
  ];
}
