/** UploadPartCopy over HTTP. Source: s3-api.md §4.6. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { beginUpload, completeDocument, enableVersioning, startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

test("ranges of a source become parts of another object", async () => {
  await s3.call("PUT", "/bucket/source", { body: "0123456789" });
  const id = await beginUpload(s3, "/bucket/target");
  const copy = (number: number, headers: Record<string, string>) =>
    s3.call("PUT", "/bucket/target", {
      query: `partNumber=${number}&uploadId=${id}`,
      headers: { "x-amz-copy-source": "/bucket/source", ...headers },
    });
  const part = await copy(1, { "x-amz-copy-source-range": "bytes=2-5" });
  expect([part.status, part.text.includes("<CopyPartResult"), texts(part.text, "LastModified").length]).toEqual([
    200,
    true,
    1,
  ]);
  for (const range of [
    "bytes=0-10",
    "bytes=10-10",
    "bytes=5-2",
    "bytes=0-",
    "bytes=-3",
    "0-3",
    "bytes=0-1,3-4",
    "bytes=a-b",
  ])
    expect([range, (await copy(1, { "x-amz-copy-source-range": range })).code]).toEqual([range, "InvalidArgument"]);
  expect((await copy(1, { "x-amz-copy-source-if-match": '"other"' })).code).toBe("PreconditionFailed");
  expect((await copy(0, {})).code).toBe("InvalidArgument");
  const etag = (texts(part.text, "ETag")[0] ?? "").replaceAll("&#34;", "");
  const done = await s3.call("POST", "/bucket/target", {
    query: `uploadId=${id}`,
    body: completeDocument([{ number: 1, etag }]),
  });
  expect([done.status, (await s3.call("GET", "/bucket/target")).text]).toEqual([200, "2345"]);
});

test("a whole version can be a part; what is not there cannot", async () => {
  await s3.call("PUT", "/versioned");
  await enableVersioning(s3, "versioned");
  const version = (await s3.call("PUT", "/versioned/k", { body: "old" })).headers.get("x-amz-version-id") ?? "";
  await s3.call("PUT", "/versioned/k", { body: "newer" });
  const id = await beginUpload(s3, "/versioned/target");
  const copy = (source: string, upload = id) =>
    s3.call("PUT", "/versioned/target", {
      query: `partNumber=1&uploadId=${upload}`,
      headers: { "x-amz-copy-source": source },
    });
  const part = await copy(`/versioned/k?versionId=${version}`);
  expect(part.headers.get("x-amz-copy-source-version-id")).toBe(version);
  expect(texts((await s3.call("GET", "/versioned/target", { query: `uploadId=${id}` })).text, "Size")).toEqual(["3"]);
  expect((await copy("/versioned/none")).code).toBe("NoSuchKey");
  expect((await copy("/missing/k")).code).toBe("NoSuchBucket");
  expect((await copy("/versioned/k", "unknown")).code).toBe("NoSuchUpload");
});
