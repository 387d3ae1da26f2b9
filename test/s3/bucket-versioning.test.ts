/** Get- and PutBucketVersioning over HTTP, and what each state does to writes. Source: s3-api.md §4.12. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { enableVersioning, startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

const put = async (key: string, body: string): Promise<string | undefined> =>
  (await s3.call("PUT", `/bucket/${key}`, { body })).headers.get("x-amz-version-id");

test("a bucket starts unversioned, keeps its null version when enabled, and replaces only that when suspended", async () => {
  expect((await s3.call("GET", "/bucket", { query: "versioning" })).text).not.toContain("Status");
  expect(await put("k", "null one")).toBeUndefined();
  await enableVersioning(s3, "bucket");
  expect(texts((await s3.call("GET", "/bucket", { query: "versioning" })).text, "Status")).toEqual(["Enabled"]);
  const first = await put("k", "version one");
  expect(first).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  expect((await s3.call("GET", "/bucket/k", { query: "versionId=null" })).text).toBe("null one");
  await enableVersioning(s3, "bucket", "Suspended");
  expect(await put("k", "null two")).toBeUndefined();
  expect((await s3.call("GET", "/bucket/k")).text).toBe("null two");
  expect((await s3.call("GET", "/bucket/k", { query: `versionId=${first}` })).text).toBe("version one");
  const list = (await s3.call("GET", "/bucket", { query: "versions&prefix=k" })).text;
  expect(texts(list, "VersionId")).toEqual(["null", first as string]);
  expect(texts(list, "IsLatest")).toEqual(["true", "false"]);
});

test("a key that ends with a slash has only its null version", async () => {
  await enableVersioning(s3, "bucket");
  expect(await put("folder/", "")).toBeUndefined();
});

test("documents that set nothing that exists are refused, and nothing changes", async () => {
  const bad: [string, string][] = [
    ["<VersioningConfiguration/>", "IllegalVersioningConfigurationException"],
    [
      "<VersioningConfiguration><Status>On</Status></VersioningConfiguration>",
      "IllegalVersioningConfigurationException",
    ],
    ["<Other><Status>Enabled</Status></Other>", "MalformedXML"],
    ["", "MalformedXML"],
  ];
  for (const [body, code] of bad) {
    const answer = await s3.call("PUT", "/bucket", { query: "versioning", body });
    expect([body, answer.status, answer.code]).toEqual([body, 400, code]);
  }
  expect((await s3.call("GET", "/missing", { query: "versioning" })).code).toBe("NoSuchBucket");
});

test("keys under an excluded prefix get null versions", async () => {
  const body =
    "<VersioningConfiguration><Status>Enabled</Status><ExcludedPrefixes><Prefix>tmp/</Prefix></ExcludedPrefixes></VersioningConfiguration>";
  expect((await s3.call("PUT", "/bucket", { query: "versioning", body })).status).toBe(200);
  expect(await put("tmp/x", "1")).toBeUndefined();
  expect(await put("kept/x", "1")).toBeDefined();
});
