/** Power is lost while the rest of a completed upload is removed: its data are in their place all the same, on every drive. */
import { expect, test } from "bun:test";
import { inspectKey } from "../../src/erasure/inspect-key.ts";
import { clock, codec } from "./kept-store.ts";
import { seededRng } from "./seeded.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import { DRIVES, getBytes, type SimulatedStore, simulatedStore } from "./simulated-store.ts";
import { beginUpload, completeUpload, sendPart } from "./upload-steps.ts";

const PARTS = [Buffer.alloc(3000, "one"), Buffer.alloc(2000, "two")] as const;
const KEY = { bucket: "bucket", path: "k" };
/** More steps than there are. */
const STEPS_MAX = 40;
const SEEDS = 12;

function start(disk: SimulatedDisk, seed: number): Promise<SimulatedStore> {
  return simulatedStore(codec, disk, { clock, rng: seededRng(seed) });
}

/** An upload that was completed, with what comes after still to do. */
async function completed(seed: number): Promise<{ readonly disk: SimulatedDisk; readonly store: SimulatedStore }> {
  const disk = SimulatedDisk.create(codec, seed, DRIVES);
  const store = await start(disk, seed);
  await store.pools.makeBucket("bucket");
  const upload = { key: "k", id: await beginUpload(store.pools, "k") };
  for (const [i, part] of PARTS.entries()) await sendPart(store.pools, upload, i + 1, part);
  await store.pools.background.idle();
  expect(await completeUpload(store.pools, upload)).toBe(true);
  return { disk, store };
}

test("at whatever step, and whatever of it outlives the loss", async () => {
  let stepsMade = 0;
  for (let steps = 0; steps < STEPS_MAX; steps++)
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { disk, store } = await completed(seed);
      disk.crashAt(steps);
      await Promise.race([store.pools.background.idle(), disk.crashed]);
      if (disk.hasCrashed) stepsMade = steps;
      disk.crash();
      const again = await start(disk.afterCrash(seed * 100 + steps, "any"), seed);
      const { lacking } = await inspectKey(again.set, KEY, { deep: true });
      expect(lacking).toEqual([]);
      expect((await getBytes(again.pools, "k"))?.equals(Buffer.concat(PARTS))).toBe(true);
    }
  expect(stepsMade).toBeGreaterThan(20); // of four drives
  expect(stepsMade).toBeLessThan(STEPS_MAX - 1);
}, 60_000);
