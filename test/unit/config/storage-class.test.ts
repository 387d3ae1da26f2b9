import { expect, test } from "bun:test";
import {
  defaultParity,
  parseStorageClass,
  StorageClassError,
  storageClassesOf,
  systemParity,
} from "../../../src/config/storage-class.ts";

const DEFAULT = { standard: "", reduced: "" };

test("default parity follows the set size", () => {
  const sizes = [1, 2, 3, 4, 5, 6, 7, 8, 12, 16];
  expect(sizes.map(defaultParity)).toEqual([0, 1, 1, 2, 2, 3, 3, 4, 4, 4]);
  expect(sizes.map(systemParity)).toEqual([0, 1, 1, 2, 2, 3, 3, 4, 6, 8]);
});

test.each([
  // pools      standard  reduced  gives
  [[1], "", "", [0, 0]],
  [[4], "", "", [2, 1]],
  [[16], "EC:8", "EC:2", [8, 2]],
  [[16, 12], "", "", [4, 1]],
  [[16], "EC:0", "", [0, 1]],
  [[2], "", "", [1, 1]],
])("pools of %j with %p and %p have parities %j", (sizes, standard, reduced, expected) => {
  const classes = storageClassesOf(sizes, { standard, reduced });
  expect([classes.standardParity, classes.reducedParity]).toEqual(expected);
});

test.each(["EC", "EC:", "EC:-1", "ec:2", "EC:1:2", "RS:2", "EC:2 ", "EC:1000"])("%s is no storage class", (text) => {
  expect(() => parseStorageClass(text)).toThrow(StorageClassError);
});

test("too much parity is refused, in any pool and between the classes", () => {
  expect(() => storageClassesOf([4], { ...DEFAULT, standard: "EC:3" })).toThrow(/more than half/);
  expect(() => storageClassesOf([16, 4], DEFAULT)).toThrow(/set of 4/);
  expect(() => storageClassesOf([16], { standard: "EC:2", reduced: "EC:3" })).toThrow(/more parity/);
});
