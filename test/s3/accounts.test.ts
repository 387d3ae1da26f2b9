/** Users under the rules of access: one account while lists are off, accounts of their own where they are on. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { canonicalIdOf } from "../../src/iam/principal.ts";
import { AdminClient } from "./admin-client.ts";
import { type Answer, startServer, type S3Server, texts } from "./server.ts";

const READ_WRITE = "readwrite";
async function userOf(s3: S3Server, name: string): Promise<AdminClient> {
  const root = new AdminClient(s3);
  const secret = `${name}-secret`;
  await root.call("PUT", "add-user", { query: `accessKey=${name}`, sealed: { secretKey: secret, status: "enabled" } });
  await root.call("POST", "idp/builtin/policy/attach", { sealed: { policies: [READ_WRITE], user: name } });
  return new AdminClient(s3, name, secret);
}
const policyOf = (effect: string, action: string, resource: string, principal: unknown = "*"): string =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: effect, Principal: principal, Action: action, Resource: `arn:aws:s3:::${resource}` }],
  });

describe("lists are off: all users are one account", () => {
  let s3: S3Server;
  let alice: AdminClient;
  let bob: AdminClient;
  beforeAll(async () => {
    s3 = await startServer();
    alice = await userOf(s3, "alice");
    bob = await userOf(s3, "bob");
    await alice.s3("PUT", "/shared");
    await alice.s3("PUT", "/shared/k", { body: "content" });
  });
  afterAll(() => s3.stop());

  test("who made a bucket does not matter, policies of the identity do", async () => {
    expect((await bob.s3("GET", "/shared/k")).text).toBe("content");
    expect(texts((await bob.s3("GET", "/")).text, "Name")).toEqual(["shared"]);
    expect((await bob.s3("PUT", "/shared")).code).toBe("BucketAlreadyOwnedByYou");
  });

  test("a bucket's Deny binds users whom their own policies allow, by name too, but not root", async () => {
    const deny = policyOf("Deny", "s3:GetObject", "shared/*", { AWS: "arn:aws:iam:::user/bob" });
    expect((await s3.call("PUT", "/shared", { query: "policy", body: deny })).status).toBe(204);
    expect((await bob.s3("GET", "/shared/k")).code).toBe("AccessDenied");
    expect((await alice.s3("GET", "/shared/k")).status).toBe(200);
    expect((await s3.call("GET", "/shared/k")).status).toBe(200);
    await s3.call("DELETE", "/shared", { query: "policy" });
  });

  test("a bucket's Allow suffices for a user without policies", async () => {
    const root = new AdminClient(s3);
    const sealed = { secretKey: "carol-secret", status: "enabled" };
    await root.call("PUT", "add-user", { query: "accessKey=carol", sealed });
    const carol = new AdminClient(s3, "carol", "carol-secret");
    expect((await carol.s3("GET", "/shared/k")).code).toBe("AccessDenied");
    await s3.call("PUT", "/shared", { query: "policy", body: policyOf("Allow", "s3:GetObject", "shared/*") });
    expect((await carol.s3("GET", "/shared/k")).text).toBe("content");
    expect((await carol.s3("PUT", "/shared/k", { body: "x" })).code).toBe("AccessDenied");
    await s3.call("DELETE", "/shared", { query: "policy" });
  });
});

describe("lists are on: each user is an account", () => {
  let s3: S3Server;
  let alice: AdminClient;
  let bob: AdminClient;
  const put = (who: AdminClient, path: string, acl?: string): Promise<Answer> =>
    who.s3("PUT", path, { body: "content", ...(acl === undefined ? {} : { headers: { "x-amz-acl": acl } }) });
  beforeAll(async () => {
    s3 = await startServer({ SHERD_OBJECT_OWNERSHIP: "ObjectWriter" });
    alice = await userOf(s3, "alice");
    bob = await userOf(s3, "bob");
    await alice.s3("PUT", "/hers");
    await put(alice, "/hers/k");
  });
  afterAll(() => s3.stop());

  test("another's bucket is closed, whatever the own policies allow, and root sees all", async () => {
    expect((await bob.s3("GET", "/hers/k")).code).toBe("AccessDenied");
    expect((await bob.s3("GET", "/hers")).code).toBe("AccessDenied");
    expect((await bob.s3("DELETE", "/hers")).code).toBe("AccessDenied");
    expect((await bob.s3("PUT", "/hers")).code).toBe("BucketAlreadyExists");
    expect(texts((await bob.s3("GET", "/")).text, "Name")).toEqual([]);
    expect(texts((await alice.s3("GET", "/")).text, "Name")).toEqual(["hers"]);
    expect((await s3.call("GET", "/hers/k")).text).toBe("content");
  });

  test("a policy or a grant of the owner opens it", async () => {
    const body = policyOf("Allow", "s3:GetObject", "hers/*", { AWS: "arn:aws:iam:::user/bob" });
    expect((await alice.s3("PUT", "/hers", { query: "policy", body })).status).toBe(204);
    expect((await bob.s3("GET", "/hers/k")).text).toBe("content");
    await alice.s3("DELETE", "/hers", { query: "policy" });
    expect((await bob.s3("GET", "/hers/k")).code).toBe("AccessDenied");
    const headers = { "x-amz-grant-read": `id="${canonicalIdOf("bob")}"` };
    expect((await alice.s3("PUT", "/hers/k", { query: "acl", headers })).status).toBe(200);
    expect((await bob.s3("GET", "/hers/k")).text).toBe("content");
    expect((await bob.s3("GET", "/hers/k", { query: "acl" })).code).toBe("AccessDenied");
  });

  test("who may write only, in the own account, may not open what is written", async () => {
    const root = new AdminClient(s3);
    const body = policyOf("Deny", "s3:PutObjectAcl", "hers/*");
    await alice.s3("PUT", "/hers", { query: "policy", body });
    expect((await put(alice, "/hers/open", "public-read")).code).toBe("AccessDenied");
    expect((await put(alice, "/hers/open", "private")).status).toBe(200);
    expect((await root.s3("DELETE", "/hers", { query: "policy" })).status).toBe(204);
    expect((await put(alice, "/hers/open", "public-read")).status).toBe(200);
  });

  test("who writes an object owns it: the bucket's owner may delete but not read it", async () => {
    await alice.s3("PUT", "/inbox", { headers: { "x-amz-acl": "public-read-write" } });
    expect((await put(bob, "/inbox/his")).status).toBe(200);
    const acl = await bob.s3("GET", "/inbox/his", { query: "acl" });
    expect(texts(acl.text, "DisplayName")).toEqual(["bob", "bob"]);
    expect((await alice.s3("GET", "/inbox/his")).code).toBe("AccessDenied");
    expect((await put(bob, "/inbox/shown", "bucket-owner-read")).status).toBe(200);
    expect((await alice.s3("GET", "/inbox/shown")).text).toBe("content");
    expect((await alice.s3("DELETE", "/inbox/his")).status).toBe(204);
  });

  test("a bucket that prefers its owner is given what is given, one that enforces it owns all", async () => {
    const own = (rule: string): Promise<Answer> =>
      alice.s3("PUT", "/inbox", {
        query: "ownershipControls",
        body: `<OwnershipControls><Rule><ObjectOwnership>${rule}</ObjectOwnership></Rule></OwnershipControls>`,
      });
    await own("BucketOwnerPreferred");
    await put(bob, "/inbox/given", "bucket-owner-full-control");
    expect((await alice.s3("GET", "/inbox/given")).text).toBe("content");
    await put(bob, "/inbox/kept");
    expect((await alice.s3("GET", "/inbox/kept")).code).toBe("AccessDenied");
    await alice.s3("PUT", "/inbox", { query: "acl", headers: { "x-amz-acl": "private" } });
    await own("BucketOwnerEnforced");
    expect((await alice.s3("GET", "/inbox/kept")).text).toBe("content");
    expect((await bob.s3("GET", "/inbox/kept")).code).toBe("AccessDenied");
  });
});
