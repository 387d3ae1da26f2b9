/** A drive's commit log on the simulated disk: group sync, overlay, lazy apply, back pressure, recycling, clean stop. */
import { expect, test } from "bun:test";
import { FormatError } from "../../../src/core/format-error.ts";
import { Errno, Op } from "../../../src/sys/disk.ts";
import {
  DELETE,
  erase,
  keyOf,
  LOG_FOLDER,
  must,
  openDrive,
  put,
  ROOT,
  simulatedDisk,
  SMALL_LOG,
  tagAt,
  tagOf,
  terms,
  write,
} from "../../sim/one-drive.ts";
import { realClock } from "../../../src/sys/clock.ts";
import { SimulatedClock, timed, turns } from "../../sim/seeded.ts";
import type { Change } from "../../../src/storage/drive.ts";
import type { LocalDrive } from "../../../src/storage/local-drive.ts";
import type { SimulatedDisk } from "../../sim/simulated-disk.ts";

async function opened(options: Parameters<typeof openDrive>[1] = {}) {
  const disk = simulatedDisk();
  const drive = await openDrive(disk, options);
  must(await drive.makeBucket("bucket"));
  return { disk, drive };
}
const namesOf = (entries: readonly { name: string }[]): string[] => entries.map((e) => e.name).sort();
const inTree = (disk: SimulatedDisk): string[] => disk.tree(`${ROOT}/bucket`).filter((p) => p.endsWith("xl.meta"));

test("64 commits at once share their syncs, and one alone pays one", async () => {
  const { drive, disk } = await opened({ log: { ...SMALL_LOG, segmentBytes: 65_536, totalBytes: 262_144 } });
  await write(drive, "first", 1n, "x"); // makes a segment
  const before = { file: disk.fileSyncs, fs: disk.syncs };
  await Promise.all(
    Array.from({ length: 64 }, async (_, i) => {
      const stamp = BigInt(i + 10);
      expect(must(await drive.commit(keyOf(`k${i}`), put(stamp, "x"), terms(stamp))).accepted).toBe(true);
    }),
  );
  expect(disk.fileSyncs - before.file).toBeLessThanOrEqual(8);
  expect(disk.syncs).toBe(before.fs);
  const alone = disk.fileSyncs;
  expect(must(await drive.commit(keyOf("alone"), put(100n, "x"), terms(100n))).accepted).toBe(true);
  expect(disk.fileSyncs).toBe(alone + 1);
});

/** Requests that are here come by in the turn after. */
class TurningClock extends SimulatedClock {
  /** What a turn takes. */
  turnMs = 0;
  private turns = 0;
  override yieldNow(): Promise<void> {
    this.turns++;
    return new Promise((resolve) => setImmediate(resolve));
  }
  override elapsedMs(): number {
    return super.elapsedMs() + this.turns * this.turnMs;
  }
}

test("after a batch of several the next one waits for other requests of a few short turns; after a lone one it does not", async () => {
  const clock = new TurningClock();
  const { drive, disk } = await opened({ clock });
  let stamp = 10n;
  const commit = async (path: string): Promise<void> => {
    const at = stamp++;
    expect(must(await drive.commit(keyOf(path), put(at, "x"), terms(at))).accepted).toBe(true);
  };
  const oneBehindTheOther = async (): Promise<number> => {
    const before = disk.fileSyncs;
    const first = commit(`k${stamp}`);
    for (let i = 0; i < 10; i++) await Promise.resolve();
    await Promise.all([first, commit(`k${stamp}`)]);
    return disk.fileSyncs - before;
  };
  await commit("lone");
  expect(await oneBehindTheOther()).toBe(2);
  await Promise.all([commit("a"), commit("b")]);
  expect(await oneBehindTheOther()).toBe(1);
  const someTurnsBehind = async (): Promise<number> => {
    const before = disk.fileSyncs;
    const first = commit(`k${stamp}`);
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([first, commit(`k${stamp}`)]);
    return disk.fileSyncs - before;
  };
  expect(await someTurnsBehind()).toBe(1);
  clock.turnMs = 20; // turns as long as that are not waited for
  expect(await someTurnsBehind()).toBe(2);
});

test("nothing is in the tree until the drive is idle; a key overwritten or deleted sooner never is", async () => {
  const clock = new SimulatedClock();
  const { drive, disk } = await opened({ clock });
  await write(drive, "dir/kept", 10n, "one");
  await write(drive, "dir/kept", 11n, "two");
  await write(drive, "gone", 12n, "x");
  await erase(drive, "gone", 13n);
  await clock.advance(150);
  expect(inTree(disk)).toEqual([]);
  expect(await tagAt(drive, "dir/kept")).toBe("two");
  const made: string[] = [];
  const run = disk.run.bind(disk);
  disk.run = (steps) => {
    for (const s of steps) if (s.op === Op.place) made.push(String(s.a[0]));
    return run(steps);
  };
  await clock.advance(300);
  expect(made).toEqual([`${ROOT}/bucket/dir/kept/xl.meta`]);
  expect(inTree(disk)).toEqual(["dir/kept/xl.meta"]);
  expect(drive.logStats().waiting).toBe(0);
  expect(await tagAt(drive, "dir/kept")).toBe("two");
  expect(await tagAt(drive, "gone")).toBeNull();
});

test("what is younger than it should be stays in the log, and is applied when it is not any more", async () => {
  const clock = new SimulatedClock();
  const { drive, disk } = await opened({ clock, log: { ...SMALL_LOG, applyAfterMs: 60_000 } });
  await write(drive, "old", 10n, "one");
  await clock.advance(40_000);
  await write(drive, "young", 11n, "two");
  await write(drive, "short", 12n, "x");
  expect(inTree(disk)).toEqual([]);
  await clock.advance(21_000);
  expect(inTree(disk)).toEqual(["old/xl.meta"]);
  expect(await tagAt(drive, "young")).toBe("two");
  await erase(drive, "short", 13n);
  await clock.advance(61_000);
  expect(inTree(disk)).toEqual(["old/xl.meta", "young/xl.meta"]);
  await clock.advance(61_000);
  expect(drive.logStats().waiting).toBe(0);
});

test("a log that fills up does not wait for the age of what its full segments hold", async () => {
  const clock = new SimulatedClock();
  const { drive, disk } = await opened({ clock, log: { ...SMALL_LOG, applyAfterMs: 60_000 } });
  for (let i = 0; i < 80; i++) await write(drive, `key${i}`, BigInt(i + 1), `t${i}`, 500);
  await clock.advance(100);
  expect(inTree(disk)).toContain("key0/xl.meta");
  expect(drive.logStats().waiting).toBeGreaterThan(0);
  expect(inTree(disk)).not.toContain("key79/xl.meta");
});

test("a log that fills up is applied as far as it must: what is replaced again and again hardly is, and what is new stays", async () => {
  const clock = new SimulatedClock();
  const { drive, disk } = await opened({ clock, log: { ...SMALL_LOG, applyAfterMs: 60_000 } });
  let stamp = 1n;
  for (let i = 0; i < 400; i++) {
    await write(drive, `same${i % 3}`, stamp++, `t${i}`, 500);
    await clock.advance(10);
    expect(drive.logStats().usedFraction).toBeLessThan(0.8);
  }
  expect(drive.logStats().applied).toBeLessThan(3 * 20); // of 400 writes, 6 times the log's size
  const before = drive.logStats().applied;
  for (let i = 0; drive.logStats().applied < before + 10; i++) {
    await write(drive, `other${i}`, stamp++, "x", 500);
    await clock.advance(10);
  }
  expect(drive.logStats().usedFraction).toBeGreaterThan(0.2);
  expect(inTree(disk).length).toBeLessThan(drive.logStats().waiting);
});

test("listings show what is only in the log and hide what it deleted", async () => {
  const { drive } = await opened();
  await write(drive, "a/old", 10n, "x");
  await write(drive, "a/b/deep", 11n, "x");
  await drive.flush();
  await erase(drive, "a/old", 20n);
  await erase(drive, "a/b/deep", 21n);
  await write(drive, "a/new/deep", 22n, "x");
  expect(namesOf(must(await drive.readDirectory("bucket", "a")))).toEqual(["new"]);
  const look = must(await drive.look(keyOf("a/new")));
  expect([look.state.meta, look.directories]).toEqual([null, ["deep"]]);
  expect((await drive.readDirectory("bucket", "a/b")).ok).toBe(false);
});

test("a clean stop leaves everything in the tree and nothing to replay", async () => {
  const { drive, disk } = await opened();
  for (let i = 0; i < 40; i++) await write(drive, `dir${i % 3}/key${i}`, BigInt(i + 1), `t${i}`, 500);
  await erase(drive, "dir0/key0", 100n);
  await drive.close();
  expect(inTree(disk)).toHaveLength(39);
  const reads: string[] = [];
  const run = disk.run.bind(disk);
  disk.run = (steps) => {
    for (const s of steps) if (s.op === Op.pread) reads.push("log");
    return run(steps);
  };
  const again = await openDrive(disk);
  expect(reads).toEqual([]);
  expect(await tagAt(again, "dir1/key1")).toBe("t1");
  expect(await tagAt(again, "dir0/key0")).toBeNull();
  // What was promised is not forgotten with the log.
  expect(must(await again.commit(keyOf("dir0/key0"), put(100n, "late"), terms(100n)))).toMatchObject({
    accepted: false,
    reason: "stale",
  });
});

test("many times the log's size goes through it: segments are written over, commits only slow down", async () => {
  const clock = new SimulatedClock();
  const { drive, disk } = await opened({ clock });
  let slowest = 0;
  let done = 0;
  const writer = async (w: number): Promise<void> => {
    for (let i = 0; i < 60; i++) {
      const before = clock.elapsedMs();
      await write(drive, `w${w}/key${i}`, BigInt(1000 * (w + 1) + i), `w${w}i${i}`, 900);
      slowest = Math.max(slowest, clock.elapsedMs() - before);
      done++;
    }
  };
  const all = Promise.all([0, 1, 2, 3, 4, 5].map(writer));
  while (done < 360) await clock.advance(1);
  await all;
  expect(slowest).toBeLessThan(1000);
  expect(drive.logStats().usedFraction).toBeLessThanOrEqual(1);
  expect(disk.tree(LOG_FOLDER).filter((n) => n.startsWith("segment-")).length).toBeLessThanOrEqual(4);
  for (const w of [0, 5]) for (const i of [0, 59]) expect(await tagAt(drive, `w${w}/key${i}`)).toBe(`w${w}i${i}`);
  await drive.flush();
  expect(inTree(disk)).toHaveLength(360);
});

test("an operation that stays in doubt is written again and does not hold its segment", async () => {
  const { drive, disk } = await opened();
  await write(drive, "doubtful", 5n, "before");
  expect(must(await drive.commit(keyOf("doubtful"), put(10n, "after"), terms(10n))).accepted).toBe(true);
  for (let i = 0; i < 200; i++) {
    await write(drive, `key${i}`, BigInt(100 + i), "x", 900);
    if (i % 20 === 0) await drive.flush();
  }
  const state = must(await drive.read(keyOf("doubtful")));
  expect([tagOf(state.meta), tagOf(state.prev?.meta ?? null)]).toEqual(["after", "before"]);
  const again = await openDrive(disk.fork(3));
  expect(again.doubts()).toContainEqual(keyOf("doubtful"));
  must(await again.fence(keyOf("doubtful"), 1000n));
  expect(must(await again.restore(keyOf("doubtful"), 1000n, 10n))).toBe(true);
  expect(await tagAt(again, "doubtful")).toBe("before");
});

test("a log of which most is in doubt is not written again for it, and holds up what is not until it is decided", async () => {
  const { drive, disk } = await opened();
  const run = disk.run.bind(disk);
  let tasks = 0;
  disk.run = (steps) => {
    if (++tasks > 2_000) throw new Error("the log is written again and again");
    return run(steps);
  };
  const doubtful = Array.from({ length: 30 }, (_, i) => `doubtful${i}`);
  for (const [i, name] of doubtful.entries())
    expect(must(await drive.commit(keyOf(name), put(10n + BigInt(i), "x", 900), terms(10n + BigInt(i)))).accepted).toBe(
      true,
    );
  expect(drive.logStats().usedFraction).toBeGreaterThan(0.5);
  for (let i = 0; i < 5; i++) await write(drive, `key${i}`, BigInt(100 + i), "y");
  expect(await drive.flush()).toBe(false);
  expect(drive.doubts().length).toBe(doubtful.length);
  for (const [i, name] of doubtful.entries()) must(await drive.settle(keyOf(name), 10n + BigInt(i)));
  expect(await drive.flush()).toBe(true);
  expect(inTree(disk).length).toBe(doubtful.length + 5);
});

/** What the key shows, what it replaced and its stamp; then what it shows when it was taken back, and when that is applied. */
async function takenBack(drive: LocalDrive): Promise<unknown[]> {
  const { meta, prev } = must(await drive.read(keyOf("key")));
  expect(must(await drive.restore(keyOf("key"), 20n, 20n))).toBe(true);
  const restored = await tagAt(drive, "key");
  expect(await drive.flush()).toBe(true);
  return [tagOf(meta), tagOf(prev?.meta ?? null), prev?.stamp, restored, await tagAt(drive, "key")];
}

test("what the log has of a key is not written again by what replaces it, and a restore finds it there", async () => {
  const { drive, disk } = await opened();
  await write(drive, "key", 10n, "before", 3_000);
  const { usedBytes } = drive.logStats();
  expect(must(await drive.commit(keyOf("key"), DELETE, terms(20n))).accepted).toBe(true);
  expect(drive.logStats().usedBytes - usedBytes).toBeLessThan(200);
  for (const one of [await openDrive(disk.fork(2)), drive]) {
    expect(await takenBack(one)).toEqual([null, "before", 10n, "before", "before"]);
  }
});

test("what a record replaces is found in the tree if it was brought there before the record was written", async () => {
  const clock = new SimulatedClock();
  const { drive, disk } = await opened({ clock });
  await write(drive, "key", 10n, "before");
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const run = disk.run.bind(disk);
  disk.run = async (steps) => {
    if (steps.some((s) => s.op === Op.seal)) await gate;
    return await run(steps);
  };
  const commit = drive.commit(keyOf("key"), put(20n, "after"), terms(20n));
  await clock.advance(300);
  expect(inTree(disk)).toEqual(["key/xl.meta"]);
  open();
  expect(must(await commit).accepted).toBe(true);
  disk.run = run;
  for (const one of [await openDrive(disk.fork(2)), drive]) {
    expect(await takenBack(one)).toEqual(["after", "before", 10n, "before", "before"]);
  }
});

test("a delete after a commit that was taken back removes what reached the tree while it was taken back", async () => {
  const clock = new SimulatedClock();
  const { drive, disk } = await opened({ clock });
  await write(drive, "key", 10n, "before");
  const gates = new Map([Op.place, Op.seal].map((op) => [op as number, Promise.withResolvers<void>()]));
  const run = disk.run.bind(disk);
  const isHeld = new Set<number>([Op.place]);
  disk.run = async (steps) => {
    for (const { op } of steps) if (isHeld.has(op)) await gates.get(op)?.promise;
    return await run(steps);
  };
  await clock.advance(300); // it is being applied, and replaced meanwhile
  expect(must(await drive.commit(keyOf("key"), put(20n, "after"), terms(20n))).accepted).toBe(true);
  isHeld.add(Op.seal);
  const restored = drive.restore(keyOf("key"), 20n, 20n);
  await turns();
  gates.get(Op.place)?.resolve();
  await turns();
  expect(inTree(disk)).toEqual(["key/xl.meta"]);
  gates.get(Op.seal)?.resolve();
  expect(must(await restored)).toBe(true);
  disk.run = run;
  await erase(drive, "key", 30n);
  expect(await drive.flush()).toBe(true);
  expect(inTree(disk)).toEqual([]);
});

test("a key that is replaced again and again does not fill the log", async () => {
  const clock = new SimulatedClock();
  const { drive } = await opened({ clock, log: { ...SMALL_LOG, applyAfterMs: 60_000 } });
  let done = 0;
  const writer = async (): Promise<void> => {
    for (let i = 0; i < 400; i++) await write(drive, "hot", BigInt(10 + i), `t${i}`, 500);
    done++;
  };
  const all = writer();
  for (let turn = 0; done === 0; turn++) {
    expect(turn).toBeLessThan(2_000);
    await clock.advance(5);
  }
  await all;
  expect(await tagAt(drive, "hot")).toBe("t399");
});

test("an image too large for a record is a file beside the log, and goes when it is applied", async () => {
  const { drive, disk } = await opened();
  await write(drive, "large", 10n, "one", 9_000);
  await write(drive, "large", 11n, "two", 9_000);
  const images = (): number => disk.tree(LOG_FOLDER).filter((n) => n.startsWith("image-")).length;
  expect(images()).toBeGreaterThan(0);
  const again = await openDrive(disk.fork(2));
  expect(await tagAt(again, "large")).toBe("two");
  expect(await tagAt(drive, "large")).toBe("two");
  await drive.flush();
  expect(images()).toBe(0);
  expect(await tagAt(drive, "large")).toBe("two");
  expect(inTree(disk)).toEqual(["large/xl.meta"]);
});

test.each([
  ["EIO", Errno.EIO, "ReadOnly"],
  ["ENOSPC", Errno.ENOSPC, "NoSpace"],
  ["EROFS", Errno.EROFS, "ReadOnly"],
])("a log that answers %s takes the drive out of writes, and reads go on", async (_, errno, code) => {
  const said: string[] = [];
  const { drive, disk } = await opened({ warn: (message) => said.push(message) });
  await write(drive, "key", 10n, "kept");
  disk.fail({ prefix: LOG_FOLDER, effect: errno, ops: [Op.pwrite, Op.fdatasync] });
  expect((await drive.commit(keyOf("key"), put(20n, "lost"), terms(20n))).ok).toBe(false);
  const later = await drive.commit(keyOf("other"), put(30n, "lost"), terms(30n));
  expect(later.ok ? "ok" : later.error.code).toBe(code as "ReadOnly");
  for (const call of [
    drive.fence(keyOf("key"), 40n),
    drive.settle(keyOf("key"), 10n),
    drive.restore(keyOf("key"), 40n, 10n),
    drive.makeBucket("more"),
    drive.removeBucket("bucket"),
    drive.removeUpload("multipart/x/y"),
  ])
    expect((await call).ok).toBe(false);
  expect(await tagAt(drive, "key")).toBe("kept");
  expect(drive.state).toBe("suspect");
  expect(drive.writeFailure?.message).toContain("reads go on");
  expect(said).toHaveLength(1);
});

test.each([
  ["ENOSPC", Errno.ENOSPC],
  ["EROFS", Errno.EROFS],
  ["EDQUOT", Errno.EDQUOT],
])("a log write that %s refused changes nothing, and the drive comes back by itself", async (_, errno) => {
  const clock = new SimulatedClock();
  const said: string[] = [];
  const { drive, disk } = await opened({ clock, warn: (message) => said.push(message) });
  await write(drive, "key", 10n, "kept");
  const lift = disk.fail({ prefix: LOG_FOLDER, effect: errno, ops: [Op.pwrite] });
  const refused = ["a", "b", "c"].map((name, i) => drive.commit(keyOf(name), put(20n, "lost"), terms(BigInt(20 + i))));
  for (const outcome of await Promise.all(refused))
    expect(outcome).toMatchObject({ ok: false, error: { code: errno === Errno.EROFS ? "ReadOnly" : "NoSpace" } });
  await clock.advance(20_000);
  expect(drive.state).toBe("suspect");
  lift();
  await clock.advance(6_000); // nobody asks
  expect([drive.state, said.length, said[1]]).toEqual(["ok", 2, `${ROOT}: takes writes again`]);
  await write(drive, "after", 30n, "kept");
  for (const now of [drive, await openDrive(disk.afterCrash(1, "any"))]) {
    expect([await tagAt(now, "key"), await tagAt(now, "after")]).toEqual(["kept", "kept"]);
    for (const name of ["a", "b", "c"]) expect(await tagAt(now, name)).toBeNull();
  }
});

const PLACE_MS = 2;
const WIDE_LOG = { segmentBytes: 1024 * 1024, totalBytes: 4 * 1024 * 1024 };

/** Until something was applied because the log was half full, or cannot be; the stamp of the next write. */
async function fillHalf(drive: Awaited<ReturnType<typeof opened>>["drive"]): Promise<bigint> {
  let stamp = 2n;
  const isOver = (): boolean => drive.logStats().applied > 1_600 || drive.writeFailure !== null;
  for (; stamp < 20_000n && !isOver(); stamp += 16n) {
    await Promise.all(
      Array.from({ length: 16 }, async (_, i) => {
        const own = stamp + BigInt(i);
        await drive.commit(keyOf(`k${own}`), put(own, "x"), terms(own));
        await drive.settle(keyOf(`k${own}`), own);
      }),
    );
    await realClock().yieldNow();
  }
  return stamp;
}

test("what a full log needs in the tree is synced in pieces", async () => {
  const { drive, disk } = await opened({ clock: realClock(), log: WIDE_LOG });
  await write(drive, "first", 1n, "x");
  const before = disk.syncs;
  await fillHalf(drive);
  const { applied } = drive.logStats();
  expect(applied).toBeGreaterThan(1_600);
  const others = 2; // segments that are made
  expect(disk.syncs - before - others).toBeGreaterThanOrEqual(Math.floor(applied / (32 * 24)));
});

test("what waits for a full log to be applied does not wait for the rests that are left to clients", async () => {
  const clock = new SimulatedClock();
  const { drive, disk } = await opened({ clock, log: WIDE_LOG });
  disk.fail({ prefix: `${ROOT}/bucket`, effect: () => clock.sleep(PLACE_MS), ops: [Op.place] });
  let stamp = 1n;
  for (; stamp < 10_000n && drive.logStats().usedFraction <= 0.505; stamp++)
    await write(drive, `k${stamp}`, stamp, "x");
  const { applied } = drive.logStats();
  await clock.advance(2_000);
  expect(drive.logStats().applied).toBeGreaterThan(applied); // and rests
  const { ms } = await timed(clock, drive.close(), PLACE_MS);
  expect(ms).toBeGreaterThan(0);
  expect(ms).toBeLessThan(1.5 * PLACE_MS * (drive.logStats().applied - applied));
});

test("a sync of the tree that failed is not believed a second time, in the middle of a pass either", async () => {
  const { drive, disk } = await opened({ clock: realClock(), log: WIDE_LOG, warn: () => undefined });
  await write(drive, "first", 1n, "x"); // the first segment is made
  disk.fail({ prefix: ROOT, effect: Errno.EIO, ops: [Op.syncfs], skip: 2, times: 1 }); // two more segments are made
  const stamp = await fillHalf(drive);
  expect(drive.logStats().applied).toBeLessThan(1_000);
  expect(drive.writeFailure?.message).toContain("until sherd is started again");
  const later = await drive.commit(keyOf("later"), put(stamp, "x"), terms(stamp));
  expect(later.ok ? "ok" : later.error.code).toBe("ReadOnly");
  for (let seed = 1; seed <= 5; seed++) {
    const again = await openDrive(disk.afterCrash(seed, "any"), { log: WIDE_LOG });
    for (let i = 2n; i < 3_000n; i += 97n) expect([seed, i, await tagAt(again, `k${i}`)]).toEqual([seed, i, "x"]);
  }
});

test.each(["hang", Errno.ENOSPC] as const)(
  "the next segment is made in time (%p), and no record waits for it",
  async (effect) => {
    const said: string[] = [];
    const { drive, disk } = await opened({ log: SMALL_LOG, warn: (message) => said.push(message) });
    const next = `${LOG_FOLDER}/segment-1`;
    const lift = disk.fail({ prefix: next, effect, ops: [Op.pwrite] });
    const isBegun = (): boolean => disk.tree(LOG_FOLDER).includes("segment-1");
    const used = (): number => drive.logStats().usedBytes / SMALL_LOG.segmentBytes;
    let stamp = 1n;
    const writeUntil = async (isEnough: () => boolean): Promise<void> => {
      for (; !isEnough(); stamp++) await write(drive, `k${stamp}`, stamp, "x");
    };
    await writeUntil(isBegun);
    expect(used()).toBeLessThan(0.6);
    await writeUntil(() => used() > 0.85);
    lift();
    await writeUntil(() => used() > 1.5);
    expect([said, drive.state]).toEqual([[], "ok"]);
    for (const now of [drive, await openDrive(disk.afterCrash(1, "any"), { log: SMALL_LOG })])
      for (let i = 1n; i < stamp; i++) expect([i, await tagAt(now, `k${i}`)]).toEqual([i, "x"]);
  },
);

test("a segment whose name could not be synced takes no record until it could", async () => {
  const clock = new SimulatedClock();
  const { drive, disk } = await opened({ clock, warn: () => undefined });
  disk.fail({ prefix: ROOT, effect: Errno.ENOSPC, ops: [Op.syncfs], times: 1 });
  expect((await drive.commit(keyOf("a"), put(20n, "x"), terms(20n))).ok).toBe(false);
  await clock.advance(6_000);
  await write(drive, "a", 21n, "kept");
  for (let seed = 1; seed <= 20; seed++) {
    const again = await openDrive(disk.afterCrash(seed, "any"));
    expect([seed, await tagAt(again, "a")]).toEqual([seed, "kept"]);
  }
});

test("who wants to write does not wait for the next attempt longer than a moment", async () => {
  const clock = new SimulatedClock();
  const { drive, disk } = await opened({ clock, warn: () => undefined });
  const lift = disk.fail({ prefix: LOG_FOLDER, effect: Errno.ENOSPC, ops: [Op.pwrite] });
  expect((await drive.commit(keyOf("a"), put(20n, "x"), terms(20n))).ok).toBe(false);
  lift();
  expect((await drive.commit(keyOf("a"), put(21n, "x"), terms(21n))).ok).toBe(false);
  await clock.advance(300);
  expect(must(await drive.commit(keyOf("a"), put(22n, "x"), terms(22n))).accepted).toBe(true);
});

test("a log whose sync failed is never believed again: what it had in flight has no answer, later writes are refused", async () => {
  const { drive, disk } = await opened({ warn: () => undefined });
  await write(drive, "first", 10n, "x");
  const lift = disk.fail({ prefix: LOG_FOLDER, effect: Errno.ENOSPC, ops: [Op.fdatasync] });
  const inFlight = await drive.commit(keyOf("a"), put(20n, "x"), terms(20n));
  expect(inFlight.ok ? "ok" : inFlight.error.code).toBe("Io");
  lift();
  const later = await drive.commit(keyOf("b"), put(21n, "x"), terms(21n));
  expect(later.ok ? "ok" : later.error.code).toBe("ReadOnly");
});

test("data that cannot be renamed into place after their record is durable are no clean refusal", async () => {
  const { drive, disk } = await opened();
  must(await drive.stageWhole("op", "00000000-0000-4000-8000-000000000001", 1, new Uint8Array(100)));
  disk.fail({ prefix: `${ROOT}/bucket`, effect: Errno.ENOSPC, ops: [Op.mkdirPath, Op.rename] });
  const change = { ...put(20n, "x"), data: { kind: "staged", op: "op" } } as const;
  const outcome = await drive.commit(keyOf("a"), change as Change, terms(20n));
  expect(outcome.ok ? "ok" : outcome.error.code).toBe("Io");
});

test("a drive without the data of a commit is no holder of it until they are there, nor after a restart without them", async () => {
  const DATA = "00000000-0000-4000-8000-000000000001";
  const { drive, disk } = await opened();
  await write(drive, "a", 10n, "old");
  must(await drive.stageWhole("op", DATA, 1, new Uint8Array(100)));
  const lift = disk.fail({ prefix: `${ROOT}/bucket`, effect: Errno.EIO, ops: [Op.rename] });
  const change = { ...put(20n, "x"), data: { kind: "staged", op: "op" } } as const;
  expect((await drive.commit(keyOf("a"), change as Change, terms(20n))).ok).toBe(false);
  expect([(await drive.read(keyOf("a"))).ok, (await drive.settle(keyOf("a"), 20n)).ok]).toEqual([false, false]);
  expect(await drive.flush()).toBe(false); // its record stays
  const after = disk.afterCrash(1, "any");
  const still = after.fail({ prefix: `${ROOT}/bucket`, effect: Errno.EIO, ops: [Op.rename] });
  await expect(openDrive(after)).rejects.toThrow("bring data of bucket/a"); // nor does it begin without them
  still();
  const crashed = await openDrive(after);
  expect(must(await crashed.read(keyOf("a"))).prev).not.toBeNull(); // the replay brought them
  expect(must(await crashed.shardSize({ ...keyOf("a"), dataDir: DATA, part: 1 }))).toBe(100);

  lift();
  expect(must(await drive.read(keyOf("a"))).stamp).toBe(20n); // who asks makes it try again
  must(await drive.settle(keyOf("a"), 20n));
  expect(must(await drive.shardSize({ ...keyOf("a"), dataDir: DATA, part: 1 }))).toBe(100);
});

test("a change that makes no sense leaves neither its key nor its bucket held", async () => {
  const { drive } = await opened();
  await write(drive, "key", 10n, "old");
  const senseless: Change = { kind: "replace", meta: new TextEncoder().encode("no xl.meta"), op: "", dataDirs: [] };
  const outcome = await drive.commit(keyOf("key"), senseless, terms(20n)).catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(FormatError);
  await write(drive, "key", 30n, "new");
  expect(await tagAt(drive, "key")).toBe("new");
  await erase(drive, "key", 40n);
  must(await drive.removeBucket("bucket"));
});

test("a commit whose data never came can be taken back", async () => {
  const { drive, disk } = await opened();
  await write(drive, "a", 10n, "old");
  must(await drive.stageWhole("op", "00000000-0000-4000-8000-000000000001", 1, new Uint8Array(100)));
  disk.fail({ prefix: `${ROOT}/bucket`, effect: Errno.EIO, ops: [Op.rename], times: 1 });
  const change = { ...put(20n, "x"), data: { kind: "staged", op: "op" } } as const;
  expect((await drive.commit(keyOf("a"), change as Change, terms(20n))).ok).toBe(false);
  expect(must(await drive.restore(keyOf("a"), 20n, 20n))).toBe(true);
  expect([await tagAt(drive, "a"), must(await drive.read(keyOf("a"))).prev]).toEqual(["old", null]);
});

test("a full tree leaves what was acknowledged readable, takes deletes, and takes writes again when there is space", async () => {
  const clock = new SimulatedClock();
  const said: string[] = [];
  const { drive, disk } = await opened({ clock, warn: (message) => said.push(message) });
  await write(drive, "old", 10n, "old");
  expect(await drive.flush()).toBe(true);
  const lift = disk.fail({ prefix: `${ROOT}/bucket`, effect: Errno.ENOSPC, ops: [Op.place, Op.mkdirPath] });
  await write(drive, "new", 11n, "new");
  expect(await drive.flush()).toBe(false);
  const refused = await drive.commit(keyOf("more"), put(12n, "x"), terms(12n));
  expect([drive.state, refused.ok ? "ok" : refused.error.code, said.length]).toEqual(["ok", "NoSpace", 1]);
  await erase(drive, "old", 13n);
  expect([await tagAt(drive, "new"), await tagAt(drive, "old")]).toEqual(["new", null]);
  await clock.advance(6_000);
  expect(inTree(disk)).toEqual([]); // the delete went through
  const crashed = await openDrive(disk.afterCrash(1, "any"), { warn: () => undefined });
  expect([await tagAt(crashed, "new"), await tagAt(crashed, "old")]).toEqual(["new", null]);
  lift();
  await clock.advance(6_000);
  expect(inTree(disk)).toHaveLength(1);
  await write(drive, "more", 14n, "x");
});

test("a bucket is empty only if the log says so too, and its name begins anew after its removal", async () => {
  const { drive, disk } = await opened();
  await write(drive, "key", 10n, "x");
  expect(await drive.removeBucket("bucket")).toMatchObject({ ok: false, error: { code: "NotEmpty" } });
  await drive.flush();
  must(await drive.commit(keyOf("key"), DELETE, terms(20n))); // in doubt, and dropped with the bucket
  must(await drive.removeBucket("bucket"));
  expect(await drive.commit(keyOf("late"), put(30n, "x"), terms(30n))).toMatchObject({
    ok: false,
    error: { code: "NotFound" },
  });
  must(await drive.makeBucket("bucket"));
  await write(drive, "other", 40n, "y");
  for (const now of [drive, await openDrive(disk.fork(2))]) {
    expect(await tagAt(now, "key")).toBeNull();
    expect(now.doubts()).not.toContainEqual(keyOf("key"));
    expect(namesOf(must(await now.readDirectory("bucket", "")))).toEqual(["other"]);
  }
});

test("who follows the changes hears each in order, and after a restart those behind its place again", async () => {
  const heard: string[] = [];
  const changes = {
    after: 0,
    retold: (): Promise<void> => Promise.resolve(),
    dropped: (): void => undefined,
    room: (): null => null,
    keep: (): Promise<void> => Promise.resolve(),
    giveUp: (why: string): void => void heard.push(why),
    changed: (sequence: number, key: { path: string }, meta: unknown, stamp: bigint): void => {
      heard.push(`${sequence} ${key.path} ${meta === null ? "gone" : "there"} ${stamp}`);
    },
  };
  const { drive, disk } = await opened({ changes });
  await write(drive, "a", 10n, "x");
  await erase(drive, "a", 11n);
  must(await drive.commit(keyOf("b"), put(12n, "x"), terms(12n)));
  must(await drive.restore(keyOf("b"), 12n, 12n));
  await turns();
  const first = heard.splice(0);
  expect(first.map((line) => line.slice(line.indexOf(" ") + 1))).toEqual([
    "a there 10",
    "a gone 11",
    "b there 12",
    "b gone 0",
  ]);
  await openDrive(disk.fork(2), { changes: { ...changes, after: Number(first[0]?.split(" ")[0]) } });
  expect(heard).toEqual(first.slice(1));
});
