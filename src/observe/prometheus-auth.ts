/**
 * Who may read the metrics: a JWT (HS512) in `Authorization: Bearer`, signed with the secret key of the user it names:
 * `sub` = access key, `iss` = "prometheus", `exp` in seconds. Pure: no clock, no store. Source: s3-api.md §6.2.
 * A malformed token is an invalid one, never an exception. What the user may do is judged by the caller.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

const TOKEN_CHARS_MAX = 4096;
const ISSUER = "prometheus";
const BASE64URL = /^[A-Za-z0-9_-]+$/;

/** The access key that a valid token names; null = no access. */
export function bearerAccessKey(
  header: string | undefined,
  secretOf: (accessKey: string) => string | undefined,
  nowMs: number,
): string | null {
  const token = tokenOf(header);
  const [head, claims, signature, ...rest] = token?.split(".") ?? [];
  if (head === undefined || claims === undefined || signature === undefined || rest.length > 0) return null;
  if (![head, claims, signature].every((part) => BASE64URL.test(part))) return null;
  if (jsonOf(head)?.["alg"] !== "HS512") return null; // "none" and RS256 would let anyone sign
  const { sub, iss, exp, nbf } = jsonOf(claims) ?? {};
  if (typeof sub !== "string" || sub === "") return null;
  // An unknown user costs the same HMAC as a known one.
  const secret = secretOf(sub);
  const expected = createHmac("sha512", secret ?? "unknown")
    .update(`${head}.${claims}`)
    .digest();
  const given = Buffer.from(signature, "base64url");
  if (given.length !== expected.length || !timingSafeEqual(given, expected) || secret === undefined) return null;
  if (iss !== ISSUER || typeof exp !== "number" || exp * 1000 <= nowMs) return null;
  return typeof nbf === "number" && nbf * 1000 > nowMs ? null : sub;
}

/** `bearerAccessKey` for callers that need no name. */
export function bearerIsValid(
  header: string | undefined,
  secretOf: (accessKey: string) => string | undefined,
  nowMs: number,
): boolean {
  return bearerAccessKey(header, secretOf, nowMs) !== null;
}

function tokenOf(header: string | undefined): string | null {
  if (header === undefined || header.length > TOKEN_CHARS_MAX) return null;
  return /^bearer +(\S+)$/i.exec(header)?.[1] ?? null;
}

/** The object that a part holds; null = none. */
function jsonOf(part: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
