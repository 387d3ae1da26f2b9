/**
 * The ways in which MinIO was seen to lose data (distributed.md §10.6), as far as one process can show them, and S8 of §10.3:
 * a Complete that failed can be repeated, and an upload that was completed is gone. Numbers in the names are those of §10.6.
 */
import { describe, expect, test } from "bun:test";
import { loadCodec } from "../../src/codec/native.ts";
import { type ByteSource, sourceOf } from "../../src/core/byte-stream.ts";
import { QuorumError } from "../../src/core/quorum-error.ts";
import { healKey } from "../../src/erasure/heal-version.ts";
import { type Clock, realClock } from "../../src/sys/clock.ts";
import { Errno, Op } from "../../src/sys/disk.ts";
import { seededRng } from "./seeded.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import {
  deleteKey,
  DRIVES,
  getBytes,
  mounts,
  NO_SIGNAL,
  putBytes,
  type SimulatedStore,
  simulatedStore,
  type StoreShape,
} from "./simulated-store.ts";
import { beginUpload, completeUpload, sendPart } from "./upload-steps.ts";

const codec = loadCodec();
const clock = realClock();
const KEY = "dir/k";
const PATH = { bucket: "bucket", path: KEY };
const LOG = "/.minio.sys/sherd/log";
const TWO_POOLS: StoreShape = { pools: [mounts(4, "a"), mounts(4, "b")] };

interface Made extends SimulatedStore {
  readonly disk: SimulatedDisk;
}
async function made(seed: number, shape: StoreShape = {}): Promise<Made> {
  const disk = SimulatedDisk.create(codec, seed, (shape.pools ?? [DRIVES]).flat());
  const store = await simulatedStore(codec, disk, { clock, rng: seededRng(seed) }, shape);
  await store.pools.makeBucket("bucket");
  return { disk, ...store };
}
async function restarted({ disk }: Made, seed: number, shape: StoreShape = {}): Promise<SimulatedStore> {
  return await simulatedStore(codec, disk.fork(seed), { clock, rng: seededRng(seed + 5000) }, shape);
}
const outcomeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    (value) => (value === false ? "no such upload" : "done"),
    (error: unknown) => (error instanceof QuorumError ? error.code : String(error)),
  );
const isSame = (a: Buffer | null, b: Buffer | null): boolean => (a === null || b === null ? a === b : a.equals(b));

/** Every drive has every version, whole: there is nothing to heal. */
async function expectWhole({ set, pools }: SimulatedStore, where: string): Promise<void> {
  await pools.background.idle();
  const { healed, lacking, silent } = await healKey(set, PATH, pools.locks, { deep: true });
  expect({ where, healed, lacking, silent }).toEqual({ where, healed: [], lacking: [], silent: [] });
}

describe("1: an overwrite that drives refuse at the commit leaves the old object whole on all", () => {
  const SIZES = [
    ["inline", Buffer.alloc(3_000, "old"), Buffer.alloc(3_500, "new")],
    ["of data files", Buffer.alloc(1_500_000, "OLD!"), Buffer.alloc(1_300_000, "NEW!")],
  ] as const;
  const LAYOUTS = [
    { drives: 16, parity: 4, quorum: 12 },
    { drives: 8, parity: 4, quorum: 5 },
  ] as const;
  test.each(LAYOUTS.flatMap((layout) => SIZES.map(([what, old, next]) => ({ ...layout, what, old, next }))))(
    "$what, $drives drives with parity $parity, any number of them",
    async ({ drives, parity, quorum, old, next }) => {
      const shape: StoreShape = { pools: [mounts(drives)], parity, reducedParity: parity };
      for (let refusing = 1; refusing <= drives; refusing++) {
        const store = await made(refusing + drives, shape);
        await putBytes(store.pools, KEY, old);
        await store.pools.background.idle();
        const first = (refusing * 7) % drives;
        const bad = Array.from({ length: refusing }, (_, i) => mounts(drives)[(first + i) % drives] as string);
        const lift = bad.map((drive) => store.disk.fail({ prefix: drive + LOG, effect: Errno.ENOSPC }));
        const outcome = await outcomeOf(putBytes(store.pools, KEY, next));
        const taken = drives - refusing >= quorum;
        const where = `${refusing} of ${drives} refuse`;
        expect({ where, outcome }).toEqual({ where, outcome: taken ? "done" : "StorageFull" });
        const wanted = taken ? next : old;
        for (
          let read = 0;
          read < 3;
          read++ // while they refuse
        )
          expect({ where, read, whole: isSame(await getBytes(store.pools, KEY), wanted) }).toEqual({
            where,
            read,
            whole: true,
          });
        for (const undo of lift) undo();
        if (!taken) await expectWhole(store, where);
        const again = await restarted(store, refusing, shape);
        expect({ where, whole: isSame(await getBytes(again.pools, KEY), wanted) }).toEqual({ where, whole: true });
        if (!taken) await expectWhole(again, `${where}, restarted`);
      }
    },
    60_000,
  );
});

describe("3: readers who spin on a key while it is written first never harm it", () => {
  const CASES = [0, 131_072].flatMap((inlineBytesMax) =>
    ["one pool", "two pools"].map((pools) => ({ inlineBytesMax, pools })),
  );
  test.each(CASES)(
    "$pools, inline up to $inlineBytesMax",
    async ({ inlineBytesMax, pools }) => {
      const shape: StoreShape = { ...(pools === "one pool" ? {} : TWO_POOLS), inlineBytesMax };
      for (let seed = 1; seed <= 40; seed++) {
        const store = await made(seed, shape);
        const bytes = Buffer.alloc(5_000 + seed, `${seed} `);
        let acknowledged = false;
        const shown: string[] = [];
        const spin = async (): Promise<void> => {
          for (let after = 0; after < 3; ) {
            const wasAcknowledged = acknowledged;
            const got = await getBytes(store.pools, KEY);
            shown.push(got === null ? "absent" : got.equals(bytes) ? "new" : "torn");
            if (wasAcknowledged) expect([seed, shown.at(-1)]).toEqual([seed, "new"]);
            if (wasAcknowledged) after++;
          }
        };
        const readers = Promise.all([spin(), spin(), spin()]);
        await putBytes(store.pools, KEY, bytes);
        acknowledged = true;
        await readers;
        await store.pools.background.idle();
        expect([seed, shown.filter((one) => one === "torn")]).toEqual([seed, []]);
        const holders = store.sets.filter((set) => set.drives.every((drive) => drive !== null));
        const found = await Promise.all(
          holders.map(
            async (set) =>
              (await set.each((drive) => drive.read(PATH))).filter((o) => o.ok && o.value.meta !== null).length,
          ),
        );
        expect([seed, found.sort()]).toEqual([seed, pools === "one pool" ? [4] : [0, 4]]);
        const again = await restarted(store, seed, shape);
        expect([seed, isSame(await getBytes(again.pools, KEY), bytes)]).toEqual([seed, true]);
      }
    },
    60_000,
  );
});

test("4: a writer that stalls holds nobody up, and its condition is judged when it goes on", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { pools } = await made(seed);
    const bytes = Buffer.alloc(2_000, "stalled");
    const resume = Promise.withResolvers<void>();
    let isSent = false;
    const body = {
      async next(): Promise<Uint8Array | null> {
        if (isSent) return null;
        await resume.promise;
        isSent = true;
        return bytes;
      },
    };
    const stalled = (async () => {
      await using staged = await stagedBytes(pools, bytes, body);
      await pools.commit({
        bucket: "bucket",
        key: KEY,
        reads: "latest",
        signal: NO_SIGNAL,
        decide(current) {
          if (current !== null) throw new Error("it exists");
          return { kind: "put", versionId: "null", staged, metaUsr: new Map(), metaSys: new Map() };
        },
      });
    })();
    const rival = Buffer.alloc(1_500, `rival ${seed}`);
    await putBytes(pools, KEY, rival); // before the other one ends, which it does not
    expect([seed, isSame(await getBytes(pools, KEY), rival)]).toEqual([seed, true]);
    resume.resolve();
    expect([seed, await outcomeOf(stalled)]).toEqual([seed, "Error: it exists"]);
    expect([seed, isSame(await getBytes(pools, KEY), rival)]).toEqual([seed, true]);
  }
}, 60_000);

test("6: an overwrite stays in its pool, and with that pool away nothing older is shown", async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const store = await made(seed, TWO_POOLS);
    const next = Buffer.alloc(4_000, `last of ${seed} `);
    for (let i = 0; i < 6; i++) await putBytes(store.pools, KEY, Buffer.alloc(3_000 + i, `${i} `));
    await putBytes(store.pools, KEY, next);
    await store.pools.background.idle();
    const held = await Promise.all(
      store.sets.map(async (set) =>
        (await set.each((drive) => drive.read(PATH))).some((o) => o.ok && o.value.meta !== null),
      ),
    );
    expect([seed, held.filter(Boolean).length]).toEqual([seed, 1]);
    for (const drive of store.drives) await drive?.flush();
    for (const [pool, prefix] of ["a", "b"].entries()) {
      const disk = store.disk.fork(seed); // a process that remembers nothing of the key
      const { pools } = await simulatedStore(codec, disk, { clock, rng: seededRng(seed + 70) }, TWO_POOLS);
      const lift = mounts(4, prefix).map((path) => disk.fail({ prefix: path, effect: Errno.EIO }));
      const got = await getBytes(pools, KEY).then(
        (bytes) => (isSame(bytes, next) ? "newest" : bytes === null ? "a 404" : "stale"),
        (error: unknown) => (error instanceof QuorumError ? error.code : String(error)),
      );
      expect([seed, pool, got]).toEqual([seed, pool, "ReadQuorum"]);
      for (const undo of lift) undo();
    }
  }
}, 60_000);

// ---- 8 and S8: uploads

const PARTS = [Buffer.alloc(400_000, "part 1 "), Buffer.alloc(90_000, "part 2 ")];
const JOINED = Buffer.concat(PARTS);
const BEFORE = Buffer.alloc(2_000, "before");

async function uploaded(store: SimulatedStore): Promise<{ key: string; id: string }> {
  await putBytes(store.pools, KEY, BEFORE);
  const upload = { key: KEY, id: await beginUpload(store.pools, KEY) };
  for (const [i, part] of PARTS.entries()) await sendPart(store.pools, upload, i + 1, part);
  await store.pools.background.idle();
  return upload;
}

/** After a Complete of which `outcome` was told: the key is old or new, and what is old can still be completed. */
async function expectCompletable(
  { pools }: SimulatedStore,
  upload: { key: string; id: string },
  told: { readonly where: string; readonly outcome: string },
): Promise<void> {
  const got = await getBytes(pools, KEY);
  const shows = isSame(got, JOINED) ? "new" : isSame(got, BEFORE) ? "old" : "neither";
  if (told.outcome === "done") expect({ ...told, shows }).toEqual({ ...told, shows: "new" });
  else if (told.outcome !== "OutcomeUnknown" && told.outcome !== "crashed")
    expect({ ...told, shows }).toEqual({ ...told, shows: "old" });
  expect({ ...told, shows }).not.toEqual({ ...told, shows: "neither" });
  if (shows === "old") {
    expect({ ...told, repeated: await outcomeOf(completeUpload(pools, upload)) }).toEqual({
      ...told,
      repeated: "done",
    });
    await pools.background.idle();
  }
  expect({ ...told, is: isSame(await getBytes(pools, KEY), JOINED) }).toEqual({ ...told, is: true });
}

test("8, S8: a Complete that any number of drives refuse at the commit can be repeated", async () => {
  for (let refusing = 1; refusing < 16; refusing++) {
    for (const effect of [Errno.ENOSPC, Errno.EIO]) {
      const store = await made(refusing, { inlineBytesMax: 0 });
      const upload = await uploaded(store);
      const bad = DRIVES.filter((_, i) => ((refusing >> i) & 1) === 1);
      const lift = bad.map((drive) => store.disk.fail({ prefix: drive + LOG, effect }));
      const outcome = await outcomeOf(completeUpload(store.pools, upload));
      const where = `${bad.join(" ")} refuse with ${effect}`;
      expect({ where, isDone: outcome === "done" }).toEqual({ where, isDone: bad.length <= 1 });
      for (const undo of lift) undo();
      await store.pools.background.idle();
      const again = await restarted(store, refusing, { inlineBytesMax: 0 }); // a drive whose log failed is opened again
      await expectCompletable(again, upload, { where, outcome });
    }
  }
}, 60_000);

test("8, S8: a Complete during which drives fail at random steps is done, or can be repeated", async () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= 150; seed++) {
    const rng = seededRng(seed);
    const pick = <T>(of: readonly T[]): T => of[Math.floor(rng.next() * of.length)] as T;
    const store = await made(seed, { inlineBytesMax: 0 });
    const upload = await uploaded(store);
    const lift = Array.from({ length: 1 + Math.floor(rng.next() * 4) }, () =>
      store.disk.fail({
        prefix: pick(DRIVES) + pick(["", "/bucket", "/.minio.sys/multipart", LOG]),
        effect: pick([Errno.EIO, Errno.ENOSPC, Errno.EROFS]),
        ...(rng.next() < 0.5
          ? { ops: [pick([Op.rename, Op.unlink, Op.pwrite, Op.fdatasync, Op.mkdirPath, Op.place])] }
          : {}),
        ...(rng.next() < 0.5 ? { skip: Math.floor(rng.next() * 4) } : {}),
      }),
    );
    const outcome = await outcomeOf(completeUpload(store.pools, upload));
    seen.add(outcome);
    for (const undo of lift) undo();
    await store.pools.background.idle();
    const again = await restarted(store, seed, { inlineBytesMax: 0 });
    await expectCompletable(again, upload, { where: `seed ${seed}`, outcome });
  }
  expect(["done", "StorageFull", "OutcomeUnknown"].filter((outcome) => !seen.has(outcome))).toEqual([]);
}, 60_000);

test("8, S8: a Complete cut at any step is done, or can be repeated", async () => {
  for (const order of ["ordered", "any"] as const) {
    let steps = 0;
    for (let isCut = true; isCut && steps < 400; steps++) {
      const store = await made(steps + 1, { inlineBytesMax: 0 });
      const upload = await uploaded(store);
      const disk = store.disk.fork(steps + 1);
      const opened = await simulatedStore(codec, disk, { clock, rng: seededRng(steps + 900) }, { inlineBytesMax: 0 });
      disk.crashAt(steps);
      const work = outcomeOf(completeUpload(opened.pools, upload));
      const outcome = await Promise.race([work, disk.crashed.then(() => "crashed")]);
      if (outcome !== "crashed") await Promise.race([opened.pools.background.idle(), disk.crashed]);
      isCut = disk.hasCrashed;
      const after = isCut ? disk.afterCrash(steps + 7, order) : disk.fork(steps + 7);
      const again = await simulatedStore(codec, after, { clock, rng: seededRng(steps + 1900) }, { inlineBytesMax: 0 });
      await expectCompletable(again, upload, { where: `cut before step ${steps}, ${order}`, outcome });
    }
    expect(steps).toBeGreaterThan(10);
    expect(steps).toBeLessThan(400);
  }
}, 120_000);

/** Sends both parts; `misses`: by drive, the numbers that it refuses. Each is acknowledged all the same. */
async function sendMissed(
  store: Made,
  upload: { key: string; id: string },
  misses: readonly (readonly number[])[],
): Promise<void> {
  for (const [i, part] of PARTS.entries()) {
    const bad = DRIVES.filter((_, position) => misses[position]?.includes(i + 1) === true);
    const lift = bad.map((prefix) => store.disk.fail({ prefix, effect: Errno.EROFS }));
    await sendPart(store.pools, upload, i + 1, part);
    for (const undo of lift) undo();
  }
}

describe("S1, S8: a drive that missed a part", () => {
  const NONE: readonly number[] = [];
  const CASES: readonly (readonly [string, readonly (readonly number[])[]])[] = [
    ["one drive missed one part", [[1], NONE, NONE, NONE]],
    ["one drive missed both", [[1, 2], NONE, NONE, NONE]],
    ["two drives missed different parts", [[1], [2], NONE, NONE]],
  ];
  for (const again of [false, true])
    test.each(CASES)(
      `is given it before a Complete counts it${again ? ", also if it has an older sending" : ""}: %s`,
      async (_, misses) => {
        for (let away = -1; away < 4; away++) {
          const store = await made(away + 20, { inlineBytesMax: 0 });
          await putBytes(store.pools, KEY, BEFORE);
          const upload = { key: KEY, id: await beginUpload(store.pools, KEY) };
          if (again)
            for (const i of [1, 2])
              await sendPart(store.pools, upload, i, Buffer.alloc(PARTS[i - 1]?.length ?? 0, "older"));
          await sendMissed(store, upload, misses);
          const lift =
            away < 0 ? null : store.disk.fail({ prefix: (DRIVES[away] as string) + LOG, effect: Errno.ENOSPC });
          const where = `${DRIVES[away] ?? "none"} refuses the Complete`;
          expect({ where, outcome: await outcomeOf(completeUpload(store.pools, upload)) }).toEqual({
            where,
            outcome: "done",
          });
          lift?.();
          await store.pools.background.idle();
          for (const gone of DRIVES) {
            if (away >= 0 && gone !== DRIVES[away]) continue; // the one that has it not is the one that may fail
            const undo = store.disk.fail({ prefix: gone, effect: Errno.EIO });
            expect({ where, gone, is: isSame(await getBytes(store.pools, KEY), JOINED) }).toEqual({
              where,
              gone,
              is: true,
            });
            undo();
          }
          if (away < 0) await expectWhole(store, where);
        }
      },
      60_000,
    );
});

test("S8: parts that too few drives can tell are no parts that were never sent", async () => {
  for (let silent = 1; silent < 16; silent++) {
    const store = await made(silent, { inlineBytesMax: 0 });
    const upload = await uploaded(store);
    const state = await store.pools.openUpload("bucket", KEY, upload.id);
    if (state === null) throw new Error("no such upload");
    const bad = DRIVES.filter((_, i) => ((silent >> i) & 1) === 1);
    const ops = [Op.readFile]; // the directories answer, the records do not
    const lift = bad.map((drive) =>
      store.disk.fail({ prefix: `${drive}/.minio.sys/multipart`, effect: Errno.EIO, ops }),
    );
    const listed = await store.pools.listParts(state.ref).then(
      (parts) => `${parts.length} parts`,
      (error: unknown) => (error instanceof QuorumError ? error.code : String(error)),
    );
    expect({ bad, listed }).toEqual({ bad, listed: bad.length <= 2 ? "2 parts" : "ReadQuorum" });
    for (const undo of lift) undo();
  }
});

test("S1: of two first writes in different pools the later one counts, also if the clock was set back between them", async () => {
  let aheadNs = 0n;
  const jumping: Clock = { ...clock, nowNs: () => clock.nowNs() + aheadNs };
  for (let seed = 1; seed <= 40; seed++) {
    const disk = SimulatedDisk.create(codec, seed, [...mounts(4, "a"), ...mounts(4, "b")]);
    const { pools } = await simulatedStore(codec, disk, { clock: jumping, rng: seededRng(seed) }, TWO_POOLS);
    await pools.makeBucket("bucket");
    const started = ["first", "later"].map((text) => ({ text, bytes: Buffer.alloc(900, text) }));
    const staged = await Promise.all(started.map(({ bytes }) => stagedBytes(pools, bytes))); // both see no key
    for (const [i, one] of staged.entries()) {
      aheadNs = i === 0 ? 60_000_000_000n : 0n;
      await pools.commit({
        bucket: "bucket",
        key: KEY,
        reads: "none",
        signal: NO_SIGNAL,
        decide: () => ({ kind: "put", versionId: "null", staged: one, metaUsr: new Map(), metaSys: new Map() }),
      });
      await pools.background.idle();
    }
    expect([seed, (await getBytes(pools, KEY))?.subarray(0, 5).toString()]).toEqual([seed, "later"]);
  }
}, 60_000);

function stagedBytes(
  pools: SimulatedStore["pools"],
  bytes: Buffer,
  body: ByteSource = sourceOf(bytes),
): ReturnType<SimulatedStore["pools"]["stage"]> {
  return pools.stage({
    bucket: "bucket",
    key: KEY,
    body,
    sizeBytes: bytes.length,
    digests: 1,
    storageClass: "STANDARD",
    inline: "unversioned",
    signal: NO_SIGNAL,
  });
}

test("S8: Completes of one upload at the same time, and a delete after one, never bring two objects", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const store = await made(seed, { inlineBytesMax: 0 });
    const upload = await uploaded(store);
    const outcomes = await Promise.all([1, 2, 3].map(() => outcomeOf(completeUpload(store.pools, upload))));
    expect([seed, outcomes.includes("done")]).toEqual([seed, true]);
    await store.pools.background.idle();
    expect([seed, isSame(await getBytes(store.pools, KEY), JOINED)]).toEqual([seed, true]);
    await expectWhole(store, `seed ${seed}`);
    await deleteKey(store.pools, KEY);
    expect([seed, await outcomeOf(completeUpload(store.pools, upload))]).toEqual([seed, "no such upload"]);
    expect([seed, await getBytes(store.pools, KEY)]).toEqual([seed, null]);
  }
}, 60_000);
