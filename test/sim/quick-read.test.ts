/** Reads in one turn say what other reads say, and leave to those what is not usual. */
import { expect, test } from "bun:test";
import { loadCodec } from "../../src/codec/native.ts";
import { quickRead } from "../../src/erasure/quick-read.ts";
import { type Drive, DriveError } from "../../src/storage/drive.ts";
import { bad } from "../../src/core/fan-out.ts";
import { GuardedDrive } from "../../src/storage/guarded-drive.ts";
import { realClock } from "../../src/sys/clock.ts";
import { seededRng } from "./seeded.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import { deleteKey, DRIVES, getBytes, putBytes, type SimulatedStore, simulatedStore } from "./simulated-store.ts";

const codec = loadCodec();
const clock = realClock();
const V1 = "11111111-1111-4111-8111-111111111111";
const V2 = "22222222-2222-4222-8222-222222222222";

interface Quick extends SimulatedStore {
  readonly disk: SimulatedDisk;
  /** False: drives have nothing at hand. */
  isOn: boolean;
}

async function opened(parity = 2): Promise<Quick> {
  const disk = SimulatedDisk.create(codec, 1, DRIVES);
  const wrap = (drive: Drive): Drive =>
    new Proxy(drive, {
      get(target, name) {
        if (name === "copyNow" && !store.isOn) return () => -1;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
  const made = await simulatedStore(codec, disk, { clock, rng: seededRng(1) }, { parity, reducedParity: 1, wrap });
  const store: Quick = { ...made, disk, isOn: true };
  await store.pools.makeBucket("bucket");
  return store;
}
async function flushed(store: Quick): Promise<void> {
  await store.pools.background.idle();
  for (const drive of store.drives) await drive?.flush();
}
function quick({ sets }: Quick, key: string, versionId?: string, withContent = true) {
  return quickRead(sets, { bucket: "bucket", path: key }, versionId, withContent);
}
/** The same without the short way. */
async function slowly<T>(store: Quick, read: () => Promise<T>): Promise<T> {
  store.isOn = false;
  const answer = await read();
  store.isOn = true;
  return answer;
}
async function fill({ pools }: Quick): Promise<void> {
  await putBytes(pools, "small", Buffer.alloc(4096, "small"));
  await putBytes(pools, "odd", Buffer.alloc(777, "odd"));
  await putBytes(pools, "empty", Buffer.alloc(0));
  await putBytes(pools, "large", Buffer.alloc(400_000, "large"));
  await putBytes(pools, "versioned", Buffer.alloc(900, "v1"), V1);
  await putBytes(pools, "two", Buffer.alloc(900, "v1"), V1);
  await putBytes(pools, "two", Buffer.alloc(900, "v2"), V2);
  await putBytes(pools, "gone", Buffer.alloc(900, "gone"));
  await deleteKey(pools, "gone");
}
const KEYS = ["small", "odd", "empty", "large", "versioned", "two", "gone", "never"];

for (const parity of [2, 1])
  for (const where of ["log", "tree"])
    test(`of 4 drives with parity ${parity}, from the ${where}: the same answers`, async () => {
      const store = await opened(parity);
      await fill(store);
      await store.pools.background.idle();
      if (where === "tree") await flushed(store);
      for (const key of KEYS) {
        const read = (): ReturnType<typeof store.pools.readVersion> => store.pools.readVersion("bucket", key);
        expect(await read()).toEqual(await slowly(store, read));
        expect(await getBytes(store.pools, key)).toEqual(await slowly(store, () => getBytes(store.pools, key)));
      }
      expect(KEYS.filter((key) => quick(store, key) !== null)).toEqual(["small", "odd", "empty", "versioned"]);
      expect(KEYS.filter((key) => quick(store, key, undefined, false) !== null)).toEqual([
        "small",
        "odd",
        "empty",
        "large",
        "versioned",
      ]);
      expect([quick(store, "versioned", V1), quick(store, "versioned", V2), quick(store, "small", V1)]).toEqual([
        expect.anything(),
        null,
        null,
      ]);
    });

test("a shard with a wrong bit is no content: the others give it, and it is reported", async () => {
  const store = await opened();
  await putBytes(store.pools, "small", Buffer.alloc(4096, "small"));
  await flushed(store);
  for (const drive of DRIVES) {
    const at = 2000; // in the middle of the shard
    store.disk.damage(`${drive}/bucket/small/xl.meta`, at);
    const isAsked = quick(store, "small") === null;
    expect((await getBytes(store.pools, "small"))?.equals(Buffer.alloc(4096, "small"))).toBe(true);
    expect(store.damage.length > 0).toBe(isAsked);
    store.damage.length = 0;
    store.disk.damage(`${drive}/bucket/small/xl.meta`, at);
  }
});

test("drives that differ, or are rebuilt, or missed something, are read by the rule", async () => {
  const store = await opened();
  await putBytes(store.pools, "small", Buffer.alloc(4096, "old"));
  await flushed(store);
  const lift = store.disk.fail({ prefix: "/d1", effect: 30 });
  await putBytes(store.pools, "small", Buffer.alloc(4096, "new"));
  await store.pools.background.idle();
  lift();
  for (const rebuilt of [null, 0, 1, 2, 3]) {
    if (rebuilt !== null) store.set.rebuilding.add(rebuilt);
    const content = await getBytes(store.pools, "small");
    expect(content?.equals(Buffer.alloc(4096, "new"))).toBe(true);
    store.set.rebuilding.clear();
  }
});

test("a guard lets nothing through of a drive that is not well", async () => {
  const store = await opened();
  await putBytes(store.pools, "small", Buffer.alloc(4096, "small"));
  const inner = store.set.drives[0] as Drive;
  const failing: Drive = new Proxy(inner, {
    get(target, name) {
      if (name === "space") return () => Promise.resolve(bad(new DriveError("Io", "x")));
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  const guard = new GuardedDrive(failing, { clock, onState: () => undefined });
  const into = new Uint8Array(new ArrayBuffer(65_536));
  const key = { bucket: "bucket", path: "small" };
  expect(guard.copyNow(key, into)).toBeGreaterThan(2000);
  for (let i = 0; i < 2; i++) await guard.space();
  expect(guard.copyNow(key, into)).toBeGreaterThan(2000); // which is a success among failures
  for (let i = 0; i < 2; i++) await guard.space();
  expect(guard.state).toBe("ok");
  await guard.space();
  expect([guard.state, guard.copyNow(key, into)]).toEqual(["suspect", -1]);
});
