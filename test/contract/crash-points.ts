/**
 * What a power cut may do to one drive: a history is run with a cut before each of its durable steps in turn, unsynced
 * changes are lost in seeded ways, and the drive that opens afterwards is judged. A judge returns what is wrong, so that a
 * planted bug can be shown to be caught.
 */
import type { Drive } from "../../src/storage/drive.ts";
import { GroupSync } from "../../src/storage/group-sync.ts";
import { LocalDrive } from "../../src/storage/local-drive.ts";
import { seededRng } from "../sim/seeded.ts";
import { SimulatedDisk } from "../sim/simulated-disk.ts";
import type { CrashOrder } from "../sim/simulated-files.ts";
import { loadCodec } from "../../src/codec/native.ts";
import { must, SMALL_LOG, stillClock } from "./drive-makers.ts";

export const ROOT = "/drive";
const codec = loadCodec();
const STEPS_MAX = 300;
const CUTS_EACH = 24;

export interface History {
  /** Done and synced before the part that is cut. */
  prepare(drive: Drive): Promise<void>;
  /** Cut at every step. Returns after each thing that was answered, with its name, through `answered`. */
  run(drive: Drive, answered: (what: string) => void): Promise<void>;
  /** What is wrong with the drive that opened after the cut; [] = nothing. */
  judge(drive: Drive, answered: ReadonlySet<string>): Promise<readonly string[]>;
}

/** How a drive is opened: the real way, or with a bug planted. */
export type Opener = (disk: SimulatedDisk, seed: number) => Promise<Drive>;

export function openerWith(syncOf: (disk: SimulatedDisk) => GroupSync): Opener {
  return async (disk, seed) =>
    must(
      await LocalDrive.open({
        id: "id",
        root: ROOT,
        endpoint: ROOT,
        disk,
        rng: seededRng(seed),
        groupSync: syncOf(disk),
        clock: stillClock(),
        warn: () => undefined,
        log: SMALL_LOG,
      }),
    );
}
export const openRight: Opener = openerWith((disk) => new GroupSync(disk, ROOT));

/** Cuts `history` before every step, a few times each; returns the steps it has and what was wrong. */
export async function cutEverywhere(
  history: History,
  order: CrashOrder,
  open: Opener = openRight,
): Promise<{ readonly steps: number; readonly wrong: readonly string[] }> {
  const wrong: string[] = [];
  const start = SimulatedDisk.create(codec, 1, [ROOT]);
  const first = await openRight(start, 1);
  must(await first.makeBucket("bucket"));
  await history.prepare(first);
  for (let step = 0; step < STEPS_MAX; step++) {
    const disk = start.fork(step + 1);
    const drive = await open(disk, step + 2);
    const answered = new Set<string>();
    disk.crashAt(step);
    const done = history.run(drive, (what) => answered.add(what));
    await Promise.race([done, disk.crashed]);
    const ended = !disk.hasCrashed;
    for (let cut = 0; cut < CUTS_EACH; cut++) {
      const after = disk.afterCrash(step * CUTS_EACH + cut, order);
      for (const what of await judged(history, answered, () => open(after, step + 3)))
        wrong.push(`cut before step ${step}, ${order}, ${cut}: ${what}`);
    }
    if (ended) return { steps: step, wrong };
  }
  throw new Error(`the history has more than ${STEPS_MAX} steps`);
}

/** A drive that does not open, or bytes that do not decode, are wrong too. */
async function judged(
  history: History,
  answered: ReadonlySet<string>,
  open: () => Promise<Drive>,
): Promise<readonly string[]> {
  try {
    return await history.judge(await open(), answered);
  } catch (error) {
    return [String(error)];
  }
}
