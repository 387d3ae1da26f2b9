/** ListBuckets over HTTP. Source: s3-api.md §1.2. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  for (const name of ["beta", "alpha", "alpine"]) await s3.call("PUT", `/${name}`);
});
afterAll(() => s3.stop());

test("buckets come sorted by name, with owner and times", async () => {
  const answer = await s3.call("GET", "/");
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/xml"]);
  expect(texts(answer.text, "Name")).toEqual(["alpha", "alpine", "beta"]);
  expect(texts(answer.text, "ID")).toEqual(["02d6176db174dc93cb1b899f7c6078f08654445fe8cf1b6ce98d8855f66bdbf4"]);
  expect(texts(answer.text, "CreationDate")[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test("a prefix and pages of one bucket reach every bucket once", async () => {
  expect(texts((await s3.call("GET", "/", { query: "prefix=alp" })).text, "Name")).toEqual(["alpha", "alpine"]);
  const seen: string[] = [];
  let token: string | undefined = "";
  while (token !== undefined) {
    const query: string = `max-buckets=1${token === "" ? "" : `&continuation-token=${token}`}`;
    const page = (await s3.call("GET", "/", { query })).text;
    seen.push(...texts(page, "Name"));
    token = texts(page, "ContinuationToken")[0];
  }
  expect(seen).toEqual(["alpha", "alpine", "beta"]);
});

test("odd page sizes and tokens are refused", async () => {
  for (const query of ["max-buckets=0", "max-buckets=x", "max-buckets=-1", "continuation-token=%00%01"])
    expect([query, (await s3.call("GET", "/", { query })).code]).toEqual([query, "InvalidArgument"]);
});

test("without credentials the list is refused", async () => {
  const answer = await s3.call("GET", "/", { anonymous: true });
  expect([answer.status, answer.code]).toEqual([403, "AccessDenied"]);
});
