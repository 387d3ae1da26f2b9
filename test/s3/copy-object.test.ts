/** CopyObject over HTTP: directives, conditions, versions, what is refused. Source: s3-api.md §4.6. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { enableVersioning, startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

const copy = (to: string, from: string, headers: Record<string, string> = {}) =>
  s3.call("PUT", to, { headers: { "x-amz-copy-source": from, ...headers } });

test("a copy has the content, metadata, tags and ETag of its source, and a document to say so", async () => {
  const headers = { "content-type": "text/plain", "x-amz-meta-a": "1", "x-amz-tagging": "t=1" };
  const put = await s3.call("PUT", "/bucket/source", { body: "content", headers });
  const answer = await copy("/bucket/copy", "/bucket/source");
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/xml"]);
  expect(answer.text).toContain("<CopyObjectResult");
  expect(texts(answer.text, "ETag")).toEqual([(put.headers.get("etag") ?? "").replaceAll('"', "&#34;")]);
  expect(texts(answer.text, "LastModified")[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const got = await s3.call("GET", "/bucket/copy");
  expect([
    got.text,
    got.headers.get("content-type"),
    got.headers.get("x-amz-meta-a"),
    got.headers.get("x-amz-tagging-count"),
  ]).toEqual(["content", "text/plain", "1", "1"]);
});

test("REPLACE takes metadata and tags from the request, and only those", async () => {
  await copy("/bucket/replaced", "bucket/source", {
    "x-amz-metadata-directive": "REPLACE",
    "x-amz-tagging-directive": "REPLACE",
    "x-amz-tagging": "x=1&y=2",
    "x-amz-meta-b": "2",
  });
  const got = (await s3.call("HEAD", "/bucket/replaced")).headers;
  expect([
    got.get("x-amz-meta-a"),
    got.get("x-amz-meta-b"),
    got.get("x-amz-tagging-count"),
    got.get("content-type"),
  ]).toEqual([undefined, "2", "2", "binary/octet-stream"]);
  for (const name of ["x-amz-metadata-directive", "x-amz-tagging-directive"])
    expect((await copy("/bucket/bad", "/bucket/source", { [name]: "MERGE" })).code).toBe("InvalidArgument");
});

test("metadata that is too large is refused, asked for or not", async () => {
  const answer = await copy("/bucket/large", "/bucket/source", { "x-amz-meta-a": "x".repeat(2048) });
  expect([answer.status, answer.code]).toEqual([400, "MetadataTooLarge"]);
});

test("a copy onto itself must change something", async () => {
  const same = await copy("/bucket/source", "/bucket/source");
  expect([same.status, same.code]).toEqual([400, "InvalidRequest"]);
  const changed = await copy("/bucket/source", "/bucket/source", {
    "x-amz-metadata-directive": "REPLACE",
    "x-amz-meta-new": "1",
  });
  expect(changed.status).toBe(200);
  const got = await s3.call("GET", "/bucket/source");
  expect([got.text, got.headers.get("x-amz-meta-new"), got.headers.get("x-amz-meta-a")]).toEqual([
    "content",
    "1",
    undefined,
  ]);
});

test("keys of a source are decoded, a leading slash is dropped", async () => {
  await s3.call("PUT", "/bucket/a%20%2B%25%C3%BC", { body: "odd" });
  for (const from of ["bucket/a%20%2B%25%C3%BC", "/bucket/a%20%2B%25%C3%BC", "/bucket//a%20%2B%25%C3%BC"])
    expect([from, (await copy("/bucket/odd", from)).status]).toEqual([from, 200]);
  expect((await s3.call("GET", "/bucket/odd")).text).toBe("odd");
});

test("the source's conditions are a 412, the target's too", async () => {
  const etag = (await s3.call("PUT", "/bucket/cond", { body: "x" })).headers.get("etag") ?? "";
  const past = "Sat, 29 Oct 1994 19:43:31 GMT";
  const future = "Tue, 29 Oct 2097 19:43:31 GMT";
  const status = (headers: Record<string, string>): Promise<number> =>
    copy("/bucket/to", "/bucket/cond", headers).then((a) => a.status);
  expect(await status({ "x-amz-copy-source-if-match": etag })).toBe(200);
  expect(await status({ "x-amz-copy-source-if-match": '"other"' })).toBe(412);
  expect(await status({ "x-amz-copy-source-if-none-match": etag })).toBe(412);
  expect(await status({ "x-amz-copy-source-if-none-match": '"other"' })).toBe(200);
  expect(await status({ "x-amz-copy-source-if-modified-since": future })).toBe(412);
  expect(await status({ "x-amz-copy-source-if-modified-since": past })).toBe(200);
  expect(await status({ "x-amz-copy-source-if-unmodified-since": past })).toBe(412);
  expect(await status({ "if-none-match": "*" })).toBe(412);
  expect(await status({ "if-match": '"other"' })).toBe(412);
});

test("a version can be the source, a delete marker cannot", async () => {
  await s3.call("PUT", "/versioned");
  await enableVersioning(s3, "versioned");
  const first = (await s3.call("PUT", "/versioned/k", { body: "1" })).headers.get("x-amz-version-id") ?? "";
  await s3.call("PUT", "/versioned/k", { body: "2" });
  const answer = await copy("/versioned/copy", `/versioned/k?versionId=${first}`);
  expect(answer.headers.get("x-amz-copy-source-version-id")).toBe(first);
  expect(answer.headers.get("x-amz-version-id")).toMatch(/-/);
  expect((await s3.call("GET", "/versioned/copy")).text).toBe("1");
  const marker = (await s3.call("DELETE", "/versioned/k")).headers.get("x-amz-version-id") ?? "";
  expect((await copy("/versioned/copy", "/versioned/k")).code).toBe("NoSuchKey");
  expect((await copy("/versioned/copy", `/versioned/k?versionId=${marker}`)).code).toBe("MethodNotAllowed");
  expect((await copy("/versioned/copy", "/versioned/k?versionId=garbage")).code).toBe("NoSuchVersion");
  const restored = await copy("/versioned/k", `/versioned/k?versionId=${first}`);
  expect([restored.status, (await s3.call("GET", "/versioned/k")).text]).toEqual([200, "1"]);
});

test("sources that are none, or not there, are refused", async () => {
  for (const from of ["", "/", "bucket", "/bucket/", "//"])
    expect([from, (await copy("/bucket/x", from)).code]).toEqual([from, "InvalidArgument"]);
  expect((await copy("/bucket/x", "/bucket/none")).code).toBe("NoSuchKey");
  expect((await copy("/bucket/x", "/missing/none")).code).toBe("NoSuchBucket");
  expect((await copy("/missing/x", "/bucket/source")).code).toBe("NoSuchBucket");
  for (const from of ["/bucket/../x", "/bucket/a/../../x", "/bucket/%2e%2e", "/bucket/%00"])
    expect([from, (await copy("/bucket/x", from)).code]).toEqual([from, "XMinioInvalidObjectName"]);
  expect((await s3.call("HEAD", "/bucket/x")).status).toBe(404);
});

test("a source in the query of a signed URL makes a copy, not an empty object", async () => {
  const answer = await s3.call("PUT", "/bucket/hoisted", {
    presignSeconds: 60,
    query: "x-amz-copy-source=%2Fbucket%2Fcond",
  });
  expect([answer.status, (await s3.call("GET", "/bucket/hoisted")).text]).toEqual([200, "x"]);
});

test("a source that is not URL-encoded is refused, one that is escaped is found", async () => {
  await s3.call("PUT", "/bucket/100%25", { body: "percent" });
  for (const from of ["/bucket/100%", "/bucket/a%zz", "/bucket/%f", "/bucket/%ff%fe", "%"]) {
    const answer = await copy("/bucket/copied-percent", from);
    expect([from, answer.status, answer.code]).toEqual([from, 400, "InvalidArgument"]);
  }
  expect((await copy("/bucket/copied-percent", "/bucket/100%25")).status).toBe(200);
  expect((await s3.call("GET", "/bucket/copied-percent")).text).toBe("percent");
  await s3.call("PUT", "/bucket/a%20%C3%A9", { body: "raw" });
  const raw = Buffer.from("/bucket/a é", "utf8").toString("latin1"); // as clients send it that do not encode
  expect((await copy("/bucket/copied-raw", raw)).status).toBe(200);
});
