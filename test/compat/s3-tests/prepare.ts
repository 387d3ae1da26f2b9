/**
 * Makes the users of ceph's s3-tests over the admin API of a started server, and writes the suite's configuration:
 * `bun prepare.ts http://127.0.0.1:PORT CONFIGURATION`. Root's credentials come from the environment of run.sh.
 */
import { loadCodec } from "../../../src/codec/native.ts";
import { PasswordEnvelope } from "../../../src/iam/password-envelope.ts";
import { canonicalIdOf } from "../../../src/iam/principal.ts";
import { realRng } from "../../../src/sys/rng.ts";
import { exchange } from "../../s3/raw-http.ts";
import { requestOf } from "../../s3/server.ts";

const [address, file] = Bun.argv.slice(2) as [string, string];
const { hostname, port } = new URL(address);
const at = { host: hostname, port: Number(port) };
const root = {
  user: process.env["SHERD_ROOT_USER"] ?? "",
  secret: process.env["SHERD_ROOT_PASSWORD"] ?? "",
  region: "us-east-1",
};
const envelope = new PasswordEnvelope(loadCodec({ tier: -1 }), realRng());

async function admin(method: string, path: string, query: string, content: unknown): Promise<void> {
  const body = await envelope.seal(root.secret, Buffer.from(JSON.stringify(content)));
  const request = requestOf(at, method, `/minio/admin/v3/${path}`, { query, body, keys: root });
  const answer = await exchange(at, [request.head, request.body]);
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.body.toString()}`);
}

interface User {
  /** An address where the suite grants by one. */
  readonly name: string;
  readonly policy: string;
}
const USERS: Readonly<Record<string, User>> = {
  "s3 main": { name: "main@example.com", policy: "readwrite" },
  "s3 alt": { name: "alt@example.com", policy: "readwrite" },
  "s3 tenant": { name: "tenant@example.com", policy: "readwrite" },
  iam: { name: "iam@example.com", policy: "readwrite" },
  "iam root": { name: "iam-root@example.com", policy: "readwrite" },
  "iam alt root": { name: "iam-alt@example.com", policy: "readwrite" },
};

const sections = [
  `[DEFAULT]\nhost = ${at.host}\nport = ${at.port}\nis_secure = False\nssl_verify = False\n`,
  "[fixtures]\nbucket prefix = s3t-{random}-\n",
];
for (const [section, { name, policy }] of Object.entries(USERS)) {
  const secretKey = `${name}-secret`;
  await admin("PUT", "add-user", `accessKey=${encodeURIComponent(name)}`, { secretKey, status: "enabled" });
  await admin("POST", "idp/builtin/policy/attach", "", { policies: [policy], user: name });
  const id = canonicalIdOf(name);
  const keys =
    section === "s3 main" ? "kms_keyid = key1\nkms_keyid2 = key1\n" : section === "s3 tenant" ? "tenant =\n" : "";
  sections.push(
    `[${section}]\ndisplay_name = ${name}\nuser_id = ${id}\nemail = ${name}\naccess_key = ${name}\nsecret_key = ${secretKey}\n${keys}`,
  );
}
await Bun.write(file, sections.join("\n"));
