/** The server's composition over HTTP, with requests as the wire sees them: signatures, framing, routing, errors. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash, createHmac } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const USER = "wire-admin";
const SECRET = "wire-admin-secret";
const root = mkdtempSync(join(tmpdir(), "sherd-wire-"));
let server: Bun.Subprocess<"ignore", "pipe", "inherit">;
let base = "";

beforeAll(async () => {
  const main = join(import.meta.dir, "../../src/main.ts");
  server = Bun.spawn([process.execPath, main, "server", "--json", "--address", "127.0.0.1:0", "./d{1...4}"], {
    cwd: root,
    env: { ...process.env, SHERD_ROOT_USER: USER, SHERD_ROOT_PASSWORD: SECRET },
    stdout: "pipe",
    stdin: "ignore",
    stderr: "inherit",
  });
  let text = "";
  for await (const chunk of server.stdout) {
    text += Buffer.from(chunk).toString();
    const found = /"listening","address":"([^"]+)"/.exec(text)?.[1];
    if (found !== undefined) {
      base = found;
      break;
    }
  }
});
afterAll(async () => {
  server.kill("SIGTERM");
  expect(await server.exited).toBe(0);
  rmSync(root, { recursive: true, force: true });
});

interface Options {
  readonly query?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
  readonly payload?: string;
  readonly secret?: string;
}
function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
async function call(
  method: string,
  path: string,
  options: Options = {},
): Promise<{ status: number; text: string; headers: Headers }> {
  const { query = "", body = "", secret = SECRET } = options;
  const now = new Date().toISOString().replace(/[-:]|\.\d{3}/g, "");
  const payload = options.payload ?? createHash("sha256").update(body).digest("hex");
  const headers: Record<string, string> = {
    host: base.slice(7),
    "x-amz-content-sha256": payload,
    "x-amz-date": now,
    ...options.headers,
  };
  const names = Object.keys(headers).sort();
  const sorted = query
    .split("&")
    .filter(Boolean)
    .map((p) => (p.includes("=") ? p : `${p}=`))
    .sort()
    .join("&");
  const canonical = `${method}\n${path}\n${sorted}\n${names.map((n) => `${n}:${headers[n]}\n`).join("")}\n${names.join(";")}\n${payload}`;
  const scope = `${now.slice(0, 8)}/us-east-1/s3/aws4_request`;
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, now.slice(0, 8)), "us-east-1"), "s3"), "aws4_request");
  const toSign = `AWS4-HMAC-SHA256\n${now}\n${scope}\n${createHash("sha256").update(canonical).digest("hex")}`;
  const authorization = `AWS4-HMAC-SHA256 Credential=${USER}/${scope}, SignedHeaders=${names.join(";")}, Signature=${hmac(key, toSign).toString("hex")}`;
  const answer = await fetch(`${base}${path}${query === "" ? "" : `?${query}`}`, {
    method,
    headers: { ...headers, authorization },
    ...(method === "GET" || method === "HEAD" ? {} : { body }),
  });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}
const code = (text: string): string | undefined => /<Code>([^<]*)/.exec(text)?.[1];

test("an object goes in and comes out, whole, in ranges and with its ETag", async () => {
  expect((await call("PUT", "/wire")).status).toBe(200);
  const body = "0123456789".repeat(30_000);
  const put = await call("PUT", "/wire/a/b", { body });
  expect(put.headers.get("etag")).toBe(`"${createHash("md5").update(body).digest("hex")}"`);
  expect((await call("GET", "/wire/a/b")).text).toBe(body);
  const part = await call("GET", "/wire/a/b", { headers: { range: "bytes=5-14" } });
  expect([part.status, part.text, part.headers.get("content-range")]).toEqual([206, "5678901234", "bytes 5-14/300000"]);
  expect(code((await call("GET", "/wire/a/b", { headers: { range: "bytes=300000-" } })).text)).toBe("InvalidRange");
});

test("a wrong secret, no signature and a wrong payload hash are refused, and nothing is stored", async () => {
  expect(code((await call("PUT", "/wire/no", { body: "x", secret: "wrong" })).text)).toBe("SignatureDoesNotMatch");
  expect((await fetch(`${base}/wire/a/b`)).status).toBe(403);
  expect(code((await call("PUT", "/wire/no", { body: "x", payload: "0".repeat(64) })).text)).toBe(
    "XAmzContentSHA256Mismatch",
  );
  expect(code((await call("GET", "/wire/no")).text)).toBe("NoSuchKey");
});

test("an unsigned-trailer body without a valid signature is refused", async () => {
  const headers = {
    "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "x-amz-decoded-content-length": "1",
    "x-amz-trailer": "x-amz-checksum-crc32",
  };
  const answer = await fetch(
    `${base}/wire/forged?X-Amz-Credential=${USER}%2F20260101%2Fus-east-1%2Fs3%2Faws4_request`,
    { method: "PUT", headers, body: "1\r\nx\r\n0\r\n\r\n" },
  );
  expect(answer.status).toBe(400);
  expect((await call("HEAD", "/wire/forged")).status).toBe(404);
});

test("a body without its last chunk is not stored", async () => {
  const headers = { "x-amz-decoded-content-length": "1", "x-amz-trailer": "x-amz-checksum-crc32" };
  const answer = await call("PUT", "/wire/cut", {
    headers,
    payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    body: "1\r\nx\r\n",
  });
  expect(code(answer.text)).toBe("IncompleteBody");
  expect((await call("HEAD", "/wire/cut")).status).toBe(404);
});

test("sub-resources that are not there answer NotImplemented and never reach the bucket", async () => {
  for (const query of ["policy", "publicAccessBlock", "lifecycle", "nonsense", "inventory"]) {
    expect([query, (await call("DELETE", "/wire", { query })).status]).toEqual([query, 501]);
    expect([query, (await call("PUT", "/wire", { query, body: "<x/>" })).status]).toEqual([query, 501]);
  }
  expect((await call("HEAD", "/wire")).status).toBe(200);
});

test("If-None-Match: * lets one of many writers through", async () => {
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      call("PUT", "/wire/once", { body: `w${i}`, headers: { "if-none-match": "*" } }),
    ),
  );
  expect(answers.map((a) => a.status).sort()).toEqual([200, 412, 412, 412, 412, 412, 412, 412]);
});

test("versions, delete markers and their listing", async () => {
  await call("PUT", "/versions");
  const body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
  expect((await call("PUT", "/versions", { query: "versioning", body })).status).toBe(200);
  const first = (await call("PUT", "/versions/k", { body: "1" })).headers.get("x-amz-version-id") ?? "";
  await call("PUT", "/versions/k", { body: "2" });
  const gone = await call("DELETE", "/versions/k");
  expect(gone.headers.get("x-amz-delete-marker")).toBe("true");
  expect((await call("GET", "/versions/k")).status).toBe(404);
  expect((await call("GET", "/versions/k", { query: `versionId=${first}` })).text).toBe("1");
  const list = (await call("GET", "/versions", { query: "versions" })).text;
  expect([list.match(/<Version>/g)?.length, list.match(/<DeleteMarker>/g)?.length]).toEqual([2, 1]);
  expect(code((await call("DELETE", "/versions")).text)).toBe("BucketNotEmpty");
});

test("XML bombs and other roots are malformed, not served", async () => {
  const bomb = '<!DOCTYPE d [<!ENTITY a "aaaa">]><Delete><Object><Key>&a;</Key></Object></Delete>';
  for (const body of [bomb, "<Other/>", "<Delete><Object>", "no xml"]) {
    const headers = { "content-md5": createHash("md5").update(body).digest("base64") };
    expect(code((await call("POST", "/wire", { query: "delete", body, headers })).text)).toBe("MalformedXML");
  }
});
