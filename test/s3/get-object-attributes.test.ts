/** GetObjectAttributes over HTTP. Source: s3-api.md §4.9. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
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

test("a composite checksum is shown without the number of its parts, which HEAD shows", async () => {
  const begun = await s3.call("POST", "/bucket/composite", {
    query: "uploads",
    headers: { "x-amz-checksum-algorithm": "SHA256" },
  });
  const id = texts(begun.text, "UploadId")[0];
  const sum = createHash("sha256").update("only").digest();
  const put = await s3.call("PUT", "/bucket/composite", {
    query: `partNumber=1&uploadId=${id}`,
    body: "only",
    headers: { "x-amz-checksum-sha256": sum.toString("base64") },
  });
  const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${put.headers.get("etag")}</ETag><ChecksumSHA256>${sum.toString("base64")}</ChecksumSHA256></Part></CompleteMultipartUpload>`;
  const done = await s3.call("POST", "/bucket/composite", { query: `uploadId=${id}`, body });
  const composite = createHash("sha256").update(sum).digest("base64");
  expect(texts(done.text, "ChecksumSHA256")).toEqual([`${composite}-1`]);
  const head = await s3.call("HEAD", "/bucket/composite", { headers: { "x-amz-checksum-mode": "ENABLED" } });
  expect(head.headers.get("x-amz-checksum-sha256")).toBe(`${composite}-1`);
  const shown = await attributes("/bucket/composite", "Checksum");
  expect([texts(shown.text, "ChecksumSHA256"), texts(shown.text, "ChecksumType")]).toEqual([
    [composite],
    ["COMPOSITE"],
  ]);
});
