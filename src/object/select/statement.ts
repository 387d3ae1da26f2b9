/** The syntax tree of an S3 Select statement, made by parser.ts and read by compile.ts. */
import type { CastType } from "./cast.ts";
import type { DatePart } from "./timestamp.ts";
import type { Value } from "./value.ts";

/** A step of a path: a name, a position, or all members. */
export type PathStep =
  | { readonly kind: "name"; readonly name: string; readonly quoted: boolean }
  | { readonly kind: "index"; readonly index: number }
  | { readonly kind: "elements" }
  | { readonly kind: "members" };

export type Comparison = "=" | "<>" | "<" | "<=" | ">" | ">=";
export type Arithmetic = "+" | "-" | "*" | "/" | "%";
export type AggregateName = "count" | "sum" | "avg" | "min" | "max";
export type TrimSide = "leading" | "trailing" | "both";

export type Expression =
  | { readonly kind: "literal"; readonly value: Value }
  /** The first step is a name: a column, or the row under its alias. */
  | { readonly kind: "path"; readonly steps: readonly PathStep[] }
  | OfOne<"not" | "negate" | "plus">
  | OfTwo<"and" | "or" | "concat">
  | { readonly kind: "compare"; readonly operator: Comparison; readonly left: Expression; readonly right: Expression }
  | {
      readonly kind: "arithmetic";
      readonly operator: Arithmetic;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly kind: "is"; readonly operand: Expression; readonly what: IsTest; readonly negated: boolean }
  | {
      readonly kind: "like";
      readonly operand: Expression;
      readonly pattern: Expression;
      readonly escape: Expression | null;
      readonly negated: boolean;
    }
  | {
      readonly kind: "between";
      readonly operand: Expression;
      readonly low: Expression;
      readonly high: Expression;
      readonly negated: boolean;
    }
  | {
      readonly kind: "in";
      readonly operand: Expression;
      readonly list: readonly Expression[];
      readonly negated: boolean;
    }
  | {
      readonly kind: "case";
      readonly subject: Expression | null;
      readonly branches: readonly { readonly when: Expression; readonly result: Expression }[];
      readonly otherwise: Expression | null;
    }
  | { readonly kind: "cast"; readonly operand: Expression; readonly type: CastType }
  | {
      readonly kind: "trim";
      readonly side: TrimSide;
      readonly characters: Expression | null;
      readonly operand: Expression;
    }
  | { readonly kind: "extract"; readonly part: DatePart | TimeZonePart; readonly operand: Expression }
  | { readonly kind: "date-add"; readonly part: DatePart; readonly quantity: Expression; readonly operand: Expression }
  | { readonly kind: "date-diff"; readonly part: DatePart; readonly from: Expression; readonly to: Expression }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Expression[] }
  /** null = COUNT(*). */
  | { readonly kind: "aggregate"; readonly name: AggregateName; readonly argument: Expression | null };

type OfOne<Kind> = Kind extends string ? { readonly kind: Kind; readonly operand: Expression } : never;
type OfTwo<Kind> = Kind extends string
  ? { readonly kind: Kind; readonly left: Expression; readonly right: Expression }
  : never;

export type IsTest = "null" | "missing" | "true" | "false";
export type TimeZonePart = "timezone_hour" | "timezone_minute";

export interface SelectItem {
  readonly expression: Expression;
  readonly alias: string | null;
}

export interface Statement {
  /** null = `*`. */
  readonly items: readonly SelectItem[] | null;
  /** Steps after S3Object. */
  readonly from: readonly PathStep[];
  readonly alias: string | null;
  readonly where: Expression | null;
  readonly limit: number | null;
}
