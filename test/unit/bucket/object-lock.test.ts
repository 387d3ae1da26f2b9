import { expect, test } from "bun:test";
import {
  defaultRetention,
  LOCK_MODE_KEY,
  LOCK_UNTIL_KEY,
  mayChangeRetention,
  type Retention,
} from "../../../src/bucket/object-lock.ts";

const NOW_MS = Date.UTC(2026, 0, 31);

test.each([
  ["<Days>30</Days>", "2026-03-02T00:00:00.000Z"],
  ["<Years>2</Years>", "2028-01-31T00:00:00.000Z"],
  ["<Days>99999999999</Days>", "9999-12-31T23:59:59.000Z"],
  ["<Years>999999999</Years>", "9999-12-31T23:59:59.000Z"],
  ["<Years>9000</Years>", "9999-12-31T23:59:59.000Z"],
])("a default retention of %s protects until %s", (period, until) => {
  const document = `<ObjectLockConfiguration><Rule><DefaultRetention><Mode>GOVERNANCE</Mode>${period}</DefaultRetention></Rule></ObjectLockConfiguration>`;
  expect([...defaultRetention(Buffer.from(document), NOW_MS)]).toEqual([
    [LOCK_MODE_KEY, "GOVERNANCE"],
    [LOCK_UNTIL_KEY, until],
  ]);
});

test.each([
  // current                    next                       bypass  may it?
  [null, ["GOVERNANCE", 9], false, true],
  [["GOVERNANCE", 5], ["GOVERNANCE", 5], false, true],
  [["GOVERNANCE", 5], ["GOVERNANCE", 4], false, false],
  [["GOVERNANCE", 5], ["GOVERNANCE", 4], true, true],
  [["GOVERNANCE", 5], ["COMPLIANCE", 9], false, false],
  [["GOVERNANCE", 5], null, false, false],
  [["GOVERNANCE", 5], null, true, true],
  [["COMPLIANCE", 5], ["COMPLIANCE", 6], false, true],
  [["COMPLIANCE", 5], ["COMPLIANCE", 4], true, false],
  [["COMPLIANCE", 5], ["GOVERNANCE", 9], true, false],
  [["COMPLIANCE", 5], null, true, false],
  [["COMPLIANCE", -1], null, false, true],
] as const)("retention %p becomes %p, bypass %p: %p", (current, next, bypass, may) => {
  const of = (given: readonly ["GOVERNANCE" | "COMPLIANCE", number] | null): Retention | null =>
    given === null ? null : { mode: given[0], until: new Date(NOW_MS + given[1] * 86_400_000).toISOString() };
  expect(mayChangeRetention(of(current), of(next), NOW_MS, bypass)).toBe(may);
});

test("a retention that cannot be read protects, and COMPLIANCE of it cannot be changed", () => {
  expect(mayChangeRetention({ mode: "COMPLIANCE", until: "someday" }, null, NOW_MS, true)).toBe(false);
});
