/**
 * `make sim-planted`: every bug of plants.ts must be caught, each within ten minutes, by a test that passes without it on the
 * same seeds. PLANT=name tries one.
 */
import { PLANTS } from "./plants.ts";
import { runPlant, runSound } from "./run-plant.ts";

/** As many as the sound code is known to pass. */
const SEEDS = 1_200;
const TIMEOUT_MS = 590_000;

const only = process.env["PLANT"] ?? "";
const chosen = PLANTS.filter(({ name }) => only === "" || name === only);
if (chosen.length === 0) throw new Error(`there is no plant ${only}`);
let wrong = 0;
/** Of each test: what it says of the code as it is. */
const sound = new Map<string, string | null>();
for (const plant of chosen) {
  const guard = `${plant.by} ${plant.test}`;
  if (!sound.has(guard)) {
    const complaint = await runSound(plant, SEEDS, TIMEOUT_MS);
    sound.set(guard, complaint);
    if (complaint !== null) process.stdout.write(`${plant.by} fails with no bug planted: ${complaint}\n`);
  }
  if (sound.get(guard) !== null) {
    process.stdout.write(`${plant.name.padEnd(60)} PROVES NOTHING: ${plant.by} fails without it\n`);
    wrong++;
    continue;
  }
  const { verdict, seconds } = await runPlant(plant, SEEDS, TIMEOUT_MS);
  process.stdout.write(`${plant.name.padEnd(60)} ${verdict} by ${plant.by}, ${seconds.toFixed(1)} s\n`);
  if (verdict !== "caught") wrong++;
}
const summary = only === "" ? "every planted bug is caught" : "the planted bug is caught";
process.stdout.write(
  wrong === 0 ? `${summary}\n` : `${wrong} of ${chosen.length} planted bugs are not shown to be caught\n`,
);
process.exit(wrong === 0 ? 0 : 1);
