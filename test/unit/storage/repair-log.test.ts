/** `sherd drive repair` on one drive: what is kept, what is said, and that it can be killed at any step and run again. */
import { expect, test } from "bun:test";
import { HEADER_BYTES, paddedLength } from "../../../src/storage/log-record.ts";
import { repairLog, type RepairReport } from "../../../src/storage/repair-log.ts";
import { repairText } from "../../../src/storage/repair-text.ts";
import { Errno, Op, step } from "../../../src/sys/disk.ts";
import {
  keyOf,
  LOG_FOLDER,
  must,
  openDrive,
  put,
  ROOT,
  SMALL_LOG,
  simulatedDisk,
  tagAt,
  terms,
  write,
} from "../../sim/one-drive.ts";
import { seededRng, SimulatedClock } from "../../sim/seeded.ts";
import type { SimulatedDisk } from "../../sim/simulated-disk.ts";

const SEGMENT = `${LOG_FOLDER}/segment-0`;
const KEYS = ["k1", "k2", "k3", "k4", "k5"];

/** Five keys in the log of a drive that was killed, each put and settled. */
async function killed(bytes = 0): Promise<SimulatedDisk> {
  const disk = simulatedDisk();
  const drive = await openDrive(disk);
  must(await drive.makeBucket("bucket"));
  await disk.run([step.writeFile(`${ROOT}/.minio.sys/format.json`, new TextEncoder().encode("{}"))]);
  for (const [i, key] of KEYS.entries()) await write(drive, key, BigInt(i + 1), `t-${key}`, bytes);
  return disk.fork(2);
}
function repair(disk: SimulatedDisk, dryRun = false): Promise<RepairReport> {
  return repairLog({ disk, clock: new SimulatedClock(), rng: seededRng(77), root: ROOT, size: SMALL_LOG, dryRun });
}
async function bytesOf(disk: SimulatedDisk, path: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(1 << 20);
  const { results, error } = await disk.run([step.readFile(path, bytes)]);
  expect([path, error]).toEqual([path, 0]);
  return bytes.slice(0, results[0]);
}
/** Where the record of a key's commit begins. */
async function startOf(disk: SimulatedDisk, key: string): Promise<number> {
  const segment = await bytesOf(disk, SEGMENT);
  const view = new DataView(segment.buffer);
  for (let at = 0; at + HEADER_BYTES < segment.length; ) {
    const length = view.getUint32(at, true);
    if (length === 0) break;
    if (view.getUint8(at + 20) === 1 && Buffer.from(segment.subarray(at, at + length)).includes(`t-${key}`)) return at;
    at += paddedLength(length);
  }
  throw new Error(`no record of ${key}`);
}
async function tagsOf(disk: SimulatedDisk): Promise<(string | null)[]> {
  const drive = await openDrive(disk, { warn: () => undefined });
  expect(drive.writeFailure).toBeNull();
  return await Promise.all(KEYS.map((key) => tagAt(drive, key)));
}

test("a flipped bit costs its own record only: the others are there, and the old log and a report are kept", async () => {
  const disk = await killed();
  const old = await bytesOf(disk, SEGMENT);
  disk.damage(SEGMENT, (await startOf(disk, "k3")) + 130);
  const report = await repair(disk);
  expect(report).toMatchObject({ kept: 8, unreadableBytes: 0, withoutImage: [] });
  expect(report.lost).toMatchObject([{ segment: 0, perhapsOf: "bucket/k3" }]);
  expect(await tagsOf(disk)).toEqual(["t-k1", "t-k2", null, "t-k4", "t-k5"]);
  expect(repairText(report)).toContain('perhaps of "bucket/k3"');
  const kept = await bytesOf(disk, `${report.movedTo}/segment-0`);
  expect(kept.filter((byte, i) => byte !== old[i])).toHaveLength(1);
  const told = JSON.parse(Buffer.from(await bytesOf(disk, `${report.movedTo}/report.json`)).toString()) as RepairReport;
  expect(told).toMatchObject({ damage: report.damage as string, kept: 8, lost: report.lost });
  expect(disk.tree(`${ROOT}/.minio.sys/sherd`)).toContain("rebuild");
});

test("a damaged length, a zeroed sector and a lost checkpoint note cost what they hit", async () => {
  for (const wound of ["length", "sector", "note"] as const) {
    const disk = await killed(1_500);
    const at = await startOf(disk, "k2");
    if (wound === "length") disk.damage(SEGMENT, at + 1);
    if (wound === "sector") await disk.run([step.openAppend(SEGMENT), step.pwrite(new Uint8Array(512), at)]);
    if (wound === "note") for (const slot of [0, 4096]) disk.damage(`${LOG_FOLDER}/checkpoint`, slot + 20);
    expect((await openDrive(disk.fork(3), { warn: () => undefined })).writeFailure?.message).toContain("damaged");
    await repair(disk);
    const tags = await tagsOf(disk);
    expect([wound, tags]).toEqual([wound, ["t-k1", wound === "note" ? "t-k2" : null, "t-k3", "t-k4", "t-k5"]]);
  }
});

test("what the drive cannot read is counted, and the rest of the segment is kept", async () => {
  const disk = await killed(1_500);
  const real = disk.run.bind(disk);
  disk.run = (steps) => {
    const isHit = steps.some(
      ({ op, a }) => op === Op.pread && (a[2] as number) < 8192 && (a[2] as number) + (a[1] as number) > 4096,
    );
    return isHit ? Promise.resolve({ error: Errno.EIO, failedStep: 1, results: [] }) : real(steps);
  };
  const report = await repair(disk);
  disk.run = real;
  expect(report.unreadableBytes).toBe(4096);
  expect(report.kept).toBeGreaterThan(3);
  expect((await tagsOf(disk)).filter((tag) => tag !== null).length).toBeGreaterThan(1);
});

test("a dry run says the same and changes nothing; a whole log is left alone", async () => {
  const disk = await killed();
  expect(await repair(disk)).toMatchObject({ damage: null, movedTo: null });
  disk.damage(SEGMENT, (await startOf(disk, "k3")) + 60);
  const folder = (): Promise<unknown> => Promise.all([disk.tree(ROOT), bytesOf(disk, SEGMENT), disk.syncs]);
  const before = await folder();
  const dry = await repair(disk, true);
  expect([await folder(), dry.movedTo, dry.kept]).toEqual([before, null, 8]);
  expect(repairText(dry)).toContain("without --dry-run");
  const { movedTo: _, ...said } = dry;
  expect(await repair(disk)).toMatchObject(said);
});

test("what a drive refused before the damage it refuses after the repair", async () => {
  const disk = simulatedDisk();
  const drive = await openDrive(disk);
  must(await drive.makeBucket("bucket"));
  await disk.run([step.writeFile(`${ROOT}/.minio.sys/format.json`, new TextEncoder().encode("{}"))]);
  await write(drive, "k1", 1n, "t-k1");
  await write(drive, "k3", 2n, "t-k3");
  must(await drive.fence(keyOf("k2"), 50n)); // this promise is lost
  await write(drive, "k4", 4n, "t-k4");
  const hurt = disk.fork(1);
  hurt.damage(SEGMENT, (await startOf(hurt, "k3")) + 60);
  await repair(hurt);
  const again = await openDrive(hurt, { warn: () => undefined });
  expect(must(await again.commit(keyOf("k2"), put(40n, "x"), terms(40n)))).toMatchObject({ reason: "stale" });
});

test("killed before any step and run again, it ends the same", async () => {
  const hurt = await killed();
  hurt.damage(SEGMENT, (await startOf(hurt, "k3")) + 60);
  for (let n = 0; ; n++) {
    const disk = hurt.fork(n + 1);
    disk.crashAt(n);
    const done = repair(disk).then(() => "done" as const);
    const outcome = await Promise.race([done, disk.crashed.then(() => "crashed" as const)]);
    if (outcome === "done") {
      expect(n).toBeGreaterThan(10);
      return;
    }
    for (const order of ["ordered", "any"] as const) {
      const after = disk.afterCrash(n + 50, order);
      const started = await openDrive(after.fork(1), { warn: () => undefined });
      const isStill = started.writeFailure !== null; // never a start that has forgotten something and does not know
      if (!isStill) expect([n, order, await tagAt(started, "k5")]).toEqual([n, order, "t-k5"]);
      await repair(after);
      expect([n, order, await tagsOf(after)]).toEqual([n, order, ["t-k1", "t-k2", null, "t-k4", "t-k5"]]);
    }
  }
});
