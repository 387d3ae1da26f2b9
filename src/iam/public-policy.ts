/**
 * Is a bucket's policy public? Yes if a statement allows everybody something without holding them to fixed values of a key
 * that tells callers apart, as AWS defines it. And may MinIO read the document, or would its bucket metadata be lost on it?
 */
import { parseIpRange } from "./ip-range.ts";
import type { Condition } from "./condition.ts";
import type { Policy, Statement } from "./policy.ts";

const TELLING_KEYS: ReadonlySet<string> = new Set([
  "aws:sourceip",
  "aws:sourcearn",
  "aws:sourcevpc",
  "aws:sourcevpce",
  "aws:sourceowner",
  "aws:sourceaccount",
  "aws:principalorgid",
  "aws:principalaccount",
  "aws:principalarn",
  "aws:userid",
  "aws:username",
  "s3:dataaccesspointarn",
  "s3:dataaccesspointaccount",
  "s3:x-amz-server-side-encryption-aws-kms-key-id",
]);
const FIXING_OPERATORS: ReadonlySet<string> = new Set([
  "StringEquals",
  "StringEqualsIgnoreCase",
  "StringLike",
  "ArnEquals",
  "ArnLike",
  "IpAddress",
]);

export function isPublicPolicy(policy: Policy): boolean {
  return policy.statements.some(isPublicStatement);
}

function isPublicStatement({ effect, principals, conditions }: Statement): boolean {
  if (effect !== "Allow" || principals === null) return false;
  if (!principals.negated && !principals.list.includes("*")) return false;
  return !conditions.some(tellsApart);
}

function tellsApart({ key, operator, wanted, isOptional }: Condition): boolean {
  if (isOptional || !TELLING_KEYS.has(key) || !FIXING_OPERATORS.has(operator)) return false;
  return wanted.every((value) => (operator === "IpAddress" ? isNarrow(value) : !/[*?]|\$\{/.test(value)));
}

/** Wider than /8 (v4) or /32 (v6) is everybody. */
function isNarrow(range: string): boolean {
  const found = parseIpRange(range);
  return found !== null && found.prefixBits >= (found.bits === 32 ? 8 : 32);
}
