/** Checksums over HTTP: every algorithm, in headers and trailers, of single and multipart objects. Source: s3-api.md §3. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { beginUpload, completeDocument, startServer, type S3Server, texts } from "./server.ts";
import { sha256 } from "./signer.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

function crc32(bytes: Uint8Array, polynomial: number): string {
  const table = Uint32Array.from({ length: 256 }, (_, i) => {
    let c = i;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ polynomial : c >>> 1;
    return c;
  });
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 255] as number);
  const out = Buffer.alloc(4);
  out.writeUInt32BE((crc ^ 0xffffffff) >>> 0);
  return out.toString("base64");
}
function crc64(bytes: Uint8Array): string {
  const all = 0xffff_ffff_ffff_ffffn;
  const table = BigUint64Array.from({ length: 256 }, (_, i) => {
    let c = BigInt(i);
    for (let k = 0; k < 8; k++) c = (c & 1n) === 1n ? (c >> 1n) ^ 0x9a6c9329ac4bc9b5n : c >> 1n;
    return c;
  });
  let crc = all;
  for (const byte of bytes) crc = (crc >> 8n) ^ (table[Number((crc ^ BigInt(byte)) & 255n)] as bigint);
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(crc ^ all);
  return out.toString("base64");
}
const words = (value: bigint): string => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(value);
  return out.toString("base64");
};
const hash = (name: string) => (data: Uint8Array) => createHash(name).update(data).digest("base64");
const SUMS: Record<string, (data: Uint8Array) => string> = {
  CRC32: (d) => crc32(d, 0xedb88320),
  CRC32C: (d) => crc32(d, 0x82f63b78),
  CRC64NVME: crc64,
  SHA1: hash("sha1"),
  SHA256: hash("sha256"),
  MD5: hash("md5"),
  SHA512: hash("sha512"),
  XXHASH64: (d) => words(Bun.hash.xxHash64(d)),
  XXHASH3: (d) => words(Bun.hash.xxHash3(d)),
};
const NAMES = Object.keys(SUMS);
const header = (name: string): string => `x-amz-checksum-${name.toLowerCase()}`;
const known = new Map<string, string>();
const sumOf = (name: string, data: Uint8Array | string): string => {
  const bytes = Buffer.from(data);
  const key = `${name} ${sha256(bytes)}`;
  const sum = known.get(key) ?? (SUMS[name] as (d: Uint8Array) => string)(bytes);
  known.set(key, sum);
  return sum;
};
const SHOW = { "x-amz-checksum-mode": "ENABLED" };

test.each(NAMES)("%s in a header is verified, kept, and shown when asked for", async (name) => {
  const right = sumOf(name, "content");
  const put = await s3.call("PUT", `/bucket/${name}`, { body: "content", headers: { [header(name)]: right } });
  expect([put.status, put.headers.get(header(name)), put.headers.get("x-amz-checksum-type")]).toEqual([
    200,
    right,
    "FULL_OBJECT",
  ]);
  expect((await s3.call("GET", `/bucket/${name}`)).headers.get(header(name))).toBeUndefined();
  for (const method of ["GET", "HEAD"]) {
    const shown = (await s3.call(method, `/bucket/${name}`, { headers: SHOW })).headers;
    expect([shown.get(header(name)), shown.get("x-amz-checksum-type")]).toEqual([right, "FULL_OBJECT"]);
  }
  expect(
    (await s3.call("GET", `/bucket/${name}`, { headers: { ...SHOW, range: "bytes=0-1" } })).headers.get(header(name)),
  ).toBeUndefined();
  const wrong = await s3.call("PUT", `/bucket/${name}`, { body: "other", headers: { [header(name)]: right } });
  expect([wrong.status, wrong.code]).toEqual([400, "BadDigest"]);
  const bad = await s3.call("PUT", `/bucket/${name}`, { body: "other", headers: { [header(name)]: "AAA" } });
  expect([bad.status, bad.code]).toEqual([400, "BadDigest"]);
  expect((await s3.call("GET", `/bucket/${name}`)).text).toBe("content");
});

test.each(NAMES)("%s in a trailer is verified and kept, whether chunks are signed or not", async (name) => {
  for (const signed of [true, false]) {
    const put = (value: string) =>
      s3.call("PUT", `/bucket/t-${name}`, {
        body: "x".repeat(100_000),
        payload: signed ? "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" : "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        headers: { "x-amz-trailer": header(name), "content-encoding": "aws-chunked" },
        chunked: { chunkBytes: 65_536, signed, trailer: { [header(name)]: value } },
      });
    const right = sumOf(name, "x".repeat(100_000));
    const answer = await put(right);
    expect([answer.status, answer.headers.get(header(name))]).toEqual([200, right]);
    expect((await put(sumOf(name, "other"))).code).toBe("BadDigest");
    const shown = await s3.call("HEAD", `/bucket/t-${name}`, { headers: SHOW });
    expect([shown.headers.get(header(name)), shown.headers.get("content-encoding")]).toEqual([right, undefined]);
  }
});

test("two checksums, or a name that is none, are refused", async () => {
  const two = { [header("CRC32")]: sumOf("CRC32", "x"), [header("SHA1")]: sumOf("SHA1", "x") };
  expect((await s3.call("PUT", "/bucket/two", { body: "x", headers: two })).code).toBe("InvalidArgument");
  expect(
    (await s3.call("POST", "/bucket/two", { query: "uploads", headers: { "x-amz-checksum-algorithm": "MD4" } })).code,
  ).toBe("InvalidArgument");
});

test("a checksum that cannot be verified is refused, not ignored", async () => {
  const name = "x-amz-checksum-of-tomorrow";
  const answer = await s3.call("PUT", "/bucket/unverified", { body: "x", headers: { [name]: "AAAA" } });
  expect([answer.status, answer.code]).toEqual([400, "InvalidArgument"]);
  const trailed = await s3.call("PUT", "/bucket/unverified", {
    body: "x",
    payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    headers: { "x-amz-trailer": name },
    chunked: { chunkBytes: 1, signed: false, trailer: { [name]: "AAAA" } },
  });
  expect([trailed.status, trailed.code]).toEqual([400, "InvalidArgument"]);
  expect((await s3.call("HEAD", "/bucket/unverified")).status).toBe(404);
});

test("an XXHASH128 is verified, kept, listed, copied, and shown", async () => {
  const headers = {
    "x-amz-checksum-xxhash128": Buffer.from("33119477ede5dcd5e9716427681d5860", "hex").toString("base64"),
  };
  const name = "x-amz-checksum-xxhash128";
  const wrong = await s3.call("PUT", "/bucket/xxh", { body: "12345678", headers });
  expect(wrong.code).toBe("BadDigest");
  const put = await s3.call("PUT", "/bucket/xxh", { body: "123456789", headers });
  expect([put.status, put.headers.get(name)]).toEqual([200, headers[name]]);
  const list = await s3.call("GET", "/bucket", { query: "list-type=2&prefix=xxh" });
  expect(texts(list.text, "ChecksumAlgorithm")).toEqual(["XXHASH128"]);
  await s3.call("PUT", "/bucket/xxh-copy", { headers: { "x-amz-copy-source": "/bucket/xxh" } });
  expect((await s3.call("HEAD", "/bucket/xxh-copy", { headers: SHOW })).headers.get(name)).toBe(headers[name]);
  const attributes = await s3.call("GET", "/bucket/xxh", {
    query: "attributes",
    headers: { "x-amz-object-attributes": "Checksum" },
  });
  expect(texts(attributes.text, "ChecksumXXHASH128")).toEqual([headers[name]]);
});

const FIRST = new Uint8Array(5 * 1024 * 1024).fill(5);
const LAST = Buffer.from("the last part");
async function uploadBoth(
  name: string,
  type: string,
): Promise<{ id: string; parts: { number: number; etag: string; extra: string }[] }> {
  const begun = await s3.call("POST", `/bucket/m-${name}`, {
    query: "uploads",
    headers: { "x-amz-checksum-algorithm": name, "x-amz-checksum-type": type },
  });
  expect([begun.headers.get("x-amz-checksum-algorithm"), begun.headers.get("x-amz-checksum-type")]).toEqual([
    name,
    type,
  ]);
  const id = texts(begun.text, "UploadId")[0] ?? "";
  const parts = [];
  for (const [i, body] of [FIRST, LAST].entries()) {
    const sum = sumOf(name, body);
    const answer = await s3.call("PUT", `/bucket/m-${name}`, {
      query: `partNumber=${i + 1}&uploadId=${id}`,
      body,
      headers: { [header(name)]: sum },
    });
    expect([answer.status, answer.headers.get(header(name))]).toEqual([200, sum]);
    parts.push({
      number: i + 1,
      etag: answer.headers.get("etag") ?? "",
      extra: `<Checksum${name}>${sum}</Checksum${name}>`,
    });
  }
  return { id, parts };
}
test.each(NAMES.filter((name) => name !== "CRC64NVME"))(
  "a composite of %s is the sum of its parts' sums",
  async (name) => {
    const { id, parts } = await uploadBoth(name, "COMPOSITE");
    const list = (await s3.call("GET", `/bucket/m-${name}`, { query: `uploadId=${id}` })).text;
    expect([
      texts(list, "ChecksumAlgorithm"),
      texts(list, "ChecksumType"),
      texts(list, `Checksum${name}`).length,
    ]).toEqual([[name], ["COMPOSITE"], 2]);
    const raw = Buffer.concat([FIRST, LAST].map((b) => Buffer.from(sumOf(name, b), "base64")));
    const whole = `${sumOf(name, raw)}-2`;
    const complete = (value: string, list = parts) =>
      s3.call("POST", `/bucket/m-${name}`, {
        query: `uploadId=${id}`,
        body: completeDocument(list),
        headers: { [header(name)]: value },
      });
    expect((await complete(`${sumOf(name, LAST)}-2`)).code).toBe("BadDigest");
    expect(
      (
        await complete(
          whole,
          parts.map((p) => ({ ...p, extra: "" })),
        )
      ).code,
    ).toBe("InvalidPart");
    expect(
      (
        await complete(
          whole,
          parts.map((p) => ({ ...p, extra: parts[0]?.extra ?? "" })),
        )
      ).code,
    ).toBe("InvalidPart");
    const done = await complete(whole);
    expect([done.status, texts(done.text, `Checksum${name}`), texts(done.text, "ChecksumType")]).toEqual([
      200,
      [whole],
      ["COMPOSITE"],
    ]);
    const again = await complete(whole);
    expect([again.status, texts(again.text, `Checksum${name}`)]).toEqual([200, [whole]]);
    expect((await s3.call("HEAD", `/bucket/m-${name}`, { headers: SHOW })).headers.get(header(name))).toBe(whole);
    const second = await s3.call("GET", `/bucket/m-${name}`, { query: "partNumber=2", headers: SHOW });
    expect([second.body.toString(), second.headers.get(header(name))]).toEqual(["the last part", sumOf(name, LAST)]);
  },
);

test.each(["CRC32", "CRC32C", "CRC64NVME"])("the %s of the full object is the one of its bytes", async (name) => {
  const { id, parts } = await uploadBoth(name, "FULL_OBJECT");
  const whole = sumOf(name, Buffer.concat([FIRST, LAST]));
  const complete = (headers: Record<string, string>) =>
    s3.call("POST", `/bucket/m-${name}`, { query: `uploadId=${id}`, body: completeDocument(parts), headers });
  expect((await complete({ [header(name)]: sumOf(name, LAST) })).code).toBe("BadDigest");
  expect((await complete({ [header(name)]: whole, "x-amz-checksum-type": "COMPOSITE" })).status).toBe(400);
  const done = await complete({ [header(name)]: whole, "x-amz-checksum-type": "FULL_OBJECT" });
  expect([done.status, texts(done.text, `Checksum${name}`), texts(done.text, "ChecksumType")]).toEqual([
    200,
    [whole],
    ["FULL_OBJECT"],
  ]);
});

test("types that an algorithm cannot have, and parts without the upload's algorithm, are refused", async () => {
  const begin = (name: string, type: string) =>
    s3
      .call("POST", "/bucket/types", {
        query: "uploads",
        headers: { "x-amz-checksum-algorithm": name, "x-amz-checksum-type": type },
      })
      .then((a) => a.code);
  expect(await begin("SHA256", "FULL_OBJECT")).toBe("InvalidArgument");
  expect(await begin("CRC64NVME", "COMPOSITE")).toBe("InvalidArgument");
  expect(await begin("XXHASH3", "FULL_OBJECT")).toBe("InvalidArgument");
  expect(await begin("CRC32", "PARTIAL")).toBe("InvalidArgument");
  const id = await beginUpload(s3, "/bucket/types", { "x-amz-checksum-algorithm": "SHA256" });
  const part = (headers: Record<string, string>) =>
    s3.call("PUT", "/bucket/types", { query: `partNumber=1&uploadId=${id}`, body: "x", headers }).then((a) => a.code);
  expect(await part({})).toBe("InvalidArgument");
  expect(await part({ [header("CRC32")]: sumOf("CRC32", "x") })).toBe("InvalidArgument");
  expect(await part({ [header("SHA256")]: sumOf("SHA256", "x") })).toBeUndefined();
});

test("a copy keeps its source's algorithm, gets the one asked for, or CRC64NVME", async () => {
  await s3.call("PUT", "/bucket/plain", { body: "plain" });
  const copy = async (from: string, headers: Record<string, string> = {}) => {
    await s3.call("PUT", "/bucket/copied", { headers: { "x-amz-copy-source": `/bucket/${from}`, ...headers } });
    return (await s3.call("HEAD", "/bucket/copied", { headers: SHOW })).headers;
  };
  expect((await copy("SHA1")).get(header("SHA1"))).toBe(sumOf("SHA1", "content"));
  expect((await copy("SHA1", { "x-amz-checksum-algorithm": "CRC32C" })).get(header("CRC32C"))).toBe(
    sumOf("CRC32C", "content"),
  );
  const document = async (from: string) =>
    (await s3.call("PUT", "/bucket/copied", { headers: { "x-amz-copy-source": `/bucket/${from}` } })).text;
  expect(texts(await document("SHA1"), "ChecksumSHA1")).toEqual([sumOf("SHA1", "content")]);
  expect(texts(await document("plain"), "ChecksumCRC64NVME")).toEqual([sumOf("CRC64NVME", "plain")]);
  expect((await copy("plain")).get(header("CRC64NVME"))).toBe(sumOf("CRC64NVME", "plain"));
  const composite = await copy("m-SHA256");
  expect([composite.get(header("SHA256")), composite.get("x-amz-checksum-type")]).toEqual([
    sumOf("SHA256", Buffer.concat([FIRST, LAST])),
    "FULL_OBJECT",
  ]);
});

test("an upload without a checksum gets a CRC64NVME: a single one and one of parts", async () => {
  const name = "CRC64NVME";
  const put = await s3.call("PUT", "/bucket/default", { body: "content" });
  expect([put.headers.get(header(name)), put.headers.get("x-amz-checksum-type")]).toEqual([
    sumOf(name, "content"),
    "FULL_OBJECT",
  ]);
  const head = await s3.call("HEAD", "/bucket/default", { headers: SHOW });
  expect(head.headers.get(header(name))).toBe(sumOf(name, "content"));
  const id = await beginUpload(s3, "/bucket/default-parts");
  const parts: { number: number; etag: string }[] = [];
  for (const [i, body] of [FIRST, LAST].entries()) {
    const query = `partNumber=${i + 1}&uploadId=${id}`;
    const answer = await s3.call("PUT", "/bucket/default-parts", { query, body });
    parts.push({ number: i + 1, etag: answer.headers.get("etag") ?? "" });
  }
  const copied = await s3.call("PUT", "/bucket/default-parts", {
    query: `partNumber=3&uploadId=${id}`,
    headers: { "x-amz-copy-source": "/bucket/default" },
  });
  parts.push({ number: 3, etag: texts(copied.text, "ETag")[0] ?? "" });
  const completed = (list: typeof parts) =>
    s3.call("POST", "/bucket/default-parts", { query: `uploadId=${id}`, body: completeDocument(list) });
  expect((await completed(parts)).code).toBe("EntityTooSmall");
  const whole = sumOf(name, Buffer.concat([FIRST, LAST]));
  const done = await completed(parts.slice(0, 2));
  expect([texts(done.text, `Checksum${name}`), texts(done.text, "ChecksumType")]).toEqual([[whole], ["FULL_OBJECT"]]);
  const shown = await s3.call("HEAD", "/bucket/default-parts", { headers: SHOW });
  expect(shown.headers.get(header(name))).toBe(whole);
});

test("where the default is off, an upload without a checksum has none", async () => {
  const plain = await startServer({ SHERD_DEFAULT_CHECKSUM: "off" });
  try {
    await plain.call("PUT", "/bucket");
    const put = await plain.call("PUT", "/bucket/none", { body: "content" });
    const head = await plain.call("HEAD", "/bucket/none", { headers: SHOW });
    for (const { status, headers } of [put, head])
      expect([status, [...headers.keys()].filter((n) => n.startsWith("x-amz-checksum"))]).toEqual([200, []]);
    const id = await beginUpload(plain, "/bucket/none-parts");
    const part = await plain.call("PUT", "/bucket/none-parts", { query: `partNumber=1&uploadId=${id}`, body: "x" });
    const body = completeDocument([{ number: 1, etag: part.headers.get("etag") ?? "" }]);
    const done = await plain.call("POST", "/bucket/none-parts", { query: `uploadId=${id}`, body });
    expect([done.status, done.text.includes("Checksum")]).toEqual([200, false]);
  } finally {
    await plain.stop();
  }
});
