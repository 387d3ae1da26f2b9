/** CASE, CAST and calls, those with a syntax of their own (TRIM, SUBSTRING, EXTRACT, DATE_ADD, DATE_DIFF) among them. */
import { CAST_TYPES, type CastType } from "./cast.ts";
import { SelectError } from "./errors.ts";
import { FUNCTIONS } from "./functions.ts";
import type { AggregateName, Expression, TimeZonePart, TrimSide } from "./statement.ts";
import { DATE_PARTS, type DatePart } from "./timestamp.ts";
import type { TokenReader } from "./token-reader.ts";

type Rule = (reader: TokenReader) => Expression;

const AGGREGATES: ReadonlySet<string> = new Set(["count", "sum", "avg", "min", "max"]);
const ARGUMENTS_MAX = 1000;

export function parseCase(reader: TokenReader, expression: Rule): Expression {
  reader.expectWord("case");
  const subject = reader.isWord("when") ? null : expression(reader);
  const branches: { when: Expression; result: Expression }[] = [];
  while (reader.takeWord("when")) {
    const when = expression(reader);
    reader.expectWord("then");
    branches.push({ when, result: expression(reader) });
  }
  if (branches.length === 0) throw reader.unexpected("ParseExpectedWhenClause", "expected WHEN");
  const otherwise = reader.takeWord("else") ? expression(reader) : null;
  reader.expectWord("end");
  reader.count();
  return { kind: "case", subject, branches, otherwise };
}

export function parseCast(reader: TokenReader, expression: Rule): Expression {
  reader.next();
  reader.expectSymbol("(", "ParseExpectedLeftParenAfterCast");
  const operand = expression(reader);
  if (!reader.takeWord("as")) throw reader.unexpected("ParseCastArity", "CAST is CAST(expression AS type)");
  const type = typeOf(reader);
  reader.expectSymbol(")", "ParseExpectedRightParenBuiltinFunctionCall");
  reader.count();
  return { kind: "cast", operand, type };
}

function typeOf(reader: TokenReader): CastType {
  const { word } = reader.next();
  const type = CAST_TYPES.get(word);
  if (type === undefined) throw new SelectError("ParseExpectedTypeName", "CAST needs the name of a type.");
  if (word === "double") reader.takeWord("precision");
  if (!reader.takeSymbol("(")) return type;
  do {
    if (reader.next().kind !== "number")
      throw new SelectError("ParseInvalidTypeParam", "The parameters of a type are numbers.");
  } while (reader.takeSymbol(","));
  reader.expectSymbol(")");
  return type;
}

export function parseCall(reader: TokenReader, expression: Rule): Expression {
  const name = reader.next().word;
  reader.expectSymbol("(", "ParseExpectedLeftParenBuiltinFunctionCall");
  reader.count();
  const special = AGGREGATES.has(name) ? aggregate : SPECIAL.get(name);
  if (special !== undefined) {
    const result = special(reader, expression, name);
    reader.expectSymbol(")", "ParseExpectedRightParenBuiltinFunctionCall");
    return result;
  }
  const args = argumentsOf(reader, expression);
  const castType = CAST_TYPES.get(name);
  // INT(x) is CAST(x AS INT), as Ceph has it too.
  if (castType !== undefined && args.length === 1)
    return { kind: "cast", operand: args[0] as Expression, type: castType };
  const known = FUNCTIONS.get(name);
  if (known === undefined)
    throw new SelectError("UnsupportedFunction", "The SQL expression calls an unknown function.");
  if (args.length < known.argumentsMin || args.length > known.argumentsMax)
    throw new SelectError("EvaluatorInvalidArguments", `${name.toUpperCase()} has a wrong number of arguments.`);
  return { kind: "call", name, args };
}

function argumentsOf(reader: TokenReader, expression: Rule): Expression[] {
  const args: Expression[] = [];
  if (reader.takeSymbol(")")) return args;
  do {
    if (args.length >= ARGUMENTS_MAX) throw new SelectError("ExpressionTooLong", "A function has too many arguments.");
    args.push(expression(reader));
  } while (reader.takeSymbol(","));
  reader.expectSymbol(")", "ParseExpectedRightParenBuiltinFunctionCall");
  return args;
}

function aggregate(reader: TokenReader, expression: Rule, name: string): Expression {
  if (reader.isSymbol("*")) {
    if (name !== "count") throw new SelectError("ParseUnsupportedCallWithStar", "Only COUNT can be called with *.");
    reader.next();
    return { kind: "aggregate", name: "count", argument: null };
  }
  if (reader.isWord("distinct")) throw new SelectError("UnsupportedSqlStructure", "DISTINCT is not supported.");
  const argument = expression(reader);
  if (reader.isSymbol(","))
    throw new SelectError("ParseNonUnaryAgregateFunctionCall", "An aggregate function takes one argument.");
  return { kind: "aggregate", name: name as AggregateName, argument };
}

type Special = (reader: TokenReader, expression: Rule, name: string) => Expression;

const SPECIAL_FORMS: Readonly<Record<string, Special>> = {
  trim(reader, expression) {
    const side = sideOf(reader);
    if (side !== null && reader.takeWord("from"))
      return { kind: "trim", side, characters: null, operand: expression(reader) };
    const first = expression(reader);
    if (!reader.takeWord("from")) return { kind: "trim", side: side ?? "both", characters: null, operand: first };
    return { kind: "trim", side: side ?? "both", characters: first, operand: expression(reader) };
  },
  substring(reader, expression) {
    const text = expression(reader);
    const isSql = reader.takeWord("from");
    if (!isSql) reader.expectSymbol(",");
    const args = [text, expression(reader)];
    if (isSql ? reader.takeWord("for") : reader.takeSymbol(",")) args.push(expression(reader));
    return { kind: "call", name: "substring", args };
  },
  extract(reader, expression) {
    const part = partOf(reader, true);
    reader.expectWord("from");
    return { kind: "extract", part, operand: expression(reader) };
  },
  date_add(reader, expression) {
    const part = partOf(reader, false) as DatePart;
    reader.expectSymbol(",");
    const quantity = expression(reader);
    reader.expectSymbol(",");
    return { kind: "date-add", part, quantity, operand: expression(reader) };
  },
  date_diff(reader, expression) {
    const part = partOf(reader, false) as DatePart;
    reader.expectSymbol(",");
    const from = expression(reader);
    reader.expectSymbol(",");
    return { kind: "date-diff", part, from, to: expression(reader) };
  },
};

const SPECIAL: ReadonlyMap<string, Special> = new Map(Object.entries(SPECIAL_FORMS));

function sideOf(reader: TokenReader): TrimSide | null {
  const { word } = reader.token;
  if (word !== "leading" && word !== "trailing" && word !== "both") return null;
  reader.next();
  return word;
}

function partOf(reader: TokenReader, zones: boolean): DatePart | TimeZonePart {
  const { word } = reader.next();
  const part = DATE_PARTS.find((name) => name === word);
  if (part !== undefined) return part;
  if (zones && (word === "timezone_hour" || word === "timezone_minute")) return word;
  throw new SelectError("ParseExpectedDatePart", "A date part was expected: year, month, day, hour, minute or second.");
}
