/**
 * Values of S3 Select: undefined is MISSING; integers are numbers while they are safe and bigints up to 64 bits beyond;
 * Float is a decimal or float, so that 2.0 / 4 is not an integer division. Comparing, and the text of each in the output.
 */
import { Timestamp, timestampText } from "./timestamp.ts";

/** A number that is not an integer by type. */
export class Float {
  constructor(readonly value: number) {}
}
export type Struct = ReadonlyMap<string, Value>;
export type List = readonly Value[];
export type Value = undefined | null | boolean | number | bigint | string | Float | Timestamp | List | Struct;

/** Of one record, read or answered. */
export const RECORD_CHARACTERS_MAX = 1024 * 1024;
const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

/** An integer in its cheapest form, or null when it needs more than 64 bits. */
export function integer(value: bigint): number | bigint | null {
  if (value > INT64_MAX || value < INT64_MIN) return null;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Digits with an optional sign and blanks around; null = no integer of 64 bits. */
export function parseInteger(text: string): number | bigint | null {
  const length = text.length;
  if (length > 0 && length < 16) {
    const first = text.charCodeAt(0);
    const isSigned = first === 45 || first === 43;
    let at = isSigned ? 1 : 0;
    let value = 0;
    if (at < length) {
      for (; at < length; at++) {
        const digit = text.charCodeAt(at) - 48;
        if (digit < 0 || digit > 9) break;
        value = value * 10 + digit;
      }
      if (at === length) return first === 45 ? 0 - value : value;
    }
  }
  const trimmed = text.trim();
  return /^[+-]?\d{1,40}$/.test(trimmed) ? integer(BigInt(trimmed.startsWith("+") ? trimmed.slice(1) : trimmed)) : null;
}

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?$/;

/** A number of either kind; null = the text is none. */
export function parseNumber(text: string): number | bigint | Float | null {
  const whole = parseInteger(text);
  if (whole !== null) return whole;
  const trimmed = text.trim();
  if (!DECIMAL.test(trimmed)) return null;
  const value = Number(trimmed);
  return Number.isFinite(value) ? new Float(value) : null;
}

export function isNumeric(value: Value): value is number | bigint | Float {
  return typeof value === "number" || value instanceof Float || typeof value === "bigint";
}
export function isStruct(value: Value): value is Struct {
  return value instanceof Map;
}

/** -1, 0, 1, or null when the two cannot be compared. Neither is null nor MISSING. */
export function compareValues(a: Value, b: Value): number | null {
  if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === "string" && typeof b === "string") return a === b ? 0 : compareText(a, b);
  if (isNumeric(a) && isNumeric(b)) {
    const [x, y] = [a instanceof Float ? a.value : a, b instanceof Float ? b.value : b];
    return x < y ? -1 : x > y ? 1 : 0;
  }
  if (typeof a === "boolean" && typeof b === "boolean") return Number(a) - Number(b);
  if (a instanceof Timestamp && b instanceof Timestamp) return Math.sign(a.ms - b.ms);
  return null;
}

/** By code point, as UTF-8 sorts; JavaScript's own order differs above the surrogates. */
function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x === y) continue;
    const isSurrogate = (c: number): boolean => c >= 0xd800 && c <= 0xdfff;
    if (isSurrogate(x) !== isSurrogate(y)) return isSurrogate(x) ? 1 : -1;
    return x < y ? -1 : 1;
  }
  return a.length < b.length ? -1 : 1;
}

/** Deep equality of lists and structs; scalars by compareValues. */
export function equalValues(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((value: Value, i) => equalValues(value, b[i] as Value));
  if (isStruct(a) && isStruct(b))
    return a.size === b.size && [...a].every(([name, value]) => b.has(name) && equalValues(value, b.get(name)));
  return a !== null && b !== null && a !== undefined && b !== undefined && compareValues(a, b) === 0;
}

/** As a CSV field; null and MISSING are empty. */
export function csvText(value: Value): string {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) return "";
  if (typeof value !== "object") return String(value);
  if (value instanceof Float) return String(value.value);
  return value instanceof Timestamp ? timestampText(value) : jsonText(value);
}

export function jsonText(value: Value): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (value === undefined || value === null) return "null";
  if (value instanceof Float) return Number.isFinite(value.value) ? String(value.value) : "null";
  if (value instanceof Timestamp) return `"${timestampText(value)}"`;
  if (Array.isArray(value)) return `[${value.map((member: Value) => jsonText(member)).join(",")}]`;
  if (isStruct(value)) return jsonObject([...value]);
  return String(value);
}

/** Members in order; MISSING ones are left out. */
export function jsonObject(members: readonly (readonly [string, Value])[]): string {
  const shown = members.filter(([, value]) => value !== undefined);
  return `{${shown.map(([name, value]) => `${JSON.stringify(name)}:${jsonText(value)}`).join(",")}}`;
}
