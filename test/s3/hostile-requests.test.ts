/**
 * What must not be an error of the server, whatever a client sends: for every document another root, for every number a text,
 * for every name what no name can be, and headers that contradict each other. Raw bytes; each has its 4xx. Source: s3-api.md §1.5, §1.6, §2.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { beginUpload, KEYS, md5Header, type Options, requestOf, startServer, type S3Server } from "./server.ts";
import { amzDate, scopeOf } from "./signer.ts";

let s3: S3Server;
let host = "";
let upload = "";
beforeAll(async () => {
  s3 = await startServer();
  host = `Host: ${s3.host}:${s3.port}\r\n`;
  await s3.call("PUT", "/bucket", { headers: { "x-amz-bucket-object-lock-enabled": "true" } });
  await s3.call("PUT", "/bucket/k", { body: "content" });
  upload = `uploadId=${await beginUpload(s3, "/bucket/mp")}`;
});
afterAll(async () => {
  expect((await s3.call("GET", "/bucket/k")).text).toBe("content");
  await s3.stop();
});

const BUCKET_DOCUMENTS = [
  "tagging",
  "versioning",
  "lifecycle",
  "encryption",
  "cors",
  "website",
  "object-lock",
  "replication",
  "notification",
  "ownershipControls",
  "publicAccessBlock",
  "logging",
  "accelerate",
  "requestPayment",
  "acl",
];
const OBJECT_DOCUMENTS = ["tagging", "retention", "legal-hold", "acl"];

test("a document with another root, or that is none, is malformed wherever one is expected", async () => {
  const bomb = `<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">${Array.from({ length: 20 }, (_, i) => `<!ENTITY a${i} "${i === 0 ? "&a;&a;" : `&a${i - 1};&a${i - 1};`}">`).join("")}]><Tagging>&a19;</Tagging>`;
  const places: (readonly [string, string, string])[] = [
    ...BUCKET_DOCUMENTS.map((query) => ["PUT", "/bucket", query] as const),
    ...OBJECT_DOCUMENTS.map((query) => ["PUT", "/bucket/k", query] as const),
    ["PUT", "/another-bucket", ""],
    ["POST", "/bucket", "delete"],
    ["POST", "/bucket/k", "restore"],
    ["POST", "/bucket/k", "select&select-type=2"],
    ["POST", "/bucket/mp", upload],
  ];
  for (const [method, path, query] of places)
    for (const body of [
      "<Other/>",
      "<Other><TagSet/></Other>",
      "junk",
      "<a",
      "\0",
      bomb,
      `<a>${"<a>".repeat(15_000)}`,
    ]) {
      const answer = await s3.call(method, path, { query, body, headers: md5Header(body) });
      const code = query === "acl" ? "MalformedACLError" : "MalformedXML";
      expect([query, body.slice(0, 20), answer.status, answer.code]).toEqual([query, body.slice(0, 20), 400, code]);
    }
  for (const body of ["<Policy/>", "junk", "[]", "{", `{"Statement":`.repeat(1000)])
    expect((await s3.call("PUT", "/bucket", { query: "policy", body })).code).toBe("MalformedPolicy");
  expect((await s3.call("HEAD", "/another-bucket")).status).toBe(404);
});

test("a number that is none, or too large, is refused wherever one is expected", async () => {
  const copied = { "x-amz-copy-source": "/bucket/k" };
  for (const number of ["one", "-1", "1.5", "1e3", "0x1", "%201", "%00", "9".repeat(20), "9".repeat(5000)]) {
    const asked: [string, Promise<{ status: number }>][] = [
      ["read", s3.call("GET", "/bucket/k", { query: `partNumber=${number}` })],
      ["head", s3.call("HEAD", "/bucket/k", { query: `partNumber=${number}` })],
      ["part", s3.call("PUT", "/bucket/mp", { query: `partNumber=${number}&${upload}`, body: "x" })],
      ["copied part", s3.call("PUT", "/bucket/mp", { query: `partNumber=${number}&${upload}`, headers: copied })],
      ["parts after", s3.call("GET", "/bucket/mp", { query: `${upload}&part-number-marker=${number}` })],
      ["parts", s3.call("GET", "/bucket/mp", { query: `${upload}&max-parts=${number}` })],
      ["keys", s3.call("GET", "/bucket", { query: `max-keys=${number}` })],
      ["keys V2", s3.call("GET", "/bucket", { query: `list-type=2&max-keys=${number}` })],
      ["versions", s3.call("GET", "/bucket", { query: `versions&max-keys=${number}` })],
      ["uploads", s3.call("GET", "/bucket", { query: `uploads&max-uploads=${number}` })],
      ["buckets", s3.call("GET", "/", { query: `max-buckets=${number}` })],
    ];
    for (const [what, answer] of asked)
      expect([number.slice(0, 24), what, (await answer).status]).toEqual([number.slice(0, 24), what, 400]);
  }
  for (const query of ["max-keys=2147483648", "list-type=2&max-keys=2147483648"])
    expect((await s3.call("GET", "/bucket", { query })).code).toBe("InvalidArgument");
  for (const query of ["max-buckets=0", "max-buckets=10001"])
    expect((await s3.call("GET", "/", { query })).code).toBe("InvalidArgument");
});

test("lengths that no body has are refused before a byte of it is stored", async () => {
  const put = async (options: Options): Promise<number> => {
    const answer = await s3.call("PUT", "/bucket/length", { payload: "UNSIGNED-PAYLOAD", body: "hello", ...options });
    return answer.status;
  };
  for (const length of ["9007199254740993", "9223372036854775807", "18446744073709551616", "6000000000000000", "1e9"])
    expect([length, await put({ unsignedHeaders: { "content-length": length } })]).toEqual([length, 400]);
  const payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
  const streamed = (decoded: string, size: string) =>
    put({
      payload,
      headers: { "x-amz-decoded-content-length": decoded, "x-amz-trailer": "x-amz-checksum-crc32" },
      body: `${size}\r\nabc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n`,
    });
  expect(await streamed("3", "3")).toBe(200);
  for (const decoded of ["-1", "1e9", "abc", "", "5, 5", "9007199254740993", "6000000000000000"])
    expect([decoded, await streamed(decoded, "3")]).toEqual([decoded, 400]);
  for (const size of ["ffffffffffffffff", "fffffffffffffffff", "-3", "0x3", "", "80000000", "7fffffff", "2"])
    expect([size, await streamed("3", size)]).toEqual([size, 400]);
  for (const range of ["bytes=0-9".padEnd(40, "9"), "bytes=5-2", "bytes=a-b", "bytes=0-", "bytes=-5", "0-4"]) {
    const headers = { "x-amz-copy-source": "/bucket/k", "x-amz-copy-source-range": range };
    const answer = await s3.call("PUT", "/bucket/mp", { query: `partNumber=1&${upload}`, headers });
    expect([range, answer.status, answer.code]).toEqual([range, 400, "InvalidArgument"]);
  }
});

test("a header that says what the request is comes once", async () => {
  const twice = async (line: string, options: Options = {}) => {
    const { head, body } = requestOf(s3, "PUT", "/bucket/twice", { body: "hello", ...options });
    return await s3.raw(head.replace(/\r\n\r\n$/, `\r\n${line}\r\n\r\n`), body);
  };
  for (const line of [
    "authorization: AWS4-HMAC-SHA256 Credential=a/20260101/r/s3/aws4_request,SignedHeaders=host,Signature=b",
    "Authorization: AWS a:b",
    "host: elsewhere",
    "x-amz-content-sha256: UNSIGNED-PAYLOAD",
    "x-amz-date: 20200101T000000Z",
    "content-md5: XUFAKrxLKna5cZ2REBfFkg==\r\ncontent-md5: XUFAKrxLKna5cZ2REBfFkg==",
  ]) {
    const answer = await twice(line);
    expect([line, answer.status, answer.code]).toEqual([line, 400, "InvalidRequest"]);
  }
  for (const line of [
    "content-length: 5",
    "content-length: 6",
    "transfer-encoding: chunked",
    "transfer-encoding: identity",
    "transfer-encoding: gzip, chunked",
    "transfer-encoding : chunked",
    "x-folded: a\r\n b",
  ])
    expect([line, (await twice(line)).status]).toEqual([line, 400]);
  expect((await s3.raw(`GET /bucket/k HTTP/1.1\r\n${host}Host: elsewhere\r\n\r\n`)).status).toBe(400);
  expect((await s3.call("HEAD", "/bucket/twice")).status).toBe(404);
});

test("names that no key has are refused in every operation that takes one", async () => {
  for (const key of [
    "%00",
    "a%00b",
    "..",
    "a/../b",
    "%2e%2e",
    "a%2F..%2Fb",
    "%FF",
    "%C0%AE%C0%AE/x",
    "%ED%A0%80",
    "k".repeat(1025),
  ])
    for (const [method, query] of [
      ["PUT", ""],
      ["GET", ""],
      ["HEAD", ""],
      ["DELETE", ""],
      ["POST", "uploads"],
      ["GET", "tagging"],
      ["GET", "retention"],
      ["PUT", "partNumber=1&uploadId=x"],
    ] as const) {
      const answer = await s3.call(method, `/bucket/${key}`, { query });
      expect([method, query, key.slice(0, 16), answer.status]).toEqual([method, query, key.slice(0, 16), 400]);
    }
  for (const source of [
    "%00",
    "..",
    "a/../b",
    "%FF",
    "/bucket/../k",
    "bucket/%2e%2e/x",
    "bucket",
    "bucket/",
    "/",
    `bucket/${"k".repeat(1025)}`,
  ]) {
    const answer = await s3.call("PUT", "/bucket/copy", { headers: { "x-amz-copy-source": source } });
    expect([source.slice(0, 20), answer.status]).toEqual([source.slice(0, 20), 400]);
  }
  for (const key of ["..", "a/../b", "&#0;", "k".repeat(1025), "", "/"]) {
    const body = `<Delete><Object><Key>${key}</Key></Object></Delete>`;
    const answer = await s3.call("POST", "/bucket", { query: "delete", body, headers: md5Header(body) });
    expect([key.slice(0, 16), answer.status, /<Error><Code>(XMinioInvalid|KeyTooLong)/.test(answer.text)]).toEqual([
      key.slice(0, 16),
      200,
      true,
    ]);
  }
  for (const query of [
    "prefix=..",
    "prefix=%FF",
    "marker=%FF",
    "list-type=2&start-after=%FF",
    "versions&key-marker=%FF",
  ])
    expect([query, (await s3.call("GET", "/bucket", { query })).status]).toEqual([query, 400]);
});

test("request lines that are none are refused", async () => {
  for (const line of [
    "GET /bucket/a\x01b HTTP/1.1",
    "GET /bucket/a b HTTP/1.1",
    "GET /bucket/\xff HTTP/1.1",
    "GET bucket/k HTTP/1.1",
    "GET /bucket/k HTTP/2.0",
    "GET /bucket/k",
    "PRI * HTTP/2.0",
  ])
    expect([line, (await s3.raw(`${line}\r\n${host}\r\n`)).status]).toEqual([line, 400]);
  for (const line of ["TRACE /bucket/k", "PATCH /bucket/k", "CONNECT elsewhere:80"])
    expect([line, (await s3.raw(`${line} HTTP/1.1\r\n${host}\r\n`)).status]).toEqual([line, 405]);
});

test("a credential in the query signs nothing, for parts and archives as little as for objects", async () => {
  const scope = encodeURIComponent(`${KEYS.user}/${scopeOf(KEYS, amzDate(Date.now()))}`);
  const streamed = `x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\nx-amz-decoded-content-length: 3\r\nx-amz-trailer: x-amz-checksum-crc32\r\ncontent-length: 42\r\n`;
  for (const [target, more] of [
    [`/bucket/mp?partNumber=1&${upload}&X-Amz-Credential=${scope}`, ""],
    [`/bucket/a.tar?X-Amz-Credential=${scope}`, "x-amz-meta-snowball-auto-extract: true\r\n"],
    [`/bucket/a?X-Amz-Credential=${scope}&X-Amz-Signature=${"0".repeat(64)}`, ""],
  ] as const) {
    const answer = await s3.raw(
      `PUT ${target} HTTP/1.1\r\n${host}${more}${streamed}\r\n3\r\nabc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n`,
    );
    expect([target, answer.status, answer.code]).toEqual([target, 400, "AuthorizationQueryParametersError"]);
  }
});

test("an anonymous body is checked against the hash that it comes with, and signed chunks need a signature", async () => {
  const statement = { Effect: "Allow", Principal: "*", Action: "s3:PutObject", Resource: "arn:aws:s3:::bucket/open" };
  const policy = JSON.stringify({ Version: "2012-10-17", Statement: [statement] });
  expect((await s3.call("PUT", "/bucket", { query: "policy", body: policy })).status).toBe(204);
  const put = async (payload: string) => {
    const answer = await s3.call("PUT", "/bucket/open", { anonymous: true, payload, body: "x" });
    return [answer.status, answer.code];
  };
  expect(await put("0".repeat(64))).toEqual([400, "XAmzContentSHA256Mismatch"]);
  expect(await put("none")).toEqual([400, "XAmzContentSHA256Mismatch"]);
  expect(await put("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")).toEqual([400, "InvalidRequest"]);
  expect((await s3.call("HEAD", "/bucket/open")).status).toBe(404);
  expect(await put("UNSIGNED-PAYLOAD")).toEqual([200, undefined]);
});
