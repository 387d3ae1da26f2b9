/** Preconditions of reads and writes over HTTP, in RFC 9110's order. Source: s3-api.md §4.1. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { startServer, type S3Server } from "./server.ts";

const PAST = "Sat, 29 Oct 1994 19:43:31 GMT";
const FUTURE = "Tue, 29 Oct 2097 19:43:31 GMT";
let s3: S3Server;
let etag = "";
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
  etag =
    (await s3.call("PUT", "/bucket/k", { body: "x", headers: { "cache-control": "max-age=1" } })).headers.get("etag") ??
    "";
});
afterAll(() => s3.stop());

test.each([
  ["if-match: <etag>", 200],
  ["if-match: *", 200],
  ['if-match: "other"', 412],
  ['if-match: "other", <etag>', 200],
  ["if-none-match: <etag>", 304],
  ["if-none-match: *", 304],
  ['if-none-match: "other"', 200],
  ["if-modified-since: past", 200],
  ["if-modified-since: future", 304],
  ["if-unmodified-since: past", 412],
  ["if-unmodified-since: future", 200],
  ["if-modified-since: not a date", 200],
  ["if-match: <etag>; if-unmodified-since: past", 200],
  ['if-none-match: "other"; if-modified-since: future', 200],
  ['if-match: "other"; if-none-match: <etag>', 412],
] as const)("GET and HEAD with %s answer %d", async (text, status) => {
  const headers = Object.fromEntries(
    text.split("; ").map((pair) => {
      const [name = "", value = ""] = pair.split(/: (.*)/s);
      return [name, value.replace("<etag>", etag).replace("past", PAST).replace("future", FUTURE)];
    }),
  );
  for (const method of ["GET", "HEAD"]) {
    const answer = await s3.call(method, "/bucket/k", { headers });
    expect([method, answer.status]).toEqual([method, status]);
    expect([answer.headers.get("etag"), answer.headers.get("cache-control")]).toEqual([etag, "max-age=1"]);
    expect(answer.headers.has("last-modified")).toBe(true);
    if (status === 304) expect(answer.text).toBe("");
  }
});

test("If-Match replaces what it names, and needs something to be there", async () => {
  const put = (key: string, headers: Record<string, string>) =>
    s3.call("PUT", `/bucket/${key}`, { body: "new", headers });
  const first = (await put("w", {})).headers.get("etag") ?? "";
  expect((await put("w", { "if-match": '"other"' })).code).toBe("PreconditionFailed");
  expect((await put("w", { "if-match": first })).status).toBe(200);
  expect((await put("w", { "if-match": first.replaceAll('"', "") })).status).toBe(200);
  for (const value of ["*", first]) {
    const absent = await put("absent", { "if-match": value });
    expect([absent.status, absent.code]).toEqual([404, "NoSuchKey"]);
  }
  expect((await s3.call("HEAD", "/bucket/absent")).status).toBe(404);
});

test("If-None-Match: * lets exactly one of many writers through", async () => {
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      s3.call("PUT", "/bucket/once", { body: `w${i}`, headers: { "if-none-match": "*" } }),
    ),
  );
  expect(answers.map((a) => a.status).sort()).toEqual([200, 412, 412, 412, 412, 412, 412, 412]);
});
