/**
 * Every option of the program, in one table: flag, environment, default, help, type. Flags win over `SHERD_*`, that over
 * its `MINIO_*` alias, that over the default; an empty variable counts as not set. An unknown flag and an unknown `SHERD_*`
 * are errors that name the nearest name; an unknown `MINIO_*` has no effect and is reported in `ignoredEnvironment`.
 * Pure: argv and environment come as arguments (`src/main.ts` reads them). Failures are values of `Command`.
 */
import type { z } from "zod";
import { nearestName } from "./nearest-name.ts";
import { type OptionRow, row } from "./option-row.ts";
import {
  anyText,
  domainList,
  durationMs,
  integerBetween,
  listenAddress,
  onOff,
  oneOf,
  optionalListenAddress,
  storageClassText,
  optionalSizeBytes,
  sizeBetween,
  optionalText,
  originList,
  textOfLength,
} from "./option-values.ts";
import { UPKEEP_OPTIONS } from "./upkeep-options.ts";
import { PROTECTION_OPTIONS } from "./protection-options.ts";

const OPTIONS = {
  address: row({
    flag: "address",
    env: "ADDRESS",
    schema: listenAddress,
    fallback: ":9000",
    value: "HOST:PORT",
    help: "where S3, health and metrics are served",
  }),
  consoleAddress: row({
    flag: "console-address",
    env: "CONSOLE_ADDRESS",
    schema: optionalListenAddress,
    fallback: "",
    value: "HOST:PORT",
    help: "accepted for MinIO's command lines; there is no console yet",
  }),
  certsDir: row({
    flag: "certs-dir",
    env: "CERTS_DIR",
    schema: optionalText,
    fallback: "",
    value: "DIR",
    help: "TLS certificates as MinIO lays them out: public.crt and private.key, one folder for each further name",
  }),
  json: row({
    flag: "json",
    env: "JSON",
    schema: onOff,
    fallback: "off",
    value: null,
    help: "log lines as JSON",
  }),
  quiet: row({
    flag: "quiet",
    env: "QUIET",
    schema: onOff,
    fallback: "off",
    value: null,
    help: "no start-up text",
  }),
  allowRootDrive: row({
    flag: "allow-root-drive",
    env: "ALLOW_ROOT_DRIVE",
    aliases: ["MINIO_CI_CD"],
    schema: onOff,
    fallback: "off",
    value: null,
    help: "accept an empty drive on the root filesystem while other drives are formatted",
  }),
  rootUser: row({
    flag: null,
    env: "ROOT_USER",
    aliases: ["MINIO_ACCESS_KEY"],
    schema: textOfLength(3),
    fallback: "minioadmin",
    value: "NAME",
    help: "access key of the administrator",
  }),
  rootPassword: row({
    flag: null,
    env: "ROOT_PASSWORD",
    aliases: ["MINIO_SECRET_KEY"],
    schema: textOfLength(8),
    fallback: "minioadmin",
    value: "SECRET",
    help: "secret key of the administrator",
    secret: true,
  }),
  domains: row({
    flag: null,
    env: "DOMAIN",
    schema: domainList,
    fallback: "",
    value: "NAME,…",
    help: "domains whose sub-domains name buckets (virtual-host style)",
  }),
  websiteDomains: row({
    flag: null,
    env: "WEBSITE_DOMAIN",
    schema: domainList,
    fallback: "",
    value: "NAME,…",
    help: "domains whose sub-domains show buckets as websites",
  }),
  region: row({
    flag: null,
    env: "REGION",
    aliases: ["MINIO_SITE_REGION", "MINIO_REGION_NAME"],
    schema: anyText,
    fallback: "",
    value: "NAME",
    help: "region that requests must be signed for; empty accepts any",
  }),
  objectOwnership: row({
    flag: null,
    env: "OBJECT_OWNERSHIP",
    schema: oneOf(["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"]),
    fallback: "BucketOwnerEnforced",
    value: "RULE",
    help: "of buckets that set none: BucketOwnerEnforced turns access control lists off",
  }),
  signatureV2: row({
    flag: null,
    env: "SIGNATURE_V2",
    schema: onOff,
    fallback: "on",
    value: "on|off",
    help: "accept Signature Version 2, which old clients need",
  }),
  defaultChecksum: row({
    flag: null,
    env: "DEFAULT_CHECKSUM",
    schema: onOff,
    fallback: "on",
    value: "on|off",
    help: "a CRC64NVME for every upload that brings no checksum, as on AWS; MinIO gives none",
  }),
  corsOrigins: row({
    flag: null,
    env: "API_CORS_ALLOW_ORIGIN",
    schema: originList,
    fallback: "*",
    value: "ORIGIN,…",
    help: "origins whose pages may use buckets without CORS rules of their own; one * in each",
  }),
  standardClass: row({
    flag: null,
    env: "STORAGE_CLASS_STANDARD",
    schema: storageClassText,
    fallback: "",
    value: "EC:N",
    help: "parity of new objects; default by set size",
  }),
  reducedClass: row({
    flag: null,
    env: "STORAGE_CLASS_RRS",
    schema: storageClassText,
    fallback: "",
    value: "EC:N",
    help: "parity of objects stored as REDUCED_REDUNDANCY; default EC:1",
  }),
  storageClassOptimize: row({
    flag: null,
    env: "STORAGE_CLASS_OPTIMIZE",
    schema: oneOf(["availability", "capacity"]),
    fallback: "availability",
    value: "availability|capacity",
    help: "availability raises the parity of objects written while drives are offline",
  }),
  inlineBlockBytes: row({
    flag: null,
    env: "STORAGE_CLASS_INLINE_BLOCK",
    schema: optionalSizeBytes,
    fallback: "",
    value: "SIZE",
    help: "largest shard that is kept inside xl.meta; default 128KiB",
  }),
  setDriveCount: row({
    flag: null,
    env: "ERASURE_SET_DRIVE_COUNT",
    schema: integerBetween(0, 16),
    fallback: "0",
    value: "N",
    help: "drives in an erasure set; 0 chooses the largest that fits",
  }),
  codecThreads: row({
    flag: "codec-threads",
    env: "CODEC_THREADS",
    schema: integerBetween(0, 256),
    fallback: "0",
    value: "N",
    help: "threads that hash and code at once; 0 is one for each core; drives that are waited for take more",
  }),
  codecTier: row({
    flag: "codec-tier",
    env: "CODEC_TIER",
    schema: oneOf(["auto", "portable", "avx2", "avx512", "neon"]),
    fallback: "auto",
    value: "TIER",
    help: "highest instruction set that the codec may use: auto, portable, avx2, avx512, neon",
  }),
  metricsAuth: row({
    flag: null,
    env: "PROMETHEUS_AUTH_TYPE",
    schema: oneOf(["jwt", "public"]),
    fallback: "jwt",
    value: "jwt|public",
    help: "whether the metrics paths need a bearer token",
  }),
  ...UPKEEP_OPTIONS,
  restore: row({
    flag: "restore",
    env: "RESTORE",
    schema: optionalText,
    fallback: "",
    value: "ID",
    help: "for `sherd quarantine`: give this version back",
  }),
  drop: row({
    flag: "drop",
    env: "DROP",
    schema: optionalText,
    fallback: "",
    value: "ID",
    help: "for `sherd quarantine`: remove this version for good",
  }),
  ...PROTECTION_OPTIONS,
  connectionsMax: row({
    flag: null,
    env: "CONNECTIONS_MAX",
    schema: integerBetween(1, 1_000_000),
    fallback: "16384",
    value: "N",
    help: "connections open at once; one more is closed at once",
  }),
  headerMs: row({
    flag: "read-header-timeout",
    env: "READ_HEADER_TIMEOUT",
    schema: durationMs,
    fallback: "30s",
    value: "DURATION",
    help: "how long the headers of a request may take",
  }),
  idleMs: row({
    flag: "idle-timeout",
    env: "IDLE_TIMEOUT",
    schema: durationMs,
    fallback: "75s",
    value: "DURATION",
    help: "how long a connection may wait for its next request",
  }),
  bodyIdleMs: row({
    flag: null,
    env: "BODY_IDLE_TIMEOUT",
    schema: durationMs,
    fallback: "60s",
    value: "DURATION",
    help: "how long a request's body may pause, and a fifth of how long a client may leave an answer unread",
  }),
  drainTimeoutMs: row({
    flag: "shutdown-timeout",
    env: "SHUTDOWN_TIMEOUT",
    schema: durationMs,
    fallback: "30s",
    value: "DURATION",
    help: "how long SIGTERM waits for requests in flight",
  }),
  logSizeBytes: row({
    flag: "log-size",
    env: "LOG_SIZE",
    schema: sizeBetween("48MiB", "4GiB"),
    fallback: "64MiB",
    value: "SIZE",
    help: "commit log of each drive; more puts off more, costs memory and start time",
  }),
  applyAfterMs: row({
    flag: "apply-after",
    env: "APPLY_AFTER",
    schema: durationMs,
    fallback: "1m",
    value: "DURATION",
    help: "how long a small write stays in the commit log alone; deleted or overwritten sooner it costs no file",
  }),
  dryRun: row({
    flag: "dry-run",
    env: "DRY_RUN",
    schema: onOff,
    fallback: "off",
    value: null,
    help: "drive repair: say what is damaged and what would be kept, change nothing",
  }),
} as const;

type OptionName = keyof typeof OPTIONS;

export type ServerOptions = {
  readonly [Name in OptionName]: z.output<(typeof OPTIONS)[Name]["schema"]>;
} & {
  /** Nobody gave root credentials: the published default is in use. */
  readonly rootIsDefault: boolean;
  /** `MINIO_*` variables that are set and have no effect here, sorted. */
  readonly ignoredEnvironment: readonly string[];
  /** `MINIO_IDENTITY_…`: configuration of identity providers that wins over what is stored. */
  readonly identityEnvironment: ReadonlyMap<string, string>;
};

interface OnDrives {
  readonly options: ServerOptions;
  /** The arguments as given, ellipses and all. */
  readonly endpoints: readonly string[];
}

export type Command =
  | ({ readonly name: "server" | "plan" | "heal" | "quarantine" | "drive flush" | "drive repair" } & OnDrives)
  | { readonly name: "codec"; readonly options: ServerOptions }
  | { readonly name: "help"; readonly text: string }
  | { readonly name: "version" }
  | { readonly name: "error"; readonly message: string };

/** Variables of the configuration's sub-systems that have an effect here: they override what is stored. */
const IDENTITY_VARIABLE = /^MINIO_IDENTITY_(?:OPENID|LDAP|TLS)_[A-Z0-9_]+$/;

export type Environment = Readonly<Record<string, string | undefined>>;

const COMMANDS = {
  server: "serve S3 on these drives",
  plan: "show pools, sets, parity and usable bytes of these drives; writes nothing",
  heal: "rebuild what is missing or damaged on these drives",
  "drive flush": "after a crash: bring what the commit logs hold into MinIO's layout, without serving",
  quarantine: "list versions that were set aside because too few drives have them; --restore ID gives one back",
  "drive repair": "with the server stopped: make a damaged commit log of these drives usable; --dry-run only looks",
  codec: "show the instruction set and the speed of this CPU",
} as const;

/** Variables with our prefix that are not options: endpoints, and what tests read. */
const NOT_OPTIONS: readonly string[] = [
  "SHERD_VOLUMES",
  "SHERD_FIXTURES",
  "SHERD_SIM_SEED",
  "SHERD_FUZZ_SECONDS",
  "SHERD_FUZZ_SEED",
  "SHERD_ARM64",
  "SHERD_BIN",
  "SHERD_COMPAT_DIR",
  "SHERD_COMPAT_ENDPOINT",
  "SHERD_COMPAT_MC",
  "SHERD_COMPAT_MC_TESTS",
  "SHERD_COMPAT_MINIO_GO",
];
/** Kubernetes sets these in every container when a service is called "sherd". */
const SERVICE_LINK = /^SHERD_(?:SERVICE|PORT)(?:_|$)/;
/** About the console and updates of MinIO: nothing is lost by their having no effect. */
const HARMLESS: ReadonlySet<string> = new Set([
  "MINIO_BROWSER",
  "MINIO_BROWSER_REDIRECT",
  "MINIO_UPDATE",
  "MINIO_OPTS",
]);

/** Refused input; the message is for the person who typed it. */
class UsageError extends Error {}

const ROWS = Object.entries(OPTIONS) as [OptionName, OptionRow][];

const namesOf = (option: OptionRow): readonly string[] => [
  `SHERD_${option.env}`,
  `MINIO_${option.env}`,
  ...(option.aliases ?? []),
];

interface Arguments {
  readonly positional: readonly string[];
  readonly flags: ReadonlyMap<OptionName, { readonly flag: string; readonly text: string }>;
  readonly help: boolean;
  readonly version: boolean;
}

function unknownFlag(typed: string): UsageError {
  const flags = ROWS.flatMap(([, option]) => (option.flag === null ? [] : [option.flag]));
  return new UsageError(
    `unknown flag --${typed}; the nearest one is --${nearestName(typed, [...flags, "help", "version"])}`,
  );
}

/** Splits argv. As in MinIO: `--name value`, `--name=value`, one dash or two, before or after the command. */
function readArguments(argv: readonly string[]): Arguments {
  const positional: string[] = [];
  const flags = new Map<OptionName, { flag: string; text: string }>();
  let help = false;
  let version = false;
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] ?? "";
    if (argument === "--") {
      positional.push(...argv.slice(i + 1));
      break;
    }
    const match = /^--?([A-Za-z][^=]*)(?:=([\s\S]*))?$/.exec(argument);
    if (match === null) {
      positional.push(argument);
      continue;
    }
    const typed = match[1] ?? "";
    const name = typed === "S" ? "certs-dir" : typed;
    help ||= name === "help" || name === "h";
    version ||= name === "version" || name === "v";
    if (["help", "h", "version", "v"].includes(name)) continue;
    const [key, option] = ROWS.find(([, { flag }]) => flag === name) ?? [null, null];
    if (key === null) throw unknownFlag(typed);
    let text = match[2];
    if (text === undefined && option.value !== null) {
      i++;
      text = argv[i];
      if (text === undefined) throw new UsageError(`--${typed} needs a value: ${option.value}`);
    }
    flags.set(key, { flag: name, text: text ?? "on" });
  }
  return { positional, flags, help, version };
}

function refuseUnknownVariables(env: Environment): void {
  const known = [...ROWS.map(([, option]) => `SHERD_${option.env}`), ...NOT_OPTIONS];
  for (const name of Object.keys(env).sort()) {
    if (!name.startsWith("SHERD_") || known.includes(name) || SERVICE_LINK.test(name)) continue;
    throw new UsageError(`unknown environment variable ${name}; the nearest one is ${nearestName(name, known)}`);
  }
}

function ignoredEnvironment(env: Environment): string[] {
  const known = new Set([...ROWS.flatMap(([, option]) => namesOf(option)), "MINIO_VOLUMES"]);
  const ignored = (name: string): boolean =>
    name.startsWith("MINIO_") && !known.has(name) && !HARMLESS.has(name) && !IDENTITY_VARIABLE.test(name);
  return Object.keys(env)
    .filter((name) => ignored(name) && (env[name] ?? "") !== "")
    .sort();
}

/** The text of one option and where it came from, for messages. */
function sourceOf(
  name: OptionName,
  given: Arguments,
  env: Environment,
): { readonly from: string; readonly text: string } {
  const flag = given.flags.get(name);
  if (flag !== undefined) return { from: `--${flag.flag}`, text: flag.text };
  const option: OptionRow = OPTIONS[name];
  const variable = namesOf(option).find((candidate) => (env[candidate] ?? "") !== "");
  return variable === undefined
    ? { from: "default", text: option.fallback }
    : { from: variable, text: env[variable] ?? "" };
}

function readOptions(given: Arguments, env: Environment): ServerOptions {
  refuseUnknownVariables(env);
  const values: Record<string, unknown> = {};
  const sources = new Map<OptionName, string>();
  for (const [name, option] of ROWS) {
    const { from, text } = sourceOf(name, given, env);
    const parsed = option.schema.safeParse(text);
    if (!parsed.success) {
      const shown = option.secret === true ? "" : ` "${text}"`;
      throw new UsageError(`${from}${shown}: ${parsed.error.issues.map((issue) => issue.message).join("; ")}`);
    }
    values[name] = parsed.data;
    sources.set(name, from);
  }
  const userGiven = sources.get("rootUser") !== "default";
  const passwordGiven = sources.get("rootPassword") !== "default";
  if (userGiven !== passwordGiven) {
    const [have, lack] = userGiven ? ["USER", "PASSWORD"] : ["PASSWORD", "USER"];
    throw new UsageError(`the root ${have.toLowerCase()} is set without the other half; set SHERD_ROOT_${lack} too`);
  }
  values["rootIsDefault"] = !userGiven;
  values["ignoredEnvironment"] = ignoredEnvironment(env);
  values["identityEnvironment"] = new Map(
    Object.entries(env).filter(([name, value]) => IDENTITY_VARIABLE.test(name) && (value ?? "") !== ""),
  );
  // One value for each row was parsed by its row's schema just above: the mapped type says the same.
  return values as ServerOptions;
}

/** Endpoints of the command line, or of `SHERD_VOLUMES`/`MINIO_VOLUMES` (separated by blanks) when it has none. */
function endpointsOf(command: string, positional: readonly string[], env: Environment): readonly string[] {
  if (positional.length > 0) return positional;
  const volumes = (env["SHERD_VOLUMES"] ?? "") || (env["MINIO_VOLUMES"] ?? "");
  const endpoints = volumes.split(/\s+/).filter((text) => text !== "");
  if (endpoints.length === 0) {
    throw new UsageError(`sherd ${command} needs the drives: for example sherd ${command} ./data{1...4}`);
  }
  return endpoints;
}

function readCommand(argv: readonly string[], env: Environment): Command {
  const given = readArguments(argv);
  const [name, ...rest] = given.positional;
  if (given.version) return { name: "version" };
  if (given.help || name === undefined || name === "help") return { name: "help", text: helpText() };
  switch (name) {
    case "server":
    case "plan":
    case "heal":
    case "quarantine":
      return { name, options: readOptions(given, env), endpoints: endpointsOf(name, rest, env) };
    case "drive": {
      const [what, ...drives] = rest;
      if (what !== "flush" && what !== "repair")
        throw new UsageError("sherd drive has two commands: sherd drive flush ENDPOINT…, sherd drive repair DRIVE…");
      const command = `drive ${what}` as const;
      // Not from SHERD_VOLUMES: a repair is of the drives that somebody named.
      if (what === "repair" && drives.length === 0)
        throw new UsageError("sherd drive repair needs the damaged drives: for example sherd drive repair ./data3");
      return { name: command, options: readOptions(given, env), endpoints: endpointsOf(command, drives, env) };
    }
    case "codec":
      if (rest.length > 0) throw new UsageError(`sherd codec takes no arguments; found "${rest[0]}"`);
      return { name, options: readOptions(given, env) };
    case "version":
      return { name: "version" };
    default: {
      const nearest = nearestName(name, [...Object.keys(COMMANDS), "help", "version"]);
      throw new UsageError(`unknown command "${name}"; the nearest one is "${nearest}"`);
    }
  }
}

/** What argv (without the program's own name) and the environment ask for. Never throws for what was typed. */
export function parseCommandLine(argv: readonly string[], env: Environment): Command {
  try {
    return readCommand(argv, env);
  } catch (error) {
    if (error instanceof UsageError) return { name: "error", message: error.message };
    throw error;
  }
}

/** The text of `--help`, from the table. */
export function helpText(): string {
  const flagRows = ROWS.filter(([, option]) => option.flag !== null).map(([, option]): [string, string] => {
    const fallback = option.value !== null && option.fallback !== "" ? ` (default ${option.fallback})` : "";
    return [`--${option.flag}${option.value === null ? "" : ` ${option.value}`}`, `${option.help}${fallback}`];
  });
  const envRows = ROWS.map(([, option]): [string, string] => {
    const fallback = option.fallback === "" || option.secret === true ? "" : ` (default ${option.fallback})`;
    return [`SHERD_${option.env}`, option.flag === null ? `${option.help}${fallback}` : `as --${option.flag}`];
  });
  const table = (rows: readonly (readonly [string, string])[]): string => {
    const width = Math.max(...rows.map(([left]) => left.length)) + 2;
    return rows.map(([left, right]) => `  ${left.padEnd(width)}${right}`).join("\n");
  };
  return [
    "sherd: S3-compatible, erasure-coded object storage on MinIO's drive format",
    "",
    "Usage: sherd COMMAND [FLAGS] [ENDPOINT…]",
    "",
    "An endpoint is the folder of a drive; {1...4} stands for 1 2 3 4. With ellipses each argument is a pool.",
    "",
    "Commands:",
    table(Object.entries(COMMANDS)),
    "",
    "Flags:",
    table([...flagRows, ["--help", "this text"], ["--version", "the version"]]),
    "",
    "Environment (each SHERD_ name also as MINIO_; flags win, then SHERD_, then MINIO_):",
    table([...envRows, ["SHERD_VOLUMES", "endpoints, separated by blanks, when the command line has none"]]),
    "",
  ].join("\n");
}
