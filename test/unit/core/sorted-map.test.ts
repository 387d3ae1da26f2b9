import { expect, test } from "bun:test";
import { compareKeys, endOfPrefix } from "../../../src/core/key-order.ts";
import { SortedMap } from "../../../src/core/sorted-map.ts";
import { seededRng } from "../../sim/seeded.ts";

const PIECES = ["a", "b", "/", "~", "é", "\u{d7ff}", "\u{e000}", "\u{ffff}", "\u{10000}", "\u{10ffff}", "0"];

function randomKey(next: () => number): string {
  return Array.from({ length: 1 + Math.floor(next() * 4) }, () => PIECES[Math.floor(next() * PIECES.length)]).join("");
}
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

test("keys are compared by their UTF-8 bytes", () => {
  const { next } = seededRng(1);
  for (let i = 0; i < 5000; i++) {
    const [a, b] = [randomKey(next), randomKey(next)];
    expect(Math.sign(compareKeys(a, b))).toBe(byBytes(a, b));
  }
});

test("the end of a prefix is the first string behind all that start with it", () => {
  expect(endOfPrefix("a/")).toBe("a0");
  expect(endOfPrefix("a\u{d7ff}")).toBe("a\u{e000}");
  expect(endOfPrefix("a\u{10ffff}")).toBe("b");
  expect(endOfPrefix("\u{10ffff}")).toBeNull();
  expect(endOfPrefix("")).toBeNull();
  const { next } = seededRng(2);
  for (let i = 0; i < 5000; i++) {
    const [prefix, key] = [randomKey(next), randomKey(next)];
    const end = endOfPrefix(prefix);
    if (key.startsWith(prefix)) expect(end === null || byBytes(key, end) < 0).toBe(true);
    else if (end !== null && byBytes(key, prefix) > 0) expect(byBytes(key, end) >= 0).toBe(true);
  }
});

test("a sorted map holds what a map holds, in order, and gives ranges of it", () => {
  const { next } = seededRng(3);
  const [map, model] = [new SortedMap<number>(), new Map<string, number>()];
  for (let i = 0; i < 4000; i++) {
    const key = randomKey(next) + Math.floor(next() * 50);
    if (next() < 0.3) {
      map.delete(key);
      model.delete(key);
    } else {
      map.set(key, i);
      model.set(key, i);
    }
  }
  const sorted = [...model].sort(([a], [b]) => byBytes(a, b));
  expect(map.size).toBe(model.size);
  expect([...map.range("", true, null)].map(([k, v]) => [k, v] as [string, number])).toEqual(sorted);
  for (let i = 0; i < 200; i++) {
    const [from, before, inclusive] = [randomKey(next), randomKey(next), next() < 0.5];
    const wanted = sorted
      .map(([k]) => k)
      .filter((k) => (byBytes(k, from) > 0 || (inclusive && k === from)) && byBytes(k, before) < 0);
    expect([...map.range(from, inclusive, before)].map(([k]) => k)).toEqual(wanted);
  }
});
