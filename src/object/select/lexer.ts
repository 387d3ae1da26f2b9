/**
 * Tokens of an S3 Select expression. Names and keywords are compared without case by the parser, quoted names exactly;
 * 'text' with '' for a quote, `ion` literals (timestamps), -- and block comments. Source: AWS's SQL reference for S3 Select.
 */
import { SelectError } from "./errors.ts";

export type TokenKind = "name" | "quoted" | "string" | "number" | "ion" | "symbol" | "end";
export interface Token {
  readonly kind: TokenKind;
  /** Names as written; strings and quoted names without their quotes. */
  readonly text: string;
  /** Lower case, of plain names only; "" else. */
  readonly word: string;
  /** Characters before it. */
  readonly at: number;
}

/** AWS's limit, in bytes. */
export const EXPRESSION_BYTES_MAX = 256 * 1024;
const SYMBOLS_OF_TWO = new Set(["<=", ">=", "<>", "!=", "||"]);
const SYMBOLS_OF_ONE = new Set("()[],.*/%+-=<>;");
const CLOSING: Readonly<Record<string, TokenKind>> = { "'": "string", '"': "quoted", "`": "ion" };

const isBlank = (c: string): boolean => c === " " || c === "\t" || c === "\n" || c === "\r" || c === "\f";
const isDigit = (c: string): boolean => c >= "0" && c <= "9";
const isNameStart = (c: string): boolean =>
  (c >= "a" && c <= "z") || (c >= "A" && c <= "Z") || c === "_" || c === "$" || c > "\u007f";
const isNamePart = (c: string): boolean => isNameStart(c) || isDigit(c);

export function tokensOf(sql: string): Token[] {
  if (Buffer.byteLength(sql) > EXPRESSION_BYTES_MAX)
    throw new SelectError("ExpressionTooLong", "The SQL expression is too long: the maximum is 256 KiB.");
  const tokens: Token[] = [];
  let at = skipBlanks(sql, 0);
  while (at < sql.length) {
    const [token, next] = tokenAt(sql, at);
    tokens.push(token);
    at = skipBlanks(sql, next);
  }
  tokens.push({ kind: "end", text: "", word: "", at: sql.length });
  return tokens;
}

function skipBlanks(sql: string, from: number): number {
  let at = from;
  for (;;) {
    while (at < sql.length && isBlank(sql[at] as string)) at++;
    if (sql.startsWith("--", at)) {
      const end = sql.indexOf("\n", at);
      at = end < 0 ? sql.length : end + 1;
    } else if (sql.startsWith("/*", at)) {
      const end = sql.indexOf("*/", at + 2);
      if (end < 0) throw new SelectError("LexerInvalidChar", "A comment in the SQL expression does not end.");
      at = end + 2;
    } else return at;
  }
}

function tokenAt(sql: string, at: number): [Token, number] {
  const c = sql[at] as string;
  const closing = CLOSING[c];
  if (closing !== undefined) return delimited(sql, at, closing);
  if (isNameStart(c)) {
    let end = at + 1;
    while (end < sql.length && isNamePart(sql[end] as string)) end++;
    const text = sql.slice(at, end);
    return [{ kind: "name", text, word: text.toLowerCase(), at }, end];
  }
  if (isDigit(c) || (c === "." && isDigit(sql[at + 1] ?? ""))) return numberAt(sql, at);
  const two = sql.slice(at, at + 2);
  const symbol = SYMBOLS_OF_TWO.has(two) ? two : SYMBOLS_OF_ONE.has(c) ? c : null;
  if (symbol === null)
    throw new SelectError("LexerInvalidChar", `The SQL expression has an invalid character at position ${at + 1}.`);
  return [{ kind: "symbol", text: symbol === "!=" ? "<>" : symbol, word: "", at }, at + symbol.length];
}

/** A text in quotes; the quote itself is written twice. */
function delimited(sql: string, at: number, kind: TokenKind): [Token, number] {
  const quote = sql[at] as string;
  let text = "";
  let from = at + 1;
  for (;;) {
    const end = sql.indexOf(quote, from);
    if (end < 0)
      throw new SelectError(
        kind === "ion" ? "LexerInvalidIONLiteral" : "LexerInvalidLiteral",
        `A literal that begins at position ${at + 1} of the SQL expression does not end.`,
      );
    text += sql.slice(from, end);
    if (sql[end + 1] !== quote) return [{ kind, text, word: "", at }, end + 1];
    text += quote;
    from = end + 2;
  }
}

function numberAt(sql: string, at: number): [Token, number] {
  const digits = (from: number): number => {
    let end = from;
    while (end < sql.length && isDigit(sql[end] as string)) end++;
    return end;
  };
  let end = digits(at);
  if (sql[end] === "." && (isDigit(sql[end + 1] ?? "") || !isNameStart(sql[end + 1] ?? ""))) end = digits(end + 1);
  if (sql[end] === "e" || sql[end] === "E") {
    const sign = sql[end + 1] === "+" || sql[end + 1] === "-" ? 1 : 0;
    const exponent = digits(end + 1 + sign);
    if (exponent > end + 1 + sign) end = exponent;
  }
  if (isNameStart(sql[end] ?? ""))
    throw new SelectError("LexerInvalidLiteral", `A number at position ${at + 1} of the SQL expression is malformed.`);
  return [{ kind: "number", text: sql.slice(at, end), word: "", at }, end];
}
