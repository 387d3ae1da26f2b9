import { describe, expect, test } from "bun:test";
import { FormatError } from "../../../src/core/format-error.ts";
import { GO_ZERO_TIME } from "../../../src/core/go-time.ts";
import { knownKeys, MsgpackReader, MsgpackWriter } from "../../../src/core/msgpack.ts";

function written(write: (writer: MsgpackWriter) => void): string {
  const writer = new MsgpackWriter(1);
  write(writer);
  return Buffer.from(writer.finish()).toString("hex");
}
const reader = (hex: string): MsgpackReader => new MsgpackReader(new Uint8Array(Buffer.from(hex, "hex")));

describe("integers", () => {
  test.each([
    [0, "00"],
    [127, "7f"],
    [128, "d10080"],
    [200, "d100c8"],
    [32_767, "d17fff"],
    [32_768, "d200008000"],
    [1_048_576, "d200100000"],
    [2 ** 31 - 1, "d27fffffff"],
    [2 ** 31, "d30000000080000000"],
    [2 ** 53 - 1, "d3001fffffffffffff"],
    [-1, "ff"],
    [-32, "e0"],
    [-33, "d0df"],
    [-128, "d080"],
    [-129, "d1ff7f"],
    [-32_769, "d2ffff7fff"],
    [-(2 ** 31) - 1, "d3ffffffff7fffffff"],
  ])("signed %p is %s", (value, hex) => {
    expect(written((w) => w.int(value))).toBe(hex);
    expect(written((w) => w.int64(BigInt(value)))).toBe(hex);
    expect(reader(hex).int()).toBe(value);
    expect(reader(hex).int64()).toBe(BigInt(value));
  });

  test.each([
    [127, "7f"],
    [128, "cc80"],
    [256, "cd0100"],
    [65_536, "ce00010000"],
    [2 ** 32, "cf0000000100000000"],
  ])("unsigned %p is %s", (value, hex) => {
    expect(written((w) => w.uint(value))).toBe(hex);
    expect(reader(hex).uint()).toBe(value);
  });

  test("nanosecond times keep all 64 bits", () => {
    expect(written((w) => w.int64(1_783_440_223_473_265_000n))).toBe("d318c00d6f26446968");
    expect(reader("d318c00d6f26446968").int64()).toBe(1_783_440_223_473_265_000n);
    expect(reader("d38000000000000000").int64()).toBe(-(2n ** 63n));
  });

  test("what is not exact as a number is refused", () => {
    expect(() => reader("d30020000000000000").int()).toThrow(FormatError);
    expect(() => reader("cfffffffffffffffff").int64()).toThrow(FormatError);
    expect(() => reader("ff").uint()).toThrow(FormatError);
  });
});

describe("bytes and text", () => {
  test.each([0, 31, 32, 255, 256, 65_535, 65_536])("%p bytes survive as bin and as text", (length) => {
    const bytes = new Uint8Array(length).fill(0x61);
    const writer = new MsgpackWriter(0);
    writer.bin(bytes);
    writer.str("a".repeat(length));
    const input = new MsgpackReader(writer.finish());
    expect(input.bin()).toEqual(bytes);
    expect(input.str()).toBe("a".repeat(length));
    expect(input.remaining).toBe(0);
  });

  test.each(["ü", "aü", "✓".repeat(20), "😀".repeat(100), `${"a".repeat(200)}é`])(
    "text outside ASCII survives: %p",
    (value) => {
      const writer = new MsgpackWriter(2);
      writer.str(value);
      expect(new MsgpackReader(writer.finish()).str()).toBe(value);
    },
  );

  test("headers have the shortest form", () => {
    expect(written((w) => w.bin(new Uint8Array(0)))).toBe("c400");
    expect(written((w) => w.mapHeader(17))).toBe("de0011");
    expect(written((w) => w.arrayHeader(15))).toBe("9f");
    expect(written((w) => w.arrayHeader(70_000))).toBe("dd00011170");
  });
});

describe("times", () => {
  test("Go's zero time is the known extension", () => {
    expect(written((w) => w.time(GO_ZERO_TIME))).toBe("c70c05fffffff1886e090000000000");
    expect(reader("c70c05fffffff1886e090000000000").time()).toBe(GO_ZERO_TIME);
  });

  test.each([0n, -1n, 1_700_000_000_123_456_789n, GO_ZERO_TIME + 1n])("%p ns survive", (time) => {
    const writer = new MsgpackWriter();
    writer.time(time);
    expect(new MsgpackReader(writer.finish()).time()).toBe(time);
  });

  test("the three forms of the standard extension are read", () => {
    expect(reader("d6ff00000005").time()).toBe(5_000_000_000n);
    expect(reader("d7ff0000000c00000005").time()).toBe(5_000_000_003n);
    expect(reader("c70cff000000030000000000000005").time()).toBe(5_000_000_003n);
    expect(() => reader("d60100000005").time()).toThrow(FormatError);
  });
});

describe("foreign input", () => {
  test("skip steps over every kind of value and over nothing more", () => {
    const kinds = [
      "7f",
      "e0",
      "c0",
      "c2",
      "c3",
      "ca00000000",
      "cb0000000000000000",
      "cc00",
      "cd0000",
      "ce00000000",
      "cf0000000000000000",
      "d000",
      "d10000",
      "d200000000",
      "d30000000000000000",
      "a161",
      "d90161",
      "da000161",
      "db0000000161",
      "c40161",
      "c5000161",
      "c60000000161",
      "d40100",
      "d5010000",
      "d60100000000",
      "d7010000000000000000",
      "d80100000000000000000000000000000000",
      "c7010100",
      "c800010100",
      "c90000000101ff",
      "93010203",
      "dc000101",
      "dd0000000101",
      "820102a161c0",
      "de00010102",
      "df000000010102",
      "9181a1619193010203",
    ];
    for (const hex of kinds) {
      const input = reader(`${hex}2a`);
      expect(Buffer.from(input.skip()).toString("hex")).toBe(hex);
      expect(input.int()).toBe(42);
    }
  });

  test("lengths beyond the input are refused at once", () => {
    for (const hex of ["ddffffffff", "dfffffffff", "9f", "8f"]) {
      expect(() => reader(hex).skip()).toThrow(FormatError);
      expect(() =>
        hex.startsWith("d") ? reader(hex)[hex.startsWith("dd") ? "arrayHeader" : "mapHeader"]() : reader("").int(),
      ).toThrow(FormatError);
    }
    expect(() => reader("c6ffffffff00").bin()).toThrow(FormatError);
    expect(() => reader("c1").skip()).toThrow(FormatError);
  });

  test("deep nesting neither recurses nor hangs", () => {
    const deep = new Uint8Array(1_000_000).fill(0x91);
    expect(() => new MsgpackReader(deep).skip()).toThrow(FormatError);
  });

  test("a reader of a slice never looks behind its end", () => {
    const bytes = new Uint8Array([1, 0xa3, 0x61, 0x62, 0x63]);
    expect(() => new MsgpackReader(bytes, 1, 4).str()).toThrow(FormatError);
    expect(new MsgpackReader(bytes.subarray(1)).str()).toBe("abc");
  });
});

test("a byte string is read in place by a reader that ends with it", () => {
  const inner = new MsgpackWriter();
  inner.uint(7);
  inner.str("a");
  const writer = new MsgpackWriter();
  writer.bin(inner.finish());
  writer.bin(Uint8Array.of(1, 2, 3, 4));
  writer.str("after");
  const reader = new MsgpackReader(writer.finish());
  const inside = reader.binReader();
  expect([inside.uint(), inside.str(), inside.remaining]).toEqual([7, "a", 0]);
  expect(() => inside.str()).toThrow(FormatError);
  expect(reader.binReader().fixed32()).toBe(0x01020304);
  expect(reader.str()).toBe("after");
  expect(() => new MsgpackReader(Uint8Array.of(0xc4, 5, 1)).binReader()).toThrow(FormatError);
  expect(() => new MsgpackReader(Uint8Array.of(0xa1, 0x61)).binReader()).toThrow(FormatError);
});

test("known strings are found by their bytes, others and other forms of the same are read", () => {
  const names = knownKeys("etag", "content-type");
  const writer = new MsgpackWriter();
  for (const name of ["content-type", "etag", "etags", "eta", "é"]) writer.str(name);
  writer.raw(Uint8Array.of(0xd9, 4, 0x65, 0x74, 0x61, 0x67)); // "etag" with a longer header than it needs
  const reader = new MsgpackReader(writer.finish());
  const read = Array.from({ length: 6 }, () => reader.strOf(names));
  expect(read).toEqual(["content-type", "etag", "etags", "eta", "é", "etag"]);
  expect(() => reader.strOf(names)).toThrow(FormatError);
});
