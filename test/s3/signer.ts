/** Signature V4 as a client makes it: header and presigned requests, and the signatures of chunked bodies. Written apart from src. */
import { createHash, createHmac } from "node:crypto";

export interface Keys {
  readonly user: string;
  readonly secret: string;
  readonly region: string;
}
export interface Unsigned {
  readonly method: string;
  /** Encoded path and query as sent. */
  readonly path: string;
  readonly query: string;
  /** Lower-case names; values as bytes in Latin-1. */
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: string;
  /** yyyymmddThhmmssZ */
  readonly date: string;
}
export interface Signed {
  readonly signature: string;
  readonly signedHeaders: string;
  readonly scope: string;
}

export function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
export function hmac(key: string | Buffer, text: string | Buffer): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
export function amzDate(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d{3}/g, "");
}
export function scopeOf(keys: Keys, date: string): string {
  return `${date.slice(0, 8)}/${keys.region}/s3/aws4_request`;
}
export function signingKey(keys: Keys, date: string): Buffer {
  return hmac(hmac(hmac(hmac(`AWS4${keys.secret}`, date.slice(0, 8)), keys.region), "s3"), "aws4_request");
}

export function sign(keys: Keys, request: Unsigned): Signed {
  const names = Object.keys(request.headers).sort();
  const query = request.query
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => {
      const [name, value = ""] = pair.split(/=(.*)/s);
      return [canonical(name as string), canonical(value)] as const;
    })
    .sort(([a, x], [b, y]) => (a < b || (a === b && x < y) ? -1 : 1))
    .map((pair) => pair.join("="))
    .join("&");
  const headers = names.map((n) => `${n}:${collapse(request.headers[n] as string)}\n`).join("");
  const signedHeaders = names.join(";");
  const text = `${request.method}\n${request.path}\n${query}\n${headers}\n${signedHeaders}\n${request.payload}`;
  const scope = scopeOf(keys, request.date);
  const toSign = `AWS4-HMAC-SHA256\n${request.date}\n${scope}\n${sha256(Buffer.from(text, "latin1"))}`;
  return { signature: hmac(signingKey(keys, request.date), toSign).toString("hex"), signedHeaders, scope };
}

/** Percent-encodes what a client left open; escapes that are there stay. */
function canonical(text: string): string {
  return text.replace(/[^A-Za-z0-9\-_.~%]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
}

/** As boto does it: white space of the text, Unicode's included, becomes one blank. */
function collapse(value: string): string {
  const text = Buffer.from(value, "latin1").toString("utf8");
  return Buffer.from(text.trim().replace(/\s+/g, " "), "utf8").toString("latin1");
}

export interface ChunkedForm {
  readonly chunkBytes: number;
  readonly signed: boolean;
  /** Trailer name -> value. */
  readonly trailer: Readonly<Record<string, string>> | null;
  /** What follows the trailer lines; CRLF by the book. */
  readonly trailerEnd?: string;
  readonly lineEnd?: string;
  /** Between the trailers and their signature; nothing by the book. */
  readonly beforeSignature?: string;
}

/** The bytes of an aws-chunked body; `seed` is the request's signature. */
export function chunkedBody(
  keys: Keys,
  body: Uint8Array,
  form: ChunkedForm,
  at: { readonly date: string; readonly seed: string },
): Buffer {
  const key = signingKey(keys, at.date);
  const scope = scopeOf(keys, at.date);
  const pieces: (string | Uint8Array)[] = [];
  let previous = at.seed;
  const add = (data: Uint8Array): void => {
    if (form.signed)
      previous = hmac(
        key,
        `AWS4-HMAC-SHA256-PAYLOAD\n${at.date}\n${scope}\n${previous}\n${sha256("")}\n${sha256(data)}`,
      ).toString("hex");
    pieces.push(`${data.length.toString(16)}${form.signed ? `;chunk-signature=${previous}` : ""}\r\n`);
    if (data.length > 0) pieces.push(data, "\r\n");
  };
  for (let i = 0; i < body.length; i += form.chunkBytes) add(body.subarray(i, i + form.chunkBytes));
  add(new Uint8Array(0));
  if (form.trailer !== null) {
    const lines = Object.entries(form.trailer);
    const end = form.lineEnd ?? "\r\n";
    for (const [name, value] of lines) pieces.push(`${name}:${value}${end}`);
    if (form.signed) {
      const text = lines.map(([name, value]) => `${name}:${value}\n`).join("");
      const signature = hmac(
        key,
        `AWS4-HMAC-SHA256-TRAILER\n${at.date}\n${scope}\n${previous}\n${sha256(text)}`,
      ).toString("hex");
      pieces.push(form.beforeSignature ?? "", `x-amz-trailer-signature:${signature}${end}`);
    }
  }
  pieces.push(form.trailerEnd ?? "\r\n");
  return Buffer.concat(pieces.map((p) => (typeof p === "string" ? Buffer.from(p, "latin1") : p)));
}
