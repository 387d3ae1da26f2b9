/**
 * The text form of configuration: a line for each sub-system, `name[:target] key=value key="value with blanks"`; `#` begins a
 * comment. Pure. Throws AdminError. Source: admin API §5.
 */
import { COMMENT_KEY, DEFAULT_TARGET, SUB_SYSTEMS, type SubSystem } from "./config-table.ts";
import { AdminError } from "./errors.ts";

const TARGET = /^[A-Za-z0-9_.-]{1,64}$/;

export interface ConfigLine {
  readonly subSystem: string;
  readonly target: string;
  readonly values: ReadonlyMap<string, string>;
  /** Keys named without a value. */
  readonly keys: readonly string[];
}

export function subSystemNamed(name: string): SubSystem {
  const found = SUB_SYSTEMS.get(name);
  if (found === undefined) throw new AdminError("XMinioConfigError", `unknown sub-system '${name}'`);
  return found;
}

/** `name[:target]` */
export function parseTarget(text: string): { readonly subSystem: string; readonly target: string } {
  const colon = text.indexOf(":");
  const subSystem = colon < 0 ? text : text.slice(0, colon);
  const target = colon < 0 ? DEFAULT_TARGET : text.slice(colon + 1);
  const { hasTargets } = subSystemNamed(subSystem);
  if (target !== DEFAULT_TARGET && (!hasTargets || !TARGET.test(target)))
    throw new AdminError("XMinioConfigError", `sub-system '${subSystem}' has no target '${target}'`);
  return { subSystem, target };
}

export function parseConfigText(text: string): ConfigLine[] {
  const lines = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  if (lines.length === 0) throw new AdminError("XMinioConfigError", "the configuration is empty");
  return lines.map(parseLine);
}

function parseLine(line: string): ConfigLine {
  const space = line.search(/\s/);
  const { subSystem, target } = parseTarget(space < 0 ? line : line.slice(0, space));
  const values = new Map<string, string>();
  const keys: string[] = [];
  let rest = space < 0 ? "" : line.slice(space).trim();
  while (rest !== "") {
    const match = /^([A-Za-z0-9_]+)(=("((?:[^"\\]|\\.)*)"|[^\s"]*))?(?:\s+|$)/.exec(rest);
    if (match === null) throw new AdminError("XMinioConfigError", `'${subSystem}': a key or value cannot be read`);
    const key = match[1] as string;
    demandKey(subSystem, key);
    if (match[2] === undefined) keys.push(key);
    else values.set(key, match[4] === undefined ? (match[3] ?? "") : match[4].replace(/\\(.)/g, "$1"));
    rest = rest.slice(match[0].length);
  }
  return { subSystem, target, values, keys };
}

function demandKey(subSystem: string, key: string): void {
  if (key !== COMMENT_KEY && !Object.hasOwn(subSystemNamed(subSystem).keys, key))
    throw new AdminError("XMinioConfigError", `found invalid keys (${key}) for '${subSystem}' sub-system`);
}

/** Variable that overrides a key; the default target has no suffix. */
export function variableOf(subSystem: string, key: string, target: string): string {
  const suffix = target === DEFAULT_TARGET ? "" : `_${target}`;
  return `MINIO_${subSystem.toUpperCase()}_${key.toUpperCase()}${suffix}`;
}

export function formatLine(subSystem: string, target: string, values: ReadonlyMap<string, string>): string {
  const name = target === DEFAULT_TARGET ? subSystem : `${subSystem}:${target}`;
  const pairs = [...values].map(([key, value]) => `${key}=${/[\s"]/.test(value) ? JSON.stringify(value) : value} `);
  return `${name} ${pairs.join("")}\n`;
}
