/** Answers of KMS servers: JSON objects, or a KmsError that says what happened. Nothing of an answer's secrets is in a message. */
import { type HttpAnswer, type HttpCall, HttpClientError } from "../sys/http-client.ts";
import { KmsError, type KmsErrorCode } from "./kms.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** The answer of the first server that is reached. */
export async function fromFirst(
  endpoints: readonly string[],
  ask: (endpoint: string) => Promise<HttpAnswer>,
): Promise<HttpAnswer> {
  let last: unknown = null;
  for (const endpoint of endpoints) {
    try {
      return await ask(endpoint);
    } catch (error) {
      if (!(error instanceof HttpClientError)) throw error;
      last = error;
    }
  }
  throw new KmsError(
    "Unavailable",
    `No KMS server is reached: ${last instanceof Error ? last.message : "none is configured"}`,
    {},
    { cause: last },
  );
}

export function jsonOf({ status, body }: HttpAnswer, codes: Readonly<Record<number, KmsErrorCode>>): JsonObject {
  if (status >= 200 && status < 300) return body === "" ? {} : parsed(body);
  const code = codes[status] ?? (status === 401 || status === 403 ? "AccessDenied" : "Unavailable");
  throw new KmsError(code, `The KMS answers with ${status}${reasonOf(body)}.`, { status });
}

function parsed(body: string): JsonObject {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === "object" && value !== null) return value as JsonObject;
  } catch (cause) {
    throw new KmsError("Unavailable", "The KMS answers with something that is not JSON.", {}, { cause });
  }
  throw new KmsError("Unavailable", "The KMS answers with something that is not a JSON object.");
}

const REASON_MAX = 200;
function reasonOf(body: string): string {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return "";
  }
  const { message, error, errors } = (value ?? {}) as JsonObject;
  const reason = message ?? error ?? (Array.isArray(errors) ? (errors as unknown[])[0] : undefined);
  return typeof reason === "string" ? `: ${reason.slice(0, REASON_MAX)}` : "";
}

export function base64Of(value: unknown, bytes: number | null): Uint8Array {
  const decoded = typeof value === "string" ? new Uint8Array(Buffer.from(value, "base64")) : new Uint8Array(0);
  if (decoded.length === 0 || (bytes !== null && decoded.length !== bytes))
    throw new KmsError("Unavailable", "The KMS answers without a key of the right size.");
  return decoded;
}

export async function isOnline(call: HttpCall, url: string, headers: Record<string, string>) {
  try {
    const { status } = await call("GET", url, { headers });
    return status < 500 && status !== 401 && status !== 403
      ? { online: true, reason: "" }
      : { online: false, reason: `status ${status}` };
  } catch (error) {
    if (error instanceof HttpClientError) return { online: false, reason: error.message };
    throw error;
  }
}
