/**
 * Makes the users of ceph's s3-tests over the admin API of a started server, and writes the suite's configuration:
 * `bun prepare.ts ADDRESS CONFIGURATION`, ADDRESS = what the server said, http or https. Root's credentials come from the
 * environment of run.sh.
 */
import { createHash } from "node:crypto";
import { loadCodec } from "../../../src/codec/native.ts";
import { PasswordEnvelope } from "../../../src/iam/password-envelope.ts";
import { canonicalIdOf } from "../../../src/iam/principal.ts";
import { realRng } from "../../../src/sys/rng.ts";
import { S3Client } from "../../cluster/s3-client.ts";

const [address, file] = Bun.argv.slice(2) as [string, string];
const { protocol, hostname, port } = new URL(address);
const secret = process.env["SHERD_ROOT_PASSWORD"] ?? "";
const root = new S3Client(address, process.env["SHERD_ROOT_USER"] ?? "", secret);
const envelope = new PasswordEnvelope(loadCodec({ tier: -1 }), realRng());

async function admin(method: string, path: string, query: string, content: unknown): Promise<void> {
  const body = await envelope.seal(secret, Buffer.from(JSON.stringify(content)));
  const headers = { "x-amz-content-sha256": createHash("sha256").update(body).digest("hex") };
  const answer = await root.call(method, `/minio/admin/v3/${path}`, { query, body, headers });
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`);
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
  `[DEFAULT]\nhost = ${hostname}\nport = ${port}\nis_secure = ${protocol === "https:" ? "True" : "False"}\nssl_verify = False\n`,
  "[fixtures]\nbucket prefix = s3t-{random}-\n",
];
for (const [section, { name, policy }] of Object.entries(USERS)) {
  const secretKey = `${name}-secret`;
  await admin("PUT", "add-user", `accessKey=${encodeURIComponent(name)}`, { secretKey, status: "enabled" });
  await admin("POST", "idp/builtin/policy/attach", "", { policies: [policy], user: name });
  const id = canonicalIdOf(name);
  const keys =
    section === "s3 main"
      ? "kms_keyid = arn:aws:kms:key1\nkms_keyid2 = arn:aws:kms:key1\nlc_debug_interval = 1\n"
      : section === "s3 tenant"
        ? "tenant =\n"
        : "";
  sections.push(
    `[${section}]\ndisplay_name = ${name}\nuser_id = ${id}\nemail = ${name}\naccess_key = ${name}\nsecret_key = ${secretKey}\n${keys}`,
  );
}
await Bun.write(file, sections.join("\n"));
