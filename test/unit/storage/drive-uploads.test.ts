/** Parts of an upload that reach a slow drive at the same time, and the removal of the upload under them. */
import { expect, test } from "bun:test";
import { decodePartMeta, encodePartMeta } from "../../../src/storage/part-meta.ts";
import type { LocalDrive } from "../../../src/storage/local-drive.ts";
import { Op } from "../../../src/sys/disk.ts";
import { must, openDrive, put, ROOT, simulatedDisk, terms } from "../../sim/one-drive.ts";
import { SimulatedClock, timed } from "../../sim/seeded.ts";

const UPLOAD = "multipart/parent/upload";
const DATA_DIR = "00000000-0000-4000-8000-0000000000aa";
const KEY = { bucket: ".minio.sys", path: UPLOAD };

async function withUpload(seed: number) {
  const clock = new SimulatedClock();
  const disk = simulatedDisk(seed);
  const drive = await openDrive(disk, { clock });
  expect(must(await drive.commit(KEY, put(5n, "upload"), terms(5n))).accepted).toBe(true);
  must(await drive.settle(KEY, 5n));
  return { clock, disk, drive };
}

/** The n-th sending of part 1, of n bytes. */
function send(drive: LocalDrive, n: number) {
  const meta = encodePartMeta({
    etag: `${n}`,
    number: 1,
    sizeBytes: n,
    actualBytes: n,
    modTime: BigInt(n),
    index: null,
    checksums: new Map(),
  });
  return drive.putPart({ op: `op-${n}`, uploadPath: UPLOAD, dataDir: DATA_DIR, part: 1, meta });
}

async function stagedAll(drive: LocalDrive, count: number): Promise<void> {
  for (let n = 1; n <= count; n++) must(await drive.stageWhole(`op-${n}`, DATA_DIR, 1, new Uint8Array(n)));
}

test("parts come into an upload in the order in which they were sent, however slow the drive is", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const { clock, disk, drive } = await withUpload(seed);
    await stagedAll(drive, 4);
    let steps = 0;
    // Each step takes as long as it likes, the first ones longest.
    disk.fail({
      prefix: `${ROOT}/.minio.sys`,
      effect: () => clock.sleep((seed * 7919 * ++steps) % 50),
      ops: [Op.rename, Op.unlink],
    });
    const sent = [1, 2, 3, 4].map((n) => send(drive, n));
    for (const { ok } of (await timed(clock, Promise.all(sent))).value) expect(ok).toBe(true);
    const [record] = must((await timed(clock, drive.readParts(UPLOAD, DATA_DIR))).value).values();
    const file = { ...KEY, dataDir: DATA_DIR, part: 1 };
    const { etag } = decodePartMeta(record as Uint8Array);
    expect([seed, etag, must((await timed(clock, drive.shardSize(file))).value)]).toEqual([seed, "4", 4]);
  }
});

test("an upload is removed behind the parts that are under way, and what was staged for them goes too", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { clock, disk, drive } = await withUpload(seed);
    await stagedAll(drive, 2);
    const lift = disk.fail({ prefix: `${ROOT}/.minio.sys`, effect: "hang", ops: [Op.rename] });
    const sent = [send(drive, 1), send(drive, 2)];
    await clock.advance(10);
    const rest = [drive.unstage("op-1"), drive.removeUpload(UPLOAD), drive.unstage("op-2")];
    lift();
    for (const { ok } of (await timed(clock, Promise.all([...sent, ...rest]))).value) expect(ok).toBe(true);
    const left = ["multipart", "tmp"].flatMap((folder) => disk.tree(`${ROOT}/.minio.sys/${folder}`));
    expect([seed, left.filter((name) => !name.startsWith("."))]).toEqual([seed, []]);
  }
});
