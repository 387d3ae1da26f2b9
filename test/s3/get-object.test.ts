/** GetObject and HeadObject over HTTP: content, headers, ranges, parts, overrides, versions. Source: s3-api.md §4.2. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { beginUpload, completeDocument, enableVersioning, startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

const CONTENT = "0123456789";

test("GET and HEAD agree on every header, and HEAD has no body", async () => {
  await s3.call("PUT", "/bucket/k", { body: CONTENT, headers: { "x-amz-meta-a": "1" } });
  const get = await s3.call("GET", "/bucket/k");
  const head = await s3.call("HEAD", "/bucket/k");
  expect([get.status, head.status, get.text, head.text]).toEqual([200, 200, CONTENT, ""]);
  for (const name of ["etag", "last-modified", "content-length", "content-type", "accept-ranges", "x-amz-meta-a"])
    expect([name, head.headers.get(name)]).toEqual([name, get.headers.get(name)]);
  expect(get.headers.get("content-length")).toBe("10");
  expect(get.headers.get("last-modified")).toMatch(/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
});

test.each([
  ["bytes=0-3", 206, "0123", "bytes 0-3/10"],
  ["bytes=5-", 206, "56789", "bytes 5-9/10"],
  ["bytes=-3", 206, "789", "bytes 7-9/10"],
  ["bytes=-30", 206, CONTENT, "bytes 0-9/10"],
  ["bytes=8-100", 206, "89", "bytes 8-9/10"],
  ["bytes=9-9", 206, "9", "bytes 9-9/10"],
  ["bytes=0-1,3-4", 200, CONTENT, undefined],
  ["bytes=", 200, CONTENT, undefined],
  ["bytes=-", 200, CONTENT, undefined],
  ["bytes=a-b", 200, CONTENT, undefined],
  ["lines=0-3", 200, CONTENT, undefined],
  ["bytes=5-2", 200, CONTENT, undefined],
] as const)("%s answers %d", async (range, status, text, contentRange) => {
  const answer = await s3.call("GET", "/bucket/k", { headers: { range } });
  expect([answer.status, answer.text, answer.headers.get("content-range")]).toEqual([status, text, contentRange]);
  expect(answer.headers.get("content-length")).toBe(String(text.length));
  expect((await s3.call("HEAD", "/bucket/k", { headers: { range } })).headers.get("content-length")).toBe(
    String(text.length),
  );
});

test("ranges that hold nothing are not satisfiable, and say how long the object is", async () => {
  for (const range of ["bytes=10-", "bytes=100-200", "bytes=-0"]) {
    const answer = await s3.call("GET", "/bucket/k", { headers: { range } });
    expect([range, answer.status, answer.code]).toEqual([range, 416, "InvalidRange"]);
    expect(texts(answer.text, "ActualObjectSize")).toEqual(["10"]);
  }
  await s3.call("PUT", "/bucket/empty", { body: "" });
  for (const range of ["bytes=0-", "bytes=-5"])
    expect((await s3.call("GET", "/bucket/empty", { headers: { range } })).status).toBe(416);
});

test("a range across blocks is exact", async () => {
  const body = new Uint8Array(2_500_000).map((_, i) => i >> 8);
  await s3.call("PUT", "/bucket/large", { body });
  const answer = await s3.call("GET", "/bucket/large", { headers: { range: "bytes=1048570-2097160" } });
  expect(Buffer.compare(answer.body, body.subarray(1_048_570, 2_097_161))).toBe(0);
});

test("the parts of a multipart object are read by their numbers", async () => {
  const id = await beginUpload(s3, "/bucket/parts");
  const first = new Uint8Array(5 * 1024 * 1024).fill(1);
  const etags: string[] = [];
  for (const [number, body] of [
    [3, first],
    [9, Buffer.from("tail")],
  ] as const)
    etags.push(
      (await s3.call("PUT", "/bucket/parts", { query: `partNumber=${number}&uploadId=${id}`, body })).headers.get(
        "etag",
      ) ?? "",
    );
  const body = completeDocument([
    { number: 3, etag: etags[0] as string },
    { number: 9, etag: etags[1] as string },
  ]);
  expect((await s3.call("POST", "/bucket/parts", { query: `uploadId=${id}`, body })).status).toBe(200);
  const tail = await s3.call("GET", "/bucket/parts", { query: "partNumber=9" });
  expect([tail.status, tail.text, tail.headers.get("x-amz-mp-parts-count")]).toEqual([206, "tail", "2"]);
  expect(tail.headers.get("content-range")).toBe("bytes 5242880-5242883/5242884");
  const head = await s3.call("HEAD", "/bucket/parts", { query: "partNumber=3" });
  expect([head.status, head.headers.get("content-length")]).toEqual([206, "5242880"]);
  for (const number of [1, 2, 10]) {
    const missing = await s3.call("GET", "/bucket/parts", { query: `partNumber=${number}` });
    expect([number, missing.status, missing.code]).toEqual([number, 416, "InvalidPartNumber"]);
  }
});

test("a plain object is its own first part; numbers that are none, and parts with ranges, are refused", async () => {
  const whole = await s3.call("GET", "/bucket/k", { query: "partNumber=1" });
  expect([whole.status, whole.text, whole.headers.get("x-amz-mp-parts-count")]).toEqual([206, CONTENT, undefined]);
  for (const number of ["0", "-1", "x", "10001", "1e3"])
    for (const key of ["k", "missing"])
      expect((await s3.call("GET", `/bucket/${key}`, { query: `partNumber=${number}` })).code).toBe("InvalidArgument");
  const both = await s3.call("GET", "/bucket/k", { query: "partNumber=1", headers: { range: "bytes=0-1" } });
  expect([both.status, both.code]).toEqual([400, "InvalidRequest"]);
});

test("response-* parameters replace headers, in any language, and can smuggle nothing in", async () => {
  const query =
    "response-cache-control=no-cache&response-content-disposition=attachment%3B%20filename%3D%22%E6%97%A5.txt%22&response-content-encoding=aaa&response-content-language=esperanto&response-content-type=foo%2Fbar&response-expires=123";
  const answer = await s3.call("GET", "/bucket/k", { query });
  expect(answer.status).toBe(200);
  const of = (name: string): string => Buffer.from(answer.headers.get(name) ?? "", "latin1").toString();
  expect(of("content-disposition")).toBe('attachment; filename="日.txt"');
  expect([
    of("cache-control"),
    of("content-encoding"),
    of("content-language"),
    of("content-type"),
    of("expires"),
  ]).toEqual(["no-cache", "aaa", "esperanto", "foo/bar", "123"]);
  for (const value of ["a%0D%0Ax-evil%3A1", "%00", "%01"])
    expect((await s3.call("GET", "/bucket/k", { query: `response-content-type=${value}` })).code).toBe(
      "InvalidArgument",
    );
});

test("an anonymous link cannot replace headers", async () => {
  await s3.call("PUT", "/open");
  await s3.call("PUT", "/open/k", { body: CONTENT });
  const statement = { Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: "arn:aws:s3:::open/*" };
  const body = JSON.stringify({ Version: "2012-10-17", Statement: [statement] });
  expect((await s3.call("PUT", "/open", { query: "policy", body })).status).toBe(204);
  expect((await s3.call("GET", "/open/k", { anonymous: true })).text).toBe(CONTENT);
  for (const method of ["GET", "HEAD"]) {
    const query = "response-content-type=text%2Fhtml";
    const answer = await s3.call(method, "/open/k", { anonymous: true, query });
    expect([method, answer.status, answer.code]).toEqual([method, 400, "InvalidRequest"]);
  }
});

test("versions are read by their id, and delete markers say what they are", async () => {
  await s3.call("PUT", "/versioned");
  await enableVersioning(s3, "versioned");
  const first = (await s3.call("PUT", "/versioned/k", { body: "1" })).headers.get("x-amz-version-id") ?? "";
  const marker = (await s3.call("DELETE", "/versioned/k")).headers.get("x-amz-version-id") ?? "";
  const old = await s3.call("GET", "/versioned/k", { query: `versionId=${first}` });
  expect([old.text, old.headers.get("x-amz-version-id")]).toEqual(["1", first]);
  const top = await s3.call("GET", "/versioned/k");
  expect([top.status, top.code, top.headers.get("x-amz-delete-marker"), top.headers.get("x-amz-version-id")]).toEqual([
    404,
    "NoSuchKey",
    "true",
    marker,
  ]);
  const named = await s3.call("HEAD", "/versioned/k", { query: `versionId=${marker}` });
  expect([named.status, named.code, named.headers.get("x-amz-delete-marker")]).toEqual([
    405,
    "MethodNotAllowed",
    "true",
  ]);
  const unknown = await s3.call("GET", "/versioned/k", { query: "versionId=00000000-0000-4000-8000-000000000000" });
  expect([unknown.status, unknown.code]).toEqual([404, "NoSuchVersion"]);
  expect((await s3.call("GET", "/versioned/k", { query: "versionId=garbage" })).code).toBe("InvalidArgument");
});

test("what is not there is NoSuchKey with the key in the document, and a bare 404 for HEAD", async () => {
  const get = await s3.call("GET", "/bucket/no/such");
  expect([get.status, get.code, texts(get.text, "Key"), texts(get.text, "BucketName")]).toEqual([
    404,
    "NoSuchKey",
    ["no/such"],
    ["bucket"],
  ]);
  const head = await s3.call("HEAD", "/bucket/no/such");
  expect([head.status, head.text, head.code]).toEqual([404, "", "NoSuchKey"]);
});
