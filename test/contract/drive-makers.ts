/**
 * The drives that the contract suite runs on: LocalDrive on a real directory with the native pool, LocalDrive on the
 * simulated disk, and a GuardedDrive around each. A new implementation adds a maker here and changes no test.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadCodec } from "../../src/codec/native.ts";
import { NativePool } from "../../src/codec/pool.ts";
import type { Drive, DriveOutcome } from "../../src/storage/drive.ts";
import { GroupSync } from "../../src/storage/group-sync.ts";
import { GuardedDrive } from "../../src/storage/guarded-drive.ts";
import { LocalDrive } from "../../src/storage/local-drive.ts";
import { type Clock, realClock } from "../../src/sys/clock.ts";
import type { Disk } from "../../src/sys/disk.ts";
import { realRng } from "../../src/sys/rng.ts";
import { seededRng } from "../sim/seeded.ts";
import { SimulatedDisk } from "../sim/simulated-disk.ts";

/** One empty drive and what a test may do behind its back. Dispose it. */
export interface DriveUnderTest extends Disposable {
  readonly drive: Drive;
  /** The drive as the next process finds it after this one was killed. */
  reopen(): Promise<Drive>;
  /** Changes a bit of a file; path below the drive. */
  damage(path: string, offset: number): void;
  /** Cuts a file short. */
  cut(path: string, bytes: number): void;
}
export interface DriveMaker {
  readonly name: string;
  make(): Promise<DriveUnderTest>;
}

const codec = loadCodec();
export const native: NativePool = new NativePool(codec, { threads: 2, threadsMax: 16 });
const SIMULATED_ROOT = "/drive";

/** Its timers never fire: a drive that was killed does nothing later. */
export function stillClock(): Clock {
  return { ...realClock(), after: () => () => undefined };
}
export const SMALL_LOG = { segmentBytes: 65_536, totalBytes: 262_144 };

export function must<T>(outcome: DriveOutcome<T>): T {
  if (!outcome.ok) throw outcome.error;
  return outcome.value;
}

export async function openLocal(disk: Disk, root: string, seed: number | null = null): Promise<Drive> {
  const rng = seed === null ? realRng() : seededRng(seed);
  const groupSync = new GroupSync(disk, root);
  return must(
    await LocalDrive.open({
      id: "id",
      root,
      endpoint: root,
      disk,
      rng,
      groupSync,
      clock: stillClock(),
      warn: () => undefined,
      log: SMALL_LOG,
    }),
  );
}

async function makeReal(): Promise<DriveUnderTest> {
  const base = mkdtempSync(join(tmpdir(), "sherd-contract-"));
  const root = join(base, "d1");
  mkdirSync(root);
  return {
    drive: await openLocal(native, root),
    reopen: () => openLocal(native, root),
    damage(path, offset) {
      const bytes = readFileSync(join(root, path));
      bytes[offset] = (bytes[offset] as number) ^ 1;
      writeFileSync(join(root, path), bytes);
    },
    cut: (path, bytes) => truncateSync(join(root, path), bytes),
    [Symbol.dispose]: () => rmSync(base, { recursive: true, force: true }),
  };
}

export function simulatedDriveDisk(seed: number): SimulatedDisk {
  return SimulatedDisk.create(codec, seed, [SIMULATED_ROOT]);
}
export function openSimulated(disk: SimulatedDisk, seed: number): Promise<Drive> {
  return openLocal(disk, SIMULATED_ROOT, seed);
}

async function makeSimulated(): Promise<DriveUnderTest> {
  const disk = simulatedDriveDisk(1);
  let opened = 1;
  return {
    drive: await openSimulated(disk, opened),
    reopen: () => openSimulated(disk, ++opened),
    damage: (path, offset) => disk.damage(`${SIMULATED_ROOT}/${path}`, offset),
    cut: (path, bytes) => disk.cut(`${SIMULATED_ROOT}/${path}`, bytes),
    [Symbol.dispose]: () => disk.crash(),
  };
}

function guarded(make: () => Promise<DriveUnderTest>): () => Promise<DriveUnderTest> {
  const guard = (drive: Drive): Drive => new GuardedDrive(drive, { clock: realClock(), onState: () => undefined });
  return async () => {
    const inner = await make();
    return { ...inner, drive: guard(inner.drive), reopen: async () => guard(await inner.reopen()) };
  };
}

export const DRIVE_MAKERS: readonly DriveMaker[] = [
  { name: "local drive", make: makeReal },
  { name: "simulated drive", make: makeSimulated },
  { name: "guarded local drive", make: guarded(makeReal) },
  { name: "guarded simulated drive", make: guarded(makeSimulated) },
];
