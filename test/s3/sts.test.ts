/**
 * Temporary keys over HTTP: for users who sign, for tokens of an OpenID provider and for users of an LDAP server, both of which run in
 * this process. Source: s3-api.md §6.3.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { AdminClient } from "./admin-client.ts";
import { type LdapServer, startLdapServer } from "./ldap-server.ts";
import { type Answer, KEYS, type S3Server, startServer, texts } from "./server.ts";

const CLIENT = "sherd-tests";
const ALICE = "uid=alice,ou=people,dc=example";

let s3: S3Server;
let root: AdminClient;
let ldap: LdapServer;
let idp: ReturnType<typeof Bun.serve>;
/** What the provider signs with now: changed in the middle of a test. */
let signing: { kid: string; key: CryptoKey; jwk: object };

async function newSigningKey(kid: string): Promise<void> {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  signing = { kid, key: privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: "ES256" } };
}

beforeAll(async () => {
  await newSigningKey("first");
  idp = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const { pathname, origin } = new URL(request.url);
      if (pathname === "/keys") return Response.json({ keys: [signing.jwk] });
      return Response.json({ issuer: origin, jwks_uri: `${origin}/keys` });
    },
  });
  const person = (name: string, password: string) => ({
    dn: `uid=${name},ou=people,dc=example`,
    password,
    attributes: { uid: [name] },
  });
  ldap = await startLdapServer([
    { dn: "cn=lookup,dc=example", password: "lookup-password", attributes: {} },
    person("alice", "alice-password"),
    person("mallory", "mallory-password"),
    { dn: "cn=staff,ou=groups,dc=example", password: null, attributes: { member: [ALICE] } },
  ]);
  s3 = await startServer({
    MINIO_IDENTITY_OPENID_CONFIG_URL: `${idp.url.origin}/.well-known/openid-configuration`,
    MINIO_IDENTITY_OPENID_CLIENT_ID: CLIENT,
    MINIO_IDENTITY_LDAP_SERVER_ADDR: ldap.address,
    MINIO_IDENTITY_LDAP_SERVER_INSECURE: "on",
    MINIO_IDENTITY_LDAP_LOOKUP_BIND_DN: "cn=lookup,dc=example",
    MINIO_IDENTITY_LDAP_LOOKUP_BIND_PASSWORD: "lookup-password",
    MINIO_IDENTITY_LDAP_USER_DN_SEARCH_BASE_DN: "ou=people,dc=example",
    MINIO_IDENTITY_LDAP_USER_DN_SEARCH_FILTER: "(uid=%s)",
    MINIO_IDENTITY_LDAP_GROUP_SEARCH_BASE_DN: "ou=groups,dc=example",
    MINIO_IDENTITY_LDAP_GROUP_SEARCH_FILTER: "(member=%d)",
  });
  root = new AdminClient(s3);
  await s3.call("PUT", "/bucket");
  await s3.call("PUT", "/bucket/k", { body: "content" });
});
afterAll(async () => {
  await s3.stop();
  await idp.stop(true);
  await ldap.stop();
});

const READ = {
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: ["s3:GetObject"], Resource: ["arn:aws:s3:::bucket/*"] }],
};

async function sts(
  fields: Record<string, string>,
  keys: { user: string; secret: string } | null = null,
): Promise<Answer> {
  const body = new URLSearchParams({ Version: "2011-06-15", ...fields }).toString();
  const signed = keys === null ? { anonymous: true } : { keys: { ...keys, region: "us-east-1" } };
  return await s3.call("POST", "/", {
    body,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    ...signed,
  });
}
/** A client with the keys of an answer. */
function clientOf(answer: Answer): AdminClient {
  expect([answer.status, answer.code]).toEqual([200, undefined]);
  const one = (name: string): string => texts(answer.text, name)[0] as string;
  return new AdminClient(s3, one("AccessKeyId"), one("SecretAccessKey"), one("SessionToken"));
}
async function user(name: string, policy: string): Promise<{ user: string; secret: string }> {
  const secret = `${name}-secret`;
  await root.call("PUT", "add-user", { query: `accessKey=${name}`, sealed: { secretKey: secret, status: "enabled" } });
  await root.call("POST", "idp/builtin/policy/attach", { sealed: { policies: [policy], user: name } });
  return { user: name, secret };
}

test("a user's session may do what the user may, only with its token, also after a restart", async () => {
  const keys = await user("anna", "readwrite");
  const session = clientOf(await sts({ Action: "AssumeRole" }, keys));
  expect((await session.s3("PUT", "/bucket/by-anna", { body: "x" })).status).toBe(200);
  const withoutToken = new AdminClient(s3, session.keys.user, session.keys.secret);
  expect((await withoutToken.s3("GET", "/bucket/k")).code).toBe("InvalidTokenId");
  const wrong = new AdminClient(s3, session.keys.user, session.keys.secret, "wrong");
  expect((await wrong.s3("GET", "/bucket/k")).code).toBe("InvalidTokenId");
  await s3.restart();
  expect((await session.s3("GET", "/bucket/k")).text).toBe("content");
  await root.call("PUT", "set-user-status", { query: "accessKey=anna&status=disabled" });
  expect((await session.s3("GET", "/bucket/k")).code).toBe("AccessDenied");
});

test("a session policy restricts, and gives nothing", async () => {
  const Policy = JSON.stringify(READ);
  const ofRoot = clientOf(await sts({ Action: "AssumeRole", Policy }, KEYS));
  expect((await ofRoot.s3("GET", "/bucket/k")).status).toBe(200);
  expect((await ofRoot.s3("PUT", "/bucket/k2", { body: "x" })).code).toBe("AccessDenied");
  expect((await ofRoot.call("GET", "list-users")).status).toBe(403);
  const ofWriter = clientOf(await sts({ Action: "AssumeRole", Policy }, await user("wilma", "writeonly")));
  expect((await ofWriter.s3("GET", "/bucket/k")).code).toBe("AccessDenied");
  const refused = async (fields: object): Promise<(string | undefined)[]> => {
    const answer = await sts({ Action: "AssumeRole", ...fields }, KEYS);
    return [String(answer.status), answer.code];
  };
  expect(await refused({ Policy: "{}" })).toEqual(["400", "InvalidParameterValue"]);
  expect(await refused({ Policy: JSON.stringify({ ...READ, Id: "x".repeat(3000) }) })).toEqual([
    "400",
    "InvalidParameterValue",
  ]);
  expect(await refused({ DurationSeconds: "60" })).toEqual(["400", "InvalidParameterValue"]);
});

test("who cannot sign, and what is temporary itself, gets no session", async () => {
  const session = clientOf(await sts({ Action: "AssumeRole" }, KEYS));
  const refused = async (answer: Promise<Answer>): Promise<(string | number | undefined)[]> => {
    const { status, code } = await answer;
    return [status, code];
  };
  expect(await refused(sts({ Action: "AssumeRole" }))).toEqual([403, "AccessDenied"]);
  expect(await refused(sts({ Action: "AssumeRole" }, { ...KEYS, secret: "not-the-secret" }))).toEqual([
    403,
    "AccessDenied",
  ]);
  expect(await refused(sts({ Action: "AssumeRole" }, session.keys))).toEqual([403, "AccessDenied"]);
  await root.call("PUT", "add-service-account", { sealed: { accessKey: "STSROOT", secretKey: "sts-root-secret" } });
  const account = { user: "STSROOT", secret: "sts-root-secret" };
  expect(await refused(sts({ Action: "AssumeRole" }, account))).toEqual([403, "AccessDenied"]);
  expect(await refused(sts({ Action: "AssumeRole", Version: "1" }, KEYS))).toEqual([400, "MissingParameter"]);
  expect(await refused(sts({ Action: "Nonsense" }, KEYS))).toEqual([400, "InvalidParameterValue"]);
  expect(await refused(sts({ Action: "AssumeRoleWithCertificate" }))).toEqual([400, "InvalidParameterValue"]);
});

// ---- OpenID

interface TokenFacts {
  readonly claims?: object;
  readonly audience?: string;
  readonly issuer?: string;
  readonly expires?: string;
}
function token({
  claims = { policy: "readonly" },
  audience = CLIENT,
  issuer,
  expires = "2h",
}: TokenFacts = {}): Promise<string> {
  return new SignJWT({ ...claims })
    .setProtectedHeader({ alg: "ES256", kid: signing.kid })
    .setSubject("person-1")
    .setIssuer(issuer ?? idp.url.origin)
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime(expires)
    .sign(signing.key);
}
const webIdentity = async (WebIdentityToken: string): Promise<Answer> =>
  await sts({ Action: "AssumeRoleWithWebIdentity", WebIdentityToken });

test("a token of the provider is worth the policies that it names", async () => {
  const answer = await webIdentity(await token());
  expect(texts(answer.text, "SubjectFromWebIdentityToken")).toEqual(["person-1"]);
  const session = clientOf(answer);
  expect((await session.s3("GET", "/bucket/k")).text).toBe("content");
  expect((await session.s3("PUT", "/bucket/k", { body: "x" })).code).toBe("AccessDenied");
  await s3.restart();
  expect((await session.s3("GET", "/bucket/k")).status).toBe(200);
  const sts2 = await sts({ Action: "AssumeRoleWithClientGrants", Token: await token() });
  expect(texts(sts2.text, "SubjectFromToken")).toEqual(["person-1"]);
});

test("a session never outlives the token", async () => {
  const answer = await webIdentity(await token({ expires: "20m" }));
  const left = Date.parse(texts(answer.text, "Expiration")[0] as string) - Date.now();
  expect(left).toBeLessThanOrEqual(20 * 60_000);
});

test("keys that the provider changes are found", async () => {
  clientOf(await webIdentity(await token()));
  await s3.restart(); // a look at the keys within the last seconds counts: this is a fresh one
  clientOf(await webIdentity(await token()));
  const before = await token();
  await newSigningKey("second");
  const unknown = await webIdentity(await token());
  expect([unknown.status, unknown.code]).toEqual([400, "InvalidParameterValue"]); // looked at a moment ago
  await s3.restart();
  clientOf(await webIdentity(await token()));
  expect((await webIdentity(before)).status).toBe(400);
});

test("a token that is expired, of somebody else, for somebody else, unsigned or without known policies is refused", async () => {
  const code = async (facts: TokenFacts): Promise<string | undefined> => (await webIdentity(await token(facts))).code;
  expect(await code({ expires: "-1m" })).toBe("ExpiredToken");
  expect(await code({ issuer: "http://127.0.0.1:1" })).toBe("InvalidParameterValue");
  expect(await code({ audience: "another-client" })).toBe("InvalidParameterValue");
  expect(await code({ claims: {} })).toBe("InvalidParameterValue");
  expect(await code({ claims: { policy: "no-such-policy" } })).toBe("InvalidParameterValue");
  const [, body, signature] = (await token()).split(".");
  const head = (header: object): string => Buffer.from(JSON.stringify(header)).toString("base64url");
  expect((await webIdentity(`${head({ alg: "none" })}.${body}.`)).code).toBe("InvalidParameterValue");
  expect((await webIdentity(`${head({ alg: "HS256", kid: signing.kid })}.${body}.${signature}`)).code).toBe(
    "InvalidParameterValue",
  );
  expect((await webIdentity("no.token.at-all")).code).toBe("InvalidParameterValue");
});

test("claims of a provider do not speak for us", async () => {
  const claims = { policy: "readonly", parent: KEYS.user, roleArn: "arn:minio:iam:::role/x", accessKey: KEYS.user };
  const session = clientOf(await webIdentity(await token({ claims })));
  expect((await session.call("GET", "list-users")).status).toBe(403);
  expect((await session.s3("GET", "/bucket/k")).status).toBe(200);
});

// ---- LDAP

const ldapIdentity = async (LDAPUsername: string, LDAPPassword: string): Promise<Answer> =>
  await sts({ Action: "AssumeRoleWithLDAPIdentity", LDAPUsername, LDAPPassword });

test("a user of the LDAP server has the policies of its name and its groups", async () => {
  expect((await ldapIdentity("alice", "alice-password")).code).toBe("AccessDenied"); // none is attached
  const attach = (sealed: object): Promise<{ status: number }> =>
    root.call("POST", "idp/ldap/policy/attach", { sealed });
  expect((await attach({ policies: ["readonly"], user: "alice" })).status).toBe(200);
  const session = clientOf(await ldapIdentity("alice", "alice-password"));
  expect((await session.s3("GET", "/bucket/k")).text).toBe("content");
  expect((await session.s3("PUT", "/bucket/of-alice", { body: "x" })).code).toBe("AccessDenied");
  expect((await attach({ policies: ["writeonly"], group: "CN=staff, ou=groups, dc=example" })).status).toBe(200);
  expect((await session.s3("PUT", "/bucket/of-alice", { body: "x" })).status).toBe(200);
  const entities = (await root.call("GET", "idp/ldap/policy-entities", { query: "policy=readonly" })).json;
  expect(entities.policyMappings[0].users).toContain(ALICE);
});

test("another password, an empty one, a name that is a filter, and a user without policies are refused", async () => {
  for (const [name, password] of [
    ["alice", "wrong"],
    ["*", "alice-password"],
    ["alice)(uid=*", "alice-password"],
    ["mallory", "mallory-password"],
    ["nobody", "x"],
  ] as const)
    expect((await ldapIdentity(name, password)).code).toBe("AccessDenied");
  expect((await ldapIdentity("alice", "")).code).toBe("MissingParameter");
});
