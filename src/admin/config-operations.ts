/** Admin API: the configuration as keys and values. Source: admin API §3.2, §5. */
import { formatRfc3339 } from "../core/go-time.ts";
import { type AdminCall, type AdminReply, emptyReply, jsonReply } from "./call.ts";
import { COMMENT_KEY, SUB_SYSTEMS } from "./config-table.ts";
import { subSystemNamed } from "./config-text.ts";
import { AdminError } from "./errors.ts";

const HISTORY_MAX = 1000;

async function openedText(call: AdminCall): Promise<string> {
  return Buffer.from(await call.opened()).toString("utf8");
}

/** Clients restart the server, or tell their user to, when the header is missing. */
function applied(isApplied: boolean): AdminReply {
  return emptyReply(200, isApplied ? [["x-minio-config-applied", "true"]] : []);
}

export async function getConfig(call: AdminCall): Promise<AdminReply> {
  return await call.sealedText(await call.context.config.text(call.parameter("key")));
}
export async function setConfig(call: AdminCall): Promise<AdminReply> {
  return applied(await call.context.config.set(await openedText(call)));
}
export async function deleteConfig(call: AdminCall): Promise<AdminReply> {
  return applied(await call.context.config.reset(await openedText(call)));
}
export async function exportConfig(call: AdminCall): Promise<AdminReply> {
  return await call.sealedText(await call.context.config.exported());
}
export async function importConfig(call: AdminCall): Promise<AdminReply> {
  await call.context.config.set(await openedText(call), false);
  return emptyReply();
}

export async function listConfigHistory(call: AdminCall): Promise<AdminReply> {
  const count = Number(call.optional("count") || "10");
  if (!Number.isInteger(count) || count < 1 || count > HISTORY_MAX)
    throw new AdminError("InvalidArgument", `count is a number from 1 to ${HISTORY_MAX}.`);
  const entries = await call.context.config.history(count);
  return await call.sealed(
    entries.map(({ restoreId, writtenNs, data }) => ({ restoreId, createTime: formatRfc3339(writtenNs), data })),
  );
}
export async function restoreConfigHistory(call: AdminCall): Promise<AdminReply> {
  await call.context.config.restore(call.parameter("restoreId"));
  return emptyReply();
}
export async function clearConfigHistory(call: AdminCall): Promise<AdminReply> {
  await call.context.config.clearHistory(call.parameter("restoreId"));
  return emptyReply();
}

const TEXT = "text/plain; charset=utf-8";

export function helpConfig(call: AdminCall): Promise<AdminReply> {
  const name = call.optional("subSys");
  if (name === "") {
    const keysHelp = [...SUB_SYSTEMS].map(([key, { description, hasTargets }]) => ({
      key,
      description,
      optional: true,
      type: "",
      multipleTargets: hasTargets,
    }));
    return Promise.resolve(jsonReply({ subSys: "", description: "", multipleTargets: false, keysHelp }, TEXT));
  }
  const { description, keys, hasTargets } = subSystemNamed(name);
  const wanted = call.optional("key");
  const names = [...Object.keys(keys), COMMENT_KEY].filter((key) => wanted === "" || key === wanted);
  if (names.length === 0) throw new AdminError("XMinioConfigError", `unknown key ${wanted} of sub-system ${name}`);
  const isEnv = call.all("env").length > 0;
  const keysHelp = names.map((key) => ({
    key: isEnv ? `MINIO_${name.toUpperCase()}_${key.toUpperCase()}` : key,
    description: keys[key] === undefined || keys[key] === "" ? key : `${key}, by default ${keys[key]}`,
    optional: true,
    type: keys[key] === "on" || keys[key] === "off" ? "on|off" : "string",
    multipleTargets: false,
  }));
  return Promise.resolve(jsonReply({ subSys: name, description, multipleTargets: hasTargets, keysHelp }, TEXT));
}
