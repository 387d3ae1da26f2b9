/** What is refused or warned about at start, and that each message tells the operator what to do. */
import { expect, test } from "bun:test";
import { loadCodec } from "../../../src/codec/native.ts";
import type { LocalDrive } from "../../../src/storage/local-drive.ts";
import { closePools, GroupSyncs, type OpenedPool, openPool, StartError } from "../../../src/storage/open-pool.ts";
import { SILENT_MS } from "../../../src/storage/while-it-answers.ts";
import { Errno, Op } from "../../../src/sys/disk.ts";
import { keyOf, must, put, terms } from "../../sim/one-drive.ts";
import { seededRng, SimulatedClock, timed } from "../../sim/seeded.ts";
import { SimulatedDisk } from "../../sim/simulated-disk.ts";
import { mounts } from "../../sim/simulated-store.ts";

const codec = loadCodec();
const DRIVES = mounts(4);
let opened = 0;

interface Opening {
  readonly pool: OpenedPool | null;
  readonly syncs: GroupSyncs;
  /** Code of the refusal, "" = none. */
  readonly refused: string;
  /** The refusal and the warnings. */
  readonly words: string;
}

async function open(
  disk: SimulatedDisk,
  options: { paths?: readonly string[]; allowRootDrive?: boolean; deploymentId?: string; clock?: SimulatedClock } = {},
): Promise<Opening> {
  const paths = options.paths ?? DRIVES;
  const warnings: string[] = [];
  const syncs = new GroupSyncs(disk);
  try {
    const pool = await openPool({
      endpoints: paths,
      paths,
      setSize: paths.length,
      deploymentId: options.deploymentId ?? null,
      allowRootDrive: options.allowRootDrive ?? false,
      disk,
      rng: seededRng(++opened),
      clock: options.clock ?? new SimulatedClock(),
      syncs,
      warn: (message) => warnings.push(message),
    });
    return { pool, syncs, refused: "", words: warnings.join("\n") };
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    return { pool: null, syncs, refused: error.code, words: [...warnings, error.message].join("\n") };
  }
}
const used = ({ pool }: Opening): boolean[] => pool?.drives.map((drive) => drive !== null) ?? [];

async function formatted(more: readonly string[] = []): Promise<SimulatedDisk> {
  const disk = SimulatedDisk.create(codec, 1, [...DRIVES, ...more]);
  expect((await open(disk)).refused).toBe("");
  return disk;
}

test("fresh drives are formatted without a word, and open again as they are", async () => {
  const disk = SimulatedDisk.create(codec, 1, DRIVES);
  const first = await open(disk);
  expect([first.words, used(first)]).toEqual(["", [true, true, true, true]]);
  const second = await open(disk);
  expect([second.words, used(second)]).toEqual(["", [true, true, true, true]]);
  expect(second.pool?.format.deploymentId).toBe(first.pool?.format.deploymentId as string);
});

test("the same drive twice is refused", async () => {
  const disk = await formatted();
  const { refused, words } = await open(disk, { paths: ["/d1", "/d2", "/d3", "/d1"] });
  expect(refused).toBe("SameDriveTwice");
  expect(words).toContain("name each drive once");
});

test("drives at each other's place are not used, and their places are told", async () => {
  const disk = await formatted();
  const opening = await open(disk, { paths: ["/d1", "/d3", "/d2", "/d4"] });
  expect(used(opening)).toEqual([true, false, false, true]);
  expect(opening.words).toContain("/d3 is not used");
  expect(opening.words).toContain("position 2, not 1");
  expect(opening.words).toContain("check the order of the arguments and the mounts");
});

test("a drive of another deployment is not used and not touched", async () => {
  const disk = await formatted(mounts(4, "x"));
  await open(disk, { paths: mounts(4, "x") });
  const before = disk.tree("/x1");
  const opening = await open(disk, { paths: ["/x1", "/d2", "/d3", "/d4"] });
  expect(used(opening)).toEqual([false, true, true, true]);
  expect(opening.words).toContain("another deployment");
  expect(opening.words).toContain("check");
  expect(disk.tree("/x1")).toEqual(before);
});

test("a pool of another deployment than the first one is refused", async () => {
  const disk = await formatted();
  const { refused, words } = await open(disk, { deploymentId: "11111111-1111-4111-8111-111111111111" });
  expect(refused).toBe("WrongDrive");
  expect(words).toContain("check the order and the paths of the arguments");
});

test("without a quorum of formats nothing is formatted", async () => {
  const disk = await formatted();
  for (const prefix of ["/d1", "/d2", "/d3"]) disk.wipe(prefix);
  const { refused, words } = await open(disk);
  expect(refused).toBe("NoQuorum");
  expect(words).toContain("bring more of the drives back");
  expect(disk.tree("/d1")).toEqual([]);
});

test("drives of another layout are refused with both numbers", async () => {
  const disk = await formatted();
  const { refused, words } = await open(disk, { paths: ["/d1", "/d2"] });
  expect(refused).toBe("BadFormat");
  expect(words).toContain("describes 4 drives, the command line 2");
  expect(words).toContain("give the arguments that the deployment was started with");
});

test("an empty drive on the root file system is not used while the others are formatted, unless that is allowed", async () => {
  const disk = await formatted();
  const paths = ["/d1", "/d2", "/d3", "/mnt4"]; // /mnt4 is a directory of the root file system
  const opening = await open(disk, { paths });
  expect(used(opening)).toEqual([true, true, true, false]);
  expect(opening.words).toContain("is its drive not mounted?");
  expect(opening.words).toContain("--allow-root-drive");
  expect(disk.tree("/mnt4")).toEqual([]);
  const allowed = await open(disk, { paths, allowRootDrive: true });
  expect([used(allowed), allowed.pool?.replaced]).toEqual([[true, true, true, true], [3]]);
});

test("a fresh deployment on the root file system is only warned about", async () => {
  const disk = SimulatedDisk.create(codec, 1, []);
  const opening = await open(disk);
  expect([opening.refused, used(opening)]).toEqual(["", [true, true, true, true]]);
  expect(opening.words).toContain("for real data use mounted drives");
});

test("a drive that cannot be read is left out with a word", async () => {
  const disk = await formatted();
  disk.fail({ prefix: "/d2", effect: Errno.EIO });
  const opening = await open(disk);
  expect(used(opening)).toEqual([true, false, true, true]);
  expect(opening.words).toContain("check that it is mounted and readable");
});

test("a format.json that makes no sense keeps its drive out, with a word", async () => {
  const disk = await formatted();
  disk.damage("/d2/.minio.sys/format.json", 0);
  const opening = await open(disk);
  expect(used(opening)).toEqual([true, false, true, true]);
  expect(opening.words).toContain("/d2 is not used");
  expect(opening.words).toContain("empty the drive to have it rebuilt");
});

test("an empty drive is a replacement, until its rebuild is done also after a restart; one that is read-only is left out", async () => {
  const disk = await formatted();
  disk.wipe("/d3");
  const lift = disk.fail({ prefix: "/d3", effect: Errno.EROFS });
  const readOnly = await open(disk);
  expect(used(readOnly)).toEqual([true, true, false, true]);
  expect(readOnly.words).toContain("not mounted read-only");
  lift();
  for (let start = 0; start < 2; start++) expect((await open(disk)).pool?.replaced).toEqual([2]);
});

test("a replaced drive counts as such after a power cut at any step of taking it", async () => {
  for (let step = 0; step < 12; step++) {
    const disk = (await formatted()).fork(step);
    disk.wipe("/d3");
    disk.crashAt(step);
    await Promise.race([open(disk), disk.crashed]);
    for (const order of ["ordered", "any"] as const)
      expect({ step, replaced: (await open(disk.afterCrash(step, order))).pool?.replaced }).toEqual({
        step,
        replaced: [2],
      });
  }
});

test("a fresh drive that cannot be written refuses the start", async () => {
  const disk = SimulatedDisk.create(codec, 1, DRIVES);
  disk.fail({ prefix: "/d1", effect: Errno.EACCES, ops: [Op.mkdir, Op.writeFile] });
  const { refused, words } = await open(disk);
  expect(refused).toBe("NoAccess");
  expect(words).toContain("check its permissions");
});

test("a drive that does not answer keeps no start for longer than a moment; what it opens later is closed", async () => {
  for (const ops of [undefined, [Op.readFile], [Op.rename, Op.mkdir, Op.mkdirPath], [Op.syncfs]]) {
    const disk = await formatted();
    const clock = new SimulatedClock();
    const lift = disk.fail({ prefix: "/d2", effect: "hang", ...(ops === undefined ? {} : { ops }) });
    const { value: start, ms } = await timed(clock, open(disk, { clock }), 100);
    expect({ ops, used: used(start), words: start.words }).toEqual({
      ops,
      used: [true, false, true, true],
      words: "/d2 does not answer: it is not used until sherd is started again",
    });
    expect(ms).toBeLessThanOrEqual(SILENT_MS + 2_000);
    lift();
    await clock.advance(60_000);
    const again = await open(disk);
    expect([again.words, used(again)]).toEqual(["", [true, true, true, true]]);
  }
});

test("a drive that answers slowly is waited for", async () => {
  const disk = await formatted();
  const clock = new SimulatedClock();
  disk.fail({ prefix: "/d2", effect: () => clock.sleep(SILENT_MS / 8) });
  let isOver = false;
  const opening = open(disk, { clock }).finally(() => {
    isOver = true;
  });
  while (!isOver) await clock.advance(1_000);
  const start = await opening;
  expect([start.words, used(start)]).toEqual(["", [true, true, true, true]]);
  expect(clock.elapsedMs()).toBeGreaterThan(2 * SILENT_MS);
});

test("nor does one keep a stop: the others are closed, and it is left as it is", async () => {
  for (const ops of [undefined, [Op.syncfs], [Op.place, Op.writeFile]]) {
    const disk = await formatted();
    const clock = new SimulatedClock();
    const { pool, syncs } = await open(disk, { clock });
    const drives = (pool?.drives ?? []) as readonly LocalDrive[];
    for (const drive of drives) {
      must(await drive.makeBucket("bucket"));
      expect(must(await drive.commit(keyOf("key"), put(10n, "x"), terms(10n))).accepted).toBe(true);
      must(await drive.settle(keyOf("key"), 10n));
    }
    const lift = disk.fail({ prefix: "/d3", effect: "hang", ...(ops === undefined ? {} : { ops }) });
    const { value: silent, ms } = await timed(clock, closePools([pool as OpenedPool], syncs, clock), 100);
    expect({ ops, silent: silent.map(({ endpoint }) => endpoint) }).toEqual({ ops, silent: ["/d3"] });
    expect(ms).toBeLessThanOrEqual(2 * SILENT_MS + 2_000);
    const inTree = DRIVES.map((drive) => disk.tree(`${drive}/bucket`).includes("key/xl.meta"));
    expect({ ops, inTree }).toEqual({ ops, inTree: [true, true, false, true] });
    lift();
  }
});
