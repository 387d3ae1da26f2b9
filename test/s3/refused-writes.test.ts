/** Writes that MinIO takes and nobody should: nothing of them is stored. Source: s3-api.md §2.3, §2.7. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Answer, KEYS, md5Header, startServer, type S3Server } from "./server.ts";
import { amzDate, scopeOf } from "./signer.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

async function refused(answer: Answer, status: number, code: string): Promise<void> {
  expect([answer.status, answer.code]).toEqual([status, code]);
  expect((await s3.call("HEAD", "/bucket/k")).status).toBe(404);
}

test("an aws-chunked body without its last chunk", async () => {
  for (const signed of [true, false]) {
    const mode = signed ? "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" : "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    const headers: Record<string, string> = { "x-amz-decoded-content-length": "3" };
    if (!signed) headers["x-amz-trailer"] = "x-amz-checksum-crc32";
    const answer = await s3.call("PUT", "/bucket/k", { headers, payload: mode, body: "3\r\nabc\r\n" });
    expect([signed, answer.status]).toEqual([signed, 400]);
    expect((await s3.call("HEAD", "/bucket/k")).status).toBe(404);
  }
});

test("an upload with an unsigned trailer and only a credential in its query", async () => {
  const scope = scopeOf(KEYS, amzDate(Date.now()));
  const headers = { "x-amz-decoded-content-length": "3", "x-amz-trailer": "x-amz-checksum-crc32" };
  const answer = await s3.call("PUT", "/bucket/k", {
    anonymous: true,
    query: `X-Amz-Credential=${encodeURIComponent(`${KEYS.user}/${scope}`)}`,
    headers,
    payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    body: "3\r\nabc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n",
  });
  await refused(answer, 400, "AuthorizationQueryParametersError");
});

test("headers that the signature does not cover", async () => {
  for (const name of [
    "x-amz-meta-a",
    "x-amz-acl",
    "x-amz-tagging",
    "x-amz-object-lock-legal-hold",
    "x-amz-copy-source",
  ])
    await refused(
      await s3.call("PUT", "/bucket/k", { body: "x", unsignedHeaders: { [name]: "a/b" } }),
      403,
      "AccessDenied",
    );
});

test("authentication in the header and in the query at once", async () => {
  const answer = await s3.call("PUT", "/bucket/k", {
    body: "x",
    presignSeconds: 60,
    unsignedHeaders: { authorization: "AWS4-HMAC-SHA256 x" },
  });
  await refused(answer, 400, "InvalidRequest");
});

test("documents with another root, and part numbers that are none", async () => {
  const body = "<Remove><Object><Key>k</Key></Object></Remove>";
  const removed = await s3.call("POST", "/bucket", { query: "delete", body, headers: md5Header(body) });
  expect([removed.status, removed.code]).toEqual([400, "MalformedXML"]);
  for (const number of ["one", "-1", "0", "10001", "1.5", "1e3"]) {
    const answer = await s3.call("PUT", "/bucket/k", { query: `partNumber=${number}&uploadId=x`, body: "x" });
    expect([number, answer.status]).toEqual([number, 400]);
  }
});
