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

function pairsOf(map: SortedMap<number>): [string, number][] {
  return [...map.range("", true, null)].map(([key, value]) => [key, value]);
}

test("a sorted map holds what a map holds, in order, and gives ranges of it, whenever it is asked", () => {
  const { next } = seededRng(3);
  const [map, model] = [new SortedMap<number>(), new Map<string, number>()];
  for (let i = 0; i < 12_000; i++) {
    const key = randomKey(next) + Math.floor(next() * 50);
    const deletes = Math.floor(i / 2000) % 2 === 0 ? 0.3 : 0.7; // it grows and shrinks
    if (next() < deletes) {
      map.delete(key);
      model.delete(key);
    } else {
      map.set(key, i);
      model.set(key, i);
    }
    expect(map.get(key)).toBe(model.get(key));
    if (i % 100 !== 0) continue;
    const sorted = [...model].sort(([a], [b]) => byBytes(a, b));
    expect(map.size).toBe(model.size);
    expect(pairsOf(map)).toEqual(sorted);
    expect(map.all()).toEqual(sorted.map(([, value]) => value));
    const [from, before, inclusive] = [randomKey(next), randomKey(next), next() < 0.5];
    const wanted = sorted
      .map(([k]) => k)
      .filter((k) => (byBytes(k, from) > 0 || (inclusive && k === from)) && byBytes(k, before) < 0);
    expect([...map.range(from, inclusive, before)].map(([k]) => k)).toEqual(wanted);
  }
});

test("a sorted map that is changed while it is gone through gives each key at most once, in order, and none that went", () => {
  const map = new SortedMap<number>();
  for (const key of ["a", "c", "e", "g"]) map.set(key, 1);
  const seen: string[] = [];
  for (const [key] of map.range("", true, null)) {
    seen.push(key);
    if (key !== "a") continue;
    map.delete("c");
    map.set("b", 2);
    map.set("f", 2);
    map.all();
  }
  expect(seen).toEqual(["a", "e", "g"]);
  expect(pairsOf(map).map(([key]) => key)).toEqual(["a", "b", "e", "f", "g"]);
});

test("keys that come and go without anybody asking leave nothing behind", () => {
  const map = new SortedMap<Uint8Array>();
  map.set("stays", new Uint8Array(1));
  for (let i = 0; i < 10_000; i++) {
    map.set(`key-${i}`, new Uint8Array(1));
    map.delete(`key-${i}`);
  }
  const { order, late } = map as unknown as { order: string[]; late: string[] };
  expect(order.length + late.length).toBeLessThan(300);
});

test("however many keys come before anybody asks, few are left to be put in order then", () => {
  const map = new SortedMap<number>();
  for (let i = 0; i < 5000; i++) {
    map.set(`key-${(i * 7919) % 5000}`, i);
    expect((map as unknown as { late: string[] }).late.length).toBeLessThan(512);
  }
  const keys = pairsOf(map).map(([key]) => key);
  expect(keys).toEqual([...keys].sort(byBytes));
  expect(keys.length).toBe(5000);
});
