/** Admin API: canned policies, and to whom they are attached. Source: admin API §3.3. */
import { formatRfc3339 } from "../core/go-time.ts";
import { policyNames } from "../iam/documents.ts";
import { IamError } from "../iam/iam-error.ts";
import type { IamState } from "../iam/iam-state.ts";
import { changeAttached, policyDocument, putPolicy, removePolicy, setAttached, type Target } from "../iam/policies.ts";
import { POLICY_BYTES_MAX } from "../iam/policy.ts";
import { type AdminCall, type AdminReply, emptyReply, jsonReply, textField, textsField } from "./call.ts";
import { AdminError } from "./errors.ts";

export async function putPolicyOfNewUser(call: AdminCall, user: string, policies: string): Promise<void> {
  await setAttached(call.context.iam, { kind: "user", name: user }, policyNames(policies));
}

export async function addCannedPolicy(call: AdminCall): Promise<AdminReply> {
  const document = policyDocument(await call.request.body(POLICY_BYTES_MAX));
  await putPolicy(call.context.iam, call.parameter("name"), document);
  return emptyReply();
}

export function infoCannedPolicy(call: AdminCall): Promise<AdminReply> {
  const name = call.parameter("name");
  const policy = call.context.iam.state.policies.get(name);
  if (policy === undefined) throw new IamError("NoSuchPolicy", "The canned policy does not exist.");
  const TEXT = "text/plain; charset=utf-8";
  if (call.optional("v") !== "2") return Promise.resolve(jsonReply(policy.document, TEXT));
  return Promise.resolve(
    jsonReply(
      {
        PolicyName: name,
        Policy: policy.document,
        CreateDate: formatRfc3339(policy.createdNs),
        UpdateDate: formatRfc3339(policy.updatedNs),
      },
      TEXT,
    ),
  );
}

export function listCannedPolicies(call: AdminCall): Promise<AdminReply> {
  const found = [...call.context.iam.state.policies].sort(([a], [b]) => (a < b ? -1 : 1));
  return Promise.resolve(jsonReply(Object.fromEntries(found.map(([name, { document }]) => [name, document]))));
}

export async function removeCannedPolicy(call: AdminCall): Promise<AdminReply> {
  await removePolicy(call.context.iam, call.parameter("name"));
  return emptyReply();
}

/** Names that are no users of ours are those of certificates and providers: they are looked up when they sign in. */
function targetNamed(call: AdminCall, name: string, isGroup: boolean): Target {
  const isProviders = call.context.hasLdap && !call.context.iam.state.identities.user.has(name);
  return { kind: isGroup ? "group" : isProviders ? "sts" : "user", name };
}

export async function setUserOrGroupPolicy(call: AdminCall): Promise<AdminReply> {
  const target = targetNamed(call, call.parameter("userOrGroup"), call.optional("isGroup") === "true");
  await setAttached(call.context.iam, target, policyNames(call.optional("policyName")));
  return emptyReply();
}

export async function attachPolicies(call: AdminCall): Promise<AdminReply> {
  return await changePolicies(call, "attach");
}
export async function detachPolicies(call: AdminCall): Promise<AdminReply> {
  return await changePolicies(call, "detach");
}

async function changePolicies(call: AdminCall, how: "attach" | "detach"): Promise<AdminReply> {
  if (!call.may("UpdatePolicyAssociation")) call.demand("AttachUserOrGroupPolicy");
  const body = await call.openedJson();
  const [user, group] = [textField(body, "user"), textField(body, "group")];
  const policies = textsField(body, "policies");
  if ((user === "") === (group === "") || policies.length === 0)
    throw new AdminError("InvalidRequest", "Policies, and either a user or a group, must be given.");
  const target: Target = group === "" ? { kind: "user", name: user } : { kind: "group", name: group };
  const changed = await changeAttached(call.context.iam, target, [...new Set(policies)], how);
  const updatedAt = formatRfc3339(call.context.clock.nowNs());
  return await call.sealed({ [how === "attach" ? "policiesAttached" : "policiesDetached"]: changed, updatedAt });
}

// ---- who has what

export async function policyEntities(call: AdminCall): Promise<AdminReply> {
  for (const action of ["ListGroups", "ListUsers", "ListUserPolicies"]) call.demand(action);
  const [users, groups, policies] = [call.all("user"), call.all("group"), call.all("policy")];
  const { state } = call.context.iam;
  const asksAll = users.length + groups.length + policies.length === 0;
  return await call.sealed({
    timestamp: formatRfc3339(call.context.clock.nowNs()),
    ...(users.length > 0
      ? listed(
          "userMappings",
          users.sort().flatMap((user) => ofUser(state, user)),
        )
      : {}),
    ...(groups.length > 0 ? listed("groupMappings", ofGroups(state, groups.sort())) : {}),
    ...(policies.length > 0 || asksAll ? listed("policyMappings", ofPolicies(state, policies)) : {}),
  });
}

function listed(name: string, entries: readonly unknown[]): Readonly<Record<string, unknown>> {
  return entries.length === 0 ? {} : { [name]: entries };
}

function policiesOf(state: IamState, user: string): string[] {
  return [...new Set([...state.mapped("user", user), ...state.mapped("sts", user)])].sort();
}

function ofUser(state: IamState, user: string): readonly unknown[] {
  const policies = policiesOf(state, user);
  const memberOf = ofGroups(state, state.groupsOf(user));
  if (policies.length === 0 && memberOf.length === 0) return [];
  return [
    {
      user,
      policies: policies.length === 0 ? null : policies,
      ...(memberOf.length === 0 ? {} : { memberOfMappings: memberOf }),
    },
  ];
}

function ofGroups(state: IamState, groups: readonly string[]): readonly unknown[] {
  return groups.flatMap((group) => {
    const policies = [...state.mapped("group", group)].sort();
    return policies.length === 0 ? [] : [{ group, policies }];
  });
}

/** All policies when none is named. */
function ofPolicies(state: IamState, wanted: readonly string[]): readonly unknown[] {
  const found = new Map<string, { users: Set<string>; groups: Set<string> }>();
  for (const kind of ["user", "sts", "group"] as const)
    for (const [name, { policies }] of state.mappings[kind])
      for (const policy of policies) {
        if (wanted.length > 0 && !wanted.includes(policy)) continue;
        const entry = found.get(policy) ?? { users: new Set(), groups: new Set() };
        found.set(policy, entry);
        entry[kind === "group" ? "groups" : "users"].add(name);
      }
  const names = (set: ReadonlySet<string>): readonly string[] | null => (set.size === 0 ? null : [...set].sort());
  return [...found]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([policy, { users, groups }]) => ({ policy, users: names(users), groups: names(groups) }));
}
