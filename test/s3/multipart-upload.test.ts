/** Create, upload, list, complete and abort of multipart uploads over HTTP. Source: s3-api.md §4.5. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { beginUpload, completeDocument, md5, md5Header, startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

const PART = 5 * 1024 * 1024;
const filled = (byte: number, size = PART): Uint8Array => new Uint8Array(size).fill(byte);
const upload = (
  path: string,
  id: string,
  number: number,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
) => s3.call("PUT", path, { query: `partNumber=${number}&uploadId=${id}`, body, headers });
const complete = (
  path: string,
  id: string,
  parts: Parameters<typeof completeDocument>[0],
  headers: Record<string, string> = {},
) => s3.call("POST", path, { query: `uploadId=${id}`, body: completeDocument(parts), headers });

test("parts in any order become one object with the metadata of its beginning", async () => {
  const headers = { "content-type": "text/plain", "x-amz-meta-a": "1", "x-amz-tagging": "t=1" };
  const begun = await s3.call("POST", "/bucket/whole", { query: "uploads=", headers });
  expect([texts(begun.text, "Bucket"), texts(begun.text, "Key")]).toEqual([["bucket"], ["whole"]]);
  const id = texts(begun.text, "UploadId")[0] ?? "";
  const second = await upload("/bucket/whole", id, 2, "tail");
  const first = await upload("/bucket/whole", id, 1, filled(7));
  expect(first.headers.get("etag")).toBe(`"${md5(filled(7)).toString("hex")}"`);
  expect((await s3.call("HEAD", "/bucket/whole")).status).toBe(404);
  const parts = [
    { number: 1, etag: first.headers.get("etag") ?? "" },
    { number: 2, etag: (second.headers.get("etag") ?? "").replaceAll('"', "") },
  ];
  const done = await complete("/bucket/whole", id, parts);
  const etag = `"${md5(Buffer.concat([md5(filled(7)), md5("tail")])).toString("hex")}-2"`;
  expect([done.status, texts(done.text, "ETag"), texts(done.text, "Key")]).toEqual([
    200,
    [etag.replaceAll('"', "&#34;")],
    ["whole"],
  ]);
  expect(texts(done.text, "Location")[0]).toBe(`http://${s3.host}:${s3.port}/bucket/whole`);
  const got = await s3.call("GET", "/bucket/whole");
  expect([got.body.length, got.body.subarray(PART).toString(), got.headers.get("etag")]).toEqual([
    PART + 4,
    "tail",
    etag,
  ]);
  expect([
    got.headers.get("content-type"),
    got.headers.get("x-amz-meta-a"),
    got.headers.get("x-amz-tagging-count"),
  ]).toEqual(["text/plain", "1", "1"]);
  const again = await complete("/bucket/whole", id, parts);
  expect([again.status, texts(again.text, "ETag")]).toEqual([200, [etag.replaceAll('"', "&#34;")]]);
  expect((await complete("/bucket/another", id, parts)).code).toBe("NoSuchUpload");
});

test("a part sent again replaces the first, parts not listed are dropped", async () => {
  const id = await beginUpload(s3, "/bucket/again");
  await upload("/bucket/again", id, 1, "old");
  const second = await upload("/bucket/again", id, 1, "new");
  await upload("/bucket/again", id, 2, "unlisted");
  const list = (await s3.call("GET", "/bucket/again", { query: `uploadId=${id}` })).text;
  expect([texts(list, "PartNumber"), texts(list, "Size")]).toEqual([
    ["1", "2"],
    ["3", "8"],
  ]);
  await complete("/bucket/again", id, [{ number: 1, etag: second.headers.get("etag") ?? "" }]);
  expect((await s3.call("GET", "/bucket/again")).text).toBe("new");
});

test("a list that is not the upload's is refused, and the upload goes on", async () => {
  const id = await beginUpload(s3, "/bucket/list");
  const etags: string[] = [];
  for (const number of [1, 2])
    etags.push((await upload("/bucket/list", id, number, `part ${number}`)).headers.get("etag") ?? "");
  const [one, two] = etags as [string, string];
  const code = (parts: Parameters<typeof completeDocument>[0]) =>
    complete("/bucket/list", id, parts).then((a) => [a.status, a.code]);
  expect(await code([])).toEqual([400, "MalformedXML"]);
  expect(
    await code([
      { number: 2, etag: two },
      { number: 1, etag: one },
    ]),
  ).toEqual([400, "InvalidPartOrder"]);
  expect(
    await code([
      { number: 1, etag: one },
      { number: 1, etag: one },
    ]),
  ).toEqual([400, "InvalidPartOrder"]);
  expect(await code([{ number: 1, etag: two }])).toEqual([400, "InvalidPart"]);
  expect(await code([{ number: 3, etag: one }])).toEqual([400, "InvalidPart"]);
  expect(
    await code([
      { number: 1, etag: one },
      { number: 2, etag: two },
    ]),
  ).toEqual([400, "EntityTooSmall"]);
  for (const body of [
    "",
    "<CompleteMultipartUpload>",
    "<Other/>",
    "<CompleteMultipartUpload><Part/></CompleteMultipartUpload>",
    "<CompleteMultipartUpload><Part><PartNumber>2</PartNumber></Part></CompleteMultipartUpload>",
  ])
    expect((await s3.call("POST", "/bucket/list", { query: `uploadId=${id}`, body })).code).toBe("MalformedXML");
  const sums = "<ChecksumCRC32>AAAAAA==</ChecksumCRC32><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C>";
  expect(await code([{ number: 2, etag: two, extra: sums }])).toEqual([400, "InvalidArgument"]);
  expect(await code([{ number: 2, etag: two }])).toEqual([200, undefined]);
});

test("of completes and aborts at once the first decides, and no drive is blamed", async () => {
  for (let round = 0; round < 3; round += 1) {
    const path = `/bucket/raced-${round}`;
    const id = await beginUpload(s3, path);
    const etag = (await upload(path, id, 1, "part")).headers.get("etag") ?? "";
    const answers = await Promise.all([
      ...Array.from({ length: 5 }, () => complete(path, id, [{ number: 1, etag }])),
      ...Array.from({ length: 3 }, () => s3.call("DELETE", path, { query: `uploadId=${id}` })),
      ...Array.from({ length: 3 }, () => upload(path, id, 2, filled(1))),
    ]);
    const statuses = answers.map((a) => a.status);
    expect([statuses.filter((s) => s >= 500), statuses.slice(5, 8).filter((s) => s === 204).length <= 1]).toEqual([
      [],
      true,
    ]);
    const done = new Set(statuses.slice(0, 5));
    expect([...done].length).toBe(1);
    expect((await s3.call("GET", path)).status).toBe(done.has(200) ? 200 : 404);
  }
});

test("conditions and a stated size are judged when the upload is completed", async () => {
  await s3.call("PUT", "/bucket/cond", { body: "there" });
  const id = await beginUpload(s3, "/bucket/cond");
  const etag = (await upload("/bucket/cond", id, 1, "new")).headers.get("etag") ?? "";
  const parts = [{ number: 1, etag }];
  expect((await complete("/bucket/cond", id, parts, { "if-none-match": "*" })).code).toBe("PreconditionFailed");
  expect((await complete("/bucket/cond", id, parts, { "if-match": '"other"' })).code).toBe("PreconditionFailed");
  expect((await complete("/bucket/cond", id, parts, { "x-amz-mp-object-size": "4" })).code).toBe("InvalidRequest");
  expect((await s3.call("GET", "/bucket/cond")).text).toBe("there");
  expect((await complete("/bucket/cond", id, parts, { "x-amz-mp-object-size": "3" })).status).toBe(200);
});

test("an aborted upload is gone, one that never was is not there", async () => {
  const id = await beginUpload(s3, "/bucket/aborted");
  await upload("/bucket/aborted", id, 1, "x");
  expect((await s3.call("DELETE", "/bucket/other-key", { query: `uploadId=${id}` })).code).toBe("NoSuchUpload");
  const gone = await s3.call("DELETE", "/bucket/aborted", { query: `uploadId=${id}` });
  expect([gone.status, gone.text]).toEqual([204, ""]);
  for (const bad of [id, "unknown", "", "..%2F..%2Fx", "%00", "A".repeat(2000)]) {
    const query = `uploadId=${bad}`;
    const answers = [
      await s3.call("DELETE", "/bucket/aborted", { query }),
      await s3.call("GET", "/bucket/aborted", { query }),
      await s3.call("PUT", "/bucket/aborted", { query: `partNumber=1&${query}`, body: "x" }),
      await s3.call("POST", "/bucket/aborted", { query, body: completeDocument([{ number: 1, etag: "x" }]) }),
    ];
    for (const answer of answers)
      expect([bad.slice(0, 20), answer.status < 500 && answer.status >= 400]).toEqual([bad.slice(0, 20), true]);
    expect(answers[0]?.status).toBe(bad.startsWith("..") ? 400 : 404);
  }
});

test("part numbers run from 1 to 10000; a wrong digest keeps the part out", async () => {
  const id = await beginUpload(s3, "/bucket/numbers");
  for (const number of ["0", "-1", "10001", "x", "", "1.5"]) {
    const answer = await s3.call("PUT", "/bucket/numbers", { query: `partNumber=${number}&uploadId=${id}`, body: "x" });
    expect([number, answer.status, answer.code]).toEqual([number, 400, "InvalidArgument"]);
  }
  expect((await upload("/bucket/numbers", id, 10_000, "x")).status).toBe(200);
  expect((await upload("/bucket/numbers", id, 1, "x", md5Header("y"))).code).toBe("BadDigest");
  expect(texts((await s3.call("GET", "/bucket/numbers", { query: `uploadId=${id}` })).text, "PartNumber")).toEqual([
    "10000",
  ]);
});

test("half of a part request is no request for the object", async () => {
  await s3.call("PUT", "/bucket/half", { body: "safe" });
  for (const [query, status] of [
    ["uploadId=x", 405],
    ["partNumber=1", 400],
  ] as const) {
    expect((await s3.call("PUT", "/bucket/half", { query, body: "lost" })).status).toBe(status);
    expect(
      (await s3.call("PUT", "/bucket/half", { query, headers: { "x-amz-copy-source": "/bucket/cond" } })).status,
    ).toBe(status);
  }
  expect((await s3.call("DELETE", "/bucket/half", { query: "partNumber=1" })).status).toBe(501);
  expect((await s3.call("GET", "/bucket/half")).text).toBe("safe");
});
