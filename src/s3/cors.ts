/**
 * CORS on the wire: the bucket's document, preflight requests, and the headers that a browser needs on every answer. A bucket
 * without a document has the rule of the deployment, as in MinIO. Source: s3-api.md §4.19.
 */
import type { Bucket } from "../bucket/catalog.ts";
import { CORS_METHODS, type CorsRule, matchCors, parseCors, storedCors } from "../bucket/cors.ts";
import { ownDocument, setOwnDocument } from "../object/buckets.ts";
import type { HeaderList, HttpRequest } from "../sys/http.ts";
import { type Call, type Reply, reply } from "./call.ts";
import { S3_ERRORS } from "./errors.ts";
import { readDocument } from "./request-body.ts";
import { WireError } from "./wire-error.ts";
import { parseXml } from "./xml.ts";

const DOCUMENT_BYTES_MAX = 64 * 1024;
const HEADERS_ASKED_MAX = 100;

/** The deployment's rule: any of these origins may do anything. */
export function globalCors(origins: readonly string[]): readonly CorsRule[] {
  const methods = ["GET", "PUT", "HEAD", "POST", "DELETE", "OPTIONS", "PATCH"];
  const exposed = [
    "ETag",
    "Content-Range",
    "Accept-Ranges",
    "x-amz-request-id",
    "x-amz-version-id",
    "x-amz-delete-marker",
  ];
  return [{ id: "", origins, methods, headers: ["*"], exposed, maxAge: null }];
}

export async function getBucketCors(call: Call): Promise<Reply> {
  const document = await ownDocument(call.objects, call.bucket, "cors");
  if (document.length === 0) throw new WireError("NoSuchCORSConfiguration", S3_ERRORS.NoSuchCORSConfiguration.message);
  return reply(200, { "Content-Type": "application/xml" }, document);
}

export async function putBucketCors(call: Call): Promise<Reply> {
  const root = parseXml(await readDocument(call, DOCUMENT_BYTES_MAX), "CORSConfiguration");
  await setOwnDocument(call.objects, call.bucket, "cors", storedCors(parseCors(root)));
  return reply(200);
}

export async function deleteBucketCors(call: Call): Promise<Reply> {
  await setOwnDocument(call.objects, call.bucket, "cors", new Uint8Array(0));
  return reply(204);
}

interface Asked {
  readonly origin: string;
  readonly method: string;
  readonly headers: readonly string[];
}

function askedBy(request: HttpRequest): Asked | null {
  const origin = request.headers.get("origin");
  if (origin === undefined || !/^[\x21-\x7e]{1,1024}$/.test(origin)) return null;
  const headers = (request.headers.get("access-control-request-headers") ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "");
  return { origin, method: request.headers.get("access-control-request-method") ?? request.method, headers };
}

/** Headers of every answer to a browser; none when no rule allows its origin to see it. */
export function corsHeaders(request: HttpRequest, bucket: Bucket | null, global: readonly CorsRule[]): HeaderList {
  const asked = askedBy(request);
  return asked === null ? [] : headersFor(asked, bucket, global);
}

function headersFor(asked: Asked, bucket: Bucket | null, global: readonly CorsRule[]): HeaderList {
  const own = bucket?.cors ?? null;
  const match = matchCors(own ?? global, asked.origin, asked.method, asked.headers);
  if (match === null) return [];
  const { rule } = match;
  const isOpen = match.allowOrigin === "*" && own !== null;
  const headers: [string, string][] = [
    ["Access-Control-Allow-Origin", isOpen ? "*" : asked.origin],
    ["Access-Control-Allow-Methods", rule.methods.join(", ")],
  ];
  if (!isOpen) headers.push(["Access-Control-Allow-Credentials", "true"]);
  if (rule.exposed.length > 0) headers.push(["Access-Control-Expose-Headers", rule.exposed.join(", ")]);
  return headers;
}

/** The answer to OPTIONS. */
export function preflight(request: HttpRequest, bucket: Bucket | null, global: readonly CorsRule[]): HeaderList {
  const asked = askedBy(request);
  if (asked === null || !request.headers.has("access-control-request-method"))
    throw new WireError("BadRequest", "Insufficient information. Origin and Access-Control-Request-Method are needed.");
  const methods: readonly string[] = bucket?.cors ? CORS_METHODS : global.flatMap((rule) => rule.methods);
  if (!methods.includes(asked.method))
    throw new WireError("BadRequest", `Invalid Access-Control-Request-Method: ${asked.method}`);
  const odd = asked.headers.find((name) => !/^[!#$%&'*+\-.^_`|~0-9a-z]{1,256}$/.test(name));
  if (odd !== undefined)
    throw new WireError("BadRequest", `Access-Control-Request-Headers "${odd}" contains an invalid character.`);
  const found = asked.headers.length <= HEADERS_ASKED_MAX ? headersFor(asked, bucket, global) : [];
  if (found.length === 0)
    throw new WireError(
      "AccessForbidden", // AWS's own text, to the letter
      "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
    );
  const headers = [...found];
  if (asked.headers.length > 0) headers.push(["Access-Control-Allow-Headers", asked.headers.join(", ")]);
  const age = matchCors(bucket?.cors ?? [], asked.origin, asked.method, asked.headers)?.rule.maxAge ?? null;
  if (age !== null) headers.push(["Access-Control-Max-Age", String(age)]);
  return headers;
}
