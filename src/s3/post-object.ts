/**
 * PostObject: an upload by an HTML form. The form's fields stand for the headers of a PUT, and the policy in it for the
 * signature; `asPut` makes such a request of it, which is authenticated and authorized as any other. Source: s3-api.md §2.9.
 */
import type { ByteSource } from "../core/byte-stream.ts";
import { aclOfNewVersion } from "./acl-operations.ts";
import { putObject as put } from "../object/put-object.ts";
import type { HttpRequest } from "../sys/http.ts";
import { tagsFrom } from "./bucket-operations.ts";
import { type Call, type Reply, reply, xmlReply } from "./call.ts";
import { S3_ERRORS } from "./errors.ts";
import { encryptionHeaders } from "./encryption-headers.ts";
import { type Form, formBoundary, openForm } from "./form-data.ts";
import { checkTags, checksumHeaders, conditionsFrom, encodeTags, newMetadata, quoted } from "./headers.ts";
import { expirationHeader } from "./lifecycle-operations.ts";
import { demandAllowed, type PostPolicy, parsePostPolicy } from "./post-policy.ts";
import { declaredChecksum, type RawBody, requestBody } from "./request-body.ts";
import { WireError } from "./wire-error.ts";
import { xmlDocument, type XmlNode } from "./xml.ts";

/** Files up to here are measured before they are stored; of a longer one only the greatest possible size is known. */
const MEASURED_BYTES_MAX = 1024 * 1024;
const TAGS_MAX = 10;
const FORM_HEADERS: ReadonlySet<string> = new Set([
  "content-type",
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "expires",
  "content-md5",
]);

/** A form as the request of a PUT. */
export interface PostedForm {
  readonly request: HttpRequest;
  readonly key: string;
  /** Those of the form, with bucket and key as they are meant. */
  readonly fields: ReadonlyMap<string, string>;
  /** null = the form has none: nobody signed it. */
  readonly policy: PostPolicy | null;
  readonly file: RawBody;
}

/** The body is read up to the file. */
export async function asPut(request: HttpRequest, bucket: string): Promise<PostedForm> {
  const type = request.headers.get("content-type");
  const boundary = formBoundary(type);
  if (boundary === null) throw notAForm(type ?? "");
  if (request.headers.has("authorization"))
    throw new WireError("InvalidRequest", "A form is authenticated by its policy alone.");
  const length = request.headers.get("content-length");
  if (length === undefined || !/^\d{1,15}$/.test(length))
    throw new WireError("MissingContentLength", "You must provide the Content-Length HTTP header.");
  const form = await openForm(request.body, boundary);
  const key = (form.fields.get("key") ?? "").replace(/\$\{filename\}/g, () => form.fileName).replace(/^\/+/, "");
  if (key === "") throw new WireError("InvalidArgument", "Bucket POST must contain a field named 'key'.");
  if ((form.fields.get("bucket") ?? bucket) !== bucket)
    throw new WireError("AccessDenied", "The form is for another bucket.");
  const fields = new Map([...form.fields, ["key", key], ["bucket", bucket]]);
  const policyText = fields.get("policy");
  const policy = policyText === undefined ? null : parsePostPolicy(policyText);
  const file = await measured(form, Number(length), policy);
  return { request: requestOf(request, headersOf(request.headers, fields), file), key, fields, policy, file };
}

/** What a POST to a bucket is that has another type of content, or none. */
function notAForm(type: string): WireError {
  const code = /^multipart\/form-data\b/i.test(type) ? "MalformedPOSTRequest" : "MethodNotAllowed";
  return new WireError(code, S3_ERRORS[code].message);
}

/** The file with its size, or the greatest that it can have: the size is in no header of a form. */
async function measured(form: Form, bodyBytes: number, policy: PostPolicy | null): Promise<RawBody> {
  const bytesMax = bodyBytes - form.bytesBefore - form.bytesAfterMin;
  if (bytesMax < 0) throw new WireError("IncompleteBody", "The body of your POST request ends before the form does.");
  if (bytesMax > MEASURED_BYTES_MAX) return { sizeBytes: bytesMax, sizeIsMax: true, ...withinRange(form.file, policy) };
  const chunks: Uint8Array[] = [];
  const { next } = withinRange(form.file, policy);
  for (let chunk = await next(); chunk !== null; chunk = await next()) chunks.push(new Uint8Array(chunk));
  const content = Buffer.concat(chunks);
  let isGiven = content.length === 0;
  return {
    sizeBytes: content.length,
    sizeIsMax: false,
    next() {
      const given = isGiven ? null : content;
      isGiven = true;
      return Promise.resolve(given);
    },
  };
}

/** The policy's content-length-range, as the bytes come. */
function withinRange(file: ByteSource, policy: PostPolicy | null): ByteSource {
  const range = policy?.size ?? null;
  if (range === null) return { next: () => file.next() };
  let bytes = 0;
  return {
    async next() {
      const chunk = await file.next();
      bytes += chunk?.length ?? 0;
      if (bytes > range.max)
        throw new WireError("EntityTooLarge", S3_ERRORS.EntityTooLarge.message, {
          proposedSize: bytes,
          maxSizeAllowed: range.max,
        });
      if (chunk === null && bytes < range.min)
        throw new WireError("EntityTooSmall", S3_ERRORS.EntityTooSmall.message, {
          proposedSize: bytes,
          minSizeAllowed: range.min,
        });
      return chunk;
    },
  };
}

/** Headers of the form's own request that are not about its body, and those that its fields stand for. Values as on the wire. */
function headersOf(own: ReadonlyMap<string, string>, fields: ReadonlyMap<string, string>): Map<string, string> {
  const headers = new Map<string, string>();
  for (const [name, value] of own)
    if (!name.startsWith("x-amz-") && !name.startsWith("x-minio-") && !FORM_HEADERS.has(name)) headers.set(name, value);
  for (const [name, value] of fields) {
    if (!FORM_HEADERS.has(name) && !name.startsWith("x-amz-") && !name.startsWith("x-minio-meta-")) continue;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
    if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value))
      throw new WireError("InvalidArgument", `The field ${name} holds characters that a header cannot.`);
    headers.set(name, Buffer.from(value, "utf8").toString("latin1"));
  }
  const acl = fields.get("acl");
  if (acl !== undefined) headers.set("x-amz-acl", acl);
  const tagging = fields.get("tagging");
  if (tagging !== undefined) {
    const tags = tagsFrom(Buffer.from(tagging));
    checkTags(tags, TAGS_MAX);
    headers.set("x-amz-tagging", encodeTags(tags));
  }
  return headers;
}

function requestOf(own: HttpRequest, headers: ReadonlyMap<string, string>, body: ByteSource): HttpRequest {
  return {
    method: own.method,
    rawPath: own.rawPath,
    rawQuery: own.rawQuery,
    isTls: own.isTls,
    headers,
    body,
    get remoteAddress() {
      return own.remoteAddress;
    },
    get clientCertificate() {
      return own.clientCertificate;
    },
    get signal() {
      return own.signal;
    },
  };
}

/** Throws unless the policy, whose signature is good, allows what the form says. */
export function demandPolicy({ policy, fields }: PostedForm, nowMs: number): void {
  if (policy !== null) demandAllowed(policy, fields, nowMs);
}

export async function postObject(call: Call): Promise<Reply> {
  const { form } = call;
  if (form === null)
    throw new WireError("MethodNotAllowed", "The specified method is not allowed against this resource.");
  const result = await put(call.objects, {
    bucket: call.bucket,
    key: call.key,
    signal: call.request.signal,
    body: requestBody(call, declaredChecksum(call), form.file),
    conditions: conditionsFrom(call),
    ...newMetadata(call),
    internal: await aclOfNewVersion(call),
  });
  const host = call.request.headers.get("host") ?? "";
  const path = call.key.split("/").map(encodeURIComponent).join("/");
  const location = `${call.request.isTls ? "https" : "http"}://${host}/${call.bucket}/${path}`;
  const headers = {
    ETag: quoted(result.etag),
    "x-amz-version-id": result.versionId,
    "x-amz-expiration": expirationHeader(result.expiry),
    ...checksumHeaders(result.checksum),
    ...encryptionHeaders(result.encryption),
  };
  const target = redirectOf(form.fields);
  if (target !== null) {
    const query = `bucket=${call.bucket}&key=${encodeURIComponent(call.key)}&etag=${encodeURIComponent(quoted(result.etag))}`;
    return reply(303, { ...headers, Location: `${target}${target.includes("?") ? "&" : "?"}${query}` });
  }
  const status = form.fields.get("success_action_status");
  if (status !== "201") return reply(status === "200" ? 200 : 204, { ...headers, Location: location });
  const elements: XmlNode[] = [
    ["Location", location],
    ["Bucket", call.bucket],
    ["Key", call.key],
    ["ETag", quoted(result.etag)],
  ];
  const document = xmlDocument("PostResponse", elements, null); // the one document of S3 without a namespace
  return xmlReply(201, document, { ...headers, Location: location });
}

/** Where the browser goes; what is no URL is ignored. */
function redirectOf(fields: ReadonlyMap<string, string>): string | null {
  const target = fields.get("success_action_redirect") ?? fields.get("redirect") ?? "";
  return /^https?:\/\/[\x21-\x7e]{1,4096}$/.test(target) ? target : null;
}
