/** ListParts and ListMultipartUploads over HTTP. Source: s3-api.md §4.5. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { beginUpload, startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

test("parts are listed by number, in pages", async () => {
  const id = await beginUpload(s3, "/bucket/k");
  for (const number of [7, 1, 3])
    await s3.call("PUT", "/bucket/k", { query: `partNumber=${number}&uploadId=${id}`, body: "x".repeat(number) });
  const list = async (query: string): Promise<string> =>
    (await s3.call("GET", "/bucket/k", { query: `uploadId=${id}${query}` })).text;
  const all = await list("");
  expect([texts(all, "PartNumber"), texts(all, "Size"), texts(all, "IsTruncated")]).toEqual([
    ["1", "3", "7"],
    ["1", "3", "7"],
    ["false"],
  ]);
  expect([texts(all, "Bucket"), texts(all, "Key"), texts(all, "UploadId"), texts(all, "MaxParts")]).toEqual([
    ["bucket"],
    ["k"],
    [id],
    ["1000"],
  ]);
  expect(texts(all, "StorageClass")).toEqual(["STANDARD"]);
  expect([texts(all, "ChecksumAlgorithm"), texts(all, "ChecksumType")]).toEqual([[""], [""]]);
  const first = await list("&max-parts=2");
  expect([texts(first, "PartNumber"), texts(first, "IsTruncated"), texts(first, "NextPartNumberMarker")]).toEqual([
    ["1", "3"],
    ["true"],
    ["3"],
  ]);
  expect(texts(await list("&max-parts=2&part-number-marker=3"), "PartNumber")).toEqual(["7"]);
  for (const bad of ["max-parts=-1", "max-parts=x", "part-number-marker=-1", "part-number-marker=x"])
    expect([bad, (await s3.call("GET", "/bucket/k", { query: `uploadId=${id}&${bad}` })).code]).toEqual([
      bad,
      "InvalidArgument",
    ]);
});

test("parts whose numbers are far apart are all found, page by page", async () => {
  const id = await beginUpload(s3, "/bucket/sparse");
  const numbers = [1, 2, 64, 65, 66, 900, 5000, 9999, 10_000];
  for (const number of numbers)
    await s3.call("PUT", "/bucket/sparse", { query: `partNumber=${number}&uploadId=${id}`, body: "part" });
  for (const size of [1, 2, 4, 9, 1000]) {
    const seen: number[] = [];
    for (let marker = "0", more = true; more; ) {
      const query = `uploadId=${id}&max-parts=${size}&part-number-marker=${marker}`;
      const { text } = await s3.call("GET", "/bucket/sparse", { query });
      expect(texts(text, "PartNumber").length).toBeLessThanOrEqual(size);
      seen.push(...texts(text, "PartNumber").map(Number));
      more = texts(text, "IsTruncated")[0] === "true";
      marker = texts(text, "NextPartNumberMarker")[0] ?? "";
    }
    expect([size, seen]).toEqual([size, numbers]);
  }
});

test("uploads are listed by key and age, grouped, and in pages", async () => {
  await s3.call("PUT", "/uploads");
  const ids = new Map<string, string[]>();
  for (const key of ["b", "a/1", "a/2", "b", "c"])
    ids.set(key, [...(ids.get(key) ?? []), await beginUpload(s3, `/uploads/${key}`)]);
  const list = async (query: string): Promise<string> =>
    (await s3.call("GET", "/uploads", { query: `uploads&${query}` })).text;
  const all = await list("");
  expect(texts(all, "Key")).toEqual(["a/1", "a/2", "b", "b", "c"]);
  expect(texts(all, "UploadId").slice(2, 4)).toEqual(ids.get("b") as string[]);
  const grouped = await list("delimiter=/");
  expect([texts(grouped, "Key"), texts(grouped, "Prefix")]).toEqual([
    ["b", "b", "c"],
    ["", "a/"],
  ]);
  expect(texts(await list("prefix=a/"), "Key")).toEqual(["a/1", "a/2"]);
  const seen: string[] = [];
  let at = "";
  for (;;) {
    const page = await list(`max-uploads=1${at}`);
    seen.push(...texts(page, "UploadId"));
    if (texts(page, "IsTruncated")[0] === "false") break;
    at = `&key-marker=${encodeURIComponent(texts(page, "NextKeyMarker")[0] ?? "")}&upload-id-marker=${texts(page, "NextUploadIdMarker")[0]}`;
  }
  expect(seen).toEqual(texts(all, "UploadId"));
  expect(texts(await list("max-uploads=0"), "IsTruncated")).toEqual(["false"]);
  expect((await s3.call("GET", "/uploads", { query: "uploads&max-uploads=-1" })).code).toBe("InvalidArgument");
  expect((await s3.call("GET", "/missing", { query: "uploads" })).code).toBe("NoSuchBucket");
});
