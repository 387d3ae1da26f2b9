/** CAST between the types of S3 Select. null and MISSING stay what they are. */
import { SelectError } from "./errors.ts";
import { parseTimestamp, Timestamp } from "./timestamp.ts";
import { csvText, Float, integer, parseInteger, parseNumber, type Value } from "./value.ts";

export type CastType = "bool" | "int" | "float" | "string" | "timestamp";

/** Names of types, in lower case. */
export const CAST_TYPES: ReadonlyMap<string, CastType> = new Map<string, CastType>([
  ["bool", "bool"],
  ["boolean", "bool"],
  ["int", "int"],
  ["integer", "int"],
  ["bigint", "int"],
  ["smallint", "int"],
  ["float", "float"],
  ["real", "float"],
  ["double", "float"],
  ["decimal", "float"],
  ["numeric", "float"],
  ["string", "string"],
  ["char", "string"],
  ["character", "string"],
  ["varchar", "string"],
  ["timestamp", "timestamp"],
]);

export function castValue(value: Value, type: CastType): Value {
  if (value === undefined || value === null) return value;
  const result = CASTS[type](value);
  if (result === null)
    throw new SelectError("CastFailed", `An attempt to convert a value to ${type} with CAST failed.`);
  return result;
}

type Present = Exclude<Value, null | undefined>;
const CASTS: Readonly<Record<CastType, (value: Present) => Value>> = {
  int(value) {
    if (typeof value === "string") return parseInteger(value);
    if (typeof value === "number" || typeof value === "bigint") return value;
    if (value instanceof Float) return Number.isFinite(value.value) ? integer(BigInt(Math.trunc(value.value))) : null;
    return typeof value === "boolean" ? Number(value) : null;
  },
  float(value) {
    if (value instanceof Float) return value;
    const number = typeof value === "string" ? parseNumber(value) : value;
    if (number instanceof Float) return number;
    if (typeof number === "boolean") return new Float(Number(number));
    return typeof number === "number" || typeof number === "bigint" ? new Float(Number(number)) : null;
  },
  bool(value) {
    if (typeof value === "boolean") return value;
    if (typeof value === "number" || typeof value === "bigint") return Number(value) !== 0;
    if (value instanceof Float) return value.value !== 0;
    const word = typeof value === "string" ? value.trim().toLowerCase() : "";
    return word === "true" ? true : word === "false" ? false : null;
  },
  string: (value) => csvText(value),
  timestamp(value) {
    if (value instanceof Timestamp) return value;
    return typeof value === "string" ? parseTimestamp(value.trim()) : null;
  },
};
