import { expect, test } from "bun:test";
import { Generations } from "../../../src/core/generations.ts";

test("what was used lately stays, what was not goes, and the bound holds", () => {
  const gone: string[] = [];
  const map = new Generations<number>(8, (entries) => gone.push(...entries.keys()));
  for (let i = 0; i < 100; i++) {
    map.set(`key ${i}`, i);
    expect(map.get("key 0")).toBe(0);
    expect(map.size).toBeLessThanOrEqual(8);
    for (let back = 0; back < 3 && i - back >= 0; back++) expect(map.peek(`key ${i - back}`)).toBe(i - back);
  }
  expect(gone).toContain("key 1");
  expect(gone).not.toContain("key 0");
  expect(gone.length + map.size).toBe(100);
});

test("a key that is set anew has the new value and is not told as forgotten", () => {
  const gone: string[] = [];
  const map = new Generations<number>(4, (entries) => gone.push(...entries.keys()));
  for (const [key, value] of [
    ["a", 1],
    ["b", 2],
    ["a", 3],
    ["c", 4],
  ] as const)
    map.set(key, value);
  expect(map.get("a")).toBe(3);
  expect(gone).toEqual(["b"]);
});

test("a look does not count as use", () => {
  const map = new Generations<number>(4);
  map.set("a", 1);
  for (const key of ["b", "c", "d"]) {
    map.peek("a");
    map.set(key, 0);
  }
  expect(map.peek("a")).toBeUndefined();
});
