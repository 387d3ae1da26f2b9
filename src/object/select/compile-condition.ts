/** Comparisons, BETWEEN, IN and LIKE as closures. `untyped`: a string against a number is the number that it spells. */
import { SelectError } from "./errors.ts";
import { likeMatcher } from "./like.ts";
import type { Evaluate } from "./row.ts";
import type { Comparison, Expression } from "./statement.ts";
import { compareValues, equalValues, isNumeric, parseNumber, type Value } from "./value.ts";

type Of<K extends Expression["kind"]> = Extract<Expression, { readonly kind: K }>;
type Compile = (expression: Expression) => Evaluate;

/** A condition's value; null = unknown. */
export function truthOf(value: Value): boolean | null {
  if (value === true || value === false) return value;
  if (value === null || value === undefined) return null;
  throw new SelectError("InvalidDataType", "The SQL expression has a condition that is neither true nor false.");
}

const HOLDS: Readonly<Record<Comparison, (order: number) => boolean>> = {
  "=": (order) => order === 0,
  "<>": (order) => order !== 0,
  "<": (order) => order < 0,
  "<=": (order) => order <= 0,
  ">": (order) => order > 0,
  ">=": (order) => order >= 0,
};

export function compileCompare(operator: Comparison, left: Evaluate, right: Evaluate, untyped: boolean): Evaluate {
  const holds = HOLDS[operator];
  const onMismatch = operator === "=" ? false : operator === "<>" ? true : null;
  return (row) => {
    const a = left(row);
    if (a === null || a === undefined) return null;
    const b = right(row);
    if (b === null || b === undefined) return null;
    if (typeof a === "object" && typeof b === "object" && onMismatch !== null && compareValues(a, b) === null)
      return equalValues(a, b) !== onMismatch;
    const order = orderOf(a, b, untyped);
    return order === null ? onMismatch : holds(order);
  };
}

/** null = the two cannot be compared. */
function orderOf(a: Value, b: Value, untyped: boolean): number | null {
  if (untyped) {
    if (typeof a === "string" && isNumeric(b)) {
      const number = parseNumber(a);
      return number === null ? null : compareValues(number, b);
    }
    if (typeof b === "string" && isNumeric(a)) {
      const number = parseNumber(b);
      return number === null ? null : compareValues(a, number);
    }
  }
  return compareValues(a, b);
}

export function compileBetween(expression: Of<"between">, compiled: Compile, untyped: boolean): Evaluate {
  const [operand, low, high] = [expression.operand, expression.low, expression.high].map(compiled) as [
    Evaluate,
    Evaluate,
    Evaluate,
  ];
  const { negated } = expression;
  return (row) => {
    const [value, from, to] = [operand(row), low(row), high(row)];
    for (const v of [value, from, to]) if (v === null || v === undefined) return null;
    const [above, below] = [orderOf(value, from, untyped), orderOf(value, to, untyped)];
    return above === null || below === null ? null : (above >= 0 && below <= 0) !== negated;
  };
}

export function compileIn(expression: Of<"in">, compiled: Compile, untyped: boolean): Evaluate {
  const { negated, list } = expression;
  const operand = compiled(expression.operand);
  const members = list.map(compiled);
  const strings = list.every((e) => e.kind === "literal" && typeof e.value === "string")
    ? new Set(list.map((e) => (e as Of<"literal">).value))
    : null;
  return (row) => {
    const value = operand(row);
    if (value === null || value === undefined) return null;
    if (strings !== null && typeof value === "string") return strings.has(value) !== negated;
    let unknown = false;
    for (const member of members) {
      const candidate = member(row);
      if (candidate === null || candidate === undefined) unknown = true;
      else if (orderOf(value, candidate, untyped) === 0 || equalValues(value, candidate)) return !negated;
    }
    return unknown ? null : negated;
  };
}

export function compileLike(expression: Of<"like">, compiled: Compile): Evaluate {
  const [operand, pattern] = [compiled(expression.operand), compiled(expression.pattern)];
  const escapeBy = expression.escape === null ? null : compiled(expression.escape);
  const { negated } = expression;
  // The pattern is nearly always constant: the last one's matcher is kept.
  let [lastPattern, lastEscape]: [string | null, string | null] = [null, null];
  let matches = likeMatcher("", null);
  return (row) => {
    const value = operand(row);
    const wanted = pattern(row);
    const escapedBy = escapeBy === null ? "" : escapeBy(row);
    for (const v of [value, wanted, escapedBy]) if (v === null || v === undefined) return null;
    if (typeof value !== "string" || typeof wanted !== "string" || typeof escapedBy !== "string")
      throw new SelectError("LikeInvalidInputs", "LIKE needs strings.");
    if (wanted !== lastPattern || escapedBy !== lastEscape) {
      matches = likeMatcher(wanted, escapeBy === null ? null : escapedBy);
      [lastPattern, lastEscape] = [wanted, escapedBy];
    }
    return matches(value) !== negated;
  };
}
