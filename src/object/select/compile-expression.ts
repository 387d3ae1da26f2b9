/** Expression -> Evaluate. Everything that does not depend on the row is done here, once. */
import { calculate, numericOf } from "./arithmetic.ts";
import { castValue } from "./cast.ts";
import { compileBetween, compileCompare, compileIn, compileLike, truthOf } from "./compile-condition.ts";
import { SelectError } from "./errors.ts";
import { FUNCTIONS, trim } from "./functions.ts";
import type { Columns, Evaluate } from "./row.ts";
import type { AggregateName, Expression } from "./statement.ts";
import { dateAdd, dateDiff, partsOf, Timestamp } from "./timestamp.ts";
import { csvText, RECORD_CHARACTERS_MAX, type Value } from "./value.ts";

export interface Scope {
  readonly columns: Columns;
  /** What UTCNOW answers, the same for every record. */
  readonly nowMs: number;
  /** Makes an aggregate; null = not allowed here. */
  readonly aggregate: ((name: AggregateName, argument: Expression | null) => Evaluate) | null;
  /** False beside aggregates: a column has no one value then. */
  readonly mayRead: boolean;
}
type Of<K extends Expression["kind"]> = Extract<Expression, { readonly kind: K }>;

export function compileExpression(expression: Expression, scope: Scope): Evaluate {
  const compiled = (e: Expression): Evaluate => compileExpression(e, scope);
  const { untyped } = scope.columns;
  switch (expression.kind) {
    case "literal": {
      const { value } = expression;
      return () => value;
    }
    case "path":
      if (!scope.mayRead)
        throw new SelectError(
          "UnsupportedSqlStructure",
          "Columns and aggregate functions cannot be selected together.",
        );
      return scope.columns.read(expression.steps);
    case "aggregate":
      if (scope.aggregate === null)
        throw new SelectError("UnsupportedSqlOperation", "An aggregate function is not allowed here.");
      return scope.aggregate(expression.name, expression.argument);
    case "compare":
      return compileCompare(expression.operator, compiled(expression.left), compiled(expression.right), untyped);
    case "between":
      return compileBetween(expression, compiled, untyped);
    case "in":
      return compileIn(expression, compiled, untyped);
    case "like":
      return compileLike(expression, compiled);
    case "is":
      return compileIs(expression, compiled(expression.operand));
    case "and":
    case "or":
      return compileLogic(expression.kind === "or", compiled(expression.left), compiled(expression.right));
    case "not": {
      const operand = compiled(expression.operand);
      return (row) => {
        const truth = truthOf(operand(row));
        return truth === null ? null : !truth;
      };
    }
    case "case":
      return compileCase(expression, compiled, untyped);
    case "arithmetic":
    case "negate":
    case "plus":
    case "concat":
    case "cast":
    case "trim":
    case "extract":
    case "date-add":
    case "date-diff":
    case "call":
      return compileScalar(expression, compiled, scope);
  }
}

type Scalar = Of<
  "negate" | "plus" | "concat" | "arithmetic" | "cast" | "trim" | "extract" | "date-add" | "date-diff" | "call"
>;

function compileScalar(expression: Scalar, compiled: (e: Expression) => Evaluate, scope: Scope): Evaluate {
  const { untyped } = scope.columns;
  switch (expression.kind) {
    case "arithmetic": {
      const { operator } = expression;
      return lifted([expression.left, expression.right].map(compiled), (a, b) =>
        calculate(operator, numericOf(a, untyped), numericOf(b, untyped)),
      );
    }
    case "negate":
      return lifted([compiled(expression.operand)], (a) => calculate("-", 0, numericOf(a, untyped)));
    case "plus":
      return lifted([compiled(expression.operand)], (a) => numericOf(a, untyped));
    case "concat":
      return lifted([expression.left, expression.right].map(compiled), joined);
    case "cast": {
      const [operand, { type }] = [compiled(expression.operand), expression];
      return (row) => castValue(operand(row), type);
    }
    case "trim": {
      const { characters, operand, side } = expression;
      const parts = characters === null ? [compiled(operand)] : [compiled(operand), compiled(characters)];
      return lifted(parts, (text, set) => trim(stringOf(text), side, set === undefined ? null : stringOf(set)));
    }
    case "extract": {
      const { part } = expression;
      return lifted([compiled(expression.operand)], (value) => {
        const timestamp = timestampOf(value);
        if (part === "timezone_hour") return Math.trunc(timestamp.offsetMinutes / 60) + 0;
        return part === "timezone_minute" ? (timestamp.offsetMinutes % 60) + 0 : partsOf(timestamp)[part];
      });
    }
    case "date-add": {
      const { part } = expression;
      return lifted([expression.quantity, expression.operand].map(compiled), (quantity, value) => {
        if (typeof quantity !== "number") throw argumentType("DATE_ADD needs a whole number.");
        const result = dateAdd(part, quantity, timestampOf(value));
        if (result === null)
          throw new SelectError("EvaluatorInvalidArguments", "DATE_ADD leaves the years that there are.");
        return result;
      });
    }
    case "date-diff": {
      const { part } = expression;
      return lifted([expression.from, expression.to].map(compiled), (from, to) =>
        dateDiff(part, timestampOf(from), timestampOf(to)),
      );
    }
    case "call":
      return compileCall(expression, compiled, scope.nowMs);
  }
}

function compileCall(expression: Of<"call">, compiled: (e: Expression) => Evaluate, nowMs: number): Evaluate {
  const args = expression.args.map(compiled);
  const known = FUNCTIONS.get(expression.name);
  if (known === undefined)
    throw new SelectError("UnsupportedFunction", "The SQL expression calls an unknown function.");
  return (row) =>
    known.run(
      args.map((arg) => arg(row)),
      nowMs,
    );
}

/** A function of values that are there; of null or MISSING it is null. */
function lifted(operands: readonly Evaluate[], run: (a: Value, b: Value) => Value): Evaluate {
  const [first, second] = operands as [Evaluate, Evaluate | undefined];
  if (second === undefined)
    return (row) => {
      const a = first(row);
      return a === null || a === undefined ? null : run(a, undefined);
    };
  return (row) => {
    const a = first(row);
    if (a === null || a === undefined) return null;
    const b = second(row);
    return b === null || b === undefined ? null : run(a, b);
  };
}

function argumentType(message: string): SelectError {
  return new SelectError("IncorrectSqlFunctionArgumentType", message);
}
function timestampOf(value: Value): Timestamp {
  if (value instanceof Timestamp) return value;
  throw argumentType("A date function needs a timestamp.");
}
function stringOf(value: Value): string {
  if (typeof value === "string") return value;
  throw argumentType("TRIM needs a string.");
}

/** Bounded: what grows by itself stays below what a record may be. */
function joined(a: Value, b: Value): string {
  const text = csvText(a) + csvText(b);
  if (text.length > RECORD_CHARACTERS_MAX)
    throw new SelectError("OverMaxRecordSize", "The length of a value is greater than 1 MiB.");
  return text;
}

function compileIs(expression: Of<"is">, operand: Evaluate): Evaluate {
  const { what, negated } = expression;
  return (row) => {
    const value = operand(row);
    const holds =
      what === "missing"
        ? value === undefined
        : what === "null"
          ? value === undefined || value === null
          : value === (what === "true");
    return holds !== negated;
  };
}

function compileLogic(isOr: boolean, left: Evaluate, right: Evaluate): Evaluate {
  return (row) => {
    const a = truthOf(left(row));
    if (a === isOr) return isOr;
    const b = truthOf(right(row));
    if (b === isOr) return isOr;
    return a === null || b === null ? null : !isOr;
  };
}

function compileCase(expression: Of<"case">, compiled: (e: Expression) => Evaluate, untyped: boolean): Evaluate {
  const subject = expression.subject === null ? null : compiled(expression.subject);
  const branches = expression.branches.map((branch) => ({
    when: subject === null ? compiled(branch.when) : compileCompare("=", subject, compiled(branch.when), untyped),
    result: compiled(branch.result),
  }));
  const otherwise = expression.otherwise === null ? () => null : compiled(expression.otherwise);
  return (row) => {
    for (const { when, result } of branches) if (truthOf(when(row)) === true) return result(row);
    return otherwise(row);
  };
}
