/** Compression: what matches is stored smaller and comes back the same, whole, in ranges, in parts and encrypted. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type S3Server, startServer } from "./server.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
let server: S3Server;
beforeAll(async () => {
  server = await startServer({
    MINIO_COMPRESSION_ENABLE: "on",
    MINIO_COMPRESSION_EXTENSIONS: ".txt,.LOG",
    MINIO_COMPRESSION_MIME_TYPES: "text/*",
    MINIO_COMPRESSION_ALLOW_ENCRYPTION: "on",
    MINIO_KMS_SECRET_KEY: "my-key:QaL+NF7RZ6QIBzS1WPIyovH3AwsdwjQRFQiJmRstrGU=",
  });
  await server.call("PUT", "/box");
});
afterAll(() => server.stop());

function lines(bytes: number): Buffer {
  let text = "";
  for (let i = 0; text.length < bytes; i++)
    text += `line ${i} of a log that says much the same thing ${(i * i) % 97}\n`;
  return Buffer.from(text.slice(0, bytes));
}
function noise(bytes: number): Buffer {
  const out = Buffer.alloc(bytes);
  for (let i = 0, x = 12345; i < bytes; i++) {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0;
    out[i] = x >>> 23;
  }
  return out;
}
/** Bytes that the drives hold below a key. */
function stored(key: string): number {
  let sum = 0;
  for (const drive of ["d1", "d2", "d3", "d4"])
    for (const name of readdirSync(join(server.root, drive, "box", key), { recursive: true }))
      sum += statSync(join(server.root, drive, "box", key, String(name))).size;
  return sum;
}

const SSE = { "x-amz-server-side-encryption": "AES256" };
describe.each([
  ["in the clear", {}],
  ["encrypted", SSE],
] as const)("%s", (name, headers) => {
  const path = (key: string): string => `/box/${name.replaceAll(" ", "-")}/${key}`;

  test.each([0, 1, 4096, 4097, 65_536, 300_000, MIB - 1, MIB, MIB + 1, 3 * MIB + 7])(
    "%p bytes of text come back, whole and in ranges",
    async (bytes) => {
      for (const content of [lines(bytes), noise(bytes)]) {
        const key = path(`${bytes}-${content[0] ?? 0}.txt`);
        const put = await server.call("PUT", key, { headers, body: content });
        expect(put.status).toBe(200);
        expect(put.headers.get("etag")).toBe(`"${createHash("md5").update(content).digest("hex")}"`);
        const head = await server.call("HEAD", key);
        expect(head.headers.get("content-length")).toBe(String(bytes));
        const got = await server.call("GET", key);
        expect(got.body.equals(content)).toBe(true);
        for (const first of [0, 1, 4095, 65_535, 65_536, MIB - 1, MIB, bytes - 1])
          for (const length of [1, 70_000, MIB + 1]) {
            if (first < 0 || first >= bytes) continue;
            const range = await server.call("GET", key, { headers: { range: `bytes=${first}-${first + length - 1}` } });
            expect(range.status).toBe(206);
            expect(range.body.equals(content.subarray(first, first + length))).toBe(true);
          }
      }
      const list = await server.call("GET", "/box", { query: `list-type=2&prefix=${path("").slice(5)}${bytes}-` });
      expect(list.text).toContain(`<Size>${bytes}</Size>`);
    },
  );

  test("a multipart upload, its ranges over part borders and its copy", async () => {
    const key = path("multipart.log");
    const begun = await server.call("POST", key, { query: "uploads=", headers });
    const id = /<UploadId>([^<]*)/.exec(begun.text)?.[1] as string;
    const parts = [lines(5 * MIB + 3), noise(5 * MIB), lines(10)];
    let document = "";
    for (const [i, part] of parts.entries()) {
      const put = await server.call("PUT", key, { query: `partNumber=${i + 1}&uploadId=${id}`, body: part });
      document += `<Part><PartNumber>${i + 1}</PartNumber><ETag>${put.headers.get("etag")}</ETag></Part>`;
    }
    const done = await server.call("POST", key, {
      query: `uploadId=${id}`,
      body: `<CompleteMultipartUpload>${document}</CompleteMultipartUpload>`,
    });
    expect(done.status).toBe(200);
    const content = Buffer.concat(parts);
    expect((await server.call("GET", key)).body.equals(content)).toBe(true);
    for (const [first, last] of [
      [5 * MIB, 5 * MIB + 10],
      [4 * MIB, 11 * MIB],
      [content.length - 12, content.length - 1],
    ] as const) {
      const range = await server.call("GET", key, { headers: { range: `bytes=${first}-${last}` } });
      expect(range.body.equals(content.subarray(first, last + 1))).toBe(true);
    }
    const copied = await server.call("PUT", path("copy.bin"), { headers: { "x-amz-copy-source": key } });
    expect(copied.status).toBe(200);
    expect((await server.call("GET", path("copy.bin"))).body.equals(content)).toBe(true);
  });

  test("text takes a fraction of its size on the drives; what does not match takes all of it", async () => {
    const content = lines(3 * MIB);
    await server.call("PUT", path("small.LOG"), { headers, body: content });
    await server.call("PUT", path("typed"), { headers: { ...headers, "content-type": "text/plain" }, body: content });
    await server.call("PUT", path("other.bin"), { headers, body: content });
    await server.call("PUT", path("never.txt.gz"), { headers, body: content });
    for (const key of ["small.LOG", "typed"]) expect(stored(path(key).slice(5))).toBeLessThan(2.5 * MIB);
    for (const key of ["other.bin", "never.txt.gz"]) expect(stored(path(key).slice(5))).toBeGreaterThan(6 * MIB);
  });
});

test("a checksum is of what the client sent", async () => {
  const content = lines(200_000);
  const sum = createHash("sha256").update(content).digest("base64");
  const put = await server.call("PUT", "/box/sum.txt", { headers: { "x-amz-checksum-sha256": sum }, body: content });
  expect(put.status).toBe(200);
  const wrong = await server.call("PUT", "/box/bad.txt", {
    headers: { "x-amz-checksum-sha256": sum },
    body: lines(9000),
  });
  expect(wrong.status).toBe(400);
  const head = await server.call("HEAD", "/box/sum.txt", { headers: { "x-amz-checksum-mode": "ENABLED" } });
  expect(head.headers.get("x-amz-checksum-sha256")).toBe(sum);
});
