/** Health of erasure sets as a truth table: who is there, what may be written and read. */
import { expect, test } from "bun:test";
import { clusterHealth, type SetShape, setHealth } from "../../../src/erasure/health.ts";

const ok = "ok";
const slow = "suspect";
const bad = "faulty";
const none = null;

function setOf(states: readonly ("ok" | "suspect" | "faulty" | null)[], parity: number): SetShape {
  const drives = states.map((state, i) => (state === null ? null : { id: `drive-${i}`, state }));
  return { poolIndex: 0, setIndex: 0, standardParity: parity, drives };
}

test.each([
  // d1   d2    d3    d4   parity  writable readable
  [ok, ok, ok, ok, 2, true, true],
  [ok, ok, ok, bad, 2, true, true],
  [ok, ok, ok, none, 2, true, true],
  [ok, ok, slow, bad, 2, true, true],
  [ok, ok, bad, none, 2, false, true],
  [ok, bad, bad, none, 2, false, false],
  [ok, ok, ok, bad, 1, true, true],
  [ok, ok, bad, bad, 1, false, false],
  [ok, ok, ok, bad, 0, false, false],
] as const)("%p %p %p %p with parity %i: writable %p, readable %p", (a, b, c, d, parity, writable, readable) => {
  expect(setHealth(setOf([a, b, c, d], parity))).toMatchObject({ writable, readable });
});

test("the quorums are k for reads, k for writes, and one more when data and parity are even", () => {
  expect(setHealth(setOf([ok, ok, ok, ok], 2))).toMatchObject({ writeQuorum: 3, readQuorum: 2 });
  expect(setHealth(setOf([ok, ok, ok, ok], 1))).toMatchObject({ writeQuorum: 3, readQuorum: 3 });
  expect(setHealth(setOf([ok], 0))).toMatchObject({ writeQuorum: 1, readQuorum: 1, writable: true });
});

test("one set without quorum makes the cluster unhealthy, and the largest quorum is told", () => {
  const health = clusterHealth([setOf([ok, ok, ok, ok], 2), setOf([ok, ok, bad, none, ok, ok], 3)]);
  expect(health).toMatchObject({ writable: true, writeQuorum: 4, readQuorum: 3, drives: 10, online: 8 });
  const worse = clusterHealth([setOf([ok, ok, ok, ok], 2), setOf([ok, bad, bad, none, ok, ok], 3)]);
  expect(worse).toMatchObject({ writable: false, readable: true });
});

test("maintenance: without the drives of the node that leaves", () => {
  const sets = [setOf([ok, ok, ok, ok], 2)];
  expect(clusterHealth(sets, { without: (id) => id === "drive-0" }).writable).toBe(true);
  expect(clusterHealth(sets, { without: (id) => id <= "drive-1" })).toMatchObject({ writable: false, readable: true });
  expect(clusterHealth(sets, { without: () => true })).toMatchObject({ writable: false, readable: false });
});

test("a drive that is being rebuilt takes writes and does not count for reads", () => {
  const health = clusterHealth([setOf([ok, ok, bad, none], 2)], { isHealing: (id) => id === "drive-1" });
  expect(health).toMatchObject({ healing: 1, readable: false });
});
