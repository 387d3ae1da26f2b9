/**
 * Statement -> Plan: closures that read a row and answer a value, made once, called for every record. Truth has three
 * values: a comparison with null or MISSING is null, and WHERE keeps a record only when its condition is true.
 */
import { Aggregate } from "./aggregate.ts";
import { compileExpression, type Scope } from "./compile-expression.ts";
import { SelectError } from "./errors.ts";
import type { Columns, Evaluate } from "./row.ts";
import type { Expression, Statement } from "./statement.ts";

export interface OutputColumn {
  readonly name: string;
  readonly evaluate: Evaluate;
}
export interface Plan {
  readonly where: Evaluate | null;
  /** null = `*`. */
  readonly columns: readonly OutputColumn[] | null;
  /** Not empty: the statement answers one record, after the last. */
  readonly aggregates: readonly Aggregate[];
  readonly isAggregated: boolean;
  /** Records to answer. */
  readonly limit: number;
}

export function compileStatement(statement: Statement, columns: Columns, nowMs: number): Plan {
  const aggregates: Aggregate[] = [];
  const isAggregated = statement.items?.some(({ expression }) => hasAggregate(expression)) ?? false;
  const scope: Scope = { columns, nowMs, aggregate: null, mayRead: true };
  const where = statement.where === null ? null : compileExpression(statement.where, scope);
  const inList: Scope = {
    ...scope,
    mayRead: !isAggregated,
    aggregate(name, argument) {
      const evaluate = argument === null ? null : compileExpression(argument, scope);
      const aggregate = new Aggregate(name, evaluate, columns.untyped);
      aggregates.push(aggregate);
      return () => aggregate.result();
    },
  };
  const list = statement.items?.map(({ expression, alias }, index) => ({
    name: alias ?? nameOf(expression) ?? `_${index + 1}`,
    evaluate: compileExpression(expression, inList),
  }));
  return {
    where,
    columns: list ?? null,
    aggregates,
    isAggregated,
    limit: statement.limit ?? Number.POSITIVE_INFINITY,
  };
}

function nameOf(expression: Expression): string | null {
  if (expression.kind !== "path") return null;
  const last = expression.steps.at(-1);
  return last?.kind === "name" ? last.name : null;
}

/** An aggregate inside of another is found when the inner one is compiled. */
function hasAggregate(expression: Expression): boolean {
  if (expression.kind === "aggregate") return true;
  return childrenOf(expression).some(hasAggregate);
}

function childrenOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case "literal":
    case "path":
      return [];
    case "not":
    case "negate":
    case "plus":
    case "is":
    case "cast":
    case "extract":
      return [expression.operand];
    case "and":
    case "or":
    case "concat":
    case "compare":
    case "arithmetic":
      return [expression.left, expression.right];
    case "like":
      return [expression.operand, expression.pattern, ...present(expression.escape)];
    case "between":
      return [expression.operand, expression.low, expression.high];
    case "in":
      return [expression.operand, ...expression.list];
    case "case":
      return [
        ...present(expression.subject),
        ...expression.branches.flatMap(({ when, result }) => [when, result]),
        ...present(expression.otherwise),
      ];
    case "trim":
      return [expression.operand, ...present(expression.characters)];
    case "date-add":
      return [expression.quantity, expression.operand];
    case "date-diff":
      return [expression.from, expression.to];
    case "call":
      return expression.args;
    case "aggregate":
      throw new SelectError("UnsupportedSqlOperation", "An aggregate function is not allowed here.");
  }
}
function present(expression: Expression | null): readonly Expression[] {
  return expression === null ? [] : [expression];
}
