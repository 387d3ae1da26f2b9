/** Stamps of operations: above what was seen, and never twice, whatever the clock does. */
import { expect, test } from "bun:test";
import { Stamps } from "../../../src/erasure/stamps.ts";
import { seededRng, SimulatedClock } from "../../sim/seeded.ts";

const NOW_MS = 1_700_000_000_000;
const NOW_NS = BigInt(NOW_MS) * 1_000_000n;
const HOUR_NS = 3_600_000_000_000n;

test("a stamp is of the clock's millisecond, and none comes twice while the clock stands still", () => {
  const stamps = new Stamps(new SimulatedClock(NOW_MS), seededRng(1));
  const given = Array.from({ length: 1000 }, () => stamps.above(0n));
  expect(new Set(given).size).toBe(1000);
  expect(given.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(given);
  expect((given[0] as bigint) / 1_000_000n).toBe(BigInt(NOW_MS));
});

test("a floor above the clock is exceeded by a millisecond or two, by another stamp each time", () => {
  const stamps = new Stamps(new SimulatedClock(NOW_MS), seededRng(2));
  for (const floor of [NOW_NS + 5_000_000n, NOW_NS + HOUR_NS, NOW_NS + HOUR_NS + 1n]) {
    const given = Array.from({ length: 1000 }, () => stamps.above(floor));
    expect(new Set(given).size).toBe(1000);
    for (const stamp of given) expect(stamp > floor && stamp <= floor + 2n * 1_048_576n).toBe(true);
  }
  expect(stamps.above(0n) < NOW_NS + 2_000_000n).toBe(true); // what another key needed is of no consequence
});

test("stamps of the clock and stamps of floors are never the same", () => {
  const stamps = new Stamps(new SimulatedClock(NOW_MS), seededRng(3));
  for (let i = 0; i < 500; i++) {
    const ofClock = stamps.above(0n);
    expect([ofClock % 2n, stamps.above(ofClock + 2_000_000n) % 2n]).toEqual([0n, 1n]);
  }
});

test("a server that starts again with its clock set back, and another server, give out others", () => {
  const given = new Set<bigint>();
  for (let run = 1; run <= 20; run++) {
    const stamps = new Stamps(new SimulatedClock(NOW_MS), seededRng(run));
    for (let i = 0; i < 20; i++) given.add(stamps.above(i % 2 === 0 ? 0n : NOW_NS + HOUR_NS));
  }
  expect(given.size).toBe(400);
});
