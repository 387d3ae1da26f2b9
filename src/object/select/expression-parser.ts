/**
 * Expressions of S3 Select, by precedence climbing: OR, AND, NOT, comparisons (with LIKE, IN, BETWEEN, IS), ||, + -, * / %,
 * signs, and what function-parser.ts and path-parser.ts read.
 */
import { SelectError } from "./errors.ts";
import { parseCall, parseCase, parseCast } from "./function-parser.ts";
import { parseSteps } from "./path-parser.ts";
import type { Arithmetic, Comparison, Expression, IsTest } from "./statement.ts";
import { parseTimestamp } from "./timestamp.ts";
import type { TokenReader } from "./token-reader.ts";
import { parseNumber, type Value } from "./value.ts";

const LIST_MAX = 10_000;
/** Words that begin no expression. */
const NOT_A_NAME = new Set([
  "select",
  "from",
  "where",
  "limit",
  "and",
  "or",
  "when",
  "then",
  "else",
  "end",
  "as",
  "in",
  "is",
  "like",
  "between",
]);
const COMPARISONS: ReadonlySet<string> = new Set(["=", "<>", "<", "<=", ">", ">="]);
const LITERALS: ReadonlyMap<string, Value> = new Map<string, Value>([
  ["null", null],
  ["missing", undefined],
  ["true", true],
  ["false", false],
]);

export function parseExpression(reader: TokenReader): Expression {
  return reader.nested(() => {
    let left = conjunction(reader);
    while (reader.takeWord("or")) left = made(reader, { kind: "or", left, right: conjunction(reader) });
    return left;
  });
}

function made(reader: TokenReader, expression: Expression): Expression {
  reader.count();
  return expression;
}

function conjunction(reader: TokenReader): Expression {
  let left = negation(reader);
  while (reader.takeWord("and")) left = made(reader, { kind: "and", left, right: negation(reader) });
  return left;
}

function negation(reader: TokenReader): Expression {
  if (!reader.takeWord("not")) return comparison(reader);
  return reader.nested(() => made(reader, { kind: "not", operand: negation(reader) }));
}

function comparison(reader: TokenReader): Expression {
  let left = concatenation(reader);
  for (;;) {
    const token = reader.token;
    if (token.kind === "symbol" && COMPARISONS.has(token.text)) {
      reader.next();
      const right = concatenation(reader);
      left = made(reader, { kind: "compare", operator: token.text as Comparison, left, right });
      continue;
    }
    const next = predicate(reader, left);
    if (next === null) return left;
    left = next;
  }
}

/** IS, LIKE, IN and BETWEEN after an operand; null = none of them. */
function predicate(reader: TokenReader, operand: Expression): Expression | null {
  if (reader.takeWord("is")) {
    const negated = reader.takeWord("not");
    const what = reader.next().word;
    if (what !== "null" && what !== "missing" && what !== "true" && what !== "false")
      throw new SelectError("ParseExpectedKeyword", "IS is followed by [NOT] NULL, MISSING, TRUE or FALSE.");
    return made(reader, { kind: "is", operand, what: what satisfies IsTest, negated });
  }
  const follows = reader.isWord("not") ? reader.peek(1).word : reader.token.word;
  if (follows !== "like" && follows !== "in" && follows !== "between") return null;
  const negated = reader.takeWord("not");
  reader.next();
  if (follows === "in") return made(reader, { kind: "in", operand, list: listOf(reader), negated });
  if (follows === "like") {
    const pattern = concatenation(reader);
    const escapedBy = reader.takeWord("escape") ? concatenation(reader) : null;
    return made(reader, { kind: "like", operand, pattern, escape: escapedBy, negated });
  }
  const low = concatenation(reader);
  reader.expectWord("and");
  return made(reader, { kind: "between", operand, low, high: concatenation(reader), negated });
}

function listOf(reader: TokenReader): Expression[] {
  const closing = reader.takeSymbol("[") ? "]" : ")";
  if (closing === ")") reader.expectSymbol("(");
  const list: Expression[] = [];
  do {
    if (list.length >= LIST_MAX) throw new SelectError("ExpressionTooLong", `IN takes at most ${LIST_MAX} values.`);
    list.push(parseExpression(reader));
  } while (reader.takeSymbol(","));
  reader.expectSymbol(closing);
  return list;
}

function concatenation(reader: TokenReader): Expression {
  let left = sum(reader);
  while (reader.takeSymbol("||")) left = made(reader, { kind: "concat", left, right: sum(reader) });
  return left;
}

function sum(reader: TokenReader): Expression {
  return leftAssociative(reader, ["+", "-"], () => leftAssociative(reader, ["*", "/", "%"], () => signed(reader)));
}

function leftAssociative(reader: TokenReader, operators: readonly Arithmetic[], operand: () => Expression): Expression {
  let left = operand();
  for (;;) {
    const operator = operators.find((symbol) => reader.takeSymbol(symbol));
    if (operator === undefined) return left;
    left = made(reader, { kind: "arithmetic", operator, left, right: operand() });
  }
}

function signed(reader: TokenReader): Expression {
  const kind = reader.takeSymbol("-") ? "negate" : reader.takeSymbol("+") ? "plus" : null;
  if (kind === null) return primary(reader);
  return reader.nested(() => made(reader, { kind, operand: signed(reader) }));
}

function primary(reader: TokenReader): Expression {
  const token = reader.token;
  if (reader.takeSymbol("(")) {
    if (reader.isWord("select")) throw new SelectError("UnsupportedSqlStructure", "Subqueries are not supported.");
    const inner = parseExpression(reader);
    reader.expectSymbol(")");
    return inner;
  }
  switch (token.kind) {
    case "number":
    case "string":
    case "ion":
      reader.next();
      return made(reader, { kind: "literal", value: literalOf(token.kind, token.text) });
    case "name":
    case "quoted":
      return named(reader);
    case "symbol":
      if (token.text === "*")
        throw new SelectError("ParseUnsupportedCallWithStar", "* stands alone in a SELECT list or in COUNT(*).");
      throw reader.unexpected("ParseUnexpectedToken", "expected an expression");
    case "end":
      throw reader.unexpected("ParseExpectedExpression", "expected an expression");
  }
}

function named(reader: TokenReader): Expression {
  const { kind, word, text } = reader.token;
  if (kind === "name") {
    if (word === "case") return reader.nested(() => parseCase(reader, parseExpression));
    if (word === "cast") return reader.nested(() => parseCast(reader, parseExpression));
    if (reader.peek(1).kind === "symbol" && reader.peek(1).text === "(")
      return reader.nested(() => parseCall(reader, parseExpression));
    if (LITERALS.has(word)) {
      reader.next();
      return made(reader, { kind: "literal", value: LITERALS.get(word) });
    }
    if (NOT_A_NAME.has(word)) throw reader.unexpected("ParseUnexpectedToken", "expected an expression");
  }
  reader.next();
  // S3Object[*].name in an expression is the row's name.
  const isTable = kind === "name" && word === "s3object";
  if (isTable && reader.isSymbol("[") && reader.peek(1).text === "*")
    for (let left = 3; left > 0; left--) reader.next();
  return made(reader, {
    kind: "path",
    steps: [{ kind: "name", name: text, quoted: kind === "quoted" }, ...parseSteps(reader, false)],
  });
}

function literalOf(kind: "number" | "string" | "ion", text: string): Value {
  if (kind === "string") return text;
  if (kind === "ion") {
    const timestamp = parseTimestamp(text);
    if (timestamp === null) throw new SelectError("LexerInvalidIONLiteral", "An Ion literal is not a timestamp.");
    return timestamp;
  }
  const value = parseNumber(text);
  if (value === null) throw new SelectError("LexerInvalidLiteral", "A number of the SQL expression is out of range.");
  return value;
}
