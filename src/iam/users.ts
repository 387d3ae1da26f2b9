/** Users and groups: their life. Throws IamError. Source: admin API §3.3. */
import type { StoredIdentity } from "./documents.ts";
import { IamError } from "./iam-error.ts";
import type { IamStore } from "./iam-store.ts";
import type { IamState } from "./iam-state.ts";

const ACCESS_KEY_MIN = 3;
const SECRET_KEY_MIN = 8;
/** What a document's path, an object key, can hold. */
const NAME_BYTES_MAX = 512;

export const NO_IDENTITY = {
  sessionToken: "",
  expiresNs: null,
  isEnabled: true,
  parentUser: "",
  groups: [],
  claims: {},
  name: "",
  description: "",
} as const satisfies Partial<StoredIdentity>;

export function demandAccessKey(accessKey: string): void {
  if (accessKey.length < ACCESS_KEY_MIN || !isPlainName(accessKey) || /[=,]/.test(accessKey))
    throw new IamError(
      "InvalidAccessKey",
      `The access key must have at least ${ACCESS_KEY_MIN} characters, and none of "=", ",", "/" and control characters.`,
    );
}

export function demandSecretKey(secretKey: string): void {
  if (secretKey.length < SECRET_KEY_MIN || secretKey.length > NAME_BYTES_MAX)
    throw new IamError("InvalidSecretKey", `The secret key must have at least ${SECRET_KEY_MIN} characters.`);
}

/** Fit for a path of a document. */
export function isPlainName(name: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (name === "" || name !== name.trim() || /[\u0000-\u001f\u007f/\\]/.test(name)) return false;
  return name !== "." && name !== ".." && Buffer.byteLength(name) <= NAME_BYTES_MAX && name.isWellFormed();
}

export interface UserChange {
  readonly secretKey: string;
  readonly isEnabled: boolean;
}

/** Makes a user, or gives an existing one another secret. */
export async function putUser(iam: IamStore, accessKey: string, change: UserChange): Promise<void> {
  demandAccessKey(accessKey);
  demandSecretKey(change.secretKey);
  await iam.change(async (state) => {
    demandNotRoot(iam, accessKey);
    if (state.identities.service.has(accessKey) || state.identities.sts.has(accessKey))
      throw new IamError("ActionNotAllowed", "The access key is that of a service account or session.");
    await iam.putIdentity("user", {
      ...NO_IDENTITY,
      accessKey,
      secretKey: change.secretKey,
      isEnabled: change.isEnabled,
      updatedNs: iam.options.clock.nowNs(),
    });
  });
}

/** With its service accounts, sessions, policies and memberships. */
export async function removeUser(iam: IamStore, accessKey: string): Promise<void> {
  await iam.change(async (state) => {
    demandUser(iam, state, accessKey);
    const updatedNs = iam.options.clock.nowNs();
    // The user last: what is left of a removal that broke off is removed by the next.
    for (const group of state.groupsOf(accessKey)) await dropMembers(iam, state, group, [accessKey]);
    for (const kind of ["service", "sts"] as const)
      for (const child of state.childrenOf(kind, accessKey)) await iam.dropIdentity(kind, child.accessKey);
    await iam.putMapping("user", accessKey, { policies: [], updatedNs });
    await iam.dropIdentity("user", accessKey);
  });
}

export async function setUserStatus(iam: IamStore, accessKey: string, isEnabled: boolean): Promise<void> {
  await iam.change(async (state) => {
    const user = demandUser(iam, state, accessKey);
    await iam.putIdentity("user", { ...user, isEnabled, updatedNs: iam.options.clock.nowNs() });
  });
}

export async function setUserSecret(iam: IamStore, accessKey: string, secretKey: string): Promise<void> {
  demandSecretKey(secretKey);
  await iam.change(async (state) => {
    const user = demandUser(iam, state, accessKey);
    await iam.putIdentity("user", { ...user, secretKey, updatedNs: iam.options.clock.nowNs() });
  });
}

/** Makes the group when it is not there. */
export async function addMembers(iam: IamStore, group: string, members: readonly string[]): Promise<void> {
  if (!isPlainName(group) || /[=,]/.test(group))
    throw new IamError("InvalidGroupName", "The group's name is empty or holds characters that a name cannot have.");
  await iam.change(async (state) => {
    for (const member of members) demandUser(iam, state, member);
    const known = state.groups.get(group);
    const all = [...new Set([...(known?.members ?? []), ...members])];
    const updatedNs = iam.options.clock.nowNs();
    await iam.putGroup(group, { isEnabled: known?.isEnabled ?? true, members: all, updatedNs });
  });
}

/** No members named: the group itself, which must be empty. */
export async function removeMembers(iam: IamStore, group: string, members: readonly string[]): Promise<void> {
  await iam.change(async (state) => {
    for (const member of members) demandUser(iam, state, member);
    const known = demandGroup(state, group);
    if (members.length > 0) {
      await dropMembers(iam, state, group, members);
      return;
    }
    if (known.members.length > 0) throw new IamError("GroupNotEmpty", "The specified group is not empty.");
    await iam.putMapping("group", group, { policies: [], updatedNs: iam.options.clock.nowNs() });
    await iam.dropGroup(group);
  });
}

export async function setGroupStatus(iam: IamStore, group: string, isEnabled: boolean): Promise<void> {
  await iam.change(async (state) => {
    const known = demandGroup(state, group);
    await iam.putGroup(group, { ...known, isEnabled, updatedNs: iam.options.clock.nowNs() });
  });
}

async function dropMembers(iam: IamStore, state: IamState, group: string, gone: readonly string[]): Promise<void> {
  const known = demandGroup(state, group);
  const members = known.members.filter((member) => !gone.includes(member));
  await iam.putGroup(group, { ...known, members, updatedNs: iam.options.clock.nowNs() });
}

export function demandGroup(state: IamState, group: string): NonNullable<ReturnType<IamState["groups"]["get"]>> {
  const known = state.groups.get(group);
  if (known === undefined) throw new IamError("NoSuchGroup", "The specified group does not exist.");
  return known;
}

/** A user proper: neither root, nor a service account or session. */
export function demandUser(iam: IamStore, state: IamState, accessKey: string): StoredIdentity {
  demandNotRoot(iam, accessKey);
  const user = state.identities.user.get(accessKey);
  if (user !== undefined) return user;
  if (state.find(accessKey) !== null)
    throw new IamError("ActionNotAllowed", "The access key is that of a service account or session.");
  throw new IamError("NoSuchUser", "The specified user does not exist.");
}

function demandNotRoot(iam: IamStore, accessKey: string): void {
  if (accessKey === iam.options.root.accessKey)
    throw new IamError("ActionNotAllowed", "The root user cannot be changed here.");
}
