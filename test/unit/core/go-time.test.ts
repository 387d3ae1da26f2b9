import { expect, test } from "bun:test";
import { formatRfc3339, GO_ZERO_TIME, parseHttpDate, parseRfc3339 } from "../../../src/core/go-time.ts";

test.each([
  ["1970-01-01T00:00:00Z", 0n],
  ["0001-01-01T00:00:00Z", GO_ZERO_TIME],
  ["2024-02-29T23:59:59.123456789Z", 1_709_251_199_123_456_789n],
  ["2022-03-20T15:15:01.5Z", 1_647_789_301_500_000_000n],
  ["1969-12-31T23:59:59.999999999Z", -1n],
])("%s is %p ns", (text, time) => {
  expect(parseRfc3339(text)).toBe(time);
  expect(formatRfc3339(time)).toBe(text);
});

test("days agree with the calendar over four centuries", () => {
  for (let day = -100_000; day < 100_000; day += 37) {
    const text = new Date(day * 86_400_000).toISOString().replace(".000", "");
    expect(formatRfc3339(BigInt(day) * 86_400_000_000_000n)).toBe(text);
    expect(parseRfc3339(text)).toBe(BigInt(day) * 86_400_000_000_000n);
  }
});

test("zones are taken into account", () => {
  expect(parseRfc3339("2022-03-20T17:15:01+02:00")).toBe(parseRfc3339("2022-03-20T15:15:01Z"));
  expect(parseRfc3339("2022-03-20T09:45:01-05:30")).toBe(parseRfc3339("2022-03-20T15:15:01Z"));
});

test.each(["", "2022", "2022-13-01T00:00:00Z", "2022-01-01 00:00:00Z", "2022-01-01T24:00:00Z", "2022-01-01T00:00:00"])(
  "%p is no time",
  (text) => {
    expect(parseRfc3339(text)).toBeNull();
  },
);

test("HTTP dates are read", () => {
  expect(parseHttpDate("Fri, 21 Dec 2012 00:00:00 GMT")).toBe(1_356_048_000_000_000_000n);
  expect(parseHttpDate("Fri, 21 Foo 2012 00:00:00 GMT")).toBeNull();
});
