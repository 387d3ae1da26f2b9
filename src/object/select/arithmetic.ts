/** + - * / % of S3 Select: integers of 64 bits stay integers (7 / 2 is 3), anything else is a float. */
import { SelectError } from "./errors.ts";
import type { Arithmetic } from "./statement.ts";
import { Float, integer, isNumeric, parseNumber, type Value } from "./value.ts";

export type Numeric = number | bigint | Float;

/** The number that a value is or, `untyped` (CSV has no types), spells. */
export function numericOf(value: Value, untyped: boolean): Numeric {
  if (isNumeric(value)) return value;
  const parsed = untyped && typeof value === "string" ? parseNumber(value) : null;
  if (parsed === null)
    throw new SelectError("InvalidDataType", "The SQL expression calculates with a value that is not a number.");
  return parsed;
}

export function calculate(operator: Arithmetic, a: Numeric, b: Numeric): Numeric {
  if (a instanceof Float || b instanceof Float) {
    const [x, y] = [floatOf(a), floatOf(b)];
    if (y === 0 && (operator === "/" || operator === "%")) throw divideByZero();
    return new Float(FLOATS[operator](x, y));
  }
  if (typeof a === "number" && typeof b === "number" && operator !== "/" && operator !== "%") {
    const result = FLOATS[operator](a, b);
    if (Number.isSafeInteger(result)) return result;
  }
  const [x, y] = [BigInt(a), BigInt(b)];
  if (y === 0n && (operator === "/" || operator === "%")) throw divideByZero();
  const result = integer(INTEGERS[operator](x, y));
  if (result === null)
    throw new SelectError("IntegerOverflow", "The result of a calculation does not fit into 64 bits.");
  return result;
}

export function floatOf(value: Numeric): number {
  return value instanceof Float ? value.value : Number(value);
}

function divideByZero(): SelectError {
  return new SelectError("EvaluatorInvalidArguments", "The SQL expression divides by zero.");
}

const FLOATS: Readonly<Record<Arithmetic, (x: number, y: number) => number>> = {
  "+": (x, y) => x + y,
  "-": (x, y) => x - y,
  "*": (x, y) => x * y,
  "/": (x, y) => x / y,
  "%": (x, y) => x % y,
};
const INTEGERS: Readonly<Record<Arithmetic, (x: bigint, y: bigint) => bigint>> = {
  "+": (x, y) => x + y,
  "-": (x, y) => x - y,
  "*": (x, y) => x * y,
  "/": (x, y) => x / y,
  "%": (x, y) => x % y,
};
