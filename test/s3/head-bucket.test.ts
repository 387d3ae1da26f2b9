/** HeadBucket and GetBucketLocation over HTTP. Source: s3-api.md §1.3. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { startServer, type S3Server } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

test("HEAD tells whether a bucket is there, without a body", async () => {
  const there = await s3.call("HEAD", "/bucket");
  expect([there.status, there.text]).toEqual([200, ""]);
  const missing = await s3.call("HEAD", "/missing");
  expect([missing.status, missing.text, missing.code]).toEqual([404, "", "NoSuchBucket"]);
  expect((await s3.call("HEAD", "/bucket", { anonymous: true })).status).toBe(403);
});

test("the location of a bucket without a region is an empty element", async () => {
  const answer = await s3.call("GET", "/bucket", { query: "location" });
  expect(answer.status).toBe(200);
  expect(answer.text).toContain(
    '<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>',
  );
  expect((await s3.call("GET", "/missing", { query: "location=" })).code).toBe("NoSuchBucket");
});

test("a trailing slash names the bucket too", async () => {
  expect((await s3.call("HEAD", "/bucket/")).status).toBe(200);
});
