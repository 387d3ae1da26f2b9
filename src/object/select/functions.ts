/** The functions of S3 Select that are called like functions: name, number of arguments, what they answer. */
import { SelectError } from "./errors.ts";
import { formatTimestamp } from "./timestamp-format.ts";
import { parseTimestamp, Timestamp } from "./timestamp.ts";
import type { TrimSide } from "./statement.ts";
import { equalValues, type Value } from "./value.ts";

export interface SelectFunction {
  readonly argumentsMin: number;
  readonly argumentsMax: number;
  readonly run: (args: readonly Value[], nowMs: number) => Value;
}

const isAbsent = (value: Value): value is null | undefined => value === null || value === undefined;

function textOf(value: Value, name: string): string {
  if (typeof value === "string") return value;
  throw new SelectError("IncorrectSqlFunctionArgumentType", `${name} needs a string.`);
}

/** A function of one string. */
function ofText(name: string, run: (text: string) => Value): SelectFunction {
  return {
    argumentsMin: 1,
    argumentsMax: 1,
    run: ([value]) => (isAbsent(value) ? null : run(textOf(value, name))),
  };
}

const charLength = ofText("CHAR_LENGTH", (text) => characterCount(text));

const BY_NAME: Readonly<Record<string, SelectFunction>> = {
  char_length: charLength,
  character_length: charLength,
  lower: ofText("LOWER", (text) => text.toLowerCase()),
  upper: ofText("UPPER", (text) => text.toUpperCase()),
  substring: { argumentsMin: 2, argumentsMax: 3, run: substring },
  coalesce: {
    argumentsMin: 1,
    argumentsMax: 1000,
    run: (args) => args.find((value) => !isAbsent(value)) ?? null,
  },
  nullif: { argumentsMin: 2, argumentsMax: 2, run: ([a, b]) => (equalValues(a, b) ? null : a) },
  utcnow: { argumentsMin: 0, argumentsMax: 0, run: (_, nowMs) => new Timestamp(nowMs, 0, "second") },
  to_timestamp: ofText("TO_TIMESTAMP", (text) => {
    const timestamp = parseTimestamp(text.trim());
    if (timestamp === null)
      throw new SelectError("ValueParseFailure", "TO_TIMESTAMP was given a text that is no time.");
    return timestamp;
  }),
  to_string: {
    argumentsMin: 2,
    argumentsMax: 2,
    run([timestamp, pattern]) {
      if (isAbsent(timestamp) || isAbsent(pattern)) return null;
      if (!(timestamp instanceof Timestamp))
        throw new SelectError("IncorrectSqlFunctionArgumentType", "TO_STRING needs a timestamp.");
      return formatTimestamp(timestamp, textOf(pattern, "TO_STRING"));
    },
  },
};

export const FUNCTIONS: ReadonlyMap<string, SelectFunction> = new Map(Object.entries(BY_NAME));

const SURROGATES = /[\ud800-\udfff]/;
function characterCount(text: string): number {
  return SURROGATES.test(text) ? [...text].length : text.length;
}

/** From `start` (1 is the first; what lies before counts), at most `length` characters. */
function substring([value, start, length]: readonly Value[]): Value {
  if (isAbsent(value) || isAbsent(start) || length === null) return null;
  const text = textOf(value, "SUBSTRING");
  if (typeof start !== "number" || (length !== undefined && typeof length !== "number"))
    throw new SelectError("IncorrectSqlFunctionArgumentType", "SUBSTRING needs whole numbers.");
  if (typeof length === "number" && length < 0)
    throw new SelectError("EvaluatorInvalidArguments", "SUBSTRING needs a length that is not negative.");
  const from = Math.max(0, start - 1);
  const to = typeof length === "number" ? Math.max(0, start - 1 + length) : Number.POSITIVE_INFINITY;
  return SURROGATES.test(text) ? [...text].slice(from, to).join("") : text.slice(from, to);
}

/** TRIM; without characters, blanks. */
export function trim(text: string, side: TrimSide, characters: string | null): string {
  const set = new Set(characters === null ? [" "] : [...characters]);
  const parts = SURROGATES.test(text) ? [...text] : text;
  let [from, to] = [0, parts.length];
  if (side !== "trailing") while (from < to && set.has(parts[from] as string)) from++;
  if (side !== "leading") while (to > from && set.has(parts[to - 1] as string)) to--;
  return typeof parts === "string" ? parts.slice(from, to) : parts.slice(from, to).join("");
}
