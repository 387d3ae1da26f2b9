/**
 * Signature V2: string to sign of a request, and signatures of it and of a form's policy. Pure; compared by the caller in
 * constant time. Source: s3-api.md §2.8.
 */
import { createHmac } from "node:crypto";
import { canonicalPath } from "./sigv4.ts";

/** Sub-resources and overrides that belong to the resource. */
const SIGNED_QUERY: ReadonlySet<string> = new Set([
  "acl",
  "cors",
  "delete",
  "encryption",
  "legal-hold",
  "lifecycle",
  "location",
  "logging",
  "notification",
  "object-lock",
  "partNumber",
  "policy",
  "replication",
  "requestPayment",
  "response-cache-control",
  "response-content-disposition",
  "response-content-encoding",
  "response-content-language",
  "response-content-type",
  "response-expires",
  "restore",
  "retention",
  "select",
  "select-type",
  "tagging",
  "torrent",
  "uploadId",
  "uploads",
  "versionId",
  "versioning",
  "versions",
  "website",
]);

/** What may come beside it: parameters of listings, and the signature itself. Anything else would go unsigned. */
const UNSIGNED_QUERY: ReadonlySet<string> = new Set([
  "AWSAccessKeyId",
  "Expires",
  "Signature",
  "allow-unordered",
  "continuation-token",
  "delimiter",
  "encoding-type",
  "fetch-owner",
  "key-marker",
  "list-type",
  "marker",
  "max-buckets",
  "max-keys",
  "max-parts",
  "max-uploads",
  "metadata",
  "part-number-marker",
  "prefix",
  "start-after",
  "upload-id-marker",
  "version-id-marker",
  "x-id",
]);

type Query = readonly (readonly [string, string])[];

/** Who claims to have signed, and how; null = not a V2 signature. */
export interface ClaimV2 {
  readonly accessKey: string;
  readonly signature: string;
  /** Seconds since 1970 as text; null = a header signature. */
  readonly expires: string | null;
}

export function claimV2(authorization: string | undefined, query: Query): ClaimV2 | null {
  const header = /^AWS ([^:\s]{1,128}):(\S{1,128})$/.exec(authorization ?? "");
  if (header !== null) return { accessKey: header[1] as string, signature: header[2] as string, expires: null };
  const of = (name: string): string | undefined => query.find(([k]) => k === name)?.[1];
  const [accessKey, signature, expires] = [of("AWSAccessKeyId"), of("Signature"), of("Expires")];
  if (accessKey === undefined || signature === undefined || expires === undefined) return null;
  return { accessKey, signature, expires };
}

/** A query parameter that a V2 signature does not cover though it matters; undefined = none. */
export function uncoveredParameter(query: Query): string | undefined {
  return query.map(([name]) => name).find((name) => !SIGNED_QUERY.has(name) && !UNSIGNED_QUERY.has(name));
}

export interface V2Parts {
  readonly method: string;
  /** Encoded. */
  readonly path: string;
  /** Of a virtual-host request, which its path does not name; "" = path style. */
  readonly hostBucket: string;
  readonly query: Query;
  readonly headers: ReadonlyMap<string, string>;
  /** The Date of a header signature, "" when x-amz-date is there, or the Expires of a presigned one. */
  readonly date: string;
}

/** `blanks`: what the client did with white space inside a value. Values are bytes: only ASCII's is white space. */
export function stringToSignV2(parts: V2Parts, blanks: (value: string) => string = asSent): string {
  const of = (name: string): string => parts.headers.get(name) ?? "";
  const amz = [...parts.headers]
    .filter(([name]) => name.startsWith("x-amz-"))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}:${blanks(value.replace(/^[ \t]+|[ \t]+$/g, ""))}\n`)
    .join("");
  const signed = parts.query
    .filter(([name]) => SIGNED_QUERY.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => (value === "" ? name : `${name}=${value}`))
    .join("&");
  const bucket = parts.hostBucket === "" ? "" : `/${parts.hostBucket}`;
  const resource = `${bucket}${parts.path}${signed === "" ? "" : `?${signed}`}`;
  return `${parts.method}\n${of("content-md5")}\n${of("content-type")}\n${parts.date}\n${amz}${resource}`;
}

function asSent(value: string): string {
  return value;
}
function collapsed(value: string): string {
  return value.replace(/[ \t]+/g, " ");
}

/** Base64 HMAC-SHA1 of a text in Latin-1, as the wire has it. */
export function signatureV2(secretKey: string, text: string): string {
  return createHmac("sha1", Buffer.from(secretKey, "utf8")).update(Buffer.from(text, "latin1")).digest("base64");
}

/**
 * Signatures that a request may have: of its path and its blanks as they came, as others would have written them, and of a
 * bucket with a slash.
 */
export function signaturesV2(parts: V2Parts, secretKey: string): readonly string[] {
  const paths = [parts.path, canonicalPath(parts.path)];
  if (/^\/[^/]+$/.test(parts.path)) paths.push(`${parts.path}/`); // as botocore signs "/bucket"
  const texts = paths.flatMap((path) =>
    [asSent, collapsed].map((blanks) => stringToSignV2({ ...parts, path }, blanks)),
  );
  return [...new Set(texts)].map((text) => signatureV2(secretKey, text));
}
