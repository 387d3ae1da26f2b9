/**
 * S3 Select's SQL: SELECT list FROM S3Object[path] [[AS] alias] [WHERE condition] [LIMIT n] [;]. The expressions are
 * expression-parser.ts's. No parser on npm takes this dialect (ADR 0004). Source: AWS's SQL reference for S3 Select.
 */
import { SelectError } from "./errors.ts";
import { parseExpression } from "./expression-parser.ts";
import { tokensOf } from "./lexer.ts";
import { parseSteps } from "./path-parser.ts";
import type { PathStep, SelectItem, Statement } from "./statement.ts";
import { TokenReader } from "./token-reader.ts";

const TABLE = "s3object";
/** Clauses of SQL that S3 Select does not have, by their first word. */
const NOT_THERE = new Set([
  "group",
  "order",
  "having",
  "join",
  "inner",
  "left",
  "right",
  "cross",
  "union",
  "offset",
  "at",
]);
const ITEMS_MAX = 4096;

export function parseSelect(sql: string): Statement {
  const reader = new TokenReader(tokensOf(sql));
  if (!reader.takeWord("select"))
    throw new SelectError("ParseUnsupportedSelect", "The SQL expression must be a SELECT statement.");
  if (reader.isWord("distinct")) throw new SelectError("UnsupportedSqlStructure", "SELECT DISTINCT is not supported.");
  const items = selectList(reader);
  if (!reader.takeWord("from"))
    throw reader.token.kind === "end"
      ? new SelectError("ParseSelectMissingFrom", "The SELECT statement has no FROM.")
      : reader.unexpected("ParseUnexpectedToken", "expected FROM");
  const { from, alias } = fromClause(reader);
  const where = reader.takeWord("where") ? parseExpression(reader) : null;
  const limit = reader.takeWord("limit") ? limitOf(reader) : null;
  reader.takeSymbol(";");
  if (reader.token.kind !== "end") {
    if (NOT_THERE.has(reader.token.word))
      throw new SelectError("UnsupportedSqlStructure", `${reader.token.word.toUpperCase()} is not supported.`);
    throw reader.unexpected("ParseUnexpectedToken", "nothing more was expected");
  }
  return { items, from, alias, where, limit };
}

/** null = everything: `*` or `alias.*`. */
function selectList(reader: TokenReader): SelectItem[] | null {
  if (reader.isWord("from") || reader.token.kind === "end")
    throw new SelectError("ParseEmptySelect", "The SELECT list is empty.");
  const isAliasStar =
    reader.token.kind === "name" &&
    reader.peek(1).text === "." &&
    reader.peek(2).text === "*" &&
    reader.peek(2).kind === "symbol";
  if (reader.isSymbol("*") || isAliasStar) {
    for (let left = isAliasStar ? 3 : 1; left > 0; left--) reader.next();
    if (reader.isSymbol(","))
      throw new SelectError("ParseAsteriskIsNotAloneInSelectList", "Other expressions are not allowed beside *.");
    return null;
  }
  const items: SelectItem[] = [];
  do {
    if (reader.isSymbol("*"))
      throw new SelectError("ParseAsteriskIsNotAloneInSelectList", "Other expressions are not allowed beside *.");
    if (items.length >= ITEMS_MAX)
      throw new SelectError("ExpressionTooLong", `A SELECT list has at most ${ITEMS_MAX} expressions.`);
    const expression = parseExpression(reader);
    items.push({ expression, alias: aliasOf(reader) });
  } while (reader.takeSymbol(","));
  return items;
}

function aliasOf(reader: TokenReader): string | null {
  const isMarked = reader.takeWord("as");
  const { kind, text } = reader.token;
  if (kind === "quoted" || (kind === "name" && !RESERVED.has(reader.token.word))) {
    reader.next();
    return text;
  }
  if (isMarked) throw reader.unexpected("ParseExpectedIdentForAlias", "expected a name after AS");
  return null;
}
const RESERVED = new Set(["from", "where", "limit", "as", ...NOT_THERE]);

function fromClause(reader: TokenReader): { from: readonly PathStep[]; alias: string | null } {
  if (reader.isSymbol("(")) throw new SelectError("UnsupportedSqlStructure", "Subqueries are not supported.");
  if (reader.token.kind !== "name" || !reader.takeWord(TABLE))
    throw new SelectError("InvalidDataSource", "The data source of FROM must be S3Object.");
  const from = parseSteps(reader, true);
  const alias = aliasOf(reader);
  if (reader.isSymbol(",")) throw new SelectError("UnsupportedSqlStructure", "FROM has one data source only.");
  return { from, alias };
}

function limitOf(reader: TokenReader): number {
  if (reader.isSymbol("-")) throw new SelectError("EvaluatorNegativeLimit", "LIMIT must not be negative.");
  const token = reader.next();
  const limit = Number(token.text);
  if (token.kind !== "number" || !/^\d+$/.test(token.text) || !Number.isSafeInteger(limit))
    throw new SelectError("ParseExpectedNumber", "LIMIT must be a whole number.");
  return limit;
}
