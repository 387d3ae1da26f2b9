/** From any error to its S3 code, words and document. What is not an operating error is an InternalError. Source: s3-api.md §5. */
import { DocumentError } from "../bucket/document-error.ts";
import { QuorumError } from "../core/quorum-error.ts";
import { IamError } from "../iam/iam-error.ts";
import { ObjectError } from "../object/errors.ts";
import { SelectError } from "../object/select/errors.ts";
import { HttpError } from "../sys/http.ts";
import { DOCUMENT_ERRORS, OBJECT_ERRORS, QUORUM_ERRORS, S3_ERRORS, type S3Code } from "./errors.ts";
import { WireError } from "./wire-error.ts";
import { xmlDocument, type XmlNode } from "./xml.ts";

export function errorCodeOf(error: unknown): S3Code {
  if (error instanceof WireError) return error.code;
  if (error instanceof ObjectError)
    return error.code === "DeleteMarker" && error.detail["named"] === true
      ? "MethodNotAllowed"
      : OBJECT_ERRORS[error.code];
  if (error instanceof DocumentError) return DOCUMENT_ERRORS[error.code];
  if (error instanceof SelectError) return error.code;
  if (error instanceof QuorumError) return QUORUM_ERRORS[error.code];
  if (error instanceof IamError && error.code === "NotLoaded") return "XMinioServerNotInitialized";
  if (error instanceof HttpError) return error.code === "BodyTimeout" ? "RequestTimeout" : "IncompleteBody";
  return "InternalError";
}

export function errorMessageOf(error: unknown): string {
  const code = errorCodeOf(error);
  return code === "InternalError"
    ? S3_ERRORS.InternalError.message
    : error instanceof Error
      ? error.message
      : S3_ERRORS[code].message;
}

export function errorStatusOf(code: S3Code): number {
  return S3_ERRORS[code].status;
}

/** Elements that some errors have, and where they come from in an error's detail. */
const DETAILS: readonly (readonly [element: string, detail: string])[] = [
  ["ActualObjectSize", "actualObjectSize"],
  ["RangeRequested", "rangeRequested"],
  ["ArgumentName", "argumentName"],
  ["ArgumentValue", "argumentValue"],
  ["Method", "method"],
  ["ResourceType", "resourceType"],
  ["UploadId", "uploadId"],
  ["TagKey", "tagKey"],
  ["TagValue", "tagValue"],
  ["Content-MD5", "contentMd5"],
  ["ExpectedDigest", "expectedDigest"],
  ["CalculatedDigest", "calculatedDigest"],
  ["ClientComputedContentSHA256", "clientSha256"],
  ["S3ComputedContentSHA256", "computedSha256"],
  ["PartNumber", "partNumber"],
  ["ProposedSize", "proposedSize"],
  ["MinSizeAllowed", "minSizeAllowed"],
  ["MaxSizeAllowed", "maxSizeAllowed"],
  ["AWSAccessKeyId", "awsAccessKeyId"],
  ["HeadersNotSigned", "headersNotSigned"],
  ["X-Amz-Expires", "xAmzExpires"],
  ["Expires", "expires"],
  ["RequestTime", "requestTime"],
  ["ServerTime", "serverTime"],
  ["MaxAllowedSkewMilliseconds", "maxSkewMs"],
  ["StringToSign", "stringToSign"],
  ["SignatureProvided", "signatureProvided"],
  ["StringToSignBytes", "stringToSignBytes"],
  ["CanonicalRequest", "canonicalRequest"],
  ["CanonicalRequestBytes", "canonicalRequestBytes"],
];

export function errorDocument(
  error: unknown,
  where: {
    readonly bucket: string;
    readonly key: string;
    readonly resource: string;
    readonly requestId: string;
    readonly hostId: string;
  },
): string {
  const optional = (name: string, value: unknown): XmlNode | null =>
    value === undefined || value === "" ? null : [name, String(value)];
  const detail = error instanceof WireError || error instanceof ObjectError ? error.detail : {};
  return xmlDocument(
    "Error",
    [
      ["Code", errorCodeOf(error)],
      ["Message", errorMessageOf(error)],
      optional("Key", where.key),
      optional("BucketName", where.bucket),
      ["Resource", where.resource],
      optional("Region", detail["region"]),
      ["RequestId", where.requestId],
      ["HostId", where.hostId],
      ...DETAILS.map(([element, name]) => optional(element, detail[name])),
    ],
    null,
  );
}
