/** Admin API: identity providers, which are sub-systems of the configuration. Source: admin API §3.5, §4.5. */
import { type AdminCall, type AdminReply, emptyReply } from "./call.ts";
import { DEFAULT_TARGET } from "./config-table.ts";
import { variableOf } from "./config-text.ts";
import { AdminError } from "./errors.ts";

const TYPES: Readonly<Record<string, string>> = { openid: "identity_openid", ldap: "identity_ldap" };
/** By which a provider is known to be configured. */
const MAIN_KEY: Readonly<Record<string, string>> = { openid: "config_url", ldap: "server_addr" };

function providerOf(call: AdminCall): { readonly type: string; readonly subSystem: string; readonly name: string } {
  const [type = "", name = DEFAULT_TARGET] = call.names;
  const subSystem = TYPES[type];
  if (subSystem === undefined || !Object.hasOwn(TYPES, type))
    throw new AdminError("XMinioAdminConfigInvalidIDPType", "The type of provider is openid or ldap.");
  if (type === "ldap" && name !== DEFAULT_TARGET)
    throw new AdminError("XMinioAdminConfigIDPCfgNameDoesNotExist", "There is one LDAP configuration, without a name.");
  return { type, subSystem, name };
}

export async function listIdpConfigs(call: AdminCall): Promise<AdminReply> {
  const { type, subSystem } = providerOf(call);
  const targets = await call.context.config.effective(subSystem);
  return await call.sealed(
    [...targets].map(([name, values]) => ({
      type,
      name,
      enabled: (values.get(MAIN_KEY[type] as string) ?? "") !== "" && values.get("enable") !== "off",
    })),
  );
}

export async function getIdpConfig(call: AdminCall): Promise<AdminReply> {
  const { type, subSystem, name } = providerOf(call);
  const values = (await call.context.config.effective(subSystem)).get(name);
  if (values === undefined || (values.get(MAIN_KEY[type] as string) ?? "") === "")
    throw new AdminError("XMinioAdminConfigIDPCfgNameDoesNotExist", "No such provider is configured.");
  const info = [...values]
    .filter(([, value]) => value !== "")
    .map(([key, value]) => {
      const isEnv = call.context.config.isFixed(variableOf(subSystem, key, name));
      return { key, value: SECRET.test(key) ? "REDACTED" : value, isCfg: !isEnv, isEnv };
    });
  return await call.sealed({ type, ...(name === DEFAULT_TARGET ? {} : { name }), info });
}
const SECRET = /password|secret|token/;

export function setIdpConfig(how: "add" | "update"): (call: AdminCall) => Promise<AdminReply> {
  return async (call) => {
    const { type, subSystem, name } = providerOf(call);
    const isThere =
      ((await call.context.config.effective(subSystem)).get(name)?.get(MAIN_KEY[type] as string) ?? "") !== "";
    if (how === "update" && !isThere)
      throw new AdminError("XMinioAdminConfigIDPCfgNameDoesNotExist", "No such provider is configured.");
    const target = name === DEFAULT_TARGET ? subSystem : `${subSystem}:${name}`;
    const text = Buffer.from(await call.opened())
      .toString("utf8")
      .replace(/[\r\n]+/g, " ");
    await call.context.config.set(`${target} ${text}`);
    return emptyReply();
  };
}

export async function deleteIdpConfig(call: AdminCall): Promise<AdminReply> {
  const { subSystem, name } = providerOf(call);
  await call.context.config.reset(name === DEFAULT_TARGET ? subSystem : `${subSystem}:${name}`);
  return emptyReply();
}
