/** SIGTERM: what is in flight finishes, nothing new begins, the wait is bounded, and the exit code is 0. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { S3Client } from "./s3-client.ts";
import { ServerProcess } from "./server-process.ts";

const root = mkdtempSync(join(tmpdir(), "sherd-drain-"));
const LARGE = Buffer.alloc(16 * 1024 * 1024, "a body that is longer than all buffers between ");
beforeAll(async () => {
  await using server = await ServerProcess.start({ cwd: root });
  expect((await server.client.put("/drain", "")).status).toBe(200);
  expect((await server.client.put("/drain/large", LARGE)).status).toBe(200);
  expect(await server.stop()).toBe(0);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A connection of our own, so that a request can stop in the middle. */
class RawConnection {
  received: Buffer = Buffer.alloc(0);
  closed = false;
  private wake: (() => void) | null = null;
  private constructor(readonly socket: Socket) {
    const notify = (): void => this.wake?.();
    socket.on("data", (bytes: Buffer) => {
      this.received = Buffer.concat([this.received, bytes]);
      notify();
    });
    socket.on("close", () => {
      this.closed = true;
      notify();
    });
    socket.on("error", notify);
  }

  static async open(url: string): Promise<RawConnection> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const connection = new RawConnection(connect(Number(new URL(url).port), "127.0.0.1", resolve));
    await promise;
    return connection;
  }

  send(client: S3Client, method: string, path: string, headers: Record<string, string> = {}): void {
    const signed = Object.entries(client.sign(method, path, { headers }));
    this.socket.write(`${method} ${path} HTTP/1.1\r\n${signed.map(([n, v]) => `${n}: ${v}\r\n`).join("")}\r\n`);
  }

  async until(done: (received: Buffer) => boolean): Promise<void> {
    while (!done(this.received) && !this.closed)
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
  }
}

const wholeAnswer = (received: Buffer): boolean => received.length > LARGE.length && received.includes("\r\n\r\n");

test("an upload and a download in flight finish, new requests do not begin, the exit code is 0", async () => {
  await using server = await ServerProcess.start({ cwd: root });
  const { client } = server;
  const upload = await RawConnection.open(server.url);
  upload.send(client, "PUT", "/drain/during", { "content-length": "2000000", expect: "100-continue" });
  await upload.until((received) => received.includes("100 Continue"));
  upload.socket.write(Buffer.alloc(1_000_000, "x"));
  const download = await RawConnection.open(server.url);
  download.send(client, "GET", "/drain/large");
  await download.until((received) => received.length > 100_000);
  download.socket.pause();
  const idle = await RawConnection.open(server.url);
  idle.send(client, "HEAD", "/drain/large");
  await idle.until((received) => received.includes("\r\n\r\n"));

  server.signal("SIGTERM");
  await server.until((line) => line.event === "stopping");
  expect((await client.get("/drain/large")).status).toBe(0);
  idle.received = Buffer.alloc(0);
  if (!idle.closed) idle.send(client, "GET", "/drain/large");
  await idle.until(() => false);
  expect(idle.received.toString().slice(0, 12)).toBeOneOf(["", "HTTP/1.1 503"]);

  upload.socket.write(Buffer.alloc(1_000_000, "x"));
  await upload.until((received) => received.includes("ETag"));
  expect(upload.received.toString()).toContain(createHash("md5").update(Buffer.alloc(2_000_000, "x")).digest("hex"));
  expect(server.exitCode).toBeNull(); // the download is still there
  download.socket.resume();
  await download.until(wholeAnswer);
  const body = download.received.subarray(download.received.indexOf("\r\n\r\n") + 4);
  expect(body.equals(LARGE)).toBe(true);
  expect(await server.exited()).toBe(0);

  await using again = await ServerProcess.start({ cwd: root });
  expect((await again.client.get("/drain/during")).bytes.length).toBe(2_000_000);
  expect(await again.stop()).toBe(0);
});

test("a client that stops reading at the last bytes still gets them", async () => {
  await using server = await ServerProcess.start({ cwd: root });
  const path = "/drain/last";
  const body = Buffer.alloc(900_000, "last bytes ");
  expect((await server.client.put(path, body)).status).toBe(200);
  const slow = await RawConnection.open(server.url);
  slow.socket.pause(); // all of it stays in buffers: the kernel's, and the server's
  slow.send(server.client, "GET", path);
  for (let i = 0; i < 20; i++) expect((await server.client.call("HEAD", path)).status).toBe(200); // its handler is through
  server.signal("SIGTERM");
  await server.until((line) => line.event === "stopping");
  slow.socket.resume();
  await slow.until((received) => received.length > body.length);
  expect(slow.received.subarray(slow.received.indexOf("\r\n\r\n") + 4).equals(body)).toBe(true);
  expect(await server.exited()).toBe(0);
});

test("a request that never ends does not hold the stop longer than --shutdown-timeout", async () => {
  await using server = await ServerProcess.start({ cwd: root, flags: ["--shutdown-timeout", "500ms"] });
  const stuck = await RawConnection.open(server.url);
  stuck.send(server.client, "PUT", "/drain/stuck", { "content-length": "2000000", expect: "100-continue" });
  await stuck.until((received) => received.includes("100 Continue"));
  const started = performance.now();
  expect(await server.stop()).toBe(0);
  expect(performance.now() - started).toBeLessThan(5000);
  expect(await server.until((line) => line.event === "some requests did not finish in time")).not.toBeNull();
  await stuck.until(() => false);
  await using again = await ServerProcess.start({ cwd: root });
  expect((await again.client.get("/drain/stuck")).status).toBe(404);
  expect(await again.stop()).toBe(0);
});

test("an empty body that was announced with Expect: 100-continue gets its 100", async () => {
  await using server = await ServerProcess.start({ cwd: root });
  const connection = await RawConnection.open(server.url);
  connection.send(server.client, "PUT", "/drain/empty", { "content-length": "0", expect: "100-continue" });
  await connection.until((received) => received.includes("ETag"));
  expect(connection.received.toString()).toStartWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n");
  connection.socket.destroy();
  expect(await server.stop()).toBe(0);
});

test("a SIGTERM that comes while the server starts, or at once after, stops it in order", async () => {
  const codes: number[] = [];
  for (let i = 0; i < 6; i++) {
    await using server = ServerProcess.spawn({ cwd: root });
    await server.until((line) => line.event === "listening");
    codes.push(await server.stop());
  }
  expect(codes).toEqual([0, 0, 0, 0, 0, 0]);
});
