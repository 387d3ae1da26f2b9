/** The budget of background work: paced, a tenth of it beside clients, none on a late thread. */
import { expect, test } from "bun:test";
import { Throttle } from "../../../src/background/throttle.ts";
import { SimulatedClock } from "../../sim/seeded.ts";

function throttled() {
  const clock = new SimulatedClock();
  const load = { inFlight: 0, begun: 0 };
  const late = { seconds: 0 };
  const ending = new AbortController();
  const throttle = new Throttle({
    clock,
    signal: ending.signal,
    bytesPerSecond: () => 1_000_000,
    looksPerSecond: () => 100,
    load,
    lateness: () => late.seconds,
  });
  /** Looks taken within so many simulated ms. */
  const taken = async (ms: number): Promise<number> => {
    const run = { count: 0, isOver: false };
    const work = async (): Promise<void> => {
      while (!run.isOver) {
        await throttle.take(1, 0);
        run.count++;
      }
    };
    const working = work();
    await clock.advance(ms);
    const { count } = run;
    run.isOver = true;
    await clock.advance(10_000);
    await working;
    return count;
  };
  return { clock, load, late, ending, throttle, taken };
}

// Of each throttle 100 looks are saved at the beginning.

test("looks come at the stated rate, and at a tenth of it while a client is served", async () => {
  expect(Math.abs((await throttled().taken(5_000)) - 600)).toBeLessThan(60);
  const { load, taken } = throttled();
  load.inFlight = 1;
  expect(Math.abs((await taken(5_000)) - 150)).toBeLessThan(20);
});

test("requests that come and go between looks count too, for a second", async () => {
  expect(await throttled().taken(900)).toBeGreaterThan(170);
  const { load, taken } = throttled();
  load.begun++;
  expect(await taken(900)).toBeLessThan(130);
});

test("bytes are waited for in proportion, and a wait ends with the signal", async () => {
  const { clock, ending, throttle } = throttled();
  await throttle.take(0, 1_000_000);
  const began = clock.elapsedMs();
  const paid = throttle.take(0, 3_000_000).then(() => clock.elapsedMs());
  await clock.advance(10_000);
  expect((await paid) - began).toBeCloseTo(3_000, -2);
  const waiting = throttle.take(0, 100_000_000);
  ending.abort(new Error("stop"));
  const refused = expect(waiting).rejects.toThrow("stop");
  await clock.advance(1);
  await refused;
});

test("on a late thread every look waits first", async () => {
  const { clock, late, throttle } = throttled();
  late.seconds = 1;
  const took = throttle.take(1, 0).then(() => clock.elapsedMs());
  await clock.advance(5_000);
  expect(await took).toBeGreaterThan(200);
});
