/**
 * The tree keeps the house rules of `tidy/rules.ts`, and each rule bites: one violation of every kind is planted and seen.
 * Every failure reads "file:line: [rule] what and the allowed alternative".
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { formatViolation, IMPORT_TABLE, judge } from "./tidy/rules.ts";
import { maskSource, type SourceFile } from "./tidy/source-text.ts";

const ROOT = resolve(import.meta.dir, "..");

function filesOf(pattern: string): SourceFile[] {
  const paths = [...new Bun.Glob(pattern).scanSync({ cwd: ROOT })].sort();
  return paths.map((path) => ({ path, text: readFileSync(resolve(ROOT, path), "utf8") }));
}

/** The findings in a planted file, as "rule" or "rule@line" texts. A header is put before `code`, on line 1. */
function planted(path: string, code: string): string[] {
  return judge({ path, text: `/** Planted. */\n${code}` }).map((v) => `${v.rule}@${v.line}`);
}

test("the source tree keeps every house rule", () => {
  const files = filesOf("src/**/*.{ts,c,h,inc}");
  expect(files.length).toBeGreaterThan(10);
  expect(files.flatMap(judge).map(formatViolation)).toEqual([]);
}, 60_000);

test("every folder of src has a row in the import table, and rows name folders that have rows", () => {
  const folders = new Set(filesOf("src/*/**/*.ts").map((file) => file.path.split("/")[1] as string));
  expect([...folders].filter((folder) => IMPORT_TABLE[folder] === undefined)).toEqual([]);
  expect(
    Object.values(IMPORT_TABLE)
      .flat()
      .filter((to) => IMPORT_TABLE[to] === undefined),
  ).toEqual([]);
});

test("ARCHITECTURE.md shows the import table that is enforced", () => {
  const page = readFileSync(resolve(ROOT, "ARCHITECTURE.md"), "utf8");
  for (const [folder, allowed] of Object.entries(IMPORT_TABLE)) {
    expect(page).toContain(`| \`${folder}\` | ${allowed.length === 0 ? "–" : `\`${allowed.join(" ")}\``} |`);
  }
});

describe("imports", () => {
  test.each([
    ["src/s3/a.ts", 'import { x } from "../erasure/x.ts";'],
    ["src/s3/a.ts", 'import type { X } from "../storage/x.ts";'],
    ["src/s3/deep/a.ts", 'import { type X } from "../../cluster/x.ts";'],
    ["src/core/a.ts", 'import "../sys/clock.ts";'],
    ["src/erasure/a.ts", 'type X = import("../cluster/peers.ts").Peer;'],
    ["src/codec/a.ts", 'const x = await import("../sys/world.ts");'],
    ["src/object/a.ts", 'import {\n  options,\n} from "../config/options.ts";'],
    ["src/storage/a.ts", 'import { start } from "../server.ts";'],
    ["src/storage/a.ts", 'import { x } from "../../test/x.ts";'],
    ["src/newborn/a.ts", 'import { x } from "../core/x.ts";'],
  ])("in %s is refused: %s", (path, code) => {
    expect(planted(path, code).map((finding) => finding.split("@")[0] as string)).toEqual(["import table"]);
  });

  test.each([
    ["src/s3/a.ts", 'import { x } from "../object/x.ts";'],
    ["src/s3/a.ts", 'import { x } from "./b.ts";'],
    ["src/main.ts", 'import { x } from "./server.ts";'],
    ["src/server.ts", 'import { x } from "./config/options.ts";'],
    ["src/s3/a.ts", '// import { x } from "../erasure/x.ts";'],
    ["src/s3/a.ts", "const text = 'import { x } from \"../erasure/x.ts\"';"],
  ])("in %s is accepted: %s", (path, code) => {
    expect(planted(path, code)).toEqual([]);
  });

  test("a failure names file, line and the allowed alternative", () => {
    const [violation] = judge({ path: "src/s3/a.ts", text: '/** A. */\n\nimport { x } from "../erasure/x.ts";\n' });
    expect(violation && formatViolation(violation)).toBe(
      "src/s3/a.ts:3: [import table] s3 must not import erasure (src/erasure/x.ts); s3 may import core, sys, observe, codec, bucket, object, iam",
    );
  });

  test.each([
    ["src/storage/a.ts", 'import { dlopen } from "bun:ffi";'],
    ["src/codec/pool.ts", 'import type { Pointer } from "bun:ffi";'],
    ["src/storage/a.ts", 'import { open } from "node:fs/promises";'],
    ["src/storage/a.ts", 'import { readFileSync } from "fs";'],
    ["src/s3/a.ts", 'import { createServer } from "node:http";'],
    ["src/background/a.ts", 'import { setTimeout } from "node:timers/promises";'],
    ["src/core/a.ts", 'import { file } from "bun";'],
  ])("of a banned module in %s is refused: %s", (path, code) => {
    expect(planted(path, code)).toEqual(["banned module@2"]);
  });

  test("of native code are accepted in the one file that owns them", () => {
    expect(planted("src/codec/native.ts", 'import { dlopen } from "bun:ffi";')).toEqual([]);
    expect(
      planted("src/codec/native.ts", 'import path from "../../build/libsherd-codec.so" with { type: "file" };'),
    ).toEqual([]);
  });
});

describe("calls", () => {
  test.each([
    ["time", "const t = Date.now();"],
    ["time", "const t = new Date();"],
    ["time", "const t = Date();"],
    ["time", "const t = performance.now();"],
    ["time", "setTimeout(work, 10);"],
    ["time", "await Bun.sleep(10);"],
    ["time", "const s = AbortSignal.timeout(10);"],
    ["chance", "const x = Math.random();"],
    ["chance", "const id = crypto.randomUUID();"],
    ["chance", "const b = randomBytes(16);"],
    ["outside world", "const r = await fetch(url);"],
    ["outside world", "const f = Bun.file(path);"],
    ["outside world", "Bun.serve(options);"],
    ["outside world", "await Bun.write(path, data);"],
    ["outside world", "const w = new Worker(path);"],
    ["environment", 'const v = process.env["HOME"];'],
    ["environment", "const v = process.argv;"],
    ["environment", "const v = Bun.env;"],
    ["process", "process.exit(1);"],
    ["mutable module state", "let counter = 0;"],
    ["mutable module state", "export let counter = 0;"],
    ["default export", "export default function f(): void {}"],
    ["default export", "export { f as default };"],
    ["barrel", 'export * from "./b.ts";'],
    ["barrel", 'export type { B } from "./b.ts";'],
    ["empty catch", "try { f(); } catch {}"],
    ["empty catch", "try { f(); } catch (error) {\n  // nothing to do\n}"],
    ["swallowed rejection", "await f().catch(() => {});"],
    ["swallowed rejection", "await f().catch((e) => undefined);"],
    ["void promise", "void f();"],
    ["void promise", "const g = (): void => void f();"],
  ])("%s: %s", (rule, code) => {
    expect(planted("src/storage/a.ts", code)).toEqual([`${rule}@2`]);
  });

  test.each([
    "const text = new Date(timeMs).toISOString();",
    "const ms = Date.UTC(2020, 1, 1);",
    'const text = "Date.now() and Math.random()";',
    "const text = `process.env and ${x}`;",
    "// Date.now() is not called here",
    "const found = /Math.random/.test(text);",
    "await clock.setTimeout(work, 10);",
    "const done: Promise<void> = work.fetch(key);",
    "const f: () => void = work;",
    "try { f(); } catch (error) { throw wrap(error); }",
  ])("are accepted: %s", (code) => {
    expect(planted("src/storage/a.ts", code)).toEqual([]);
  });

  test("inside the code of a template literal are seen", () => {
    expect(planted("src/storage/a.ts", "const text = `${`${Date.now()}`} Date.now()`;")).toEqual(["time@2"]);
  });

  test("of the outside world are accepted in src/sys, and the environment in main.ts", () => {
    expect(planted("src/sys/clock.ts", "export const now = (): number => Date.now();")).toEqual([]);
    expect(planted("src/main.ts", "const env = process.env;")).toEqual([]);
    expect(planted("src/sys/clock.ts", "const env = process.env;")).toEqual(["environment@2"]);
  });
});

describe("shape", () => {
  const statements = (count: number): string => "  step();\n".repeat(count);

  test("a file over 600 lines is refused, one of 600 accepted", () => {
    expect(planted("src/core/a.ts", "// line\n".repeat(599))).toEqual([]);
    expect(planted("src/core/a.ts", "// line\n".repeat(600))).toEqual(["file size@601"]);
  });

  test.each([
    ["a function", (body: string) => `function f(): void {\n${body}}\n`],
    [
      "a method with a long head",
      (body: string) => `class A {\n  async f(\n    a: number,\n  ): Promise<void> {\n${body}}\n}\n`,
    ],
    ["an arrow function", (body: string) => `const f = async (a: number) => {\n${body}};\n`],
  ])("%s over 70 lines is refused, one of 70 accepted", (_, wrap) => {
    expect(planted("src/core/a.ts", wrap(statements(68)))).toEqual([]);
    expect(planted("src/core/a.ts", wrap(statements(69))).map((finding) => finding.split("@")[0] as string)).toEqual([
      "function size",
    ]);
  });

  test("a long table, class or loop is not a function", () => {
    expect(planted("src/core/a.ts", `const TABLE = {\n${"  a: 1,\n".repeat(100)}};\n`)).toEqual([]);
    expect(planted("src/core/a.ts", `class A {\n${"  a = 1;\n".repeat(100)}}\n`)).toEqual([]);
    expect(planted("src/core/a.ts", `for (const x of list) {\n${statements(100)}}\n`)).toEqual([]);
  });

  test("a file without a header is refused, TypeScript and C", () => {
    const rules = (path: string, text: string): string[] => judge({ path, text }).map((v) => v.rule);
    expect(rules("src/core/a.ts", "export const a = 1;\n")).toEqual(["header"]);
    expect(rules("src/core/a.ts", "// Not a doc comment.\n")).toEqual(["header"]);
    expect(rules("src/codec/native/a.c", "#include <stdio.h>\n")).toEqual(["header"]);
    expect(rules("src/codec/native/a.c", "/* Owns a. */\n")).toEqual([]);
  });

  test("names that say nothing, and names that are not kebab-case, are refused", () => {
    expect(planted("src/core/utils.ts", "")).toEqual(["file name@1"]);
    expect(planted("src/core/string-helpers.ts", "")).toEqual(["file name@1"]);
    expect(planted("src/core/blockPool.ts", "")).toEqual(["file name@1"]);
  });
});

test("masking keeps every offset and line", () => {
  const text = 'const a = `x ${b("}")} y`; // c\nconst r = a / b / /[/"]/.source;\n/* d\n */ const e = \'f\';';
  const masked = maskSource(text);
  expect(masked.length).toBe(text.length);
  expect(masked.split("\n").length).toBe(text.split("\n").length);
  expect(masked).toContain('b(" ")');
  expect(masked).not.toContain(" y`");
  expect(masked.split("\n")[3]).toBe("    const e = ' ';");
});

test("every file and folder that the documents name exists", () => {
  const documents = filesOf("{README,ARCHITECTURE}.md").concat(filesOf("docs/**/*.md"));
  const missing: string[] = [];
  for (const { path, text } of documents) {
    for (const [, named] of text.matchAll(/`((?:src|test|scripts|docs|bench|\.ci)\/[\w./-]+\.(?:ts|sh|md|c))`/g)) {
      if (!existsSync(resolve(ROOT, named as string))) missing.push(`${path}: ${named}`);
    }
    for (const [, linked] of text.matchAll(/\]\(([\w./-]+)\)/g)) {
      if (!existsSync(resolve(ROOT, dirname(path), linked as string))) missing.push(`${path}: ${linked}`);
    }
    // ARCHITECTURE.md names files of src by their folder: `s3/pipeline.ts`.
    const folders = Object.keys(IMPORT_TABLE).join("|");
    for (const [, named] of text.matchAll(
      new RegExp(`\`((?:${folders})/[\\w./-]+\\.ts|main\\.ts|server\\.ts)\``, "g"),
    )) {
      if (!existsSync(resolve(ROOT, "src", named as string))) missing.push(`${path}: src/${named}`);
    }
  }
  expect(missing).toEqual([]);
});
