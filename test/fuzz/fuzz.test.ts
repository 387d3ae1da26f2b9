/** The fuzzer itself: it finds what is planted, repeats itself, and stays within its bounds. */
import { expect, test } from "bun:test";
import { FormatError } from "../../src/core/format-error.ts";
import { attempt, Chance, samplesOf, type Target } from "./fuzz.ts";

const ROUNDS = 20_000;

/** Reads [length][bytes]; `fault` is what a careless decoder does with a length that is too large. */
function lengthPrefixed(fault: (bytes: Uint8Array) => unknown): Target {
  return {
    samples: samplesOf("\x05hello", "\x00"),
    errors: [FormatError],
    run(bytes) {
      const length = bytes[0] ?? 0;
      if (bytes.length === 0) throw new FormatError("nothing");
      if (length > bytes.length - 1) fault(bytes);
    },
  };
}

test("an error that is not allowed is found and names its input", async () => {
  const careless = lengthPrefixed(() => {
    throw new RangeError("out of bounds");
  });
  const found = await attempt(careless, new Chance(1), ROUNDS);
  expect(found?.message).toMatch(/wrong answer at round \d+ .*RangeError: out of bounds\ninput \(base64\): /);
});

test("an allowed error is no finding", async () => {
  const careful = lengthPrefixed(() => {
    throw new FormatError("too short");
  });
  expect(await attempt(careful, new Chance(1), ROUNDS)).toBeNull();
});

test("the same seed finds the same input, another seed another", async () => {
  const careless = lengthPrefixed((bytes) => {
    throw new RangeError(String(bytes.length));
  });
  const [first, again, other] = await Promise.all([1, 1, 2].map((seed) => attempt(careless, new Chance(seed), ROUNDS)));
  expect(first?.message).toBe(again?.message as string);
  expect(first?.message).not.toBe(other?.message as string);
});
