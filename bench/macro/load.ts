/**
 * Load: an S3 client that does nothing but load: its own SigV4, kept-alive connections, closed loop (each
 * client sends its next request when the last is answered). Owns requests and timing, not what is asked (main.ts).
 * A wrong status, a short body or a broken connection is a failure that is counted and shown, never a fast success.
 */
import { createHash, createHmac } from "node:crypto";
import { Connections } from "./connection.ts";

const REGION = "us-east-1";
const EMPTY_HASH = createHash("sha256").digest("hex");

export interface Target {
  readonly endpoint: URL;
  readonly accessKey: string;
  readonly secretKey: string;
  /** Sign the body's SHA-256, as clients over plain HTTP do, instead of UNSIGNED-PAYLOAD. */
  readonly signsPayload: boolean;
}
export interface Call {
  readonly method: "GET" | "PUT" | "HEAD" | "DELETE";
  /** `/bucket/key`, of characters that need no escape. */
  readonly path: string;
  /** Sorted, escaped: `a=1&b=2`. */
  readonly query?: string;
  readonly body?: Payload;
  readonly wantBytes?: number;
}
export interface Answer {
  readonly status: number;
  readonly bytes: number;
  /** Only if asked for. */
  readonly text: string;
}

export class Payload {
  readonly sha256: string;
  constructor(readonly bytes: Uint8Array) {
    this.sha256 = createHash("sha256").update(bytes).digest("hex");
  }
  /** Bytes that do not compress and do not repeat. */
  static random(sizeBytes: number): Payload {
    const bytes = new Uint8Array(sizeBytes);
    for (let at = 0; at < sizeBytes; at += 65536)
      crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65536, sizeBytes)));
    return new Payload(bytes);
  }
}

export class Client {
  private readonly connections: Connections;
  private signingKey: { day: string; key: Buffer } = { day: "", key: Buffer.alloc(0) };

  constructor(private readonly target: Target) {
    const { hostname, port } = target.endpoint;
    this.connections = new Connections(hostname, Number(port));
  }

  close(): void {
    this.connections.close();
  }

  async send(call: Call, wantsText = false): Promise<Answer> {
    return await this.connections.send({
      method: call.method,
      target: call.query === undefined ? call.path : `${call.path}?${call.query}`,
      headers: this.sign(call, new Date()),
      body: call.body?.bytes ?? null,
      wantsText,
    });
  }

  /** AWS Signature Version 4 in the header. */
  private sign(call: Call, now: Date): Record<string, string> {
    const { endpoint, accessKey, signsPayload } = this.target;
    const time = now.toISOString().replace(/[-:]|\.\d{3}/g, "");
    const day = time.slice(0, 8);
    const hash = call.body === undefined ? EMPTY_HASH : signsPayload ? call.body.sha256 : "UNSIGNED-PAYLOAD";
    const signed = "host;x-amz-content-sha256;x-amz-date";
    const canonical = [
      call.method,
      call.path,
      call.query ?? "",
      `host:${endpoint.host}`,
      `x-amz-content-sha256:${hash}`,
      `x-amz-date:${time}`,
      "",
      signed,
      hash,
    ].join("\n");
    const scope = `${day}/${REGION}/s3/aws4_request`;
    const text = ["AWS4-HMAC-SHA256", time, scope, createHash("sha256").update(canonical).digest("hex")].join("\n");
    const signature = createHmac("sha256", this.keyOf(day)).update(text).digest("hex");
    return {
      Host: endpoint.host,
      "x-amz-content-sha256": hash,
      "x-amz-date": time,
      "Content-Length": String(call.body?.bytes.length ?? 0),
      Authorization: `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${signed}, Signature=${signature}`,
    };
  }

  private keyOf(day: string): Buffer {
    if (this.signingKey.day === day) return this.signingKey.key;
    const step = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();
    const key = step(step(step(step(`AWS4${this.target.secretKey}`, day), REGION), "s3"), "aws4_request");
    this.signingKey = { day, key };
    return key;
  }
}

export interface LoadPlan {
  readonly clients: number;
  /** Runs this long, or until `call` has no more. */
  readonly seconds: number;
  /** The n-th request of a client; null = nothing is left to do. */
  call(client: number, n: number): Call | null;
}
export interface LoadResult {
  readonly operations: number;
  readonly failures: number;
  /** What the first failure was; "" = none. */
  readonly firstFailure: string;
  /** Bodies, both ways. */
  readonly bytes: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Runs a plan; requests under way at the end are finished and counted, and so is their time. */
export async function runLoad(client: Client, plan: LoadPlan): Promise<LoadResult> {
  const latencies: number[] = [];
  let bytes = 0;
  let failures = 0;
  let firstFailure = "";
  const started = performance.now();
  const until = started + plan.seconds * 1000;
  const loop = async (index: number): Promise<void> => {
    for (let n = 0; performance.now() < until; n++) {
      const call = plan.call(index, n);
      if (call === null) return;
      const before = performance.now();
      const problem = await attempt(client, call);
      latencies.push(performance.now() - before);
      if (problem.text === "") bytes += problem.bytes + (call.body?.bytes.length ?? 0);
      else {
        failures++;
        firstFailure ||= `${call.method} ${call.path}: ${problem.text}`;
      }
    }
  };
  await Promise.all(Array.from({ length: plan.clients }, (_, i) => loop(i)));
  const seconds = (performance.now() - started) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return {
    operations: latencies.length - failures,
    failures,
    firstFailure,
    bytes,
    seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}

async function attempt(client: Client, call: Call): Promise<{ text: string; bytes: number }> {
  try {
    const { status, bytes } = await client.send(call);
    const good = status === 200 || (call.method === "DELETE" && status === 204);
    if (!good) return { text: `status ${status}`, bytes };
    if (call.wantBytes !== undefined && bytes !== call.wantBytes)
      return { text: `${bytes} of ${call.wantBytes} bytes`, bytes };
    return { text: "", bytes };
  } catch (error) {
    return { text: error instanceof Error ? error.message : String(error), bytes: 0 };
  }
}
