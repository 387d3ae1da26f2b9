/** The queue of repairs: no report is lost, in bounded memory. */
import { expect, test } from "bun:test";
import { HealQueue } from "../../../src/background/heal-queue.ts";
import type { DamageReport } from "../../../src/erasure/damage.ts";
import { createLog } from "../../../src/observe/log.ts";
import { SimulatedClock } from "../../sim/seeded.ts";

const REST_MS = 30_000;

function queueOf(heal: (damage: DamageReport) => Promise<number> = () => Promise.resolve(1), bytesMax?: number) {
  const clock = new SimulatedClock();
  const log = createLog({ json: true, quiet: true, clock, write: () => undefined });
  const healed: string[] = [];
  const overflows = { count: 0 };
  const queue = new HealQueue(
    clock,
    log,
    (damage) => {
      healed.push(`${damage.path} ${damage.why}`);
      return heal(damage);
    },
    bytesMax,
  );
  queue.overflowed = () => overflows.count++;
  const report = (path: string, why: DamageReport["why"] = "differs"): void => queue.report({ bucket: "b", path, why });
  return { clock, queue, healed, report, overflows };
}

test("a second damage of a key that was healed just now is healed too, when the key has rested", async () => {
  const { clock, queue, healed, report } = queueOf();
  report("k");
  await clock.advance(100);
  report("k", "shard");
  await clock.advance(1_000);
  expect([healed, queue.length]).toEqual([["k differs"], 1]);
  await clock.advance(REST_MS);
  expect([healed, queue.length]).toEqual([["k differs", "k shard"], 0]);
});

test("damage that is reported while its key is being healed is looked at again", async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const { clock, healed, report } = queueOf(() => (healed.length === 1 ? promise : Promise.resolve(0)));
  report("k");
  await clock.advance(100);
  report("k");
  resolve(1);
  await clock.advance(2 * REST_MS);
  expect(healed).toEqual(["k differs", "k differs"]);
});

test("of reports that wait for the same key the one that needs the deeper look counts", async () => {
  const { clock, healed, report } = queueOf();
  report("k");
  report("k", "shard");
  report("k", "missed-write");
  await clock.advance(100);
  expect(healed).toEqual(["k shard"]);
});

test("a heal that fails is tried again, less and less often, and left to the scanner in the end", async () => {
  const { clock, queue, healed, report } = queueOf(() => Promise.reject(new Error("too few drives")));
  report("k", "shard");
  await clock.advance(100);
  expect([healed.length, queue.length]).toEqual([1, 1]);
  await clock.advance(REST_MS);
  expect(healed.length).toBe(2);
  await clock.advance(REST_MS);
  expect(healed.length).toBe(2);
  await clock.advance(24 * 60 * 60_000);
  expect([healed.length, queue.length, queue.failed]).toEqual([7, 0, 7]);
});

test("a short rest is not held up by a long one", async () => {
  const { clock, healed, report } = queueOf((damage) =>
    damage.path === "bad" ? Promise.reject(new Error("no")) : Promise.resolve(1),
  );
  report("bad");
  await clock.advance(10 * REST_MS);
  const tries = healed.length;
  report("k");
  await clock.advance(100);
  report("k");
  await clock.advance(REST_MS);
  expect(healed.slice(tries).filter((line) => line.startsWith("k "))).toHaveLength(2);
});

test("more reports than the bytes hold are counted and told to who can find them again", async () => {
  const { clock, queue, healed, report, overflows } = queueOf(() => Promise.resolve(1), 2_000);
  for (let i = 0; i < 100; i++) report(`key-${i}`);
  expect([queue.length + queue.dropped, overflows.count]).toEqual([100, queue.dropped]);
  expect(queue.dropped).toBeGreaterThan(80);
  await clock.advance(100);
  expect([healed.length, queue.length]).toEqual([100 - queue.dropped, 0]);
  report("later");
  await clock.advance(100);
  expect(healed.at(-1)).toBe("later differs");
});
