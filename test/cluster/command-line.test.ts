/** The command line as a user meets it: plan writes nothing, mistakes are named, a taken port is told in words. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SECRET, ServerProcess } from "./server-process.ts";

const root = mkdtempSync(join(tmpdir(), "sherd-cli-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): { code: number; out: string; error: string } {
  const ran = Bun.spawnSync([process.execPath, join(import.meta.dir, "../../src/main.ts"), ...args], {
    cwd: root,
    env: { ...process.env, ...env },
  });
  return { code: ran.exitCode, out: ran.stdout.toString(), error: ran.stderr.toString() };
}

test("plan shows usable bytes and what may fail, of drives that are not there and of drives that are, and writes nothing", async () => {
  const before = run(["plan", "./d{1...4}"]);
  expect(before.code).toBe(0);
  expect(before.out).toMatch(/[\d.]+ [KMGTP]iB usable of [\d.]+ [KMGTP]iB, [\d.]+ [KMGTP]iB of it free/);
  expect(before.out).toContain("./d1 (not there)");
  expect(readdirSync(root)).toEqual([]);
  await using server = await ServerProcess.start({ cwd: root });
  expect(await server.stop()).toBe(0);
  const state = (): string[] => readdirSync(root, { recursive: true }).map(String).sort();
  const formatted = state();
  expect(run(["plan", "./d{1...4}"]).out).toContain("./d1 (formatted)");
  expect(state()).toEqual(formatted);
});

test("an unknown flag, command and SHERD_ variable are errors that name the nearest", () => {
  for (const [args, env, words] of [
    [["server", "--adress", ":1", "./d"], {}, "unknown flag --adress; the nearest one is --address"],
    [["sever", "./d"], {}, 'unknown command "sever"; the nearest one is "server"'],
    [["server", "./d"], { SHERD_ROOT_PASWORD: "x" }, "SHERD_ROOT_PASWORD; the nearest one is SHERD_ROOT_PASSWORD"],
  ] as const) {
    const { code, error } = run(args, env);
    expect([code, error]).toEqual([2, expect.stringContaining(words)]);
    expect(error.trim().split("\n").length).toBe(1);
  }
});

test("a port that is taken is one line of words, and exit code 1", async () => {
  await using server = await ServerProcess.start({ cwd: root });
  const { code, error } = run(["server", "--address", new URL(server.url).host, "./e{1...4}"]);
  expect([code, error.trim().split("\n").length]).toEqual([1, 1]);
  expect(error).toContain("cannot be listened on");
});

test("no log line and no error holds a secret", async () => {
  await using server = await ServerProcess.start({ cwd: root });
  await server.client.put("/secrets", "");
  await fetch(`${server.url}/secrets/x?X-Amz-Signature=${SECRET}`, { headers: { authorization: SECRET } });
  rmSync(join(root, "d1/secrets"), { recursive: true });
  for (const drive of ["d2", "d3", "d4"]) rmSync(join(root, drive), { recursive: true });
  expect((await server.client.put("/secrets/y", "y")).status).toBe(503);
  await server.stop();
  expect(server.log().some((line) => typeof line["requestId"] === "string")).toBe(true);
  expect(`${server.lines.join("\n")}${server.errorText.value}`).not.toContain(SECRET);
});
