/** aws-chunked bodies over HTTP: framing, signatures, trailers, and what clients make of them. Source: s3-api.md §2.7. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { beginUpload, startServer, type S3Server } from "./server.ts";
import type { ChunkedForm } from "./signer.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

const SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const CRC = { "x-amz-checksum-crc32": "" };
const sum = Buffer.alloc(4);
sum.writeUInt32BE(Bun.hash.crc32("0123456789"));
CRC["x-amz-checksum-crc32"] = sum.toString("base64");
const put = (payload: string, form: Partial<ChunkedForm>, headers: Record<string, string> = {}, key = "k") =>
  s3.call("PUT", `/bucket/${key}`, {
    body: "0123456789",
    payload,
    headers: { ...(form.trailer == null ? {} : { "x-amz-trailer": Object.keys(form.trailer).join(",") }), ...headers },
    chunked: { chunkBytes: 4, signed: payload !== UNSIGNED, trailer: null, ...form },
  });

test("all three framings store the same bytes, as objects and as parts", async () => {
  for (const [payload, trailer] of [
    [SIGNED, null],
    [`${SIGNED}-TRAILER`, CRC],
    [UNSIGNED, CRC],
  ] as const) {
    expect([payload, (await put(payload, { trailer })).status]).toEqual([payload, 200]);
    expect((await s3.call("GET", "/bucket/k")).text).toBe("0123456789");
    const id = await beginUpload(s3, "/bucket/part");
    const part = await s3.call("PUT", "/bucket/part", {
      query: `partNumber=1&uploadId=${id}`,
      body: "0123456789",
      payload,
      headers: trailer === null ? {} : { "x-amz-trailer": "x-amz-checksum-crc32" },
      chunked: { chunkBytes: 3, signed: payload !== UNSIGNED, trailer },
    });
    expect([payload, part.headers.get("etag")]).toEqual([payload, '"781e5e245d69b566979b86e28d23f2c7"']);
  }
});

test("line ends of clients that are not by the book are understood", async () => {
  expect((await put(UNSIGNED, { trailer: CRC, lineEnd: "\n", trailerEnd: "\r\n\r\n" })).status).toBe(200);
  expect((await put(UNSIGNED, { trailer: CRC, trailerEnd: "" })).status).toBe(200);
  expect((await put(`${SIGNED}-TRAILER`, { trailer: CRC, lineEnd: "\n", trailerEnd: "\n" })).status).toBe(200);
});

test("a signed trailer of minio-go has an empty line before its signature", async () => {
  const form = { trailer: CRC, lineEnd: "\n", beforeSignature: "\r\n", trailerEnd: "\r\n\r\n" };
  expect((await put(`${SIGNED}-TRAILER`, form)).status).toBe(200);
  const unsigned = await put(`${SIGNED}-TRAILER`, { ...form, beforeSignature: "\r\n\r\n" }, {}, "none");
  expect([unsigned.status, unsigned.code]).toEqual([403, "SignatureDoesNotMatch"]);
  expect((await s3.call("HEAD", "/bucket/none")).status).toBe(404);
});

test("a presigned URL with an unsigned trailer works as well", async () => {
  const answer = await s3.call("PUT", "/bucket/presigned", {
    presignSeconds: 60,
    headers: {
      "x-amz-content-sha256": UNSIGNED,
      "x-amz-trailer": "x-amz-checksum-crc32",
      "x-amz-decoded-content-length": "10",
    },
    payload: UNSIGNED,
    body: `a\r\n0123456789\r\n0\r\nx-amz-checksum-crc32:${CRC["x-amz-checksum-crc32"]}\r\n\r\n`,
  });
  expect([answer.status, (await s3.call("GET", "/bucket/presigned")).text]).toEqual([200, "0123456789"]);
});

test("what does not add up is refused, and nothing is stored", async () => {
  const refused = async (answer: ReturnType<typeof put>, status: number, code: string): Promise<void> => {
    const got = await answer;
    expect([got.status, got.code]).toEqual([status, code]);
    expect((await s3.call("HEAD", "/bucket/none")).status).toBe(404);
  };
  const length = (n: string) => ({ "x-amz-decoded-content-length": n });
  await refused(put(SIGNED, { signed: false }, {}, "none"), 400, "BadRequest");
  await refused(put(SIGNED, {}, length("11"), "none"), 400, "IncompleteBody");
  await refused(put(SIGNED, {}, length("9"), "none"), 400, "ExcessData");
  await refused(put(UNSIGNED, { trailer: CRC, trailerEnd: "\r\nmore" }, {}, "none"), 400, "ExcessData");
  await refused(put(UNSIGNED, { trailer: {} }, {}, "none"), 400, "BadRequest");
  await refused(put(UNSIGNED, { trailer: CRC }, { "x-amz-trailer": "x-amz-checksum-sha1" }, "none"), 400, "BadRequest");
  await refused(put(UNSIGNED, { trailer: { "x-amz-checksum-crc32": "AAAAAA==" } }, {}, "none"), 400, "BadDigest");
  for (const bad of ["-1", "x", "99999999999999999999", "1e1"])
    await refused(put(SIGNED, {}, length(bad), "none"), 400, "InvalidArgument");
});

test("a changed chunk or trailer does not match its signature", async () => {
  const at = { host: s3.host, port: s3.port };
  const { requestOf } = await import("./server.ts");
  const { head, body } = requestOf(at, "PUT", "/bucket/forged", {
    body: "0123456789",
    payload: SIGNED,
    chunked: { chunkBytes: 4, signed: true, trailer: null },
  });
  const forged = Buffer.from(body);
  forged[forged.indexOf("4567")] = 0x58;
  const answer = await s3.raw(head, forged);
  expect([answer.status, answer.code]).toEqual([403, "SignatureDoesNotMatch"]);
  const trailed = requestOf(at, "PUT", "/bucket/forged", {
    body: "0123456789",
    payload: `${SIGNED}-TRAILER`,
    headers: { "x-amz-trailer": "x-amz-checksum-crc32" },
    chunked: { chunkBytes: 4, signed: true, trailer: CRC },
  });
  const text = Buffer.from(trailed.body)
    .toString("latin1")
    .replace(/(trailer-signature:)[0-9a-f]{4}/, "$1ffff");
  expect((await s3.raw(trailed.head, text)).code).toBe("SignatureDoesNotMatch");
  expect((await s3.call("HEAD", "/bucket/forged")).status).toBe(404);
});

test("streaming is for uploads, and never replaces a signature", async () => {
  expect((await s3.call("GET", "/bucket/k", { payload: UNSIGNED })).code).toBe("XAmzContentSHA256Mismatch");
  const body = "<Delete><Object><Key>k</Key></Object></Delete>";
  expect((await s3.call("POST", "/bucket", { query: "delete", payload: SIGNED, body })).code).toBe(
    "XAmzContentSHA256Mismatch",
  );
  const anonymous = await s3.call("PUT", "/bucket/forged", {
    anonymous: true,
    payload: UNSIGNED,
    body: "1\r\nx\r\n0\r\n\r\n",
    unsignedHeaders: { "x-amz-decoded-content-length": "1" },
  });
  expect([anonymous.status, anonymous.code]).toEqual([403, "AccessDenied"]);
});

test("the name of a key in the query is no signature", async () => {
  for (const query of [
    "X-Amz-Credential=wire-admin%2F20260101%2Fus-east-1%2Fs3%2Faws4_request",
    `X-Amz-Credential=wire-admin%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=${"0".repeat(64)}`,
  ]) {
    const answer = await s3.call("PUT", "/bucket/named", {
      anonymous: true,
      query,
      payload: UNSIGNED,
      body: "1\r\nx\r\n0\r\n\r\n",
      unsignedHeaders: { "x-amz-decoded-content-length": "1" },
    });
    expect([answer.status, answer.code]).toEqual([400, "AuthorizationQueryParametersError"]);
  }
  expect((await s3.call("HEAD", "/bucket/named")).status).toBe(404);
});

test("a chunked upload needs its decoded length, and chunks have a limit", async () => {
  expect((await s3.call("PUT", "/bucket/none", { payload: SIGNED, body: "0\r\n\r\n" })).code).toBe(
    "MissingContentLength",
  );
  const huge = await s3.call("PUT", "/bucket/none", {
    payload: UNSIGNED,
    headers: { "x-amz-decoded-content-length": "20000000", "x-amz-trailer": "x-amz-checksum-crc32" },
    body: "1312D00\r\n0123",
  });
  expect([huge.status, huge.code]).toEqual([400, "BadRequest"]);
});
