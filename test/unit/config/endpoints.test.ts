import { describe, expect, test } from "bun:test";
import { EndpointsError, expandArgument, layoutPools } from "../../../src/config/endpoints.ts";
import { fixtureJson } from "../storage/xl-meta-fixtures.ts";

const SET_SIZES = fixtureJson<{ setSizes: readonly (readonly [string, number | null])[] }>("vectors.json", {
  setSizes: [],
}).setSizes;

describe("set sizes", () => {
  test.each(SET_SIZES)("%s has sets of %p", (argument, size) => {
    if (size === null) expect(() => layoutPools([argument])).toThrow(EndpointsError);
    else expect(layoutPools([argument])[0]?.setSize).toBe(size);
  });

  test("the operator's choice wins if it divides the drives", () => {
    expect(layoutPools(["data{1...64}"], 8)[0]).toMatchObject({ setSize: 8, setCount: 8 });
    expect(layoutPools(["h{1...8}/d{1...3}"], 12)[0]?.setSize).toBe(12);
    expect(() => layoutPools(["data{1...64}"], 7)).toThrow(/possible are 2, 4, 8, 16/);
  });
});

describe("pools from arguments", () => {
  test("one plain argument is a single drive", () => {
    expect(layoutPools(["/data"])).toEqual([{ argument: "/data", endpoints: ["/data"], setSize: 1, setCount: 1 }]);
  });

  test("several plain arguments are one pool", () => {
    expect(layoutPools(["/b", "/a", "/d", "/c"])).toEqual([
      { argument: "/b /a /d /c", endpoints: ["/b", "/a", "/d", "/c"], setSize: 4, setCount: 1 },
    ]);
  });

  test("each argument with an ellipsis is a pool", () => {
    const pools = layoutPools(["http://a{1...2}/d{1...4}", "http://b{1...4}/d{1...4}"]);
    expect(pools.map(({ setSize, setCount }) => [setSize, setCount])).toEqual([
      [8, 1],
      [16, 1],
    ]);
    expect(pools[1]?.argument).toBe("http://b{1...4}/d{1...4}");
  });

  test("mixtures, duplicates, nothing at all and primes over 16 are refused", () => {
    expect(() => layoutPools([])).toThrow(EndpointsError);
    expect(() => layoutPools(["/a{1...4}", "/b"])).toThrow(/every argument/);
    expect(() => layoutPools(["/a", "/a"])).toThrow(/twice/);
    expect(() => layoutPools(["/a", "/a/"])).toThrow(/twice/);
    expect(() => layoutPools(["/a{1...4}", "/a{4...7}"])).toThrow(/twice/);
    expect(() => layoutPools(["/d{1...1}"])).toThrow(/cannot be divided/);
  });
});

describe("expansion", () => {
  test.each([
    ["http://h{1...2}/d{1...2}", ["http://h1/d1", "http://h2/d1", "http://h1/d2", "http://h2/d2"]],
    ["d{08...11}", ["d08", "d09", "d10", "d11"]],
    ["d{0...2}", ["d0", "d1", "d2"]],
    ["d{9...010}", ["d009", "d010"]],
    ["d{a...c}x", ["dax", "dbx", "dcx"]],
    ["d{0e...10}", ["d0e", "d0f", "d10"].map((text) => text)],
  ])("%s", (argument, expected) => {
    if (argument === "d{0e...10}") {
      // The end parses as decimal ten, below the hexadecimal start.
      expect(() => expandArgument(argument)).toThrow(/backwards/);
      return;
    }
    expect(expandArgument(argument).endpoints).toEqual(expected);
  });

  test.each([
    "d{1..4}",
    "d{4...1}",
    "d{1...4",
    "d{x...z}",
    "d{...}",
    "d{1...2}{",
    "d{1...9999999}",
    "d{1...300}{1...300}",
  ])("%s is refused with words", (argument) => {
    expect(() => expandArgument(argument)).toThrow(EndpointsError);
  });
});
