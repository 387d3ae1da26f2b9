/** The four ACL operations over HTTP: the owner has everything, nobody else can be given anything. Source: s3-api.md §4.10. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

test("the owner has full control of bucket and object, and of nothing that is not there", async () => {
  await s3.call("PUT", "/bucket/k", { body: "content" });
  for (const path of ["/bucket", "/bucket/k"]) {
    const answer = await s3.call("GET", path, { query: "acl" });
    expect([answer.status, texts(answer.text, "Permission")]).toEqual([200, ["FULL_CONTROL"]]);
  }
  expect((await s3.call("GET", "/bucket/none", { query: "acl" })).code).toBe("NoSuchKey");
  expect((await s3.call("PUT", "/bucket/none", { query: "acl", headers: { "x-amz-acl": "private" } })).code).toBe(
    "NoSuchKey",
  );
  expect((await s3.call("GET", "/missing", { query: "acl" })).code).toBe("NoSuchBucket");
});

test("setting what is true anyway succeeds, anything else is not implemented, and no content changes", async () => {
  const grant = (permission: string): string =>
    `<AccessControlPolicy><AccessControlList><Grant><Permission>${permission}</Permission></Grant></AccessControlList></AccessControlPolicy>`;
  for (const path of ["/bucket", "/bucket/k"]) {
    const set = (options: object): Promise<number> =>
      s3.call("PUT", path, { query: "acl", ...options }).then((a) => a.status);
    expect(await set({ headers: { "x-amz-acl": "private" } })).toBe(200);
    expect(await set({ body: grant("FULL_CONTROL") })).toBe(200);
    expect(await set({ headers: { "x-amz-acl": "public-read" } })).toBe(501);
    expect(await set({ body: grant("READ") })).toBe(501);
    expect(await set({ headers: { "x-amz-grant-read": "id=1" } })).toBe(501);
    expect(await set({ body: "" })).toBe(400);
  }
  expect((await s3.call("DELETE", "/bucket/k", { query: "acl" })).status).toBe(501);
  expect((await s3.call("GET", "/bucket/k")).text).toBe("content");
});
