/** PostObject over HTTP: forms, their policies in V2 and V4, limits, answers. Source: s3-api.md §2.9. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash, createHmac } from "node:crypto";
import { type Answer, KEYS, startServer, type S3Server, texts } from "./server.ts";
import { amzDate, hmac, scopeOf, signingKey } from "./signer.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
});
afterAll(() => s3.stop());

type Field = readonly [name: string, value: string];
const B = "----boundary-of-the-form";

interface FormOptions {
  readonly fileName?: string;
  /** After the file. */
  readonly end?: string;
  readonly headers?: Readonly<Record<string, string>>;
}
function formOf(fields: readonly Field[], file: string | Uint8Array | null, options: FormOptions = {}): Buffer {
  const part = (name: string, more = ""): string =>
    `--${B}\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n`;
  const before = fields.map(([name, value]) => `${part(name)}${value}\r\n`).join("");
  if (file === null) return Buffer.from(`${before}--${B}--\r\n`);
  const head = part("file", `; filename="${options.fileName ?? "a.txt"}"`);
  return Buffer.concat([Buffer.from(before + head), Buffer.from(file), Buffer.from(options.end ?? `\r\n--${B}--\r\n`)]);
}
function post(fields: readonly Field[], file: string | Uint8Array | null, options: FormOptions = {}): Promise<Answer> {
  const headers = { "content-type": `multipart/form-data; boundary=${B}`, ...options.headers };
  return s3.call("POST", "/bucket", { anonymous: true, body: formOf(fields, file, options), headers });
}

const soon = (): string => new Date(Date.now() + 600_000).toISOString();
function policyOf(conditions: readonly unknown[], expiration = soon()): string {
  return Buffer.from(JSON.stringify({ expiration, conditions })).toString("base64");
}
function signedV2(fields: readonly Field[], policy: string): Field[] {
  const signature = createHmac("sha1", KEYS.secret).update(policy).digest("base64");
  return [...fields, ["AWSAccessKeyId", KEYS.user], ["signature", signature], ["policy", policy]];
}
function signedV4(fields: readonly Field[], conditions: readonly unknown[], ageMs = 0): Field[] {
  const date = amzDate(Date.now() - ageMs);
  const own: Field[] = [
    ["x-amz-algorithm", "AWS4-HMAC-SHA256"],
    ["x-amz-credential", `${KEYS.user}/${scopeOf(KEYS, date)}`],
    ["x-amz-date", date],
  ];
  const policy = policyOf([...conditions, ...own.map(([name, value]) => ({ [name]: value }))]);
  const signature = hmac(signingKey(KEYS, date), policy).toString("hex");
  return [...fields, ...own, ["policy", policy], ["x-amz-signature", signature]];
}
const BASE = [{ bucket: "bucket" }, ["starts-with", "$key", ""]];
const content = async (key: string): Promise<string> => (await s3.call("GET", `/bucket/${key}`)).text;

test("a form signed with V4 or V2 stores its file, with what its fields say", async () => {
  const fields: Field[] = [
    ["key", "up/${filename}"],
    ["Content-Type", "text/plain"],
    ["x-amz-meta-tag", "ü"],
    ["tagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"],
    ["Cache-Control", "no-store"],
  ];
  const conditions = [...BASE, ...fields.slice(1).map(([name]) => ["starts-with", `$${name}`, ""])];
  const made = await post(signedV4(fields, conditions), "hello", { fileName: "C:\\dir\\v4.txt" });
  expect([made.status, made.text]).toEqual([204, ""]);
  expect(made.headers.get("etag")).toBe(`"${createHash("md5").update("hello").digest("hex")}"`);
  expect(made.headers.get("location")).toBe(`http://${s3.host}:${s3.port}/bucket/up/v4.txt`);
  const head = await s3.call("GET", "/bucket/up/v4.txt");
  expect(head.text).toBe("hello");
  expect(head.headers.get("content-type")).toBe("text/plain");
  expect(head.headers.get("cache-control")).toBe("no-store");
  expect(head.headers.get("x-amz-tagging-count")).toBe("1");
  expect(head.headers.get("x-amz-meta-tag")).toBe("=?UTF-8?q?=C3=BC?=");
  expect((await post(signedV2([["key", "v2"]], policyOf(BASE)), "two")).status).toBe(204);
  expect(await content("v2")).toBe("two");
});

test("status and redirect are as the form asks; what is neither is 204", async () => {
  const ask = (name: string, value: string): Promise<Answer> =>
    post(
      signedV2(
        [
          ["key", "a b&c"],
          [name, value],
        ],
        policyOf([...BASE, ["starts-with", `$${name}`, ""]]),
      ),
      "x",
    );
  const created = await ask("success_action_status", "201");
  expect([created.status, texts(created.text, "Key"), texts(created.text, "Bucket")]).toEqual([
    201,
    ["a b&amp;c"],
    ["bucket"],
  ]);
  expect(created.text).toContain("<PostResponse>");
  expect((await ask("success_action_status", "200")).status).toBe(200);
  expect((await ask("success_action_status", "404")).status).toBe(204);
  const redirected = await ask("success_action_redirect", "http://example.test/page?a=1");
  expect([redirected.status, redirected.headers.get("location")]).toEqual([
    303,
    "http://example.test/page?a=1&bucket=bucket&key=a%20b%26c&etag=%229dd4e461268c8034f5c8564e155c67a6%22",
  ]);
  for (const bad of ["javascript:alert(1)", "/local", "http://x/\u00fc"])
    expect((await ask("success_action_redirect", bad)).status).toBe(204);
});

test("a field that is not in the form starts with nothing", async () => {
  const optional = (prefix: string): Promise<Answer> =>
    post(signedV2([["key", "optional"]], policyOf([...BASE, ["starts-with", "$content-type", prefix]])), "x");
  expect((await optional("")).status).toBe(204);
  expect((await optional("text/")).code).toBe("AccessDenied");
});

test("large files stream, whatever follows them, and ends of parts inside them are content", async () => {
  const noise = Buffer.alloc(5 * 1024 * 1024 + 17, `\r\n--${B.slice(0, -1)}\r\r\n--`);
  const md5 = createHash("md5").update(noise).digest("hex");
  const ends = [
    `\r\n--${B}--\r\n`,
    `\r\n--${B}--`,
    `\r\n--${B}\r\nContent-Disposition: form-data; name="submit"\r\n\r\nUpload\r\n--${B}--\r\n`,
  ];
  for (const [i, end] of ends.entries()) {
    for (const size of [noise.length, 1024 * 1024 + 1, 2 * 1024 * 1024, 70_000, 0]) {
      const file = noise.subarray(0, size);
      const made = await post(signedV2([["key", `large-${i}`]], policyOf(BASE)), file, { end });
      expect([i, size, made.status]).toEqual([i, size, 204]);
      const back = await s3.call("GET", `/bucket/large-${i}`);
      expect(back.body.equals(file)).toBe(true);
    }
    expect((await s3.call("HEAD", `/bucket/large-${i}`)).headers.get("etag")).not.toBe(`"${md5}"`);
  }
});

test("a file of which only the greatest size was known is stored as one of its own size", async () => {
  const filler = `\r\n--${B}\r\nContent-Disposition: form-data; name="later"\r\n\r\n${"x".repeat(2 * 1024 * 1024)}\r\n--${B}--\r\n`;
  for (const size of [0, 1, 1000, 1024 * 1024, 1024 * 1024 + 5]) {
    const file = Buffer.alloc(size, "abc");
    expect((await post(signedV2([["key", "short"]], policyOf(BASE)), file, { end: filler })).status).toBe(204);
    const back = await s3.call("GET", "/bucket/short");
    expect([back.body.length, back.body.equals(file)]).toEqual([size, true]);
    if (size > 2) {
      const range = await s3.call("GET", "/bucket/short", { headers: { range: `bytes=${size - 2}-` } });
      expect(range.text).toBe(file.subarray(size - 2).toString());
    }
  }
});

test("sizes outside the policy's range are refused, large ones while they come", async () => {
  const ranged = (min: unknown, max: unknown, file: string | Uint8Array): Promise<Answer> =>
    post(signedV2([["key", "ranged"]], policyOf([...BASE, ["content-length-range", min, max]])), file);
  expect((await ranged(0, 3, "four")).code).toBe("EntityTooLarge");
  const small = await ranged(5, 9, "four");
  expect([small.code, texts(small.text, "ProposedSize"), texts(small.text, "MinSizeAllowed")]).toEqual([
    "EntityTooSmall",
    ["4"],
    ["5"],
  ]);
  expect((await ranged(0, 1024 * 1024, Buffer.alloc(3 * 1024 * 1024))).code).toBe("EntityTooLarge");
  expect((await ranged(4 * 1024 * 1024, 2 ** 40, Buffer.alloc(3 * 1024 * 1024))).code).toBe("EntityTooSmall");
  expect((await s3.call("HEAD", "/bucket/ranged")).status).toBe(404);
  for (const [min, max] of [[0], [-1, 0], ["a", 3], [3, 2], [0, 1.5]])
    expect([(await ranged(min, max, "x")).status, min, max]).toEqual([400, min, max]);
  expect((await ranged("0", "10", "fits")).status).toBe(204);
});

test.each([
  ["a condition that fails", [{ bucket: "bucket" }, ["eq", "$key", "other"]], 403, "AccessDenied"],
  [
    "no condition for the bucket of the form",
    [["starts-with", "$key", ""], { bucket: "another" }],
    403,
    "AccessDenied",
  ],
  ["a field without a condition", [{ bucket: "bucket" }], 403, "AccessDenied"],
  ["a condition for a field that is not there", [...BASE, ["eq", "$x-amz-meta-a", ""]], 403, "AccessDenied"],
  ["an empty condition", [...BASE, {}], 400, "InvalidPolicyDocument"],
  ["an operator that is none", [...BASE, ["ends-with", "$key", "x"]], 400, "InvalidPolicyDocument"],
  [
    "a bucket that is only begun",
    [
      ["starts-with", "$bucket", "b"],
      ["starts-with", "$key", ""],
    ],
    400,
    "InvalidPolicyDocument",
  ],
  ["a value that is no text", [...BASE, { acl: 1 }], 400, "InvalidPolicyDocument"],
  ["a condition that is null", [...BASE, null], 400, "InvalidPolicyDocument"],
])("a policy with %s is refused", async (_, conditions, status, code) => {
  const answer = await post(signedV2([["key", "refused"]], policyOf(conditions)), "x");
  expect([answer.status, answer.code]).toEqual([status, code]);
});

test("a refusal says which condition of the policy failed", async () => {
  const policy = policyOf([...BASE, ["eq", "$x-amz-checksum-crc32c", "8TDyHg=="]]);
  const answer = await post(
    signedV2(
      [
        ["key", "refused"],
        ["x-amz-checksum-crc32c", "AAAAAA=="],
      ],
      policy,
    ),
    "x",
  );
  expect(answer.text).toContain("Policy Condition failed: [eq, $x-amz-checksum-crc32c, 8TDyHg==]");
});

test("a policy that is late, not JSON, not dated or not signed is refused", async () => {
  const answers = async (policy: string): Promise<unknown[]> => {
    const answer = await post(signedV2([["key", "refused"]], policy), "x");
    return [answer.status, answer.code];
  };
  const json = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64");
  expect(await answers(policyOf(BASE, "2020-01-01T00:00:00Z"))).toEqual([403, "AccessDenied"]);
  expect(await answers(policyOf(BASE, "2030-01-01 00:00:00"))).toEqual([400, "InvalidPolicyDocument"]);
  expect(await answers(json({ conditions: BASE }))).toEqual([400, "InvalidPolicyDocument"]);
  expect(await answers(json({ expiration: soon() }))).toEqual([400, "InvalidPolicyDocument"]);
  expect(await answers(json([]))).toEqual([400, "InvalidPolicyDocument"]);
  expect(await answers("e30")).toEqual([400, "InvalidPolicyDocument"]);
  expect(await answers("###")).toEqual([400, "InvalidPolicyDocument"]);
  const good = signedV2([["key", "refused"]], policyOf(BASE));
  const without = (name: string): Field[] => good.filter(([n]) => n !== name);
  const codes = async (fields: readonly Field[]): Promise<unknown[]> => {
    const answer = await post(fields, "x");
    return [answer.status, answer.code];
  };
  expect(await codes(without("signature"))).toEqual([400, "InvalidArgument"]);
  expect(await codes(without("AWSAccessKeyId"))).toEqual([400, "InvalidArgument"]);
  expect(await codes(without("policy"))).toEqual([400, "InvalidArgument"]);
  expect(await codes(without("key"))).toEqual([400, "InvalidArgument"]);
  expect(await codes([...without("signature"), ["signature", "AAAA"]])).toEqual([403, "SignatureDoesNotMatch"]);
  expect(await codes([...without("AWSAccessKeyId"), ["AWSAccessKeyId", "nobody"]])).toEqual([
    403,
    "InvalidAccessKeyId",
  ]);
  const v4 = signedV4([["key", "refused"]], BASE);
  expect(await codes(v4.map(([n, v]) => [n, n === "x-amz-signature" ? "0".repeat(64) : v] as const))).toEqual([
    403,
    "SignatureDoesNotMatch",
  ]);
  expect((await codes(v4.filter(([n]) => n !== "x-amz-date")))[0]).toBe(400);
  expect(await codes([["key", "nobody-signed"]])).toEqual([403, "AccessDenied"]);
});

test("checksums and digests of the file are fields, and are verified", async () => {
  const sum = createHash("sha256").update("summed").digest("base64");
  const of = (name: string, value: string): Promise<Answer> =>
    post(
      signedV2(
        [
          ["key", "summed"],
          [name, value],
        ],
        policyOf([...BASE, ["starts-with", `$${name}`, ""]]),
      ),
      "summed",
    );
  const good = await of("x-amz-checksum-sha256", sum);
  expect([good.status, good.headers.get("x-amz-checksum-sha256")]).toEqual([204, sum]);
  expect((await of("x-amz-checksum-sha256", "sailor")).status).toBe(400);
  expect((await of("x-amz-checksum-sha256", createHash("sha256").update("x").digest("base64"))).code).toBe("BadDigest");
  expect((await of("content-md5", createHash("md5").update("x").digest("base64"))).code).toBe("BadDigest");
});

test("a form that is broken is a clear 400, and other bodies are no forms", async () => {
  const fields = signedV2([["key", "broken"]], policyOf(BASE));
  const whole = formOf(fields, "x").toString("latin1");
  const raw = async (body: string, type = `multipart/form-data; boundary=${B}`): Promise<unknown[]> => {
    const headers = { "content-type": type };
    const answer = await s3.call("POST", "/bucket", { anonymous: true, body: Buffer.from(body, "latin1"), headers });
    return [answer.status, answer.code];
  };
  expect(await raw(whole.replace(`\r\n--${B}--\r\n`, ""))).toEqual([400, "IncompleteBody"]);
  expect(await raw(whole.replace('name="file"', 'name="other"'))).toEqual([400, "InvalidArgument"]);
  expect(await raw(whole.replace('name="file"', 'name=""'))).toEqual([400, "MalformedPOSTRequest"]);
  expect(await raw(whole.replace("Content-Disposition", "X-Other"))).toEqual([400, "MalformedPOSTRequest"]);
  expect(await raw(whole.replace(`${B}\r\n`, `${B}??`))).toEqual([400, "MalformedPOSTRequest"]);
  expect(await raw(`--${B}\r\nContent-Disposition: form-data; name="key"\r\n\r\na\r\n${whole}`)).toEqual([
    400,
    "InvalidArgument",
  ]);
  expect(
    await raw(`--${B}\r\nContent-Disposition: form-data; name="long"\r\n\r\n${"a".repeat(2 ** 20 + 9)}\r\n${whole}`),
  ).toEqual([400, "EntityTooLarge"]);
  expect(await raw(`--${B}\r\nContent-Disposition: form-data; name="x-ignore-\xff"\r\n\r\n\xff\r\n${whole}`)).toEqual([
    400,
    "InvalidArgument",
  ]);
  expect(await raw("", `multipart/form-data; boundary=${B}`)).toEqual([400, "IncompleteBody"]);
  expect(await raw(whole, "multipart/form-data")).toEqual([400, "MalformedPOSTRequest"]);
  expect(await raw("a=b", "application/x-www-form-urlencoded")).toEqual([405, "MethodNotAllowed"]);
  const evil = signedV2(
    [
      ["key", "evil"],
      ["x-amz-meta-a", "a\nb: c"],
    ],
    policyOf([...BASE, ["starts-with", "$x-amz-meta-a", ""]]),
  );
  expect((await post(evil, "x")).code).toBe("InvalidArgument");
  const dots = signedV2([["key", "a/../b"]], policyOf(BASE));
  expect((await post(dots, "x")).status).toBe(400);
  const both = await post(fields, "x", { headers: { authorization: "AWS a:b" } });
  expect([both.status, both.code]).toEqual([400, "InvalidRequest"]);
});

test("a signature of more than seven days is no good, however long its policy holds", async () => {
  const day = 24 * 3_600_000;
  expect((await post(signedV4([["key", "week"]], BASE, 7 * day - 60_000), "x")).status).toBe(204);
  const old = await post(signedV4([["key", "older"]], BASE, 7 * day + 60_000), "x");
  expect([old.status, old.code]).toEqual([403, "AccessDenied"]);
  expect(old.text).toContain("Policy expired");
  expect((await s3.call("HEAD", "/bucket/older")).status).toBe(404);
});
