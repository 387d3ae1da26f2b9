/** Which bucket policies are public, and which MinIO may be given. */
import { expect, test } from "bun:test";
import { minioReads } from "../../../src/iam/minio-policy.ts";
import { parsePolicy } from "../../../src/iam/policy.ts";
import { isPublicPolicy } from "../../../src/iam/public-policy.ts";

const policy = (extra: object): ReturnType<typeof parsePolicy> =>
  parsePolicy(
    JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        { Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: "arn:aws:s3:::bucket/*", ...extra },
      ],
    }),
    "resource",
  );

test.each([
  [{}, true],
  [{ Principal: { AWS: ["arn:aws:iam:::user/a", "*"] } }, true],
  [{ Principal: { AWS: "arn:aws:iam:::user/a" } }, false],
  [{ Effect: "Deny" }, false],
  [{ Condition: { IpAddress: { "aws:SourceIp": "203.0.113.0/24" } } }, false],
  [{ Condition: { IpAddress: { "aws:SourceIp": "::/0" } } }, true],
  [{ Condition: { NotIpAddress: { "aws:SourceIp": "203.0.113.0/24" } } }, true],
  [{ Condition: { StringEquals: { "aws:username": "a" } } }, false],
  [{ Condition: { StringLike: { "aws:username": "a*" } } }, true],
  [{ Condition: { StringEqualsIfExists: { "aws:username": "a" } } }, true],
  [{ Condition: { StringEquals: { "s3:prefix": "a" } } }, true],
])("a statement with %j is public: %p", (extra, wanted) => {
  expect(isPublicPolicy(policy(extra))).toBe(wanted);
});

test.each([
  [{}, true],
  [{ Principal: { AWS: ["*"] }, Condition: { StringLike: { "aws:Referer": ["http://a/*"] } } }, true],
  [
    { Action: "s3:ListBucket", Resource: "arn:aws:s3:::bucket", Condition: { StringEquals: { "s3:prefix": ["a"] } } },
    true,
  ],
  [{ Condition: { StringLikeIfExists: { "aws:Referer": "a" } } }, false],
  [{ Condition: { StringEquals: { "s3:prefix": "a" } } }, false],
  [{ Condition: { ArnLike: { "aws:PrincipalArn": "arn:aws:iam:::user/a" } } }, false],
  [{ Principal: { CanonicalUser: "c" } }, false],
  [{ Principal: { Service: "logging.s3.amazonaws.com" } }, false],
  [{ Effect: "Deny", NotPrincipal: { AWS: "a" }, Principal: undefined }, false],
  [{ NotAction: "s3:GetObject", Action: undefined }, false],
  [{ Action: "s3:GetObjectAcl" }, false],
  [{ Resource: "*" }, false],
])("MinIO may be given a statement with %j: %p", (extra, wanted) => {
  expect(minioReads(policy(extra))).toBe(wanted);
});
