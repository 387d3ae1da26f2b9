/**
 * The harness of the wire tests: one server on four fresh folders, and a client that signs what it sends and shows what came.
 * `startServer` in beforeAll, `stop` in afterAll; loopback, any free port.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHash } from "node:crypto";
import { exchange, type RawAnswer } from "./raw-http.ts";
import { amzDate, type ChunkedForm, chunkedBody, type Keys, sha256, sign } from "./signer.ts";

export const KEYS: Keys = { user: "wire-admin", secret: "wire-admin-secret", region: "us-east-1" };

export interface Options {
  /** Encoded, without "?". */
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent, but not signed. */
  readonly unsignedHeaders?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** x-amz-content-sha256; default: of the body. null = no such header. */
  readonly payload?: string | null;
  readonly keys?: Keys;
  readonly dateMs?: number;
  /** No authorization at all. */
  readonly anonymous?: boolean;
  /** Sign the URL instead, for so many seconds. */
  readonly presignSeconds?: number;
  readonly chunked?: ChunkedForm;
  readonly host?: string;
}

export interface Answer extends RawAnswer {
  readonly text: string;
  /** <Code> of an error document, or of HEAD's header. */
  readonly code: string | undefined;
}

export interface S3Server {
  readonly host: string;
  readonly port: number;
  readonly root: string;
  /** Ends the server's process without a word, and starts it again on the same port. */
  restart(): Promise<void>;
  call(method: string, path: string, options?: Options): Promise<Answer>;
  /** Bytes as they are. */
  raw(...pieces: (string | Uint8Array)[]): Promise<Answer>;
  stop(): Promise<void>;
}

export async function startServer(environment: Readonly<Record<string, string>> = {}): Promise<S3Server> {
  const root = mkdtempSync(join(tmpdir(), "sherd-s3-"));
  const main = join(import.meta.dir, "../../src/main.ts");
  const spawn = (address: string) =>
    Bun.spawn([process.execPath, main, "server", "--json", "--address", address, "./d{1...4}"], {
      cwd: root,
      env: { ...process.env, SHERD_ROOT_USER: KEYS.user, SHERD_ROOT_PASSWORD: KEYS.secret, ...environment },
      stdout: "pipe",
      stdin: "ignore",
      stderr: "inherit",
    });
  let server = spawn("127.0.0.1:0");
  const port = await portOf(server.stdout);
  const at = { host: "127.0.0.1", port };
  return {
    ...at,
    root,
    call: (method, path, options = {}) => call(at, method, path, options),
    raw: async (...pieces) => shown(await exchange(at, pieces)),
    async restart() {
      server.kill("SIGKILL");
      await server.exited;
      server = spawn(`127.0.0.1:${port}`);
      await portOf(server.stdout);
    },
    async stop() {
      server.kill("SIGTERM");
      const code = await server.exited;
      rmSync(root, { recursive: true, force: true });
      if (code !== 0) throw new Error(`the server ended with ${code}`);
    },
  };
}

async function portOf(stdout: ReadableStream<Uint8Array>): Promise<number> {
  let text = "";
  for await (const chunk of stdout) {
    text += Buffer.from(chunk).toString();
    const found = /"listening","address":"http:\/\/[^"]*:(\d+)"/.exec(text)?.[1];
    if (found !== undefined) return Number(found);
  }
  throw new Error(`the server did not start: ${text}`);
}

async function call(
  at: { host: string; port: number },
  method: string,
  path: string,
  options: Options,
): Promise<Answer> {
  const { head, body } = requestOf(at, method, path, options);
  return shown(await exchange(at, [head, body], method === "HEAD"));
}

/** The request's bytes. */
export function requestOf(
  at: { host: string; port: number },
  method: string,
  path: string,
  options: Options,
): { head: string; body: Uint8Array } {
  const keys = options.keys ?? KEYS;
  const content = typeof options.body === "string" ? Buffer.from(options.body) : (options.body ?? new Uint8Array(0));
  const date = amzDate(options.dateMs ?? Date.now());
  const presigned = options.presignSeconds !== undefined;
  const payload = options.payload === undefined ? (presigned ? "UNSIGNED-PAYLOAD" : sha256(content)) : options.payload;
  const headers: Record<string, string> = { host: options.host ?? `${at.host}:${at.port}`, ...options.headers };
  if (options.chunked !== undefined) headers["x-amz-decoded-content-length"] ??= String(content.length);
  let query = options.query ?? "";
  let authorization = "";
  let body: Uint8Array = content;
  if (presigned) {
    const signedNames = Object.keys(headers).sort().join("%3B");
    const scope = encodeURIComponent(`${keys.user}/${date.slice(0, 8)}/${keys.region}/s3/aws4_request`);
    query += `${query === "" ? "" : "&"}X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${scope}&X-Amz-Date=${date}&X-Amz-Expires=${options.presignSeconds}&X-Amz-SignedHeaders=${signedNames}`;
    query += `&X-Amz-Signature=${sign(keys, { method, path, query, headers, payload: payload ?? "UNSIGNED-PAYLOAD", date }).signature}`;
  } else if (options.anonymous !== true) {
    headers["x-amz-date"] = date;
    if (payload !== null) headers["x-amz-content-sha256"] = payload;
    const made = sign(keys, { method, path, query, headers, payload: payload ?? sha256(""), date });
    authorization = `AWS4-HMAC-SHA256 Credential=${keys.user}/${made.scope}, SignedHeaders=${made.signedHeaders}, Signature=${made.signature}`;
    if (options.chunked !== undefined)
      body = chunkedBody(keys, content, options.chunked, { date, seed: made.signature });
  } else if (payload !== null && options.payload !== undefined) headers["x-amz-content-sha256"] = payload;
  const all: Record<string, string> = { ...headers, ...options.unsignedHeaders };
  if (authorization !== "") all["authorization"] = authorization;
  if (body.length > 0 || method === "PUT" || method === "POST") all["content-length"] ??= String(body.length);
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return { head: `${method} ${path}${query === "" ? "" : `?${query}`} HTTP/1.1\r\n${lines.join("")}\r\n`, body };
}

function shown(answer: RawAnswer): Answer {
  const text = answer.body.toString("utf8");
  return { ...answer, text, code: /<Code>([^<]*)/.exec(text)?.[1] ?? answer.headers.get("x-minio-error-code") };
}

// ---- what tests say often

export function md5(data: string | Uint8Array): Buffer {
  return createHash("md5").update(data).digest();
}
export function md5Header(data: string | Uint8Array): Record<string, string> {
  return { "content-md5": md5(data).toString("base64") };
}
/** Texts of all elements of this name, in order. */
export function texts(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, "g"))].map((m) => m[1] as string);
}
export async function enableVersioning(server: S3Server, bucket: string, status = "Enabled"): Promise<void> {
  const body = `<VersioningConfiguration><Status>${status}</Status></VersioningConfiguration>`;
  const answer = await server.call("PUT", `/${bucket}`, { query: "versioning", body });
  if (answer.status !== 200) throw new Error(answer.text);
}
/** A multipart upload begun; its id. */
export async function beginUpload(
  server: S3Server,
  path: string,
  headers: Record<string, string> = {},
): Promise<string> {
  const answer = await server.call("POST", path, { query: "uploads", headers });
  const id = texts(answer.text, "UploadId")[0];
  if (id === undefined) throw new Error(answer.text);
  return id;
}
export function completeDocument(parts: readonly { number: number; etag: string; extra?: string }[]): string {
  const list = parts.map(
    (p) => `<Part><PartNumber>${p.number}</PartNumber><ETag>${p.etag}</ETag>${p.extra ?? ""}</Part>`,
  );
  return `<CompleteMultipartUpload>${list.join("")}</CompleteMultipartUpload>`;
}
