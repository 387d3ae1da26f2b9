/**
 * IamState: every identity, group, policy and mapping, in memory: what answers requests. Names and paths of their documents.
 * Changed by IamStore only, after the drives have the change. Source: docs/format.md §7.4.
 */
import { CANNED_POLICIES } from "./canned-policies.ts";
import type { StoredGroup, StoredIdentity, StoredMapping, StoredPolicy } from "./documents.ts";
import { GO_ZERO_TIME } from "../core/go-time.ts";

export type IdentityKind = "user" | "service" | "sts";
/** Whose policies a mapping names; "sts": identities of other providers, by the name that these give. */
export type MappingKind = "user" | "group" | "sts";

export const IAM_FOLDER = "config/iam/";
export const FORMAT_PATH = `${IAM_FOLDER}format.json`;
const IDENTITY_FOLDERS: Readonly<Record<IdentityKind, string>> = {
  user: "users/",
  service: "service-accounts/",
  sts: "sts/",
};
const MAPPING_FOLDERS: Readonly<Record<MappingKind, string>> = {
  user: "policydb/users/",
  group: "policydb/groups/",
  sts: "policydb/sts-users/",
};

export const identityPath = (kind: IdentityKind, accessKey: string): string =>
  `${IAM_FOLDER}${IDENTITY_FOLDERS[kind]}${accessKey}/identity.json`;
export const groupPath = (group: string): string => `${IAM_FOLDER}groups/${group}/members.json`;
export const policyPath = (name: string): string => `${IAM_FOLDER}policies/${name}/policy.json`;
export const mappingPath = (kind: MappingKind, name: string): string =>
  `${IAM_FOLDER}${MAPPING_FOLDERS[kind]}${name}.json`;

export type DocumentName =
  | { readonly type: "identity"; readonly kind: IdentityKind; readonly name: string }
  | { readonly type: "mapping"; readonly kind: MappingKind; readonly name: string }
  | { readonly type: "group" | "policy"; readonly name: string };

/** What a path names; null = nothing that is known. Names may hold slashes. */
export function documentName(path: string): DocumentName | null {
  const between = (folder: string, suffix: string): string | null => {
    const start = IAM_FOLDER + folder;
    if (!path.startsWith(start) || !path.endsWith(suffix)) return null;
    const name = path.slice(start.length, -suffix.length);
    return name === "" ? null : name;
  };
  for (const [kind, folder] of Object.entries(IDENTITY_FOLDERS) as [IdentityKind, string][]) {
    const name = between(folder, "/identity.json");
    if (name !== null) return { type: "identity", kind, name };
  }
  for (const [kind, folder] of Object.entries(MAPPING_FOLDERS) as [MappingKind, string][]) {
    const name = between(folder, ".json");
    if (name !== null) return { type: "mapping", kind, name };
  }
  const group = between("groups/", "/members.json");
  if (group !== null) return { type: "group", name: group };
  const policy = between("policies/", "/policy.json");
  return policy === null ? null : { type: "policy", name: policy };
}

export class IamState {
  readonly identities: Readonly<Record<IdentityKind, Map<string, StoredIdentity>>> = {
    user: new Map(),
    service: new Map(),
    sts: new Map(),
  };
  readonly groups = new Map<string, StoredGroup>();
  /** The canned ones included, unless replaced. */
  readonly policies = new Map<string, StoredPolicy>(
    [...CANNED_POLICIES].map(([name, document]) => [
      name,
      { document, createdNs: GO_ZERO_TIME, updatedNs: GO_ZERO_TIME },
    ]),
  );
  readonly mappings: Readonly<Record<MappingKind, Map<string, StoredMapping>>> = {
    user: new Map(),
    group: new Map(),
    sts: new Map(),
  };
  /** User -> groups, from the groups. */
  private memberships = new Map<string, Set<string>>();

  find(accessKey: string): { readonly kind: IdentityKind; readonly identity: StoredIdentity } | null {
    for (const kind of ["user", "service", "sts"] as const) {
      const identity = this.identities[kind].get(accessKey);
      if (identity !== undefined) return { kind, identity };
    }
    return null;
  }

  groupsOf(user: string): readonly string[] {
    return [...(this.memberships.get(user) ?? [])].sort();
  }

  setGroup(name: string, group: StoredGroup | null): void {
    for (const member of this.groups.get(name)?.members ?? []) this.memberships.get(member)?.delete(name);
    if (group === null) {
      this.groups.delete(name);
      return;
    }
    this.groups.set(name, group);
    for (const member of group.members) {
      const known = this.memberships.get(member);
      if (known === undefined) this.memberships.set(member, new Set([name]));
      else known.add(name);
    }
  }

  setPolicy(name: string, policy: StoredPolicy | null): void {
    if (policy !== null) {
      this.policies.set(name, policy);
      return;
    }
    const canned = CANNED_POLICIES.get(name);
    if (canned === undefined) this.policies.delete(name);
    else this.policies.set(name, { document: canned, createdNs: GO_ZERO_TIME, updatedNs: GO_ZERO_TIME });
  }

  mapped(kind: MappingKind, name: string): readonly string[] {
    return this.mappings[kind].get(name)?.policies ?? [];
  }

  /** Service accounts or temporary keys of a parent, in order of their keys. */
  childrenOf(kind: "service" | "sts", parent: string): readonly StoredIdentity[] {
    return [...this.identities[kind].values()]
      .filter((identity) => identity.parentUser === parent)
      .sort((a, b) => (a.accessKey < b.accessKey ? -1 : 1));
  }
}
