/** Signature V4 on AWS's published examples and on what clients send. Source: s3-api.md §2.4. */
import { expect, test } from "bun:test";
import {
  canonicalPath,
  canonicalQuery,
  canonicalRequest,
  parseAuthorization,
  parseIsoBasic,
  parseQuery,
  SigningKeys,
  signRequest,
} from "../../../src/s3/sigv4.ts";

const scope = { accessKey: "AKIAIOSFODNN7EXAMPLE", day: "20130524", region: "us-east-1", service: "s3" };
const key = new SigningKeys().get(scope, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

test.each([
  ["/test.txt", "", { range: "bytes=0-9" }, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"],
  ["/", "lifecycle", {}, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"],
  ["/", "max-keys=2&prefix=J", {}, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"],
] as const)("the example GET %s?%s has the published signature", (rawPath, query, extra, signature) => {
  const headers = new Map(
    Object.entries({
      host: "examplebucket.s3.amazonaws.com",
      "x-amz-content-sha256": EMPTY,
      "x-amz-date": "20130524T000000Z",
      ...extra,
    }),
  );
  const parts = {
    method: "GET",
    rawPath,
    query: parseQuery(query),
    headers,
    signedHeaders: [...headers.keys()].sort(),
    payloadHash: EMPTY,
  };
  expect(signRequest(parts, scope, "20130524T000000Z", key)).toBe(signature);
});

test("paths are decoded and encoded once, slashes and dots stay", () => {
  expect(canonicalPath("/b/a b+c%2Bd")).toBe("/b/a%20b%2Bc%2Bd");
  expect(canonicalPath("/b//./..%2f~")).toBe("/b//./../~");
  expect(canonicalPath("/b/ü".replace("ü", "%c3%bc"))).toBe("/b/%C3%BC");
});

test("queries are sorted by name, then value, and every key has a value", () => {
  expect(canonicalQuery(parseQuery("select&select-type=2&a=2&a=1&b=x+y"))).toBe(
    "a=1&a=2&b=x%20y&select=&select-type=2",
  );
});

test("values keep their bytes; white space, Unicode's too, is one blank", () => {
  const canonical = (value: string): string =>
    canonicalRequest({
      method: "GET",
      rawPath: "/",
      query: [],
      headers: new Map([["x-amz-meta-a", value]]),
      signedHeaders: ["x-amz-meta-a"],
      payloadHash: "",
    }).split("\n")[3] ?? "";
  const latin1 = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
  expect(canonical("  a \t b ")).toBe("x-amz-meta-a:a b");
  expect(canonical(latin1(" à  b "))).toBe(`x-amz-meta-a:${latin1("à b")}`);
  expect(canonical(latin1("a\u3000b"))).toBe("x-amz-meta-a:a b");
  expect(canonical("\xe9 ")).toBe("x-amz-meta-a:\xe9");
});

test("an access key may hold slashes; other shapes are malformed", () => {
  const header = "AWS4-HMAC-SHA256 Credential=a/b/20260101/r/s3/aws4_request, SignedHeaders=host;x, Signature=00";
  expect(parseAuthorization(header)).toMatchObject({ accessKey: "a/b", region: "r", signedHeaders: ["host", "x"] });
  for (const bad of [
    "",
    " x",
    " Credential=a, Signature=b",
    header.replace("Signature", "Sig"),
    header.replace("aws4_", "aws5_"),
  ])
    expect(() => parseAuthorization(`AWS4-HMAC-SHA256${bad.replace("AWS4-HMAC-SHA256", "")}`)).toThrow();
  expect([parseIsoBasic("20260101T000000Z"), parseIsoBasic("2026-01-01T00:00:00Z")]).toEqual([1_767_225_600_000, null]);
});

test("dates that come again are those of the text, whatever came before", () => {
  const keys = new SigningKeys();
  for (const text of ["20130524T000000Z", "20130524T000000Z", "", "20130524T000001Z", "x", "x", "20130524T000000Z"])
    expect(keys.dateMs(text)).toBe(parseIsoBasic(text));
  expect(parseIsoBasic("20130524T010203Z")).toBe(Date.UTC(2013, 4, 24, 1, 2, 3));
  for (const odd of ["20130524T010203", "2013-05-24T010203Z", "20130524T01020 Z", "020130524T010203Z"])
    expect(parseIsoBasic(odd)).toBeNull();
});
