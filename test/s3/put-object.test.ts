/** PutObject over HTTP: what is kept, what is answered, what is refused. Source: s3-api.md §4.4, §1.5. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { md5, md5Header, startServer, type S3Server } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

test("the ETag is the quoted MD5, spelled ETag, and the body of the answer is empty", async () => {
  const answer = await s3.call("PUT", "/bucket/k", { body: "hello" });
  expect([answer.status, answer.headers.get("etag")]).toEqual([200, `"${md5("hello").toString("hex")}"`]);
  expect(answer.headerNames).toContain("ETag");
  expect([answer.text, answer.headers.get("content-length")]).toEqual(["", "0"]);
});

test("content headers and metadata come back as they were given, names in lower case", async () => {
  const headers = {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "no-cache",
    "content-disposition": 'attachment; filename="a.txt"',
    "content-encoding": "deflate, gzip",
    "content-language": "de",
    expires: "Thu, 01 Dec 2033 16:00:00 GMT",
    "x-amz-meta-one": "1",
    "x-amz-meta-two-words": "a  b",
    "x-amz-meta-empty": "",
  };
  expect((await s3.call("PUT", "/bucket/meta", { body: "x", headers })).status).toBe(200);
  const got = (await s3.call("GET", "/bucket/meta")).headers;
  for (const [name, value] of Object.entries(headers)) expect([name, got.get(name)]).toEqual([name, value]);
  expect((await s3.call("HEAD", "/bucket/meta")).headers.get("x-amz-meta-one")).toBe("1");
});

test("metadata that is not ASCII is signed as its bytes and shown encoded", async () => {
  const value = Buffer.from("Grüße à tous").toString("latin1");
  const answer = await s3.call("PUT", "/bucket/utf8", { body: "x", headers: { "x-amz-meta-text": value } });
  expect(answer.status).toBe(200);
  const shown = (await s3.call("HEAD", "/bucket/utf8")).headers.get("x-amz-meta-text");
  expect(shown).toBe("=?UTF-8?q?Gr=C3=BC=C3=9Fe_=C3=A0_tous?=");
  await s3.call("PUT", "/bucket/utf8-2", { body: "x", headers: { "x-amz-meta-text": shown ?? "" } });
  expect((await s3.call("HEAD", "/bucket/utf8-2")).headers.get("x-amz-meta-text")).toBe(shown);
});

test("aws-chunked is how the body came, not what it is", async () => {
  const stored = async (encoding: string): Promise<string | undefined> => {
    await s3.call("PUT", "/bucket/enc", { body: "x", headers: { "content-encoding": encoding } });
    return (await s3.call("HEAD", "/bucket/enc")).headers.get("content-encoding");
  };
  expect(await stored("gzip, aws-chunked")).toBe("gzip");
  expect(await stored("aws-chunked, deflate, gzip")).toBe("deflate, gzip");
  expect(await stored("aws-chunked")).toBeUndefined();
});

test("without a type the content is octets; empty and directory objects are objects", async () => {
  await s3.call("PUT", "/bucket/plain", { body: "" });
  const empty = await s3.call("GET", "/bucket/plain");
  expect([empty.status, empty.text, empty.headers.get("content-type")]).toEqual([200, "", "binary/octet-stream"]);
  expect(empty.headers.get("content-length")).toBe("0");
  await s3.call("PUT", "/bucket/folder/", { body: "inside" });
  expect((await s3.call("GET", "/bucket/folder/")).text).toBe("inside");
  expect((await s3.call("GET", "/bucket/folder")).status).toBe(404);
});

test("a body of several blocks comes back whole", async () => {
  const body = new Uint8Array(3_200_001).map((_, i) => (i * 7919) >> 3);
  await s3.call("PUT", "/bucket/large", { body });
  expect(Buffer.compare((await s3.call("GET", "/bucket/large")).body, body)).toBe(0);
});

test("Content-MD5 that is wrong or none refuses the body, and what was there stays", async () => {
  await s3.call("PUT", "/bucket/md5", { body: "before" });
  expect((await s3.call("PUT", "/bucket/md5", { body: "after", headers: md5Header("other") })).code).toBe("BadDigest");
  for (const bad of ["", "abc", "YWJj", "rL0Y20zC+Fzt72VPzMSk2A"])
    expect((await s3.call("PUT", "/bucket/md5", { body: "after", headers: { "content-md5": bad } })).code).toBe(
      "InvalidDigest",
    );
  expect((await s3.call("GET", "/bucket/md5")).text).toBe("before");
  expect((await s3.call("PUT", "/bucket/md5", { body: "after", headers: md5Header("after") })).status).toBe(200);
});

test("a body that does not match its signed hash is refused, and one without a hash is taken for empty", async () => {
  expect((await s3.call("PUT", "/bucket/hash", { body: "x", payload: "0".repeat(64) })).code).toBe(
    "XAmzContentSHA256Mismatch",
  );
  expect((await s3.call("PUT", "/bucket/hash", { body: "x", payload: null })).code).toBe("XAmzContentSHA256Mismatch");
  expect((await s3.call("PUT", "/bucket/hash", { body: "x", payload: "whatever" })).code).toBe(
    "XAmzContentSHA256Mismatch",
  );
  expect((await s3.call("HEAD", "/bucket/hash")).status).toBe(404);
  expect((await s3.call("PUT", "/bucket/hash", { body: "x", payload: "UNSIGNED-PAYLOAD" })).status).toBe(200);
});

test("storage classes that exist are kept, others refused", async () => {
  const put = (name: string) =>
    s3.call("PUT", "/bucket/class", { body: "x", headers: { "x-amz-storage-class": name } });
  expect((await put("REDUCED_REDUNDANCY")).status).toBe(200);
  expect((await s3.call("HEAD", "/bucket/class")).headers.get("x-amz-storage-class")).toBe("REDUCED_REDUNDANCY");
  expect((await put("STANDARD")).status).toBe(200);
  expect((await s3.call("HEAD", "/bucket/class")).headers.get("x-amz-storage-class")).toBeUndefined();
  expect((await put("GLACIER")).code).toBe("InvalidStorageClass");
});

test("metadata over 2 KiB, and headers that ask for what is not there, are refused and nothing is stored", async () => {
  const put = (headers: Record<string, string>) =>
    s3.call("PUT", "/bucket/refused", { body: "x", headers }).then((a) => a.code);
  expect(await put({ "x-amz-meta-a": "y".repeat(2048) })).toBe("MetadataTooLarge");
  expect(await put({ "x-amz-server-side-encryption": "AES256" })).toBe("NotImplemented");
  expect(await put({ "x-minio-internal-crc": "1" })).toBe("InvalidArgument");
  expect((await s3.call("HEAD", "/bucket/refused")).status).toBe(404);
});

test("a bucket that is not there takes nothing", async () => {
  const answer = await s3.call("PUT", "/missing/k", { body: "x" });
  expect([answer.status, answer.code]).toEqual([404, "NoSuchBucket"]);
});
