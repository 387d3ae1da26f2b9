/** Headers of every answer and the error document over HTTP. Source: s3-api.md §5. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

test("an error is a document with code, words, place and the request's id", async () => {
  const answer = await s3.call("GET", "/bucket/a%20b%26c");
  expect(answer.headers.get("content-type")).toBe("application/xml");
  expect(answer.text.startsWith('<?xml version="1.0" encoding="UTF-8"?>\n<Error>')).toBe(true);
  expect([texts(answer.text, "Code"), texts(answer.text, "Key"), texts(answer.text, "BucketName")]).toEqual([
    ["NoSuchKey"],
    ["a b&amp;c"],
    ["bucket"],
  ]);
  expect(texts(answer.text, "Resource")).toEqual(["/bucket/a%20b%26c"]);
  expect(texts(answer.text, "RequestId")).toEqual([answer.headers.get("x-amz-request-id") as string]);
  expect(texts(answer.text, "HostId")).toEqual([answer.headers.get("x-amz-id-2") as string]);
  expect(Number(answer.headers.get("content-length"))).toBe(answer.body.length);
});

test("an error says what the request had to do with it", async () => {
  const wrong = { user: "wire-admin", secret: "another-secret", region: "us-east-1" };
  const signed = await s3.call("GET", "/bucket/k", { keys: wrong });
  expect([texts(signed.text, "AWSAccessKeyId"), texts(signed.text, "SignatureProvided")[0]?.length]).toEqual([
    ["wire-admin"],
    64,
  ]);
  expect(texts(signed.text, "StringToSign")[0]).toStartWith("AWS4-HMAC-SHA256&#xA;");
  expect(texts(signed.text, "CanonicalRequest")[0]).toStartWith("GET&#xA;/bucket/k&#xA;");
  expect(signed.text).not.toContain("another-secret");
  const unknown = await s3.call("GET", "/bucket/k", { keys: { ...wrong, user: "nobody" } });
  expect(texts(unknown.text, "AWSAccessKeyId")).toEqual(["nobody"]);
  const unsigned = await s3.call("GET", "/bucket/k", { unsignedHeaders: { "x-amz-a": "1", "x-amz-b": "2" } });
  expect(texts(unsigned.text, "HeadersNotSigned")).toEqual(["x-amz-a, x-amz-b"]);
  const put = async (headers: Record<string, string>, payload?: string) =>
    (await s3.call("PUT", "/bucket/k", { body: "x", headers, ...(payload === undefined ? {} : { payload }) })).text;
  expect(texts(await put({ "content-md5": "none" }), "Content-MD5")).toEqual(["none"]);
  const other = await put({ "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==" }); // of nothing
  expect([texts(other, "ExpectedDigest"), texts(other, "CalculatedDigest")]).toEqual([
    ["d41d8cd98f00b204e9800998ecf8427e"],
    ["ndTkYSaMgDT1yFZOFVxnpg=="],
  ]);
  const hashed = await put({}, "0".repeat(64));
  expect(texts(hashed, "ClientComputedContentSHA256")).toEqual(["0".repeat(64)]);
  expect(texts(hashed, "S3ComputedContentSHA256")[0]).toMatch(/^2d711642b726b044/);
  expect(texts(await put({ "x-amz-tagging": "a!=b" }), "TagKey")).toEqual(["a!"]);
  const listed = await s3.call("GET", "/bucket", { query: "max-keys=x" });
  expect([texts(listed.text, "ArgumentName"), texts(listed.text, "ArgumentValue")]).toEqual([["max-keys"], ["x"]]);
  const method = await s3.call("PATCH", "/bucket/k");
  expect([texts(method.text, "Method"), texts(method.text, "ResourceType")]).toEqual([["PATCH"], ["OBJECT"]]);
  const upload = await s3.call("GET", "/bucket/k", { query: "uploadId=none" });
  expect(texts(upload.text, "UploadId")).toEqual(["none"]);
});

test("a bucket that is not there is told before a document is read", async () => {
  for (const query of ["retention", "legal-hold", "tagging"])
    expect((await s3.call("PUT", "/absent/k", { query, body: "<Other/>" })).code).toBe("NoSuchBucket");
});

test("each answer has an id of its own and the headers of all", async () => {
  const ids = new Set<string>();
  for (const path of ["/", "/bucket", "/bucket/none", "/UPPER"]) {
    const { headers } = await s3.call("GET", path);
    ids.add(headers.get("x-amz-request-id") ?? "");
    expect(headers.get("x-amz-request-id")).toMatch(/^[0-9A-F]{16,}$/);
    expect([headers.get("x-content-type-options"), headers.get("server"), headers.has("date")]).toEqual([
      "nosniff",
      "sherd",
      true,
    ]);
    expect(headers.get("strict-transport-security")).toBeUndefined();
  }
  expect(ids.size).toBe(4);
});

test("HEAD says in headers what it cannot say in a body", async () => {
  const answer = await s3.call("HEAD", "/bucket/none");
  expect([answer.status, answer.body.length]).toEqual([404, 0]);
  expect(answer.headers.get("x-minio-error-code")).toBe("NoSuchKey");
  expect(answer.headers.get("x-minio-error-desc")).toMatch(/^".*"$/);
});
