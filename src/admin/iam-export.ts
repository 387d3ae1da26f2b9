/**
 * Admin API: all identities as a zip archive, and back: the way from and to another deployment. What cannot be taken is told by
 * name, the rest is taken. Source: admin API §3.3.
 */
import { formatRfc3339, parseRfc3339 } from "../core/go-time.ts";
import { isObject, type JsonObject, policyNames, type StoredMapping, tokenClaims } from "../iam/documents.ts";
import { IamError } from "../iam/iam-error.ts";
import type { MappingKind } from "../iam/iam-state.ts";
import { demandPolicies, policyDocument, putPolicy } from "../iam/policies.ts";
import { inlineDocument } from "../iam/principals.ts";
import { addServiceAccount, inlinePolicy, updateServiceAccount } from "../iam/service-accounts.ts";
import { addMembers, putUser, setGroupStatus } from "../iam/users.ts";
import { type AdminCall, type AdminReply, emptyReply, jsonReply } from "./call.ts";
import { AdminError } from "./errors.ts";
import { ARCHIVE_BYTES_MAX, unzipped, zipped } from "./zip-archive.ts";

const FOLDER = "iam-assets/";
const DERIVED: ReadonlySet<string> = new Set(["accessKey", "parent", "exp", "sa-policy", "sessionPolicy"]);
const MAPPING_FILES: readonly (readonly [file: string, kind: MappingKind, result: string])[] = [
  ["user_mappings.json", "user", "userPolicies"],
  ["group_mappings.json", "group", "groupPolicies"],
  ["stsuser_mappings.json", "sts", "stsPolicies"],
];

export function exportIam(call: AdminCall): Promise<AdminReply> {
  const { state, options } = call.context.iam;
  const files = new Map<string, string>();
  const put = <T>(
    name: string,
    entries: Iterable<readonly [string, T]>,
    shown: (value: T, key: string) => unknown,
  ): void => {
    const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
    files.set(
      FOLDER + name,
      JSON.stringify(Object.fromEntries(sorted.map(([key, value]) => [key, shown(value, key)]))),
    );
  };
  put("policies.json", state.policies, ({ document }) => document);
  put("users.json", state.identities.user, ({ secretKey, isEnabled }) => ({
    secretKey,
    status: isEnabled ? "enabled" : "disabled",
  }));
  put("groups.json", state.groups, (group) => ({
    version: 1,
    status: group.isEnabled ? "enabled" : "disabled",
    members: group.members,
    updatedAt: formatRfc3339(group.updatedNs),
  }));
  // Root's own are bound to this deployment's root.
  const accounts = [...state.identities.service].filter(([, { parentUser }]) => parentUser !== options.root.accessKey);
  put("svcaccts.json", accounts, (account) => {
    const claims = { ...tokenClaims(account.sessionToken), ...account.claims };
    return {
      parent: account.parentUser,
      accessKey: account.accessKey,
      secretKey: account.secretKey,
      groups: account.groups.length === 0 ? null : account.groups,
      claims,
      sessionPolicy: inlineDocument(claims),
      status: account.isEnabled ? "on" : "off",
      name: account.name,
      description: account.description,
      expiration: account.expiresNs === null ? "1970-01-01T00:00:00Z" : formatRfc3339(account.expiresNs),
    };
  });
  for (const [file, kind] of MAPPING_FILES)
    put(file, state.mappings[kind], ({ policies, updatedNs }) => ({
      version: 1,
      policy: policies.join(","),
      updatedAt: formatRfc3339(updatedNs),
    }));
  return Promise.resolve({ status: 200, headers: [["Content-Type", "application/zip"]], body: zipped(files) });
}

interface Outcome {
  readonly added: Record<string, string[]>;
  readonly failed: Record<string, { name: string; error: string }[]>;
}

export async function importIam(call: AdminCall): Promise<AdminReply> {
  const { failed } = await imported(call);
  const [first] = Object.values(failed).flat();
  if (first !== undefined) throw new AdminError("InvalidRequest", `${first.name}: ${first.error}`);
  return emptyReply();
}

export async function importIamV2(call: AdminCall): Promise<AdminReply> {
  const { added, failed } = await imported(call);
  const named = Object.entries(failed).map(([what, list]) => [what, list.map(({ name, error }) => ({ name, error }))]);
  return jsonReply({ skipped: {}, removed: {}, added, failed: Object.fromEntries(named) });
}

async function imported(call: AdminCall): Promise<Outcome> {
  const files = unzipped(await call.request.body(ARCHIVE_BYTES_MAX));
  const outcome: Outcome = { added: {}, failed: {} };
  const each = async (
    file: string,
    result: string,
    take: (name: string, value: JsonObject) => Promise<unknown>,
  ): Promise<void> => {
    for (const [name, value] of entriesOf(files.get(FOLDER + file))) {
      try {
        await take(name, value);
        (outcome.added[result] ??= []).push(name);
      } catch (error) {
        if (!(error instanceof IamError) && !(error instanceof AdminError)) throw error;
        (outcome.failed[result] ??= []).push({ name, error: error.message });
      }
    }
  };
  const { iam } = call.context;
  await each("policies.json", "policies", async (name, value) => {
    await putPolicy(iam, name, policyDocument(JSON.stringify(value)));
  });
  await each("users.json", "users", async (name, value) => {
    await putUser(iam, name, {
      secretKey: String(value["secretKey"] ?? ""),
      isEnabled: value["status"] !== "disabled",
    });
  });
  await each("groups.json", "groups", async (name, value) => {
    const members = Array.isArray(value["members"]) ? value["members"].map(String) : [];
    await addMembers(iam, name, members);
    if (value["status"] === "disabled") await setGroupStatus(iam, name, false);
  });
  await each("svcaccts.json", "serviceAccounts", async (name, value) => await importServiceAccount(call, name, value));
  for (const [file, kind, result] of MAPPING_FILES)
    await each(file, result, async (name, value) => {
      const policies = policyNames(String(value["policy"] ?? ""));
      const mapping: StoredMapping = { policies, updatedNs: call.context.clock.nowNs() };
      await iam.change(async (state) => {
        demandPolicies(state, policies);
        await iam.putMapping(kind, name, mapping);
      });
    });
  return outcome;
}

async function importServiceAccount(call: AdminCall, accessKey: string, value: JsonObject): Promise<void> {
  const { iam } = call.context;
  const text = (name: string): string => (typeof value[name] === "string" ? value[name] : "");
  const expiry = parseRfc3339(text("expiration")) ?? 0n;
  const inline = inlinePolicy(value["sessionPolicy"]);
  const known = iam.state.identities.service.get(accessKey);
  const change = {
    secretKey: text("secretKey"),
    name: text("name"),
    description: text("description"),
    inlinePolicy: inline,
    expiresNs: expiry <= 0n ? null : expiry,
  };
  if (known !== undefined && known.parentUser === text("parent"))
    await updateServiceAccount(iam, accessKey, { ...change, isEnabled: text("status") !== "off" });
  else {
    const claims = Object.entries(isObject(value["claims"]) ? value["claims"] : {}).filter(
      ([name]) => !DERIVED.has(name),
    );
    const groups = Array.isArray(value["groups"]) ? value["groups"].map(String) : [];
    if (text("parent") === "") throw new IamError("InvalidArgument", "A service account has a parent.");
    await addServiceAccount(iam, {
      ...change,
      parent: text("parent"),
      groups,
      claims: Object.fromEntries(claims),
      accessKey,
    });
    if (text("status") === "off") await updateServiceAccount(iam, accessKey, { isEnabled: false });
  }
}

function entriesOf(file: Uint8Array | undefined): readonly (readonly [string, JsonObject])[] {
  if (file === undefined || file.length === 0) return [];
  try {
    const value: unknown = JSON.parse(Buffer.from(file).toString("utf8"));
    if (isObject(value)) return Object.entries(value).map(([name, entry]) => [name, isObject(entry) ? entry : {}]);
  } catch (cause) {
    throw new AdminError("InvalidRequest", "A file of the archive is not JSON.", {}, { cause });
  }
  throw new AdminError("InvalidRequest", "A file of the archive is not a JSON object.");
}
