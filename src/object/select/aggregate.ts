/** COUNT, SUM, AVG, MIN, MAX over the records that passed. null and MISSING are skipped; over none, all but COUNT are null. */
import { calculate, floatOf, type Numeric, numericOf } from "./arithmetic.ts";
import { SelectError } from "./errors.ts";
import type { Evaluate, Row } from "./row.ts";
import type { AggregateName } from "./statement.ts";
import { compareValues, Float, parseNumber, type Value } from "./value.ts";

export class Aggregate {
  private count = 0;
  private total: Numeric = 0;
  private extreme: Value = null;

  /** `argument` null: every record counts. */
  constructor(
    private readonly name: AggregateName,
    private readonly argument: Evaluate | null,
    private readonly untyped: boolean,
  ) {}

  add(row: Row): void {
    if (this.argument === null) {
      this.count++;
      return;
    }
    const value = this.argument(row);
    if (value === null || value === undefined) return;
    this.count++;
    if (this.name === "sum" || this.name === "avg")
      this.total = calculate("+", this.total, numericOf(value, this.untyped));
    else if (this.name !== "count") this.compare(value);
  }

  private compare(given: Value): void {
    const value = this.untyped && typeof given === "string" ? (parseNumber(given) ?? given) : given;
    if (this.extreme === null) {
      this.extreme = value;
      return;
    }
    const order = compareValues(value, this.extreme);
    if (order === null)
      throw new SelectError("IncorrectSqlFunctionArgumentType", "MIN and MAX need values of one kind.");
    if (this.name === "min" ? order < 0 : order > 0) this.extreme = value;
  }

  result(): Value {
    switch (this.name) {
      case "count":
        return this.count;
      case "sum":
        return this.count === 0 ? null : this.total;
      case "avg":
        return this.count === 0 ? null : new Float(floatOf(this.total) / this.count);
      case "min":
      case "max":
        return this.extreme;
    }
  }
}
