/** DeleteObjects over HTTP. Source: s3-api.md §4.8. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { enableVersioning, md5Header, startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

const remove = (inner: string, bucket = "bucket") => {
  const body = `<Delete>${inner}</Delete>`;
  return s3.call("POST", `/${bucket}`, { query: "delete", body, headers: md5Header(body) });
};
const object = (key: string, rest = ""): string => `<Object><Key>${key}</Key>${rest}</Object>`;

test("keys go in the order asked, absent ones too, and quiet says nothing", async () => {
  for (const key of ["a", "b", "c&amp;d", "dir/"])
    await s3.call("PUT", `/bucket/${key.replace("&amp;", "%26")}`, { body: "x" });
  const answer = await remove(["b", "none", "a", "c&amp;d", "dir/"].map((k) => object(k)).join(""));
  expect([answer.status, texts(answer.text, "Key")]).toEqual([200, ["b", "none", "a", "c&amp;d", "dir/"]]);
  expect(answer.text).not.toContain("<Error>");
  expect(texts((await s3.call("GET", "/bucket")).text, "Key")).toEqual([]);
  await s3.call("PUT", "/bucket/q", { body: "x" });
  const quiet = await remove(`<Quiet>true</Quiet>${object("q")}${object("a//b")}`);
  expect([texts(quiet.text, "Key"), texts(quiet.text, "Code")]).toEqual([["a//b"], ["XMinioInvalidObjectName"]]);
});

test("a thousand keys go at once, one more does not, and no list is none", async () => {
  const many = (n: number): string => Array.from({ length: n }, (_, i) => object(`k${i}`)).join("");
  expect(texts((await remove(many(1000))).text, "Key").length).toBe(1000);
  for (const inner of [many(1001), "", "<Object></Object>", "<Object><VersionId>null</VersionId></Object>"])
    expect((await remove(inner)).code).toBe("MalformedXML");
});

test("without a digest, or with a wrong one, nothing goes", async () => {
  await s3.call("PUT", "/bucket/safe", { body: "x" });
  const body = `<Delete>${object("safe")}</Delete>`;
  expect((await s3.call("POST", "/bucket", { query: "delete", body })).code).toBe("MissingContentMD5");
  expect((await s3.call("POST", "/bucket", { query: "delete", body, headers: md5Header("other") })).code).toBe(
    "BadDigest",
  );
  const crc = { "x-amz-checksum-crc32": "AAAAAA==" };
  expect((await s3.call("POST", "/bucket", { query: "delete", body, headers: crc })).code).toBe("BadDigest");
  expect((await s3.call("HEAD", "/bucket/safe")).status).toBe(200);
});

test("versions and markers are told apart, bad version ids are reported by key", async () => {
  await s3.call("PUT", "/versioned");
  await enableVersioning(s3, "versioned");
  const id = (await s3.call("PUT", "/versioned/k", { body: "1" })).headers.get("x-amz-version-id") ?? "";
  const marked = (await remove(object("k"), "versioned")).text;
  const marker = texts(marked, "DeleteMarkerVersionId")[0] ?? "";
  expect([texts(marked, "DeleteMarker"), texts(marked, "VersionId")]).toEqual([["true"], []]);
  const gone = (
    await remove(
      object("k", `<VersionId>${id}</VersionId>`) + object("k", `<VersionId>${marker}</VersionId>`),
      "versioned",
    )
  ).text;
  expect([texts(gone, "VersionId"), texts(gone, "DeleteMarkerVersionId")]).toEqual([[id, marker], [marker]]);
  expect((await s3.call("GET", "/versioned", { query: "versions" })).text).not.toContain("VersionId>");
  const bad = (await remove(object("k", "<VersionId>garbage</VersionId>"), "versioned")).text;
  expect(texts(bad, "Code")).toEqual(["NoSuchVersion"]);
});

test("conditions hold for each key alone", async () => {
  for (const key of ["one", "two", "three"]) await s3.call("PUT", `/bucket/${key}`, { body: key });
  const answer = (
    await remove(
      object("one", "<ETag>other</ETag>") + object("two", "<Size>3</Size>") + object("three", "<Size>1</Size>"),
    )
  ).text;
  expect([texts(answer, "Code"), texts(answer, "Key")]).toEqual([
    ["PreconditionFailed", "PreconditionFailed"],
    ["one", "two", "three"],
  ]);
  expect((await s3.call("HEAD", "/bucket/two")).status).toBe(404);
});

test("names that no object can have are errors of their own, and a leading slash is dropped", async () => {
  const answer = (await remove(["../x", "a/./b", "k".repeat(1025)].map((k) => object(k)).join(""))).text;
  expect(texts(answer, "Code")).toEqual(["XMinioInvalidObjectName", "XMinioInvalidObjectName", "KeyTooLongError"]);
  await s3.call("PUT", "/bucket/lead", { body: "x" });
  await remove(object("/lead"));
  expect((await s3.call("HEAD", "/bucket/lead")).status).toBe(404);
  expect((await remove(object("k"), "missing")).code).toBe("NoSuchBucket");
});
