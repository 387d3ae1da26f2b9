/** TokenReader: the parser's place in the tokens, with the checks that every rule of the grammar needs. */
import { SelectError, type SelectErrorCode } from "./errors.ts";
import type { Token } from "./lexer.ts";

/** Nested expressions; the parser and the compiled form recurse. */
const DEPTH_MAX = 100;
/** Parts of an expression: what one record may cost. */
const NODES_MAX = 20_000;

export class TokenReader {
  private at = 0;
  private depth = 0;
  private nodes = 0;

  constructor(private readonly tokens: readonly Token[]) {}

  get token(): Token {
    return this.tokens[this.at] as Token;
  }
  peek(ahead: number): Token {
    return this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)] as Token;
  }
  next(): Token {
    const token = this.token;
    if (token.kind !== "end") this.at++;
    return token;
  }

  isSymbol(text: string): boolean {
    return this.token.kind === "symbol" && this.token.text === text;
  }
  takeSymbol(text: string): boolean {
    if (!this.isSymbol(text)) return false;
    this.at++;
    return true;
  }
  expectSymbol(text: string, code: SelectErrorCode = "ParseExpectedTokenType"): void {
    if (!this.takeSymbol(text)) throw this.unexpected(code, `expected "${text}"`);
  }
  isWord(word: string): boolean {
    return this.token.word === word;
  }
  takeWord(word: string): boolean {
    if (!this.isWord(word)) return false;
    this.at++;
    return true;
  }
  expectWord(word: string): void {
    if (!this.takeWord(word)) throw this.unexpected("ParseExpectedKeyword", `expected ${word.toUpperCase()}`);
  }

  /** Runs a rule one level deeper. */
  nested<T>(rule: () => T): T {
    if (++this.depth > DEPTH_MAX)
      throw new SelectError("UnsupportedSyntax", "The SQL expression is nested too deeply.");
    const result = rule();
    this.depth--;
    return result;
  }

  /** Counts a part of the expression. */
  count(): void {
    if (++this.nodes > NODES_MAX)
      throw new SelectError("ExpressionTooLong", `The SQL expression has more than ${NODES_MAX} parts.`);
  }

  unexpected(code: SelectErrorCode, what: string): SelectError {
    const { kind, at } = this.token;
    const where = kind === "end" ? "at its end" : `at position ${at + 1}`;
    return new SelectError(code, `The SQL expression is not valid ${where}: ${what}.`);
  }
}
