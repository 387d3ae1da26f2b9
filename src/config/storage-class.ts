/**
 * Parity of the two storage classes: `EC:M`, the defaults by set size, and the rules that both must meet.
 * Throws StorageClassError with words for the operator. Source: docs/format.md §2.2.
 */
import { OperatingError } from "../core/errors.ts";

export class StorageClassError extends OperatingError<"BadStorageClass"> {}

export interface StorageClasses {
  /** Parity shards of STANDARD. */
  readonly standardParity: number;
  /** Parity shards of REDUCED_REDUNDANCY. */
  readonly reducedParity: number;
}

function fail(message: string): never {
  throw new StorageClassError("BadStorageClass", message);
}

/** Parity in `EC:M`. */
export function parseStorageClass(text: string): number {
  const match = /^EC:(\d{1,3})$/.exec(text);
  if (match === null) fail(`${JSON.stringify(text)} is no storage class: write EC:<parity shards>`);
  return Number(match[1]);
}

export function defaultParity(setSize: number): number {
  if (setSize <= 1) return 0;
  if (setSize <= 3) return 1;
  if (setSize <= 5) return 2;
  return setSize <= 7 ? 3 : 4;
}

/** System objects always have half of the set as parity. */
export function systemParity(setSize: number): number {
  return Math.floor(setSize / 2);
}

export interface StorageClassTexts {
  /** "" = default. */
  readonly standard: string;
  /** "" = default. */
  readonly reduced: string;
}

/** Parities for one deployment; `setSizes` are those of its pools, in order. */
export function storageClassesOf(setSizes: readonly number[], texts: StorageClassTexts): StorageClasses {
  const standardParity = standardParityOf(setSizes, texts.standard);
  const defaultReduced = (setSizes[0] ?? 1) <= 1 ? 0 : 1;
  const reducedParity = texts.reduced === "" ? defaultReduced : parseStorageClass(texts.reduced);
  for (const setSize of setSizes) {
    checkParity("STANDARD", standardParity, setSize);
    checkParity("REDUCED_REDUNDANCY", reducedParity, setSize);
  }
  if (standardParity > 0 && reducedParity > standardParity) {
    fail(`REDUCED_REDUNDANCY EC:${reducedParity} has more parity than STANDARD EC:${standardParity}`);
  }
  return { standardParity, reducedParity };
}

/** The first pool decides; a pool of single drives (parity 0) leaves it to the next. */
function standardParityOf(setSizes: readonly number[], text: string): number {
  if (text !== "") return parseStorageClass(text);
  for (const setSize of setSizes) {
    const parity = defaultParity(setSize);
    if (parity > 0) return parity;
  }
  return 0;
}

function checkParity(name: string, parity: number, setSize: number): void {
  if (parity > Math.floor(setSize / 2)) fail(`${name} EC:${parity} is more than half of a set of ${setSize} drives`);
}
