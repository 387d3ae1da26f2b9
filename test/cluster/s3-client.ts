/**
 * S3Client: signed requests as a test wants them, one attempt each, with the answer as it came. A connection that breaks is
 * status 0. Signature V4 with UNSIGNED-PAYLOAD, or with the x-amz-content-sha256 that the caller gives.
 */
import { createHash, createHmac } from "node:crypto";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  readonly text: string;
  /** `<Code>` of an error. */
  readonly code: string;
}

export interface CallOptions {
  /** Encoded, as it goes on the wire. */
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | ReadableStream<Uint8Array>;
  readonly signal?: AbortSignal;
}

const REGION = "us-east-1";

export class S3Client {
  constructor(
    readonly endpoint: string,
    private readonly user: string,
    private readonly secret: string,
  ) {}

  /** `path`: encoded, from "/". */
  async call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    try {
      const answer = await fetch(this.urlOf(path, options.query), this.requestOf(method, path, options));
      const bytes = Buffer.from(await answer.arrayBuffer());
      const text = bytes.length < 1_000_000 ? bytes.toString() : "";
      return {
        status: answer.status,
        headers: answer.headers,
        bytes,
        text,
        code: /<Code>([^<]*)/.exec(text)?.[1] ?? "",
      };
    } catch (error) {
      return { status: 0, headers: new Headers(), bytes: Buffer.alloc(0), text: String(error), code: "" };
    }
  }

  put(path: string, body: string | Uint8Array, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.call("PUT", path, { body, headers });
  }
  get(path: string, query = ""): Promise<Answer> {
    return this.call("GET", path, { query });
  }
  delete(path: string, query = ""): Promise<Answer> {
    return this.call("DELETE", path, { query });
  }

  urlOf(path: string, query = ""): string {
    return `${this.endpoint}${path}${query === "" ? "" : `?${query}`}`;
  }

  requestOf(method: string, path: string, options: CallOptions = {}): RequestInit {
    const headers = this.sign(method, path, options);
    return {
      method,
      headers,
      ...(options.body === undefined ? {} : { body: options.body }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      // Servers of tests make their own certificates.
      ...(this.endpoint.startsWith("https:") ? { tls: { rejectUnauthorized: false } } : {}),
    };
  }

  /** The headers of a request, signed. */
  sign(method: string, path: string, options: CallOptions = {}): Record<string, string> {
    const now = new Date().toISOString().replace(/[-:]|\.\d{3}/g, "");
    const payload = options.headers?.["x-amz-content-sha256"] ?? "UNSIGNED-PAYLOAD";
    const headers: Record<string, string> = {
      host: new URL(this.endpoint).host,
      "x-amz-content-sha256": payload,
      "x-amz-date": now,
      ...options.headers,
    };
    const names = Object.keys(headers).sort();
    const query = (options.query ?? "")
      .split("&")
      .filter(Boolean)
      .map((pair) => (pair.includes("=") ? pair : `${pair}=`))
      .sort()
      .join("&");
    const lines = names.map((name) => `${name}:${headers[name]}\n`).join("");
    const canonical = `${method}\n${path}\n${query}\n${lines}\n${names.join(";")}\n${payload}`;
    const scope = `${now.slice(0, 8)}/${REGION}/s3/aws4_request`;
    const key = [now.slice(0, 8), REGION, "s3", "aws4_request"].reduce<Buffer | string>(hmac, `AWS4${this.secret}`);
    const toSign = `AWS4-HMAC-SHA256\n${now}\n${scope}\n${createHash("sha256").update(canonical).digest("hex")}`;
    const signature = Buffer.from(hmac(key, toSign)).toString("hex");
    headers["authorization"] =
      `AWS4-HMAC-SHA256 Credential=${this.user}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
    return headers;
  }
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
