/** DeleteBucket over HTTP. Source: s3-api.md §1.3. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect } from "node:net";
import { enableVersioning, requestOf, startServer, type S3Server } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
});
afterAll(() => s3.stop());

test("an empty bucket goes, and can be made again", async () => {
  await s3.call("PUT", "/short");
  const gone = await s3.call("DELETE", "/short");
  expect([gone.status, gone.text, gone.headers.get("content-length")]).toEqual([204, "", undefined]);
  const again = await s3.call("DELETE", "/short");
  expect(again.code).toBe("NoSuchBucket");
  expect(again.text).toContain("<Message>The specified bucket does not exist</Message>"); // AWS's, which clients compare
  expect((await s3.call("PUT", "/short")).status).toBe(200);
});

test("a bucket with an object, or with nothing but a delete marker, stays", async () => {
  await s3.call("PUT", "/kept");
  await enableVersioning(s3, "kept");
  const version = (await s3.call("PUT", "/kept/a/b", { body: "x" })).headers.get("x-amz-version-id");
  expect((await s3.call("DELETE", "/kept")).code).toBe("BucketNotEmpty");
  const marker = (await s3.call("DELETE", "/kept/a/b")).headers.get("x-amz-version-id");
  await s3.call("DELETE", "/kept/a/b", { query: `versionId=${version}` });
  const still = await s3.call("DELETE", "/kept");
  expect([still.status, still.code]).toEqual([409, "BucketNotEmpty"]);
  await s3.call("DELETE", "/kept/a/b", { query: `versionId=${marker}` });
  expect((await s3.call("DELETE", "/kept")).status).toBe(204);
});

test("a bucket goes when the last reader of a deleted object is gone", async () => {
  await s3.call("PUT", "/read");
  await s3.call("PUT", "/read/large", { body: Buffer.alloc(30_000_000, "large") });
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  const reader = connect(s3.port, s3.host, () => reader.write(requestOf(s3, "GET", "/read/large", {}).head));
  reader.once("data", () => {
    reader.pause();
    resolve();
  });
  await begun;
  expect((await s3.call("DELETE", "/read/large")).status).toBe(204);
  const removal = s3.call("DELETE", "/read");
  for (let i = 0; i < 20; i++) expect((await s3.call("GET", "/")).status).toBe(200); // the removal is well on its way
  reader.destroy();
  const removed = await removal;
  expect([removed.status, removed.code]).toEqual([204, undefined]);
});

test("a new bucket of the same name knows nothing of the settings of the old one", async () => {
  await s3.call("PUT", "/again");
  await enableVersioning(s3, "again");
  await s3.call("DELETE", "/again");
  await s3.call("PUT", "/again");
  expect((await s3.call("GET", "/again", { query: "versioning" })).text).not.toContain("Enabled");
});
