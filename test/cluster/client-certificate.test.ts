/** AssumeRoleWithCertificate: a client shows a certificate over TLS and gets keys with the policy of its name. Source: s3-api.md §6.3. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServerProcess } from "./server-process.ts";

const root = mkdtempSync(join(tmpdir(), "sherd-client-certificate-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function openssl(...args: string[]): void {
  const made = Bun.spawnSync(["openssl", ...args], { cwd: root });
  expect([made.exitCode, made.stderr.toString()]).toEqual([0, made.stderr.toString()]);
}
const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

function makeAuthority(folder: string): void {
  mkdirSync(join(root, folder), { recursive: true });
  const files = ["-keyout", `${folder}/ca.key`, "-out", `${folder}/public.crt`];
  openssl("req", "-x509", ...NEW_KEY, "-days", "2", "-subj", "/CN=authority", ...files);
}
function makeClient(name: string, authority: string, usage: string): void {
  openssl("req", ...NEW_KEY, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`);
  Bun.spawnSync(["sh", "-c", `printf 'extendedKeyUsage=${usage}\\nbasicConstraints=CA:FALSE\\n' > ${name}.ext`], {
    cwd: root,
  });
  const by = [
    "-CA",
    `${authority}/public.crt`,
    "-CAkey",
    `${authority}/ca.key`,
    "-CAcreateserial",
    "-extfile",
    `${name}.ext`,
  ];
  openssl("x509", "-req", "-days", "2", "-in", `${name}.csr`, ...by, "-out", `${name}.crt`);
}

/** Status and document of the answer. */
async function assume(url: string, client: string | null): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const pair =
    client === null
      ? {}
      : { cert: readFileSync(join(root, `${client}.crt`)), key: readFileSync(join(root, `${client}.key`)) };
  const target = `${url}/?Action=AssumeRoleWithCertificate&Version=2011-06-15`;
  const asked = request(target, { method: "POST", rejectUnauthorized: false, agent: false, ...pair }, (answer) => {
    let text = "";
    answer.on("data", (chunk) => (text += String(chunk)));
    answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
  });
  asked.on("error", reject);
  asked.end();
  return await promise;
}

test("a certificate of a trusted authority is worth the policy of its name; others are worth nothing", async () => {
  mkdirSync(join(root, "server"));
  const certs = join(root, "certs");
  makeAuthority("certs/CAs");
  makeAuthority("strangers");
  openssl(
    "req",
    "-x509",
    ...NEW_KEY,
    "-days",
    "2",
    "-subj",
    "/CN=localhost",
    "-keyout",
    "certs/private.key",
    "-out",
    "certs/public.crt",
  );
  makeClient("readonly", "certs/CAs", "clientAuth");
  makeClient("no-such-policy", "certs/CAs", "clientAuth");
  makeClient("readwrite", "certs/CAs", "serverAuth");
  makeClient("consoleAdmin", "strangers", "clientAuth");
  const server = await ServerProcess.start({
    cwd: join(root, "server"),
    flags: ["--certs-dir", certs],
    env: { MINIO_IDENTITY_TLS_ENABLE: "on" },
  });
  try {
    const good = await assume(server.url, "readonly");
    expect([good.status, good.text.includes("<SessionToken>")]).toEqual([200, true]);
    const code = async (client: string | null): Promise<string | undefined> =>
      /<Code>([^<]*)/.exec((await assume(server.url, client)).text)?.[1];
    expect(await code(null)).toBe("MissingParameter");
    expect(await code("no-such-policy")).toBe("InvalidParameterValue");
    expect(await code("readwrite")).toBe("InvalidClientCertificate");
    expect(await code("consoleAdmin")).toBe("InvalidClientCertificate");
  } finally {
    await server.stop();
  }
});
