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

test("one connection more than allowed is closed, and there is room again when one is gone", async () => {
  const open = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect(s3.port, s3.host);
      socket.on("connect", () => socket.write("GET /minio/health/live HTTP/1.1\r\nHost: a\r\n\r\n"));
      socket.once("data", () => resolve(socket));
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("closed")));
    });
  const held = await Promise.all([open(), open(), open()]);
  expect(await untilClosed("GET /minio/health/live HTTP/1.1\r\nHost: a\r\n\r\n")).toBe("");
  await Promise.all(held.map((socket) => new Promise((resolve) => socket.destroy().once("close", resolve))));
  const retried = async (): Promise<number> => {
    try {
      return (await s3.call("HEAD", "/bucket")).status;
    } catch {
      return await retried(); // the server hears of the closed ones a moment later
    }
  };
  expect(await retried()).toBe(200);
});
