/** GetObjectAttributes over HTTP. Source: s3-api.md §4.9. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { beginUpload, completeDocument, startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

const attributes = (path: string, names: string, headers: Record<string, string> = {}) =>
  s3.call("GET", path, { query: "attributes", headers: { "x-amz-object-attributes": names, ...headers } });

test("what is asked for is answered, and nothing else", async () => {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(Bun.hash.crc32("hello"));
  await s3.call("PUT", "/bucket/k", { body: "hello", headers: { "x-amz-checksum-crc32": sum.toString("base64") } });
  const all = await attributes("/bucket/k", "ETag,Checksum,ObjectParts,StorageClass,ObjectSize");
  expect([texts(all.text, "ETag"), texts(all.text, "ObjectSize"), texts(all.text, "StorageClass")]).toEqual([
    ["5d41402abc4b2a76b9719d911017c592"],
    ["5"],
    ["STANDARD"],
  ]);
  expect([texts(all.text, "ChecksumCRC32"), texts(all.text, "ChecksumType")]).toEqual([
    [sum.toString("base64")],
    ["FULL_OBJECT"],
  ]);
  expect([all.text.includes("ObjectParts"), all.headers.has("last-modified")]).toEqual([false, true]);
  const size = await attributes("/bucket/k", "ObjectSize");
  expect([size.text.includes("ETag"), texts(size.text, "ObjectSize")]).toEqual([false, ["5"]]);
});

test("no name, or one that is none, is refused with what was given", async () => {
  for (const names of ["", "Etag", "ETag,Nonsense"]) {
    const answer = await attributes("/bucket/k", names);
    expect([names, answer.status, answer.code]).toEqual([names, 400, "InvalidArgument"]);
    expect(texts(answer.text, "ArgumentName")).toEqual(["x-amz-object-attributes"]);
  }
  expect((await attributes("/bucket/none", "ETag")).code).toBe("NoSuchKey");
});

test("the parts of a multipart object come in pages", async () => {
  const id = await beginUpload(s3, "/bucket/parts");
  const part = async (number: number, body: Uint8Array | string) => ({
    number,
    etag:
      (await s3.call("PUT", "/bucket/parts", { query: `partNumber=${number}&uploadId=${id}`, body })).headers.get(
        "etag",
      ) ?? "",
  });
  const parts = [await part(1, new Uint8Array(5 * 1024 * 1024)), await part(4, "tail")];
  await s3.call("POST", "/bucket/parts", { query: `uploadId=${id}`, body: completeDocument(parts) });
  const first = await attributes("/bucket/parts", "ObjectParts", { "x-amz-max-parts": "1" });
  expect([texts(first.text, "PartsCount"), texts(first.text, "PartNumber"), texts(first.text, "IsTruncated")]).toEqual([
    ["2"],
    ["1"],
    ["true"],
  ]);
  const second = await attributes("/bucket/parts", "ObjectParts", {
    "x-amz-max-parts": "1",
    "x-amz-part-number-marker": "1",
  });
  expect([texts(second.text, "PartNumber"), texts(second.text, "Size"), texts(second.text, "IsTruncated")]).toEqual([
    ["4"],
    ["4"],
    ["false"],
  ]);
});
