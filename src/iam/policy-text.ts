/**
 * Texts of a policy that may hold variables: `${aws:username}`, with a default `${aws:username, 'nobody'}`, and the escapes
 * `${*}` `${?}` `${$}`. Parsed once; a text without variables is matched as it was parsed, one with variables is filled in for
 * each question. A value that is filled in is never a wildcard. A variable without value and default: the text matches nothing.
 */
import { type Glob, GlobBuilder } from "../core/glob.ts";

/** What is known of a request: condition key (lower-case, see `conditionKey`) -> values; undefined = the request has none. */
export interface ConditionValues {
  get(key: string): readonly string[] | undefined;
}

interface Variable {
  readonly key: string;
  readonly otherwise: string | null;
}
type Part = { readonly text: string; readonly isLiteral: boolean } | Variable;

const VARIABLE_BYTES_MAX = 512;

/** Keys are case-insensitive, but for what follows a slash: the key of a tag. */
export function conditionKey(name: string): string {
  const slash = name.indexOf("/");
  return slash < 0 ? name.toLowerCase() : name.slice(0, slash).toLowerCase() + name.slice(slash);
}

export class PolicyText {
  private constructor(
    private readonly parts: readonly Part[],
    private readonly isWild: boolean,
    private readonly fixed: Glob | null,
    /** Keys of the variables. */
    readonly variables: readonly string[],
    /** As in the document. */
    readonly source: string,
  ) {}

  /** `isWild`: `*` and `?` are wildcards. */
  static parse(text: string, means: { readonly isWild: boolean; readonly hasVariables: boolean }): PolicyText {
    const parts = means.hasVariables ? partsOf(text) : [{ text, isLiteral: false }];
    const variables = parts.flatMap((part) => ("key" in part ? [part.key] : []));
    const fixed = variables.length > 0 ? null : build(parts, means.isWild, null);
    return new PolicyText(parts, means.isWild, fixed, variables, text);
  }

  matches(text: string, values: ConditionValues): boolean {
    return (this.fixed ?? build(this.parts, this.isWild, values))?.matches(text) ?? false;
  }

  /** The text itself, for operators that do not match patterns; null = a variable has no value. */
  filled(values: ConditionValues): string | null {
    let text = "";
    for (const part of this.parts) {
      const value = "key" in part ? valueOfVariable(part, values) : part.text;
      if (value === null) return null;
      text += value;
    }
    return text;
  }
}

function valueOfVariable(variable: Variable, values: ConditionValues | null): string | null {
  const found = values?.get(variable.key);
  return found?.length === 1 ? (found[0] as string) : variable.otherwise;
}

function build(parts: readonly Part[], isWild: boolean, values: ConditionValues | null): Glob | null {
  const builder = new GlobBuilder();
  for (const part of parts) {
    if ("key" in part) {
      const value = valueOfVariable(part, values);
      if (value === null) return null;
      builder.literal(value);
    } else if (part.isLiteral || !isWild) builder.literal(part.text);
    else builder.pattern(part.text);
  }
  return builder.build();
}

function partsOf(text: string): Part[] {
  const parts: Part[] = [];
  let from = 0;
  while (from < text.length) {
    const open = text.indexOf("${", from);
    const close = open < 0 ? -1 : text.indexOf("}", open);
    if (close < 0 || close - open > VARIABLE_BYTES_MAX) break;
    if (open > from) parts.push({ text: text.slice(from, open), isLiteral: false });
    parts.push(variableOf(text.slice(open + 2, close)));
    from = close + 1;
  }
  if (from < text.length) parts.push({ text: text.slice(from), isLiteral: false });
  return parts;
}

function variableOf(inner: string): Part {
  if (inner === "*" || inner === "?" || inner === "$") return { text: inner, isLiteral: true };
  const comma = inner.indexOf(",");
  if (comma < 0) return { key: conditionKey(inner.trim()), otherwise: null };
  const quoted = inner.slice(comma + 1).trim();
  const otherwise = quoted.length >= 2 && quoted.startsWith("'") && quoted.endsWith("'") ? quoted.slice(1, -1) : quoted;
  return { key: conditionKey(inner.slice(0, comma).trim()), otherwise };
}
