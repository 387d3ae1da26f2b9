/** Signature V2 over HTTP, in the header and in the query. Source: s3-api.md §2.8. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { type Answer, KEYS, startServer, type S3Server } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer({ SHERD_DOMAIN: "s3.test" });
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

const mac = (text: string, secret = KEYS.secret): string =>
  createHmac("sha1", secret).update(text, "utf8").digest("base64");

interface V2Options {
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly secret?: string;
  readonly date?: string;
  /** Sent after signing. */
  readonly more?: Readonly<Record<string, string>>;
  readonly host?: string;
  readonly resource?: string;
}
function v2(method: string, path: string, options: V2Options = {}): Promise<Answer> {
  const headers: Record<string, string> = { date: options.date ?? new Date().toUTCString(), ...options.headers };
  const amz = Object.keys(headers)
    .filter((name) => name.startsWith("x-amz-"))
    .sort()
    .map((name) => `${name}:${headers[name]}\n`)
    .join("");
  const query = options.query ?? "";
  const resource = options.resource ?? `${path}${query === "" ? "" : `?${query}`}`;
  const day = headers["x-amz-date"] === undefined ? headers["date"] : "";
  const text = `${method}\n${headers["content-md5"] ?? ""}\n${headers["content-type"] ?? ""}\n${day}\n${amz}${resource}`;
  headers["authorization"] = `AWS ${KEYS.user}:${mac(text, options.secret)}`;
  return s3.call(method, path, {
    anonymous: true,
    query,
    headers: { ...headers, ...options.more },
    ...(options.body === undefined ? {} : { body: options.body }),
    ...(options.host === undefined ? {} : { host: options.host }),
  });
}
function presigned(
  method: string,
  path: string,
  expires: number,
  extra = "",
  headers: Record<string, string> = {},
): Promise<Answer> {
  const signature = mac(`${method}\n\n\n${expires}\n${path}`);
  const query = `AWSAccessKeyId=${KEYS.user}&Expires=${expires}&Signature=${encodeURIComponent(signature)}${extra}`;
  return s3.call(method, path, { anonymous: true, query, headers });
}
const soon = (): number => Math.floor(Date.now() / 1000) + 60;

test("requests signed in the header are served, with metadata, sub-resources and keys that are encoded", async () => {
  const headers = { "content-type": "text/plain", "x-amz-meta-b": "2", "x-amz-meta-a": "1" };
  expect((await v2("PUT", "/bucket/a%20b%2Bc", { headers, body: "two" })).status).toBe(200);
  const read = await v2("GET", "/bucket/a%20b%2Bc");
  expect([read.text, read.headers.get("x-amz-meta-a")]).toEqual(["two", "1"]);
  expect((await v2("GET", "/bucket", { query: "versioning" })).status).toBe(200);
  expect((await v2("GET", "/bucket", { query: "prefix=a&max-keys=2", resource: "/bucket" })).text).toContain("a b+c");
  expect((await v2("GET", "/bucket", { resource: "/bucket/" })).status).toBe(200);
  const dated = { "x-amz-date": new Date().toUTCString() };
  expect((await v2("GET", "/bucket/a%20b%2Bc", { headers: dated })).text).toBe("two");
  const host = await v2("GET", "/a%20b%2Bc", { host: "bucket.s3.test", resource: "/bucket/a%20b%2Bc" });
  expect(host.text).toBe("two");
});

test("values are signed as bytes: a no-break space in UTF-8 is none, and blanks inside a value stay", async () => {
  const bytes = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
  const values = { "x-amz-meta-name": bytes("voil\u00e0"), "x-amz-meta-blanks": "a  b" };
  const headers = { date: new Date().toUTCString(), ...values };
  const text = `PUT\n\n\n${headers.date}\nx-amz-meta-blanks:a  b\nx-amz-meta-name:${values["x-amz-meta-name"]}\n/bucket/words`;
  const signature = createHmac("sha1", KEYS.secret).update(text, "latin1").digest("base64");
  const authorization = `AWS ${KEYS.user}:${signature}`;
  const put = await s3.call("PUT", "/bucket/words", { anonymous: true, headers: { ...headers, authorization } });
  expect(put.code).toBeUndefined();
  const head = await s3.call("HEAD", "/bucket/words");
  expect(head.headers.get("x-amz-meta-name")).toBe("=?UTF-8?q?voil=C3=A0?=");
  expect((await v2("HEAD", "/bucket/words", { headers: { "x-amz-meta-one": "a b" } })).status).toBe(200);
});

test("what differs from what was signed is refused", async () => {
  expect((await v2("GET", "/bucket/a", { secret: "other" })).code).toBe("SignatureDoesNotMatch");
  expect((await v2("GET", "/bucket/a", { more: { "x-amz-meta-more": "1" } })).code).toBe("SignatureDoesNotMatch");
  expect((await v2("GET", "/bucket/a", { resource: "/bucket/b" })).code).toBe("SignatureDoesNotMatch");
  expect((await v2("GET", "/bucket", { query: "location", resource: "/bucket" })).code).toBe("SignatureDoesNotMatch");
  const stale = new Date(Date.now() - 20 * 60_000).toUTCString();
  expect((await v2("GET", "/bucket/a", { date: stale })).code).toBe("RequestTimeTooSkewed");
  const uncovered = await v2("PUT", "/bucket", { query: "publicAccessBlock", resource: "/bucket" });
  expect([uncovered.status, uncovered.code]).toEqual([403, "AccessDenied"]);
});

test("a presigned URL works until it expires, for what it was signed for", async () => {
  await s3.call("PUT", "/bucket/shared", { body: "shared" });
  expect((await presigned("GET", "/bucket/shared", soon())).text).toBe("shared");
  expect((await presigned("GET", "/bucket/shared", 1000)).code).toBe("AccessDenied");
  expect((await presigned("GET", "/bucket/shared", soon(), "&versionId=null")).code).toBe("SignatureDoesNotMatch");
  expect((await presigned("GET", "/bucket/shared", soon(), "&x-amz-meta-a=1")).code).toBe("AccessDenied");
  expect((await presigned("GET", "/bucket/shared", soon(), "", { "x-amz-meta-a": "1" })).code).toBe(
    "SignatureDoesNotMatch",
  );
  const both = await presigned("GET", "/bucket/shared", soon(), "", { authorization: "AWS a:b" });
  expect([both.status, both.code]).toEqual([400, "InvalidRequest"]);
  const half = await s3.call("GET", "/bucket/shared", { anonymous: true, query: `AWSAccessKeyId=${KEYS.user}` });
  expect([half.status, half.code]).toEqual([400, "InvalidArgument"]);
});

test("chunks cannot be signed with it, and it can be switched off", async () => {
  const headers = { "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "x-amz-decoded-content-length": "3" };
  expect((await v2("PUT", "/bucket/c", { headers, body: "abc" })).code).toBe("XAmzContentSHA256Mismatch");
  const strict = await startServer({ SHERD_SIGNATURE_V2: "off" });
  try {
    const answer = await strict.call("GET", "/", { anonymous: true, headers: { authorization: "AWS a:b" } });
    expect([answer.status, answer.code]).toEqual([400, "InvalidRequest"]);
  } finally {
    await strict.stop();
  }
});
