/** The router's table over HTTP: what is not there answers NotImplemented, and nothing becomes another operation. Source: s3-api.md §1. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { startServer, type S3Server } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
  await s3.call("PUT", "/bucket/k", { body: "content" });
});
afterAll(() => s3.stop());
const statusOf = async (method: string, path: string, query: string, body = ""): Promise<number> =>
  (await s3.call(method, path, { query, body })).status;

test("a setting that is not one, or cannot be changed yet, is refused, and its removal leaves the bucket", async () => {
  const keys = [
    "policy",
    "lifecycle",
    "object-lock",
    "replication",
    "notification",
    "cors",
    "website",
    "publicAccessBlock",
    "ownershipControls",
    "logging",
    "accelerate",
    "requestPayment",
    "inventory",
    "metrics",
    "analytics",
    "intelligent-tiering",
    "nonsense",
  ];
  for (const key of keys) {
    expect([400, 501]).toContain(await statusOf("PUT", "/bucket", key, "<x/>"));
    expect([200, 204, 501]).toContain(await statusOf("DELETE", "/bucket", key));
  }
  expect((await s3.call("HEAD", "/bucket")).status).toBe(200);
});

test.each([
  ["policy", "NoSuchBucketPolicy"],
  ["lifecycle", "NoSuchLifecycleConfiguration"],
  ["encryption", "ServerSideEncryptionConfigurationNotFoundError"],
  ["object-lock", "ObjectLockConfigurationNotFoundError"],
  ["replication", "ReplicationConfigurationNotFoundError"],
  ["cors", "NoSuchCORSConfiguration"],
  ["website", "NoSuchWebsiteConfiguration"],
  ["publicAccessBlock", "NoSuchPublicAccessBlockConfiguration"],
  ["ownershipControls", "OwnershipControlsNotFoundError"],
  ["tagging", "NoSuchTagSet"],
] as const)("GET ?%s of a bucket without it says %s", async (query, code) => {
  const answer = await s3.call("GET", "/bucket", { query });
  expect([answer.status, answer.code]).toEqual([404, code]);
  expect((await s3.call("GET", "/missing", { query })).code).toBe("NoSuchBucket");
});

test("settings that every bucket has are empty documents", async () => {
  for (const [query, root] of [
    ["logging", "BucketLoggingStatus"],
    ["accelerate", "AccelerateConfiguration"],
    ["requestPayment", "RequestPaymentConfiguration"],
    ["notification", "NotificationConfiguration"],
  ] as const) {
    const answer = await s3.call("GET", "/bucket", { query });
    expect([query, answer.status, answer.text.includes(`<${root}`)]).toEqual([query, 200, true]);
  }
});

test("sub-resources of an object never read, write or remove the object", async () => {
  expect((await s3.call("GET", "/bucket/k", { query: "uploads" })).code).toBe("InvalidRequest");
  expect((await s3.call("PUT", "/bucket/k", { query: "partNumber=1", body: "lost" })).code).toBe("InvalidArgument");
  expect(await statusOf("PUT", "/bucket/k", "uploadId=x", "lost")).toBe(405);
  for (const query of ["torrent", "select", "restore"]) {
    const answer = await s3.call("GET", "/bucket/k", { query });
    expect([query, answer.status, answer.text.includes("content")]).toEqual([query, 501, false]);
  }
  for (const query of ["torrent", "uploads", "restore", "policy", "lifecycle", "nonsense", "append"]) {
    expect([query, await statusOf("PUT", "/bucket/k", query, "lost")]).toEqual([query, 501]);
    expect([query, await statusOf("DELETE", "/bucket/k", query)]).toEqual([query, 501]);
  }
  expect(await statusOf("DELETE", "/bucket/k", "acl")).toBe(501);
  expect(await statusOf("HEAD", "/bucket", "acl")).toBe(501);
  for (const query of ["retention", "legal-hold"]) {
    expect([query, await statusOf("PUT", "/bucket/k", query, "lost")]).toEqual([query, 400]);
    expect([query, await statusOf("DELETE", "/bucket/k", query)]).toEqual([query, 501]);
  }
  expect(await statusOf("POST", "/bucket/k", "select&select-type=2")).toBe(400);
  expect(await statusOf("POST", "/bucket/k", "restore")).toBe(400);
  expect((await s3.call("GET", "/bucket/k")).text).toBe("content");
});

test("unknown parameters of a read are ignored", async () => {
  expect((await s3.call("GET", "/bucket/k", { query: "foo=bar&x-id=GetObject" })).text).toBe("content");
  expect(await statusOf("GET", "/bucket", "foo")).toBe(200);
});

test("methods that S3 does not have here are refused", async () => {
  for (const [method, path] of [
    ["PATCH", "/bucket/k"],
    ["TRACE", "/bucket/k"],
    ["PUT", "/"],
    ["DELETE", "/"],
    ["POST", "/bucket/k"],
  ] as const) {
    const answer = await s3.call(method, path);
    expect([method, path, answer.status, answer.code]).toEqual([method, path, 405, "MethodNotAllowed"]);
  }
  expect(await statusOf("POST", "/bucket", "")).toBe(405);
});
