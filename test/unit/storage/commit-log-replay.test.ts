/** What a start makes of the log that a crash left: torn ends, damage, other programs on the drive, a full log. */
import { expect, test } from "bun:test";
import { claimedMark, HEADER_BYTES, paddedLength, RecordWriter, sealRecords } from "../../../src/storage/log-record.ts";
import { type CheckpointNote, NoteFile } from "../../../src/storage/checkpoint-note.ts";
import type { Change } from "../../../src/storage/drive.ts";
import type { LocalDrive } from "../../../src/storage/local-drive.ts";
import { step } from "../../../src/sys/disk.ts";
import {
  erase,
  keyOf,
  LOG_FOLDER,
  must,
  openDrive,
  put,
  ROOT,
  simulatedDisk,
  tagAt,
  tagOf,
  terms,
  write,
} from "../../sim/one-drive.ts";
import type { SimulatedDisk } from "../../sim/simulated-disk.ts";

const SEGMENT = `${LOG_FOLDER}/segment-0`;

async function opened(): Promise<{ disk: SimulatedDisk; drive: LocalDrive }> {
  const disk = simulatedDisk();
  const drive = await openDrive(disk);
  must(await drive.makeBucket("bucket"));
  return { disk, drive };
}
async function bytesOf(disk: SimulatedDisk, path: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(1 << 20);
  const { results } = await disk.run([step.readFile(path, bytes)]);
  return bytes.subarray(0, results[0]);
}
/** Where the records of a segment begin, and where they end. */
function startsOf(segment: Uint8Array): number[] {
  const view = new DataView(segment.buffer, segment.byteOffset);
  const starts = [0];
  for (let at = 0; at + HEADER_BYTES <= segment.length; starts.push(at)) {
    const length = view.getUint32(at, true);
    if (length === 0) break;
    at += paddedLength(length);
  }
  return starts;
}
async function overwritten(
  disk: SimulatedDisk,
  offset: number,
  bytes: Uint8Array,
  seed: number,
): Promise<SimulatedDisk> {
  const copy = disk.fork(seed);
  await copy.run([step.openAppend(SEGMENT), step.pwrite(bytes, offset)]);
  return copy;
}

test("a log torn at any byte of its last record is as before that record", async () => {
  const { disk, drive } = await opened();
  await write(drive, "key", 10n, "old");
  must(await drive.commit(keyOf("key"), put(20n, "new"), terms(20n)));
  const segment = await bytesOf(disk, SEGMENT);
  // In the last batch: the commit, and the settle of the one before, which rode along.
  const [last, settle, end] = startsOf(segment).slice(-3) as [number, number, number];
  for (let cut = last; cut < end; cut += cut < last + 64 ? 1 : 13) {
    const torn = await overwritten(disk, cut, new Uint8Array(end - cut), cut);
    const again = await openDrive(torn, { seed: cut });
    const isWhole = cut >= settle || segment.subarray(cut, settle).every((byte) => byte === 0);
    expect([cut, await tagAt(again, "key")]).toEqual([cut, isWhole ? "new" : "old"]);
    expect(again.writeFailure).toBeNull();
    must(await again.settle(keyOf("key"), 20n));
    must(await again.settle(keyOf("key"), 10n));
    await write(again, "key", 30n, "next"); // it goes on behind the torn end
    expect(await tagAt(await openDrive(torn.fork(1)), "key")).toBe("next");
  }
});

test("what a torn batch left behind its hole is never read later", async () => {
  const { disk, drive } = await opened();
  const paths = ["a", "b", "c"];
  for (const path of paths) await write(drive, path, 10n, "x");
  await Promise.all(paths.map((path) => drive.commit(keyOf(path), put(20n, "torn"), terms(20n))));
  const starts = startsOf(await bytesOf(disk, SEGMENT));
  const hole = starts.at(-5) as number; // of the batch: a, b, c and the settle of the last one, which rode along
  const torn = await overwritten(disk, hole, new Uint8Array(8), 3);
  const again = await openDrive(torn);
  expect(again.writeFailure).toBeNull();
  for (const path of paths) expect(await tagAt(again, path)).toBe("x");
  // A record as long as the lost one: the stale ones behind it must not join it.
  must(await again.settle(keyOf("c"), 10n));
  must(await again.commit(keyOf("a"), put(30n, "torn"), terms(30n)));
  const third = await openDrive(torn.fork(4));
  expect(await tagAt(third, "a")).toBe("torn");
  expect([await tagAt(third, "b"), await tagAt(third, "c")]).toEqual(["x", "x"]);
});

test("damage in the middle stops writes and says what to do; reads and the log itself stay", async () => {
  const { disk, drive } = await opened();
  for (const i of [1, 2, 3, 4]) await write(drive, `key${i}`, BigInt(i), `t${i}`);
  const starts = startsOf(await bytesOf(disk, SEGMENT));
  const damaged = disk.fork(5);
  damaged.damage(SEGMENT, (starts[1] as number) + 60);
  const before = await bytesOf(damaged, SEGMENT);
  const warnings: string[] = [];
  const again = await openDrive(damaged, { warn: (message) => warnings.push(message) });
  expect(again.writeFailure?.code).toBe("ReadOnly");
  expect(warnings.join()).toContain("damaged");
  expect(warnings.join()).toContain(`sherd drive repair ${ROOT}`);
  expect((await again.commit(keyOf("key9"), put(90n, "x"), terms(90n))).ok).toBe(false);
  expect(await tagAt(again, "key1")).toBe("t1");
  await again.close();
  expect(await bytesOf(damaged, SEGMENT)).toEqual(before);
});

/** Whole records of a batch to come, without this log's mark, at every alignment. */
function craftedRecords(sequence: number): Uint8Array<ArrayBuffer> {
  const crafted = new Uint8Array(new ArrayBuffer(8 * (HEADER_BYTES + 9)));
  const record = new Uint8Array(new ArrayBuffer(HEADER_BYTES));
  new RecordWriter(record, 0).write({ type: "settle", sequences: [] }, 0);
  sealRecords(record, sequence);
  for (let i = 0; i < 8; i++) crafted.set(record, i * (HEADER_BYTES + 9));
  return crafted;
}

test("what a client stored is no record to a replay, though it looks like one and lies behind the log's end", async () => {
  const { disk, drive } = await opened();
  await write(drive, "before", 10n, "x", 400);
  const plain = put(11n, "bait") as Extract<Change, { kind: "put" }>;
  const bait: Change = { ...plain, data: { kind: "inline", bytes: craftedRecords(500) } };
  must(await drive.commit(keyOf("bait"), bait, terms(11n)));
  must(await drive.settle(keyOf("bait"), 11n));
  expect(await drive.flush()).toBe(true); // the log begins anew in the same segment
  await write(drive, "after", 12n, "y");
  const again = await openDrive(disk.fork(2)); // throws at a warning
  expect(again.writeFailure).toBeNull();
  expect(await tagAt(again, "after")).toBe("y");
  await write(again, "more", 13n, "z");
});

test("a log that was stopped clean gets a new mark, and one that crashed keeps its own", async () => {
  const markOf = async (disk: SimulatedDisk): Promise<number> => claimedMark(await bytesOf(disk, SEGMENT), 0) ?? 0;
  const { disk, drive } = await opened();
  await write(drive, "key", 10n, "x");
  const first = await markOf(disk);
  const crashed = disk.fork(2);
  await openDrive(crashed);
  expect([await markOf(crashed), first === 0]).toEqual([first, false]);
  await drive.close();
  await write(await openDrive(disk), "key", 11n, "y");
  expect(await markOf(disk)).not.toBe(first);
});

test("a log from before there were marks is read, and gets one when it is stopped clean", async () => {
  const { disk, drive } = await opened();
  await write(drive, "key", 10n, "x");
  const old = disk.fork(2);
  const log = await bytesOf(old, SEGMENT);
  for (const at of startsOf(log).slice(0, -1)) {
    log.fill(0, at + 16, at + 20);
    log.fill(0, at + 21, at + 24);
  }
  const note = new NoteFile(old, `${LOG_FOLDER}/checkpoint`);
  const known = (await note.read()) as CheckpointNote;
  sealRecords(log, known.sequence + 1);
  await old.run([step.openAppend(SEGMENT), step.pwrite(log, 0)]);
  for (let slot = 0; slot < 2; slot++) await note.write({ ...known, mark: 0 });

  const again = await openDrive(old);
  expect(await tagAt(again, "key")).toBe("x");
  must(await again.settle(keyOf("key"), 10n));
  await write(again, "more", 11n, "y");
  const crashed = await openDrive(old.fork(3));
  expect([await tagAt(crashed, "key"), await tagAt(crashed, "more")]).toEqual(["x", "y"]);
  await again.close();
  await write(await openDrive(old), "key", 12n, "z");
  expect(claimedMark(await bytesOf(old, SEGMENT), 0)).toBeGreaterThan(0);
});

test("doubts, promises and fences are there after a crash, and what was restored is not", async () => {
  const { disk, drive } = await opened();
  await write(drive, "doubt", 10n, "old");
  must(await drive.commit(keyOf("doubt"), put(20n, "new"), terms(20n)));
  must(await drive.commit(keyOf("restored"), put(21n, "x"), terms(21n)));
  must(await drive.restore(keyOf("restored"), 21n, 21n));
  must(await drive.fence(keyOf("fenced"), 50n));
  must(await drive.commit(keyOf("doubt"), put(60n, "refused"), terms(60n)));
  const again = await openDrive(disk.fork(2));
  const state = must(await again.read(keyOf("doubt")));
  expect([tagOf(state.meta), state.stamp, tagOf(state.prev?.meta ?? null), state.promised]).toEqual([
    "new",
    20n,
    "old",
    60n,
  ]);
  expect(await tagAt(again, "restored")).toBeNull();
  expect(must(await again.commit(keyOf("restored"), put(21n, "x"), terms(21n)))).toMatchObject({ reason: "stale" });
  expect(must(await again.commit(keyOf("fenced"), put(49n, "x"), terms(49n)))).toMatchObject({ reason: "stale" });
  must(await again.settle(keyOf("doubt"), 20n));
  expect(must(await again.read(keyOf("doubt"))).prev).toBeNull();
});

test("a key that another program changed meanwhile keeps what is newer, and the operator is told", async () => {
  const { disk, drive } = await opened();
  for (const path of ["same", "newer", "older", "applied"]) await write(drive, path, 10n, "first");
  await drive.flush();
  for (const path of ["same", "newer", "older", "applied"]) await write(drive, path, 50n, "second");
  const crashed = disk.fork(2);
  const other = await openDrive(simulatedDisk(9)); // makes xl.meta files for us
  must(await other.makeBucket("bucket"));
  const foreign = async (path: string, stamp: bigint): Promise<void> => {
    await write(other, path, stamp, "foreign");
    const meta = must(await other.read(keyOf(path))).meta as Uint8Array;
    await crashed.run([step.writeFile(`${ROOT}/bucket/${path}/xl.meta`, meta)]);
  };
  await foreign("newer", 90n);
  await foreign("older", 20n);
  // Its start put tmp away.
  await crashed.run([
    step.rename(`${ROOT}/.minio.sys/tmp`, `${ROOT}/.minio.sys/tmp-old/minio`),
    step.mkdirPath(`${ROOT}/.minio.sys/tmp/.trash`, ROOT),
  ]);
  const warnings: string[] = [];
  const again = await openDrive(crashed, { warn: (message) => warnings.push(message) });
  const tags = await Promise.all(["same", "newer", "older", "applied"].map((path) => tagAt(again, path)));
  expect(tags).toEqual(["second", "foreign", "second", "second"]);
  expect(warnings.filter((w) => w.includes("newer") && w.includes("stays"))).toHaveLength(1);
  expect(warnings).toHaveLength(2);
  await again.flush();
  expect(await tagAt(again, "newer")).toBe("foreign");
  expect(await tagAt(again, "older")).toBe("second");
});

test("a replay of a full log finds every key's last state", async () => {
  const { disk, drive } = await opened();
  const last = new Map<string, string | null>();
  for (let i = 0; drive.logStats().usedFraction < 0.39; i++) {
    const path = `dir${i % 5}/key${i % 40}`;
    if (i % 7 === 6 && last.get(path) !== undefined && last.get(path) !== null) {
      await erase(drive, path, BigInt(i + 1));
      last.set(path, null);
    } else {
      await write(drive, path, BigInt(i + 1), `t${i}`, 100);
      last.set(path, `t${i}`);
    }
  }
  expect(last.size).toBeGreaterThan(30);
  const again = await openDrive(disk.fork(2));
  for (const [path, tag] of last) expect([path, await tagAt(again, path)]).toEqual([path, tag]);
  await again.close();
  const third = await openDrive(disk.fork(3));
  for (const [path, tag] of last) expect([path, await tagAt(third, path)]).toEqual([path, tag]);
});

test("an undo directory of earlier versions is removed", async () => {
  const disk = simulatedDisk();
  await disk.run([
    step.mkdirPath(`${ROOT}/.minio.sys/sherd/undo`, ROOT),
    step.writeFile(`${ROOT}/.minio.sys/sherd/undo/a`, new Uint8Array(99)),
  ]);
  await openDrive(disk);
  expect(disk.tree(`${ROOT}/.minio.sys/sherd`).some((name) => name.includes("undo"))).toBe(false);
});
