/** The multipart family and GetObjectAttributes on the wire. Source: s3-api.md §4.5, §4.6, §4.9. */
import { checksumAlgorithmOfHeader, CHECKSUM_ALGORITHMS } from "../codec/checksum.ts";
import { completeUpload as complete } from "../object/complete-upload.ts";
import { openObject } from "../object/get-object.ts";
import {
  abortUpload as abort,
  createUpload as create,
  listParts as parts,
  listUploads,
  uploadPart as upload,
  uploadPartCopy as uploadCopy,
} from "../object/multipart.ts";
import type { Checksum, ChecksumName, PartInfo, VersionInfo } from "../object/types.ts";
import { aclOfNewVersion } from "./acl-operations.ts";
import { type Call, type Reply, reply, xmlReply } from "./call.ts";
import {
  checksumHeaders,
  checksumNameFrom,
  checksumTypeFrom,
  conditionsFrom,
  httpDate,
  integerFrom,
  isoDate,
  newMetadata,
  quoted,
  refuseUnsupported,
  versionIdFrom,
  versionIdHeader,
} from "./headers.ts";
import { customerKeyFrom, encryptionHeaders, readingKeyFrom } from "./encryption-headers.ts";
import { commonParameters } from "./list-operations.ts";
import { abortHeaders, expirationHeader } from "./lifecycle-operations.ts";
import { refuseLockHeaders } from "./lock-headers.ts";
import { sourceOf } from "./object-operations.ts";
import { bucketOwner, ownerNode, ownerOf } from "./owners.ts";
import { rawChecksum, readDocument, requestBody } from "./request-body.ts";
import { WireError } from "./wire-error.ts";
import { childrenOf, childText, parseXml, type XmlElement, xmlDocument, type XmlNode } from "./xml.ts";

const COMPLETE_DOCUMENT_BYTES_MAX = 8 * 1024 * 1024;
const PARTS_MAX = 1000;

export async function createMultipartUpload(call: Call): Promise<Reply> {
  const metadata = newMetadata(call);
  const internal = await aclOfNewVersion(call);
  const result = await create(call.objects, {
    internal,
    bucket: call.bucket,
    key: call.key,
    signal: call.request.signal,
    ...metadata,
    checksumAlgorithm: checksumNameFrom(call.parameter("x-amz-checksum-algorithm")),
    checksumType: checksumTypeFrom(call.parameter("x-amz-checksum-type")),
  });
  const document = xmlDocument("InitiateMultipartUploadResult", [
    ["Bucket", call.bucket],
    ["Key", call.key],
    ["UploadId", result.uploadId],
  ]);
  return xmlReply(200, document, {
    "x-amz-checksum-algorithm": result.checksumAlgorithm,
    "x-amz-checksum-type": result.checksumType,
    ...encryptionHeaders(result.encryption),
    ...abortHeaders(result.abort),
  });
}

function partNumberOf(call: Call): number {
  const value = call.query.get("partNumber") ?? "";
  if (!/^\d{1,9}$/.test(value))
    throw new WireError("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive.");
  return Number(value);
}
function uploadIdOf(call: Call): string {
  return call.query.get("uploadId") ?? "";
}

export async function uploadPart(call: Call): Promise<Reply> {
  refuseUnsupported(call);
  const result = await upload(call.objects, {
    bucket: call.bucket,
    key: call.key,
    signal: call.request.signal,
    uploadId: uploadIdOf(call),
    partNumber: partNumberOf(call),
    customerKey: customerKeyFrom(call),
    body: requestBody(call),
  });
  return reply(200, {
    ETag: quoted(result.etag),
    ...checksumHeaders(result.checksum),
    ...encryptionHeaders(result.encryption),
  });
}

export async function uploadPartCopy(call: Call): Promise<Reply> {
  refuseUnsupported(call);
  const result = await uploadCopy(call.objects, {
    bucket: call.bucket,
    key: call.key,
    signal: call.request.signal,
    uploadId: uploadIdOf(call),
    partNumber: partNumberOf(call),
    source: sourceOf(call),
    customerKey: customerKeyFrom(call),
    range: copyRange(call.parameter("x-amz-copy-source-range")),
  });
  const document = xmlDocument("CopyPartResult", [
    ["LastModified", isoDate(result.modTimeNs)],
    ["ETag", quoted(result.etag)],
    ...checksumNodes(result.checksum),
  ]);
  return xmlReply(200, document, {
    "x-amz-copy-source-version-id": result.sourceVersionId,
    ...encryptionHeaders(result.encryption),
  });
}

function copyRange(value: string | undefined): { first: number; last: number } | null {
  if (value === undefined || value === "") return null;
  const match = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(value);
  if (match === null || Number(match[1]) > Number(match[2]))
    throw new WireError(
      "InvalidArgument",
      "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
    );
  return { first: Number(match[1]), last: Number(match[2]) };
}

function checksumNodes(checksum: { readonly algorithm: ChecksumName; readonly value: string } | null): XmlNode[] {
  return checksum === null ? [] : [[`Checksum${checksum.algorithm}`, checksum.value]];
}

export async function listParts(call: Call): Promise<Reply> {
  const marker = integerFrom(call.query.get("part-number-marker"), "part-number-marker", 0, { min: 0, max: 10_000 });
  const maxParts = integerFrom(call.query.get("max-parts"), "max-parts", PARTS_MAX, { min: 0, max: PARTS_MAX });
  const page = await parts(call.objects, {
    bucket: call.bucket,
    key: call.key,
    signal: call.request.signal,
    uploadId: uploadIdOf(call),
    partNumberMarker: marker,
    maxParts,
  });
  const owner = ownerOf(page.internal, await bucketOwner(call));
  return xmlReply(
    200,
    xmlDocument("ListPartsResult", [
      ["Bucket", call.bucket],
      ["Key", call.key],
      ["UploadId", uploadIdOf(call)],
      ownerNode(call, owner, "Initiator"),
      ownerNode(call, owner),
      ["StorageClass", page.storageClass],
      ["PartNumberMarker", marker],
      ["NextPartNumberMarker", page.nextPartNumberMarker],
      ["MaxParts", maxParts],
      ["IsTruncated", page.isTruncated],
      ["ChecksumAlgorithm", page.checksumAlgorithm ?? ""], // there and empty, as MinIO's clients know it
      ["ChecksumType", page.checksumType ?? ""],
      ...page.parts.map(partNode),
    ]),
  );
}

function partNode(part: PartInfo): XmlNode {
  return [
    "Part",
    [
      ["PartNumber", part.partNumber],
      ["LastModified", isoDate(part.modTimeNs)],
      ["ETag", quoted(part.etag)],
      ["Size", part.sizeBytes],
      ...checksumNodes(part.checksum),
    ],
  ];
}

export async function completeMultipartUpload(call: Call): Promise<Reply> {
  refuseLockHeaders(call);
  const root = parseXml(await readDocument(call, COMPLETE_DOCUMENT_BYTES_MAX, "object"), "CompleteMultipartUpload");
  const listed = childrenOf(root, "Part").map(partFrom);
  if (listed.length === 0) throw new WireError("MalformedXML", "You must specify at least one part.");
  const size = call.parameter("x-amz-mp-object-size");
  if (size !== undefined && !/^\d{1,15}$/.test(size))
    throw new WireError("InvalidRequest", "x-amz-mp-object-size is not a number.");
  const result = await complete(call.objects, {
    bucket: call.bucket,
    key: call.key,
    signal: call.request.signal,
    uploadId: uploadIdOf(call),
    parts: listed,
    customerKey: customerKeyFrom(call),
    conditions: conditionsFrom(call),
    checksum: wholeChecksum(call),
    checksumType: checksumTypeFrom(call.parameter("x-amz-checksum-type")),
    objectSizeBytes: size === undefined ? null : Number(size),
  });
  const { checksum } = result;
  const value = checksum === null ? null : shownValue(checksum);
  const document = xmlDocument("CompleteMultipartUploadResult", [
    [
      "Location",
      `${call.request.isTls ? "https" : "http"}://${call.request.headers.get("host") ?? ""}/${call.bucket}/${call.key}`,
    ],
    ["Bucket", call.bucket],
    ["Key", call.key],
    ["ETag", quoted(result.etag)],
    checksum === null || value === null ? null : [`Checksum${checksum.algorithm}`, value],
    checksum === null ? null : ["ChecksumType", checksum.type],
  ]);
  return xmlReply(200, document, {
    "x-amz-version-id": result.versionId,
    ...encryptionHeaders(result.encryption),
    "x-amz-expiration": expirationHeader(result.expiry),
  });
}

/** Composite values say of how many parts they are. */
function shownValue(checksum: Checksum): string {
  return checksum.type === "COMPOSITE" && checksum.parts > 0 ? `${checksum.value}-${checksum.parts}` : checksum.value;
}

function partFrom(element: XmlElement): {
  partNumber: number;
  etag: string;
  checksum: { algorithm: ChecksumName; value: string } | null;
} {
  const number = childText(element, "PartNumber") ?? "";
  if (!/^\d{1,9}$/.test(number)) throw new WireError("MalformedXML", "A part has no number.");
  if (childText(element, "ETag") === undefined) throw new WireError("MalformedXML", "A part has no ETag.");
  const checksums = CHECKSUM_ALGORITHMS.map((a) => ({
    algorithm: a.name,
    value: childText(element, a.element),
  })).filter((c) => c.value !== undefined && c.value !== "");
  if (checksums.length > 1) throw new WireError("InvalidArgument", "A part has more than one checksum.");
  const [found] = checksums;
  return {
    partNumber: Number(number),
    etag: (childText(element, "ETag") ?? "").replaceAll('"', "").replace(/^W\//, ""),
    checksum: found?.value === undefined ? null : { algorithm: found.algorithm, value: found.value },
  };
}

function wholeChecksum(call: Call): { algorithm: ChecksumName; value: string } | null {
  for (const [name, value] of call.request.headers) {
    const algorithm = checksumAlgorithmOfHeader(name);
    if (algorithm === undefined) continue;
    rawChecksum(algorithm, value.replace(/-\d{1,5}$/, ""));
    return { algorithm: algorithm.name, value };
  }
  return null;
}

export async function abortMultipartUpload(call: Call): Promise<Reply> {
  await abort(call.objects, {
    bucket: call.bucket,
    key: call.key,
    signal: call.request.signal,
    uploadId: uploadIdOf(call),
  });
  return reply(204);
}

export async function listMultipartUploads(call: Call): Promise<Reply> {
  const common = commonParameters(call, "max-uploads");
  const keyMarker = call.query.get("key-marker") ?? "";
  const uploadIdMarker = keyMarker === "" ? "" : (call.query.get("upload-id-marker") ?? "");
  const page = await listUploads(call.objects, {
    bucket: call.bucket,
    prefix: common.prefix,
    delimiter: common.delimiter,
    keyMarker,
    uploadIdMarker,
    maxUploads: common.maxKeys,
  });
  const owner = await bucketOwner(call);
  return xmlReply(
    200,
    xmlDocument("ListMultipartUploadsResult", [
      ["Bucket", call.bucket],
      ["KeyMarker", common.encode(keyMarker)],
      ["UploadIdMarker", uploadIdMarker],
      ["NextKeyMarker", common.encode(page.nextKeyMarker)],
      ["NextUploadIdMarker", page.nextUploadIdMarker],
      common.delimiter === "" ? null : ["Delimiter", common.encode(common.delimiter)],
      ["Prefix", common.encode(common.prefix)],
      common.encodingNode,
      ["MaxUploads", common.maxKeys],
      ["IsTruncated", page.isTruncated],
      ...page.uploads.map(
        (u): XmlNode => [
          "Upload",
          [
            ["Key", common.encode(u.key)],
            ["UploadId", u.uploadId],
            ownerNode(call, ownerOf(u.internal, owner), "Initiator"),
            ownerNode(call, ownerOf(u.internal, owner)),
            u.storageClass === null ? null : ["StorageClass", u.storageClass],
            ["Initiated", isoDate(u.initiatedNs)],
            u.checksumAlgorithm === null ? null : ["ChecksumAlgorithm", u.checksumAlgorithm],
            u.checksumType === null ? null : ["ChecksumType", u.checksumType],
          ],
        ],
      ),
      ...page.commonPrefixes.map((p): XmlNode => ["CommonPrefixes", [["Prefix", common.encode(p)]]]),
    ]),
  );
}

const ATTRIBUTES = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"] as const;

export async function getObjectAttributes(call: Call): Promise<Reply> {
  refuseUnsupported(call);
  const asked = (call.parameter("x-amz-object-attributes") ?? "")
    .split(",")
    .map((a) => a.trim())
    .filter((a) => a !== "");
  if (asked.length === 0 || asked.some((a) => !(ATTRIBUTES as readonly string[]).includes(a))) {
    throw new WireError("InvalidArgument", "Invalid attribute name specified.", {
      argumentName: "x-amz-object-attributes",
      argumentValue: asked.join(","),
    });
  }
  await using opened = await openObject(call.objects, {
    bucket: call.bucket,
    key: call.key,
    versionId: versionIdFrom(call.query.get("versionId")),
    customerKey: readingKeyFrom(call),
    conditions: {},
  });
  const { info } = opened;
  const nodes: (XmlNode | null)[] = [
    asked.includes("ETag") ? ["ETag", info.etag] : null,
    asked.includes("Checksum") && info.checksum !== null
      ? [
          "Checksum",
          [
            ...checksumNodes({ algorithm: info.checksum.algorithm, value: info.checksum.value }),
            ["ChecksumType", info.checksum.type],
          ],
        ]
      : null,
    asked.includes("ObjectParts") && info.isMultipart ? objectParts(call, info) : null,
    asked.includes("StorageClass") ? ["StorageClass", info.storageClass] : null,
    asked.includes("ObjectSize") ? ["ObjectSize", info.sizeBytes] : null,
  ];
  return xmlReply(200, xmlDocument("GetObjectAttributesResponse", nodes), {
    "Last-Modified": httpDate(info.modTimeNs),
    "x-amz-version-id": versionIdHeader(info),
  });
}

function objectParts(call: Call, info: VersionInfo): XmlNode {
  const marker = integerFrom(call.parameter("x-amz-part-number-marker"), "x-amz-part-number-marker", 0, {
    min: 0,
    max: 10_000,
  });
  const max = integerFrom(call.parameter("x-amz-max-parts"), "x-amz-max-parts", PARTS_MAX, { min: 0, max: PARTS_MAX });
  const after = info.parts
    .map((part, i) => ({ ...part, checksum: info.partChecksums[i] }))
    .filter((p) => p.number > marker);
  const page = after.slice(0, max);
  return [
    "ObjectParts",
    [
      ["PartsCount", info.parts.length],
      ["PartNumberMarker", marker],
      ["NextPartNumberMarker", page.at(-1)?.number ?? 0],
      ["MaxParts", max],
      ["IsTruncated", after.length > page.length],
      ...page.map(
        (p): XmlNode => [
          "Part",
          [
            ["PartNumber", p.number],
            ["Size", p.sizeBytes],
            ...(p.checksum === undefined || info.checksum === null
              ? []
              : checksumNodes({ algorithm: info.checksum.algorithm, value: p.checksum })),
          ],
        ],
      ),
    ],
  ];
}
