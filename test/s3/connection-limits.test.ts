/** Limits of connections, headers and bodies that come too slowly. Milliseconds are short here; nothing is timed but by the server. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { requestOf, startServer, type S3Server } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer({
    SHERD_CONNECTIONS_MAX: "3",
    SHERD_READ_HEADER_TIMEOUT: "300ms",
    SHERD_IDLE_TIMEOUT: "1s",
    SHERD_BODY_IDLE_TIMEOUT: "300ms",
    MINIO_PROMETHEUS_AUTH_TYPE: "public",
  });
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

/** Everything that comes until the connection is closed. */
function untilClosed(...pieces: (string | Uint8Array)[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(s3.port, s3.host);
    let text = "";
    socket.on("connect", () => {
      for (const piece of pieces) socket.write(piece);
    });
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
    });
    socket.on("error", () => resolve(text));
    socket.on("close", () => resolve(text));
  });
}

test("headers that do not end are answered 408 and closed", async () => {
  expect(await untilClosed("GET /bucket HTTP/1.1\r\nHost: a\r\nX-Slow")).toStartWith("HTTP/1.1 408");
});

test("a body that pauses is given up, and nothing is stored", async () => {
  const { head } = requestOf(s3, "PUT", "/bucket/slow", { body: "x".repeat(1000) });
  const answer = await untilClosed(head, "xxx");
  expect(answer).toContain("<Code>RequestTimeout</Code>");
  expect((await s3.call("HEAD", "/bucket/slow")).status).toBe(404);
});

/** Bytes of blocks that answers hold. */
async function heldByReaders(): Promise<number> {
  const { text } = await s3.call("GET", "/minio/v2/metrics/node", { anonymous: true });
  const lent = [...text.matchAll(/^sherd_block_pool_lent_bytes\{[^}]*reads?"[^}]*\} (\d+)/gm)];
  expect(lent.length).toBe(1);
  return Number(lent[0]?.[1]);
}

test("an answer that nobody reads is given up, and what it held is there for others", async () => {
  const size = 48 * 1024 * 1024;
  expect((await s3.call("PUT", "/bucket/long", { body: Buffer.alloc(size) })).status).toBe(200);
  const { head } = requestOf(s3, "GET", "/bucket/long", {});
  const received = await new Promise<number>((resolve) => {
    const socket = connect(s3.port, s3.host);
    let bytes = 0;
    let isClosed = false;
    socket.on("connect", () => socket.write(head));
    socket.once("data", (chunk: Buffer) => {
      bytes += chunk.length;
      socket.pause();
      // The connection counts until the server gives it up: then it is read again, to where it broke.
      const look = async (): Promise<void> => {
        while (!isClosed && (await heldByReaders()) > 0);
        socket.on("data", (more: Buffer) => {
          bytes += more.length;
        });
        socket.resume();
      };
      look().then(undefined, () => socket.destroy());
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      isClosed = true;
      resolve(bytes);
    });
  });
  expect(received).toBeLessThan(size);
});

/** The server hears of closed connections a moment later. */
async function again<T>(work: () => Promise<T>): Promise<T> {
  for (let left = 200; ; left--) {
    try {
      return await work();
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

test("one connection more than allowed is closed, and there is room again when one is gone", async () => {
  const open = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect(s3.port, s3.host);
      socket.on("connect", () => socket.write("GET /minio/health/live HTTP/1.1\r\nHost: a\r\n\r\n"));
      socket.once("data", () => resolve(socket));
      socket.on("error", reject);
      socket.once("close", () => reject(new Error("closed")));
    });
  const held = [await again(open), await again(open), await again(open)];
  expect(await untilClosed("GET /minio/health/live HTTP/1.1\r\nHost: a\r\n\r\n")).toBe("");
  await Promise.all(held.map((socket) => new Promise((resolve) => socket.destroy().once("close", resolve))));
  expect((await again(() => s3.call("HEAD", "/bucket"))).status).toBe(200);
});
