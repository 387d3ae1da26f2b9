/** A JSON document over HTTP: bounded in time and bytes, without following what is not HTTP. Throws FetchError. */
import { OperatingError } from "../core/errors.ts";

export class FetchError extends OperatingError<"Unreachable" | "BadAnswer"> {}

export type FetchJson = (url: string, headers?: Readonly<Record<string, string>>) => Promise<unknown>;

export function fetchJson(limits: { readonly timeoutMs: number; readonly bytesMax: number }): FetchJson {
  return async (url, headers = {}) => {
    if (!/^https?:\/\//i.test(url)) throw new FetchError("BadAnswer", `${url} is no address of HTTP`);
    const text = await fetchText(url, headers, limits);
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new FetchError("BadAnswer", `${url} does not answer with JSON`, {}, { cause });
    }
  };
}

async function fetchText(
  url: string,
  headers: Readonly<Record<string, string>>,
  limits: { readonly timeoutMs: number; readonly bytesMax: number },
): Promise<string> {
  try {
    const answer = await fetch(url, { headers, signal: AbortSignal.timeout(limits.timeoutMs) });
    if (!answer.ok) throw new FetchError("BadAnswer", `${url} answers ${answer.status}`);
    const bytes = await answer.arrayBuffer();
    if (bytes.byteLength > limits.bytesMax) throw new FetchError("BadAnswer", `${url} answers with too much`);
    return new TextDecoder().decode(bytes);
  } catch (cause) {
    if (cause instanceof FetchError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new FetchError("Unreachable", `${url} cannot be reached: ${why}`, {}, { cause });
  }
}
