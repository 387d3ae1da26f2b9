/** Reading inside zip archives, over HTTP. Source: s3-api.md §4.21. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { type Answer, enableVersioning, type Options, type S3Server, startServer, texts } from "./server.ts";
import { type Packed, type Wrapping, zipOf } from "./zip-writer.ts";

let s3: S3Server;
const LARGE = Buffer.concat([randomBytes(700_000), Buffer.alloc(2_000_000, "abc"), randomBytes(700_000)]);
const MEMBERS: readonly Packed[] = [
  { name: "z/last.json", content: "{}" },
  { name: "a.txt", content: "one" },
  { name: "dir/", mode: 0o040755, method: 0 },
  { name: "dir/large", content: LARGE, comment: "a comment" },
  { name: "dir/stored.bin", content: LARGE, method: 0 },
  { name: "dir/empty.css" },
  { name: "link", mode: 0o120777, content: "a.txt", method: 0 },
  { name: "odd", content: "xx", method: 97 },
  { name: "größe.txt", content: "ü" },
  { name: "secret", content: "x", flags: 1 },
];
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
  expect((await s3.call("PUT", "/bucket/sub/a.zip", { body: zipOf(MEMBERS) })).status).toBe(200);
});
afterAll(() => s3.stop());

const EXTRACT = { "x-minio-extract": "true" };
const read = (path: string, headers: Options["headers"] = {}, query = "", method = "GET"): Promise<Answer> =>
  s3.call(method, `/bucket/${path}`, { headers: { ...EXTRACT, ...headers }, query });
const list = (prefix: string, more = ""): Promise<Answer> =>
  s3.call("GET", "/bucket", { headers: EXTRACT, query: `list-type=2&prefix=${prefix}${more}` });

test.each(["a.txt", "dir/large", "dir/stored.bin", "dir/empty.css", "gr%C3%B6%C3%9Fe.txt"])(
  "%s is read inside its archive",
  async (name) => {
    const content = Buffer.from(MEMBERS.find((m) => encodeURI(m.name) === name)?.content ?? "");
    const got = await read(`sub/a.zip/${name}`);
    expect([got.status, got.body.equals(content)]).toEqual([200, true]);
    const head = await read(`sub/a.zip/${name}`, {}, "", "HEAD");
    expect([head.status, head.headers.get("content-length")]).toEqual([200, String(content.length)]);
    const archive = await s3.call("HEAD", "/bucket/sub/a.zip");
    for (const answer of [got, head]) {
      expect(answer.headers.get("last-modified")).toBe(archive.headers.get("last-modified") as string);
      expect([answer.headers.has("etag"), answer.headers.has("accept-ranges")]).toEqual([false, false]);
    }
  },
);

test("the content type is that of the extension, or what the request asks for", async () => {
  const types = [];
  for (const name of ["a.txt", "z/last.json", "dir/large"])
    types.push((await read(`sub/a.zip/${name}`, {}, "", "HEAD")).headers.get("content-type"));
  expect(types).toEqual(["text/plain; charset=utf-8", "application/json", "binary/octet-stream"]);
  const asked = await read("sub/a.zip/a.txt", {}, "response-content-type=text%2Fx");
  expect(asked.headers.get("content-type")).toBe("text/x");
});

test("what is no file of the archive is not there, and without the header the key means itself", async () => {
  const codes = [];
  for (const name of ["none", "dir/", "dir", "link", "odd", "A.TXT"])
    codes.push((await read(`sub/a.zip/${name}`)).code);
  expect(codes).toEqual(codes.map(() => "NoSuchKey"));
  expect((await read("sub/other.zip/a.txt")).code).toBe("NoSuchKey");
  expect((await read("sub/a.zip/a.txt", { "x-minio-extract": "false" })).code).toBe("NoSuchKey");
  expect((await read("sub/a.zip")).headers.has("etag")).toBe(true);
});

test("ranges, parts and encryption headers have no meaning inside, conditions are the archive's", async () => {
  const range = await read("sub/a.zip/a.txt", { range: "bytes=0-1" });
  expect([range.status, range.code]).toEqual([416, "InvalidRange"]);
  const part = await read("sub/a.zip/a.txt", {}, "partNumber=1");
  expect([part.status, part.code]).toEqual([416, "InvalidPartNumber"]);
  const sse = await read("sub/a.zip/a.txt", { "x-amz-server-side-encryption": "AES256" });
  expect([sse.status, sse.code]).toEqual([400, "BadRequest"]);
  const etag = (await s3.call("HEAD", "/bucket/sub/a.zip")).headers.get("etag") as string;
  expect((await read("sub/a.zip/a.txt", { "if-none-match": etag })).status).toBe(304);
  expect((await read("sub/a.zip/a.txt", { "if-match": '"x"' })).status).toBe(412);
  expect((await read("sub/a.zip/secret")).code).toBe("InvalidRequest");
});

test("a listing below the archive has its files in order, in pages, with common prefixes", async () => {
  const all = await list("sub/a.zip/", "&encoding-type=url");
  const names = [
    "a.txt",
    "dir/empty.css",
    "dir/large",
    "dir/stored.bin",
    "gr%C3%B6%C3%9Fe.txt",
    "secret",
    "z/last.json",
  ];
  expect(texts(all.text, "Key")).toEqual(names.map((name) => `sub/a.zip/${name}`));
  expect(texts(all.text, "Size")).toEqual(["3", "0", String(LARGE.length), String(LARGE.length), "2", "1", "2"]);
  expect(texts(all.text, "ETag")).toEqual(names.map(() => ""));
  expect(texts((await list("sub/a.zip/dir/l")).text, "Key")).toEqual(["sub/a.zip/dir/large"]);
  const folded = await list("sub/a.zip/", "&delimiter=%2F");
  expect(texts(folded.text, "Prefix")).toEqual(["sub/a.zip/", "sub/a.zip/dir/", "sub/a.zip/z/"]);
  expect(texts(folded.text, "KeyCount")).toEqual(["5"]);
  const seen: string[] = [];
  for (let token = ""; ; ) {
    const page = await list("sub/a.zip/", `&delimiter=%2F&max-keys=2${token}`);
    seen.push(...texts(page.text, "Key"), ...texts(page.text, "Prefix").slice(1));
    if (texts(page.text, "IsTruncated")[0] !== "true") break;
    token = `&continuation-token=${texts(page.text, "NextContinuationToken")[0]}`;
  }
  expect(seen).toEqual(["a.txt", "dir/", "größe.txt", "secret", "z/"].map((name) => `sub/a.zip/${name}`));
  expect(texts((await list("sub/a.zip/", "&start-after=sub/a.zip/dir/large")).text, "Key")).toHaveLength(4);
  expect(texts((await list("sub/a.zip/", "&start-after=sub/b")).text, "Key")).toEqual([]);
  expect(texts((await list("sub/none.zip/")).text, "Key")).toEqual([]);
});

test("zip64, comments and bytes before the archive are read", async () => {
  const forms: readonly (readonly [readonly Packed[], Wrapping])[] = [
    [MEMBERS.map((m) => ({ ...m, zip64: true })), { zip64: true }],
    [MEMBERS, { comment: "PK\x05\x06 and more".repeat(500) }],
    [MEMBERS, { prefix: randomBytes(100_000) }],
    [MEMBERS, { zip64: true, comment: "c" }],
  ];
  for (const [members, wrapping] of forms) {
    expect((await s3.call("PUT", "/bucket/form.zip", { body: zipOf(members, wrapping) })).status).toBe(200);
    expect((await read("form.zip/dir/large")).body.equals(LARGE)).toBe(true);
    expect(texts((await list("form.zip/")).text, "Key")).toHaveLength(7);
  }
});

test("an archive that is written again is read by its own directory, not by that of the one before", async () => {
  const write = async (...members: Packed[]): Promise<void> => {
    expect((await s3.call("PUT", "/bucket/again.zip", { body: zipOf(members) })).status).toBe(200);
  };
  await write({ name: "a", content: "old a" }, { name: "b", content: "old b" });
  for (const name of ["a", "b", "a"]) expect((await read(`again.zip/${name}`)).text).toBe(`old ${name}`);
  await write({ name: "b", content: "new b" }, { name: "c", content: "new c" });
  for (const name of ["b", "c"]) expect((await read(`again.zip/${name}`)).text).toBe(`new ${name}`);
  expect((await read("again.zip/a")).code).toBe("NoSuchKey");
  await s3.call("DELETE", "/bucket/again.zip");
  expect((await read("again.zip/b")).code).toBe("NoSuchKey");
});

test("a directory of many records takes pages, not memory, and its last member is found", async () => {
  const many = Array.from({ length: 70_000 }, (_, i) => ({ name: `m/${70_000 - i}`.padEnd(60, "x"), method: 0 }));
  const body = zipOf([...many, { name: "zz", content: "last" }]);
  expect((await s3.call("PUT", "/bucket/many.zip", { body })).status).toBe(200);
  expect((await read("many.zip/zz")).text).toBe("last");
  const page = await list("many.zip/", "&max-keys=3");
  const first = ["10000", "10001", "10002"].map((n) => `many.zip/${`m/${n}`.padEnd(60, "x")}`);
  expect(texts(page.text, "Key")).toEqual(first);
});

test("a broken archive is a clear refusal", async () => {
  const good = zipOf(MEMBERS);
  const at = good.lastIndexOf(Buffer.from("PK\x01\x02"));
  const flipped = Buffer.from(good);
  flipped[at] = 0;
  const moved = Buffer.from(good);
  moved.writeUInt32LE(moved.length, moved.length - 6);
  for (const body of [Buffer.from("no archive"), Buffer.alloc(0), good.subarray(0, -30), flipped, moved]) {
    await s3.call("PUT", "/bucket/broken.zip", { body });
    for (const answer of [await read("broken.zip/a.txt"), await list("broken.zip/")])
      expect([answer.status, answer.code]).toEqual([400, "InvalidRequest"]);
  }
});

test("a member that is not what the directory says is refused, or breaks off before its end", async () => {
  const body = zipOf([
    { name: "bomb", content: "x", says: { sizeBytes: 4_000_000_000 } },
    { name: "longer", content: "x".repeat(1000), says: { sizeBytes: 10 } },
    { name: "shorter", content: "x".repeat(1000), says: { sizeBytes: 1010 } },
    { name: "crc", content: "abc", says: { crc: 7 } },
    { name: "elsewhere", content: "abc", method: 0, says: { offset: 1 } },
    { name: "late", content: LARGE, says: { crc: 7 } },
  ]);
  await s3.call("PUT", "/bucket/lies.zip", { body });
  const codes = [];
  for (const name of ["bomb", "longer", "crc", "elsewhere"]) codes.push((await read(`lies.zip/${name}`)).code);
  expect(codes).toEqual(codes.map(() => "InvalidRequest"));
  for (const name of ["shorter", "late"]) {
    const got = await read(`lies.zip/${name}`).catch(() => null);
    expect(got === null || got.status === 400 || got.body.length < LARGE.length).toBe(true);
  }
  expect((await read("a.zip/none")).status).toBe(404); // and it serves on
});

test("who may read the archive may read inside, nobody else", async () => {
  await s3.call("PUT", "/closed");
  await s3.call("PUT", "/closed/a.zip", { body: zipOf(MEMBERS) });
  const anonymous = (): Promise<Answer> => s3.call("GET", "/closed/a.zip/a.txt", { anonymous: true, headers: EXTRACT });
  expect((await anonymous()).code).toBe("AccessDenied");
  const allow = async (resource: string): Promise<void> => {
    const Statement = {
      Effect: "Allow",
      Principal: "*",
      Action: "s3:GetObject",
      Resource: `arn:aws:s3:::closed/${resource}`,
    };
    const body = JSON.stringify({ Version: "2012-10-17", Statement: [Statement] });
    expect((await s3.call("PUT", "/closed", { query: "policy", body })).status).toBe(204);
  };
  await allow("a.zip/a.txt");
  expect((await anonymous()).code).toBe("AccessDenied");
  await allow("a.zip");
  expect((await anonymous()).text).toBe("one");
});

test("a version of the archive can be named, the listing shows the latest", async () => {
  await s3.call("PUT", "/versioned");
  await enableVersioning(s3, "versioned");
  const first = await s3.call("PUT", "/versioned/a.zip", { body: zipOf([{ name: "n", content: "1" }]) });
  await s3.call("PUT", "/versioned/a.zip", { body: zipOf([{ name: "n", content: "2" }, { name: "o" }]) });
  const get = (query: string): Promise<Answer> => s3.call("GET", "/versioned/a.zip/n", { headers: EXTRACT, query });
  expect((await get("")).text).toBe("2");
  expect((await get(`versionId=${first.headers.get("x-amz-version-id")}`)).text).toBe("1");
  await s3.call("DELETE", "/versioned/a.zip");
  expect((await get("")).code).toBe("NoSuchKey");
});
