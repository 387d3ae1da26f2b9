/** The room on the drives of a set, as far as they tell it without taking their time (patience.ts). */
import { present } from "../core/assert.ts";
import type { DriveFacts } from "../observe/metrics.ts";
import type { DriveSpace } from "../storage/drive.ts";
import type { ErasureSet } from "./erasure-set.ts";

/** By position; null = no drive, or it does not tell. */
export async function spacesOf(set: ErasureSet): Promise<readonly (DriveSpace | null)[]> {
  const positions = set.present();
  const answers = positions.map((position) => present(set.drives[position], "a drive").space());
  const spaces = new Array<DriveSpace | null>(set.size).fill(null);
  for (const [at, outcome] of (await set.patience.hear(positions, answers)).entries())
    if (outcome?.ok === true) spaces[positions[at] as number] = outcome.value;
  return spaces;
}

/** Of every position. */
export async function driveFactsOf(set: ErasureSet): Promise<DriveFacts[]> {
  const { poolIndex, setIndex } = set;
  const spaces = await spacesOf(set);
  return set.drives.map((drive, driveIndex) => ({
    endpoint: drive?.endpoint ?? `pool ${poolIndex} set ${setIndex} drive ${driveIndex}`,
    poolIndex,
    setIndex,
    driveIndex,
    online: drive !== null && drive.state !== "faulty",
    space: spaces[driveIndex] ?? null,
  }));
}
