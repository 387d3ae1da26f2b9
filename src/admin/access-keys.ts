/** Admin API: service accounts and temporary keys. Source: admin API §3.3. */
import { formatRfc3339, parseRfc3339 } from "../core/go-time.ts";
import { type JsonObject, type StoredIdentity, tokenClaims } from "../iam/documents.ts";
import { IamError } from "../iam/iam-error.ts";
import { mergedDocument } from "../iam/policies.ts";
import type { ConditionValues } from "../iam/policy-text.ts";
import { inlineDocument, saysNothing } from "../iam/principals.ts";
import {
  addServiceAccount,
  demandServiceAccount,
  inlinePolicy,
  removeServiceAccount,
  type ServiceAccountChange,
  updateServiceAccount,
} from "../iam/service-accounts.ts";
import { type AdminCall, type AdminReply, emptyReply, textField } from "./call.ts";
import { AdminError } from "./errors.ts";

const NEVER = "1970-01-01T00:00:00Z";
const NO_POLICY = { Version: "", Statement: null };

export async function createServiceAccount(call: AdminCall): Promise<AdminReply> {
  const body = await call.openedJson();
  const { iam } = call.context;
  const target = textField(body, "targetUser") || call.principal.accessKey;
  const isOwn = target === call.principal.accessKey || target === call.ownUser;
  const expiresNs = expiryFrom(textField(body, "expiration"));
  call.demand("CreateServiceAccount", isOwn, withDuration(call, expiresNs));
  if (!isOwn && target !== iam.options.root.accessKey && !iam.state.identities.user.has(target))
    throw new IamError("NoSuchUser", `Specified target user ${target} does not exist`);
  const own = isOwn ? iam.state.find(call.principal.accessKey)?.identity : undefined;
  const made = await addServiceAccount(iam, {
    parent: isOwn ? call.ownUser : target,
    groups: own?.groups ?? [],
    claims: providerClaims(own),
    accessKey: textField(body, "accessKey"),
    secretKey: textField(body, "secretKey"),
    inlinePolicy: inlinePolicy(body["policy"]),
    name: textField(body, "name"),
    description: textField(body, "description") || textField(body, "comment"),
    expiresNs,
  });
  const { accessKey, secretKey } = made;
  return await call.sealed({ credentials: { accessKey, secretKey, expiration: expirationText(made) } });
}

/** What ties the key to its provider's user: not the restriction, nor the lifetime, of the key that asked. */
function providerClaims(own: StoredIdentity | undefined): JsonObject {
  if (own === undefined || own.parentUser === "") return {};
  const { exp, accessKey, sessionPolicy, parent, ...rest } = { ...tokenClaims(own.sessionToken), ...own.claims };
  delete (rest as Record<string, unknown>)["sa-policy"];
  return rest;
}

/** For `svc:DurationSeconds` in conditions. */
function withDuration(call: AdminCall, expiresNs: bigint | null): ConditionValues {
  const { values } = call.request;
  if (expiresNs === null) return values;
  const seconds = Math.max(0, Math.floor((Number(expiresNs / 1_000_000n) - call.context.clock.nowMs()) / 1000));
  return { get: (key) => (key === "svc:durationseconds" ? [String(seconds)] : values.get(key)) };
}

function expiryFrom(text: string): bigint | null {
  if (text === "" || text === NEVER) return null;
  const time = parseRfc3339(text);
  if (time === null) throw new AdminError("XMinioAdminConfigBadJSON", "The expiration is no time.");
  return time <= 0n ? null : (time / 1_000_000_000n) * 1_000_000_000n;
}

export async function changeServiceAccount(call: AdminCall): Promise<AdminReply> {
  const accessKey = call.parameter("accessKey");
  const body = await call.openedJson();
  const expiration = textField(body, "newExpiration");
  const expiresNs = expiryFrom(expiration);
  call.demand("UpdateServiceAccount", false, withDuration(call, expiresNs));
  const status = textField(body, "newStatus");
  if (!["", "on", "off", "enabled", "disabled"].includes(status))
    throw new AdminError("XMinioAdminInvalidArgument", "The status is neither on nor off.");
  const given = (name: string, key: keyof ServiceAccountChange): ServiceAccountChange =>
    textField(body, name) === "" ? {} : { [key]: textField(body, name) };
  await updateServiceAccount(call.context.iam, accessKey, {
    // As MinIO does it: a body without a policy takes the restriction away. That it does not surprise: mc always sends it.
    ...(body["newPolicy"] === undefined || body["newPolicy"] === null
      ? {}
      : { inlinePolicy: inlinePolicy(body["newPolicy"]) }),
    ...given("newSecretKey", "secretKey"),
    ...given("newName", "name"),
    ...given("newDescription", "description"),
    ...(status === "" ? {} : { isEnabled: status === "on" || status === "enabled" }),
    ...(expiration === "" ? {} : { expiresNs }),
  });
  return emptyReply(204);
}

function isOwner(call: AdminCall, identity: StoredIdentity | undefined): boolean {
  return identity !== undefined && identity.parentUser === call.ownUser && call.principal.kind !== "anonymous";
}

export async function infoServiceAccount(call: AdminCall): Promise<AdminReply> {
  const accessKey = call.parameter("accessKey");
  const { state } = call.context.iam;
  if (!isOwner(call, state.identities.service.get(accessKey))) call.demand("ListServiceAccounts");
  return await call.sealed(described(call, demandServiceAccount(state, accessKey)));
}

export async function infoTemporaryAccount(call: AdminCall): Promise<AdminReply> {
  const identity = call.context.iam.state.identities.sts.get(call.parameter("accessKey"));
  if (identity === undefined) throw new IamError("NoSuchAccessKey", "The specified temporary account is not found.");
  return await call.sealed(described(call, identity));
}

export async function infoAccessKey(call: AdminCall): Promise<AdminReply> {
  const accessKey = call.optional("accessKey") || call.principal.accessKey;
  const { state } = call.context.iam;
  const entry = state.find(accessKey);
  if (!isOwner(call, entry?.identity)) call.demand("ListServiceAccounts");
  if (entry === null || entry.kind === "user")
    throw new AdminError("XMinioAdminNoSuchAccessKey", "The specified access key does not exist.");
  const claims = { ...tokenClaims(entry.identity.sessionToken), ...entry.identity.claims };
  const text = (name: string): string => (typeof claims[name] === "string" ? claims[name] : "");
  const provider = text("ldapUser") !== "" ? "ldap" : text("sub") !== "" ? "openid" : "builtin";
  return await call.sealed({
    AccessKey: accessKey,
    ...described(call, entry.identity),
    userType: entry.kind === "sts" ? "STS" : "Service Account",
    userProvider: provider,
    ldapSpecificInfo: { username: text("ldapUsername") },
    openIDSpecificInfo: {
      configName: "",
      userID: provider === "openid" ? text("sub") : "",
      userIDClaim: provider === "openid" ? "sub" : "",
    },
  });
}

function described(call: AdminCall, identity: StoredIdentity): JsonObject {
  const { iam } = call.context;
  const inline = inlineDocument({ ...tokenClaims(identity.sessionToken), ...identity.claims });
  const isImplied = inline === null || saysNothing(inline);
  const names = iam.known.policyNamesOf(identity.parentUser, identity.groups) ?? [];
  const isRoots = identity.parentUser === iam.options.root.accessKey;
  const policy = isImplied ? (isRoots ? null : mergedDocument(iam.state, names)) : inline;
  return {
    parentUser: identity.parentUser,
    accountStatus: identity.isEnabled ? "on" : "off",
    impliedPolicy: isImplied,
    policy: JSON.stringify(policy ?? NO_POLICY, null, 1),
    ...(identity.name === "" ? {} : { name: identity.name }),
    ...(identity.description === "" ? {} : { description: identity.description }),
    ...(identity.expiresNs === null ? {} : { expiration: formatRfc3339(identity.expiresNs) }),
  };
}

export async function listServiceAccounts(call: AdminCall): Promise<AdminReply> {
  const user = call.optional("user");
  const isOther = user !== "" && user !== call.principal.accessKey;
  if (isOther) call.demand("ListServiceAccounts");
  const { state } = call.context.iam;
  const accounts = state.childrenOf("service", isOther ? user : call.ownUser).map((account) => ({
    parentUser: account.parentUser,
    accountStatus: account.isEnabled ? "on" : "off",
    impliedPolicy: inlineDocument({ ...tokenClaims(account.sessionToken), ...account.claims }) === null,
    accessKey: account.accessKey,
    ...(account.name === "" ? {} : { name: account.name }),
    ...(account.description === "" ? {} : { description: account.description }),
    expiration: expirationText(account),
  }));
  return await call.sealed({ accounts: accounts.length === 0 ? null : accounts });
}

function expirationText({ expiresNs }: StoredIdentity): string {
  return expiresNs === null ? NEVER : formatRfc3339(expiresNs);
}

export async function deleteServiceAccount(call: AdminCall): Promise<AdminReply> {
  const accessKey = call.parameter("accessKey");
  const { iam } = call.context;
  const identity = iam.state.identities.service.get(accessKey);
  // Others' keys are as little there for who may not remove them as those that are not.
  if (!call.may("RemoveServiceAccount") && !isOwner(call, identity))
    throw new IamError("NoSuchAccessKey", "The specified service account is not found.");
  await removeServiceAccount(iam, accessKey);
  return emptyReply(204);
}

export async function listAccessKeys(call: AdminCall): Promise<AdminReply> {
  const { state, options } = call.context.iam;
  const users = call.all("users");
  const isAll = call.optional("all") === "true";
  if (isAll && users.length > 0) throw new AdminError("InvalidRequest", "Either all users or some.");
  const isSelf = !isAll && users.every((user) => user === call.principal.accessKey || user === call.ownUser);
  if (isAll) call.demand("ListUsers");
  call.demand("ListServiceAccounts", isSelf);
  const known = (user: string): boolean => user === options.root.accessKey || state.find(user) !== null;
  const asked = isAll
    ? [...state.identities.user.keys(), options.root.accessKey]
    : users.length === 0
      ? [call.ownUser]
      : users.filter(known);
  const type = call.optional("listType");
  if (!["users-only", "sts-only", "svcacc-only", "all"].includes(type))
    throw new AdminError("InvalidRequest", "invalid list type");
  const keys = (kind: "service" | "sts", user: string): readonly JsonObject[] | null => {
    const found = state.childrenOf(kind, user);
    if (found.length === 0) return null;
    return found.map((key) => ({
      parentUser: "",
      accountStatus: "",
      impliedPolicy: false,
      accessKey: key.accessKey,
      expiration: expirationText(key),
    }));
  };
  const result: [string, JsonObject][] = [];
  for (const user of asked.sort()) {
    const serviceAccounts = type === "svcacc-only" || type === "all" ? keys("service", user) : null;
    const stsKeys = type === "sts-only" || type === "all" ? keys("sts", user) : null;
    if (type.endsWith("-only") && type !== "users-only" && serviceAccounts === null && stsKeys === null) continue;
    result.push([user, { serviceAccounts, stsKeys }]);
  }
  return await call.sealed(Object.fromEntries(result));
}

export async function revokeTokens(call: AdminCall): Promise<AdminReply> {
  const user = call.optional("user") || call.ownUser;
  const isOwn = user === call.principal.accessKey || user === call.ownUser;
  call.demand("RemoveServiceAccount", isOwn);
  const type = call.optional("tokenRevokeType");
  const isFull = call.optional("fullRevoke") === "true";
  if (type === "" && !isFull)
    throw new AdminError("InvalidRequest", "A token revoke type, or a full revoke, is needed.");
  const { iam } = call.context;
  await iam.change(async (state) => {
    for (const key of state.childrenOf("sts", user)) {
      const claims = { ...tokenClaims(key.sessionToken), ...key.claims };
      if (isFull || claims["tokenRevokeType"] === type) await iam.dropIdentity("sts", key.accessKey);
    }
  });
  return emptyReply(204);
}
