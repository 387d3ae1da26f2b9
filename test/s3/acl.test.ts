/** The four ACL operations over HTTP, where lists are off (the default) and where they are on. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Answer, type Options, startServer, type S3Server, texts } from "./server.ts";

const ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers";
const ROOT = "02d6176db174dc93cb1b899f7c6078f08654445fe8cf1b6ce98d8855f66bdbf4";
const ANONYMOUS = "65a011a29cdf8ec533ec3d1ccaae921c";
const document = (grants: string, owner = ROOT): string =>
  `<AccessControlPolicy><Owner><ID>${owner}</ID></Owner><AccessControlList>${grants}</AccessControlList></AccessControlPolicy>`;
const grant = (grantee: string, permission: string): string =>
  `<Grant><Grantee>${grantee}</Grantee><Permission>${permission}</Permission></Grant>`;

describe("lists are off unless an option turns them on", () => {
  let s3: S3Server;
  beforeAll(async () => {
    s3 = await startServer();
    await s3.call("PUT", "/bucket");
    await s3.call("PUT", "/bucket/k", { body: "content" });
  });
  afterAll(() => s3.stop());

  test("the owner has full control of bucket and object, and of nothing that is not there", async () => {
    for (const path of ["/bucket", "/bucket/k"]) {
      const answer = await s3.call("GET", path, { query: "acl" });
      expect([answer.status, texts(answer.text, "Permission")]).toEqual([200, ["FULL_CONTROL"]]);
      expect(texts(answer.text, "ID")).toEqual([ROOT, ROOT]);
    }
    expect((await s3.call("GET", "/bucket/none", { query: "acl" })).code).toBe("NoSuchKey");
    expect((await s3.call("PUT", "/bucket/none", { query: "acl", headers: { "x-amz-acl": "private" } })).code).toBe(
      "NoSuchKey",
    );
    expect((await s3.call("GET", "/missing", { query: "acl" })).code).toBe("NoSuchBucket");
  });

  test("what is true anyway is accepted, anything else refused as AWS does, and no content changes", async () => {
    for (const path of ["/bucket", "/bucket/k"]) {
      const set = async (options: Options): Promise<[number, string | undefined]> => {
        const { status, code } = await s3.call("PUT", path, { query: "acl", ...options });
        return [status, code];
      };
      expect(await set({ headers: { "x-amz-acl": "private" } })).toEqual([200, undefined]);
      expect(await set({ headers: { "x-amz-acl": "bucket-owner-full-control" } })).toEqual([200, undefined]);
      expect(await set({ body: document(grant(`<ID>${ROOT}</ID>`, "FULL_CONTROL")) })).toEqual([200, undefined]);
      const off = [400, "AccessControlListNotSupported"];
      expect(await set({ headers: { "x-amz-acl": "public-read" } })).toEqual(off as [number, string]);
      expect(await set({ body: document(grant(`<URI>${ALL_USERS}</URI>`, "READ")) })).toEqual(off as [number, string]);
      expect(await set({ headers: { "x-amz-grant-read": `id=${ROOT}` } })).toEqual(off as [number, string]);
      expect(await set({ body: "" })).toEqual([400, "MissingSecurityHeader"]);
    }
    expect((await s3.call("DELETE", "/bucket/k", { query: "acl" })).status).toBe(501);
    expect((await s3.call("GET", "/bucket/k")).text).toBe("content");
  });

  test("a new object or bucket with a list that opens it is refused, and is not there", async () => {
    const put = await s3.call("PUT", "/bucket/open", { body: "x", headers: { "x-amz-acl": "public-read" } });
    expect([put.status, put.code]).toEqual([400, "AccessControlListNotSupported"]);
    expect((await s3.call("HEAD", "/bucket/open")).status).toBe(404);
    const made = await s3.call("PUT", "/open", { headers: { "x-amz-acl": "public-read" } });
    expect([made.status, made.code]).toEqual([400, "InvalidBucketAclWithObjectOwnership"]);
    expect((await s3.call("HEAD", "/open")).status).toBe(404);
  });
});

describe("lists are on", () => {
  let s3: S3Server;
  const anonymous = (method: string, path: string, options: Options = {}): Promise<Answer> =>
    s3.call(method, path, { anonymous: true, ...options });
  beforeAll(async () => {
    s3 = await startServer({ SHERD_OBJECT_OWNERSHIP: "ObjectWriter" });
  });
  afterAll(() => s3.stop());

  test("a private bucket is nobody's, a public one everybody's, object by object", async () => {
    await s3.call("PUT", "/open", { headers: { "x-amz-acl": "public-read-write" } });
    await s3.call("PUT", "/open/private", { body: "p" });
    await s3.call("PUT", "/open/public", { body: "q", headers: { "x-amz-acl": "public-read" } });
    expect((await anonymous("GET", "/open")).status).toBe(200);
    expect((await anonymous("GET", "/open/private")).code).toBe("AccessDenied");
    expect((await anonymous("GET", "/open/public")).text).toBe("q");
    expect((await anonymous("GET", "/open/none")).code).toBe("NoSuchKey");
    expect((await anonymous("PUT", "/open/theirs", { body: "t" })).status).toBe(200);
    for (const query of ["", "list-type=2&fetch-owner=true", "versions"]) {
      const { text } = await s3.call("GET", "/open", { query });
      const owners = new Map(texts(text, "Key").map((key, i) => [key, texts(text, "ID")[i]]));
      expect([query, owners.get("theirs"), owners.get("public")]).toEqual([query, ANONYMOUS, ROOT]);
    }
    expect((await anonymous("GET", "/open", { query: "acl" })).code).toBe("AccessDenied");
    expect((await s3.call("PUT", "/open", { query: "acl", headers: { "x-amz-acl": "private" } })).status).toBe(200);
    expect((await anonymous("GET", "/open")).code).toBe("AccessDenied");
    expect((await anonymous("GET", "/open/none")).code).toBe("AccessDenied");
    expect((await anonymous("GET", "/open/public")).text).toBe("q");
  });

  test("grants are kept per version, by copy and by multipart upload", async () => {
    await s3.call("PUT", "/kept");
    await s3.call("PUT", "/kept/k", { body: "1" });
    expect((await anonymous("GET", "/kept/k")).code).toBe("AccessDenied");
    await s3.call("PUT", "/kept/k", { query: "acl", body: document(grant(`<URI>${ALL_USERS}</URI>`, "READ")) });
    expect((await anonymous("GET", "/kept/k")).text).toBe("1");
    const shown = await s3.call("GET", "/kept/k", { query: "acl" });
    expect([texts(shown.text, "URI"), texts(shown.text, "Permission")]).toEqual([[ALL_USERS], ["READ"]]);
    await s3.call("PUT", "/kept/copy", { headers: { "x-amz-copy-source": "kept/k" } });
    expect((await anonymous("GET", "/kept/copy")).code).toBe("AccessDenied");
    const headers = { "x-amz-copy-source": "kept/k", "x-amz-acl": "public-read" };
    await s3.call("PUT", "/kept/copy", { headers });
    expect((await anonymous("GET", "/kept/copy")).text).toBe("1");
  });

  test.each([
    ["no XML", { body: "<AccessControl" }, "MalformedACLError"],
    ["another root", { body: "<Policy/>" }, "MalformedACLError"],
    ["no owner", { body: "<AccessControlPolicy><AccessControlList/></AccessControlPolicy>" }, "MalformedACLError"],
    ["another owner", { body: document("", "someone") }, "AccessDenied"],
    ["a permission that is none", { body: document(grant(`<ID>${ROOT}</ID>`, "OWN")) }, "MalformedACLError"],
    ["an account that is none", { body: document(grant("<ID>nobody</ID>", "READ")) }, "InvalidArgument"],
    ["a group that is none", { body: document(grant("<URI>http://x/y</URI>", "READ")) }, "InvalidArgument"],
    [
      "an address of nobody",
      { body: document(grant("<EmailAddress>a@b.c</EmailAddress>", "READ")) },
      "UnresolvableGrantByEmailAddress",
    ],
    ["a canned name that is none", { headers: { "x-amz-acl": "open" } }, "InvalidArgument"],
    ["a header that says nothing", { headers: { "x-amz-grant-read": "everybody" } }, "InvalidArgument"],
    ["name and grants", { headers: { "x-amz-acl": "private", "x-amz-grant-read": `id="${ROOT}"` } }, "InvalidRequest"],
    ["name and document", { headers: { "x-amz-acl": "private" }, body: document("") }, "UnexpectedContent"],
  ])("refused: %s", async (_, options: Options, code) => {
    await s3.call("PUT", "/strict");
    await s3.call("PUT", "/strict/k", { body: "1" });
    for (const path of ["/strict", "/strict/k"])
      expect((await s3.call("PUT", path, { query: "acl", ...options })).code).toBe(code);
  });

  test("a public access block refuses new public lists and ignores old ones", async () => {
    await s3.call("PUT", "/blocked", { headers: { "x-amz-acl": "public-read" } });
    const block = (...names: string[]): Promise<Answer> =>
      s3.call("PUT", "/blocked", {
        query: "publicAccessBlock",
        body: `<PublicAccessBlockConfiguration>${names.map((n) => `<${n}>true</${n}>`).join("")}</PublicAccessBlockConfiguration>`,
      });
    expect((await anonymous("GET", "/blocked")).status).toBe(200);
    await block("IgnorePublicAcls");
    expect((await anonymous("GET", "/blocked")).code).toBe("AccessDenied");
    await block("BlockPublicAcls");
    const open = { "x-amz-acl": "public-read" };
    expect((await s3.call("PUT", "/blocked", { query: "acl", headers: open })).code).toBe("AccessDenied");
    expect((await s3.call("PUT", "/blocked/k", { headers: open, body: "1" })).code).toBe("AccessDenied");
    expect((await s3.call("PUT", "/blocked/k", { body: "1" })).status).toBe(200);
  });

  test("a bucket may turn lists off, but not while its own opens it", async () => {
    await s3.call("PUT", "/own", { headers: { "x-amz-acl": "public-read" } });
    const enforce = (): Promise<Answer> =>
      s3.call("PUT", "/own", {
        query: "ownershipControls",
        body: "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>",
      });
    expect((await enforce()).code).toBe("InvalidBucketAclWithObjectOwnership");
    await s3.call("PUT", "/own", { query: "acl", headers: { "x-amz-acl": "private" } });
    expect((await enforce()).status).toBe(200);
    expect((await s3.call("PUT", "/own/k", { body: "1", headers: { "x-amz-acl": "private" } })).code).toBe(
      "AccessControlListNotSupported",
    );
    expect(
      (await s3.call("PUT", "/own/k", { body: "1", headers: { "x-amz-acl": "bucket-owner-full-control" } })).status,
    ).toBe(200);
  });
});
