/**
 * From the state to who may do what: the principal of an access key, with its policies compiled, made once and kept until
 * something changes. Disabled and expired keys have none; a member of a disabled group may do nothing, as in MinIO; a policy
 * that cannot be understood denies everything to whom it is attached. Source: docs/format.md §7.4, s3-api.md §2.10.
 */
import type { Clock } from "../sys/clock.ts";
import { type JsonObject, policyNames, type StoredIdentity, tokenClaims } from "./documents.ts";
import type { IamState, IdentityKind } from "./iam-state.ts";
import { type Policy, parsePolicy } from "./policy.ts";
import { PolicyError } from "./policy-error.ts";
import {
  type Account,
  ANONYMOUS,
  canonicalIdOf,
  type FoundIdentity,
  type Identities,
  type Principal,
  ROOT_ACCOUNT_ID,
  ROOT_DISPLAY_NAME,
  rootPrincipal,
} from "./principal.ts";
import { isSignedBy } from "./session-token.ts";

const KEPT_MAX = 10_000;
const DENY_ALL = parsePolicy(
  JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Deny", Action: ["*"], Resource: ["*"] }] }),
);

export interface RootCredentials {
  readonly accessKey: string;
  readonly secretKey: string;
}

interface Kept {
  readonly found: FoundIdentity;
  readonly expiresMs: number | null;
}

export class Principals implements Identities {
  private readonly kept = new Map<string, Kept>();
  private readonly compiled = new Map<string, Policy>();
  private accounts: Map<string, Account> | null = null;
  private readonly rootFound: FoundIdentity;

  constructor(
    private readonly state: IamState,
    private readonly root: RootCredentials,
    /** Role ARN of a provider -> its policies. */
    private readonly roles: ReadonlyMap<string, readonly string[]>,
    private readonly clock: Clock,
  ) {
    this.rootFound = {
      secretKey: root.secretKey,
      sessionToken: null,
      principal: rootPrincipal(root.accessKey),
    };
  }

  /** Something changed: everything is made anew when it is asked for. */
  forget(): void {
    this.kept.clear();
    this.compiled.clear();
    this.accounts = null;
  }

  find(accessKey: string): FoundIdentity | null {
    if (accessKey === this.root.accessKey) return this.rootFound;
    const known = this.kept.get(accessKey);
    if (known !== undefined && (known.expiresMs === null || known.expiresMs > this.clock.nowMs())) return known.found;
    const made = this.make(accessKey);
    if (made === null) {
      this.kept.delete(accessKey);
      return null;
    }
    if (this.kept.size >= KEPT_MAX) this.kept.delete(this.kept.keys().next().value as string);
    this.kept.set(accessKey, made);
    return made.found;
  }

  accountById(canonicalId: string): Account | null {
    return this.allAccounts().get(canonicalId) ?? null;
  }

  accountByName(userName: string): Account | null {
    if (userName === this.root.accessKey) return this.accountById(ROOT_ACCOUNT_ID);
    const exact = this.accountById(canonicalIdOf(userName));
    if (exact !== null || !userName.includes("@")) return exact;
    const wanted = userName.toLowerCase();
    for (const name of this.state.identities.user.keys())
      if (name.toLowerCase() === wanted) return this.accountById(canonicalIdOf(name));
    return null;
  }

  /** Names of the policies that apply to a user of ours or of a provider; null = none may be used. */
  policyNamesOf(user: string, groups: readonly string[] = []): readonly string[] | null {
    const { state } = this;
    const identity = state.identities.user.get(user);
    if (identity !== undefined && !identity.isEnabled) return null;
    const own = identity === undefined ? state.mapped("sts", user) : state.mapped("user", user);
    const names = new Set(own);
    for (const group of new Set([...state.groupsOf(user), ...groups])) {
      if (state.groups.get(group)?.isEnabled === false) return null;
      for (const name of state.mapped("group", group)) names.add(name);
    }
    return [...names].sort();
  }

  /** The named policies, compiled; names without a policy are left out. */
  policiesNamed(names: readonly string[]): readonly Policy[] {
    return names.flatMap((name) => {
      const known = this.compiled.get(name);
      if (known !== undefined) return [known];
      const stored = this.state.policies.get(name);
      if (stored === undefined) return [];
      const made = compiledOrDenied(stored.document);
      this.compiled.set(name, made);
      return [made];
    });
  }

  private make(accessKey: string): Kept | null {
    const entry = this.state.find(accessKey);
    if (entry === null || !entry.identity.isEnabled) return null;
    const { kind, identity } = entry;
    const expiresMs = identity.expiresNs === null ? null : Number(identity.expiresNs / 1_000_000n);
    if (expiresMs !== null && expiresMs <= this.clock.nowMs()) return null;
    if (kind === "sts" && !isSignedBy(identity.sessionToken, this.root.secretKey)) return null;
    const principal = kind === "user" ? this.user(accessKey) : this.child(kind, identity);
    if (principal === null) return null;
    const sessionToken = kind === "sts" ? identity.sessionToken : null;
    return { found: { secretKey: identity.secretKey, sessionToken, principal }, expiresMs };
  }

  private user(accessKey: string): Principal {
    return {
      ...ANONYMOUS,
      accessKey,
      kind: "user",
      userName: accessKey,
      groups: this.state.groupsOf(accessKey),
      policies: this.policiesNamed(this.policyNamesOf(accessKey) ?? []),
      canonicalId: canonicalIdOf(accessKey),
    };
  }

  private child(kind: Exclude<IdentityKind, "user">, identity: StoredIdentity): Principal | null {
    const parent = identity.parentUser;
    const claims = { ...tokenClaims(identity.sessionToken), ...identity.claims };
    if (parent === "" || (kind === "service" && claims["parent"] !== parent)) return null; // nobody's key
    const isRoots = parent === this.root.accessKey;
    const groups = [...new Set([...this.state.groupsOf(parent), ...identity.groups])];
    return {
      accessKey: identity.accessKey,
      kind: kind === "service" ? "service-account" : "sts",
      userName: identity.accessKey,
      parentUser: parent,
      groups,
      policies: isRoots ? [] : this.policiesNamed(this.effectiveNames(parent, identity.groups, claims)),
      sessionPolicy: kind === "service" ? servicePolicy(claims) : sessionPolicy(claims),
      claims: conditionClaims(claims),
      canonicalId: isRoots ? ROOT_ACCOUNT_ID : canonicalIdOf(parent),
    };
  }

  /** Of a role, else of the user, else those that the provider's claim named. */
  effectiveNames(parent: string, groups: readonly string[], claims: JsonObject): readonly string[] {
    const role = claims["roleArn"];
    if (typeof role === "string") return this.roles.get(role) ?? [];
    const names = this.policyNamesOf(parent, groups);
    if (names === null || names.length > 0) return names ?? [];
    const claimed = claims["policy"];
    return typeof claimed === "string" && !this.state.identities.user.has(parent) ? policyNames(claimed) : [];
  }

  private allAccounts(): ReadonlyMap<string, Account> {
    if (this.accounts !== null) return this.accounts;
    const accounts = new Map<string, Account>();
    for (const name of this.state.identities.user.keys()) {
      const canonicalId = canonicalIdOf(name);
      accounts.set(canonicalId, { canonicalId, displayName: name });
    }
    accounts.set(ROOT_ACCOUNT_ID, { canonicalId: ROOT_ACCOUNT_ID, displayName: ROOT_DISPLAY_NAME });
    this.accounts = accounts;
    return accounts;
  }
}

export function compiledOrDenied(document: JsonObject): Policy {
  try {
    return parsePolicy(JSON.stringify(document));
  } catch (error) {
    if (error instanceof PolicyError) return DENY_ALL;
    throw error;
  }
}

/** The document of an inline policy in a token's claims; null = none. */
export function inlineDocument(claims: JsonObject): JsonObject | null {
  const encoded = claims["sessionPolicy"];
  if (encoded === undefined) return null;
  try {
    const document: unknown = JSON.parse(Buffer.from(String(encoded), "base64").toString("utf8"));
    return (document ?? {}) as JsonObject;
  } catch (error) {
    if (error instanceof SyntaxError) return { Statement: "unreadable" };
    throw error;
  }
}

/** Is a policy one that says nothing at all? Then a service account has what its parent has. */
export function saysNothing(document: JsonObject): boolean {
  const { Version, Statement, ID, Id } = document as Record<string, unknown>;
  const isEmpty = (value: unknown): boolean => value === undefined || value === null || value === "";
  return isEmpty(Version) && isEmpty(Statement) && isEmpty(ID) && isEmpty(Id);
}

function servicePolicy(claims: JsonObject): Policy | null {
  if (claims["sa-policy"] === "inherited-policy") return null;
  const document = inlineDocument(claims);
  if (claims["sa-policy"] !== "embedded-policy") return DENY_ALL; // neither word: nothing that we understand
  return document === null || saysNothing(document) ? null : compiledOrDenied(document);
}

function sessionPolicy(claims: JsonObject): Policy | null {
  const document = inlineDocument(claims);
  if (document === null) return null;
  return saysNothing(document) ? DENY_ALL : compiledOrDenied(document);
}

const LDAP_CLAIMS: Readonly<Record<string, string>> = { ldapUser: "ldap:user", ldapUsername: "ldap:username" };

/** Claims under the names that conditions and variables use. */
function conditionClaims(claims: JsonObject): Map<string, string | readonly string[]> {
  const found = new Map<string, string | readonly string[]>();
  for (const [name, value] of Object.entries(claims)) {
    const key = LDAP_CLAIMS[name] ?? `jwt:${name}`;
    if (typeof value === "string") found.set(key, value);
    else if (typeof value === "number" || typeof value === "boolean") found.set(key, String(value));
    else if (Array.isArray(value))
      found.set(
        key,
        value.filter((entry) => typeof entry === "string"),
      );
  }
  return found;
}
