/** Runs the test that must catch a plant, in a process of its own, and judges what came of it. */
import { join } from "node:path";
import type { Plant } from "./plants.ts";

const ROOT = join(import.meta.dir, "../../..");

export interface PlantOutcome {
  /** "caught"; else why it is not. */
  readonly verdict: string;
  readonly seconds: number;
}

export async function runPlant(plant: Plant, seeds: number, timeoutMs: number): Promise<PlantOutcome> {
  const began = performance.now();
  const child = Bun.spawn(
    [
      process.execPath,
      "test",
      "--preload",
      join(import.meta.dir, "loader.ts"),
      `./${plant.by}`,
      "--timeout",
      String(timeoutMs),
      ...(plant.test === "" ? [] : ["-t", plant.test]),
    ],
    {
      cwd: ROOT,
      env: { ...process.env, PLANT: plant.name, SHERD_SIM_SEEDS: String(seeds) },
      stdout: "pipe",
      stderr: "pipe",
      timeout: timeoutMs + 5_000,
      killSignal: "SIGKILL",
    },
  );
  const text = (await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])).join("\n");
  const code = await child.exited;
  const seconds = (performance.now() - began) / 1000;
  if (text.includes("PLANT DOES NOT APPLY")) return { verdict: `does not apply to ${plant.file} any more`, seconds };
  if (code === 0) return { verdict: "NOT CAUGHT", seconds };
  // A process that did not get to the test proves nothing; one that hangs in it does.
  const isCaught = text.includes("(fail)") || child.signalCode === "SIGKILL";
  return { verdict: isCaught ? "caught" : `no test ran: ${text.slice(-300)}`, seconds };
}
