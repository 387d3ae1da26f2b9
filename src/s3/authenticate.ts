/**
 * The one authentication of every request: who signed it, and how its body is to be checked. The payload mode is a second,
 * independent outcome: an unsigned body never means an unsigned request. Source: s3-api.md §2.
 */
import { timingSafeEqual } from "node:crypto";
import { ANONYMOUS, type FoundIdentity, type Identities, type Principal } from "../iam/principal.ts";
import type { HttpRequest } from "../sys/http.ts";
import { S3_ERRORS } from "./errors.ts";
import { claimV2, signaturesV2, signatureV2, uncoveredParameter } from "./sigv2.ts";
import {
  canonicalRequest,
  type CredentialError,
  EMPTY_SHA256,
  hmacHex,
  malformedCredential,
  parseCredential,
  parseIsoBasic,
  sameSignature,
  type Scope,
  scopeText,
  type SignedParts,
  type SigningKeys,
  signRequest,
  stringToSign,
  UNSIGNED_PAYLOAD,
} from "./sigv4.ts";
import { WireError } from "./wire-error.ts";

const SKEW_MS = 15 * 60 * 1000;
const EXPIRES_MAX_S = 604_800;

export interface AuthOptions {
  readonly identities: Identities;
  /** "" = any region is accepted. */
  readonly region: string;
  readonly nowMs: () => number;
  readonly signingKeys: SigningKeys;
  /** Is Signature Version 2 accepted? */
  readonly signatureV2: boolean;
}

/** How the bytes of the body are framed and checked. */
export type PayloadMode =
  | { readonly kind: "plain" /** hex SHA-256, or null = not checked */; readonly sha256: string | null }
  | { readonly kind: "chunked"; readonly signed: ChunkSigner | null; readonly trailer: boolean };
export interface ChunkSigner {
  readonly key: Buffer;
  readonly date: string;
  readonly scope: string;
  readonly seed: string;
}
export type AuthType = "" | "REST-HEADER" | "REST-QUERY-STRING" | "POST";
export interface Identity {
  readonly principal: Principal;
  /** How the request was signed; "" = not at all. */
  readonly authType: AuthType;
  /** "AWS4-HMAC-SHA256", "AWS" or "". */
  readonly signatureVersion: string;
  /** When it was signed; null = it was not. */
  readonly signedAtMs: number | null;
  /** null = anonymous. */
  readonly accessKey: string | null;
  readonly payload: PayloadMode;
  readonly isPresigned: boolean;
}

type Query = readonly (readonly [string, string])[];

/** `hostBucket`: of a virtual-host request, else "". */
export function authenticate(request: HttpRequest, query: Query, options: AuthOptions, hostBucket = ""): Identity {
  const authorization = request.headers.get("authorization");
  const presigned = query.length > 0 && query.some(([k]) => k === "X-Amz-Credential" || k === "X-Amz-Signature");
  const v2 = query.length > 0 && query.some(([k]) => k === "AWSAccessKeyId");
  if (Number(authorization !== undefined) + Number(presigned) + Number(v2) > 1)
    throw new WireError("InvalidRequest", "Only one authentication mechanism is allowed.");
  if (v2 || authorization?.startsWith("AWS ")) return authenticateV2(request, query, options, hostBucket);
  if (presigned) return authenticatePresigned(request, query, options);
  if (authorization === undefined) return anonymousIdentity(request, query);
  if (authorization.startsWith("Bearer ")) throw new WireError("AccessDenied", "Access Denied.");
  if (!authorization.startsWith("AWS4-HMAC-SHA256"))
    throw new WireError("InvalidRequest", "The authorization mechanism is not supported. Use AWS4-HMAC-SHA256.");
  return authenticateHeader(request, query, authorization, options);
}

function anonymousIdentity(request: HttpRequest, query: Query): Identity {
  if (sessionTokenOf(request, query) !== undefined) throw new WireError("AccessDenied", "Access Denied.");
  const facts = { principal: ANONYMOUS, authType: "", signatureVersion: "", signedAtMs: null } as const;
  return { ...facts, accessKey: null, isPresigned: false, payload: anonymousPayload(request) };
}

function anonymousPayload(request: HttpRequest): PayloadMode {
  const hash = request.headers.get("x-amz-content-sha256") ?? UNSIGNED_PAYLOAD;
  if (isSignedStream(hash)) throw new WireError("InvalidRequest", "Signed chunks need a signed request.");
  return payloadMode(hash, null);
}

function authenticateHeader(request: HttpRequest, query: Query, authorization: string, options: AuthOptions): Identity {
  const { signingKeys } = options;
  const { signer, signature } = signingKeys.authorization(authorization);
  const date = requestDate(request, signingKeys);
  if (Math.abs(options.nowMs() - date.ms) > SKEW_MS)
    throw new WireError(
      "RequestTimeTooSkewed",
      "The difference between the request time and the server's time is too large.",
      skewOf(date.ms, options.nowMs()),
    );
  if (!date.text.startsWith(signer.day))
    throw malformedCredential(
      "AuthorizationHeaderMalformed",
      "Invalid credential date. Date is not the same as X-Amz-Date.",
    );
  const found = identityOf(signer, options, "AuthorizationHeaderMalformed");
  demandSigned(request, signer.signedHeaders);
  const hash = request.headers.get("x-amz-content-sha256") ?? EMPTY_SHA256;
  const key = signer.keyOf(found.secretKey, signingKeys);
  const parts = {
    method: request.method,
    rawPath: request.rawPath,
    query,
    headers: request.headers,
    signedHeaders: signer.signedHeaders,
    signedNames: signer.signedNames,
    payloadHash: hash,
  };
  const wanted = signRequest(parts, signer, date.text, key);
  if (!sameSignature(wanted, signature)) throw mismatch(explained(parts, signer, date.text, signature));
  demandSessionToken(found, sessionTokenOf(request, query));
  return {
    principal: found.principal,
    authType: "REST-HEADER",
    signatureVersion: "AWS4-HMAC-SHA256",
    signedAtMs: date.ms,
    accessKey: signer.accessKey,
    isPresigned: false,
    payload: isSignedStream(hash)
      ? payloadMode(hash, { key, date: date.text, scope: signer.text, seed: wanted })
      : payloadMode(hash, null),
  };
}

/** Is each chunk of the body signed? */
function isSignedStream(hash: string): boolean {
  return hash.startsWith("STREAMING-AWS4-");
}

function skewOf(requestMs: number, nowMs: number): Record<string, string | number> {
  return {
    requestTime: new Date(requestMs).toISOString(),
    serverTime: new Date(nowMs).toISOString(),
    maxSkewMs: SKEW_MS,
  };
}

function payloadMode(hash: string, signer: ChunkSigner | null): PayloadMode {
  switch (hash) {
    case UNSIGNED_PAYLOAD:
      return { kind: "plain", sha256: null };
    case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD":
      return { kind: "chunked", signed: signer, trailer: false };
    case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER":
      return { kind: "chunked", signed: signer, trailer: true };
    case "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
      return { kind: "chunked", signed: null, trailer: true };
    default:
      if (!/^[0-9a-f]{64}$/i.test(hash))
        throw new WireError(
          "XAmzContentSHA256Mismatch",
          "The provided 'x-amz-content-sha256' header is neither a SHA-256 nor a known mode.",
        );
      return { kind: "plain", sha256: hash.toLowerCase() };
  }
}

function authenticatePresigned(request: HttpRequest, query: Query, options: AuthOptions): Identity {
  const code = "AuthorizationQueryParametersError";
  const of = (name: string): string => {
    const value = valueIn(query, name);
    if (value === undefined || value === "")
      throw new WireError(
        code,
        "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
      );
    return value;
  };
  if (of("X-Amz-Algorithm") !== "AWS4-HMAC-SHA256")
    throw new WireError(code, 'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"');
  const scope = parseCredential(of("X-Amz-Credential"), code);
  const dateText = of("X-Amz-Date");
  const dateMs = parseIsoBasic(dateText);
  if (dateMs === null)
    throw new WireError(code, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
  if (!dateText.startsWith(scope.day))
    throw new WireError(
      code,
      `Invalid credential date "${scope.day}". This date is not the same as X-Amz-Date: "${dateText.slice(0, 8)}".`,
    );
  const expires = secondsFrom(of("X-Amz-Expires"));
  const signedHeaders = of("X-Amz-SignedHeaders").split(";");
  const signature = of("X-Amz-Signature");
  const found = identityOf(scope, options, code);
  const now = options.nowMs();
  if (dateMs > now + SKEW_MS) throw new WireError("AccessDenied", "Request is not valid yet.");
  if (dateMs + expires * 1000 < now)
    throw new WireError("AccessDenied", "Request has expired", {
      xAmzExpires: expires,
      expires: new Date(dateMs + expires * 1000).toISOString(),
      serverTime: new Date(now).toISOString(),
    });
  demandSigned(request, signedHeaders);
  const hash =
    valueIn(query, "X-Amz-Content-Sha256") ?? request.headers.get("x-amz-content-sha256") ?? UNSIGNED_PAYLOAD;
  const rest = query.filter(([k]) => k !== "X-Amz-Signature");
  const key = options.signingKeys.get(scope, found.secretKey);
  const parts = {
    method: request.method,
    rawPath: request.rawPath,
    query: rest,
    headers: request.headers,
    signedHeaders,
    payloadHash: hash,
  };
  const wanted = signRequest(parts, scope, dateText, key);
  if (!sameSignature(wanted, signature)) throw mismatch(explained(parts, scope, dateText, signature));
  demandSessionToken(found, sessionTokenOf(request, query));
  return {
    principal: found.principal,
    authType: "REST-QUERY-STRING",
    signatureVersion: "AWS4-HMAC-SHA256",
    signedAtMs: dateMs,
    accessKey: scope.accessKey,
    isPresigned: true,
    payload: payloadMode(hash, { key, date: dateText, scope: scopeText(scope), seed: wanted }),
  };
}

/** X-Amz-Expires. */
function secondsFrom(text: string): number {
  const code = "AuthorizationQueryParametersError";
  if (!/^-?\d+$/.test(text)) throw new WireError(code, "X-Amz-Expires should be a number");
  if (text.startsWith("-")) throw new WireError(code, "X-Amz-Expires must be non-negative");
  if (Number(text) > EXPIRES_MAX_S)
    throw new WireError(
      code,
      "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
    );
  return Number(text);
}

function authenticateV2(request: HttpRequest, query: Query, options: AuthOptions, hostBucket: string): Identity {
  demandV2Allowed(options);
  const claim = claimV2(request.headers.get("authorization"), query);
  if (claim === null) throw new WireError("InvalidArgument", "The signature lacks an access key, a date or itself.");
  const date = dateOfV2(request, claim.expires, options.nowMs());
  const uncovered = uncoveredParameter(query);
  if (uncovered !== undefined)
    throw new WireError("AccessDenied", `Signature Version 2 does not cover the query parameter ${uncovered}.`);
  const found = identityOfKey(claim.accessKey, options);
  const { method, rawPath: path, headers } = request;
  const wanted = signaturesV2({ method, path, hostBucket, query, headers, date: date.text }, found.secretKey);
  if (!wanted.some((signature) => sameSignature(signature, claim.signature))) throw mismatch();
  demandSessionToken(found, headers.get("x-amz-security-token"));
  const hash = headers.get("x-amz-content-sha256") ?? UNSIGNED_PAYLOAD;
  if (isSignedStream(hash)) throw new WireError("XAmzContentSHA256Mismatch", "Signed chunks need Signature Version 4.");
  return {
    principal: found.principal,
    authType: claim.expires === null ? "REST-HEADER" : "REST-QUERY-STRING",
    signatureVersion: "AWS",
    signedAtMs: date.signedAtMs,
    accessKey: claim.accessKey,
    isPresigned: false, // headers that come as query parameters would not be covered
    payload: payloadMode(hash, null),
  };
}

/** What a V2 signature covers for its date: that of the request, or when it expires. */
function dateOfV2(
  request: HttpRequest,
  expires: string | null,
  now: number,
): { readonly text: string; readonly signedAtMs: number | null } {
  if (expires !== null) {
    if (!/^\d{1,12}$/.test(expires) || Number(expires) * 1000 < now)
      throw new WireError("AccessDenied", "Request has expired.");
    return { text: expires, signedAtMs: null };
  }
  const { ms } = requestDate(request, { dateMs: parseIsoBasic });
  if (Math.abs(now - ms) > SKEW_MS)
    throw new WireError(
      "RequestTimeTooSkewed",
      "The difference between the request time and the server's time is too large.",
    );
  const text = request.headers.has("x-amz-date") ? "" : (request.headers.get("date") ?? "");
  return { text, signedAtMs: ms };
}

function demandV2Allowed(options: AuthOptions): void {
  if (!options.signatureV2)
    throw new WireError("InvalidRequest", "The authorization mechanism is not supported. Use AWS4-HMAC-SHA256.");
}

type Fields = ReadonlyMap<string, string>;
const FORM_PAYLOAD = { kind: "plain", sha256: null } as const;

/** A form is signed by its policy. What the policy allows is judged by post-object.ts once this is known to be the signer's. */
export function authenticateForm(fields: Fields, options: AuthOptions): Identity {
  const policy = fields.get("policy");
  if (policy === undefined) {
    for (const name of ["awsaccesskeyid", "signature", "x-amz-signature", "x-amz-credential", "x-amz-security-token"])
      if (fields.has(name)) fieldOf(fields, "policy");
    const facts = { principal: ANONYMOUS, authType: "", signatureVersion: "", signedAtMs: null } as const;
    return { ...facts, accessKey: null, isPresigned: false, payload: FORM_PAYLOAD };
  }
  const isV4 = fields.has("x-amz-signature") || fields.has("x-amz-credential");
  const { accessKey, found, signedAtMs } = isV4
    ? signerV4(fields, policy, options)
    : { ...signerV2(fields, policy, options), signedAtMs: null };
  demandSessionToken(found, fields.get("x-amz-security-token"));
  return {
    principal: found.principal,
    authType: "POST",
    signatureVersion: isV4 ? "AWS4-HMAC-SHA256" : "AWS",
    signedAtMs,
    accessKey,
    isPresigned: false,
    payload: FORM_PAYLOAD,
  };
}

function fieldOf(fields: Fields, name: string): string {
  const value = fields.get(name);
  if (value === undefined || value === "")
    throw new WireError("InvalidArgument", `Bucket POST must contain a field named '${name}'.`);
  return value;
}

interface Signer {
  readonly accessKey: string;
  readonly found: FoundIdentity;
}

function signerV2(fields: Fields, policy: string, options: AuthOptions): Signer {
  const [accessKey, signature] = [fieldOf(fields, "awsaccesskeyid"), fieldOf(fields, "signature")];
  demandV2Allowed(options);
  const found = identityOfKey(accessKey, options);
  if (!sameSignature(signatureV2(found.secretKey, policy), signature))
    throw mismatch(explainedForm(accessKey, policy, signature));
  return { accessKey, found };
}

function signerV4(fields: Fields, policy: string, options: AuthOptions): Signer & { readonly signedAtMs: number } {
  const code = "InvalidArgument";
  if (fieldOf(fields, "x-amz-algorithm") !== "AWS4-HMAC-SHA256")
    throw new WireError(code, "x-amz-algorithm must be AWS4-HMAC-SHA256.");
  const scope = parseCredential(fieldOf(fields, "x-amz-credential"), code);
  const date = fieldOf(fields, "x-amz-date");
  const signedAtMs = parseIsoBasic(date);
  if (signedAtMs === null || !date.startsWith(scope.day))
    throw new WireError(code, "x-amz-date is not a date, or not that of the credential.");
  if (options.nowMs() - signedAtMs > EXPIRES_MAX_S * 1000)
    // no signature is good for longer, whatever its policy says
    throw new WireError("AccessDenied", "Invalid according to Policy: Policy expired.");
  const signature = fieldOf(fields, "x-amz-signature");
  const found = identityOf(scope, options, code);
  if (!sameSignature(hmacHex(options.signingKeys.get(scope, found.secretKey), policy), signature))
    throw mismatch(explainedForm(scope.accessKey, policy, signature));
  return { accessKey: scope.accessKey, found, signedAtMs };
}

function mismatch(detail: Readonly<Record<string, string>> = {}): WireError {
  return new WireError(
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
    detail,
  );
}

/** What was signed here, for who looks for the difference: only what the client sent itself. */
function explained(parts: SignedParts, scope: Scope, date: string, signature: string): Record<string, string> {
  const canonical = canonicalRequest(parts);
  const signed = stringToSign(canonical, scope, date);
  return {
    awsAccessKeyId: scope.accessKey,
    stringToSign: signed,
    signatureProvided: signature,
    stringToSignBytes: bytesOf(signed),
    canonicalRequest: canonical,
    canonicalRequestBytes: bytesOf(canonical),
  };
}

function explainedForm(awsAccessKeyId: string, policy: string, signature: string): Record<string, string> {
  return { awsAccessKeyId, stringToSign: policy, signatureProvided: signature, stringToSignBytes: bytesOf(policy) };
}

function bytesOf(text: string): string {
  return (Buffer.from(text, "latin1").toString("hex").match(/../g) ?? []).join(" ");
}

function identityOfKey(accessKey: string, options: AuthOptions): FoundIdentity {
  const found = options.identities.find(accessKey);
  if (found === null)
    throw new WireError("InvalidAccessKeyId", S3_ERRORS.InvalidAccessKeyId.message, { awsAccessKeyId: accessKey });
  return found;
}

/** `host` and every `x-amz-*` header must be covered by the signature. */
function demandSigned(request: HttpRequest, signedHeaders: readonly string[]): void {
  let missing = signedHeaders.includes("host") ? "" : "host";
  for (const name of request.headers.keys()) {
    if (!name.startsWith("x-amz-") || signedHeaders.includes(name)) continue;
    if (name === "x-amz-content-sha256" || name === "x-amz-date") continue; // part of what is signed anyway
    missing += missing === "" ? name : `, ${name}`;
  }
  if (missing !== "")
    throw new WireError("AccessDenied", "There were headers present in the request which were not signed", {
      headersNotSigned: missing,
    });
}

function sessionTokenOf(request: HttpRequest, query: Query): string | undefined {
  const token = request.headers.get("x-amz-security-token");
  return token === undefined && query.length > 0 ? valueIn(query, "X-Amz-Security-Token") : token;
}

function valueIn(query: Query, name: string): string | undefined {
  return query.find(([k]) => k === name)?.[1];
}

/** A temporary key comes with its token, any other with none. */
export function demandSessionToken({ sessionToken }: FoundIdentity, given: string | undefined): void {
  if (sessionToken === null && given === undefined) return;
  const [wanted, shown] = [Buffer.from(sessionToken ?? ""), Buffer.from(given ?? "")];
  if (wanted.length !== shown.length || !timingSafeEqual(wanted, shown))
    throw new WireError("InvalidTokenId", "The security token included in the request is invalid");
}

function identityOf(scope: Scope, options: AuthOptions, code: CredentialError): FoundIdentity {
  const found = identityOfKey(scope.accessKey, options);
  const { region } = options;
  if (region !== "" && scope.region !== region && !(scope.region === "US" && region === "us-east-1")) {
    throw malformedCredential(code, `the region "${scope.region}" is wrong; expecting "${region}"`, { region });
  }
  return found;
}

function requestDate(
  request: HttpRequest,
  dates: Pick<SigningKeys, "dateMs">,
): { readonly text: string; readonly ms: number } {
  const amz = request.headers.get("x-amz-date") || undefined;
  if (amz !== undefined) {
    const ms = dates.dateMs(amz);
    if (ms !== null) return { text: amz, ms };
  }
  const text = amz ?? request.headers.get("date");
  if (text === undefined)
    throw new WireError("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header");
  const ms = Date.parse(text);
  if (Number.isNaN(ms))
    throw new WireError(
      "MalformedDate",
      "Invalid date format header, expected to be in ISO8601, RFC1123 or RFC1123Z time format.",
    );
  return { text: new Date(ms).toISOString().replace(/[-:]|\.\d{3}/g, ""), ms };
}
