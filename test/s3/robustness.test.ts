/**
 * What a hostile or broken client can send: each gets a clear refusal in time, never a 5xx and never a hang, and the server
 * goes on. Source: s3-api.md §1.5, §1.6.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { sendAndLeave } from "./raw-http.ts";
import { md5Header, requestOf, startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
let host = "";
beforeAll(async () => {
  s3 = await startServer();
  host = `Host: ${s3.host}:${s3.port}\r\n`;
  await s3.call("PUT", "/bucket");
  await s3.call("PUT", "/bucket/k", { body: "content" });
});
afterAll(async () => {
  expect((await s3.call("GET", "/bucket/k")).text).toBe("content");
  await s3.stop();
});
const both = async (path: string): Promise<(string | undefined)[]> => {
  const answers = [await s3.call("PUT", path, { body: "x" }), await s3.call("GET", path)];
  for (const answer of answers) expect([path.slice(0, 40), answer.status]).toEqual([path.slice(0, 40), 400]);
  return answers.map((a) => a.code);
};

test("keys that lead out of the bucket are refused, encoded or not", async () => {
  for (const key of [
    "..",
    ".",
    "a/../b",
    "a/./b",
    "a/..",
    "a%2F..%2Fb",
    "%2e%2e/b",
    "a%5C..%5Cb",
    "%20../b",
    "../../etc/passwd",
  ])
    expect(await both(`/bucket/${key}`)).toEqual(["XMinioInvalidResourceName", "XMinioInvalidResourceName"]);
  for (const path of ["/..", "/../bucket/k", "/bucket/../.minio.sys/format.json"])
    expect([path, (await s3.call("GET", path)).code]).toEqual([path, "XMinioInvalidResourceName"]);
  expect((await s3.call("GET", "/.minio.sys/format.json")).code).toBe("AllAccessDisabled");
});

test("keys that no drive can hold are refused", async () => {
  const code = ["XMinioInvalidObjectName", "XMinioInvalidObjectName"];
  for (const key of [
    "%00",
    "a%00b",
    "%FF%FE",
    "%C3%28",
    "a//b",
    "a/xl.meta",
    "xl.meta/a",
    "a__XLDIR__",
    "c".repeat(256),
    `${"c".repeat(250)}/`,
    `a/${"%C3%BC".repeat(128)}`,
  ])
    expect([key.slice(0, 20), await both(`/bucket/${key}`)]).toEqual([key.slice(0, 20), code]);
});

test("a key may have 1024 bytes, a part of it 255, and be made of anything else", async () => {
  const long = (bytes: number): string =>
    Array.from({ length: 6 }, () => "k".repeat(199))
      .join("/")
      .slice(0, bytes - 1)
      .concat("z");
  const keys = [
    long(1024),
    "c".repeat(255),
    `${"c".repeat(246)}/`,
    "%01",
    "a%0Ab",
    "%E2%80%A8",
    "%EF%BF%BF",
    ".hidden",
    "...",
    "a..b",
    ".minio.sys/x",
    "k/part.1",
    "__proto__",
    "constructor",
  ];
  for (const key of keys) {
    expect([key.slice(0, 20), (await s3.call("PUT", `/bucket/${key}`, { body: key })).status]).toEqual([
      key.slice(0, 20),
      200,
    ]);
    expect((await s3.call("GET", `/bucket/${key}`)).text).toBe(key);
  }
  const listed = texts((await s3.call("GET", "/bucket", { query: "encoding-type=url" })).text, "Key");
  expect(listed.length).toBe(keys.length + 1);
  expect(await both(`/bucket/${long(1025)}`)).toEqual(["KeyTooLongError", "KeyTooLongError"]);
  expect(await both(`/bucket/${"c".repeat(10_000)}`)).toEqual(["KeyTooLongError", "KeyTooLongError"]);
  for (const key of keys) expect((await s3.call("DELETE", `/bucket/${key}`)).status).toBe(204);
});

test.each(["-1", "abc", "1e3", "0x10", "+5", "", "5, 5", "9223372036854775808", "99999999999999999999"])(
  "Content-Length %p is refused",
  async (length) => {
    const answer = await s3.raw(`PUT /bucket/length HTTP/1.1\r\n${host}Content-Length: ${length}\r\n\r\nhello`);
    expect([length, answer.status]).toEqual([length, 400]);
  },
);

test("two lengths, or a length beside chunks, smuggle nothing in", async () => {
  const put = (headers: string, body: string) =>
    s3.raw(`PUT /bucket/smuggled HTTP/1.1\r\n${host}${headers}\r\n${body}`);
  expect((await put("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!")).status).toBe(400);
  expect((await put("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n")).status).toBe(
    400,
  );
  expect((await s3.call("HEAD", "/bucket/smuggled")).status).toBe(404);
});

test("a body without a length is refused", async () => {
  const chunked = await s3.call("PUT", "/bucket/unsized", {
    payload: "UNSIGNED-PAYLOAD",
    unsignedHeaders: { "transfer-encoding": "chunked" },
    body: "",
  });
  expect([chunked.status < 500, (await s3.call("HEAD", "/bucket/unsized")).status]).toEqual([true, 404]);
});

test("a client that leaves in the middle of its body leaves what was there", async () => {
  await s3.call("PUT", "/bucket/left", { body: "before" });
  const { head, body } = requestOf(s3, "PUT", "/bucket/left", {
    body: "hello",
    payload: "UNSIGNED-PAYLOAD",
    unsignedHeaders: { "content-length": "50" },
  });
  await sendAndLeave(s3, [head, body]);
  expect((await s3.call("GET", "/bucket/left")).text).toBe("before");
});

test("what is not HTTP is refused or dropped", async () => {
  const texts = [
    "GET /bucket HTTP/1.1\r\n\r\n",
    "\x16\x03\x01\x02garbage\r\n\r\n",
    `GET /bucket HTTP/9.9\r\n${host}\r\n`,
    `GET /bucket HTTP/1.1\r\n${host}bad name: x\r\n\r\n`,
    `GET /bucket HTTP/1.1\r\n${host}x-a: a\0b\r\n\r\n`,
    `get /bucket HTTP/1.1\r\n${host}\r\n`,
    `BREW /bucket HTTP/1.1\r\n${host}\r\n`,
  ];
  for (const text of texts) expect([text.slice(0, 40), (await s3.raw(text)).status]).toEqual([text.slice(0, 40), 400]);
});

test("floods of headers and overlong ones are refused", async () => {
  expect((await s3.raw(`GET /bucket HTTP/1.1\r\n${host}${"x-f: y\r\n".repeat(5000)}\r\n`)).status).toBe(431);
  const answer = await s3.call("PUT", "/bucket/m", { body: "x", headers: { "x-other": "y".repeat(9000) } });
  expect([answer.status, answer.code]).toEqual([400, "MetadataTooLarge"]);
  expect((await s3.call("GET", `/bucket/${"a/".repeat(5000)}x`)).status).toBe(400);
});

test("metadata names of signed queries must be header names", async () => {
  for (const name of ["x-amz-meta-a%20b", "x-amz-meta-%C3%BC", "x-amz-meta-a%3Ab", "x-amz-meta-a%0D%0Ab"]) {
    const answer = await s3.call("PUT", "/bucket/named", { body: "x", presignSeconds: 60, query: `${name}=1` });
    expect([name, answer.status === 400 || answer.status === 501]).toEqual([name, true]);
  }
  const value = await s3.call("PUT", "/bucket/valued", {
    body: "x",
    presignSeconds: 60,
    query: "x-amz-meta-a=1%0D%0AX-Evil%3A%201",
  });
  const shown = await s3.call("HEAD", "/bucket/valued");
  expect([value.status, shown.headers.has("x-evil"), shown.headers.has("x-amz-meta-a")]).toEqual([200, false, true]);
});

test("documents that are no documents are malformed", async () => {
  const deep = `<Delete>${"<a>".repeat(50_000)}${"</a>".repeat(50_000)}</Delete>`;
  const documents: [string, string | Uint8Array][] = [
    ["empty", ""],
    ["text", "no xml"],
    ["another root", "<Other/>"],
    ["cut", "<Delete><Object>"],
    ["two roots", "<Delete/><Delete/>"],
    ["something behind", "<Delete><Object><Key>q</Key></Object></Delete>junk"],
    ["unescaped", "<Delete><Object><Key>a<b</Key></Object></Delete>"],
    ["not UTF-8", Buffer.from([0x3c, 0xff, 0xfe, 0x3e])],
    ["UTF-16", Buffer.from("<Delete/>", "utf16le")],
    [
      "entities",
      '<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Delete><Object><Key>&b;</Key></Object></Delete>',
    ],
    ["an outer file", '<!DOCTYPE d SYSTEM "file:///etc/passwd"><Delete/>'],
    ["deep", deep],
    ["prototypes", "<Delete><__proto__><a>1</a></__proto__><Object><Key>k</Key></Object></Delete>"],
    ["no keys", "<Delete><Object></Object></Delete>"],
    ["too many keys", `<Delete>${"<Object><Key>q</Key></Object>".repeat(1001)}</Delete>`],
  ];
  for (const [name, body] of documents) {
    const answer = await s3.call("POST", "/bucket", { query: "delete", body, headers: md5Header(body) });
    expect([name, answer.status, answer.code]).toEqual([name, 400, "MalformedXML"]);
  }
  const large = `<Delete>${" ".repeat(5_000_000)}</Delete>`;
  expect((await s3.call("POST", "/bucket", { query: "delete", body: large, headers: md5Header(large) })).code).toBe(
    "MaxMessageLengthExceeded",
  );
});

test("XML as other clients write it is read", async () => {
  for (const [key, body] of [
    ["cdata", "<Delete><Object><Key><![CDATA[cdata]]></Key></Object></Delete>"],
    [
      "a&b",
      '<?xml version="1.0"?><!-- c --><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>a&amp;b</Key></Object></Delete>',
    ],
    ["n\nl", "<Delete><Object><Key>n&#10;l</Key></Object></Delete>"],
    ["ns", '<s:Delete xmlns:s="x"><s:Object><s:Key>ns</s:Key></s:Object></s:Delete>'],
    ["bom", "\ufeff<Delete>\r\n <Object>\r\n <Key>bom</Key>\r\n</Object></Delete>\n"],
  ] as const) {
    const path = `/bucket/${encodeURIComponent(key)}`;
    await s3.call("PUT", path, { body: "x" });
    const answer = await s3.call("POST", "/bucket", { query: "delete", body, headers: md5Header(body) });
    expect([key, answer.status, (await s3.call("HEAD", path)).status]).toEqual([key, 200, 404]);
  }
});

test.each(["Content-Length: 3", "Transfer-Encoding: chunked"])(
  "a refused body (%s) that was never sent does not swallow the next request",
  async (framing) => {
    const head = `PUT /no-such/key HTTP/1.1\r\nHost: ${s3.host}\r\n${framing}\r\nExpect: 100-continue\r\n\r\n`;
    const refused = await s3.raw(head);
    expect(refused.status).toBeGreaterThanOrEqual(400);
    expect(refused.headers.get("connection")).toBe("close");
  },
);
