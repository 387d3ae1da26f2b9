/**
 * The house rules that no off-the-shelf tool checks whole: who may import whom, what only `src/sys` may call, sizes, headers,
 * swallowed errors. Each rule is a function from a source file to violations; `tidy.test.ts` runs them on the tree and plants
 * one violation of each. The table is the one of ARCHITECTURE.md: change the architecture there first.
 */
import { posix } from "node:path";
import { countLines, lineAt, maskSource, type SourceFile } from "./source-text.ts";

export interface Violation {
  readonly rule: string;
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

export const FILE_LINES_MAX = 600;
export const FUNCTION_LINES_MAX = 70;

/** Folder of `src` → the folders that it may import besides itself. Type-only imports count. */
export const IMPORT_TABLE: Readonly<Record<string, readonly string[]>> = {
  core: [],
  sys: ["core"],
  codec: ["core"],
  config: ["core"],
  observe: ["core", "sys"],
  storage: ["core", "sys", "observe", "codec"],
  cluster: ["core", "sys", "observe", "storage"],
  erasure: ["core", "sys", "observe", "codec", "storage"],
  kms: ["core", "sys", "codec"],
  bucket: ["core", "sys", "observe", "cluster", "erasure"],
  iam: ["core", "sys", "observe", "codec", "kms", "cluster", "erasure"],
  object: ["core", "sys", "observe", "codec", "kms", "cluster", "erasure", "bucket"],
  background: ["core", "sys", "observe", "storage", "cluster", "erasure", "bucket", "object"],
  s3: ["core", "sys", "observe", "codec", "bucket", "object", "iam"],
  admin: ["core", "sys", "observe", "codec", "kms", "cluster", "erasure", "bucket", "object", "iam", "background"],
  console: ["core", "sys"],
};

/** The program's two roots: they import anything, and nothing but `main.ts` imports one of them. */
const ROOTS = new Set(["src/main.ts", "src/server.ts"]);

interface Ban {
  readonly rule: string;
  /** Matched against code without comments and literals. */
  readonly pattern: RegExp;
  /** Path prefixes where it is allowed. */
  readonly allowed: readonly string[];
  readonly instead: string;
}

const BANNED_CALLS: readonly Ban[] = [
  {
    rule: "time",
    pattern:
      /\bDate\.now\b|\bnew Date\s*\(\s*\)|(?<!new )(?<![.\w])Date\s*\(|\bperformance\.now\b|\bBun\.nanoseconds\b|(?<![.\w])(?:setTimeout|setInterval|setImmediate|clearTimeout|clearInterval)\s*\(|\bBun\.sleep(?:Sync)?\b|\bAbortSignal\.timeout\b/g,
    allowed: ["src/sys/"],
    instead: "take a clock (src/sys/clock.ts) as an argument",
  },
  {
    rule: "chance",
    pattern:
      /\bMath\.random\b|\brandomUUID(?:v7)?\b|\brandomUUIDv7\b|\bgetRandomValues\b|\brandomBytes\b|\brandomFill(?:Sync)?\b/g,
    allowed: ["src/sys/"],
    instead: "take a random source (src/sys/rng.ts) as an argument",
  },
  {
    rule: "outside world",
    pattern:
      /(?<![.\w])fetch\s*\(|\bBun\.(?:file|write|serve|listen|connect|udpSocket|spawn|spawnSync|stdin|stdout|stderr|mmap|dns|\$|redis|sql|s3|S3Client|openInEditor)(?!\w)|\bnew (?:WebSocket|Worker|XMLHttpRequest)\b/g,
    allowed: ["src/sys/"],
    instead: "take a part of World (src/sys/world.ts) as an argument",
  },
  {
    rule: "environment",
    pattern: /\bprocess\.(?:env|argv|execArgv)\b|\bBun\.(?:env|argv)\b|\bimport\.meta\.env\b/g,
    allowed: ["src/main.ts"],
    instead: "only src/main.ts reads argv and the environment; add a row to src/config/options.ts",
  },
  {
    rule: "process",
    pattern: /(?<![.\w])process\.(?!env\b|argv\b|execArgv\b)\w+/g,
    allowed: ["src/main.ts", "src/sys/", "src/codec/native.ts"],
    instead: "the process is seen by src/main.ts and src/sys only",
  },
  {
    rule: "mutable module state",
    pattern: /^(?:export\s+)?(?:let|var)\s/gm,
    allowed: [],
    instead: "keep state in an object that src/server.ts builds: several nodes run in one process in tests",
  },
  {
    rule: "default export",
    pattern: /\bexport\s+default\b|\bas\s+default\b/g,
    allowed: [],
    instead: "export by name",
  },
  {
    rule: "barrel",
    pattern: /\bexport\s+(?:type\s+)?(?:\*|\{[^}]*\})[^;=]*?\bfrom\s*["']/g,
    allowed: [],
    instead: "import from the file that owns the name",
  },
  {
    rule: "empty catch",
    pattern: /\bcatch\s*(?:\([^)]*\)\s*)?\{\s*\}/g,
    allowed: [],
    instead: "handle, translate or rethrow the error; a comment is not handling",
  },
  {
    rule: "swallowed rejection",
    pattern: /\.catch\(\s*(?:\(\s*\w*\s*\)|\w+)\s*=>\s*(?:\{\s*\}|undefined|null|void 0)\s*,?\s*\)|\.catch\(\s*\)/g,
    allowed: [],
    instead: "a failure is a value, an error to the caller, or a log line",
  },
  {
    rule: "void promise",
    pattern: /(?:^|[;{}]|=>)[ \t]*void[ \t]+(?=[\w(])/gm,
    allowed: [],
    instead: "await it, or hand it to an owner that waits for it",
  },
];

interface ModuleBan {
  readonly pattern: RegExp;
  readonly allowed: readonly string[];
  readonly instead: string;
}

const BANNED_MODULES: readonly ModuleBan[] = [
  {
    pattern: /^bun:ffi$/,
    allowed: ["src/codec/native.ts"],
    instead: "src/codec/native.ts is the only door to native code",
  },
  {
    pattern: /^(?:node:)?(?:fs|fs\/promises)$/,
    // native.ts reads the library that is embedded in the executable, once, at start.
    allowed: ["src/sys/", "src/codec/native.ts"],
    instead: "take World.disk (src/sys/disk.ts) as an argument",
  },
  {
    pattern:
      /^(?:node:)?(?:net|http|https|http2|tls|dns|dgram|child_process|cluster|os|process|readline|worker_threads|timers)(?:\/.*)?$/,
    allowed: ["src/sys/"],
    instead: "take a part of World (src/sys/world.ts) as an argument",
  },
  {
    pattern: /^bun:sqlite$/,
    allowed: ["src/sys/"],
    instead: "take a Tables (src/sys/ordered-table.ts) as an argument",
  },
  { pattern: /^bun$/, allowed: ["src/sys/"], instead: "use the global Bun for what is pure; I/O belongs to src/sys" },
];

interface ImportSite {
  readonly specifier: string;
  readonly line: number;
}

/** Every module named by a file: static, type-only, side-effect, dynamic, `typeof import()`, re-export. */
export function importsOf(file: SourceFile, masked = maskSource(file.text)): ImportSite[] {
  const sites: ImportSite[] = [];
  const opening =
    /\b(?:import|export)\b[^;"'=]*?\bfrom\s*(?=["'])|\b(?:import|require)\s*\(\s*(?=["'])|\bimport\s+(?=["'])/g;
  for (const match of masked.matchAll(opening)) {
    const at = match.index + match[0].length;
    const end = masked.indexOf(masked[at] as string, at + 1);
    if (end > 0) sites.push({ specifier: file.text.slice(at + 1, end), line: lineAt(file.text, at) });
  }
  return sites;
}

/** "src/s3/xml/a.ts" → "s3"; a file directly in src → "". */
function folderOf(path: string): string {
  const parts = path.split("/");
  return parts.length > 2 ? (parts[1] as string) : "";
}

const listed = (prefixes: readonly string[], path: string): boolean =>
  prefixes.some((prefix) => path.startsWith(prefix));

function judgeImport(file: SourceFile, site: ImportSite): Violation | null {
  const fail = (rule: string, message: string): Violation => ({ rule, path: file.path, line: site.line, message });
  if (!site.specifier.startsWith(".")) {
    const ban = BANNED_MODULES.find((row) => row.pattern.test(site.specifier));
    if (ban === undefined || listed(ban.allowed, file.path)) return null;
    return fail("banned module", `${site.specifier} is not imported here: ${ban.instead}`);
  }
  const target = posix.normalize(posix.join(posix.dirname(file.path), site.specifier));
  if (!target.startsWith("src/")) {
    // The codec library is a build product; everything else outside src is not part of the program.
    if (file.path === "src/codec/native.ts" && target.startsWith("build/")) return null;
    if (ROOTS.has(file.path) && target === "package.json") return null;
    return fail("import table", `${target} is outside src; a file of src imports src only`);
  }
  if (ROOTS.has(target)) {
    if (file.path === "src/main.ts") return null;
    return fail("import table", `nothing imports ${target}; pass what is needed as an argument`);
  }
  if (ROOTS.has(file.path)) return null;
  const from = folderOf(file.path);
  const to = folderOf(target);
  if (from === to && from !== "") return null;
  const allowed = IMPORT_TABLE[from];
  if (allowed === undefined) return fail("import table", `src/${from} has no row in the import table`);
  if (allowed.includes(to)) return null;
  const may = allowed.length === 0 ? "nothing but itself" : allowed.join(", ");
  const hint = to === "config" ? "; declare the option that is needed, src/server.ts passes it" : "";
  return fail("import table", `${from} must not import ${to} (${target}); ${from} may import ${may}${hint}`);
}

function judgeCalls(file: SourceFile, masked: string): Violation[] {
  const found: Violation[] = [];
  for (const ban of BANNED_CALLS) {
    if (listed(ban.allowed, file.path)) continue;
    for (const match of masked.matchAll(ban.pattern)) {
      const skipped = match[0].length - match[0].trimStart().length;
      const line = lineAt(file.text, match.index + skipped);
      found.push({ rule: ban.rule, path: file.path, line, message: `"${match[0].trim()}": ${ban.instead}` });
    }
  }
  return found;
}

const CONTROL = /\b(?:if|for|while|switch|catch|with)\s*(?:await\s*)?$/;

/** Whether the block that opens at `open` is the body of a function: its head ends with `=>`, or `)` with a return type. */
function opensFunction(masked: string, open: number): boolean {
  const head = masked.slice(Math.max(0, open - 2000), open).trimEnd();
  if (head.endsWith("=>")) return true;
  const close = head.search(/\)\s*(?::[^;{}()=]*(?:\([^()]*\)[^;{}()=]*)?)?$/);
  if (close < 0) return false;
  let depth = 0;
  for (let i = close; i >= 0; i--) {
    if (head[i] === ")") depth++;
    if (head[i] === "(" && --depth === 0) return !CONTROL.test(head.slice(0, i));
  }
  return false;
}

function judgeFunctions(file: SourceFile, masked: string): Violation[] {
  const found: Violation[] = [];
  const opens: number[] = [];
  for (let i = 0; i < masked.length; i++) {
    if (masked[i] === "{") opens.push(i);
    if (masked[i] !== "}") continue;
    const open = opens.pop();
    if (open === undefined) continue;
    const first = lineAt(masked, open);
    const lines = lineAt(masked, i) - first + 1;
    if (lines > FUNCTION_LINES_MAX && opensFunction(masked, open)) {
      const message = `a function of ${lines} lines; ${FUNCTION_LINES_MAX} at most: name its steps`;
      found.push({ rule: "function size", path: file.path, line: first, message });
    }
  }
  return found;
}

function judgeShape(file: SourceFile): Violation[] {
  const found: Violation[] = [];
  const fail = (rule: string, line: number, message: string): void => {
    found.push({ rule, path: file.path, line, message });
  };
  const lines = countLines(file.text);
  if (lines > FILE_LINES_MAX) {
    fail("file size", FILE_LINES_MAX + 1, `${lines} lines; ${FILE_LINES_MAX} at most: give a part its own file`);
  }
  const opening = file.path.endsWith(".ts") ? "/**" : "/*";
  if (!file.text.startsWith(opening)) {
    fail("header", 1, `starts with a comment (${opening}) that says what the file owns`);
  }
  const name = posix.basename(file.path).replace(/(?:\.d)?\.[^.]*$/, "");
  if (!/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name)) fail("file name", 1, "file names are kebab-case");
  if (/(?:^|-)(?:utils?|helpers?|common|manager|misc)$/.test(name)) {
    fail("file name", 1, `"${name}" says nothing: name the file after what it owns`);
  }
  return found;
}

/** All violations in one file of `src`: TypeScript by every rule, C by size, header and name. */
export function judge(file: SourceFile): Violation[] {
  const found = judgeShape(file);
  if (!file.path.endsWith(".ts")) return found;
  const masked = maskSource(file.text);
  for (const site of importsOf(file, masked)) {
    const violation = judgeImport(file, site);
    if (violation !== null) found.push(violation);
  }
  // A declaration file describes a module of somebody else's making.
  if (!file.path.endsWith(".d.ts")) found.push(...judgeCalls(file, masked));
  found.push(...judgeFunctions(file, masked));
  return found;
}

export function formatViolation(v: Violation): string {
  return `${v.path}:${v.line}: [${v.rule}] ${v.message}`;
}
