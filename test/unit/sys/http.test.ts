/** The HTTP edge by itself: when a request is over because its client went away. Everything else of it is tested through the server. */
import { connect } from "node:net";
import { expect, test } from "bun:test";
import type { Cancellation } from "../../../src/core/cancellation.ts";
import { HttpError, startHttpServer } from "../../../src/sys/http.ts";

const HEAD = "HTTP/1.1\r\nHost: h\r\n";

/** What it throws, once it does. */
async function over(signal: Cancellation): Promise<unknown> {
  for (;;) {
    try {
      signal.throwIfAborted();
    } catch (error) {
      return error;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test.each([
  ["that has no body", "at once", `GET / ${HEAD}\r\n`],
  ["that has no body", "later", `GET / ${HEAD}\r\n`],
  ["whose body is empty", "at once", `GET / ${HEAD}Content-Length: 0\r\n\r\n`],
  ["whose body is empty", "later", `GET / ${HEAD}Content-Length: 0\r\n\r\n`],
  ["whose body is under way", "at once", `PUT / ${HEAD}Content-Length: 5\r\n\r\nab`],
  ["whose body is under way", "later", `PUT / ${HEAD}Content-Length: 5\r\n\r\nab`],
] as const)("a request %s, asked %s, is over when the client goes away", async (_, when, head) => {
  const listening = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<unknown>();
  const failures: unknown[] = [];
  const server = await startHttpServer({
    host: "127.0.0.1",
    port: 0,
    tls: null,
    headerBytesMax: 64 * 1024,
    bodyIdleMs: 60_000,
    headerMs: 60_000,
    idleMs: 60_000,
    connectionsMax: 10,
    failed: (error) => failures.push(error),
    async handle({ request, response }) {
      if (when === "later") await new Promise((resolve) => setImmediate(resolve));
      const { signal } = request;
      signal.throwIfAborted();
      listening.resolve();
      gone.resolve(await over(signal));
      await response.send(200, [], "");
    },
  });
  const socket = connect(server.port, "127.0.0.1", () => socket.write(head));
  await listening.promise;
  socket.destroy();
  const reason = await gone.promise;
  expect(reason).toBeInstanceOf(HttpError);
  expect((reason as HttpError).code).toBe("ClientGone");
  expect(await server.stop(10_000)).toBe(true);
  expect(failures).toEqual([]);
});
