/**
 * HttpClient: requests to servers that the operator names (a KMS, another deployment). Small answers, whole, bounded in size and time. Failures to
 * reach the server are HttpClientError with the reason in words; an answer of any status is an answer.
 */
import { readFile } from "node:fs/promises";
import { OperatingError } from "../core/errors.ts";

const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
const TIMEOUT_MS = 10_000;

export class HttpClientError extends OperatingError<"Unreachable" | "AnswerTooLarge"> {}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

export interface ClientFiles {
  /** Paths of PEM files; null = none. */
  readonly certFile: string | null;
  readonly keyFile: string | null;
  readonly caFile: string | null;
}

/** A certificate and its key that lie in no file, PEM. */
export interface ClientPair {
  readonly cert: string;
  readonly key: string;
}

export interface HttpRequestOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export type HttpCall = (method: string, url: string, options?: HttpRequestOptions) => Promise<HttpAnswer>;

/** Without a certificate, trusting whom the system trusts. */
export const plainHttpCall: HttpCall = (method, url, options = {}) => request(method, url, options, {});

/** With the client's certificate and trust, read once; a `pair` stands in for the files of the certificate. */
export async function openHttpClient(files: ClientFiles, pair: ClientPair | null = null): Promise<HttpCall> {
  const read = async (path: string | null): Promise<string | undefined> =>
    path === null ? undefined : await readFile(path, "utf8");
  const [cert, key, ca] = await Promise.all([read(files.certFile), read(files.keyFile), read(files.caFile)]);
  const tls = {
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(pair === null ? {} : { cert: pair.cert, key: pair.key }),
    ...(ca === undefined ? {} : { ca }),
  };
  return (method, url, options = {}) => request(method, url, options, tls);
}

async function request(method: string, url: string, options: HttpRequestOptions, tls: object): Promise<HttpAnswer> {
  let answer: Response;
  let body: ArrayBuffer;
  try {
    answer = await fetch(url, {
      method,
      headers: { ...options.headers },
      ...(options.body === undefined ? {} : { body: options.body }),
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
      tls,
    });
    if (Number(answer.headers.get("content-length") ?? 0) > ANSWER_BYTES_MAX) throw tooLarge(url);
    body = await answer.arrayBuffer();
  } catch (cause) {
    if (cause instanceof HttpClientError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HttpClientError("Unreachable", `${new URL(url).host} is not reached: ${reason}`, {}, { cause });
  }
  if (body.byteLength > ANSWER_BYTES_MAX) throw tooLarge(url);
  return { status: answer.status, body: Buffer.from(body).toString("utf8") };
}

function tooLarge(url: string): HttpClientError {
  return new HttpClientError(
    "AnswerTooLarge",
    `${new URL(url).host} answers with more than ${ANSWER_BYTES_MAX} bytes.`,
  );
}
