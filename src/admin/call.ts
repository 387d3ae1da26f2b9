/**
 * AdminCall: one admin request on its way: who asks, what may be asked of whom, its body opened, its answer sealed. Bodies and
 * answers that are sealed are so with the requester's own secret key. Source: admin API §1, §2.
 */
import { SealError } from "../iam/password-envelope.ts";
import { judge } from "../iam/policy.ts";
import { isUnrestricted, type Principal, ROOT_ACCOUNT_ID } from "../iam/principal.ts";
import type { ConditionValues } from "../iam/policy-text.ts";
import { isObject, type JsonObject } from "../iam/documents.ts";
import type { HeaderList } from "../sys/http.ts";
import type { AdminContext } from "./context.ts";
import { AdminError } from "./errors.ts";

/** Encrypted JSON: 256 KiB and what sealing adds. */
const SEALED_BYTES_MAX = 262_272;
export const PLAIN_BYTES_MAX = 1024 * 1024;

export interface AdminRequest {
  readonly principal: Principal;
  readonly secretKey: string;
  readonly query: readonly (readonly [string, string])[];
  readonly values: ConditionValues;
  body(bytesMax: number): Promise<Uint8Array>;
}

export interface AdminReply {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Uint8Array | string;
}

export class AdminCall {
  constructor(
    readonly context: AdminContext,
    readonly request: AdminRequest,
    /** Names in the path, in order. */
    readonly names: readonly string[],
    /** It came by the KMS's own paths, which know actions `kms:…`. */
    readonly isKmsApi = false,
  ) {}

  get principal(): Principal {
    return this.request.principal;
  }

  /** The user itself, or whose key this is. */
  get ownUser(): string {
    const { parentUser, userName } = this.principal;
    return parentUser === "" ? userName : parentUser;
  }

  // ---- parameters

  optional(name: string): string {
    return this.request.query.find(([key]) => key === name)?.[1] ?? "";
  }

  all(name: string): string[] {
    return this.request.query.filter(([key]) => key === name).map(([, value]) => value);
  }

  parameter(name: string): string {
    const value = this.optional(name);
    if (value === "") throw new AdminError("InvalidRequest", `The parameter ${name} is missing.`);
    return value;
  }

  // ---- permission

  /** `action` without "admin:". `unlessDenied`: what everybody may do for itself, unless a policy says no. */
  may(action: string, unlessDenied = false, values: ConditionValues = this.request.values): boolean {
    return this.mayDo({ action: `admin:${action}`, resource: "" }, unlessDenied, values);
  }

  mayDo(
    what: { readonly action: string; readonly resource: string },
    unlessDenied = false,
    values: ConditionValues = this.request.values,
  ): boolean {
    return mayDo(this.principal, { ...what, values }, unlessDenied);
  }

  demand(action: string, unlessDenied = false, values?: ConditionValues): void {
    if (!this.may(action, unlessDenied, values)) throw new AdminError("AccessDenied", "Access Denied.");
  }

  // ---- body and answer

  async json(bytesMax = PLAIN_BYTES_MAX): Promise<JsonObject> {
    return objectOf(await this.request.body(bytesMax));
  }

  async opened(): Promise<Uint8Array> {
    const body = await this.request.body(SEALED_BYTES_MAX);
    try {
      return await this.context.envelope.open(this.request.secretKey, body);
    } catch (cause) {
      if (!(cause instanceof SealError)) throw cause;
      throw new AdminError("XMinioAdminConfigBadJSON", `The body cannot be decrypted: ${cause.message}`, {}, { cause });
    }
  }

  async openedJson(): Promise<JsonObject> {
    return objectOf(await this.opened());
  }

  async sealed(value: unknown): Promise<AdminReply> {
    return await this.sealedText(JSON.stringify(value));
  }

  async sealedText(text: string): Promise<AdminReply> {
    const body = await this.context.envelope.seal(this.request.secretKey, new TextEncoder().encode(text));
    return { status: 200, headers: [["Content-Type", "application/json"]], body };
  }
}

/** Judged by the policies of the identity and its session; buckets' policies say nothing here. */
export function mayDo(
  principal: Principal,
  what: { readonly action: string; readonly resource: string; readonly values: ConditionValues },
  unlessDenied = false,
): boolean {
  if (isUnrestricted(principal)) return true;
  const isRoots = principal.canonicalId === ROOT_ACCOUNT_ID;
  if (!isRoots && principal.policies.length === 0) return false;
  const question = { ...what, principalNames: [] };
  const verdict = isRoots ? "allow" : judge(principal.policies, question);
  if (verdict === "deny") return false;
  // A restricted key does only what it was given, for itself too.
  if (principal.sessionPolicy !== null && judge([principal.sessionPolicy], question) !== "allow") return false;
  return unlessDenied || verdict === "allow";
}

export function jsonReply(value: unknown, contentType = "application/json"): AdminReply {
  return { status: 200, headers: [["Content-Type", contentType]], body: JSON.stringify(value) };
}

export function emptyReply(status = 200, headers: HeaderList = []): AdminReply {
  return { status, headers, body: "" };
}

function objectOf(bytes: Uint8Array): JsonObject {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (isObject(value)) return value;
  } catch (cause) {
    throw new AdminError("XMinioAdminConfigBadJSON", "The JSON is malformed.", {}, { cause });
  }
  throw new AdminError("XMinioAdminConfigBadJSON", "The body is not a JSON object.");
}

export function textField(object: JsonObject, name: string): string {
  const value = object[name];
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw new AdminError("XMinioAdminConfigBadJSON", `${name} is not a text.`);
  return value;
}

export function textsField(object: JsonObject, name: string): string[] {
  const value = object[name] ?? [];
  if (!Array.isArray(value) || !value.every((entry) => typeof entry === "string"))
    throw new AdminError("XMinioAdminConfigBadJSON", `${name} is not a list of texts.`);
  return value;
}
