/**
 * The spine of every request: find the operation, authenticate, authorize, handle, and one exit that writes the answer or
 * the error, the log line and the metrics. Nothing below logs a request's error, nothing above answers it.
 */
import type { Bucket } from "../bucket/catalog.ts";
import type { CorsRule } from "../bucket/cors.ts";
import { AssertionError } from "../core/assert.ts";
import { bucketOf, knownBucket } from "../object/context.ts";
import { ObjectError } from "../object/errors.ts";
import { isBucketName } from "../object/names.ts";
import type { VersionInfo } from "../object/types.ts";
import type { Log } from "../observe/log.ts";
import type { HeaderList, HttpExchange, HttpRequest } from "../sys/http.ts";
import { denied } from "./access.ts";
import { authenticate, authenticateForm, type Identity } from "./authenticate.ts";
import { authorize, isAuthorized, missingKeySeenBy } from "./authorize.ts";
import type { Call } from "./call.ts";
import { errorCodeOf, errorDocument, errorMessageOf, errorStatusOf } from "./error-reply.ts";
import { S3_ERRORS } from "./errors.ts";
import { corsHeaders, preflight } from "./cors.ts";
import { validatorHeaders } from "./object-operations.ts";
import { findOperation, type Operation, type Target } from "./operations.ts";
import { asPut, demandPolicy } from "./post-object.ts";
import { type CallMeans, RequestCall } from "./request-call.ts";
import { decodePercent, parseQuery } from "./sigv4.ts";
import { isStsRequest, serveSts, type StsOptions } from "./sts.ts";
import { serveWebsite, siteOf, type Visit } from "./website.ts";
import { WireError } from "./wire-error.ts";

const HEADER_BYTES_MAX = 8 * 1024;
const PATH_BYTES_MAX = 32 * 1024;
const NO_QUERY: ReadonlyMap<string, string> = new Map();
const NOWHERE: Place = { bucket: "", key: "", hostBucket: "", isSite: false };

export interface S3Options extends CallMeans {
  /** Virtual-host domains. */
  readonly domains: readonly string[];
  /** Domains below which a host names a bucket that is visited as a website. */
  readonly websiteDomains: readonly string[];
  /** For buckets without rules of their own. */
  readonly cors: readonly CorsRule[];
  readonly hostId: string;
  readonly log: Log;
  /** A fresh request id: upper-case hex. */
  readonly newRequestId: () => string;
  readonly elapsedMs: () => number;
  readonly observe: (request: {
    readonly api: string;
    readonly bucket: string;
    readonly status: number;
    readonly seconds: number;
    readonly bytesIn: number;
    readonly bytesOut: number;
  }) => void;
  /** Answers health, metrics and what else is not S3; false = it was not. */
  readonly aside: (exchange: HttpExchange) => Promise<boolean>;
  /** Security tokens: forms that are sent to the service's root. */
  readonly sts: StsOptions;
}

interface Place {
  readonly bucket: string;
  readonly key: string;
  /** The bucket, if the host names it; else "". */
  readonly hostBucket: string;
  /** Of a browser that visits the bucket as a website. */
  readonly isSite: boolean;
}

/** Options, and what follows from them for every request. */
interface Serving extends S3Options {
  readonly fixedHeaders: { readonly plain: HeaderList; readonly tls: HeaderList };
}

export function createS3Handler(options: S3Options): (exchange: HttpExchange) => Promise<void> {
  const fixedHeaders = { plain: fixedHeadersOf(options, false), tls: fixedHeadersOf(options, true) };
  const serving: Serving = { ...options, fixedHeaders };
  const serve = (exchange: HttpExchange): Promise<void> =>
    isStsRequest(exchange.request) ? serveSts(exchange, options.sts) : serveRequest(serving, exchange);
  const serveOrAside = async (exchange: HttpExchange): Promise<void> => {
    if (!(await options.aside(exchange))) await serve(exchange);
  };
  return (exchange) => (exchange.request.rawPath.startsWith("/minio/") ? serveOrAside(exchange) : serve(exchange));
}

async function serveRequest(options: Serving, exchange: HttpExchange): Promise<void> {
  const { request, response } = exchange;
  const started = options.elapsedMs();
  const requestId = options.newRequestId();
  let commonHeaders = commonHeadersOf(options, requestId, request.isTls);
  let place = NOWHERE;
  let api = "Unknown";
  let status = 200;
  let handled: Call | null = null; // once its handler has it
  try {
    place = placeOf(request.rawPath, request.headers.get("host") ?? "", options);
    checkRequest(exchange, place);
    const pairs = parseQuery(request.rawQuery);
    demandPlainQuery(pairs);
    const query = pairs.length === 0 ? NO_QUERY : new Map(pairs);
    const target: Target = place.bucket === "" ? "service" : place.key === "" ? "bucket" : "object";
    const bucket = request.headers.has("origin") ? await bucketOfBrowser(options, place) : null;
    if (request.method === "OPTIONS") {
      api = "Preflight";
      await response.send(200, [...commonHeaders, ...preflight(request, bucket, options.cors)], "");
      return;
    }
    const cors = corsHeaders(request, bucket, options.cors);
    if (cors.length > 0) commonHeaders = [...commonHeaders, ...cors];
    if (place.isSite) {
      api = "Website";
      const facts = { place, query, pairs, requestId, commonHeaders };
      status = await serveWebsite(visitOf(options, exchange, facts));
      return;
    }
    const operation = findOperation(request.method, target, query, request.headers);
    api = operation === null || operation === "not-implemented" ? "Unknown" : operation.name;
    const form = api === "PostObject" ? await asPut(request, place.bucket) : null;
    const identity =
      form === null
        ? authenticate(request, pairs, options.auth, place.hostBucket)
        : authenticateForm(form.fields, options.auth);
    if (form !== null) {
      demandPolicy(form, options.auth.nowMs());
      place = { ...place, key: form.key };
    }
    demandStreamingFits(api, identity);
    if (operation === null || operation === "not-implemented")
      throw noOperation(operation, request.method, target, query);
    const facts = { response, place, query, identity, form, requestId, commonHeaders };
    const call = new RequestCall(options, form?.request ?? request, facts);
    if (!isAdmitted(operation, call)) await admit(operation, call);
    handled = call;
    const answer = await operation.run(call);
    if (answer !== null) {
      status = answer.status;
      await response.send(answer.status, answer.headers.concat(commonHeaders), answer.body);
    }
  } catch (cause) {
    const error = handled === null ? cause : await errorSeenBy(handled, api, cause);
    status = await sendError(options, exchange, { error, place, api, requestId, commonHeaders });
  } finally {
    const seconds = (options.elapsedMs() - started) / 1000;
    const bytesIn = Number(request.headers.get("content-length") ?? 0);
    options.observe({
      api,
      bucket: place.bucket,
      status,
      seconds,
      bytesIn: Number.isFinite(bytesIn) ? bytesIn : 0,
      bytesOut: response.bytesSent,
    });
  }
}

/** Why no row of the table fits; a part needs its number and its upload, and some sub-resources are a bucket's alone. */
function noOperation(
  found: "not-implemented" | null,
  method: string,
  target: Target,
  query: ReadonlyMap<string, string>,
): WireError {
  const notAllowed = (resourceType: string): WireError =>
    new WireError("MethodNotAllowed", S3_ERRORS.MethodNotAllowed.message, { method, resourceType });
  if (found === null) return notAllowed(target.toUpperCase());
  if (target === "object" && method === "GET" && query.has("uploads"))
    return new WireError("InvalidRequest", "Key is not expected for the GET method ?uploads subresource");
  if (target === "object" && method === "PUT" && query.has("partNumber"))
    return new WireError("InvalidArgument", "A part needs the upload that it belongs to: uploadId.");
  if (target === "object" && method === "PUT" && query.has("uploadId")) return notAllowed("UPLOAD");
  return new WireError("NotImplemented", "A sub-resource of this request is not known.");
}

/** What a handler's error is to this caller: who may not list the bucket is not told that a key is missing. */
async function errorSeenBy(call: Call, api: string, error: unknown): Promise<unknown> {
  if (!(error instanceof ObjectError) || error.code !== "NoSuchKey") return error;
  try {
    return (await missingKeySeenBy(call, api)) === "denied" ? denied() : error;
  } catch (other) {
    return other;
  }
}

/** Is it known at once that `admit` does not refuse? */
function isAdmitted(operation: Operation, call: Call): boolean {
  if (!isAuthorized(operation, call) || call.bucket === "" || operation.name === "CreateBucket") return false;
  return knownBucket(call.objects, call.bucket) !== null;
}

/** Who may, and whether there is a bucket: before a body is looked at. */
async function admit(operation: Operation, call: Call): Promise<void> {
  await authorize(operation, call);
  if (call.bucket !== "" && operation.name !== "CreateBucket") await bucketOf(call.objects, call.bucket);
}

function visitOf(
  options: S3Options,
  exchange: HttpExchange,
  facts: {
    place: Place;
    query: ReadonlyMap<string, string>;
    pairs: readonly (readonly [string, string])[];
    requestId: string;
    commonHeaders: HeaderList;
  },
): Visit {
  const { request, response } = exchange;
  const { place, commonHeaders } = facts;
  const identity = authenticate(request, facts.pairs, options.auth, place.hostBucket);
  const operation = findOperation("GET", "object", new Map(), request.headers);
  return {
    bucket: place.bucket,
    key: place.key,
    request,
    response,
    commonHeaders,
    objects: options.objects,
    async callFor(key) {
      const here = { ...facts, response, place: { ...place, key }, identity, form: null };
      const call = new RequestCall(options, request, here);
      if (operation !== null && operation !== "not-implemented") await authorize(operation, call);
      return call;
    },
  };
}

/** Bucket and key, still as the client means them: path style, or virtual-host style under one of the domains. */
function placeOf(
  rawPath: string,
  host: string,
  { domains, websiteDomains }: Pick<S3Options, "domains" | "websiteDomains">,
): Place {
  const decoded = decodePercent(rawPath);
  const path = decoded.startsWith("/") ? decoded.slice(1) : decoded;
  const site = websiteDomains.length === 0 ? "" : siteOf(host, websiteDomains);
  if (site !== "") return { bucket: site, key: withoutSlashes(path), hostBucket: site, isSite: true };
  const name = domains.length === 0 ? "" : host.replace(/:\d+$/, "").toLowerCase();
  for (const domain of domains) {
    if (name.length > domain.length + 1 && name.endsWith(`.${domain}`)) {
      const bucket = name.slice(0, -(domain.length + 1));
      if (bucket !== "minio") return { bucket, key: withoutSlashes(path), hostBucket: bucket, isSite: false };
    }
  }
  const slash = path.indexOf("/");
  const bucket = slash < 0 ? path : path.slice(0, slash);
  const key = slash < 0 ? "" : withoutSlashes(path.slice(slash + 1));
  return { bucket, key, hostBucket: "", isSite: false };
}

/** Without those that it begins with. */
function withoutSlashes(path: string): string {
  return path.startsWith("/") ? path.replace(/^\/+/, "") : path;
}

function checkRequest(exchange: HttpExchange, place: Place): void {
  const { request } = exchange;
  if (request.rawPath.length > PATH_BYTES_MAX) throw new WireError("KeyTooLongError", "Your key is too long.");
  let bytes = 0;
  for (const name of request.headers.keys()) bytes += name.length + (request.headers.get(name) as string).length;
  if (bytes > HEADER_BYTES_MAX)
    throw new WireError("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size.");
  demandOnce(request);
  demandPlainSegments(place.bucket);
  demandPlainSegments(place.key);
}

/** Headers that say what a request is and who sent it, by what shows that they came twice: values are joined by commas. */
const ONCE: readonly (readonly [name: string, twice: RegExp])[] = [
  ["authorization", /,\s*(?:AWS4-HMAC-SHA256|AWS|Basic|Bearer)\b/i],
  ["x-amz-date", /(?:Z|GMT)\s*,/],
  ...["host", "x-amz-content-sha256", "x-amz-decoded-content-length", "content-md5"].map(
    (name) => [name, /,/] as const,
  ),
];

function demandOnce({ headers }: HttpRequest): void {
  for (const [name, twice] of ONCE) {
    const value = headers.get(name);
    if (value?.includes(",") === true && twice.test(value))
      throw new WireError("InvalidRequest", `The header ${name} may come once only.`);
  }
}

/** Prefixes and markers are paths too; a delimiter may be anything. */
function demandPlainQuery(pairs: readonly (readonly [string, string])[]): void {
  for (const [name, value] of pairs) if (name !== "delimiter" && value.includes(".")) demandPlainSegments(value);
}

function demandPlainSegments(path: string): void {
  if (!path.includes(".")) return;
  for (const segment of path.split(/[/\\]/)) {
    const trimmed = segment.trim();
    if (trimmed === "." || trimmed === "..")
      throw new WireError("XMinioInvalidResourceName", 'Resource name contains bad components such as ".." or ".".');
  }
}

const STREAMED: ReadonlySet<string> = new Set(["PutObject", "AppendObject", "PutObjectExtract", "UploadPart"]);

/** Streaming payload modes belong to uploads. */
function demandStreamingFits(api: string, identity: Identity): void {
  if (identity.payload.kind === "chunked" && !STREAMED.has(api))
    throw new WireError("XAmzContentSHA256Mismatch", "A streaming payload is only possible for uploads.");
}

async function sendError(
  options: S3Options,
  exchange: HttpExchange,
  facts: { error: unknown; place: Place; api: string; requestId: string; commonHeaders: HeaderList },
): Promise<number> {
  const { error, place, api, requestId } = facts;
  if (error instanceof AssertionError) throw error; // a broken promise of our own ends the process
  const { request, response } = exchange;
  const code = errorCodeOf(error);
  const status = errorStatusOf(code);
  if (status >= 500 && status !== 501) {
    const cause = error instanceof Error ? error.message : String(error);
    const stack = code === "InternalError" && error instanceof Error ? error.stack : undefined;
    options.log.error("request failed", {
      requestId,
      api,
      bucket: place.bucket,
      key: place.key,
      code,
      message: cause,
      stack,
    });
  }
  if (response.headSent) {
    response.destroy(); // the promised length cannot be kept
    return status;
  }
  const headers: (readonly [string, string])[] = [...facts.commonHeaders];
  if (error instanceof ObjectError) headers.push(...objectErrorHeaders(error));
  if (status === 503 || status === 429) headers.push(["Retry-After", "60"]);
  if (request.headers.has("transfer-encoding") || (request.headers.get("content-length") ?? "0") !== "0")
    headers.push(["Connection", "close"]); // the rest of the body is not wanted
  if (request.method === "HEAD" || status === 304) {
    headers.push(
      ["x-minio-error-code", code],
      ["x-minio-error-desc", JSON.stringify(errorMessageOf(error)).replace(/[^ -~]/g, "?")],
    );
    await response.send(status, headers, "");
    return status;
  }
  headers.push(["Content-Type", "application/xml"]);
  await response.send(
    status,
    headers,
    errorDocument(error, {
      bucket: place.bucket,
      key: place.key,
      resource: request.rawPath,
      requestId,
      hostId: options.hostId,
    }),
  );
  return status;
}

function objectErrorHeaders(error: ObjectError): [string, string][] {
  if (error.code === "DeleteMarker") {
    const versionId = String(error.detail["versionId"]);
    const headers: [string, string][] = [["x-amz-delete-marker", "true"]];
    headers.push(["x-amz-version-id", versionId]);
    const modTime = error.detail["modTimeNs"];
    if (error.detail["named"] === true && typeof modTime === "bigint")
      headers.push(["Last-Modified", new Date(Number(modTime / 1_000_000n)).toUTCString()]);
    return headers;
  }
  const info = error.detail["info"];
  return info === undefined ? [] : validatorHeaders(info as VersionInfo);
}

const SERVER = ["Server", "sherd"] as const;
/** Against caches and browsers that guess. */
const GUARDS: HeaderList = [
  ["Vary", "Origin, Accept-Encoding"],
  ["X-Content-Type-Options", "nosniff"],
  ["X-XSS-Protection", "1; mode=block"],
];

/** Headers of every answer that are the same for all, but `Server`, which comes first. */
function fixedHeadersOf(options: S3Options, isTls: boolean): HeaderList {
  const headers: (readonly [string, string])[] = [["x-amz-id-2", options.hostId], ...GUARDS];
  if (isTls) headers.push(["Strict-Transport-Security", "max-age=31536000; includeSubDomains"]);
  if (options.auth.region !== "") headers.push(["x-amz-bucket-region", options.auth.region]);
  return headers;
}

function commonHeadersOf({ fixedHeaders }: Serving, requestId: string, isTls: boolean): HeaderList {
  return [SERVER, ["x-amz-request-id", requestId], ...(isTls ? fixedHeaders.tls : fixedHeaders.plain)];
}

/** Its rules matter to browsers only, which say their origin. */
async function bucketOfBrowser(options: S3Options, place: Place): Promise<Bucket | null> {
  return isBucketName(place.bucket) ? await options.objects.buckets.get(place.bucket) : null;
}
