/** Conditions of writes and deletes name encrypted objects by the ETag that was shown. Source: s3-api.md §4.1, §4.14. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startServer, type S3Server } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer({ MINIO_KMS_SECRET_KEY: "my-key:QaL+NF7RZ6QIBzS1WPIyovH3AwsdwjQRFQiJmRstrGU=" });
  await s3.call("PUT", "/box");
});
afterAll(() => s3.stop());

describe.each([
  ["in the clear", {}],
  ["SSE-S3", { "x-amz-server-side-encryption": "AES256" }],
  ["SSE-KMS", { "x-amz-server-side-encryption": "aws:kms" }],
] as const)("%s", (name, headers) => {
  const path = (key: string): string => `/box/${name.replaceAll(" ", "-")}/${key}`;
  const put = async (key: string, body: string, more: Readonly<Record<string, string>> = {}) =>
    await s3.call("PUT", path(key), { headers: { ...headers, ...more }, body });
  const etagOf = async (key: string): Promise<string> =>
    (await s3.call("HEAD", path(key))).headers.get("etag") as string;

  test("a put replaces the version that its condition names, and no other", async () => {
    const first = (await put("put", "one")).headers.get("etag") as string;
    expect((await put("put", "two", { "if-match": first })).status).toBe(200);
    expect((await put("put", "three", { "if-match": first })).status).toBe(412);
    expect((await put("put", "three", { "if-none-match": await etagOf("put") })).status).toBe(412);
    expect((await put("put", "three", { "if-none-match": first })).status).toBe(200);
    expect((await s3.call("GET", path("put"))).text).toBe("three");
  });

  test("a copy and an upload do too", async () => {
    await put("source", "source");
    const first = (await put("target", "one")).headers.get("etag") as string;
    const copy = (etag: string) =>
      s3.call("PUT", path("target"), {
        headers: { ...headers, "x-amz-copy-source": path("source"), "if-match": etag },
      });
    expect((await copy(first)).status).toBe(200);
    expect((await copy(first)).status).toBe(412);
    const begun = await s3.call("POST", path("target"), { query: "uploads=", headers });
    const id = /<UploadId>([^<]*)/.exec(begun.text)?.[1] as string;
    const part = await s3.call("PUT", path("target"), { query: `partNumber=1&uploadId=${id}`, body: "part" });
    const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.get("etag")}</ETag></Part></CompleteMultipartUpload>`;
    const complete = (etag: string) =>
      s3.call("POST", path("target"), { query: `uploadId=${id}`, body, headers: { "if-match": etag } });
    const now = await etagOf("target");
    expect((await complete(first)).status).toBe(412);
    expect((await complete(now)).status).toBe(200);
    expect((await s3.call("GET", path("target"))).text).toBe("part");
  });

  test("a delete too", async () => {
    const first = (await put("gone", "one")).headers.get("etag") as string;
    expect((await s3.call("DELETE", path("gone"), { headers: { "if-match": '"no"' } })).status).toBe(412);
    expect((await s3.call("DELETE", path("gone"), { headers: { "if-match": first } })).status).toBe(204);
    expect((await s3.call("HEAD", path("gone"))).status).toBe(404);
  });
});
