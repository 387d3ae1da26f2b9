/**
 * Asks another deployment, with the keys that a remote target was given, whether its bucket is there and versioned: S3 requests of
 * two kinds, signed by Signature V4. Throws AdminError. Source: admin API §3.4.
 */
import { createHash, createHmac } from "node:crypto";
import { parseXmlDocument, textOf } from "../core/xml.ts";
import { FormatError } from "../core/format-error.ts";
import { type HttpAnswer, type HttpCall, HttpClientError } from "../sys/http-client.ts";
import { AdminError } from "./errors.ts";

export interface RemoteBucket {
  readonly secure: boolean;
  /** host or host:port */
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly credentials: { readonly accessKey: string; readonly secretKey: string; readonly sessionToken: string };
}

const EMPTY_SHA256 = createHash("sha256").update("").digest("hex");

export async function demandVersionedRemote(call: HttpCall, nowMs: number, remote: RemoteBucket): Promise<void> {
  const head = await ask(call, nowMs, remote, { method: "HEAD", query: "" });
  if (head.status === 404)
    throw new AdminError("XMinioAdminRemoteTargetNotFoundError", `The remote bucket ${remote.bucket} does not exist`);
  if (head.status !== 200) throw notConnected(remote, `it answers ${head.status}`);
  const versioning = await ask(call, nowMs, remote, { method: "GET", query: "versioning=" });
  if (versioning.status !== 200) throw notConnected(remote, `it answers ${versioning.status}`);
  if (statusOf(versioning) !== "Enabled")
    throw new AdminError("RemoteTargetNotVersionedError", "The remote target does not have versioning enabled");
}

function statusOf({ body }: HttpAnswer): string {
  try {
    return textOf(parseXmlDocument(Buffer.from(body, "utf8"), "VersioningConfiguration"), "Status") ?? "";
  } catch (error) {
    if (error instanceof FormatError) return "";
    throw error;
  }
}

function notConnected({ endpoint, bucket }: RemoteBucket, why: string, cause?: unknown): AdminError {
  const message = `Remote service connection error: the bucket ${bucket} at ${endpoint} cannot be used: ${why}`;
  return new AdminError("XMinioAdminReplicationRemoteConnectionError", message, {}, { cause });
}

async function ask(
  call: HttpCall,
  nowMs: number,
  remote: RemoteBucket,
  what: { readonly method: string; readonly query: string },
): Promise<HttpAnswer> {
  const { secure, endpoint, bucket } = remote;
  const path = `/${encodeURIComponent(bucket)}`;
  const headers = signedHeaders(remote, nowMs, { ...what, path });
  const url = `${secure ? "https" : "http"}://${endpoint}${path}${what.query === "" ? "" : `?${what.query}`}`;
  try {
    return await call(what.method, url, { headers });
  } catch (cause) {
    if (!(cause instanceof HttpClientError)) throw cause;
    throw notConnected(remote, cause.message, cause);
  }
}

function signedHeaders(
  { endpoint, region, credentials }: RemoteBucket,
  nowMs: number,
  request: { readonly method: string; readonly path: string; readonly query: string },
): Record<string, string> {
  const date = `${new Date(nowMs).toISOString().slice(0, 19).replace(/[-:]/g, "")}Z`;
  const scope = `${date.slice(0, 8)}/${region === "" ? "us-east-1" : region}/s3/aws4_request`;
  const headers: Record<string, string> = { host: endpoint, "x-amz-content-sha256": EMPTY_SHA256, "x-amz-date": date };
  if (credentials.sessionToken !== "") headers["x-amz-security-token"] = credentials.sessionToken;
  const names = Object.keys(headers).sort();
  const canonical = [
    request.method,
    request.path,
    request.query,
    ...names.map((name) => `${name}:${headers[name]}`),
    "",
    names.join(";"),
    EMPTY_SHA256,
  ].join("\n");
  const hash = createHash("sha256").update(canonical).digest("hex");
  let key: Uint8Array | string = `AWS4${credentials.secretKey}`;
  for (const part of scope.split("/")) key = createHmac("sha256", key).update(part).digest();
  const signature = createHmac("sha256", key).update(`AWS4-HMAC-SHA256\n${date}\n${scope}\n${hash}`).digest("hex");
  const authorization = `AWS4-HMAC-SHA256 Credential=${credentials.accessKey}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
  return { ...headers, authorization };
}
