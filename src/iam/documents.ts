/**
 * The JSON documents of `.minio.sys/config/iam`: identities (users, service accounts, temporary keys), groups, policies and
 * mappings of names to policies. Times are ns since 1970; GO_ZERO_TIME = unset. What a document lacks has its default: older
 * releases wrote less. Throws FormatError. Source: docs/format.md §7.4.
 */
import { FormatError } from "../core/format-error.ts";
import { formatRfc3339, GO_ZERO_TIME, parseRfc3339 } from "../core/go-time.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

export interface StoredIdentity {
  readonly accessKey: string;
  readonly secretKey: string;
  /** "" = none: a user. */
  readonly sessionToken: string;
  /** null = never. */
  readonly expiresNs: bigint | null;
  readonly isEnabled: boolean;
  readonly parentUser: string;
  readonly groups: readonly string[];
  /** Claims of the session token, also stored beside it by newer releases. */
  readonly claims: JsonObject;
  readonly name: string;
  readonly description: string;
  readonly updatedNs: bigint;
}
export interface StoredGroup {
  readonly isEnabled: boolean;
  readonly members: readonly string[];
  readonly updatedNs: bigint;
}
export interface StoredPolicy {
  /** As it was given. */
  readonly document: JsonObject;
  readonly createdNs: bigint;
  readonly updatedNs: bigint;
}
export interface StoredMapping {
  readonly policies: readonly string[];
  readonly updatedNs: bigint;
}

export function decodeIdentity(bytes: Uint8Array): StoredIdentity {
  const file = objectOf(parsed(bytes), "an identity");
  const credentials = objectOf(file["credentials"], "credentials");
  const text = (name: string): string => textOf(credentials[name]);
  const status = text("status");
  const expiresNs = timeOf(credentials["expiration"]);
  const sessionToken = text("sessionToken");
  return {
    accessKey: text("accessKey"),
    secretKey: text("secretKey"),
    sessionToken,
    // Zero and the epoch stand for "never".
    expiresNs: expiresNs <= 0n ? null : expiresNs,
    isEnabled: status !== "off" && status !== "disabled",
    parentUser: text("parentUser"),
    groups: textsOf(credentials["groups"]),
    claims: isObject(credentials["claims"]) ? credentials["claims"] : tokenClaims(sessionToken),
    name: text("name"),
    description: text("description") || text("comment"),
    updatedNs: timeOf(file["updatedAt"]),
  };
}

export function encodeIdentity(identity: StoredIdentity): Uint8Array {
  const never = identity.parentUser === "" ? formatRfc3339(GO_ZERO_TIME) : "1970-01-01T00:00:00Z";
  return encoded({
    version: 1,
    credentials: {
      ...filled({ accessKey: identity.accessKey, secretKey: identity.secretKey, sessionToken: identity.sessionToken }),
      expiration: identity.expiresNs === null ? never : formatRfc3339(identity.expiresNs),
      status: identity.isEnabled ? "on" : "off",
      ...filled({
        parentUser: identity.parentUser,
        groups: identity.groups,
        claims: identity.claims,
        name: identity.name,
        description: identity.description,
      }),
    },
    updatedAt: formatRfc3339(identity.updatedNs),
  });
}

export function decodeGroup(bytes: Uint8Array): StoredGroup {
  const file = objectOf(parsed(bytes), "a group");
  return {
    isEnabled: file["status"] !== "disabled",
    members: textsOf(file["members"]),
    updatedNs: timeOf(file["updatedAt"]),
  };
}

export function encodeGroup(group: StoredGroup): Uint8Array {
  return encoded({
    version: 1,
    status: group.isEnabled ? "enabled" : "disabled",
    members: group.members,
    updatedAt: formatRfc3339(group.updatedNs),
  });
}

export function decodePolicy(bytes: Uint8Array): StoredPolicy {
  const file = objectOf(parsed(bytes), "a policy");
  // Through 2021-08 the bare document; its "Version" is a date.
  const isBare = typeof file["Version"] === "string" || file["Policy"] === undefined;
  return {
    document: isBare ? file : objectOf(file["Policy"], "a policy's document"),
    createdNs: isBare ? GO_ZERO_TIME : timeOf(file["CreateDate"]),
    updatedNs: isBare ? GO_ZERO_TIME : timeOf(file["UpdateDate"]),
  };
}

export function encodePolicy(policy: StoredPolicy): Uint8Array {
  return encoded({
    Version: 1,
    Policy: policy.document,
    CreateDate: formatRfc3339(policy.createdNs),
    UpdateDate: formatRfc3339(policy.updatedNs),
  });
}

export function decodeMapping(bytes: Uint8Array): StoredMapping {
  const file = objectOf(parsed(bytes), "a policy mapping");
  return { policies: policyNames(textOf(file["policy"])), updatedNs: timeOf(file["updatedAt"]) };
}

export function encodeMapping(mapping: StoredMapping): Uint8Array {
  return encoded({ version: 1, policy: mapping.policies.join(","), updatedAt: formatRfc3339(mapping.updatedNs) });
}

/** `a,b` -> its names, each once. */
export function policyNames(list: string): string[] {
  const names = list
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  return [...new Set(names)];
}

/** Claims of a JWT without a look at its signature: for tokens that were stored by us; {} = none. */
export function tokenClaims(token: string): JsonObject {
  const part = token.split(".")[1];
  if (part === undefined) return {};
  try {
    const claims: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return isObject(claims) ? claims : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Without what is empty. */
function filled(fields: JsonObject): JsonObject {
  const isEmpty = (value: unknown): boolean =>
    value === "" || (typeof value === "object" && value !== null && Object.keys(value).length === 0);
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isEmpty(value)));
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new FormatError(`not JSON: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

function encoded(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function objectOf(value: unknown, what: string): JsonObject {
  if (!isObject(value)) throw new FormatError(`${what} is not an object`);
  return value;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];
}

function timeOf(value: unknown): bigint {
  return typeof value === "string" ? (parseRfc3339(value) ?? GO_ZERO_TIME) : GO_ZERO_TIME;
}
