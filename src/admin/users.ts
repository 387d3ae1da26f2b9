/** Admin API: users and groups. Source: admin API §3.3. */
import { formatRfc3339, GO_ZERO_TIME } from "../core/go-time.ts";
import {
  addMembers,
  demandGroup,
  demandUser,
  putUser,
  removeMembers,
  removeUser,
  setGroupStatus,
  setUserStatus,
} from "../iam/users.ts";
import { putPolicyOfNewUser } from "./policy-attachment.ts";
import { type AdminCall, type AdminReply, emptyReply, jsonReply, textField, textsField } from "./call.ts";
import { AdminError } from "./errors.ts";

function isEnabledFrom(status: string): boolean {
  if (status === "enabled" || status === "on") return true;
  if (status === "disabled" || status === "off") return false;
  throw new AdminError("XMinioAdminInvalidArgument", "The status is neither enabled nor disabled.");
}

export async function addUser(call: AdminCall): Promise<AdminReply> {
  const accessKey = call.parameter("accessKey");
  const isSelf = call.principal.kind === "user" && accessKey === call.principal.userName;
  call.demand("CreateUser", isSelf);
  if (call.principal.parentUser === accessKey)
    throw new AdminError("XMinioAdminInvalidArgument", "A derived key cannot change its parent.");
  const body = await call.openedJson();
  const { iam } = call.context;
  const known = iam.state.identities.user.get(accessKey);
  const status = textField(body, "status");
  const mayChange = call.may("CreateUser");
  // Who is no administrator changes its own secret and nothing else.
  const isEnabled = mayChange && status !== "" ? isEnabledFrom(status) : (known?.isEnabled ?? true);
  await putUser(iam, accessKey, { secretKey: textField(body, "secretKey"), isEnabled });
  const policy = textField(body, "policy");
  if (policy !== "" && mayChange) await putPolicyOfNewUser(call, accessKey, policy);
  return emptyReply();
}

export async function deleteUser(call: AdminCall): Promise<AdminReply> {
  const accessKey = call.parameter("accessKey");
  if (accessKey === call.principal.accessKey || accessKey === call.ownUser)
    throw new AdminError("XMinioIAMActionNotAllowed", "Nobody removes itself.");
  await removeUser(call.context.iam, accessKey);
  return emptyReply();
}

function userInfo(call: AdminCall, accessKey: string): Readonly<Record<string, unknown>> {
  const { state } = call.context.iam;
  const user = demandUser(call.context.iam, state, accessKey);
  const mapping = state.mappings.user.get(accessKey);
  const memberOf = state.groupsOf(accessKey);
  return {
    ...(mapping === undefined ? {} : { policyName: mapping.policies.join(",") }),
    status: user.isEnabled ? "enabled" : "disabled",
    ...(memberOf.length === 0 ? {} : { memberOf }),
    updatedAt: formatRfc3339(mapping?.updatedNs ?? GO_ZERO_TIME),
  };
}

export function getUserInfo(call: AdminCall): Promise<AdminReply> {
  const accessKey = call.parameter("accessKey");
  call.demand("GetUser", accessKey === call.principal.accessKey);
  return Promise.resolve(jsonReply(userInfo(call, accessKey)));
}

export async function listUsers(call: AdminCall): Promise<AdminReply> {
  const users = [...call.context.iam.state.identities.user.keys()].sort();
  return await call.sealed(Object.fromEntries(users.map((name) => [name, userInfo(call, name)])));
}

export async function changeUserStatus(call: AdminCall): Promise<AdminReply> {
  const accessKey = call.parameter("accessKey");
  if (accessKey === call.principal.accessKey)
    throw new AdminError("XMinioAdminInvalidArgument", "Nobody enables or disables itself.");
  await setUserStatus(call.context.iam, accessKey, isEnabledFrom(call.parameter("status")));
  return emptyReply();
}

export async function updateGroupMembers(call: AdminCall): Promise<AdminReply> {
  const body = await call.json();
  const group = textField(body, "group");
  const members = textsField(body, "members");
  if (body["isRemove"] === true) await removeMembers(call.context.iam, group, members);
  else await addMembers(call.context.iam, group, members);
  return emptyReply();
}

export function getGroup(call: AdminCall): Promise<AdminReply> {
  const name = call.parameter("group");
  const { state } = call.context.iam;
  const group = demandGroup(state, name);
  return Promise.resolve(
    jsonReply({
      name,
      status: group.isEnabled ? "enabled" : "disabled",
      members: group.members,
      policy: state.mapped("group", name).join(","),
      updatedAt: formatRfc3339(group.updatedNs),
    }),
  );
}

export function listGroups(call: AdminCall): Promise<AdminReply> {
  return Promise.resolve(jsonReply([...call.context.iam.state.groups.keys()].sort()));
}

export async function changeGroupStatus(call: AdminCall): Promise<AdminReply> {
  await setGroupStatus(call.context.iam, call.parameter("group"), isEnabledFrom(call.parameter("status")));
  return emptyReply();
}
