import { expect, test } from "bun:test";
import { defaultRetention, LOCK_MODE_KEY, LOCK_UNTIL_KEY } from "../../../src/bucket/object-lock.ts";

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
