/**
 * The token of a temporary key or service account: a JWT (HS512), as MinIO makes it, so that it holds on either server. Service
 * accounts sign with their own secret, sessions with that of root. Claims are sorted. Pure.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { JsonObject } from "./documents.ts";

const HEAD = Buffer.from('{"alg":"HS512","typ":"JWT"}').toString("base64url");

export function signToken(claims: JsonObject, secret: string): string {
  const sorted = Object.fromEntries(Object.entries(claims).sort(([a], [b]) => (a < b ? -1 : 1)));
  const body = `${HEAD}.${Buffer.from(JSON.stringify(sorted)).toString("base64url")}`;
  return `${body}.${createHmac("sha512", secret).update(body).digest("base64url")}`;
}

/** Whatever algorithm the head claims: it is HS512 by this secret, or not ours. */
export function isSignedBy(token: string, secret: string): boolean {
  const [head, body, signature, ...rest] = token.split(".");
  if (head === undefined || body === undefined || signature === undefined || rest.length > 0) return false;
  const wanted = createHmac("sha512", secret).update(`${head}.${body}`).digest();
  const given = Buffer.from(signature, "base64url");
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}
