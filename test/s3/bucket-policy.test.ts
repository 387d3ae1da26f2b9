/** Bucket policy, its status, public access block and ownership controls over HTTP: documents in and out, and what they do. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Answer, type Options, startServer, type S3Server, texts } from "./server.ts";

let s3: S3Server;
beforeAll(async () => {
  s3 = await startServer();
  await s3.call("PUT", "/bucket");
  await s3.call("PUT", "/bucket/home/k", { body: "content", headers: { "x-amz-tagging": "class=open" } });
});
afterAll(() => s3.stop());

const anonymous = (method: string, path: string, options: Options = {}): Promise<Answer> =>
  s3.call(method, path, { anonymous: true, ...options });
const allow = (action: string | string[], resource: string, extra: object = {}): object => ({
  Effect: "Allow",
  Principal: "*",
  Action: action,
  Resource: `arn:aws:s3:::bucket${resource}`,
  ...extra,
});
const policyOf = (...Statement: object[]): string => JSON.stringify({ Version: "2012-10-17", Statement });
const put = (...statements: object[]): Promise<Answer> =>
  s3.call("PUT", "/bucket", { query: "policy", body: policyOf(...statements) });

test("a policy is given back byte for byte, replaced, and removed", async () => {
  expect((await s3.call("GET", "/bucket", { query: "policy" })).code).toBe("NoSuchBucketPolicy");
  const document = ` ${policyOf(allow("s3:GetObject", "/*"))}\n`;
  expect((await s3.call("PUT", "/bucket", { query: "policy", body: document })).status).toBe(204);
  expect((await s3.call("GET", "/bucket", { query: "policy" })).text).toBe(document);
  await put(allow("s3:PutObject", "/*", { Condition: { StringLikeIfExists: { "s3:x-amz-acl": "private" } } }));
  expect((await s3.call("GET", "/bucket", { query: "policy" })).text).toContain("IfExists");
  await put(allow("s3:GetObject", "/*"));
  expect((await s3.call("GET", "/bucket", { query: "policy" })).text).not.toContain("IfExists");
  expect((await s3.call("DELETE", "/bucket", { query: "policy" })).status).toBe(204);
  expect((await s3.call("GET", "/bucket", { query: "policy" })).code).toBe("NoSuchBucketPolicy");
  expect((await s3.call("PUT", "/none", { query: "policy", body: document })).code).toBe("NoSuchBucket");
});

test("the anonymous caller may what the policy allows, and nothing else", async () => {
  expect((await anonymous("GET", "/bucket/home/k")).code).toBe("AccessDenied");
  await put(allow("s3:GetObject", "/home/*"));
  expect((await anonymous("GET", "/bucket/home/k")).text).toBe("content");
  expect((await anonymous("HEAD", "/bucket/home/k")).status).toBe(200);
  expect((await anonymous("GET", "/bucket/other")).code).toBe("AccessDenied");
  expect((await anonymous("PUT", "/bucket/home/k", { body: "x" })).code).toBe("AccessDenied");
  expect((await anonymous("DELETE", "/bucket/home/k")).code).toBe("AccessDenied");
  expect((await anonymous("GET", "/bucket")).code).toBe("AccessDenied");
  expect((await anonymous("GET", "/")).code).toBe("AccessDenied");
  expect((await anonymous("GET", "/bucket", { query: "policy" })).code).toBe("AccessDenied");
  expect((await anonymous("GET", "/gone/k")).code).toBe("NoSuchBucket");
});

test("a missing key is told to who may list its prefix, to others it is denied", async () => {
  await put(
    allow("s3:GetObject", "/*"),
    allow("s3:ListBucket", "", { Condition: { StringLike: { "s3:prefix": "home/*" } } }),
  );
  expect((await anonymous("GET", "/bucket/home/none")).code).toBe("NoSuchKey");
  expect((await anonymous("GET", "/bucket/none")).code).toBe("AccessDenied");
  expect((await anonymous("GET", "/bucket", { query: "prefix=home%2F" })).status).toBe(200);
  expect((await anonymous("GET", "/bucket", { query: "prefix=h" })).code).toBe("AccessDenied");
});

test("keys of a multi-delete are judged one by one", async () => {
  await put(allow("s3:DeleteObject", "/mine/*"));
  await s3.call("PUT", "/bucket/mine/a", { body: "a" });
  const body = "<Delete><Object><Key>mine/a</Key></Object><Object><Key>home/k</Key></Object></Delete>";
  const md5 = new Bun.CryptoHasher("md5").update(body).digest("base64");
  const answer = await anonymous("POST", "/bucket", { query: "delete", body, headers: { "content-md5": md5 } });
  expect([texts(answer.text, "Code"), texts(answer.text, "Key")]).toEqual([["AccessDenied"], ["mine/a", "home/k"]]);
  expect((await s3.call("HEAD", "/bucket/home/k")).status).toBe(200);
});

test("a copy needs its source, a tag its own action", async () => {
  await put(allow("s3:PutObject", "/new/*"));
  expect((await anonymous("PUT", "/bucket/new/a", { body: "a" })).status).toBe(200);
  const copy = { "x-amz-copy-source": "bucket/home/k" };
  expect((await anonymous("PUT", "/bucket/new/b", { headers: copy })).code).toBe("AccessDenied");
  expect((await anonymous("PUT", "/bucket/new/c", { body: "c", headers: { "x-amz-tagging": "a=b" } })).code).toBe(
    "AccessDenied",
  );
  await put(allow(["s3:PutObject", "s3:PutObjectTagging"], "/new/*"), allow("s3:GetObject", "/home/*"));
  expect((await anonymous("PUT", "/bucket/new/b", { headers: copy })).status).toBe(200);
  expect((await anonymous("PUT", "/bucket/new/c", { body: "c", headers: { "x-amz-tagging": "a=b" } })).status).toBe(
    200,
  );
});

test("tags of the object and of the request are conditions", async () => {
  await put(
    allow("s3:GetObject", "/*", { Condition: { StringEquals: { "s3:ExistingObjectTag/class": "open" } } }),
    allow(["s3:PutObject", "s3:PutObjectTagging"], "/*", {
      Condition: { StringEquals: { "s3:RequestObjectTag/class": "open" } },
    }),
  );
  await s3.call("PUT", "/bucket/closed", { body: "1", headers: { "x-amz-tagging": "class=closed" } });
  expect((await anonymous("GET", "/bucket/home/k")).status).toBe(200);
  expect((await anonymous("GET", "/bucket/closed")).code).toBe("AccessDenied");
  expect((await anonymous("PUT", "/bucket/t", { body: "1" })).code).toBe("AccessDenied");
  const headers = { "x-amz-tagging": "class=open" };
  expect((await anonymous("PUT", "/bucket/t", { body: "1", headers })).status).toBe(200);
});

test("tags in a document are the request's too", async () => {
  const tagging = (value: string): Promise<Answer> =>
    anonymous("PUT", "/bucket/home/k", {
      query: "tagging",
      body: `<Tagging><TagSet><Tag><Key>class</Key><Value>${value}</Value></Tag></TagSet></Tagging>`,
    });
  await s3.call("DELETE", "/bucket", { query: "policy" });
  expect((await tagging("open")).code).toBe("AccessDenied");
  await put(
    allow("s3:PutObjectTagging", "/*", { Condition: { StringEquals: { "s3:RequestObjectTag/class": "open" } } }),
  );
  expect((await tagging("open")).status).toBe(200);
  expect((await tagging("closed")).code).toBe("AccessDenied");
  await put(allow("s3:PutObjectTagging", "/*"), {
    ...allow("s3:PutObjectTagging", "/*", { Condition: { StringEquals: { "s3:RequestObjectTag/class": "closed" } } }),
    Effect: "Deny",
  });
  expect((await tagging("closed")).code).toBe("AccessDenied");
  expect((await tagging("open")).status).toBe(200);
});

test("patterns may stand for actions of both, where both are meant", async () => {
  for (const action of ["*", "s3:*", "s3:Get*", "S3:getobject", "s3:List*", "s3:???Object"])
    expect([action, (await put(allow(action, "/*"))).status]).toEqual([action, 204]);
  for (const action of ["*", "s3:*", "s3:Get*", "s3:*Bucket*", "s3:PutEncryptionConfiguration", "s3:GetBucketCors"])
    expect([action, (await put(allow(action, ""))).status]).toEqual([action, 204]);
  await s3.call("DELETE", "/bucket", { query: "policy" });
});

test("root may do everything, whatever a policy denies", async () => {
  await put({ ...allow("s3:*", "/*"), Effect: "Deny" });
  expect((await s3.call("GET", "/bucket/home/k")).status).toBe(200);
  expect((await s3.call("DELETE", "/bucket", { query: "policy" })).status).toBe(204);
});

test.each([
  ["no JSON", "{", "MalformedPolicy"],
  ["another bucket", policyOf({ ...allow("s3:GetObject", ""), Resource: "arn:aws:s3:::other/*" }), "MalformedPolicy"],
  ["a name that begins like the bucket's", policyOf(allow("s3:GetObject", "2/*")), "MalformedPolicy"],
  ["an object's action on the bucket", policyOf(allow("s3:GetObject", "")), "MalformedPolicy"],
  ["the bucket's action on objects", policyOf(allow("s3:ListBucket", "/*")), "MalformedPolicy"],
  ["objects' actions, by a pattern, on the bucket", policyOf(allow("s3:Abort*", "")), "MalformedPolicy"],
  ["the bucket's actions, by a pattern, on objects", policyOf(allow("s3:GetBucket*", "/*")), "MalformedPolicy"],
  ["an action that is none", policyOf({ ...allow("s3:DeleteObjects", "/*"), Effect: "Deny" }), "MalformedPolicy"],
  ["a pattern of no action", policyOf(allow("s3:Get?", "/*")), "MalformedPolicy"],
  ["an action of the server", policyOf(allow("admin:CreateUser", "/*")), "MalformedPolicy"],
  ["no principal", policyOf({ ...allow("s3:GetObject", "/*"), Principal: undefined }), "MalformedPolicy"],
  ["a long one", policyOf(allow("s3:GetObject", `/${"a".repeat(20_480)}`)), "PolicyTooLarge"],
])("refused: %s", async (_, body, code) => {
  const answer = await s3.call("PUT", "/bucket", { query: "policy", body });
  expect([answer.status, answer.code]).toEqual([400, code]);
});

test("the status says whether anybody may", async () => {
  const status = async (): Promise<string[]> =>
    texts((await s3.call("GET", "/bucket", { query: "policyStatus" })).text, "IsPublic");
  expect(await status()).toEqual(["false"]);
  await put(allow("s3:GetObject", "/*"));
  expect(await status()).toEqual(["true"]);
  await put(allow("s3:GetObject", "/*", { Condition: { IpAddress: { "aws:SourceIp": "192.0.2.0/24" } } }));
  expect(await status()).toEqual(["false"]);
  await put(allow("s3:GetObject", "/*", { Condition: { IpAddress: { "aws:SourceIp": "0.0.0.0/0" } } }));
  expect(await status()).toEqual(["true"]);
  await put(allow("s3:GetObject", "/*", { Condition: { StringLike: { "aws:Referer": "http://x/*" } } }));
  expect(await status()).toEqual(["true"]);
});

test("a public access block is kept, refuses public policies and mutes old ones", async () => {
  expect((await s3.call("GET", "/bucket", { query: "publicAccessBlock" })).code).toBe(
    "NoSuchPublicAccessBlockConfiguration",
  );
  await put(allow("s3:GetObject", "/*"));
  const block = (body: string): Promise<Answer> =>
    s3.call("PUT", "/bucket", {
      query: "publicAccessBlock",
      body: `<PublicAccessBlockConfiguration>${body}</PublicAccessBlockConfiguration>`,
    });
  expect((await block("<BlockPublicPolicy>maybe</BlockPublicPolicy>")).code).toBe("MalformedXML");
  await block("<BlockPublicPolicy>true</BlockPublicPolicy>");
  expect((await put(allow("s3:GetObject", "/*"))).code).toBe("AccessDenied");
  expect((await anonymous("GET", "/bucket/home/k")).status).toBe(200);
  await block("<RestrictPublicBuckets>true</RestrictPublicBuckets>");
  expect((await anonymous("GET", "/bucket/home/k")).code).toBe("AccessDenied");
  const shown = await s3.call("GET", "/bucket", { query: "publicAccessBlock" });
  expect(texts(shown.text, "RestrictPublicBuckets").concat(texts(shown.text, "BlockPublicPolicy"))).toEqual([
    "true",
    "false",
  ]);
  expect((await s3.call("DELETE", "/bucket", { query: "publicAccessBlock" })).status).toBe(204);
  expect((await anonymous("GET", "/bucket/home/k")).status).toBe(200);
});

test("ownership controls are kept and removed, and one rule is all they have", async () => {
  const query = "ownershipControls";
  const set = (rules: string): Promise<Answer> =>
    s3.call("PUT", "/bucket", { query, body: `<OwnershipControls>${rules}</OwnershipControls>` });
  expect((await s3.call("GET", "/bucket", { query })).code).toBe("OwnershipControlsNotFoundError");
  const rule = (o: string): string => `<Rule><ObjectOwnership>${o}</ObjectOwnership></Rule>`;
  for (const bad of ["", rule("Mine"), rule("ObjectWriter").repeat(2)])
    expect((await set(bad)).code).toBe("MalformedXML");
  expect((await set(rule("ObjectWriter"))).status).toBe(200);
  expect(texts((await s3.call("GET", "/bucket", { query })).text, "ObjectOwnership")).toEqual(["ObjectWriter"]);
  expect((await s3.call("DELETE", "/bucket", { query })).status).toBe(204);
  expect((await s3.call("GET", "/bucket", { query })).code).toBe("OwnershipControlsNotFoundError");
});

test("a client that insists on an owner is served from that owner's buckets only", async () => {
  const owner = "02d6176db174dc93cb1b899f7c6078f08654445fe8cf1b6ce98d8855f66bdbf4";
  const get = (expected: string): Promise<Answer> =>
    s3.call("GET", "/bucket/home/k", { headers: { "x-amz-expected-bucket-owner": expected } });
  expect((await get(owner)).status).toBe(200);
  expect((await get("111122223333")).code).toBe("AccessDenied");
  const copy = (expected: string): Promise<Answer> =>
    s3.call("PUT", "/bucket/copied", {
      headers: { "x-amz-copy-source": "bucket/home/k", "x-amz-source-expected-bucket-owner": expected },
    });
  expect((await copy(owner)).status).toBe(200);
  expect((await copy("111122223333")).code).toBe("AccessDenied");
});
