/**
 * One drive under a random history, cut at a random step with unsynced writes lost in any subset, opened again, checked, and
 * cut once more: what was answered is there, what was not is old or new. The same judge catches bugs planted in the order of
 * writes and syncs; were they not caught, it would prove nothing.
 */
import { expect, test } from "bun:test";
import { FormatError } from "../../src/core/format-error.ts";
import { DriveError } from "../../src/storage/drive.ts";
import { later } from "../../src/storage/key-memory.ts";
import type { LocalDrive } from "../../src/storage/local-drive.ts";
import { LogSegments } from "../../src/storage/log-segments.ts";
import { type Disk, Op, type Step } from "../../src/sys/disk.ts";
import { DELETE, keyOf, must, openDrive, put, simulatedDisk, tagOf, terms } from "./one-drive.ts";
import { seededRng, SimulatedClock } from "./seeded.ts";
import type { SimulatedDisk } from "./simulated-disk.ts";
import type { CrashOrder } from "./simulated-files.ts";

const KEYS = ["a", "dir/b", "dir/c", "d", "e/f/g"];
const ROUNDS = 3;
const OPERATIONS = 25;
const STEPS_MAX = 300;
const TURNS_MAX = 3_000;

/** What is known of a key: its state when the last operation was answered, and what one under way may make of it. */
interface Known {
  tag: string | null;
  maybe: { readonly tag: string | null } | null;
  /** What a restore would bring back; undefined = settled. */
  prev: string | null | undefined;
  stamp: bigint;
}
type Rng = ReturnType<typeof seededRng>;

class History {
  readonly keys = new Map(
    KEYS.map((path): [string, Known] => [path, { tag: null, maybe: null, prev: undefined, stamp: 0n }]),
  );
  private clock = 10n;
  constructor(
    private readonly rng: Rng,
    private readonly isOver: () => boolean,
  ) {}

  async client(drive: LocalDrive, path: string): Promise<void> {
    const known = this.keys.get(path) as Known;
    for (let i = 0; i < OPERATIONS && !this.isOver(); i++) {
      const p = this.rng.next();
      if (p < 0.1) await drive.flush();
      else if (known.prev !== undefined && p < 0.3) await this.restore(drive, path, known);
      else await this.change(drive, path, known, p);
    }
  }

  private async change(drive: LocalDrive, path: string, known: Known, p: number): Promise<void> {
    if (known.prev !== undefined) {
      known.prev = undefined; // asked for is enough: it may be durable unanswered
      const settled = await drive.settle(keyOf(path), known.stamp);
      if (this.isOver() || !settled.ok) return;
    }
    const stamp = ++this.clock;
    const removes = known.tag !== null && p > 0.85;
    const next = removes ? null : `t${stamp}`;
    known.maybe = { tag: next };
    const bytes = p > 0.75 && p < 0.8 ? 3_000 : Math.floor(p * 600);
    const change = removes ? DELETE : put(stamp, next as string, bytes);
    const answer = await drive.commit(keyOf(path), change, terms(stamp));
    if (this.isOver() || !answer.ok || !answer.value.accepted) return;
    Object.assign(known, { prev: known.tag, tag: next, maybe: null, stamp });
  }

  private async restore(drive: LocalDrive, path: string, known: Known): Promise<void> {
    known.maybe = { tag: known.prev as string | null };
    const answer = await drive.restore(keyOf(path), known.stamp, known.stamp);
    if (this.isOver() || !answer.ok || !answer.value) return;
    Object.assign(known, { tag: known.prev, prev: undefined, maybe: null });
  }

  /** What is wrong with the drive that opened after the cut; goes on from what it shows. */
  async judge(drive: LocalDrive): Promise<string[]> {
    const wrong: string[] = [];
    if (drive.writeFailure !== null) wrong.push(drive.writeFailure.message);
    for (const [path, known] of this.keys) {
      const read = await drive.read(keyOf(path));
      if (!read.ok) {
        wrong.push(`${path}: ${read.error.message}`);
        continue;
      }
      const tag = tagOf(read.value.meta);
      const allowed = known.maybe === null ? [known.tag] : [known.tag, known.maybe.tag];
      if (!allowed.includes(tag)) wrong.push(`${path} shows ${tag}, not ${allowed.join(" or ")}`);
      if (known.maybe === null && known.prev !== undefined && read.value.prev === null)
        wrong.push(`${path} counts as settled, and nobody settled it`);
      if (read.value.prev !== null) must(await drive.settle(keyOf(path), read.value.stamp));
      this.clock = later(read.value.promised, this.clock);
      Object.assign(known, { tag, maybe: null, prev: undefined, stamp: read.value.stamp });
    }
    const shown = new Set<string>();
    for (const directory of ["", "dir", "e/f"]) {
      const listed = await drive.readDirectory("bucket", directory);
      for (const { name } of listed.ok ? listed.value : []) shown.add(directory === "" ? name : `${directory}/${name}`);
    }
    for (const [path, { tag }] of this.keys)
      if (tag !== null && !shown.has(path)) wrong.push(`${path} is not listed`);
      else if (tag === null && shown.has(path)) wrong.push(`${path} is listed and gone`);
    return wrong;
  }
}

/** Bytes that cannot be read, and drives that refuse, are findings. */
function reason(error: unknown): string {
  if (error instanceof FormatError || error instanceof DriveError) return error.message;
  throw error;
}

async function run(
  seed: number,
  order: CrashOrder,
  plant: (disk: SimulatedDisk) => Disk = (disk) => disk,
): Promise<string[]> {
  const rng = seededRng(seed);
  const log = { segmentBytes: 12_288, totalBytes: 36_864 };
  let disk = simulatedDisk(seed);
  let clock = new SimulatedClock();
  const open = (): Promise<LocalDrive> => {
    disk.hasCache = seed % 3 !== 0;
    plant(disk);
    clock = new SimulatedClock();
    return openDrive(disk, { clock, warn: () => undefined, log });
  };
  let drive = await open();
  must(await drive.makeBucket("bucket"));
  let isOver = false;
  const history = new History(rng, () => isOver);
  for (let round = 0; round < ROUNDS; round++) {
    isOver = false;
    disk.crashAt(Math.floor(rng.next() * STEPS_MAX));
    const now = drive;
    const end = Promise.race([Promise.all(KEYS.map((path) => history.client(now, path))), disk.crashed]);
    const ended = end.then(() => {
      isOver = true;
    });
    for (let turn = 0; !isOver; turn++) {
      if (turn > TURNS_MAX) return [`seed ${seed}, ${order}, round ${round}: stuck`];
      await clock.advance(7); // timers of idleness and back pressure
    }
    await ended;
    disk.crash();
    disk = disk.afterCrash(seed * ROUNDS + round, order);
    const opened = await open().catch(reason);
    if (typeof opened === "string") return [opened];
    drive = opened;
    const wrong = await history.judge(drive).catch((error: unknown) => [reason(error)]);
    if (wrong.length > 0) return wrong.map((what) => `seed ${seed}, ${order}, round ${round}: ${what}`);
  }
  return [];
}

test.each(["ordered", "any"] as const)(
  "answered operations survive cuts at any step, changes lost: %s",
  async (order) => {
    for (let seed = 1; seed <= 120; seed++) expect(await run(seed, order)).toEqual([]);
  },
  60_000,
);

/** Leaves out the steps that `drops` names. */
function without(drops: (s: Step, steps: readonly Step[]) => boolean): (disk: SimulatedDisk) => Disk {
  return (disk) => {
    const real = disk.run.bind(disk);
    disk.run = async (steps) => {
      const left = steps.filter((s) => !drops(s, steps));
      if (left.length === steps.length) return await real(steps);
      const results = steps.map(() => 0);
      if (left.length === 0) return { error: 0, failedStep: -1, results };
      return { ...(await real(left)), results };
    };
    return disk;
  };
}
async function caught(plant: (disk: SimulatedDisk) => Disk): Promise<boolean> {
  for (let seed = 1; seed <= 200; seed++)
    for (const order of ["ordered", "any"] as const) if ((await run(seed, order, plant)).length > 0) return true;
  return false;
}

test("planted: an acknowledgement before the sync is caught", async () => {
  expect(
    await caught(without((s, steps) => s.op === Op.fdatasync && steps.some((other) => other.op === Op.seal))),
  ).toBe(true);
}, 60_000);

test("planted: a checkpoint before the sync of the tree is caught", async () => {
  expect(await caught(without((s) => s.op === Op.syncfs))).toBe(true);
}, 60_000);

test("planted: a segment that is written over too early is caught", async () => {
  const { release } = LogSegments.prototype;
  LogSegments.prototype.release = function early(this: LogSegments, sequence: number, rewind: boolean): boolean {
    return release.call(this, sequence + 20, rewind);
  };
  try {
    expect(await caught((disk) => disk)).toBe(true);
  } finally {
    LogSegments.prototype.release = release;
  }
}, 60_000);
