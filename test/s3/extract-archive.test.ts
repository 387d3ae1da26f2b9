/** Archives that are extracted as they are put, over HTTP. Source: s3-api.md §4.22. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { type Answer, type Options, startServer, type S3Server, texts } from "./server.ts";
import { COMPRESSED, MEMBERS } from "./compressed-archives.ts";
import { type Member, tarOf } from "./tar-writer.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

const EXTRACT = { "x-amz-meta-snowball-auto-extract": "true" };
const put = (body: Uint8Array, headers: Options["headers"] = {}, more: Partial<Options> = {}): Promise<Answer> =>
  s3.call("PUT", "/bucket/archive.tar", { body, headers: { ...EXTRACT, ...headers }, ...more });
const keys = async (prefix: string): Promise<string[]> =>
  texts((await s3.call("GET", "/bucket", { query: `list-type=2&prefix=${prefix}` })).text, "Key");
const content = async (key: string): Promise<string> => (await s3.call("GET", `/bucket/${key}`)).text;

test.each([
  ["plain", (b: Buffer) => b],
  ["gzip", (b: Buffer) => gzipSync(b)],
  ["zstd", (b: Buffer) => zstdCompressSync(b)],
])("files of a tar (%s) become objects with their times, and the archive itself none", async (name, pack) => {
  const large = Buffer.alloc(1_500_000, "abc");
  const body = pack(
    tarOf([
      { name: "./", type: "5" },
      { name: "./a.txt", content: "one" },
      { name: "dir/", type: "5" },
      { name: "dir/large", content: large },
      { name: "link", type: "2" },
      { name: "empty" },
    ]),
  );
  const made = await put(body, { "x-amz-meta-minio-snowball-prefix": `/${name}/` });
  expect([made.status, made.headers.get("etag")]).toEqual([200, `"${createHash("md5").update(body).digest("hex")}"`]);
  expect(await keys(`${name}/`)).toEqual(["a.txt", "dir/", "dir/large", "empty"].map((key) => `${name}/${key}`));
  expect(await content(`${name}/a.txt`)).toBe("one");
  expect((await s3.call("GET", `/bucket/${name}/dir/large`)).body.equals(large)).toBe(true);
  const head = await s3.call("HEAD", `/bucket/${name}/a.txt`);
  expect(head.headers.get("last-modified")).toBe(new Date(1_700_000_000_000).toUTCString());
  expect((await s3.call("HEAD", "/bucket/archive.tar")).status).toBe(404);
});

test.each(COMPRESSED)("an archive of %s is extracted, and damage in it refused", async (name, body) => {
  const prefix = name.replaceAll(" ", "-");
  const made = await put(body, { "x-amz-meta-minio-snowball-prefix": prefix });
  expect([made.status, made.headers.get("etag")]).toEqual([200, `"${createHash("md5").update(body).digest("hex")}"`]);
  for (const { name: member, content: wanted = "", type = "0" } of MEMBERS.slice(1))
    if (type === "0")
      expect((await content(`${prefix}/${member.replace("./", "")}`)) === Buffer.from(wanted).toString()).toBe(true);
  const damaged = Buffer.from(body);
  damaged[Math.floor(body.length / 2)] = (body[Math.floor(body.length / 2)] as number) ^ 1;
  for (const bad of [damaged, body.subarray(0, -3), body.subarray(0, 5)])
    expect([(await put(bad)).status, (await put(bad)).code]).toEqual([400, "BadRequest"]);
});

test("long names, metadata and sizes come from PAX records; folders can be left out", async () => {
  const long = `pax/${"n".repeat(120)}`;
  const records = {
    path: long,
    mtime: "1600000000.5",
    "minio.metadata.Content-Type": "text/x",
    "minio.metadata.X-Amz-Meta-A": "1",
    "minio.metadata.etag": "x",
  };
  const body = tarOf([
    { name: "short", content: "c", records },
    { name: "pax/dir/", type: "5" },
  ]);
  expect((await put(body, { "x-amz-meta-minio-snowball-ignore-dirs": "true" })).status).toBe(200);
  expect(await keys("pax/")).toEqual([long]);
  const head = await s3.call("HEAD", `/bucket/${long}`);
  expect([head.headers.get("content-type"), head.headers.get("x-amz-meta-a")]).toEqual(["text/x", "1"]);
  expect(head.headers.get("etag")).not.toBe('"x"');
});

test.each(["../up", "a/../../b", "/abs", "a\\b", "a//b", "a/./b"])(
  "the name %p in an archive is refused, or passed over when errors are ignored",
  async (name) => {
    const members: Member[] = [
      { name: "kept-1", content: "1" },
      { name, content: "evil" },
      { name: "kept-2", content: "2" },
    ];
    const refused = await put(tarOf(members), { "x-amz-meta-minio-snowball-prefix": "refused" });
    expect([refused.status, refused.code]).toEqual([400, "XMinioInvalidObjectName"]);
    const passed = await put(tarOf(members), {
      "x-amz-meta-minio-snowball-prefix": "passed",
      "x-amz-meta-minio-snowball-ignore-errors": "true",
    });
    expect(passed.status).toBe(200);
    expect(await keys("passed/")).toEqual(["passed/kept-1", "passed/kept-2"]);
  },
);

test("what is no archive, or breaks off, is a clear refusal", async () => {
  const good = tarOf([{ name: "x", content: "y".repeat(2000) }]);
  const damaged = Buffer.from(good);
  damaged[0] = 0x41;
  const gz = gzipSync(good);
  const codes = [];
  for (const body of [
    Buffer.from("not a tar".repeat(200)),
    damaged,
    good.subarray(0, 700),
    good.subarray(0, 300),
    gz.subarray(0, 30),
    Buffer.concat([gz.subarray(0, 40), Buffer.alloc(200, 7)]),
  ])
    codes.push((await put(body)).code);
  expect(codes).toEqual(codes.map(() => "BadRequest"));
});

test("signatures and digests of the archive are checked in every mode", async () => {
  const body = tarOf([{ name: "signed", content: "s" }]);
  const chunked = { chunkBytes: 1000, signed: true, trailer: null } as const;
  const streamed = await put(
    body,
    { "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" },
    { chunked, payload: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" },
  );
  expect(streamed.status).toBe(200);
  expect(await content("signed")).toBe("s");
  expect(
    (await put(body, {}, { keys: { user: "wire-admin", secret: "wrong-secret", region: "us-east-1" } })).code,
  ).toBe("SignatureDoesNotMatch");
  expect((await put(body, {}, { payload: "0".repeat(64) })).code).toBe("XAmzContentSHA256Mismatch");
  expect((await put(body, { "content-md5": createHash("md5").update("x").digest("base64") })).code).toBe("BadDigest");
  const unsigned = await s3.call("PUT", "/bucket/archive.tar", { anonymous: true, body, headers: EXTRACT });
  expect([unsigned.status, unsigned.code]).toEqual([403, "AccessDenied"]);
});

test("without the value true the object is stored as it is", async () => {
  const body = tarOf([{ name: "member", content: "s" }]);
  const made = await s3.call("PUT", "/bucket/as-it-is.tar", {
    body,
    headers: { "x-amz-meta-snowball-auto-extract": "false" },
  });
  expect(made.status).toBe(200);
  expect((await s3.call("GET", "/bucket/as-it-is.tar")).body.equals(body)).toBe(true);
});
