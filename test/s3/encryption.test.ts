/** Server-side encryption over HTTPS: SSE-S3, SSE-KMS and SSE-C on every way in and out, and what is refused. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Answer, S3Client } from "../cluster/s3-client.ts";
import { ServerProcess } from "../cluster/server-process.ts";

const KIB = 1024;
const PACKAGE = 64 * KIB;
const MIB = 1024 * KIB;
const root = mkdtempSync(join(tmpdir(), "sherd-sse-"));
const KMS = { MINIO_KMS_SECRET_KEY: "my-key:QaL+NF7RZ6QIBzS1WPIyovH3AwsdwjQRFQiJmRstrGU=" };

function certificates(): string {
  const folder = join(root, "certs");
  mkdirSync(folder, { recursive: true });
  const command = `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout ${folder}/private.key -out ${folder}/public.crt`;
  expect(Bun.spawnSync(command.split(" ")).exitCode).toBe(0);
  return folder;
}

function started(name: string, env: Record<string, string>, flags: readonly string[] = []): Promise<ServerProcess> {
  const cwd = join(root, name);
  mkdirSync(cwd, { recursive: true });
  return ServerProcess.start({ cwd, flags, env });
}

let server: ServerProcess;
let s3: S3Client;
beforeAll(async () => {
  server = await started("tls", KMS, ["--certs-dir", certificates()]);
  s3 = server.client;
  const made = await s3.put("/box", "");
  if (made.status !== 200) throw new Error(made.text);
});
afterAll(async () => {
  await server.stop();
  rmSync(root, { recursive: true, force: true });
});

function pattern(bytes: number, seed = 1): Uint8Array {
  const out = new Uint8Array(bytes);
  for (let i = 0, x = seed * 2654435761; i < bytes; i++) {
    x = Math.imul(x ^ (x >>> 15), 2246822519) + i;
    out[i] = x >>> 24;
  }
  return out;
}
const md5 = (bytes: Uint8Array | string): string => createHash("md5").update(bytes).digest("hex");

type Headers = Record<string, string>;
function customer(key: Uint8Array, prefix = ""): Headers {
  const name = `x-amz-${prefix}server-side-encryption-customer`;
  return {
    [`${name}-algorithm`]: "AES256",
    [`${name}-key`]: Buffer.from(key).toString("base64"),
    [`${name}-key-md5`]: createHash("md5").update(key).digest("base64"),
  };
}
const KEY = pattern(32, 7);
const OTHER = pattern(32, 8);
const KINDS: readonly (readonly [string, Headers, Headers])[] = [
  ["SSE-S3", { "x-amz-server-side-encryption": "AES256" }, {}],
  ["SSE-KMS", { "x-amz-server-side-encryption": "aws:kms" }, {}],
  [
    "SSE-KMS with a context",
    {
      "x-amz-server-side-encryption": "aws:kms",
      "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:my-key",
      "x-amz-server-side-encryption-context": Buffer.from('{"z":"1","a":"<é>"}').toString("base64"),
    },
    {},
  ],
  ["SSE-C", customer(KEY), customer(KEY)],
];
const call = (method: string, path: string, headers: Headers = {}, body?: Uint8Array | string): Promise<Answer> =>
  s3.call(method, path, { headers, ...(body === undefined ? {} : { body }) });

/** No drive holds these bytes. */
function nowhereOnDrives(folder: string, bytes: Uint8Array): boolean {
  for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true }))
    if (entry.isFile() && readFileSync(join(entry.parentPath, entry.name)).includes(bytes)) return false;
  return true;
}

describe.each(KINDS)("%s", (name, write, read) => {
  const path = (key: string): string => `/box/${name.replaceAll(" ", "-")}/${key}`;

  test.each([
    0,
    1,
    100,
    PACKAGE - 1,
    PACKAGE,
    PACKAGE + 1,
    2 * PACKAGE + 1,
    600 * KIB,
    MIB - 1,
    MIB,
    MIB + 1,
    3 * MIB + 12_345,
  ])("an object of %p bytes comes back, whole and in ranges", async (bytes) => {
    const content = pattern(bytes, 100 + KINDS.findIndex(([kind]) => kind === name));
    const key = path(`size-${bytes}`);
    const put = await call("PUT", key, write, content);
    expect(put.status).toBe(200);
    if (name === "SSE-S3") expect(put.headers.get("etag")).toBe(`"${md5(content)}"`);
    const head = await call("HEAD", key, read);
    expect(head.headers.get("etag")).toBe(put.headers.get("etag") as string);
    expect(head.headers.get("content-length")).toBe(String(bytes));
    for (const header of Object.keys(write).filter((h) => !h.endsWith("-key")))
      expect(head.headers.get(header)).toBe(
        header.endsWith("-key-id") ? "arn:aws:kms:my-key" : (write[header] as string),
      );
    const got = await call("GET", key, read);
    expect(got.bytes.equals(content)).toBe(true);
    const ends = [0, 1, 100, PACKAGE - 1, PACKAGE, PACKAGE + 1, MIB - 1, MIB, bytes - 1, bytes >> 1];
    for (const first of ends)
      for (const length of [1, 2, PACKAGE, PACKAGE + 1, MIB + 5]) {
        if (first < 0 || first >= bytes) continue;
        const range = await call("GET", key, { ...read, range: `bytes=${first}-${first + length - 1}` });
        expect(range.status).toBe(206);
        expect(range.bytes.equals(content.subarray(first, first + length))).toBe(true);
      }
    if (bytes >= 100) expect(nowhereOnDrives("tls", content.subarray(bytes - 64))).toBe(true);
  });

  test("multipart, its ranges over part borders, its parts and its copies", async () => {
    const key = path("multipart");
    const begun = await s3.call("POST", key, { query: "uploads", headers: write });
    expect(begun.status).toBe(200);
    const id = /<UploadId>([^<]*)/.exec(begun.text)?.[1] as string;
    const parts = [pattern(5 * MIB + 17, 1), pattern(5 * MIB, 2), pattern(70_000, 3)];
    const etags: string[] = [];
    for (const [i, part] of parts.entries()) {
      const query = `partNumber=${i * 2 + 1}&uploadId=${id}`;
      if (name === "SSE-C") {
        expect((await s3.call("PUT", key, { query, body: part })).status).toBe(400);
        expect((await s3.call("PUT", key, { query, body: part, headers: customer(OTHER) })).status).toBe(403);
      }
      const put = await s3.call("PUT", key, { query, body: part, headers: read });
      expect(put.status).toBe(200);
      etags.push(put.headers.get("etag") as string);
      if (name === "SSE-S3") expect(etags[i]).toBe(`"${md5(part)}"`);
    }
    const listed = await s3.call("GET", key, { query: `uploadId=${id}` });
    expect(
      [...listed.text.matchAll(/<ETag>([^<]*)/g)].map((m) => (m[1] as string).replace(/&#34;|&quot;/g, '"')),
    ).toEqual(etags);
    const document = `<CompleteMultipartUpload>${etags.map((e, i) => `<Part><PartNumber>${i * 2 + 1}</PartNumber><ETag>${e}</ETag></Part>`).join("")}</CompleteMultipartUpload>`;
    const done = await s3.call("POST", key, { query: `uploadId=${id}`, body: document });
    expect(done.status).toBe(200);
    const content = Buffer.concat(parts);
    const got = await call("GET", key, read);
    expect(got.bytes.equals(content)).toBe(true);
    expect(got.headers.get("etag")).toMatch(/-3"$/);
    const [a, b] = [parts[0]?.length as number, 10 * MIB + 17];
    for (const [first, last] of [
      [0, 0],
      [a - 1, a],
      [a, a],
      [a - PACKAGE, b + 10],
      [b - 1, b + 69_999],
      [b + 65_535, b + 65_536],
      [7, content.length - 1],
    ] as const) {
      const range = await call("GET", key, { ...read, range: `bytes=${first}-${last}` });
      expect(range.bytes.equals(content.subarray(first, last + 1))).toBe(true);
    }
    const third = await s3.call("GET", key, { query: "partNumber=5", headers: read });
    expect(third.bytes.equals(parts[2] as Uint8Array)).toBe(true);

    const source = { "x-amz-copy-source": key, ...(name === "SSE-C" ? customer(KEY, "copy-source-") : {}) };
    for (const [i, [, target, reading]] of KINDS.entries()) {
      const copied = await call("PUT", path(`copy-${i}`), { ...source, ...target });
      expect(copied.status).toBe(200);
      expect((await call("GET", path(`copy-${i}`), reading)).bytes.equals(content)).toBe(true);
    }
    expect((await call("PUT", path("plain"), source)).status).toBe(200);
    const plain = await call("GET", path("plain"));
    expect(plain.bytes.equals(content)).toBe(true);
    expect(plain.headers.get("x-amz-server-side-encryption")).toBeNull();
  });

  test("a part can be copied from a range of it", async () => {
    const content = pattern(6 * MIB);
    await call("PUT", path("source"), write, content);
    const key = path("from-parts");
    const begun = await s3.call("POST", key, { query: "uploads", headers: write });
    const id = /<UploadId>([^<]*)/.exec(begun.text)?.[1] as string;
    const part = await s3.call("PUT", key, {
      query: `partNumber=1&uploadId=${id}`,
      headers: {
        ...read,
        ...(name === "SSE-C" ? customer(KEY, "copy-source-") : {}),
        "x-amz-copy-source": path("source"),
        "x-amz-copy-source-range": `bytes=65535-${5 * MIB}`,
      },
    });
    expect(part.status).toBe(200);
    const etag = /<ETag>([^<]*)/.exec(part.text)?.[1] as string;
    const document = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${etag}</ETag></Part></CompleteMultipartUpload>`;
    expect((await s3.call("POST", key, { query: `uploadId=${id}`, body: document })).status).toBe(200);
    expect((await call("GET", key, read)).bytes.equals(content.subarray(65_535, 5 * MIB + 1))).toBe(true);
  });

  test("checksums are kept and shown", async () => {
    const content = pattern(1000);
    const sum = createHash("sha256").update(content).digest("base64");
    const put = await call("PUT", path("sum"), { ...write, "x-amz-checksum-sha256": sum }, content);
    expect(put.status).toBe(200);
    const head = await call("HEAD", path("sum"), { ...read, "x-amz-checksum-mode": "ENABLED" });
    expect(head.headers.get("x-amz-checksum-sha256")).toBe(sum);
    const wrong = await call("PUT", path("wrong"), { ...write, "x-amz-checksum-sha256": sum }, pattern(PACKAGE + 5, 9));
    expect(wrong.status).toBe(400);
    expect((await call("HEAD", path("wrong"), read)).status).toBe(404);
  });

  test("a listing shows the ETag of HEAD and the client's size", async () => {
    const put = await call("PUT", path("listed"), write, pattern(5000));
    const list = await s3.get("/box", `list-type=2&prefix=${encodeURIComponent(path("listed").slice(5))}`);
    expect(/<ETag>(?:&#34;|&quot;)([0-9a-f]*)/.exec(list.text)?.[1]).toBe(put.headers.get("etag")?.replaceAll('"', ""));
    expect(list.text).toContain("<Size>5000</Size>");
    const head = await call("HEAD", path("listed"), { ...read, "if-match": put.headers.get("etag") as string });
    expect(head.status).toBe(200);
  });

  test("what is appended is encrypted as the object is", async () => {
    const key = path("appended");
    const [first, more] = [pattern(PACKAGE + 5, 1), pattern(2 * MIB + 7, 2)];
    expect((await call("PUT", key, write, first)).status).toBe(200);
    const at = { "x-amz-write-offset-bytes": String(first.length) };
    const other = name === "SSE-S3" ? { "x-amz-server-side-encryption": "aws:kms" } : KINDS[0]?.[1];
    expect((await call("PUT", key, { ...at, ...other }, more)).code).toBe("EncryptionTypeMismatch");
    if (name === "SSE-C") {
      expect((await call("PUT", key, at, more)).status).toBe(400);
      expect((await call("PUT", key, { ...at, ...customer(OTHER) }, more)).status).toBe(403);
    }
    const put = await call("PUT", key, { ...at, ...read }, more);
    expect([put.status, put.headers.get("x-amz-object-size")]).toEqual([200, String(first.length + more.length)]);
    const got = await call("GET", key, read);
    expect(got.bytes.equals(Buffer.concat([first, more]))).toBe(true);
    for (const header of Object.keys(write).filter((h) => !h.endsWith("-key")))
      expect(got.headers.get(header)).toBe(
        header.endsWith("-key-id") ? "arn:aws:kms:my-key" : (write[header] as string),
      );
    expect(nowhereOnDrives("tls", more.subarray(more.length - 64))).toBe(true);
  });

  test("bytes that were changed on the drives are never sent", async () => {
    const content = pattern(3 * MIB);
    await call("PUT", path("tampered"), write, content);
    // The engine's hashes would notice damage: whoever tampers makes new ones, so the shards are swapped for another object's.
    await call("PUT", path("tampering"), write, pattern(3 * MIB, 5));
    for (const drive of ["d1", "d2", "d3", "d4"]) {
      const of = (key: string): string => {
        const folder = join(root, "tls", drive, path(key).slice(1));
        const data = readdirSync(folder).find((n) => n !== "xl.meta") as string;
        return join(folder, data, "part.1");
      };
      const [to, from] = [readFileSync(of("tampered")), readFileSync(of("tampering"))];
      const frame = 32 + MIB / 2;
      from.copy(to, frame, frame, 2 * frame); // the second block
      writeFileSync(of("tampered"), to);
    }
    const got = await call("GET", path("tampered"), read);
    expect(got.status).toBe(0); // the connection broke
    const before = await call("GET", path("tampered"), { ...read, range: "bytes=0-900000" });
    expect(before.bytes.equals(content.subarray(0, 900_001))).toBe(true);
    const inside = await call("GET", path("tampered"), { ...read, range: "bytes=1100000-1200000" });
    expect(inside.status === 0 || inside.status >= 500).toBe(true);
  });
});

describe("SSE-C", () => {
  test("is refused without its key, with a wrong one, with half of it, and with another encryption", async () => {
    await call("PUT", "/box/c", customer(KEY), "secret");
    const name = "x-amz-server-side-encryption-customer";
    const cases: readonly (readonly [Headers, number])[] = [
      [{}, 400],
      [customer(OTHER), 403],
      [{ ...customer(KEY), [`${name}-key-md5`]: customer(OTHER)[`${name}-key-md5`] as string }, 400],
      [{ ...customer(KEY), [`${name}-algorithm`]: "AES128" }, 400],
      [{ ...customer(KEY), [`${name}-key`]: Buffer.from("short").toString("base64") }, 400],
      [{ [`${name}-algorithm`]: "AES256" }, 400],
      [{ [`${name}-algorithm`]: "AES256", [`${name}-key`]: customer(KEY)[`${name}-key`] as string }, 400],
      [{ "x-amz-server-side-encryption": "AES256" }, 400],
    ];
    for (const [headers, status] of cases) {
      expect((await call("GET", "/box/c", headers)).status).toBe(status);
      expect((await call("HEAD", "/box/c", headers)).status).toBe(status);
    }
    expect(
      (await call("PUT", "/box/both", { ...customer(KEY), "x-amz-server-side-encryption": "AES256" }, "x")).code,
    ).toBe("InvalidArgument");
    await call("PUT", "/box/plain", {}, "plain");
    expect((await call("GET", "/box/plain", customer(KEY))).code).toBe("InvalidRequest");
    expect((await call("PUT", "/box/c2", { "x-amz-copy-source": "/box/c" })).status).toBe(400);
    expect(
      (await call("PUT", "/box/c2", { "x-amz-copy-source": "/box/c", ...customer(OTHER, "copy-source-") })).status,
    ).toBe(403);
  });

  test("its key is changed by a copy onto itself", async () => {
    const content = pattern(100_000);
    await call("PUT", "/box/rotate", customer(KEY), content);
    const rotated = await call("PUT", "/box/rotate", {
      "x-amz-copy-source": "/box/rotate",
      ...customer(KEY, "copy-source-"),
      ...customer(OTHER),
    });
    expect(rotated.status).toBe(200);
    expect((await call("GET", "/box/rotate", customer(KEY))).status).toBe(403);
    expect((await call("GET", "/box/rotate", customer(OTHER))).bytes.equals(content)).toBe(true);
    const opened = { "x-amz-copy-source": "/box/rotate", ...customer(OTHER, "copy-source-") };
    expect((await call("PUT", "/box/rotate", opened)).status).toBe(200);
    expect((await call("GET", "/box/rotate")).bytes.equals(content)).toBe(true);
  });
});

test("SSE-KMS with a key that is not there, and what makes no sense, are refused", async () => {
  const kms = { "x-amz-server-side-encryption": "aws:kms" };
  const id = "x-amz-server-side-encryption-aws-kms-key-id";
  const context = "x-amz-server-side-encryption-context";
  expect((await call("PUT", "/box/k", { ...kms, [id]: "other" }, "x")).code).toBe("KMS.NotFoundException");
  expect((await call("PUT", "/box/k", { [id]: "my-key" }, "x")).code).toBe("InvalidArgument");
  expect((await call("PUT", "/box/k", { "x-amz-server-side-encryption": "AES256", [id]: "my-key" }, "x")).status).toBe(
    400,
  );
  expect((await call("PUT", "/box/k", { "x-amz-server-side-encryption": "ROT13" }, "x")).status).toBe(400);
  for (const bad of [
    "no base64 of json",
    Buffer.from("[1]").toString("base64"),
    Buffer.from('{"a":1}').toString("base64"),
  ])
    expect((await call("PUT", "/box/k", { ...kms, [context]: bad }, "x")).code).toBe("InvalidArgument");
  expect((await call("HEAD", "/box/k")).status).toBe(404);
});

test("a bucket's default encryption applies to PUT, multipart and copies, and goes away", async () => {
  await s3.put("/default", "");
  const rule = (inner: string): string =>
    `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>${inner}</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`;
  const set = (document: string): Promise<Answer> =>
    s3.call("PUT", "/default", { query: "encryption", body: document });
  for (const bad of [
    "<SSEAlgorithm>ROT13</SSEAlgorithm>",
    "<SSEAlgorithm>AES256</SSEAlgorithm><KMSMasterKeyID>my-key</KMSMasterKeyID>",
    "",
  ])
    expect((await set(rule(bad))).code).toBe("MalformedXML");
  expect((await set(rule("<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>no</KMSMasterKeyID>"))).status).toBe(400);
  expect((await s3.get("/default", "encryption")).code).toBe("ServerSideEncryptionConfigurationNotFoundError");
  for (const [algorithm, inner] of [
    ["AES256", "<SSEAlgorithm>AES256</SSEAlgorithm>"],
    ["aws:kms", "<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>my-key</KMSMasterKeyID>"],
  ] as const) {
    expect((await set(rule(inner))).status).toBe(200);
    expect((await s3.get("/default", "encryption")).text).toContain(inner);
    const put = await call("PUT", "/default/put", {}, "by default");
    expect(put.headers.get("x-amz-server-side-encryption")).toBe(algorithm);
    await call("PUT", "/box/to-copy", {}, "copied");
    const copy = await call("PUT", "/default/copy", { "x-amz-copy-source": "/box/to-copy" });
    expect(copy.headers.get("x-amz-server-side-encryption")).toBe(algorithm);
    const begun = await s3.call("POST", "/default/mp", { query: "uploads" });
    expect(begun.headers.get("x-amz-server-side-encryption")).toBe(algorithm);
    expect((await call("GET", "/default/put")).text).toBe("by default");
    expect((await call("GET", "/default/copy")).text).toBe("copied");
    expect((await call("PUT", "/default/c", customer(KEY), "own key")).status).toBe(200);
  }
  expect((await s3.delete("/default", "encryption")).status).toBe(204);
  expect((await call("PUT", "/default/put", {}, "plain")).headers.get("x-amz-server-side-encryption")).toBeNull();
});

test("without a KMS, and without TLS, what cannot be done is refused", async () => {
  const bare = await started("bare", {});
  try {
    const plain = bare.client;
    await plain.put("/box", "");
    expect((await plain.put("/box/x", "x", { "x-amz-server-side-encryption": "AES256" })).status).toBe(501);
    expect((await plain.put("/box/x", "x", customer(KEY))).code).toBe("InvalidRequest");
    expect((await plain.get("/box/x")).status).toBe(404);
  } finally {
    await bare.stop();
  }
});

test("with automatic encryption everything new is encrypted, and read again after a restart", async () => {
  const auto = { ...KMS, MINIO_KMS_AUTO_ENCRYPTION: "on" };
  const first = await started("auto", auto);
  await first.client.put("/box", "");
  const put = await first.client.put("/box/x", pattern(200_000));
  expect(put.headers.get("x-amz-server-side-encryption")).toBe("AES256");
  await first.stop();
  const second = await started("auto", auto);
  try {
    expect((await second.client.get("/box/x")).bytes.equals(pattern(200_000))).toBe(true);
  } finally {
    await second.stop();
  }
  const other = await started("auto", { MINIO_KMS_SECRET_KEY: `my-key:${Buffer.from(OTHER).toString("base64")}` });
  try {
    expect((await other.client.get("/box/x")).code).toBe("XMinioObjectTampered");
  } finally {
    await other.stop();
  }
});
