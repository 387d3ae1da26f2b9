/** Lifecycle documents, their headers, and objects that expired, over HTTP. Source: s3-api.md §4.13. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Answer, enableVersioning, startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

const rule = (filter: string, action: string, id = "one"): string =>
  `<Rule><ID>${id}</ID><Status>Enabled</Status><Filter>${filter}</Filter>${action}</Rule>`;
const set = (bucket: string, ...rules: string[]): Promise<Answer> =>
  s3.call("PUT", `/${bucket}`, {
    query: "lifecycle",
    body: `<LifecycleConfiguration>${rules.join("")}</LifecycleConfiguration>`,
  });
const PAST = "<Expiration><Date>2020-01-01T00:00:00Z</Date></Expiration>";
const TOMORROW = "<Expiration><Days>1</Days></Expiration>";

test("a document is set, shown and removed", async () => {
  expect((await s3.call("GET", "/bucket", { query: "lifecycle" })).code).toBe("NoSuchLifecycleConfiguration");
  expect((await set("bucket", rule("<Prefix>x</Prefix>", TOMORROW))).status).toBe(200);
  const shown = await s3.call("GET", "/bucket", { query: "lifecycle&withUpdatedAt=true" });
  expect([texts(shown.text, "ID"), texts(shown.text, "Days"), texts(shown.text, "Prefix")]).toEqual([
    ["one"],
    ["1"],
    ["x"],
  ]);
  expect(shown.headers.get("x-minio-lifecycleconfig-updatedat")).toMatch(/^\d{8}T\d{6}Z$/);
  expect((await set("bucket", rule("", "<Expiration><Days>0</Days></Expiration>"))).code).toBe("InvalidArgument");
  expect((await s3.call("DELETE", "/bucket", { query: "lifecycle" })).status).toBe(204);
  expect((await s3.call("GET", "/bucket", { query: "lifecycle" })).status).toBe(404);
  expect((await s3.call("HEAD", "/bucket")).status).toBe(200);
});

test("answers say when an object will expire and by which rule", async () => {
  await set(
    "bucket",
    rule("<Prefix>days/</Prefix>", TOMORROW),
    rule("<Tag><Key>k</Key><Value>v</Value></Tag>", TOMORROW, "by tag"),
  );
  const due = new Date((Math.floor(Date.now() / 86_400_000) + 2) * 86_400_000).toUTCString();
  const made = await s3.call("PUT", "/bucket/days/a", { body: "x" });
  expect(made.headers.get("x-amz-expiration")).toBe(`expiry-date="${due}", rule-id="one"`);
  for (const method of ["GET", "HEAD"])
    expect((await s3.call(method, "/bucket/days/a")).headers.get("x-amz-expiration")).toContain('rule-id="one"');
  expect((await s3.call("PUT", "/bucket/other", { body: "x" })).headers.has("x-amz-expiration")).toBe(false);
  const tagged = await s3.call("PUT", "/bucket/tagged", { body: "x", headers: { "x-amz-tagging": "k=v" } });
  expect(tagged.headers.get("x-amz-expiration")).toContain('rule-id="by tag"');
  const copied = await s3.call("PUT", "/bucket/days/b", { headers: { "x-amz-copy-source": "/bucket/other" } });
  expect(copied.headers.get("x-amz-expiration")).toContain('rule-id="one"');
  const abort =
    "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>";
  await set("bucket", rule("", abort, "up"));
  const upload = await s3.call("POST", "/bucket/parts", { query: "uploads" });
  expect([upload.headers.get("x-amz-abort-date"), upload.headers.get("x-amz-abort-rule-id")]).toEqual([due, "up"]);
});

test("what expired is gone for readers at once: GET, HEAD, copies, tags, attributes and listings", async () => {
  await s3.call("PUT", "/gone");
  for (const key of ["old/a", "old/b", "kept"]) await s3.call("PUT", `/gone/${key}`, { body: "x" });
  await set("gone", rule("<Prefix>old/</Prefix>", PAST));
  const codes = [
    await s3.call("GET", "/gone/old/a"),
    await s3.call("HEAD", "/gone/old/a"),
    await s3.call("PUT", "/gone/copy", { headers: { "x-amz-copy-source": "/gone/old/a" } }),
    await s3.call("GET", "/gone/old/a", { query: "tagging" }),
    await s3.call("GET", "/gone/old/a", { query: "attributes", headers: { "x-amz-object-attributes": "ETag" } }),
  ].map((a) => [a.status, a.code]);
  expect(codes).toEqual(codes.map(() => [404, "NoSuchKey"]));
  for (const query of ["", "list-type=2"])
    expect(texts((await s3.call("GET", "/gone", { query })).text, "Key")).toEqual(["kept"]);
  await s3.call("DELETE", "/gone", { query: "lifecycle" });
  expect((await s3.call("GET", "/gone/old/a")).text).toBe("x");
});

test("of a versioned bucket the version is still there by its name, and a held one does not expire", async () => {
  await s3.call("PUT", "/versions");
  await enableVersioning(s3, "versions");
  const id = (await s3.call("PUT", "/versions/a", { body: "x" })).headers.get("x-amz-version-id") as string;
  await set("versions", rule("", PAST));
  expect((await s3.call("GET", "/versions/a")).code).toBe("NoSuchKey");
  expect((await s3.call("GET", "/versions/a", { query: `versionId=${id}` })).text).toBe("x");
  await s3.call("PUT", "/held", { headers: { "x-amz-bucket-object-lock-enabled": "true" } });
  await set("held", rule("", PAST));
  await s3.call("PUT", "/held/a", { body: "x", headers: { "x-amz-object-lock-legal-hold": "ON" } });
  expect((await s3.call("GET", "/held/a")).text).toBe("x");
  expect(texts((await s3.call("GET", "/held")).text, "Key")).toEqual(["a"]);
});
