/**
 * Principal: who asks, with everything that decides what they may; and Identities, where principals come from. Held in
 * memory and answered at once: a request waits for no drive to know its caller.
 */
import { createHash } from "node:crypto";
import type { Policy } from "./policy.ts";

export type PrincipalKind = "anonymous" | "root" | "user" | "service-account" | "sts";

export interface Principal {
  /** "" = anonymous. */
  readonly accessKey: string;
  readonly kind: PrincipalKind;
  /** The user's name; of service accounts and sessions their own access key. "" = anonymous. */
  readonly userName: string;
  /** The user that a service account or session belongs to, else "". */
  readonly parentUser: string;
  readonly groups: readonly string[];
  /** Attached ones, of groups too: together they allow. */
  readonly policies: readonly Policy[];
  /** What a service account or session is restricted to: must allow as well. */
  readonly sessionPolicy: Policy | null;
  /** Claims of a session: "jwt:sub" or "ldap:username" as in conditions -> value. */
  readonly claims: ReadonlyMap<string, string | readonly string[]>;
  /** The account that owns what this principal makes: that of root and all that is root's is ROOT_ACCOUNT_ID. "" = anonymous. */
  readonly canonicalId: string;
}

export interface FoundIdentity {
  readonly secretKey: string;
  /** What x-amz-security-token must be; null = there must be none. */
  readonly sessionToken: string | null;
  readonly principal: Principal;
}

export interface Account {
  readonly canonicalId: string;
  readonly displayName: string;
}

/** Synchronous and from memory; disabled and expired keys are not found. */
export interface Identities {
  find(accessKey: string): FoundIdentity | null;
  accountById(canonicalId: string): Account | null;
  /** By user name; names that are mail addresses are found in any case. */
  accountByName(userName: string): Account | null;
}

export const ROOT_ACCOUNT_ID = "02d6176db174dc93cb1b899f7c6078f08654445fe8cf1b6ce98d8855f66bdbf4";
export const ROOT_DISPLAY_NAME = "minio";

/** 64 hex digits, the same on every node and after every restart. */
export function canonicalIdOf(userName: string): string {
  return createHash("sha256").update(`sherd account\0${userName}`).digest("hex");
}

export const ANONYMOUS: Principal = {
  accessKey: "",
  kind: "anonymous",
  userName: "",
  parentUser: "",
  groups: [],
  policies: [],
  sessionPolicy: null,
  claims: new Map(),
  canonicalId: "",
};

export function rootPrincipal(accessKey: string): Principal {
  return { ...ANONYMOUS, accessKey, kind: "root", userName: accessKey, canonicalId: ROOT_ACCOUNT_ID };
}

/** A server without IAM: the user of its options. */
export function rootOnly(user: string, secretKey: string): Identities {
  const found: FoundIdentity = { secretKey, sessionToken: null, principal: rootPrincipal(user) };
  const account: Account = { canonicalId: ROOT_ACCOUNT_ID, displayName: ROOT_DISPLAY_NAME };
  return {
    find: (accessKey) => (accessKey === user ? found : null),
    accountById: (id) => (id === ROOT_ACCOUNT_ID ? account : null),
    accountByName: (name) => (name === user ? account : null),
  };
}

/** May this principal do everything, whatever bucket policies say? Root, and what is root's and not restricted. */
export function isUnrestricted(principal: Principal): boolean {
  return principal.canonicalId === ROOT_ACCOUNT_ID && principal.sessionPolicy === null;
}
