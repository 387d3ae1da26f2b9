/** DeleteObject over HTTP: removal, markers, versions, conditions. Source: s3-api.md §4.7, §4.1. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { enableVersioning, startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  for (const name of ["bucket", "versioned"]) await s3.call("PUT", `/${name}`);
  await enableVersioning(s3, "versioned");
});
afterAll(() => s3.stop());
const list = async (prefix: string): Promise<string> =>
  (await s3.call("GET", "/versioned", { query: `versions&prefix=${prefix}` })).text;

test("without versioning the object goes, and going twice is no error", async () => {
  await s3.call("PUT", "/bucket/k", { body: "x" });
  for (let i = 0; i < 2; i++) {
    const gone = await s3.call("DELETE", "/bucket/k");
    expect([
      gone.status,
      gone.text,
      gone.headers.get("x-amz-delete-marker"),
      gone.headers.get("x-amz-version-id"),
    ]).toEqual([204, "", undefined, undefined]);
  }
  expect((await s3.call("HEAD", "/bucket/k")).status).toBe(404);
  expect((await s3.call("DELETE", "/missing/k")).code).toBe("NoSuchBucket");
});

test("with versioning a marker covers the object, also where nothing was, and removing it uncovers", async () => {
  await s3.call("PUT", "/versioned/a", { body: "x" });
  const marker = await s3.call("DELETE", "/versioned/a");
  const id = marker.headers.get("x-amz-version-id") ?? "";
  expect([marker.status, marker.headers.get("x-amz-delete-marker")]).toEqual([204, "true"]);
  expect(texts(await list("a"), "IsLatest")).toEqual(["true", "false"]);
  const uncovered = await s3.call("DELETE", "/versioned/a", { query: `versionId=${id}` });
  expect([uncovered.headers.get("x-amz-version-id"), uncovered.headers.get("x-amz-delete-marker")]).toEqual([
    id,
    "true",
  ]);
  expect((await s3.call("GET", "/versioned/a")).text).toBe("x");
  expect((await s3.call("DELETE", "/versioned/never")).headers.get("x-amz-delete-marker")).toBe("true");
  expect((await list("never")).match(/<DeleteMarker>/g)?.length).toBe(1);
});

test("a version goes for good, and the next one becomes the latest", async () => {
  const ids: string[] = [];
  for (const body of ["1", "2", "3"])
    ids.push((await s3.call("PUT", "/versioned/v", { body })).headers.get("x-amz-version-id") ?? "");
  const gone = await s3.call("DELETE", "/versioned/v", { query: `versionId=${ids[2]}` });
  expect([gone.status, gone.headers.get("x-amz-version-id"), gone.headers.get("x-amz-delete-marker")]).toEqual([
    204,
    ids[2],
    undefined,
  ]);
  expect((await s3.call("GET", "/versioned/v")).text).toBe("2");
  expect((await s3.call("DELETE", "/versioned/v", { query: `versionId=${ids[2]}` })).status).toBe(204);
  expect((await s3.call("DELETE", "/versioned/v", { query: "versionId=garbage" })).code).toBe("InvalidArgument");
});

test("suspended, the marker is the null version and replaces only that", async () => {
  await s3.call("PUT", "/suspended");
  await s3.call("PUT", "/suspended/k", { body: "null" });
  await enableVersioning(s3, "suspended");
  await s3.call("PUT", "/suspended/k", { body: "kept" });
  await enableVersioning(s3, "suspended", "Suspended");
  const marker = await s3.call("DELETE", "/suspended/k");
  expect([marker.headers.get("x-amz-delete-marker"), marker.headers.get("x-amz-version-id")]).toEqual(["true", "null"]);
  const all = (await s3.call("GET", "/suspended", { query: "versions" })).text;
  expect([texts(all, "VersionId").length, all.match(/<DeleteMarker>/g)?.length]).toEqual([2, 1]);
});

test("conditions that do not hold keep the object", async () => {
  const etag = (await s3.call("PUT", "/bucket/cond", { body: "12345" })).headers.get("etag") ?? "";
  const time = (await s3.call("HEAD", "/bucket/cond")).headers.get("last-modified") ?? "";
  const remove = (headers: Record<string, string>) =>
    s3.call("DELETE", "/bucket/cond", { headers }).then((a) => a.status);
  expect(await remove({ "if-match": '"other"' })).toBe(412);
  expect(await remove({ "x-amz-if-match-size": "4" })).toBe(412);
  expect(await remove({ "x-amz-if-match-last-modified-time": "Thu, 01 Jan 2015 00:00:00 GMT" })).toBe(412);
  expect(await remove({ "x-amz-if-match-size": "many" })).toBe(400);
  expect((await s3.call("GET", "/bucket/cond")).text).toBe("12345");
  expect(
    await remove({ "if-match": etag, "x-amz-if-match-size": "5", "x-amz-if-match-last-modified-time": time }),
  ).toBe(204);
  // Nothing is there any more: no tag matches, but there is no size either that must not be deleted.
  expect(await remove({ "if-match": "*" })).toBe(412);
  expect(await remove({ "if-match": '"other"' })).toBe(412);
  expect(await remove({ "x-amz-if-match-size": "4" })).toBe(204);
});

test("on a delete marker only If-Match: * holds", async () => {
  await enableVersioning(s3, "bucket");
  await s3.call("PUT", "/bucket/marked", { body: "1" });
  await s3.call("DELETE", "/bucket/marked");
  const remove = (headers: Record<string, string>): Promise<number> =>
    s3.call("DELETE", "/bucket/marked", { headers }).then((a) => a.status);
  expect(await remove({ "if-match": '"other"' })).toBe(412);
  expect(await remove({ "x-amz-if-match-size": "1" })).toBe(412);
  expect(await remove({ "if-match": "*" })).toBe(204);
});

test("with versions, a conditional delete of what is not there makes no delete marker", async () => {
  await s3.call("PUT", "/conditional");
  await enableVersioning(s3, "conditional");
  const deleted = await s3.call("DELETE", "/conditional/absent", { headers: { "x-amz-if-match-size": "1" } });
  expect([deleted.status, deleted.headers.get("x-amz-delete-marker")]).toEqual([204, undefined]);
  expect((await s3.call("GET", "/conditional", { query: "versions" })).text).not.toContain("<DeleteMarker>");
});

test("a forced delete removes every version of a key and of what lies below it, and nothing beside it", async () => {
  const put = (key: string) => s3.call("PUT", `/versioned/${key}`, { body: key });
  const force = (path: string, headers: Record<string, string> = {}) =>
    s3.call("DELETE", path, { headers: { "x-minio-force-delete": "true", ...headers } });
  for (const key of ["f/a", "f/a", "f/a/b", "f/a/b/c", "f/ab", "f/a.b", "f/"]) await put(key);
  await s3.call("DELETE", "/versioned/f/a/b");
  expect((await force("/versioned/f/a")).status).toBe(204);
  expect(texts(await list("f/"), "Key")).toEqual(["f/", "f/a.b", "f/ab"]);
  expect((await force("/versioned/f/")).status).toBe(204);
  expect(texts(await list("f/"), "Key")).toEqual([]);
  expect((await force("/versioned/f/none")).status).toBe(204);
  expect((await force("/missing/f")).code).toBe("NoSuchBucket");
  await s3.call("PUT", "/locked", { headers: { "x-amz-bucket-object-lock-enabled": "true" } });
  await s3.call("PUT", "/locked/k", { body: "x" });
  const refused = await force("/locked/k");
  expect([refused.status, refused.code]).toEqual([400, "InvalidArgument"]);
  expect((await force("/locked")).status).toBe(405);
  expect((await s3.call("HEAD", "/locked/k")).status).toBe(200);
});

test("a forced delete needs the right to delete each version that it removes", async () => {
  await s3.call("PUT", "/shared");
  for (const key of ["k/open", "k/shut"]) await s3.call("PUT", `/shared/${key}`, { body: key });
  const allow = (resource: string) => ({
    Effect: "Allow",
    Principal: "*",
    Action: "s3:DeleteObject",
    Resource: `arn:aws:s3:::shared/${resource}`,
  });
  const may = (...resources: string[]) =>
    s3.call("PUT", "/shared", {
      query: "policy",
      body: JSON.stringify({ Version: "2012-10-17", Statement: resources.map(allow) }),
    });
  const force = () => s3.call("DELETE", "/shared/k", { anonymous: true, headers: { "x-minio-force-delete": "true" } });
  await may("k", "k/open");
  expect((await force()).code).toBe("AccessDenied");
  expect((await s3.call("HEAD", "/shared/k/open")).status).toBe(200);
  await may("k", "k/*");
  expect((await force()).status).toBe(204);
  expect((await s3.call("DELETE", "/shared")).status).toBe(204);
});

test("a bucket is deleted with its contents when it is forced", async () => {
  await s3.call("PUT", "/full");
  await enableVersioning(s3, "full");
  for (const key of ["a", "a", "b/c"]) await s3.call("PUT", `/full/${key}`, { body: key });
  expect((await s3.call("DELETE", "/full")).code).toBe("BucketNotEmpty");
  expect((await s3.call("DELETE", "/full", { headers: { "x-minio-force-delete": "true" } })).status).toBe(204);
  expect((await s3.call("HEAD", "/full")).status).toBe(404);
});
