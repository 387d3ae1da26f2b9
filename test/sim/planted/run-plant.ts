/**
 * Runs the test that must catch a plant, in a process of its own, and judges what came of it. That a test fails with a bug
 * planted proves something only if it passes without: `runSound` is asked first.
 */
import { join } from "node:path";
import type { Plant } from "./plants.ts";

const ROOT = join(import.meta.dir, "../../..");

export interface PlantOutcome {
  /** "caught"; else why it is not. */
  readonly verdict: string;
  readonly seconds: number;
}

/** Whether the test of these plants passes on the code as it is; null = it does, else what it says. */
export async function runSound(
  guard: Pick<Plant, "by" | "test">,
  seeds: number,
  timeoutMs: number,
): Promise<string | null> {
  const { code, text } = await runTest(guard, null, seeds, timeoutMs);
  return code === 0 ? null : firstComplaint(text);
}

export async function runPlant(plant: Plant, seeds: number, timeoutMs: number): Promise<PlantOutcome> {
  const began = performance.now();
  const { code, text, isKilled } = await runTest(plant, plant.name, seeds, timeoutMs);
  const seconds = (performance.now() - began) / 1000;
  if (text.includes("PLANT DOES NOT APPLY")) return { verdict: `does not apply to ${plant.file} any more`, seconds };
  if (code === 0) return { verdict: "NOT CAUGHT", seconds };
  // A process that did not get to the test proves nothing; one that hangs in it does.
  const isCaught = text.includes("(fail)") || isKilled;
  return { verdict: isCaught ? "caught" : `no test ran: ${text.slice(-300)}`, seconds };
}

/** `plant`: the name of the bug to plant; null = none. */
async function runTest(
  guard: Pick<Plant, "by" | "test">,
  plant: string | null,
  seeds: number,
  timeoutMs: number,
): Promise<{ readonly code: number; readonly text: string; readonly isKilled: boolean }> {
  const { PLANT: _, SHERD_SIM_SEED: _seed, ...env } = process.env;
  const child = Bun.spawn(
    [
      process.execPath,
      "test",
      ...(plant === null ? [] : ["--preload", join(import.meta.dir, "loader.ts")]),
      `./${guard.by}`,
      "--timeout",
      String(timeoutMs),
      ...(guard.test === "" ? [] : ["-t", guard.test]),
    ],
    {
      cwd: ROOT,
      env: { ...env, ...(plant === null ? {} : { PLANT: plant }), SHERD_SIM_SEEDS: String(seeds) },
      stdout: "pipe",
      stderr: "pipe",
      timeout: timeoutMs + 5_000,
      killSignal: "SIGKILL",
    },
  );
  const text = (await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])).join("\n");
  const code = await child.exited;
  return { code, text, isKilled: child.signalCode === "SIGKILL" };
}

function firstComplaint(text: string): string {
  const lines = text.split("\n");
  return (
    lines.find((line) => /seed \d+/.test(line)) ?? lines.find((line) => line.includes("(fail)")) ?? text.slice(-300)
  );
}
