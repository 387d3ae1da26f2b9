/** A client that goes away in the middle of an answer lets go of what it read, however that is stored, over TCP and TLS. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { ServerProcess } from "../cluster/server-process.ts";

const ENVIRONMENT = {
  MINIO_KMS_SECRET_KEY: "my-key:QaL+NF7RZ6QIBzS1WPIyovH3AwsdwjQRFQiJmRstrGU=",
  MINIO_COMPRESSION_ENABLE: "on",
  MINIO_COMPRESSION_EXTENSIONS: ".txt",
  MINIO_COMPRESSION_ALLOW_ENCRYPTION: "on",
};
const root = mkdtempSync(join(tmpdir(), "sherd-abandoned-"));
const servers = new Map<string, ServerProcess>();
beforeAll(async () => {
  const certs = join(root, "certs");
  mkdirSync(certs);
  const command = `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout ${certs}/private.key -out ${certs}/public.crt`;
  expect(Bun.spawnSync(command.split(" ")).exitCode).toBe(0);
  for (const [name, flags] of [
    ["tcp", []],
    ["tls", ["--certs-dir", certs]],
  ] as const) {
    const cwd = join(root, name);
    mkdirSync(cwd);
    servers.set(name, await ServerProcess.start({ cwd, flags, env: ENVIRONMENT }));
  }
});
afterAll(async () => {
  for (const server of servers.values()) await server.stop();
  rmSync(root, { recursive: true, force: true });
});

const SSE = { "x-amz-server-side-encryption": "AES256" };

/** Resolves with a connection that asked for the object, got the first bytes of it, and reads no more. */
async function beginReading(server: ServerProcess, path: string): Promise<Socket> {
  const { hostname, port, protocol } = new URL(server.url);
  const signed = server.client.sign("GET", path);
  const lines = Object.entries({ ...signed, host: `${hostname}:${port}` }).map(([name, value]) => `${name}: ${value}`);
  const to = { host: hostname, port: Number(port) };
  const socket = protocol === "https:" ? connectTls({ ...to, rejectUnauthorized: false }) : connect(to);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once("error", reject);
  socket.once("data", (bytes: Buffer) => {
    socket.pause();
    if (bytes.toString("latin1").startsWith("HTTP/1.1 200")) resolve();
    else reject(new Error(bytes.toString("latin1").slice(0, 500)));
  });
  socket.write(`GET ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
  await promise;
  return socket;
}

test.each(
  ["tcp", "tls"].flatMap((transport) => [
    [transport, "plain", "large.bin", {}] as const,
    [transport, "encrypted", "large.bin", SSE] as const,
    [transport, "compressed", "large.txt", {}] as const,
    [transport, "both", "large.txt", SSE] as const,
  ]),
)(
  "%s: a bucket goes when the client that read a deleted %s object is gone",
  async (transport, bucket, key, headers) => {
    const server = servers.get(transport) as ServerProcess;
    const { client } = server;
    await client.put(`/${bucket}`, "");
    expect((await client.put(`/${bucket}/${key}`, Buffer.alloc(30_000_000, "large"), headers)).status).toBe(200);
    const reader = await beginReading(server, `/${bucket}/${key}`);
    expect((await client.delete(`/${bucket}/${key}`)).status).toBe(204);
    const removal = client.delete(`/${bucket}`);
    for (let i = 0; i < 20; i++) expect((await client.get("/")).status).toBe(200); // the removal is well on its way
    reader.destroy();
    const removed = await removal;
    expect([removed.status, removed.code]).toEqual([204, ""]);
  },
);
