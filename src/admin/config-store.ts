/**
 * ConfigStore: `config/config.json` as MinIO keeps it (sub-system -> target -> keys and values), and its history. Variables of the
 * environment win over it. One change at a time, the drives first. Throws AdminError. Source: docs/format.md §7.3.
 */
import { KeyLock } from "../core/key-lock.ts";
import type { ConfigDocuments } from "../iam/config-documents.ts";
import { isObject } from "../iam/documents.ts";
import type { Rng } from "../sys/rng.ts";
import { COMMENT_KEY, DEFAULT_TARGET, SUB_SYSTEMS } from "./config-table.ts";
import {
  type ConfigLine,
  formatLine,
  parseConfigText,
  parseTarget,
  subSystemNamed,
  variableOf,
} from "./config-text.ts";
import { AdminError } from "./errors.ts";

const PATH = "config/config.json";
const HISTORY = "config/history/";
const HISTORY_SUFFIX = ".kv";
const RESTORE_ID = /^[A-Za-z0-9-]{1,64}$/;

type Stored = Map<string, Map<string, Map<string, string>>>;

export interface ConfigStoreOptions {
  readonly documents: ConfigDocuments;
  readonly rng: Rng;
  /** Variables `MINIO_…` that may override keys. */
  readonly environment: ReadonlyMap<string, string>;
}

export class ConfigStore {
  private readonly changing = new KeyLock();

  constructor(private readonly options: ConfigStoreOptions) {}

  /** Does the environment say it? */
  isFixed(variable: string): boolean {
    return this.options.environment.has(variable);
  }

  /** Effective values of every target that is there; the default target always is. */
  async effective(subSystem: string): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
    const stored = (await this.load()).get(subSystem) ?? new Map<string, Map<string, string>>();
    const { keys, hasTargets } = subSystemNamed(subSystem);
    const targets = new Set([
      DEFAULT_TARGET,
      ...stored.keys(),
      ...(hasTargets ? this.targetsOfEnvironment(subSystem) : []),
    ]);
    const found = [...targets].map((target): [string, ReadonlyMap<string, string>] => {
      const own = stored.get(target);
      const value = (key: string, fallback: string): string =>
        this.options.environment.get(variableOf(subSystem, key, target)) ?? own?.get(key) ?? fallback;
      return [target, new Map(Object.entries(keys).map(([key, fallback]) => [key, value(key, fallback)]))];
    });
    return new Map(found);
  }

  private targetsOfEnvironment(subSystem: string): string[] {
    const prefixes = Object.keys(subSystemNamed(subSystem).keys).map(
      (key) => `${variableOf(subSystem, key, DEFAULT_TARGET)}_`,
    );
    const known = new Set(
      Object.keys(subSystemNamed(subSystem).keys).map((key) => variableOf(subSystem, key, DEFAULT_TARGET)),
    );
    const targets: string[] = [];
    for (const name of this.options.environment.keys()) {
      if (known.has(name)) continue;
      const longest = prefixes.filter((prefix) => name.startsWith(prefix)).sort((a, b) => b.length - a.length)[0];
      if (longest !== undefined) targets.push(name.slice(longest.length));
    }
    return targets;
  }

  /** As text: what the environment overrides as comments, then the line. `which`: `name[:target]`. */
  async text(which: string): Promise<string> {
    const { subSystem, target } = parseTarget(which);
    const isOne = which.includes(":");
    const stored = await this.load();
    const targets = stored.get(subSystem) ?? new Map<string, Map<string, string>>();
    if (isOne && !targets.has(target))
      throw new AdminError("XMinioConfigNotFoundError", `no such target '${target}' of '${subSystem}'`);
    const shown = isOne ? [target] : [...new Set([DEFAULT_TARGET, ...targets.keys()])];
    return shown.map((name) => this.lineOf(subSystem, name, targets.get(name))).join("");
  }

  private lineOf(subSystem: string, target: string, own: ReadonlyMap<string, string> | undefined): string {
    const { keys } = subSystemNamed(subSystem);
    const comments = Object.keys(keys).flatMap((key) => {
      const variable = variableOf(subSystem, key, target);
      const value = this.options.environment.get(variable);
      return value === undefined ? [] : [`# ${variable}=${value}\n`];
    });
    const values = new Map(Object.entries(keys).map(([key, fallback]) => [key, own?.get(key) ?? fallback]));
    const comment = own?.get(COMMENT_KEY);
    if (comment !== undefined && comment !== "") values.set(COMMENT_KEY, comment);
    return comments.join("") + formatLine(subSystem, target, values);
  }

  async exported(): Promise<string> {
    const parts: string[] = [];
    for (const name of SUB_SYSTEMS.keys()) parts.push(await this.text(name));
    return parts.join("");
  }

  /** True when all of it takes effect at once. */
  async set(text: string, keepHistory = true): Promise<boolean> {
    const lines = parseConfigText(text);
    using _ = await this.changing.acquire(PATH);
    const stored = await this.load();
    for (const line of lines) this.apply(stored, line);
    if (keepHistory)
      await this.options.documents.write(
        `${HISTORY}${this.options.rng.uuid()}${HISTORY_SUFFIX}`,
        new TextEncoder().encode(text),
      );
    await this.save(stored);
    return lines.every(({ subSystem }) => subSystemNamed(subSystem).isDynamic);
  }

  private apply(stored: Stored, { subSystem, target, values, keys }: ConfigLine): void {
    const [bare] = keys;
    if (bare !== undefined) throw new AdminError("XMinioConfigError", `key '${bare}', cannot have empty value`);
    if (values.size === 0) throw new AdminError("XMinioConfigError", `sub-system '${subSystem}' needs keys`);
    for (const key of values.keys()) this.demandFree(subSystem, key, target);
    const targets = stored.get(subSystem) ?? new Map<string, Map<string, string>>();
    stored.set(subSystem, targets);
    const own = targets.get(target) ?? new Map<string, string>();
    targets.set(target, own);
    for (const [key, value] of values) own.set(key, value);
  }

  private demandFree(subSystem: string, key: string, target: string): void {
    const variable = variableOf(subSystem, key, target);
    if (this.options.environment.has(variable))
      throw new AdminError("XMinioAdminConfigEnvOverridden", `${variable} is set in the environment and wins.`);
  }

  /** `name[:target] [key…]`: back to the defaults; a target without keys goes. */
  async reset(text: string): Promise<boolean> {
    const lines = parseConfigText(text);
    using _ = await this.changing.acquire(PATH);
    const stored = await this.load();
    for (const { subSystem, target, keys, values } of lines) {
      const own = stored.get(subSystem)?.get(target);
      if (own === undefined && target !== DEFAULT_TARGET)
        throw new AdminError("XMinioAdminNoSuchConfigTarget", `no such target '${target}' of '${subSystem}'`);
      const gone = [...keys, ...values.keys()];
      if (gone.length === 0) stored.get(subSystem)?.delete(target);
      for (const key of gone) own?.delete(key);
    }
    await this.save(stored);
    return lines.every(({ subSystem }) => subSystemNamed(subSystem).isDynamic);
  }

  // ---- history

  /** Oldest first, at most `count` of the newest. */
  async history(count: number): Promise<readonly { restoreId: string; writtenNs: bigint; data: string }[]> {
    const found: { restoreId: string; path: string; writtenNs: bigint }[] = [];
    for (const path of await this.options.documents.list(HISTORY)) {
      if (!path.endsWith(HISTORY_SUFFIX)) continue;
      const writtenNs = await this.options.documents.writtenNs(path);
      if (writtenNs === null) continue;
      found.push({ restoreId: path.slice(HISTORY.length, -HISTORY_SUFFIX.length), path, writtenNs });
    }
    found.sort((a, b) => (a.writtenNs < b.writtenNs ? -1 : 1));
    const entries: { restoreId: string; writtenNs: bigint; data: string }[] = [];
    for (const { restoreId, path, writtenNs } of found.slice(-count)) {
      const bytes = await this.options.documents.read(path);
      if (bytes !== null) entries.push({ restoreId, writtenNs, data: Buffer.from(bytes).toString("utf8") });
    }
    return entries;
  }

  async restore(restoreId: string): Promise<void> {
    const bytes = await this.options.documents.read(historyPath(restoreId));
    if (bytes === null) throw new AdminError("XMinioConfigNotFoundError", `no such entry of the history: ${restoreId}`);
    await this.set(Buffer.from(bytes).toString("utf8"), false);
    await this.options.documents.remove(historyPath(restoreId));
  }

  async clearHistory(restoreId: string): Promise<void> {
    const paths = restoreId === "all" ? await this.options.documents.list(HISTORY) : [historyPath(restoreId)];
    for (const path of paths) await this.options.documents.remove(path);
  }

  // ---- the document

  private async load(): Promise<Stored> {
    const bytes = await this.options.documents.read(PATH);
    const stored: Stored = new Map();
    if (bytes === null) return stored;
    const document: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    for (const [subSystem, targets] of Object.entries(isObject(document) ? document : {})) {
      const known = new Map<string, Map<string, string>>();
      for (const [target, pairs] of Object.entries(isObject(targets) ? targets : {})) {
        const values = new Map<string, string>();
        for (const pair of Array.isArray(pairs) ? pairs : [])
          if (isObject(pair)) values.set(String(pair["key"]), String(pair["value"] ?? ""));
        known.set(target, values);
      }
      stored.set(subSystem, known); // unknown ones too: they are a newer MinIO's
    }
    return stored;
  }

  private async save(stored: Stored): Promise<void> {
    const document = Object.fromEntries(
      [...stored].map(([subSystem, targets]) => [
        subSystem,
        Object.fromEntries(
          [...targets].map(([target, values]) => [target, [...values].map(([key, value]) => ({ key, value }))]),
        ),
      ]),
    );
    await this.options.documents.write(PATH, new TextEncoder().encode(JSON.stringify(document)));
  }
}

function historyPath(restoreId: string): string {
  if (!RESTORE_ID.test(restoreId)) throw new AdminError("InvalidRequest", "That is no id of the history.");
  return `${HISTORY}${restoreId}${HISTORY_SUFFIX}`;
}
