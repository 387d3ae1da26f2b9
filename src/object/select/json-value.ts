/**
 * One JSON value from its text. Not JSON.parse: integers keep 64 bits, 1.0 is not 1, members keep their order, and names are
 * only ever keys of a Map. Anything that RFC 8259 does not allow is a JSONParsingError.
 */
import { SelectError } from "./errors.ts";
import { Float, integer, type Value } from "./value.ts";

export const JSON_DEPTH_MAX = 128;
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;

export function jsonError(): SelectError {
  return new SelectError(
    "JSONParsingError",
    "Encountered an error parsing the JSON file. Check the file and try again.",
  );
}

export function parseJson(text: string): Value {
  const parser = new JsonText(text);
  const value = parser.value(0);
  parser.demandEnd();
  return value;
}

/** The text of a string literal, quotes included. */
export function parseJsonString(literal: string): string {
  if (!literal.includes("\\")) return literal.slice(1, -1);
  try {
    return String(JSON.parse(literal));
  } catch (cause) {
    throw new SelectError("JSONParsingError", "A JSON string holds an escape that is not valid.", {}, { cause });
  }
}

const isBlank = (code: number): boolean => code === 32 || code === 10 || code === 13 || code === 9;

class JsonText {
  private at = 0;
  constructor(private readonly text: string) {}

  demandEnd(): void {
    this.skipBlanks();
    if (this.at < this.text.length) throw jsonError();
  }

  value(depth: number): Value {
    if (depth > JSON_DEPTH_MAX) throw jsonError();
    this.skipBlanks();
    switch (this.text.charCodeAt(this.at)) {
      case 34:
        return this.string();
      case 123:
        return this.object(depth);
      case 91:
        return this.array(depth);
      case 116:
        return this.word("true", true);
      case 102:
        return this.word("false", false);
      case 110:
        return this.word("null", null);
      default:
        return this.number();
    }
  }

  private skipBlanks(): void {
    while (isBlank(this.text.charCodeAt(this.at))) this.at++;
  }

  private word(word: string, value: Value): Value {
    if (!this.text.startsWith(word, this.at)) throw jsonError();
    this.at += word.length;
    return value;
  }

  private string(): string {
    const from = this.at;
    for (let at = from + 1; at < this.text.length; at++) {
      const code = this.text.charCodeAt(at);
      if (code === 92) at++;
      else if (code === 34) {
        this.at = at + 1;
        return parseJsonString(this.text.slice(from, at + 1));
      }
    }
    throw jsonError();
  }

  private number(): Value {
    NUMBER.lastIndex = this.at;
    const match = NUMBER.exec(this.text);
    if (match === null) throw jsonError();
    const [literal, fraction, exponent] = match;
    this.at += literal.length;
    if (fraction !== undefined || exponent !== undefined) return new Float(Number(literal));
    if (literal.length < 16) return Number(literal);
    return (literal.length < 24 ? integer(BigInt(literal)) : null) ?? new Float(Number(literal));
  }

  private object(depth: number): Value {
    const members = new Map<string, Value>();
    this.at++;
    this.skipBlanks();
    if (this.take(125)) return members;
    do {
      this.skipBlanks();
      if (this.text.charCodeAt(this.at) !== 34) throw jsonError();
      const name = this.string();
      this.skipBlanks();
      if (!this.take(58)) throw jsonError();
      members.set(name, this.value(depth + 1));
      this.skipBlanks();
    } while (this.take(44));
    if (!this.take(125)) throw jsonError();
    return members;
  }

  private array(depth: number): Value {
    const members: Value[] = [];
    this.at++;
    this.skipBlanks();
    if (this.take(93)) return members;
    do {
      members.push(this.value(depth + 1));
      this.skipBlanks();
    } while (this.take(44));
    if (!this.take(93)) throw jsonError();
    return members;
  }

  private take(code: number): boolean {
    if (this.text.charCodeAt(this.at) !== code) return false;
    this.at++;
    return true;
  }
}
