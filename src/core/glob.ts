/**
 * Glob: `*` (any run) and `?` (one UTF-16 unit) over text, matched without regular expressions: time is bounded by pattern
 * times text, space by the pattern. Built from pieces, so that a value put into a pattern is never itself a wildcard.
 */
const STAR = -1;
const ONE = -2;

export class Glob {
  private constructor(
    private readonly tokens: Int32Array,
    /** Where the pattern has no wildcard, its text; where its only one is a last `*`, the text before it. */
    private readonly plain: string | null,
    private readonly isPrefix: boolean,
  ) {}

  static of(pattern: string): Glob {
    return new GlobBuilder().pattern(pattern).build();
  }

  static fromTokens(tokens: readonly number[]): Glob {
    const first = tokens.findIndex((t) => t < 0);
    const isPrefix = first >= 0 && first === tokens.length - 1 && tokens[first] === STAR;
    const plain = first < 0 || isPrefix ? textOf(isPrefix ? tokens.slice(0, -1) : tokens) : null;
    return new Glob(Int32Array.from(tokens), plain, isPrefix);
  }

  matches(text: string): boolean {
    if (this.plain !== null) return this.isPrefix ? text.startsWith(this.plain) : text === this.plain;
    const { tokens } = this;
    let [at, token, star, resume] = [0, 0, -1, 0];
    while (at < text.length) {
      const wanted = tokens[token];
      if (wanted === STAR) {
        star = token++;
        resume = at;
      } else if (wanted !== undefined && (wanted === ONE || wanted === text.charCodeAt(at))) {
        token++;
        at++;
      } else if (star >= 0) {
        token = star + 1;
        at = ++resume;
      } else return false;
    }
    while (tokens[token] === STAR) token++;
    return token === tokens.length;
  }
}

export class GlobBuilder {
  private readonly tokens: number[] = [];

  /** Text in which `*` and `?` are wildcards. */
  pattern(text: string): this {
    for (let i = 0; i < text.length; i++) {
      const c = text[i];
      if (c === "*") {
        if (this.tokens.at(-1) !== STAR) this.tokens.push(STAR);
      } else this.tokens.push(c === "?" ? ONE : text.charCodeAt(i));
    }
    return this;
  }
  /** Text as it is. */
  literal(text: string): this {
    for (let i = 0; i < text.length; i++) this.tokens.push(text.charCodeAt(i));
    return this;
  }
  build(): Glob {
    return Glob.fromTokens(this.tokens);
  }
}

function textOf(tokens: readonly number[]): string {
  let text = "";
  for (const token of tokens) text += String.fromCharCode(token);
  return text;
}
