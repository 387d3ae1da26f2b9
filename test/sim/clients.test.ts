/**
 * Clients that put, create, upload, delete and get the same few keys at once, with a healer beside them, on drives that fail,
 * hang and lose power. What they were told must be linearizable for each key (S1-S6 of distributed.md §10.3), and when the
 * faults are over every key is whole and nothing is lent or in doubt (L1). SHERD_SIM_SEED replays one seed, SHERD_SIM_SEEDS
 * sets how many are run (`make sim SEED=… SEEDS=…`).
 */
import { describe, expect, test } from "bun:test";
import { loadCodec } from "../../src/codec/native.ts";
import { sourceOf } from "../../src/core/byte-stream.ts";
import { QuorumError } from "../../src/core/quorum-error.ts";
import { healKey } from "../../src/erasure/heal-version.ts";
import type { Pools } from "../../src/erasure/pools.ts";
import { DriveError } from "../../src/storage/drive.ts";
import { Errno, Op } from "../../src/sys/disk.ts";
import type { Rng } from "../../src/sys/rng.ts";
import { describeHistory, isLinearizable, type Operation } from "./linearizable.ts";
import { HastyClock, seededRng, type SimulatedClock } from "./seeded.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import {
  getBytes,
  mounts,
  NO_SIGNAL,
  type SimulatedStore,
  simulatedStore,
  type StoreShape,
} from "./simulated-store.ts";
import { beginUpload, completeUpload, sendPart } from "./upload-steps.ts";

const codec = loadCodec();
const SEEDS_DEFAULT = 120;
/** Those that found a bug, as the code was then: docs/protocol.md. */
const SEEDS_FOUND = [743, 1151, 1485, 2603, 3638, 3856, 3996, 5439, 5686, 6516, 6897, 7102];
const KEYS = ["a/k", "b"] as const;
const CLIENTS = 3;
const OPERATIONS_EACH = 5;
const EPOCHS = 3;
const START_MS = 1_700_000_000_000;

class Exists extends Error {}

/** Everything that one seed decides and remembers. */
class World {
  readonly rng: Rng;
  readonly histories = new Map<string, Operation[]>(KEYS.map((key) => [key, []]));
  readonly problems: string[] = [];
  readonly shape: StoreShape;
  /** Drives that fail at the same time: two, or every one. */
  readonly faultsMax: number;
  /**
   * The one drive that reads wrong bits, and then nothing else fails: an xl.meta that cannot be read counts as empty where a
   * write needs the drive (ADR 0018), so that this with a write that another drive missed is more than the parity of 1 allows for.
   */
  readonly rotten: string | null;
  private tick = 0;
  private nextValue = 0;

  constructor(readonly seed: number) {
    this.rng = seededRng(seed);
    const [drives, parity] = this.pick([
      [4, 2],
      [4, 1],
      [6, 2],
      [3, 1],
      [2, 1],
    ] as const);
    const pools = this.rng.next() < 0.25 ? [mounts(drives), mounts(drives, "e")] : [mounts(drives)];
    this.shape = { pools, parity, reducedParity: parity, inlineBytesMax: this.pick([0, 4096]) };
    this.faultsMax = this.pick([2, 2, this.paths.length]);
    this.rotten = this.rng.next() < 0.25 ? this.pick(this.paths) : null;
  }
  get paths(): readonly string[] {
    return (this.shape.pools ?? []).flat();
  }
  pick<T>(of: readonly T[]): T {
    return of[Math.floor(this.rng.next() * of.length)] as T;
  }
  now(): number {
    return this.tick++;
  }
  value(): number {
    return ++this.nextValue;
  }
}

function bytesOf(value: number): Buffer {
  return Buffer.alloc(200 + ((value * 977) % 3000), `${value}:`);
}
/** 0 = absent; throws on bytes that nobody wrote. */
function valueIn(bytes: Buffer | null): number {
  if (bytes === null) return 0;
  const value = Number.parseInt(bytes.toString("latin1"), 10);
  if (!bytesOf(value).equals(bytes)) throw new Error(`torn bytes: ${bytes.subarray(0, 20).toString()}…`);
  return value;
}

async function write(pools: Pools, key: string, value: number, onlyIfAbsent: boolean): Promise<void> {
  const bytes = bytesOf(value);
  await using staged = await pools.stage({
    bucket: "bucket",
    key,
    body: sourceOf(bytes),
    sizeBytes: bytes.length,
    digests: 1,
    storageClass: "STANDARD",
    inline: "unversioned",
    signal: NO_SIGNAL,
  });
  await pools.commit({
    bucket: "bucket",
    key,
    reads: onlyIfAbsent ? "latest" : "none",
    signal: NO_SIGNAL,
    decide(current) {
      if (onlyIfAbsent && current !== null) throw new Exists();
      return { kind: "put", versionId: "null", staged, metaUsr: new Map(), metaSys: new Map() };
    },
  });
}

/** False: there was nothing to delete. */
async function remove(pools: Pools, key: string): Promise<boolean> {
  const done = await pools.commit({
    bucket: "bucket",
    key,
    reads: "latest",
    signal: NO_SIGNAL,
    decide: (current) => (current === null ? null : { kind: "delete-version", versionId: "null" }),
  });
  return done !== null;
}

/** Only the last step can change the key. A Complete that was refused for certain is tried once more (S8). */
async function upload(world: World, pools: Pools, key: string, value: number): Promise<void> {
  const bytes = bytesOf(value);
  const begun = { key, id: "" };
  try {
    begun.id = await beginUpload(pools, key);
    await sendPart(pools, begun, 1, bytes.subarray(0, 100));
    await sendPart(pools, begun, 2, bytes.subarray(100));
  } catch (error) {
    if (error instanceof QuorumError) throw new QuorumError("WriteQuorum", `before the Complete: ${error.message}`);
    throw error;
  }
  for (let attempt = 1; ; attempt++) {
    try {
      if (!(await completeUpload(pools, begun))) world.problems.push(`${key}: an upload is gone, attempt ${attempt}`);
      return;
    } catch (error) {
      const isRefused = error instanceof QuorumError && error.code !== "OutcomeUnknown";
      if (!isRefused || attempt === 2) throw error;
    }
  }
}

async function perform(world: World, pools: Pools, key: string): Promise<void> {
  const kind = world.pick(["put", "put", "create", "upload", "delete", "get", "get", "get", "get"] as const);
  const op: { -readonly [K in keyof Operation]: Operation[K] } = {
    kind: kind === "upload" ? "put" : kind,
    value: kind === "put" || kind === "create" || kind === "upload" ? world.value() : 0,
    start: world.now(),
    end: Number.POSITIVE_INFINITY,
    outcome: "unknown",
  };
  world.histories.get(key)?.push(op);
  try {
    if (kind === "get") op.value = valueIn(await getBytes(pools, key));
    else if (kind === "upload") await upload(world, pools, key, op.value);
    else if (kind !== "delete") await write(pools, key, op.value, kind === "create");
    else if (!(await remove(pools, key))) op.kind = "get"; // it saw that there is nothing
    op.outcome = "ok";
  } catch (error) {
    if (error instanceof Exists) op.outcome = "exists";
    else if (!(error instanceof QuorumError)) world.problems.push(`${kind} of ${key}: ${String(error)}`);
    else if (error.code !== "OutcomeUnknown") op.outcome = "failed";
  }
  const ended = world.now();
  if (op.outcome !== "unknown") op.end = ended;
}

async function client(world: World, store: SimulatedStore): Promise<void> {
  for (let i = 0; i < OPERATIONS_EACH; i++) {
    const key = world.pick(KEYS);
    if (world.rng.next() < 0.85) await perform(world, store.pools, key);
    else await heal(world, store, key);
    // What is in the tree alone is read from there, and not from memory.
    if (world.rng.next() < 0.15) for (const drive of store.drives) await drive?.flush();
  }
}

async function heal(world: World, store: SimulatedStore, path: string): Promise<void> {
  try {
    const deep = world.rng.next() < 0.5;
    for (const set of store.sets) await healKey(set, { bucket: "bucket", path }, store.pools.locks, { deep });
  } catch (error) {
    if (!(error instanceof QuorumError) && !(error instanceof DriveError))
      world.problems.push(`heal: ${String(error)}`);
  }
}

/** Faults come and go until the clients are done. What hangs is let go in the end. */
async function trouble(world: World, disk: SimulatedDisk, isOver: () => boolean): Promise<void> {
  const active: (() => void)[] = [];
  while (!isOver()) {
    for (let turns = Math.floor(world.rng.next() * 300); turns > 0 && !isOver(); turns--) await Promise.resolve();
    if (active.length > 0 && world.rng.next() < 0.6) active.splice(0, 1)[0]?.();
    else if (active.length < world.faultsMax)
      active.push(
        disk.fail({
          prefix: world.rotten ?? world.pick(world.paths),
          effect: world.rotten === null ? world.pick([Errno.EIO, Errno.ENOSPC, Errno.EROFS, "hang"] as const) : "flip",
          ...(world.rotten === null && world.rng.next() < 0.4
            ? { ops: [world.pick([Op.syncfs, Op.rename, Op.writeFile, Op.unlink])] }
            : {}),
          ...(world.rng.next() < 0.3 ? { times: 1 } : {}),
        }),
      );
  }
  for (const lift of active) lift();
}

/** `hasCache`: what the kernel has in memory is read at once. */
async function runSeed(seed: number, hasCache: boolean): Promise<string[]> {
  const world = new World(seed);
  const clockAt = (epoch: number): HastyClock =>
    new HastyClock(seededRng(seed + epoch * 1e6), START_MS + epoch * world.pick([-1000, 1, 60_000]));
  let disk = SimulatedDisk.create(codec, seed, world.paths);
  disk.hasCache = hasCache;
  const first = await simulatedStore(codec, disk, { clock: clockAt(0), rng: world.rng }, world.shape);
  await first.pools.makeBucket("bucket");
  for (let epoch = 1; epoch <= EPOCHS; epoch++) {
    const clock = clockAt(epoch);
    const store = await simulatedStore(codec, disk, { clock, rng: world.rng }, world.shape);
    const last = epoch === EPOCHS;
    if (!last) disk.crashAt(Math.floor(world.rng.next() * 250));
    let over = false;
    const work = Promise.all(Array.from({ length: CLIENTS }, () => client(world, store))).then(() => {
      over = true;
    });
    const troubled = world.rng.next() < 0.7;
    const chaos = troubled ? trouble(world, disk, () => over || disk.hasCrashed) : Promise.resolve();
    await Promise.race([work, disk.crashed]);
    await chaos;
    if (!last) {
      disk.crash();
      disk = disk.afterCrash(Math.floor(world.rng.next() * 1e9), world.pick(["ordered", "any"]));
      disk.hasCache = hasCache;
    } else await store.pools.background.idle();
    clock.end();
  }
  return await judgeEnd(world, disk, clockAt(EPOCHS));
}

/** At the end every drive answers: both keys are read, healed, and read again; then nothing is left to do. */
async function judgeEnd(world: World, disk: SimulatedDisk, clock: SimulatedClock): Promise<string[]> {
  const store = await simulatedStore(codec, disk.fork(1), { clock, rng: world.rng }, world.shape);
  for (const key of KEYS)
    for (let i = 0; i < 3; i++) {
      const start = world.now();
      const value = valueIn(await getBytes(store.pools, key));
      world.histories.get(key)?.push({ kind: "get", value, start, end: world.now(), outcome: "ok" });
      for (const set of store.sets) {
        const path = { bucket: "bucket", path: key };
        const { healed, lacking } = await healKey(set, path, store.pools.locks, { deep: true });
        if (i > 0 && healed.length + lacking.length > 0) world.problems.push(`${key} is not whole after a heal`);
      }
    }
  for (const drive of store.drives)
    if (drive?.doubts().length !== 0) world.problems.push("an operation is in doubt for ever");
  const { blocks, readBlocks } = store.set.resources;
  if ([blocks, readBlocks].some((pool) => pool.lentBytes + pool.strayBytes > 0) || store.pools.locks.size > 0)
    world.problems.push("something is lent or locked for ever");
  for (const [key, history] of world.histories)
    if (!isLinearizable(history)) world.problems.push(`${key} is not linearizable:\n${describeHistory(history)}`);
  return world.problems.map((problem) => `seed ${world.seed}: ${problem}`);
}

describe("the checker", () => {
  const op = (
    kind: Operation["kind"],
    value: number,
    span: [number, number],
    outcome: Operation["outcome"] = "ok",
  ) => ({
    kind,
    value,
    start: span[0],
    end: outcome === "unknown" ? Number.POSITIVE_INFINITY : span[1],
    outcome,
  });
  test.each<[string, boolean, Operation[]]>([
    ["read what was written", true, [op("put", 1, [0, 1]), op("get", 1, [2, 3])]],
    ["a lost write", false, [op("put", 1, [0, 1]), op("get", 0, [2, 3])]],
    [
      "a write that overlaps may be seen or not",
      true,
      [op("put", 1, [0, 5]), op("get", 0, [1, 2]), op("get", 1, [3, 4])],
    ],
    ["back and forth", false, [op("put", 1, [0, 5]), op("get", 1, [1, 2]), op("get", 0, [3, 4])]],
    ["unknown, later", true, [op("put", 1, [0, 1], "unknown"), op("get", 0, [2, 3]), op("get", 1, [4, 5])]],
    ["unknown, twice", false, [op("put", 1, [0, 1], "unknown"), op("get", 1, [2, 3]), op("get", 0, [4, 5])]],
    ["failed, and seen", false, [op("put", 1, [0, 1], "failed"), op("get", 1, [2, 3])]],
    ["two creates", false, [op("create", 1, [0, 3]), op("create", 2, [1, 4])]],
    ["exists without anything", false, [op("create", 1, [0, 1], "exists")]],
    ["a delete that comes back", false, [op("put", 1, [0, 1]), op("delete", 0, [2, 3]), op("get", 1, [4, 5])]],
  ])("%s: %p", (_, verdict, history) => {
    expect(isLinearizable(history)).toBe(verdict);
  });
});

test.each([
  ["through tasks", false],
  ["at once where it is in memory", true],
])(
  "what clients see of a key, read %s, is linearizable, whatever drives and power do",
  async (_, hasCache) => {
    const only = Number(process.env["SHERD_SIM_SEED"] ?? "");
    const count = Number(process.env["SHERD_SIM_SEEDS"] ?? "") || SEEDS_DEFAULT;
    const seeds = only > 0 ? [only] : [...Array.from({ length: count }, (__, i) => i + 1), ...SEEDS_FOUND];
    const problems: string[] = [];
    for (const seed of seeds) {
      const found = await runSeed(seed, hasCache).catch((error: unknown) => [
        `seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      ]);
      problems.push(...found);
      if (problems.length > 2) break;
    }
    expect(problems.join("\n\n")).toBe("");
  },
  600_000,
);
