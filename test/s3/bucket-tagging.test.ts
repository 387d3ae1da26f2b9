/** Get-, Put- and DeleteBucketTagging over HTTP. Source: s3-api.md §1.3. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

const document = (tags: readonly (readonly [string, string])[]): string =>
  `<Tagging><TagSet>${tags.map(([k, v]) => `<Tag><Key>${k}</Key><Value>${v}</Value></Tag>`).join("")}</TagSet></Tagging>`;
const set = (body: string) => s3.call("PUT", "/bucket", { query: "tagging", body });

test("tags are set, read, replaced and removed", async () => {
  const none = await s3.call("GET", "/bucket", { query: "tagging" });
  expect([none.status, none.code]).toEqual([404, "NoSuchTagSet"]);
  expect(
    (
      await set(
        document([
          ["team", "a"],
          ["cost", "1"],
        ]),
      )
    ).status,
  ).toBe(200);
  const read = (await s3.call("GET", "/bucket", { query: "tagging" })).text;
  expect([texts(read, "Key"), texts(read, "Value")]).toEqual([
    ["team", "cost"],
    ["a", "1"],
  ]);
  expect((await s3.call("DELETE", "/bucket", { query: "tagging" })).status).toBe(204);
  expect((await s3.call("GET", "/bucket", { query: "tagging" })).code).toBe("NoSuchTagSet");
});

test("fifty tags fit, fifty-one do not, and a key comes once", async () => {
  const many = (n: number): string => document(Array.from({ length: n }, (_, i) => [`k${i}`, "v"]));
  expect((await set(many(50))).status).toBe(200);
  expect((await set(many(51))).code).toBe("MalformedXML");
  expect(
    (
      await set(
        document([
          ["a", "1"],
          ["a", "2"],
        ]),
      )
    ).code,
  ).toBe("InvalidTag");
  expect((await set("<Tagging/>")).code).toBe("MalformedXML");
  expect((await s3.call("PUT", "/missing", { query: "tagging", body: many(1) })).code).toBe("NoSuchBucket");
});
