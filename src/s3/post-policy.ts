/**
 * The policy of a POST upload: what its signer allows the form to say. Pure. A policy that is not one is a 400, one that does
 * not allow the form a 403; every field needs a condition. Sizes in bytes, times in ms. Source: s3-api.md §2.9.
 */
import { WireError } from "./wire-error.ts";

const POLICY_BYTES_MAX = 64 * 1024;
const CONDITIONS_MAX = 500;
/** Fields that no condition needs to name. */
const FREE = new Set(["policy", "file", "signature", "x-amz-signature", "awsaccesskeyid"]);
/** Neither needs a checksum one: it can only refuse a file that is not what its sender meant. */
const FREE_PREFIXES = ["x-ignore-", "x-amz-checksum-"];
/** Fields whose condition must be an equality. */
const EXACT = new Set(["bucket", "x-amz-algorithm", "x-amz-credential", "x-amz-date"]);

interface Condition {
  readonly kind: "eq" | "starts-with";
  /** Lower case, without "$". */
  readonly field: string;
  readonly value: string;
}
export interface SizeRange {
  readonly min: number;
  readonly max: number;
}
export interface PostPolicy {
  readonly expiresMs: number;
  readonly conditions: readonly Condition[];
  readonly size: SizeRange | null;
}

/** `text`: the form's policy field, base64 of JSON. */
export function parsePostPolicy(text: string): PostPolicy {
  if (text.length > POLICY_BYTES_MAX) throw invalid("The policy is too long.");
  const policy = parsed(text);
  if (typeof policy !== "object" || policy === null) throw invalid("The policy is not a JSON object.");
  const { expiration, conditions } = policy as { expiration?: unknown; conditions?: unknown };
  if (typeof expiration !== "string" || !/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$/.test(expiration))
    throw invalid("The policy's expiration is missing, or not a date like 2030-01-01T00:00:00Z.");
  const expiresMs = Date.parse(expiration);
  if (Number.isNaN(expiresMs)) throw invalid("The policy's expiration is no date.");
  if (!Array.isArray(conditions) || conditions.length > CONDITIONS_MAX)
    throw invalid("The policy has no list of conditions, or too long a one.");
  let size: SizeRange | null = null;
  const found: Condition[] = [];
  for (const condition of conditions as readonly unknown[]) {
    const range = sizeRange(condition);
    if (range !== null) size = narrower(size, range);
    else if (Array.isArray(condition)) found.push(listed(condition));
    else found.push(...equalities(condition));
  }
  return { expiresMs, conditions: found, size };
}

function parsed(text: string): unknown {
  const bytes = Buffer.from(text, "base64");
  if (bytes.length === 0) throw invalid("The policy is empty, or not base64.");
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new WireError("InvalidPolicyDocument", "The policy is not JSON.", {}, { cause });
  }
}

function sizeRange(condition: unknown): SizeRange | null {
  if (!Array.isArray(condition) || String(condition[0]).toLowerCase() !== "content-length-range") return null;
  const [min, max] = [condition[1], condition[2]].map(bytesOf);
  if (condition.length !== 3 || min === undefined || max === undefined || min > max)
    throw invalid("A content-length-range needs two sizes, the smaller one first.");
  return { min, max };
}

/** A number, or as some clients write it, the text of one. */
function bytesOf(value: unknown): number | undefined {
  const number = typeof value === "string" && /^\d{1,16}$/.test(value) ? Number(value) : value;
  return typeof number === "number" && Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

function narrower(a: SizeRange | null, b: SizeRange): SizeRange {
  return a === null ? b : { min: Math.max(a.min, b.min), max: Math.min(a.max, b.max) };
}

function listed(condition: readonly unknown[]): Condition {
  const [operator, field, value] = condition;
  const kind = typeof operator === "string" ? operator.toLowerCase() : "";
  if (
    condition.length !== 3 ||
    (kind !== "eq" && kind !== "starts-with") ||
    typeof field !== "string" ||
    !field.startsWith("$") ||
    typeof value !== "string"
  )
    throw invalid('A condition is ["eq" or "starts-with", "$field", "value"], or a content-length-range.');
  const name = field.slice(1).toLowerCase();
  if (kind === "starts-with" && EXACT.has(name)) throw invalid(`The field ${name} can only be compared by eq.`);
  return { kind, field: name, value };
}

function equalities(condition: unknown): Condition[] {
  const entries = typeof condition === "object" && condition !== null ? Object.entries(condition) : [];
  if (entries.length === 0) throw invalid("A condition is empty.");
  return entries.map(([field, value]) => {
    if (typeof value !== "string") throw invalid("The value of a condition is not a text.");
    return { kind: "eq", field: field.toLowerCase(), value };
  });
}

/** Throws unless the policy allows these fields (the bucket among them, the key as it will be stored). */
export function demandAllowed(policy: PostPolicy, fields: ReadonlyMap<string, string>, nowMs: number): void {
  const deny = (why: string): WireError => new WireError("AccessDenied", `Invalid according to Policy: ${why}`);
  if (policy.expiresMs <= nowMs) throw deny("Policy expired.");
  const named = new Set<string>();
  for (const { kind, field, value } of policy.conditions) {
    named.add(field);
    const given = fields.get(field);
    // A field that is not in the form starts with nothing, as for MinIO.
    const holds = kind === "eq" ? given === value : startsWith(field, given ?? "", value);
    if (!holds) throw deny(`Policy Condition failed: [${kind}, $${field}, ${value}]`);
  }
  for (const field of fields.keys())
    if (!named.has(field) && !FREE.has(field) && !FREE_PREFIXES.some((prefix) => field.startsWith(prefix)))
      throw deny(`Extra input fields: ${field}`);
}

/** Each of a list of content types must start so. */
function startsWith(field: string, given: string, prefix: string): boolean {
  if (field !== "content-type") return given.startsWith(prefix);
  return given.split(",").every((one) => one.trimStart().startsWith(prefix));
}

function invalid(message: string): WireError {
  return new WireError("InvalidPolicyDocument", message);
}
