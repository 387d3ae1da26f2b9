/** TO_STRING's patterns. Letters are symbols, 'text' in quotes and every other character stand for themselves. */
import { SelectError } from "./errors.ts";
import { offsetText, type Parts, partsOf, signedOffset, type Timestamp } from "./timestamp.ts";

const MONTHS = [
  ["January", "February", "March", "April", "May", "June"],
  ["July", "August", "September", "October", "November", "December"],
].flat();
const PATTERN_CHARACTERS_MAX = 256;

type Symbol = (parts: Parts, timestamp: Timestamp) => string;
const pad = (n: number, width: number): string => String(n).padStart(width, "0");
const month = (p: Parts): string => MONTHS[p.month - 1] as string;
const offset =
  (separator: string, zulu: boolean): Symbol =>
  (_, { offsetMinutes }) =>
    zulu ? offsetText(offsetMinutes, separator) : signedOffset(offsetMinutes, separator);
/** Hours alone when that is all there is to say. */
const shortOffset =
  (zulu: boolean): Symbol =>
  (_, { offsetMinutes }) => {
    if (zulu && offsetMinutes === 0) return "Z";
    const whole = signedOffset(offsetMinutes, "");
    return whole.endsWith("00") ? whole.slice(0, 3) : whole;
  };

const SYMBOLS: Readonly<Record<string, Symbol>> = {
  y: (p) => String(p.year),
  yy: (p) => pad(p.year % 100, 2),
  yyyy: (p) => pad(p.year, 4),
  M: (p) => String(p.month),
  MM: (p) => pad(p.month, 2),
  MMM: (p) => month(p).slice(0, 3),
  MMMM: month,
  MMMMM: (p) => month(p).slice(0, 1),
  d: (p) => String(p.day),
  dd: (p) => pad(p.day, 2),
  a: (p) => (p.hour < 12 ? "AM" : "PM"),
  h: (p) => String(((p.hour + 11) % 12) + 1),
  hh: (p) => pad(((p.hour + 11) % 12) + 1, 2),
  H: (p) => String(p.hour),
  HH: (p) => pad(p.hour, 2),
  m: (p) => String(p.minute),
  mm: (p) => pad(p.minute, 2),
  s: (p) => String(p.second),
  ss: (p) => pad(p.second, 2),
  n: (p) => String(p.millisecond * 1_000_000),
  X: shortOffset(true),
  XX: offset("", true),
  XXX: offset(":", true),
  XXXX: offset("", true),
  XXXXX: offset(":", true),
  x: shortOffset(false),
  xx: offset("", false),
  xxx: offset(":", false),
  xxxx: offset("", false),
  xxxxx: offset(":", false),
};

export function formatTimestamp(timestamp: Timestamp, pattern: string): string {
  if (pattern.length > PATTERN_CHARACTERS_MAX)
    throw new SelectError("EvaluatorInvalidArguments", "A timestamp format is too long.");
  const parts = partsOf(timestamp);
  let out = "";
  for (let at = 0; at < pattern.length; ) {
    const c = pattern[at] as string;
    if (c === "'") {
      const end = pattern.indexOf("'", at + 1);
      if (end < 0)
        throw new SelectError(
          "EvaluatorUnterminatedTimestampFormatPatternToken",
          "A quoted text in a timestamp format does not end.",
        );
      out += end === at + 1 ? "'" : pattern.slice(at + 1, end);
      at = end + 1;
      continue;
    }
    let end = at + 1;
    while (pattern[end] === c) end++;
    const token = pattern.slice(at, end);
    out += /[A-Za-z]/.test(c) ? symbolOf(token)(parts, timestamp) : token;
    at = end;
  }
  return out;
}

function symbolOf(token: string): Symbol {
  const symbol = SYMBOLS[token];
  if (symbol !== undefined) return symbol;
  if (/^S{1,9}$/.test(token)) return (p) => pad(p.millisecond, 3).padEnd(9, "0").slice(0, token.length);
  throw new SelectError(
    "EvaluatorInvalidTimestampFormatPatternSymbol",
    "A timestamp format holds a symbol that is not known.",
  );
}
