/**
 * LIKE: % any characters, _ one of them, an escape character before either and before itself. Compiled once for a constant
 * pattern; matching goes back to the last % only, so it is bounded by pattern times text.
 */
import { SelectError } from "./errors.ts";

type Part = string | typeof ANY | typeof ONE;
const ANY = Symbol("%");
const ONE = Symbol("_");
/** Both bound what one record may cost. */
const PATTERN_CHARACTERS_MAX = 1024;
const STEPS_MAX = 4 * 1024 * 1024;

export function likeMatcher(pattern: string, escapedBy: string | null): (text: string) => boolean {
  if (pattern.length > PATTERN_CHARACTERS_MAX)
    throw new SelectError("LikeInvalidInputs", `A LIKE pattern has at most ${PATTERN_CHARACTERS_MAX} characters.`);
  const parts = partsOf(pattern, escapedBy);
  const simple = simpleMatcher(parts);
  if (simple !== null) return simple;
  return (text) => matches(parts, [...text]);
}

/** Pieces: one character, ONE or ANY. */
function partsOf(pattern: string, escapedBy: string | null): Part[] {
  if (escapedBy !== null && [...escapedBy].length !== 1)
    throw new SelectError("LikeInvalidInputs", "The escape of LIKE must be one character.");
  const parts: Part[] = [];
  const characters = [...pattern];
  for (let at = 0; at < characters.length; at++) {
    const c = characters[at] as string;
    if (c === escapedBy) {
      const next = characters[++at];
      if (next !== "%" && next !== "_" && next !== escapedBy)
        throw new SelectError(
          "EvaluatorLikePatternInvalidEscapeSequence",
          "The escape of a LIKE pattern must stand before %, _ or itself.",
        );
      parts.push(next);
    } else if (c === "%") {
      if (parts.at(-1) !== ANY) parts.push(ANY);
    } else parts.push(c === "_" ? ONE : c);
  }
  return parts;
}

/** 'x', 'x%', '%x' and '%x%' are text searches. */
function simpleMatcher(parts: readonly Part[]): ((text: string) => boolean) | null {
  const [open, closed] = [parts[0] === ANY, parts.length > 0 && parts.at(-1) === ANY];
  const middle = parts.slice(open ? 1 : 0, closed && parts.length > 1 ? -1 : undefined);
  if (!middle.every((part) => typeof part === "string")) return null;
  const text = middle.join("");
  if (open && closed) return (value) => value.includes(text);
  if (open) return (value) => value.endsWith(text);
  return closed ? (value) => value.startsWith(text) : (value) => value === text;
}

function matches(parts: readonly Part[], text: readonly string[]): boolean {
  let [at, part] = [0, 0];
  let [backAt, backPart] = [-1, -1];
  for (let steps = 0; at < text.length; steps++) {
    if (steps > STEPS_MAX)
      throw new SelectError("LikeInvalidInputs", "Matching a LIKE pattern with a long value takes too many steps.");
    const wanted = parts[part];
    if (wanted === ANY) {
      [backAt, backPart] = [at, ++part];
    } else if (wanted !== undefined && (wanted === ONE || wanted === text[at])) {
      at++;
      part++;
    } else if (backPart >= 0) {
      at = ++backAt;
      part = backPart;
    } else return false;
  }
  while (parts[part] === ANY) part++;
  return part === parts.length;
}
