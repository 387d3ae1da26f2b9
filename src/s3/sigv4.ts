/**
 * Signature V4: canonical request, string to sign, signature; header and presigned form. Pure; compared in constant time.
 * Source: s3-api.md §2.3-2.6.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { Generations } from "../core/generations.ts";
import { WireError } from "./wire-error.ts";

export const UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";
export const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const KEYS_CACHED = 256;
const SIGNATURE = "Signature=";

export interface Scope {
  readonly accessKey: string;
  /** yyyymmdd */
  readonly day: string;
  readonly region: string;
  readonly service: string;
  /** scopeText; absent = not known yet. */
  readonly text?: string;
}
export interface Authorization extends Scope {
  readonly signedHeaders: readonly string[];
  readonly signature: string;
}

export interface SignedParts {
  readonly method: string;
  /** Still encoded. */
  readonly rawPath: string;
  readonly query: readonly (readonly [string, string])[];
  readonly headers: ReadonlyMap<string, string>;
  readonly signedHeaders: readonly string[];
  /** The same, joined by ";"; absent = not known yet. */
  readonly signedNames?: string;
  readonly payloadHash: string;
}

/** `Authorization: AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…` */
export function parseAuthorization(value: string): Authorization {
  const rest = value.slice("AWS4-HMAC-SHA256".length).replaceAll(" ", "");
  const fields = rest.split(",");
  if (fields.length !== 3)
    throw malformedCredential(
      "AuthorizationHeaderMalformed",
      "the authorization header requires three components: Credential, SignedHeaders, and Signature.",
    );
  const [credential, signedHeaders, signature] = ["Credential", "SignedHeaders", "Signature"].map((name, i) =>
    componentOf(fields[i] as string, name),
  ) as [string, string, string];
  return {
    ...parseCredential(credential, "AuthorizationHeaderMalformed"),
    signedHeaders: signedHeaders.split(";"),
    signature,
  };
}

/** What follows `name=`. */
function componentOf(field: string, name: string): string {
  const equals = field.indexOf("=");
  if (equals >= 0 && field.slice(0, equals) === name) return field.slice(equals + 1);
  throw malformedCredential(
    "AuthorizationHeaderMalformed",
    equals < 0 ? `the authorization component "${field}" is malformed.` : `missing ${name}.`,
  );
}

const WHERE: Readonly<Record<CredentialError, string>> = {
  AuthorizationHeaderMalformed: "The authorization header is malformed; ",
  AuthorizationQueryParametersError: "Error parsing the X-Amz-Credential parameter; ",
  InvalidArgument: "",
};
export function malformedCredential(
  code: CredentialError,
  what: string,
  detail: Readonly<Record<string, string>> = {},
): WireError {
  return new WireError(code, WHERE[code] + what, detail);
}

/** What a bad credential is called in a header, in a query, in a form. */
export type CredentialError = "AuthorizationHeaderMalformed" | "AuthorizationQueryParametersError" | "InvalidArgument";

export function parseCredential(text: string, code: CredentialError): Scope {
  const parts = text.split("/");
  if (parts.length < 5)
    throw malformedCredential(
      code,
      'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
    );
  const [day, region, service, end] = parts.slice(-4) as [string, string, string, string];
  if (end !== "aws4_request")
    throw malformedCredential(code, `incorrect terminal "${end}". This endpoint uses "aws4_request".`);
  if (service !== "s3" && service !== "sts")
    throw malformedCredential(code, `incorrect service "${service}". This endpoint belongs to "s3".`);
  if (!/^\d{8}$/.test(day))
    throw malformedCredential(
      code,
      `incorrect date format "${day}". This date in the credential must be in the format "yyyyMMdd".`,
    );
  return { accessKey: parts.slice(0, -4).join("/"), day, region, service };
}

/** What a client's header says again and again: all but the signature. */
export class KnownSigner implements Scope {
  readonly accessKey: string;
  readonly day: string;
  readonly region: string;
  readonly service: string;
  readonly signedHeaders: readonly string[];
  readonly signedNames: string;
  readonly text: string;
  private key: Buffer | null = null;
  private secretKey = "";

  constructor({ accessKey, day, region, service, signedHeaders }: Omit<Authorization, "signature">) {
    this.accessKey = accessKey;
    this.day = day;
    this.region = region;
    this.service = service;
    this.signedHeaders = signedHeaders;
    this.signedNames = signedHeaders.join(";");
    this.text = scopeText({ accessKey, day, region, service });
  }

  /** The signing key of `secretKey`, by `keys` where it is another one than before. */
  keyOf(secretKey: string, keys: SigningKeys): Buffer {
    if (this.key !== null && this.secretKey === secretKey) return this.key;
    this.key = keys.get(this, secretKey);
    this.secretKey = secretKey;
    return this.key;
  }
}

/** What a client sends again and again, worked out once: signing keys, which cost four HMACs, and the header but its signature. */
export class SigningKeys {
  private readonly keys = new Generations<Buffer>(KEYS_CACHED);
  private readonly signers = new Generations<KnownSigner>(KEYS_CACHED);
  private latest: { readonly text: string; readonly ms: number | null } = { text: "", ms: null };

  /** parseAuthorization. */
  authorization(value: string): { readonly signer: KnownSigner; readonly signature: string } {
    const at = value.lastIndexOf(SIGNATURE) + SIGNATURE.length;
    const before = value.slice(0, at);
    const known = this.signers.get(before);
    if (known !== undefined) return { signer: known, signature: value.slice(at).trim() };
    const fresh = parseAuthorization(value);
    const signer = new KnownSigner(fresh);
    this.signers.set(before, signer);
    return { signer, signature: fresh.signature };
  }

  /** parseIsoBasic: many requests come in the same second. */
  dateMs(text: string): number | null {
    if (text !== this.latest.text) this.latest = { text, ms: parseIsoBasic(text) };
    return this.latest.ms;
  }

  get(scope: Scope, secretKey: string): Buffer {
    const name = `${scope.accessKey}\0${scope.day}\0${scope.region}\0${scope.service}\0${secretKey}`;
    const known = this.keys.get(name);
    if (known !== undefined) return known;
    let key: Buffer = Buffer.from(`AWS4${secretKey}`, "utf8");
    for (const part of [scope.day, scope.region, scope.service, "aws4_request"])
      key = createHmac("sha256", key).update(part).digest();
    this.keys.set(name, key);
    return key;
  }
}

export function scopeText(scope: Scope): string {
  return scope.text ?? `${scope.day}/${scope.region}/${scope.service}/aws4_request`;
}

/** Hex signature of a request at an ISO basic date. */
export function signRequest(parts: SignedParts, scope: Scope, date: string, key: Buffer): string {
  return hmacHex(key, stringToSign(canonicalRequest(parts), scope, date));
}

export function stringToSign(canonical: string, scope: Scope, date: string): string {
  const isAscii = Buffer.byteLength(canonical) === canonical.length;
  return `AWS4-HMAC-SHA256\n${date}\n${scopeText(scope)}\n${sha256Hex(isAscii ? canonical : Buffer.from(canonical, "latin1"))}`;
}

export function canonicalRequest(parts: SignedParts): string {
  let text = `${parts.method}\n${canonicalPath(parts.rawPath)}\n${canonicalQuery(parts.query)}\n`;
  for (const name of parts.signedHeaders) text = `${text}${name}:${canonicalValue(parts, name)}\n`;
  return `${text}\n${parts.signedNames ?? parts.signedHeaders.join(";")}\n${parts.payloadHash}`;
}

const NO_BLANKS = /^[\x21-\x7e]*$/;

function canonicalValue(parts: SignedParts, name: string): string {
  const header = parts.headers.get(name);
  if (header !== undefined && NO_BLANKS.test(header)) return header;
  const fromQuery = header === undefined;
  const value = header ?? hoistedValue(parts, name);
  if (value !== undefined) return /^[\x20-\x7e]*$/.test(value) ? collapse(value) : collapseBytes(value, fromQuery);
  return name === "expect" ? "100-continue" : "";
}

/** Of a header that came as a query parameter. */
function hoistedValue({ query }: SignedParts, name: string): string | undefined {
  return query.find(([k]) => k.toLowerCase() === name)?.[1];
}

function collapse(value: string): string {
  return value.trim().replace(/\s+/gu, " ");
}
/** A value that is not ASCII: white space is found in its text, the signature covers its bytes, here as Latin-1. */
function collapseBytes(value: string, isText: boolean): string {
  if (isText) return Buffer.from(collapse(value), "utf8").toString("latin1");
  const text = Buffer.from(value, "latin1").toString("utf8");
  if (text.includes("\ufffd")) return value.replace(/^[ \t]+|[ \t]+$/g, "").replace(/[ \t]+/g, " ");
  return Buffer.from(collapse(text), "utf8").toString("latin1");
}

/** Decode, then encode with S3's rules; dots and slashes stay as they are. */
export function canonicalPath(rawPath: string): string {
  if (/^[A-Za-z0-9\-_.~/]*$/.test(rawPath)) return rawPath;
  return encodeS3(decodePercent(rawPath), true);
}

export function canonicalQuery(query: readonly (readonly [string, string])[]): string {
  if (query.length === 0) return "";
  const encoded = query.map(([k, v]) => [encodeS3(k, false), encodeS3(v, false)] as const);
  encoded.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0));
  return encoded.map(([k, v]) => `${k}=${v}`).join("&");
}

/** Percent-encodes everything but unreserved characters (and "/" in paths). Latin-1 strings stand for bytes. */
export function encodeS3(text: string, keepSlash: boolean): string {
  if (/^[A-Za-z0-9\-_.~]*$/.test(text)) return text;
  let out = "";
  for (const byte of Buffer.from(text, "utf8")) {
    const c = String.fromCharCode(byte);
    out +=
      /[A-Za-z0-9\-_.~]/.test(c) || (keepSlash && c === "/")
        ? c
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}

/** UTF-8 percent decoding; a broken escape stays as it is. Throws on invalid UTF-8. */
export function decodePercent(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text.replace(/%(?![0-9A-Fa-f]{2})/g, "%25"));
  } catch (cause) {
    throw new WireError("XMinioInvalidObjectName", "The path is not valid UTF-8.", {}, { cause });
  }
}

export function parseQuery(rawQuery: string): [string, string][] {
  if (rawQuery === "") return [];
  return rawQuery
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => {
      const equals = pair.indexOf("=");
      const name = equals < 0 ? pair : pair.slice(0, equals);
      const value = equals < 0 ? "" : pair.slice(equals + 1);
      return [decodePercent(name.replaceAll("+", " ")), decodePercent(value.replaceAll("+", " "))];
    });
}

export function sha256Hex(data: string | Uint8Array): string {
  return Bun.SHA256.hash(data, "hex");
}
export function hmacHex(key: Buffer, text: string): string {
  return new Bun.CryptoHasher("sha256", key).update(text).digest("hex"); // at a third of the cost of a Hmac of node:crypto
}
export function sameSignature(a: string, b: string): boolean {
  const x = Buffer.from(a, "latin1");
  const y = Buffer.from(b, "latin1");
  return x.length === y.length && timingSafeEqual(x, y);
}

/** `yyyymmddThhmmssZ` to ms since 1970, or null. */
export function parseIsoBasic(text: string): number | null {
  if (!/^\d{8}T\d{6}Z$/.test(text)) return null;
  const number = (from: number, to: number): number => Number(text.slice(from, to));
  const at = Date.UTC(number(0, 4), number(4, 6) - 1, number(6, 8), number(9, 11), number(11, 13), number(13, 15));
  return Number.isNaN(at) ? null : at;
}
