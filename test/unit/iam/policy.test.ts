/** The policy language: AWS's documented evaluation rules and examples, operators with and without their key, variables, bounds. */
import { describe, expect, test } from "bun:test";
import { conditionKey } from "../../../src/iam/policy-text.ts";
import { judge, parsePolicy, type Verdict } from "../../../src/iam/policy.ts";

type Facts = Readonly<Record<string, string | readonly string[]>>;

function asked(
  policy: object,
  what: { action?: string; resource?: string; names?: string[]; facts?: Facts } = {},
): Verdict {
  const kind = /"(Not)?Principal":/.test(JSON.stringify(policy)) ? "resource" : "identity";
  const values = new Map(
    Object.entries(what.facts ?? {}).map(([k, v]) => [conditionKey(k), typeof v === "string" ? [v] : v]),
  );
  return judge([parsePolicy(JSON.stringify(policy), kind)], {
    action: what.action ?? "s3:GetObject",
    resource: what.resource ?? "arn:aws:s3:::bucket/key",
    principalNames: what.names ?? [],
    values,
  });
}
const statement = (extra: object, effect = "Allow"): object => ({
  Version: "2012-10-17",
  Statement: [{ Effect: effect, Action: "s3:*", Resource: "*", ...extra }],
});
const when = (operator: string, key: string, value: unknown): object =>
  statement({ Condition: { [operator]: { [key]: value } } });

describe("which statement speaks", () => {
  test("nothing is said by nothing, an Allow allows, a Deny wins over any number of Allows in any order", () => {
    const allow = { Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::bucket/*" };
    const deny = { Effect: "Deny", Action: "*", Resource: "arn:aws:s3:::bucket/key" };
    const policy = (...Statement: object[]): object => ({ Version: "2012-10-17", Statement });
    expect(asked(policy(allow), { action: "s3:PutObject" })).toBe("none");
    expect(asked(policy(allow))).toBe("allow");
    expect(asked(policy(allow, allow, deny))).toBe("deny");
    expect(asked(policy(deny, allow))).toBe("deny");
  });

  test.each([
    [{ Action: "s3:Get*" }, "allow"],
    [{ Action: "S3:getobject" }, "allow"],
    [{ Action: "s3:GetObject?" }, "none"],
    [{ Action: ["s3:PutObject", "s3:?etObject"] }, "allow"],
    [{ Action: undefined, NotAction: "s3:Get*" }, "none"],
    [{ Action: undefined, NotAction: ["s3:Put*", "s3:Delete*"] }, "allow"],
    [{ Resource: "arn:aws:s3:::bucket" }, "none"],
    [{ Resource: "arn:aws:s3:::bucket/*" }, "allow"],
    [{ Resource: "arn:aws:s3:::b*t/k?y" }, "allow"],
    [{ Resource: "arn:aws:s3:::bucket/Key" }, "none"],
    [{ Resource: undefined, NotResource: "arn:aws:s3:::bucket/*" }, "none"],
    [{ Resource: undefined, NotResource: "arn:aws:s3:::other/*" }, "allow"],
  ] as const)("%j is %s", (extra, verdict) => {
    expect(asked(statement(extra))).toBe(verdict);
  });

  test("everything but some actions is never the administration of the server", () => {
    const policy = statement({ Action: undefined, NotAction: "s3:DeleteBucket" });
    expect(asked(policy, { action: "admin:CreateUser", resource: "" })).toBe("none");
    expect(
      asked({ Statement: [{ Effect: "Allow", Action: "admin:*" }] }, { action: "admin:CreateUser", resource: "" }),
    ).toBe("allow");
  });

  test.each([
    ["*", [], "allow"],
    [{ AWS: "*" }, [], "allow"],
    [{ AWS: ["arn:aws:iam:::user/alice"] }, ["arn:aws:iam:::user/alice"], "allow"],
    [{ AWS: "arn:aws:iam:::user/alice" }, ["arn:aws:iam:::user/bob"], "none"],
    [{ AWS: "arn:aws:iam:::user/alice" }, [], "none"],
    [{ CanonicalUser: "c1" }, ["c1"], "allow"],
    [{ Service: "*" }, ["c1"], "none"],
  ] as const)("Principal %j, asked by %j, is %s", (principal, names, verdict) => {
    expect(asked(statement({ Principal: principal }), { names: [...names] })).toBe(verdict);
  });

  test("NotPrincipal means everybody else, the anonymous caller too", () => {
    const policy = statement({ NotPrincipal: { AWS: "arn:aws:iam:::user/alice" } }, "Deny");
    expect(asked(policy, { names: ["arn:aws:iam:::user/alice"] })).toBe("none");
    expect(asked(policy, { names: ["arn:aws:iam:::user/bob"] })).toBe("deny");
    expect(asked(policy)).toBe("deny");
  });
});

describe("conditions", () => {
  test.each([
    // operator, key, wanted, actual or null = the request has no such key, holds
    ["StringEquals", "s3:prefix", "home/", "home/", true],
    ["StringEquals", "s3:prefix", "home/", "Home/", false],
    ["StringEquals", "s3:prefix", ["", "home/"], "home/", true],
    ["StringEquals", "s3:prefix", "home/", null, false],
    ["StringEquals", "s3:prefix", "h*", "home/", false],
    ["StringEqualsIfExists", "s3:prefix", "home/", null, true],
    ["StringEqualsIfExists", "s3:prefix", "home/", "other", false],
    ["StringNotEquals", "s3:prefix", ["a", "b"], "c", true],
    ["StringNotEquals", "s3:prefix", ["a", "b"], "b", false],
    ["StringNotEquals", "s3:prefix", "a", null, true],
    ["StringEqualsIgnoreCase", "aws:UserAgent", "CURL", "curl", true],
    ["StringNotEqualsIgnoreCase", "aws:UserAgent", "CURL", "curl", false],
    ["StringLike", "s3:prefix", "home/*", "home/a", true],
    ["StringLike", "s3:prefix", "home/?", "home/ab", false],
    ["StringNotLike", "s3:prefix", "home/*", "other/a", true],
    ["NumericLessThanEquals", "s3:max-keys", "10", "10", true],
    ["NumericLessThanEquals", "s3:max-keys", 10, "11", false],
    ["NumericLessThan", "s3:max-keys", "10", "many", false],
    ["NumericEquals", "s3:max-keys", "10", "10.0", true],
    ["NumericNotEquals", "s3:max-keys", "10", null, true],
    ["NumericGreaterThan", "s3:signatureAge", "600000", "600001", true],
    ["NumericGreaterThanEquals", "s3:signatureAge", "600000", null, false],
    ["DateLessThan", "aws:CurrentTime", "2030-01-01T00:00:00Z", "2029-12-31T23:59:59Z", true],
    ["DateGreaterThan", "aws:CurrentTime", "2030-01-01T00:00:00Z", "2029-12-31T23:59:59Z", false],
    ["DateEquals", "aws:EpochTime", "1893456000", "2030-01-01T00:00:00Z", true],
    ["Bool", "aws:SecureTransport", "false", "false", true],
    ["Bool", "aws:SecureTransport", true, "false", false],
    ["IpAddress", "aws:SourceIp", "203.0.113.0/24", "203.0.113.7", true],
    ["IpAddress", "aws:SourceIp", "203.0.113.0/24", "203.0.114.7", false],
    ["IpAddress", "aws:SourceIp", ["10.0.0.0/8", "2001:db8::/32"], "2001:db8:1::9", true],
    ["IpAddress", "aws:SourceIp", "203.0.113.7", "::ffff:203.0.113.7", true],
    ["NotIpAddress", "aws:SourceIp", "203.0.113.0/24", "203.0.113.7", false],
    ["NotIpAddress", "aws:SourceIp", "203.0.113.0/24", null, true],
    ["ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:user/a*", "arn:aws:iam::1:user/alice", true],
    ["ArnLike", "aws:PrincipalArn", "arn:aws:*:user/alice", "arn:aws:iam::1:user/alice", false],
    ["ArnNotEquals", "aws:PrincipalArn", "arn:aws:iam::1:user/alice", "arn:aws:iam::1:user/alice", false],
    ["BinaryEquals", "jwt:key", "QmluYXJ5", "QmluYXJ5", true],
    ["Null", "s3:x-amz-acl", "true", null, true],
    ["Null", "s3:x-amz-acl", "true", "private", false],
    ["Null", "s3:x-amz-acl", "false", "private", true],
    ["StringEquals", "S3:PREFIX", "home/", "home/", true],
  ] as const)("%s of %s: wanted %j, there is %j: %p", (operator, key, wanted, actual, holds) => {
    const facts: Facts = actual === null ? {} : { [key]: actual };
    expect(asked(when(operator, key, wanted), { facts })).toBe(holds ? "allow" : "none");
  });

  test.each([
    ["ForAllValues:StringEquals", ["a", "b"], ["a"], true],
    ["ForAllValues:StringEquals", ["a", "b"], ["a", "c"], false],
    ["ForAllValues:StringEquals", ["a", "b"], [], true],
    ["ForAnyValue:StringEquals", ["a", "b"], ["c", "b"], true],
    ["ForAnyValue:StringEquals", ["a", "b"], ["c"], false],
    ["ForAnyValue:StringEquals", ["a", "b"], [], false],
    ["ForAnyValue:StringNotEquals", ["a"], ["a", "c"], true],
    ["ForAllValues:StringNotLike", ["a*"], ["ab", "c"], false],
    ["ForAnyValue:StringLikeIfExists", ["a*"], [], true],
  ] as const)("%s %j of a request's %j: %p", (operator, wanted, actual, holds) => {
    const facts = { "s3:RequestObjectTagKeys": actual };
    expect(asked(when(operator, "s3:RequestObjectTagKeys", wanted), { facts })).toBe(holds ? "allow" : "none");
  });

  test("all conditions of a statement must hold, and the key of a tag has its case", () => {
    const policy = statement({
      Condition: {
        StringEquals: { "s3:ExistingObjectTag/Class": "public" },
        IpAddress: { "aws:SourceIp": "10.0.0.0/8" },
      },
    });
    const facts = { "s3:ExistingObjectTag/Class": "public", "aws:SourceIp": "10.1.1.1" };
    expect(asked(policy, { facts })).toBe("allow");
    expect(asked(policy, { facts: { ...facts, "aws:SourceIp": "11.1.1.1" } })).toBe("none");
    expect(asked(policy, { facts: { "s3:ExistingObjectTag/class": "public", "aws:SourceIp": "10.1.1.1" } })).toBe(
      "none",
    );
  });
});

describe("variables", () => {
  const home = statement({ Resource: "arn:aws:s3:::home/${aws:username}/*" });
  test("a user's own folder, as AWS documents it", () => {
    const resource = "arn:aws:s3:::home/alice/file";
    expect(asked(home, { resource, facts: { "aws:username": "alice" } })).toBe("allow");
    expect(asked(home, { resource, facts: { "aws:username": "bob" } })).toBe("none");
    expect(asked(home, { resource })).toBe("none");
  });
  test("a value is never a wildcard, and the escapes are what they stand for", () => {
    expect(asked(home, { resource: "arn:aws:s3:::home/bob/f", facts: { "aws:username": "*" } })).toBe("none");
    const star = statement({ Resource: "arn:aws:s3:::bucket/a${*}${?}${$}" });
    expect(asked(star, { resource: "arn:aws:s3:::bucket/a*?$" })).toBe("allow");
    expect(asked(star, { resource: "arn:aws:s3:::bucket/abcd" })).toBe("none");
  });
  test("a default stands in, and the version of 2008 knows no variables", () => {
    const team = statement({ Resource: "arn:aws:s3:::${aws:PrincipalTag/team, 'shared'}/*" });
    expect(asked(team, { resource: "arn:aws:s3:::shared/k" })).toBe("allow");
    expect(asked({ ...home, Version: "2008-10-17" }, { resource: "arn:aws:s3:::home/${aws:username}/k" })).toBe(
      "allow",
    );
  });
  test("condition values are filled in too", () => {
    const policy = when("StringLike", "s3:prefix", "home/${aws:username}/*");
    expect(asked(policy, { facts: { "s3:prefix": "home/alice/x", "aws:username": "alice" } })).toBe("allow");
    expect(asked(policy, { facts: { "s3:prefix": "home/bob/x", "aws:username": "alice" } })).toBe("none");
  });
});

describe("refused documents", () => {
  test.each([
    ["not JSON", "{"],
    ["a list", "[]"],
    ["no statement", '{"Version":"2012-10-17"}'],
    ["another version", '{"Version":"2020-01-01","Statement":[]}'],
    ["no effect", JSON.stringify(statement({ Effect: undefined }))],
    ["a strange effect", JSON.stringify(statement({ Effect: "allow" }))],
    ["no action", JSON.stringify(statement({ Action: undefined }))],
    ["an empty action", JSON.stringify(statement({ Action: [] }))],
    ["an action without service", JSON.stringify(statement({ Action: "GetObject" }))],
    ["Action with NotAction", JSON.stringify(statement({ NotAction: "s3:GetObject" }))],
    ["no resource", JSON.stringify(statement({ Resource: undefined }))],
    ["a resource that is no ARN", JSON.stringify(statement({ Resource: "bucket/key" }))],
    ["a principal in an identity's policy", JSON.stringify(statement({ Principal: "*" }))],
    ["an unknown operator", JSON.stringify(when("StringMatches", "s3:prefix", "a"))],
    ["a number that is none", JSON.stringify(when("NumericEquals", "s3:max-keys", "ten"))],
    ["a range that is none", JSON.stringify(when("IpAddress", "aws:SourceIp", "10.0.0.0/33"))],
    ["a date that is none", JSON.stringify(when("DateEquals", "aws:CurrentTime", "tomorrow"))],
    ["a condition that is a text", JSON.stringify(statement({ Condition: "x" }))],
    ["too long", JSON.stringify(statement({ Resource: `arn:aws:s3:::${"a".repeat(21_000)}` }))],
  ])("%s", (_, json) => {
    expect(() => parsePolicy(json, "identity")).toThrow();
  });
  test("a resource's policy without principal", () => {
    expect(() => parsePolicy(JSON.stringify(statement({})), "resource")).toThrow("Principal");
  });
});

test("a pattern made to blow up answers at once", () => {
  const resource = `arn:aws:s3:::${"*a".repeat(1000)}b`;
  const started = performance.now();
  expect(asked(statement({ Resource: resource }), { resource: `arn:aws:s3:::${"a".repeat(1024)}` })).toBe("none");
  expect(performance.now() - started).toBeLessThan(500);
});
