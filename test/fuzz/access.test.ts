/** Policies and access control lists, damaged in every way: each is a value or a refusal, and what is a value answers at once. */
import { expect } from "bun:test";
import { decodeAcl, encodeAcl } from "../../src/bucket/acl.ts";
import { judge, parsePolicy } from "../../src/iam/policy.ts";
import { PolicyError } from "../../src/iam/policy-error.ts";
import { minioReads } from "../../src/iam/minio-policy.ts";
import { rootOnly, ROOT_ACCOUNT_ID } from "../../src/iam/principal.ts";
import { isPublicPolicy } from "../../src/iam/public-policy.ts";
import { aclDocument, aclFromDocument, aclFromHeaders } from "../../src/s3/acl-document.ts";
import { WireError } from "../../src/s3/wire-error.ts";
import { fuzz, latin1 } from "./fuzz.ts";

const IDENTITIES = rootOnly("root", "root-secret");
const bytesOf = (value: unknown): Uint8Array => Buffer.from(typeof value === "string" ? value : JSON.stringify(value));

const STATEMENT = {
  Sid: "1",
  Effect: "Allow",
  Principal: { AWS: ["*", "arn:aws:iam:::user/a"] },
  Action: ["s3:Get*", "s3:PutObject"],
  Resource: ["arn:aws:s3:::bucket/${aws:username, 'x'}/*", "arn:aws:s3:::b?cket*"],
  Condition: {
    "ForAnyValue:StringLikeIfExists": { "s3:RequestObjectTagKeys": ["a*", "${*}b"] },
    IpAddress: { "aws:SourceIp": ["10.0.0.0/8", "2001:db8::/32"] },
    DateLessThan: { "aws:CurrentTime": "2030-01-01T00:00:00Z" },
    NumericLessThanEquals: { "s3:max-keys": 10 },
    ArnLike: { "aws:PrincipalArn": "arn:aws:iam::*:user/${aws:username}" },
    Null: { "s3:x-amz-acl": true },
  },
};

fuzz("a policy document", {
  samples: [
    { Version: "2012-10-17", Statement: [STATEMENT, { ...STATEMENT, Effect: "Deny" }] },
    { Version: "2008-10-17", Statement: { ...STATEMENT, NotResource: "*", Resource: undefined } },
    { Statement: [{ ...STATEMENT, Principal: undefined, NotPrincipal: { CanonicalUser: "c" }, Effect: "Deny" }] },
  ].map(bytesOf),
  words: ["${", "}", "*", "?", ":", "StringNotLike", "ForAllValues:", '"Action"', '"*"', "null", "[]", "__proto__"],
  errors: [PolicyError],
  run(input) {
    const policy = parsePolicy(input, "resource");
    const values = new Map([
      ["aws:username", ["a*b"]],
      ["s3:max-keys", ["5"]],
    ]);
    const question = {
      action: "s3:GetObject",
      resource: `arn:aws:s3:::bucket/${"a".repeat(900)}`,
      principalNames: ["u"],
      values,
    };
    const verdict = judge([policy], question);
    expect(["allow", "deny", "none"]).toContain(verdict);
    expect(judge([policy, policy], question)).toBe(verdict);
    isPublicPolicy(policy);
    // What MinIO may be given is JSON of the version that it knows.
    if (minioReads(policy)) expect(policy.version).toBe("2012-10-17");
  },
});

const DOCUMENT = `<?xml version="1.0"?><AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>${ROOT_ACCOUNT_ID}</ID></Owner><AccessControlList><Grant><Grantee xsi:type="CanonicalUser"><ID>${ROOT_ACCOUNT_ID}</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant><Grant><Grantee><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>`;

fuzz("an access control list", {
  samples: [bytesOf(DOCUMENT)],
  words: ["<Grant>", "</Grant>", "<URI>", "<EmailAddress>", "WRITE_ACP", "<ID/>", "<!DOCTYPE x>"],
  errors: [WireError],
  run(input) {
    const acl = aclFromDocument(input, IDENTITIES, ROOT_ACCOUNT_ID);
    expect(decodeAcl(encodeAcl(acl), "someone")).toEqual(acl);
    const again = aclFromDocument(bytesOf(aclDocument(acl, IDENTITIES)), IDENTITIES, ROOT_ACCOUNT_ID);
    expect(new Set(again.grants)).toEqual(new Set(acl.grants));
  },
});

fuzz("grants in headers", {
  samples: [`id="${ROOT_ACCOUNT_ID}", uri=http://acs.amazonaws.com/groups/global/AllUsers`, "private"].map(bytesOf),
  words: ['id="', ",", "=", "emailAddress="],
  errors: [WireError],
  run(input) {
    const text = latin1(input);
    const owners = { owner: ROOT_ACCOUNT_ID, bucketOwner: ROOT_ACCOUNT_ID };
    aclFromHeaders({ parameter: (name) => (name === "x-amz-grant-read" ? text : undefined) }, IDENTITIES, owners);
    aclFromHeaders({ parameter: (name) => (name === "x-amz-acl" ? text : undefined) }, IDENTITIES, owners);
  },
});

fuzz("a stored access control list", {
  samples: [{ owner: "a", grants: [["b", "READ"]] }, "null", "[]"].map(bytesOf),
  errors: [],
  run(input) {
    const acl = decodeAcl(input, "owner");
    expect(typeof acl.owner).toBe("string");
    expect(acl.grants.every((g) => typeof g.grantee === "string")).toBe(true);
  },
});
