/** One drive hangs: no PUT and no GET of its set waits beyond the deadline, and what it still holds is given to nobody. */
import { expect, test } from "bun:test";
import { loadCodec } from "../../src/codec/native.ts";
import { Op } from "../../src/sys/disk.ts";
import type { SimulatedClock } from "./seeded.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import { DRIVES, getBytes, guardedStore, putBytes, type SimulatedStore } from "./simulated-store.ts";

const codec = loadCodec();
const DEADLINE_MS = 1_000;
const BODY = Buffer.alloc(3_500_000, "a body of some blocks ");

async function guarded(seed: number): Promise<{ disk: SimulatedDisk; clock: SimulatedClock } & SimulatedStore> {
  const disk = SimulatedDisk.create(codec, seed, DRIVES);
  return { disk, ...(await guardedStore(codec, disk, { seed, deadlineMs: DEADLINE_MS })) };
}

/** Ends `work` by no more than two deadlines of simulated time. */
async function inTime<T>(clock: SimulatedClock, work: Promise<T>): Promise<T> {
  let ended = false;
  const done = work.finally(() => {
    ended = true;
  });
  for (let passed = 0; passed < 2 * DEADLINE_MS && !ended; passed += 50) await clock.advance(50);
  expect(ended).toBe(true);
  return await done;
}

test("a PUT and a GET end when a drive hangs at any kind of step, and the drive is healthy again afterwards", async () => {
  const kinds = [Op.append, Op.fdatasync, Op.syncfs, Op.rename, Op.open, Op.readFrame, Op.readFile];
  for (const [i, op] of kinds.entries()) {
    const { disk, clock, pools, set } = await guarded(i + 1);
    await inTime(clock, putBytes(pools, "old", BODY));
    await clock.advance(10);
    const lift = disk.fail({ prefix: "/d2", effect: "hang", ops: [op] });
    await inTime(clock, putBytes(pools, "new", BODY));
    for (const key of ["old", "new"])
      expect({ op, key, same: (await inTime(clock, getBytes(pools, key)))?.equals(BODY) }).toEqual({
        op,
        key,
        same: true,
      });
    lift();
    await clock.advance(20_000);
    expect(set.drives.map((drive) => drive?.state)).toEqual(["ok", "ok", "ok", "ok"]);
    expect({ op, free: set.resources.blocks.lentBytes + set.resources.blocks.strayBytes }).toEqual({ op, free: 0 });
  }
});
