/** AppendObject: PutObject with x-amz-write-offset-bytes adds to the end of what is there, and loses nobody's write. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { connect } from "node:net";
import { crc32 } from "node:zlib";
import {
  type Answer,
  beginUpload,
  completeDocument,
  enableVersioning,
  md5,
  type Options,
  requestOf,
  type S3Server,
  startServer,
  texts,
} from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/box");
});
afterAll(() => s3.stop());

const MIB = 1024 * 1024;
function pattern(bytes: number, seed: number): Buffer {
  const out = Buffer.alloc(bytes);
  for (let i = 0; i < bytes; i++) out[i] = (i * 31 + (i >> 8) * 7 + seed) & 255;
  return out;
}
function append(path: string, offset: number | string, body: string | Uint8Array, options: Options = {}) {
  return s3.call("PUT", path, {
    ...options,
    body,
    headers: { "x-amz-write-offset-bytes": String(offset), ...options.headers },
  });
}
const etag = (content: string | Uint8Array): string => `"${md5(content).toString("hex")}"`;
const base64Crc32 = (content: Uint8Array): string => {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(crc32(content));
  return out.toString("base64");
};
const outcome = ({ status, code }: Answer): unknown[] => [status, code];

test("bytes are added to a new object, an empty one, a small one, and at the same place only once", async () => {
  let content = "";
  for (const more of ["", "one ", "two ", "", "three"]) {
    const answer = await append("/box/log", content.length, more);
    content += more;
    expect(outcome(answer)).toEqual([200, undefined]);
    expect(answer.headers.get("x-amz-object-size")).toBe(String(content.length));
    expect(answer.headers.get("etag")).toBe(etag(content));
    const got = await s3.call("GET", "/box/log");
    expect([got.text, got.headers.get("etag")]).toEqual([content, etag(content)]);
  }
  const range = await s3.call("GET", "/box/log", { headers: { range: "bytes=2-5" } });
  expect(range.text).toBe("e tw");
});

test("an offset that is not the size is refused, and nothing changes", async () => {
  await s3.call("PUT", "/box/sized", { body: "12345" });
  for (const offset of [0, 4, 6, 10_000_000])
    expect(outcome(await append("/box/sized", offset, "x"))).toEqual([400, "InvalidWriteOffset"]);
  for (const offset of ["", "-1", "1.5", "0x5", "99999999999999999999"])
    expect(outcome(await append("/box/sized", offset, "x"))).toEqual([400, "InvalidArgument"]);
  expect(outcome(await append("/box/nothing", 5, "x"))).toEqual([400, "InvalidWriteOffset"]);
  expect(outcome(await append("/missing/nothing", 0, "x"))).toEqual([404, "NoSuchBucket"]);
  expect((await s3.call("GET", "/box/sized")).text).toBe("12345");
  expect((await s3.call("HEAD", "/box/nothing")).status).toBe(404);
});

test("large objects, chunked bodies and checksums: the sum sent is of what is sent, the one kept is of the whole", async () => {
  const [first, second] = [pattern(3 * MIB + 17, 1), pattern(2 * MIB + 1, 2)];
  const put = await s3.call("PUT", "/box/large", {
    body: first,
    headers: { "x-amz-checksum-crc32": base64Crc32(first) },
  });
  expect(put.status).toBe(200);
  const send = (sum: string) =>
    append("/box/large", first.length, second, {
      headers: { "x-amz-trailer": "x-amz-checksum-crc32" },
      payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
      chunked: { chunkBytes: 65_536, signed: false, trailer: { "x-amz-checksum-crc32": sum } },
    });
  expect((await send(base64Crc32(first))).code).toBe("BadDigest");
  const whole = Buffer.concat([first, second]);
  const answer = await send(base64Crc32(second));
  expect(outcome(answer)).toEqual([200, undefined]);
  const shown = ["x-amz-checksum-crc32", "x-amz-checksum-type", "x-amz-object-size", "etag"].map((n) =>
    answer.headers.get(n),
  );
  expect(shown).toEqual([base64Crc32(whole), "FULL_OBJECT", String(whole.length), etag(whole)]);
  const got = await s3.call("GET", "/box/large", { headers: { "x-amz-checksum-mode": "ENABLED" } });
  expect(got.body.equals(whole)).toBe(true);
  expect(got.headers.get("x-amz-checksum-crc32")).toBe(base64Crc32(whole));
  const edge = await s3.call("GET", "/box/large", {
    headers: { range: `bytes=${first.length - 3}-${first.length + 3}` },
  });
  expect(edge.body.equals(whole.subarray(first.length - 3, first.length + 4))).toBe(true);
  const wrongMd5 = { "content-md5": md5("other").toString("base64") };
  expect((await append("/box/large", whole.length, "tail", { headers: wrongMd5 })).code).toBe("BadDigest");
  expect((await s3.call("GET", "/box/large")).headers.get("content-length")).toBe(String(whole.length));
});

test("an object of parts with a composite checksum takes more, and is then one of one part", async () => {
  const id = await beginUpload(s3, "/box/parts", { "x-amz-checksum-algorithm": "SHA256" });
  const parts = [pattern(5 * MIB, 3), pattern(1000, 4)];
  const listed: { number: number; etag: string; extra: string }[] = [];
  for (const [i, part] of parts.entries()) {
    const sum = createHash("sha256").update(part).digest("base64");
    const query = `partNumber=${i + 1}&uploadId=${id}`;
    await s3.call("PUT", "/box/parts", { query, body: part, headers: { "x-amz-checksum-sha256": sum } });
    listed.push({ number: i + 1, etag: etag(part), extra: `<ChecksumSHA256>${sum}</ChecksumSHA256>` });
  }
  await s3.call("POST", "/box/parts", { query: `uploadId=${id}`, body: completeDocument(listed) });
  const whole = Buffer.concat([...parts, Buffer.from("more")]);
  const answer = await append("/box/parts", whole.length - 4, "more");
  expect(answer.headers.get("x-amz-checksum-sha256")).toBe(createHash("sha256").update(whole).digest("base64"));
  expect(answer.headers.get("etag")).toBe(etag(whole));
  expect((await s3.call("GET", "/box/parts")).body.equals(whole)).toBe(true);
});

test("metadata, tags and class stay; a request that gives some is refused", async () => {
  const headers = {
    "x-amz-meta-a": "b",
    "content-type": "text/csv",
    "x-amz-tagging": "t=1",
    "x-amz-storage-class": "REDUCED_REDUNDANCY",
  };
  expect((await append("/box/kept", 0, "a", { headers })).status).toBe(200);
  for (const more of [{ "x-amz-meta-c": "d" }, { "x-amz-tagging": "t=2" }])
    expect(outcome(await append("/box/kept", 1, "b", { headers: more }))).toEqual([400, "InvalidRequest"]);
  expect((await append("/box/kept", 1, "b", { headers: { "content-type": "text/plain" } })).status).toBe(200);
  const head = await s3.call("GET", "/box/kept");
  const shown = ["x-amz-meta-a", "content-type", "x-amz-tagging-count", "x-amz-storage-class"].map((n) =>
    head.headers.get(n),
  );
  expect([head.text, ...shown]).toEqual(["ab", "b", "text/csv", "1", "REDUCED_REDUNDANCY"]);
});

test("in a versioned bucket each append is a version, and a delete marker is nothing to append to", async () => {
  await s3.call("PUT", "/versions");
  await enableVersioning(s3, "versions");
  const first = await append("/versions/k", 0, "one");
  const second = await append("/versions/k", 3, "two");
  const of = (answer: Answer): string => answer.headers.get("x-amz-version-id") as string;
  expect(of(first)).not.toBe(of(second));
  expect((await s3.call("GET", "/versions/k", { query: `versionId=${of(first)}` })).text).toBe("one");
  expect((await s3.call("GET", "/versions/k")).text).toBe("onetwo");
  await s3.call("DELETE", "/versions/k");
  expect((await append("/versions/k", 6, "x")).code).toBe("InvalidWriteOffset");
  expect((await append("/versions/k", 0, "new")).status).toBe(200);
  expect((await s3.call("GET", "/versions/k")).text).toBe("new");
  expect(texts((await s3.call("GET", "/versions", { query: "versions" })).text, "VersionId").length).toBe(4);
});

test("of appends at the same time at one offset one is taken, and conditions hold", async () => {
  await s3.call("PUT", "/box/race", { body: "start" });
  const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => append("/box/race", 5, `-${i}-`)));
  expect(answers.filter((a) => a.status === 200).length).toBe(1);
  expect(new Set(answers.filter((a) => a.status !== 200).map((a) => a.code))).toEqual(new Set(["InvalidWriteOffset"]));
  const won = answers.findIndex((a) => a.status === 200);
  expect((await s3.call("GET", "/box/race")).text).toBe(`start-${won}-`);
  expect((await append("/box/race", 8, "x", { headers: { "if-match": '"0"' } })).code).toBe("PreconditionFailed");
  const now = answers[won]?.headers.get("etag") as string;
  expect((await append("/box/race", 8, "x", { headers: { "if-match": now } })).status).toBe(200);
});

test("what was written or tagged while an append came in is not overwritten", async () => {
  await s3.call("PUT", "/box/slow", { body: "12345" });
  const tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
  const meanwhile = [
    () => s3.call("PUT", "/box/slow", { body: "abcde" }),
    () => s3.call("PUT", "/box/slow", { query: "tagging", body: tags }),
  ];
  for (const change of meanwhile) {
    const answer = await slowAppend("/box/slow", 5, "67890", async () => {
      expect((await change()).status).toBe(200);
    });
    expect(answer).toStartWith("HTTP/1.1 409");
    expect(answer).toContain("<Code>ConditionalRequestConflict</Code>");
  }
  const got = await s3.call("GET", "/box/slow");
  expect([got.text, got.headers.get("x-amz-tagging-count")]).toEqual(["abcde", "1"]);
});

/** The server asks for the body when it has read what is there; then `meanwhile` happens, and then the body comes. */
function slowAppend(path: string, offset: number, content: string, meanwhile: () => Promise<void>): Promise<string> {
  const headers = { "x-amz-write-offset-bytes": String(offset), connection: "close" };
  const { head, body } = requestOf(s3, "PUT", path, {
    headers,
    unsignedHeaders: { expect: "100-continue" },
    body: content,
  });
  return new Promise((resolve, reject) => {
    const socket = connect(s3.port, s3.host, () => socket.write(head));
    let answer = "";
    let isAsked = false;
    socket.on("data", (bytes) => {
      answer += bytes.toString();
      if (isAsked || !answer.startsWith("HTTP/1.1 100")) return;
      isAsked = true;
      answer = answer.slice(answer.indexOf("\r\n\r\n") + 4);
      meanwhile().then(() => socket.write(body), reject);
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(answer));
  });
}

test("only a plain PutObject appends", async () => {
  const headers = { "x-amz-write-offset-bytes": "0" };
  const copy = await s3.call("PUT", "/box/copy", { headers: { ...headers, "x-amz-copy-source": "/box/log" } });
  expect(outcome(copy)).toEqual([501, "NotImplemented"]);
  expect((await s3.call("POST", "/box/upload", { query: "uploads", headers })).code).toBe("NotImplemented");
});
