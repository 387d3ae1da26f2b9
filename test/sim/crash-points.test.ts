/**
 * One run of a whole store on the simulated disk (writes, syncs, renames, syncs of directories), and what a power cut before every
 * single step of it leaves: unsynced sectors of 512 bytes and names lost in sampled subsets. Each of these images is started: what
 * was acknowledged by then is there, what was under way is old or new, and a second start says the same.
 * CRASH_STRIDE=1 looks at every step (`make crash-points`), else at every 17th one.
 */
import { expect, test } from "bun:test";
import { loadCodec } from "../../src/codec/native.ts";
import { Op } from "../../src/sys/disk.ts";
import { seededRng, SimulatedClock } from "./seeded.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import type { CrashOrder } from "./simulated-files.ts";
import { deleteKey, DRIVES, getBytes, putBytes, type SimulatedStore, simulatedStore } from "./simulated-store.ts";

const codec = loadCodec();
/** One pass keeps the images of every 17th step in memory; all passes together see every step. */
const STRIDE = 17;
const PASSES = process.env["CRASH_STRIDE"] === "1" ? STRIDE : 1;
const SUBSETS_EACH: readonly CrashOrder[] = ["any", "any", "ordered"];
const START_MS = 1_700_000_000_000;
const KEYS = ["a", "dir/b", "dir/c"];
const OPERATIONS_EACH = 9;

/** What a key may be: what was acknowledged last, and what is under way. */
type Allowed = Map<string, readonly (Buffer | null)[]>;
interface Point {
  readonly step: number;
  readonly allowed: Allowed;
  readonly images: readonly { readonly order: CrashOrder; readonly disk: SimulatedDisk }[];
}

async function client(store: SimulatedStore, key: string, allowed: Allowed, seed: number): Promise<void> {
  const rng = seededRng(seed);
  let known: Buffer | null = null;
  for (let i = 0; i < OPERATIONS_EACH; i++) {
    const size = rng.next() < 0.3 ? 300_000 : 50 + Math.floor(rng.next() * 4_000);
    const next: Buffer | null = known !== null && rng.next() < 0.25 ? null : Buffer.alloc(size, `${key} ${i} `);
    allowed.set(key, [known, next]);
    await (next === null ? deleteKey(store.pools, key) : putBytes(store.pools, key, next));
    allowed.set(key, [next]);
    known = next;
    if (rng.next() < 0.4) await store.drives[Math.floor(rng.next() * DRIVES.length)]?.flush();
  }
}

/** The same run for the same seed, looked at before the steps that leave `rest` when divided by `STRIDE`. */
async function recorded(seed: number, rest: number): Promise<{ points: Point[]; kinds: Set<number> }> {
  const disk = SimulatedDisk.create(codec, seed, DRIVES);
  const store = await simulatedStore(codec, disk, { clock: new SimulatedClock(START_MS), rng: seededRng(seed) });
  await store.pools.makeBucket("bucket");
  const allowed: Allowed = new Map(KEYS.map((key) => [key, [null]]));
  const points: Point[] = [];
  const kinds = new Set<number>();
  const real = disk.run.bind(disk);
  disk.run = (steps) => {
    for (const { op } of steps) kinds.add(op);
    return real(steps);
  };
  let step = 0;
  disk.beforeMutation = () => {
    if (step++ % STRIDE !== rest) return;
    const images = SUBSETS_EACH.map((order, i) => ({
      order,
      disk: disk.afterCrash(seed * 1000 + step * 7 + i, order),
    }));
    points.push({ step: step - 1, allowed: new Map(allowed), images });
  };
  await Promise.all(KEYS.map((key, i) => client(store, key, allowed, seed * 10 + i)));
  await store.pools.background.idle();
  disk.beforeMutation = null;
  return { points, kinds };
}

async function judge({ step, allowed, images }: Point, seed: number): Promise<void> {
  for (const { order, disk } of images) {
    const where = `seed ${seed}, step ${step}, ${order}`;
    const shown = new Map<string, Buffer | null>();
    for (const start of [1, 2]) {
      const clock = new SimulatedClock(START_MS + start * 60_000);
      const store = await simulatedStore(codec, disk, { clock, rng: seededRng(seed * 77 + step + start) });
      expect([where, store.drives.map((drive) => drive?.writeFailure?.message ?? null)]).toEqual([
        where,
        [null, null, null, null],
      ]);
      for (const key of KEYS) {
        const got = await getBytes(store.pools, key);
        const isAllowed = (start === 1 ? (allowed.get(key) ?? []) : [shown.get(key) ?? null]).some((one) =>
          one === null || got === null ? one === got : one.equals(got),
        );
        expect({ where, start, key, isAllowed, shows: isAllowed || String(got?.subarray(0, 20)) }).toEqual({
          where,
          start,
          key,
          isAllowed: true,
          shows: true,
        });
        shown.set(key, got);
      }
    }
  }
}

test.each([1, 2])(
  "what was acknowledged survives a cut before every step of a recorded run, number %p",
  async (seed) => {
    let points = 0;
    for (let pass = 0; pass < PASSES; pass++) {
      const run = await recorded(seed, (seed * 5 + pass) % STRIDE);
      for (const point of run.points) await judge(point, seed);
      points += run.points.length;
      const wanted = [Op.pwrite, Op.fdatasync, Op.syncfs, Op.rename, Op.place, Op.unlink];
      expect(wanted.filter((op) => !run.kinds.has(op))).toEqual([]);
    }
    expect(points).toBeGreaterThan(20 * PASSES);
  },
  600_000,
);
