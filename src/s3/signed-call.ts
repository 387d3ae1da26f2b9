/**
 * The authentication of what is not S3 but signed the same way: the admin API and STS. Header signatures only, with the
 * payload's hash in them. Throws WireError. Source: admin API §1, s3-api.md §6.3.
 */
import type { ConditionValues } from "../iam/policy-text.ts";
import type { Principal } from "../iam/principal.ts";
import type { HttpRequest } from "../sys/http.ts";
import { type AuthOptions, authenticate } from "./authenticate.ts";
import { RequestValues } from "./request-values.ts";
import { decodePercent, parseQuery } from "./sigv4.ts";
import { WireError } from "./wire-error.ts";

export interface SignedCall {
  readonly principal: Principal;
  readonly secretKey: string;
  /** Decoded, in order. */
  readonly query: readonly (readonly [string, string])[];
  /** For the conditions of policies. */
  readonly values: ConditionValues;
  /** The body, whole; its hash is the one that was signed. */
  body(bytesMax: number): Promise<Uint8Array>;
}

/** Decoded path of a request. */
export function pathOfRequest(request: HttpRequest): string {
  return decodePercent(request.rawPath);
}

export function signedCall(request: HttpRequest, options: AuthOptions): SignedCall {
  const query = parseQuery(request.rawQuery);
  const identity = authenticate(request, query, options);
  const { accessKey, payload, principal } = identity;
  const found = accessKey === null ? null : options.identities.find(accessKey);
  if (found === null || identity.isPresigned) throw new WireError("AccessDenied", "Access Denied.");
  if (payload.kind !== "plain" || payload.sha256 === null)
    throw new WireError("XAmzContentSHA256Mismatch", "The SHA-256 of the body must be signed here.");
  const { sha256 } = payload;
  const { region, nowMs } = options;
  const named = new Map(query);
  const parameter = (name: string): string | undefined => request.headers.get(name);
  return {
    principal,
    secretKey: found.secretKey,
    query,
    values: new RequestValues({ request, query: named, identity, region, nowMs, parameter }),
    async body(bytesMax) {
      const body = await wholeBody(request, bytesMax);
      if (new Bun.CryptoHasher("sha256").update(body).digest("hex") !== sha256)
        throw new WireError(
          "XAmzContentSHA256Mismatch",
          "The provided 'x-amz-content-sha256' header does not match what was computed.",
        );
      return body;
    },
  };
}

/** A small body that nobody has signed. */
export async function wholeBody(request: HttpRequest, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (let chunk = await request.body.next(); chunk !== null; chunk = await request.body.next()) {
    length += chunk.length;
    if (length > bytesMax) throw new WireError("EntityTooLarge", `The body has more than ${bytesMax} bytes.`);
    chunks.push(new Uint8Array(chunk)); // a chunk is valid until the next one
  }
  return new Uint8Array(Buffer.concat(chunks));
}
