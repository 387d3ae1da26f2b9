/** Users, groups, policies and service accounts over the admin API, and what they then may do. Source: admin API §3.3. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { AdminClient } from "./admin-client.ts";
import { KEYS, type S3Server, startServer } from "./server.ts";

let s3: S3Server;
let root: AdminClient;
beforeAll(async () => {
  s3 = await startServer();
  root = new AdminClient(s3);
  await s3.call("PUT", "/bucket");
  await s3.call("PUT", "/bucket/k", { body: "content" });
});
afterAll(() => s3.stop());

const READ = {
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: ["s3:GetObject"], Resource: ["arn:aws:s3:::bucket/*"] }],
};
const secretOf = (name: string): string => `${name}-secret`;
async function user(name: string, ...policies: string[]): Promise<AdminClient> {
  const made = await root.call("PUT", "add-user", {
    query: `accessKey=${name}`,
    sealed: { secretKey: secretOf(name), status: "enabled" },
  });
  expect(made.status).toBe(200);
  if (policies.length > 0) await root.call("POST", "idp/builtin/policy/attach", { sealed: { policies, user: name } });
  return new AdminClient(s3, name, secretOf(name));
}
const policy = (name: string, document: unknown): Promise<{ status: number }> =>
  root.call("PUT", "add-canned-policy", { query: `name=${name}`, plain: document });

test("a user may do what its policies allow, as soon as they are attached, and no longer than that", async () => {
  await policy("read", READ);
  const alice = await user("alice");
  expect((await alice.s3("GET", "/bucket/k")).code).toBe("AccessDenied");
  const attach = { sealed: { policies: ["read"], user: "alice" } };
  const attached = await root.call("POST", "idp/builtin/policy/attach", attach);
  expect([attached.status, attached.json.policiesAttached]).toEqual([200, ["read"]]);
  expect((await root.call("POST", "idp/builtin/policy/attach", attach)).json.Code).toBe(
    "XMinioAdminPolicyChangeAlreadyApplied",
  );
  expect((await alice.s3("GET", "/bucket/k")).text).toBe("content");
  expect((await alice.s3("PUT", "/bucket/k", { body: "x" })).code).toBe("AccessDenied");
  await root.call("POST", "idp/builtin/policy/detach", attach);
  expect((await alice.s3("GET", "/bucket/k")).code).toBe("AccessDenied");
});

test("a disabled user is unknown, a removed one too, and another secret counts at once", async () => {
  const bob = await user("bob", "readwrite");
  const status = (value: string): Promise<unknown> =>
    root.call("PUT", "set-user-status", { query: `accessKey=bob&status=${value}` });
  await status("disabled");
  expect((await bob.s3("GET", "/bucket/k")).code).toBe("InvalidAccessKeyId");
  await status("enabled");
  expect((await bob.s3("GET", "/bucket/k")).status).toBe(200);
  const sealed = { secretKey: "another-secret" };
  expect((await bob.call("PUT", "add-user", { query: "accessKey=bob", sealed })).status).toBe(200);
  expect((await bob.s3("GET", "/bucket/k")).code).toBe("SignatureDoesNotMatch");
  expect((await new AdminClient(s3, "bob", "another-secret").s3("GET", "/bucket/k")).status).toBe(200);
  expect((await root.call("DELETE", "remove-user", { query: "accessKey=bob" })).status).toBe(200);
  expect((await new AdminClient(s3, "bob", "another-secret").s3("GET", "/bucket/k")).code).toBe("InvalidAccessKeyId");
  expect((await root.call("DELETE", "remove-user", { query: "accessKey=bob" })).json.Code).toBe(
    "XMinioAdminNoSuchUser",
  );
});

test("members have the policies of their group; a disabled group denies them everything", async () => {
  const carol = await user("carol", "readonly");
  const members = (body: object): Promise<{ status: number; json: { Code: string } }> =>
    root.call("PUT", "update-group-members", { plain: { group: "staff", members: ["carol"], ...body } });
  expect((await members({ isRemove: false })).status).toBe(200);
  await root.call("PUT", "set-user-or-group-policy", { query: "policyName=writeonly&userOrGroup=staff&isGroup=true" });
  expect((await carol.s3("PUT", "/bucket/of-carol", { body: "x" })).status).toBe(200);
  expect((await carol.s3("GET", "/bucket/k")).status).toBe(200);
  const info = (await root.call("GET", "group", { query: "group=staff" })).json;
  expect(info).toMatchObject({ name: "staff", status: "enabled", members: ["carol"], policy: "writeonly" });
  await root.call("PUT", "set-group-status", { query: "group=staff&status=disabled" });
  expect((await carol.s3("GET", "/bucket/k")).code).toBe("AccessDenied");
  expect((await members({ isRemove: true, members: [] })).json.Code).toBe("XMinioAdminGroupNotEmpty");
  expect((await members({ isRemove: true })).status).toBe(200);
  expect((await members({ isRemove: true, members: [] })).status).toBe(200);
  expect((await carol.s3("GET", "/bucket/k")).status).toBe(200);
  expect((await root.call("GET", "groups")).json).toEqual([]);
});

test("an explicit deny wins over everything that allows", async () => {
  await policy("no-k", {
    Version: "2012-10-17",
    Statement: [{ Effect: "Deny", Action: ["s3:GetObject"], Resource: ["arn:aws:s3:::bucket/k"] }],
  });
  const dora = await user("dora", "readwrite", "no-k");
  expect((await dora.s3("GET", "/bucket/k")).code).toBe("AccessDenied");
  expect((await dora.s3("PUT", "/bucket/other", { body: "x" })).status).toBe(200);
});

test("a service account has what its parent has, or less", async () => {
  const erin = await user("erin", "readwrite");
  const create = (sealed: object): ReturnType<AdminClient["call"]> =>
    erin.call("PUT", "add-service-account", { sealed });
  const made = (await create({ name: "all" })).json.credentials;
  expect([made.accessKey.length, made.secretKey.length]).toEqual([20, 40]);
  const all = new AdminClient(s3, made.accessKey, made.secretKey);
  expect((await all.s3("PUT", "/bucket/by-erin", { body: "x" })).status).toBe(200);
  await create({ accessKey: "ERINREADS", secretKey: "erin-reads-secret", policy: READ });
  const reads = new AdminClient(s3, "ERINREADS", "erin-reads-secret");
  expect((await reads.s3("GET", "/bucket/k")).status).toBe(200);
  expect((await reads.s3("PUT", "/bucket/k", { body: "x" })).code).toBe("AccessDenied");
  // What is restricted makes no key without the restriction.
  expect((await reads.call("PUT", "add-service-account", { sealed: {} })).json.Code).toBe("AccessDenied");
  expect((await erin.call("GET", "info-service-account", { query: "accessKey=ERINREADS" })).json).toMatchObject({
    parentUser: "erin",
    accountStatus: "on",
    impliedPolicy: false,
  });
  const update = { query: "accessKey=ERINREADS", sealed: { newStatus: "off" } };
  expect((await root.call("POST", "update-service-account", update)).status).toBe(204);
  expect((await reads.s3("GET", "/bucket/k")).code).toBe("InvalidAccessKeyId");
  await root.call("POST", "update-service-account", { query: update.query, sealed: { newStatus: "on" } });
  expect((await reads.s3("PUT", "/bucket/k", { body: "x" })).code).toBe("AccessDenied");
  expect((await erin.call("DELETE", "delete-service-account", { query: "accessKey=ERINREADS" })).status).toBe(204);
  expect((await reads.s3("GET", "/bucket/k")).code).toBe("InvalidAccessKeyId");
  await root.call("DELETE", "remove-user", { query: "accessKey=erin" });
  expect((await all.s3("GET", "/bucket/k")).code).toBe("InvalidAccessKeyId");
});

test("root's own service account does everything, restricted it does not", async () => {
  await root.call("PUT", "add-service-account", { sealed: { accessKey: "ROOTALL", secretKey: "root-all-secret" } });
  expect((await new AdminClient(s3, "ROOTALL", "root-all-secret").call("GET", "list-users")).status).toBe(200);
  const sealed = { accessKey: "ROOTREADS", secretKey: "root-reads-secret", policy: READ };
  await root.call("PUT", "add-service-account", { sealed });
  const reads = new AdminClient(s3, "ROOTREADS", "root-reads-secret");
  expect((await reads.s3("GET", "/bucket/k")).status).toBe(200);
  expect((await reads.call("GET", "list-users")).json.Code).toBe("AccessDenied");
});

test("administration is a matter of policies, too: only the actions that are allowed", async () => {
  await policy("user-admin", {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: ["admin:CreateUser", "admin:ListUsers"] }],
  });
  const frank = await user("frank", "user-admin");
  const sealed = { secretKey: "made-by-frank" };
  expect((await frank.call("PUT", "add-user", { query: "accessKey=made", sealed })).status).toBe(200);
  expect((await frank.call("GET", "list-users")).json.made).toMatchObject({ status: "enabled" });
  expect((await frank.call("DELETE", "remove-user", { query: "accessKey=made" })).status).toBe(403);
  expect((await frank.call("GET", "info")).status).toBe(403);
  const nobody = await user("nobody-special", "readwrite");
  expect((await nobody.call("PUT", "add-user", { query: "accessKey=made", sealed })).status).toBe(403);
  expect((await nobody.call("GET", "user-info", { query: "accessKey=nobody-special" })).status).toBe(200);
  expect((await nobody.call("GET", "user-info", { query: "accessKey=made" })).status).toBe(403);
});

test("a policy in use stays; malformed ones, and names that no document can have, are refused", async () => {
  await policy("used", READ);
  await user("gina", "used");
  expect((await root.call("DELETE", "remove-canned-policy", { query: "name=used" })).json.Code).toBe(
    "XMinioIAMPolicyInUse",
  );
  await root.call("DELETE", "remove-user", { query: "accessKey=gina" });
  expect((await root.call("DELETE", "remove-canned-policy", { query: "name=used" })).status).toBe(200);
  const refused = async (name: string, document: unknown): Promise<string> =>
    (await root.call("PUT", "add-canned-policy", { query: `name=${name}`, plain: document })).json.Code;
  expect(await refused("bad", { Statement: READ.Statement })).toBe("XMinioMalformedIAMPolicy");
  expect(await refused("bad", "{")).toBe("XMinioMalformedIAMPolicy");
  for (const name of ["..%2F..%2Fx", "a%20b", "a%2Cb", "a%00b"])
    expect(await refused(name, READ)).toBe("PolicyInvalidName");
  const key = async (name: string): Promise<string> =>
    (await root.call("PUT", "add-user", { query: `accessKey=${name}`, sealed: { secretKey: "long-enough" } })).json
      .Code;
  for (const name of ["ab", "a%2Fb%2Fc", "..%2F..%2Fusers", "with%3Dsign", "a%0Ab"])
    expect(await key(name)).toBe("XMinioAdminInvalidAccessKey");
  expect(await key(KEYS.user)).toBe("XMinioIAMActionNotAllowed");
});

test("identities survive a restart, also one that nobody announced", async () => {
  const hank = await user("hank", "readwrite");
  await hank.call("PUT", "add-service-account", { sealed: { accessKey: "HANKKEY", secretKey: "hank-key-secret" } });
  await s3.restart();
  expect((await hank.s3("GET", "/bucket/k")).text).toBe("content");
  expect((await new AdminClient(s3, "HANKKEY", "hank-key-secret").s3("GET", "/bucket/k")).status).toBe(200);
  expect((await root.call("GET", "list-users")).json.hank).toMatchObject({ policyName: "readwrite" });
});

test("an export goes into another deployment", async () => {
  const before = (await root.call("GET", "export-iam")).body;
  await root.call("DELETE", "remove-user", { query: "accessKey=hank" });
  const imported = await root.call("PUT", "import-iam-v2", { body: before });
  expect([imported.status, imported.json.added.users.includes("hank"), imported.json.failed]).toEqual([200, true, {}]);
  expect((await new AdminClient(s3, "HANKKEY", "hank-key-secret").s3("GET", "/bucket/k")).status).toBe(200);
  expect((await root.call("PUT", "import-iam", { body: "no archive" })).status).toBe(400);
});

test("what is not signed, not hashed or not sealed is refused, whatever it asks", async () => {
  expect((await s3.call("GET", "/minio/admin/v3/list-users", { anonymous: true })).status).toBe(403);
  expect((await s3.call("GET", "/minio/admin/v3/list-users", { presignSeconds: 60 })).status).toBe(403);
  expect((await root.call("GET", "list-users", { payload: "UNSIGNED-PAYLOAD" })).status).toBe(400);
  const plain = { query: "accessKey=mallory", plain: { secretKey: "not-sealed-at-all" } };
  expect((await root.call("PUT", "add-user", plain)).json.Code).toBe("XMinioAdminConfigBadJSON");
  expect((await root.call("GET", "no-such-call")).status).toBe(404);
  expect((await s3.call("GET", "/minio/admin/v4/info")).status).toBe(426);
  expect((await root.call("GET", "trace")).status).toBe(501);
  expect((await root.call("GET", "user-info", { query: "accessKey=%ZZ" })).status).toBeLessThan(500);
});
