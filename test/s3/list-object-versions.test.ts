/** ListObjectVersions over HTTP. Source: s3-api.md §4.3.4. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { enableVersioning, startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
const ids: Record<string, string[]> = {};
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
  await s3.call("PUT", "/bucket/a", { body: "null" });
  await enableVersioning(s3, "bucket");
  for (const key of ["a", "b/x", "b/y", "c"]) {
    ids[key] = [];
    for (const body of ["1", "22"])
      ids[key].unshift((await s3.call("PUT", `/bucket/${key}`, { body })).headers.get("x-amz-version-id") ?? "");
  }
  ids["c"]?.unshift((await s3.call("DELETE", "/bucket/c")).headers.get("x-amz-version-id") ?? "");
  ids["a"]?.push("null");
});
afterAll(() => s3.stop());
const list = async (query: string): Promise<string> =>
  (await s3.call("GET", "/bucket", { query: `versions&${query}` })).text;
const entriesOf = (text: string): string[] =>
  [...text.matchAll(/<(Version|DeleteMarker)><Key>([^<]*)<\/Key><VersionId>([^<]*)</g)].map(
    (m) => `${m[1]} ${m[2]} ${m[3]}`,
  );

test("versions come by key, newest first, markers among them, one latest for each key", async () => {
  const text = await list("");
  const wanted = ["a", "b/x", "b/y", "c"].flatMap((key) =>
    (ids[key] ?? []).map((id, i) => `${key === "c" && i === 0 ? "DeleteMarker" : "Version"} ${key} ${id}`),
  );
  expect(entriesOf(text)).toEqual(wanted);
  expect(texts(text, "IsLatest")).toEqual([
    "true",
    "false",
    "false",
    "true",
    "false",
    "true",
    "false",
    "true",
    "false",
    "false",
  ]);
  expect(text).toContain("<KeyMarker></KeyMarker>");
});

test("versions show their checksum's algorithm and type", async () => {
  const headers = { "x-amz-checksum-crc32": "jNwWgw==" }; // of "x"
  await s3.call("PUT", "/summed");
  expect((await s3.call("PUT", "/summed/k", { body: "x", headers })).status).toBe(200);
  const { text } = await s3.call("GET", "/summed", { query: "versions" });
  expect([texts(text, "ChecksumAlgorithm"), texts(text, "ChecksumType")]).toEqual([["CRC32"], ["FULL_OBJECT"]]);
});

test("pages of every size give each version once, also inside a key", async () => {
  const wanted = entriesOf(await list(""));
  for (const size of [1, 2, 3, 4, 7]) {
    const seen: string[] = [];
    let at = "";
    for (;;) {
      const page = await list(`max-keys=${size}${at}`);
      expect(entriesOf(page).length).toBeLessThanOrEqual(size);
      seen.push(...entriesOf(page));
      if (texts(page, "IsTruncated")[0] === "false") break;
      const version = texts(page, "NextVersionIdMarker")[0];
      at = `&key-marker=${encodeURIComponent(texts(page, "NextKeyMarker")[0] ?? "")}${version === undefined ? "" : `&version-id-marker=${version}`}`;
    }
    expect([size, seen]).toEqual([size, wanted]);
  }
});

test("groups count like versions", async () => {
  const text = await list("delimiter=/");
  expect([texts(text, "Prefix"), entriesOf(text).length]).toEqual([["", "b/"], 6]);
  expect(entriesOf(await list("prefix=b/&delimiter=/")).length).toBe(4);
  const page = await list("delimiter=/&max-keys=4");
  expect([entriesOf(page).length, texts(page, "NextKeyMarker")]).toEqual([3, ["b/"]]);
  expect(entriesOf(await list("delimiter=/&key-marker=b/")).map((e) => e.split(" ")[1])).toEqual(["c", "c", "c"]);
});

test("a version marker needs a key marker", async () => {
  const answer = await s3.call("GET", "/bucket", { query: `versions&version-id-marker=${ids["a"]?.[0]}` });
  expect([answer.status, answer.code]).toEqual([400, "InvalidArgument"]);
  expect(entriesOf(await list("max-keys=0"))).toEqual([]);
});

test("a page that goes on after the last version of a key is full", async () => {
  await s3.call("PUT", "/full");
  await enableVersioning(s3, "full");
  for (let i = 0; i < 6; i++) await s3.call("PUT", `/full/k${i}`, { body: "x" });
  const first = (await s3.call("GET", "/full", { query: "versions&max-keys=3" })).text;
  const [key, id] = [texts(first, "NextKeyMarker")[0], texts(first, "NextVersionIdMarker")[0]];
  const marker = `key-marker=${key}&version-id-marker=${id}`;
  const second = (await s3.call("GET", "/full", { query: `versions&max-keys=3&${marker}` })).text;
  expect(texts(second, "Key")).toEqual(["k3", "k4", "k5"]);
  expect(texts(second, "IsTruncated")).toEqual(["false"]);
  const two = (await s3.call("GET", "/full", { query: `versions&max-keys=2&${marker}` })).text;
  expect([texts(two, "Key"), texts(two, "NextKeyMarker")]).toEqual([["k3", "k4"], ["k4"]]);
});
