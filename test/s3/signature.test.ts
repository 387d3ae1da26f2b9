/** Signature V4 over HTTP: headers and presigned URLs, clocks, regions, anonymous requests. Source: s3-api.md §2.1-2.6. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { KEYS, startServer, type S3Server, texts } from "./server.ts";
import { amzDate } from "./signer.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
  await s3.call("PUT", "/bucket/k", { body: "secret" });
});
afterAll(() => s3.stop());
const MINUTE = 60_000;

test("without a signature, with a wrong secret or an unknown key nothing is given out", async () => {
  const refused = async (options: Parameters<S3Server["call"]>[2]): Promise<unknown[]> => {
    const answer = await s3.call("GET", "/bucket/k", options);
    expect(answer.text).not.toContain("secret");
    return [answer.status, answer.code];
  };
  expect(await refused({ anonymous: true })).toEqual([403, "AccessDenied"]);
  expect(await refused({ keys: { ...KEYS, secret: "wrong-secret" } })).toEqual([403, "SignatureDoesNotMatch"]);
  expect(await refused({ keys: { ...KEYS, user: "nobody" } })).toEqual([403, "InvalidAccessKeyId"]);
  expect(await refused({ presignSeconds: 60, keys: { ...KEYS, secret: "wrong-secret" } })).toEqual([
    403,
    "SignatureDoesNotMatch",
  ]);
});

test("any region is accepted where none is set", async () => {
  expect((await s3.call("GET", "/bucket/k", { keys: { ...KEYS, region: "eu-central-7" } })).status).toBe(200);
});

test("a server with a region says which one", async () => {
  const placed = await startServer({ MINIO_SITE_REGION: "eu-west-1" });
  try {
    const answer = await placed.call("GET", "/bucket", { keys: { ...KEYS, region: "us-east-1" } });
    expect([answer.status, answer.code, texts(answer.text, "Region")]).toEqual([
      400,
      "AuthorizationHeaderMalformed",
      ["eu-west-1"],
    ]);
    expect((await placed.call("GET", "/", { keys: { ...KEYS, region: "eu-west-1" } })).status).toBe(200);
  } finally {
    await placed.stop();
  }
});

test("a clock may be fifteen minutes off, not more, either way", async () => {
  for (const minutes of [-14, 14])
    expect((await s3.call("GET", "/bucket/k", { dateMs: Date.now() + minutes * MINUTE })).status).toBe(200);
  for (const minutes of [-16, 16]) {
    const answer = await s3.call("GET", "/bucket/k", { dateMs: Date.now() + minutes * MINUTE });
    expect([answer.status, answer.code]).toEqual([403, "RequestTimeTooSkewed"]);
  }
});

test("a presigned URL is good for its time only", async () => {
  expect((await s3.call("GET", "/bucket/k", { presignSeconds: 60 })).text).toBe("secret");
  const at = (options: object) => s3.call("GET", "/bucket/k", options).then((a) => [a.status, a.code]);
  expect(await at({ presignSeconds: 60, dateMs: Date.now() - 2 * MINUTE })).toEqual([403, "AccessDenied"]);
  expect(await at({ presignSeconds: 60, dateMs: Date.now() + 20 * MINUTE })).toEqual([403, "AccessDenied"]);
  expect(await at({ presignSeconds: 604_801 })).toEqual([400, "AuthorizationQueryParametersError"]);
  expect(await at({ presignSeconds: -1 })).toEqual([400, "AuthorizationQueryParametersError"]);
  expect(await at({ presignSeconds: 604_800 })).toEqual([200, undefined]);
});

test("a presigned URL is good for its method, its path and its query only", async () => {
  expect(
    (await s3.call("PUT", "/bucket/put", { presignSeconds: 60, body: "put", query: "x-amz-meta-a=1" })).status,
  ).toBe(200);
  const got = await s3.call("GET", "/bucket/put");
  expect([got.text, got.headers.get("x-amz-meta-a")]).toEqual(["put", "1"]);
  const host = `${s3.host}:${s3.port}`;
  const date = amzDate(Date.now());
  const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${KEYS.user}%2F${date.slice(0, 8)}%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=${date}&X-Amz-Expires=60&X-Amz-SignedHeaders=host`;
  for (const [rest, code] of [
    [`&X-Amz-Signature=${"0".repeat(64)}`, "SignatureDoesNotMatch"],
    ["", "AuthorizationQueryParametersError"],
    ["&X-Amz-Signature=", "AuthorizationQueryParametersError"],
  ])
    expect((await s3.raw(`GET /bucket/k?${query}${rest} HTTP/1.1\r\nhost: ${host}\r\n\r\n`)).code).toBe(code);
});

test("every x-amz header must be signed", async () => {
  for (const options of [{}, { presignSeconds: 60 }]) {
    const answer = await s3.call("PUT", "/bucket/unsigned", {
      ...options,
      body: "x",
      unsignedHeaders: { "x-amz-meta-evil": "1" },
    });
    expect([answer.status, answer.code]).toEqual([403, "AccessDenied"]);
  }
  expect((await s3.call("GET", "/bucket/k", { unsignedHeaders: { range: "bytes=0-0" } })).text).toBe("s");
});

test("two ways of signing at once, and ways that are none, are refused", async () => {
  const host = `host: ${s3.host}:${s3.port}\r\n`;
  const get = (authorization: string, query = "") =>
    s3.raw(`GET /bucket/k${query} HTTP/1.1\r\n${host}authorization: ${authorization}\r\n\r\n`);
  const both = await get("AWS4-HMAC-SHA256 x", "?X-Amz-Credential=a");
  expect([both.status, both.code]).toEqual([400, "InvalidRequest"]);
  expect((await get("Basic YTpi")).code).toBe("InvalidRequest");
  expect([(await get("Bearer abc")).status, (await get("Bearer abc")).code]).toEqual([403, "AccessDenied"]);
  expect((await get("AWS key:signature")).code).toBe("AccessDenied");
  const rest = "SignedHeaders=host, Signature=b";
  for (const [junk, words] of [
    ["", "three components"],
    [" junk", "three components"],
    [" junk, SignedHeaders=host, Signature=b", "junk"],
    [" Other=a, SignedHeaders=host, Signature=b", "missing Credential"],
    [" Credential=a/20260101/r/s3/aws4_request, Other=host, Signature=b", "missing SignedHeaders"],
    [" Credential=a/20260101/r/s3/aws4_request, SignedHeaders=host, Other=b", "missing Signature"],
    [` Credential=a, ${rest}`, "YYYYMMDD"],
    [` Credential=a/2026/r/s3/aws4_request, ${rest}`, "2026"],
    [` Credential=a/20260101/r/ec2/aws4_request, ${rest}`, "ec2"],
    [` Credential=a/20260101/r/s3/aws5_request, ${rest}`, "aws5_request"],
  ] as const) {
    const answer = await get(`AWS4-HMAC-SHA256${junk}`);
    expect([junk, answer.code, texts(answer.text, "Message")[0]?.includes(words)]).toEqual([
      junk,
      "AuthorizationHeaderMalformed",
      true,
    ]);
  }
});

test("odd characters in keys, queries and values are canonical on both sides", async () => {
  for (const key of ["a%20b", "a%2Bb", "a~b", "%C3%BC", "a%3Db%26c", "a%27b", "%25", "a%3Ab"]) {
    expect([key, (await s3.call("PUT", `/bucket/${key}`, { body: key })).status]).toEqual([key, 200]);
    expect((await s3.call("GET", `/bucket/${key}`)).text).toBe(key);
  }
  expect((await s3.call("GET", "/bucket", { query: "prefix=a%20b&delimiter&max-keys=1" })).status).toBe(200);
  expect(
    (await s3.call("PUT", "/bucket/spaces", { body: "x", headers: { "x-amz-meta-a": "two  blanks   and more" } }))
      .status,
  ).toBe(200);
});

test("a virtual host names the bucket", async () => {
  const named = await startServer({ MINIO_DOMAIN: "s3.local" });
  try {
    await named.call("PUT", "/hosted");
    const host = `hosted.s3.local:${named.port}`;
    expect((await named.call("PUT", "/a/b", { host, body: "content" })).status).toBe(200);
    expect((await named.call("GET", "/a/b", { host })).text).toBe("content");
    expect((await named.call("GET", "/hosted/a/b")).text).toBe("content");
    expect(texts((await named.call("GET", "/", { host, query: "prefix=a" })).text, "Name")).toEqual(["hosted"]);
    expect((await named.call("GET", "/a/b", { host: "other.s3.local" })).code).toBe("NoSuchBucket");
    expect((await named.call("GET", "/", { host: `s3.local:${named.port}` })).text).toContain("ListAllMyBucketsResult");
  } finally {
    await named.stop();
  }
});
