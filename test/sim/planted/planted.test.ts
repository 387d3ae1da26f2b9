/** The planted bugs that are caught within seconds; `make sim-planted` tries them all. And that all still apply to the code. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { PLANTS } from "./plants.ts";
import { runPlant, runSound } from "./run-plant.ts";

const QUICK_SEEDS = 300;

test.each(PLANTS.map(({ name, file, find, replace }) => ({ name, file, find, replace })))(
  "planted: $name applies to $file",
  ({ file, find, replace }) => {
    const text = readFileSync(join(import.meta.dir, "../../..", file), "utf8");
    expect([text.split(find).length, find === replace]).toEqual([2, false]);
  },
);

const QUICK = PLANTS.filter(({ isQuick }) => isQuick === true);
const GUARDS = [...new Map(QUICK.map(({ by, test: name }) => [`${by} ${name}`, { by, test: name }])).values()];

test.each(GUARDS)(
  "planted: $by $test passes with no bug planted",
  async (guard) => {
    expect(await runSound(guard, QUICK_SEEDS, 50_000)).toBeNull();
  },
  60_000,
);

test.each(QUICK.map((plant) => ({ name: plant.name, plant })))(
  "planted: $name is caught",
  async ({ plant }) => {
    expect((await runPlant(plant, QUICK_SEEDS, 50_000)).verdict).toBe("caught");
  },
  60_000,
);
