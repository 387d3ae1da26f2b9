/**
 * Bodies whose size is only bounded (files of forms), and members of archives, where the bucket or the server says that they are
 * encrypted, compressed or both: they come back the same, with their size in HEAD and listing. Source: s3-api.md §2.9, §4.22.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash, createHmac } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { type Answer, KEYS, startServer, type S3Server } from "./server.ts";
import { tarOf } from "./tar-writer.ts";

const MIB = 1024 * 1024;
const B = "----boundary-of-the-form";
/** Follows the file: the form's length then says nothing about the file's. */
const EPILOGUE = "e".repeat(MIB + 100_000);

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer({
    MINIO_KMS_SECRET_KEY: "my-key:QaL+NF7RZ6QIBzS1WPIyovH3AwsdwjQRFQiJmRstrGU=",
    MINIO_COMPRESSION_ENABLE: "on",
    MINIO_COMPRESSION_EXTENSIONS: ".txt",
    MINIO_COMPRESSION_MIME_TYPES: "text/*",
    MINIO_COMPRESSION_ALLOW_ENCRYPTION: "on",
  });
  await s3.call("PUT", "/plain");
  await s3.call("PUT", "/sealed");
  const rule = "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>";
  const set = await s3.call("PUT", "/sealed", {
    query: "encryption=",
    body: `<ServerSideEncryptionConfiguration>${rule}</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`,
  });
  expect(set.status).toBe(200);
});
afterAll(() => s3.stop());

function text(bytes: number): Buffer {
  let lines = "";
  for (let i = 0; lines.length < bytes; i++) lines += `line ${i} says much the same thing ${(i * i) % 97}\n`;
  return Buffer.from(lines.slice(0, bytes));
}

function post(
  bucket: string,
  key: string,
  file: Uint8Array,
  epilogue = "",
  range?: number,
  more: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const conditions: unknown[] = [
    { bucket },
    { key },
    ...Object.entries(more).map(([name, value]) => ({ [name]: value })),
  ];
  if (range !== undefined) conditions.push(["content-length-range", 0, range]);
  const expiration = new Date(Date.now() + 600_000).toISOString();
  const policy = Buffer.from(JSON.stringify({ expiration, conditions })).toString("base64");
  const signature = createHmac("sha1", KEYS.secret).update(policy).digest("base64");
  const fields = Object.entries({ key, AWSAccessKeyId: KEYS.user, signature, policy, ...more });
  const part = (name: string): string => `--${B}\r\nContent-Disposition: form-data; name="${name}"`;
  const head = fields.map(([name, value]) => `${part(name)}\r\n\r\n${value}\r\n`).join("");
  const body = Buffer.concat([
    Buffer.from(`${head}${part("file")}; filename="f"\r\n\r\n`),
    file,
    Buffer.from(`\r\n--${B}--\r\n${epilogue}`),
  ]);
  const headers = { "content-type": `multipart/form-data; boundary=${B}` };
  return s3.call("POST", `/${bucket}`, { anonymous: true, body, headers });
}

async function demandStored(bucket: string, key: string, content: Buffer): Promise<void> {
  const path = `/${bucket}/${key}`;
  const head = await s3.call("HEAD", path);
  expect(head.headers.get("content-length")).toBe(String(content.length));
  expect(head.headers.get("etag")).toBe(`"${createHash("md5").update(content).digest("hex")}"`);
  expect(head.headers.get("x-amz-server-side-encryption")).toBe(bucket === "sealed" ? "AES256" : undefined);
  const got = await s3.call("GET", path);
  expect([got.status, got.body.equals(content)]).toEqual([200, true]);
  if (content.length > 10) {
    const last = await s3.call("GET", path, { headers: { range: "bytes=-10" } });
    expect([last.status, last.text]).toEqual([206, content.subarray(-10).toString()]);
  }
  const listed = await s3.call("GET", `/${bucket}`, { query: `list-type=2&prefix=${key}` });
  expect(listed.text).toContain(`<Size>${content.length}</Size>`);
}

/** Bytes that the drives hold for a key, and whether one holds these. */
function onDrives(bucket: string, key: string, sample: Buffer): { readonly bytes: number; readonly has: boolean } {
  const files = ["d1", "d2", "d3", "d4"].flatMap((drive) => {
    const folder = join(s3.root, drive, bucket, key);
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name)));
  });
  return { bytes: files.reduce((sum, f) => sum + f.length, 0), has: files.some((f) => f.includes(sample)) };
}

describe.each([
  ["encrypted", "sealed", "bin"],
  ["compressed", "plain", "txt"],
  ["compressed and encrypted", "sealed", "txt"],
  ["neither", "plain", "bin"],
] as const)("%s", (_, bucket, extension) => {
  test.each([0, 1, 5, 65_536, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB, 3 * MIB + 7])(
    "a form's file of %p bytes comes back, with or without its length known",
    async (bytes) => {
      const content = text(bytes);
      for (const [name, epilogue] of [
        ["file", ""],
        ["bounded", EPILOGUE],
      ] as const) {
        const key = `${name}-${bytes}.${extension}`;
        const made = await post(bucket, key, content, epilogue);
        expect([made.status, made.text]).toEqual([204, ""]);
        expect(made.headers.get("x-amz-server-side-encryption")).toBe(bucket === "sealed" ? "AES256" : undefined);
        await demandStored(bucket, key, content);
      }
    },
  );

  test("a form's file is on the drives as it should be, and one that is too long leaves nothing", async () => {
    const content = text(3 * MIB);
    const key = `drives.${extension}`;
    expect((await post(bucket, key, content, EPILOGUE)).status).toBe(204);
    const stored = onDrives(bucket, key, content.subarray(100, 140));
    expect(stored.has).toBe(bucket === "plain" && extension === "bin");
    if (extension === "txt") expect(stored.bytes).toBeLessThan(2.5 * MIB);
    else expect(stored.bytes).toBeGreaterThan(6 * MIB);
    const tooLong = await post(bucket, `long.${extension}`, content, "", 2 * MIB);
    expect([tooLong.status, tooLong.code]).toEqual([400, "EntityTooLarge"]);
    expect((await s3.call("HEAD", `/${bucket}/long.${extension}`)).status).toBe(404);
  });

  test("members of an archive come back", async () => {
    const members = [0, 5, 70_000, MIB, 3 * MIB + 7].map((bytes) => ({ name: `m-${bytes}.${extension}`, bytes }));
    const body = gzipSync(tarOf(members.map(({ name, bytes }) => ({ name, content: text(bytes) }))));
    const headers = { "x-amz-meta-snowball-auto-extract": "true" };
    expect((await s3.call("PUT", `/${bucket}/archive.tgz`, { body, headers })).status).toBe(200);
    for (const { name, bytes } of members) await demandStored(bucket, name, text(bytes));
  });
});

test("members of an archive are encrypted when the request says so", async () => {
  const body = tarOf([{ name: "asked.bin", content: text(3000) }]);
  const headers = { "x-amz-meta-snowball-auto-extract": "true", "x-amz-server-side-encryption": "AES256" };
  expect((await s3.call("PUT", "/plain/archive.tar", { body, headers })).status).toBe(200);
  const head = await s3.call("HEAD", "/plain/asked.bin");
  expect(head.headers.get("x-amz-server-side-encryption")).toBe("AES256");
  expect((await s3.call("GET", "/plain/asked.bin")).body.equals(text(3000))).toBe(true);
});

const SSE = "x-amz-server-side-encryption";
test.each([
  ["SSE-S3", { [SSE]: "AES256" }, "AES256", undefined],
  ["SSE-KMS with a key", { [SSE]: "aws:kms", [`${SSE}-aws-kms-key-id`]: "my-key" }, "aws:kms", "arn:aws:kms:my-key"],
  ["SSE-KMS", { [SSE]: "aws:kms" }, "aws:kms", "arn:aws:kms:my-key"],
])("a form may ask for %s", async (_, fields, algorithm, keyId) => {
  const file = Buffer.from("the file of a form");
  const made = await post("plain", "asked", file, "", undefined, fields);
  expect([made.status, made.headers.get(SSE)]).toEqual([204, algorithm]);
  const got = await s3.call("GET", "/plain/asked");
  expect([got.text, got.headers.get(SSE), got.headers.get(`${SSE}-aws-kms-key-id`)]).toEqual([
    file.toString(),
    algorithm,
    keyId,
  ]);
});

test("a form that asks for encryption that cannot be is refused", async () => {
  const key = Buffer.alloc(32, 1);
  const customer = {
    [`${SSE}-customer-algorithm`]: "AES256",
    [`${SSE}-customer-key`]: key.toString("base64"),
    [`${SSE}-customer-key-md5`]: createHash("md5").update(key).digest("base64"),
  };
  const codes = [];
  for (const fields of [{ [SSE]: "rot13" }, { [SSE]: "aws:kms", [`${SSE}-aws-kms-key-id`]: "none" }, customer]) {
    const { status, code } = await post("plain", "refused", Buffer.from("x"), "", undefined, fields);
    codes.push([status, code]);
  }
  expect(codes).toEqual([
    [400, "InvalidArgument"],
    [400, "KMS.NotFoundException"],
    [400, "InvalidRequest"], // a client's key goes over TLS only
  ]);
  expect((await s3.call("HEAD", "/plain/refused")).status).toBe(404);
});
