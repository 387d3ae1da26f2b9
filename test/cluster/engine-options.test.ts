/** The JavaScript engine's options: set by the server itself, in the process that was started, unless somebody chose others. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServerProcess } from "./server-process.ts";

const THRESHOLD = "BUN_JSC_thresholdForFTLOptimizeAfterWarmUp";
const GROWTH = "BUN_JSC_heapGrowthMaxIncrease";

/** What the running program was started with. */
async function chosen(env: Readonly<Record<string, string | undefined>>): Promise<string[]> {
  const cwd = mkdtempSync(join(tmpdir(), "sherd-engine-"));
  try {
    await using server = await ServerProcess.start({ cwd, env });
    const given = readFileSync(`/proc/${server.pid}/environ`, "utf8").split("\0");
    expect(await server.stop()).toBe(0);
    return given.filter((pair) => pair.startsWith(`${THRESHOLD}=`) || pair.startsWith(`${GROWTH}=`)).sort();
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}

test("the last compiler waits ten times as long, and the heap grows by three quarters at most", async () => {
  const expected = [`${GROWTH}=0.75`, `${THRESHOLD}=1000000`];
  expect(await chosen({ [THRESHOLD]: undefined, [GROWTH]: undefined })).toEqual(expected);
});

test("what somebody chose stays", async () => {
  expect(await chosen({ [THRESHOLD]: "300000", [GROWTH]: undefined })).toEqual([`${THRESHOLD}=300000`]);
});
