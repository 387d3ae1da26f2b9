/** Get-, Put- and DeleteObjectTagging over HTTP, and tags given with a PUT. Source: s3-api.md §1.4. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { enableVersioning, startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

const document = (tags: readonly (readonly [string, string])[]): string =>
  `<Tagging><TagSet>${tags.map(([k, v]) => `<Tag><Key>${k}</Key><Value>${v}</Value></Tag>`).join("")}</TagSet></Tagging>`;
const many = (n: number): [string, string][] => Array.from({ length: n }, (_, i) => [`k${i}`, `v${i}`]);

test("tags are set, read, counted and removed, and the content stays", async () => {
  await s3.call("PUT", "/bucket/k", { body: "content", headers: { "x-amz-tagging": "a=1&b=x%20y" } });
  const read = (await s3.call("GET", "/bucket/k", { query: "tagging" })).text;
  expect([texts(read, "Key"), texts(read, "Value")]).toEqual([
    ["a", "b"],
    ["1", "x y"],
  ]);
  expect((await s3.call("HEAD", "/bucket/k")).headers.get("x-amz-tagging-count")).toBe("2");
  expect((await s3.call("PUT", "/bucket/k", { query: "tagging", body: document([["c", ""]]) })).status).toBe(200);
  expect(texts((await s3.call("GET", "/bucket/k", { query: "tagging" })).text, "Key")).toEqual(["c"]);
  expect((await s3.call("DELETE", "/bucket/k", { query: "tagging" })).status).toBe(204);
  const none = await s3.call("GET", "/bucket/k", { query: "tagging" });
  expect([none.status, none.text.includes("<TagSet></TagSet>")]).toEqual([200, true]);
  const head = await s3.call("GET", "/bucket/k");
  expect([head.text, head.headers.get("x-amz-tagging-count")]).toEqual(["content", undefined]);
});

test("a version keeps its own tags", async () => {
  await s3.call("PUT", "/versioned");
  await enableVersioning(s3, "versioned");
  const first = (await s3.call("PUT", "/versioned/k", { body: "1" })).headers.get("x-amz-version-id") ?? "";
  await s3.call("PUT", "/versioned/k", { body: "2" });
  const set = await s3.call("PUT", "/versioned/k", {
    query: `tagging&versionId=${first}`,
    body: document([["old", "1"]]),
  });
  expect([set.status, set.headers.get("x-amz-version-id")]).toEqual([200, first]);
  expect(texts((await s3.call("GET", "/versioned/k", { query: "tagging" })).text, "Key")).toEqual([]);
  const old = await s3.call("GET", "/versioned/k", { query: `tagging&versionId=${first}` });
  expect([texts(old.text, "Key"), old.headers.get("x-amz-version-id")]).toEqual([["old"], first]);
});

test("too many, too long, repeated and misspelled tags are refused", async () => {
  await s3.call("PUT", "/bucket/t", { body: "x" });
  const set = (body: string) => s3.call("PUT", "/bucket/t", { query: "tagging", body }).then((a) => a.code);
  expect(await set(document(many(10)))).toBeUndefined();
  expect(await set(document(many(11)))).toBe("BadRequest");
  expect(
    await set(
      document([
        ["a", "1"],
        ["a", "2"],
      ]),
    ),
  ).toBe("InvalidTag");
  expect(await set(document([["k".repeat(128), "v".repeat(256)]]))).toBeUndefined();
  expect(await set(document([["k".repeat(129), ""]]))).toBe("InvalidTag");
  expect(await set(document([["k", "v".repeat(257)]]))).toBe("InvalidTag");
  expect(await set(document([["", "v"]]))).toBe("InvalidTag");
  expect(await set("<Tagging></Tagging>")).toBe("MalformedXML");
  for (const header of ["a=1&a=2", "a=%FF", "=v"]) {
    const answer = await s3.call("PUT", "/bucket/t2", { body: "x", headers: { "x-amz-tagging": header } });
    expect([header, answer.status, answer.code]).toEqual([header, 400, "InvalidTag"]);
  }
  expect((await s3.call("HEAD", "/bucket/t2")).status).toBe(404);
});

test("what is not there has no tags", async () => {
  expect((await s3.call("GET", "/bucket/none", { query: "tagging" })).code).toBe("NoSuchKey");
  expect((await s3.call("PUT", "/bucket/none", { query: "tagging", body: document([]) })).code).toBe("NoSuchKey");
});
