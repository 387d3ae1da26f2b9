/** ListObjects V1 and V2 over HTTP: order, groups, pages, encoding, odd parameters. Source: s3-api.md §4.3. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Answer, type Options, startServer, type S3Server, texts } from "./server.ts";

const KEYS = ["a", "a.b", "a/b", "a/c/d", "b+c", "c d", "e/", "e/f", "z", "z-1", "z/1", "é", "\u{1F600}"];
let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  for (const name of ["bucket", "other"]) await s3.call("PUT", `/${name}`);
  for (const key of KEYS)
    await s3.call("PUT", `/bucket/${encodeURIComponent(key).replaceAll("%2F", "/")}`, { body: key });
});
afterAll(() => s3.stop());
const list = async (query: string): Promise<string> => (await s3.call("GET", "/bucket", { query })).text;
const keysOf = (text: string): string[] => texts(text, "Key");
const groupsOf = (text: string): string[] =>
  texts(text.replace(/^.*?<Contents>/s, "").replace(/<Name>.*?<Prefix>[^<]*<\/Prefix>/s, ""), "Prefix");

test("all keys come in the order of their bytes, an object and what lies below it both", async () => {
  const text = await list("");
  expect(keysOf(text)).toEqual(KEYS);
  expect(texts(text, "Size")).toEqual(KEYS.map((k) => String(Buffer.byteLength(k))));
  expect([texts(text, "Name"), texts(text, "MaxKeys"), texts(text, "IsTruncated")]).toEqual([
    ["bucket"],
    ["1000"],
    ["false"],
  ]);
  expect(texts(text, "StorageClass").every((c) => c === "STANDARD")).toBe(true);
  expect(text).toContain("<Marker></Marker>");
  expect(texts(text, "ETag")[0]).toBe("&#34;0cc175b9c0f1b6a831c399e269772661&#34;");
});

test("V2 counts, shows the owner only when asked, and has no marker", async () => {
  const text = await list("list-type=2");
  expect([texts(text, "KeyCount"), text.includes("<Owner>"), text.includes("<Marker>")]).toEqual([
    ["13"],
    false,
    false,
  ]);
  expect(texts(await list("list-type=2&fetch-owner=true"), "DisplayName").length).toBe(13);
});

test("a delimiter groups at its first place after the prefix, whatever it is", async () => {
  const slash = await list("delimiter=/");
  expect([keysOf(slash), groupsOf(slash)]).toEqual([
    ["a", "a.b", "b+c", "c d", "z", "z-1", "é", "\u{1F600}"],
    ["a/", "e/", "z/"],
  ]);
  expect(texts(slash, "Delimiter")).toEqual(["/"]);
  const below = await list("delimiter=/&prefix=a/");
  expect([keysOf(below), groupsOf(below)]).toEqual([["a/b"], ["a/c/"]]);
  const folder = await list("delimiter=/&prefix=e/");
  expect(keysOf(folder)).toEqual(["e/", "e/f"]);
  const dot = await list("delimiter=.");
  expect(texts(dot, "Prefix")).toContain("a.");
  const emoji = await list("delimiter=%F0%9F%98%80");
  expect(texts(emoji, "Prefix")).toContain("\u{1F600}");
  expect(await list("delimiter=")).not.toContain("<Delimiter>");
});

test("pages of every size give each key and group once, in both versions", async () => {
  for (const size of [1, 2, 3, 5]) {
    for (const delimiter of ["", "&delimiter=/"]) {
      const whole = await list(delimiter.slice(1));
      const seen = { v1: [] as string[], v2: [] as string[] };
      for (let marker: string | undefined = ""; marker !== undefined; ) {
        const page: string = await list(`max-keys=${size}${delimiter}&marker=${encodeURIComponent(marker)}`);
        const found = [...keysOf(page), ...texts(page, "CommonPrefixes><Prefix")].length;
        expect(found).toBeLessThanOrEqual(size);
        seen.v1.push(...keysOf(page), ...groupList(page));
        marker = texts(page, "NextMarker")[0];
      }
      for (let token: string | undefined = ""; token !== undefined; ) {
        const page: string = await list(
          `list-type=2&max-keys=${size}${delimiter}${token === "" ? "" : `&continuation-token=${token}`}`,
        );
        seen.v2.push(...keysOf(page), ...groupList(page));
        token = texts(page, "NextContinuationToken")[0];
      }
      const wanted = [...keysOf(whole), ...groupList(whole)].sort();
      expect([size, delimiter, seen.v1.sort()]).toEqual([size, delimiter, wanted]);
      expect([size, delimiter, seen.v2.sort()]).toEqual([size, delimiter, wanted]);
    }
  }
});
function groupList(text: string): string[] {
  return [...text.matchAll(/<CommonPrefixes><Prefix>([^<]*)</g)].map((m) => m[1] as string);
}

test("markers need not exist nor lie under the prefix; start-after gives way to a token", async () => {
  expect(keysOf(await list("marker=b"))).toEqual(KEYS.slice(4));
  expect(keysOf(await list("marker=zzzz&prefix=a"))).toEqual([]);
  expect(keysOf(await list("marker=0&prefix=a/"))).toEqual(["a/b", "a/c/d"]);
  const first = await list("list-type=2&start-after=a/&max-keys=1");
  expect([keysOf(first), texts(first, "StartAfter")]).toEqual([["a/b"], ["a/"]]);
  const token = texts(first, "NextContinuationToken")[0];
  const second = await list(`list-type=2&start-after=z&max-keys=1&continuation-token=${token}`);
  expect([keysOf(second), texts(second, "ContinuationToken")]).toEqual([["a/c/d"], [token as string]]);
});

test("encoding-type=url encodes what XML or a URL cannot carry", async () => {
  for (const key of ["%01", "x%0Ay", "q%25"]) await s3.call("PUT", `/other/${key}`, { body: "1" });
  await s3.call("PUT", "/other/foo%2B1/bar%20x~%2A", { body: "1" });
  const text = (await s3.call("GET", "/other", { query: "encoding-type=URL&prefix=&delimiter=%2B" })).text;
  expect([keysOf(text), texts(text, "EncodingType"), texts(text, "Delimiter")]).toEqual([
    ["%01", "q%25", "x%0Ay"],
    ["url"],
    ["%2B"],
  ]);
  const below = (await s3.call("GET", "/other", { query: "list-type=2&encoding-type=url&prefix=foo%2B1/" })).text;
  expect([keysOf(below), texts(below, "Prefix")]).toEqual([["foo%2B1/bar%20x~*"], ["foo%2B1/"]]);
  expect((await s3.call("GET", "/other", { query: "encoding-type=base64" })).code).toBe("InvalidArgument");
});

test("page sizes: none is a thousand, more is a thousand, zero is nothing, the rest is refused", async () => {
  expect(texts(await list("max-keys="), "MaxKeys")).toEqual(["1000"]);
  expect(texts(await list("max-keys=5000"), "MaxKeys")).toEqual(["1000"]);
  const none = await list("max-keys=0");
  expect([keysOf(none), texts(none, "IsTruncated"), none.includes("NextMarker")]).toEqual([[], ["false"], false]);
  for (const value of ["-1", "x", "1.5", "99999999999999999999", "0x10", "1e2"])
    expect([value, (await s3.call("GET", "/bucket", { query: `max-keys=${value}` })).code]).toEqual([
      value,
      "InvalidArgument",
    ]);
});

test("tokens that are none are refused, odd prefixes list nothing, paths upwards are refused", async () => {
  for (const token of ["", "garbage!!", "%00", "%F0%9F%98%80"])
    expect((await s3.call("GET", "/bucket", { query: `list-type=2&continuation-token=${token}` })).code).toBe(
      "InvalidArgument",
    );
  for (const prefix of ["/a", "a//", "%00", "a%00", "x".repeat(300), "x".repeat(2000), "a/xl.meta/", "a%5C"]) {
    const answer = await s3.call("GET", "/bucket", { query: `prefix=${prefix}` });
    expect([prefix.slice(0, 10), answer.status, keysOf(answer.text)]).toEqual([prefix.slice(0, 10), 200, []]);
  }
  for (const query of ["prefix=../", "prefix=a/../..", "marker=./x", "list-type=2&start-after=.."])
    expect([query, (await s3.call("GET", "/bucket", { query })).code]).toEqual([query, "XMinioInvalidResourceName"]);
  expect((await s3.call("GET", "/bucket", { query: "prefix=%FF" })).status).toBe(400);
});

test("what was written is listed at once, what was deleted is not", async () => {
  for (let i = 0; i < 5; i++) {
    await s3.call("PUT", `/bucket/now/${i}`, { body: "x" });
    expect(keysOf(await list("prefix=now/")).length).toBe(1);
    await s3.call("DELETE", `/bucket/now/${i}`);
    expect(keysOf(await list("prefix=now/")).length).toBe(0);
  }
  expect((await s3.call("GET", "/missing")).code).toBe("NoSuchBucket");
});

test("a checksum is listed by its algorithm", async () => {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(Bun.hash.crc32("x"));
  await s3.call("PUT", "/bucket/sum", { body: "x", headers: { "x-amz-checksum-crc32": sum.toString("base64") } });
  expect(texts(await list("list-type=2&prefix=sum"), "ChecksumAlgorithm")).toEqual(["CRC32"]);
});

test("metadata=true shows what objects have beside their content, to whom may read them", async () => {
  await s3.call("PUT", "/described");
  const versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
  await s3.call("PUT", "/described", { query: "versioning", body: versioning });
  const put = (value: string): Promise<Answer> =>
    s3.call("PUT", "/described/k", {
      body: "x",
      headers: {
        "content-type": "text/plain",
        "x-amz-meta-marker": value,
        "x-amz-meta-odd+name": "1",
        "x-amz-tagging": "a=b&c=d",
      },
    });
  await put("old");
  await put("a<&>b");
  await s3.call("DELETE", "/described/gone");
  const page = (query: string, options: Options = {}): Promise<Answer> =>
    s3.call("GET", "/described", { query, ...options });
  const shown = await page("list-type=2&metadata=true");
  expect(shown.text).toContain(
    "<StorageClass>STANDARD</StorageClass><UserMetadata><content-type>text/plain</content-type><X-Amz-Meta-Marker>a&lt;&amp;&gt;b</X-Amz-Meta-Marker></UserMetadata><UserTags>a=b&amp;c=d</UserTags><Internal><K>2</K><M>2</M></Internal></Contents>",
  );
  const versions = await page("metadata=true&versions");
  expect(texts(versions.text, "X-Amz-Meta-Marker")).toEqual(["a&lt;&amp;&gt;b", "old"]);
  for (const query of ["list-type=2", "metadata=true", "list-type=2&metadata=false"])
    expect([query, (await page(query)).text.includes("UserMetadata")]).toEqual([query, false]);
  const allow = (action: string, resource: string) => ({
    Effect: "Allow",
    Principal: "*",
    Action: `s3:${action}`,
    Resource: `arn:aws:s3:::${resource}`,
  });
  const asAnybody = async (...statements: readonly unknown[]): Promise<string> => {
    const body = JSON.stringify({ Version: "2012-10-17", Statement: statements });
    expect((await s3.call("PUT", "/described", { query: "policy", body })).status).toBe(204);
    return (await page("list-type=2&metadata=true", { anonymous: true })).text;
  };
  const list = allow("ListBucket", "described");
  const none = await asAnybody(list);
  expect([texts(none, "Key"), none.includes("UserMetadata")]).toEqual([["k"], false]);
  const untagged = await asAnybody(list, allow("GetObject", "described/*"));
  expect([untagged.includes("UserMetadata"), untagged.includes("UserTags")]).toEqual([true, false]);
});
