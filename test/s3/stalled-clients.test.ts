/** Clients that stop in the middle take nothing from the others. */
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { requestOf, type S3Server, startServer } from "./server.ts";

/** More than the memory of writes has blocks. */
const STALLED = 150;

let server: S3Server;
const sockets: Socket[] = [];
beforeAll(async () => {
  server = await startServer();
  await server.call("PUT", "/stalled");
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await server.stop();
});

/** A PUT of 5 GB that sends one byte. Resolves when it is sent. */
function stall(key: string): Promise<void> {
  const { head } = requestOf(server, "PUT", `/stalled/${key}`, {
    payload: "UNSIGNED-PAYLOAD",
    headers: { "content-length": "5000000000" },
  });
  return new Promise((resolve) => {
    const socket = connect(server.port, server.host, () => socket.write(`${head}x`, "latin1", () => resolve()));
    socket.on("error", () => resolve());
    sockets.push(socket);
  });
}

test("150 uploads that send one byte and stop leave memory for reads and writes", async () => {
  const body = Buffer.alloc(3_000_000, "body");
  expect((await server.call("PUT", "/stalled/before", { body })).status).toBe(200);
  await Promise.all(Array.from({ length: STALLED }, (_, i) => stall(`s${i}`)));
  expect((await server.call("GET", "/stalled/before")).body.equals(body)).toBe(true);
  expect((await server.call("PUT", "/stalled/after", { body })).status).toBe(200);
});
