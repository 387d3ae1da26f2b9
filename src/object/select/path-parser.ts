/** The steps of a path: .name, ."name", ['name'], [n], and in FROM the wildcards [*] and .*. */
import { SelectError } from "./errors.ts";
import type { PathStep } from "./statement.ts";
import type { TokenReader } from "./token-reader.ts";

const STEPS_MAX = 64;

export function parseSteps(reader: TokenReader, wildcards: boolean): PathStep[] {
  const steps: PathStep[] = [];
  for (;;) {
    if (steps.length > STEPS_MAX) throw new SelectError("InvalidKeyPath", "A path has too many steps.");
    if (reader.takeSymbol(".")) steps.push(afterDot(reader, wildcards));
    else if (reader.takeSymbol("[")) steps.push(inBrackets(reader, wildcards));
    else return steps;
  }
}

function afterDot(reader: TokenReader, wildcards: boolean): PathStep {
  const token = reader.token;
  if (token.kind === "name" || token.kind === "quoted") {
    reader.next();
    return { kind: "name", name: token.text, quoted: token.kind === "quoted" };
  }
  if (!reader.isSymbol("*")) throw reader.unexpected("ParseInvalidPathComponent", "expected a name");
  if (!wildcards)
    throw new SelectError("ParseInvalidContextForWildcardInSelectList", "A wildcard is not allowed in this path.");
  reader.next();
  return { kind: "members" };
}

function inBrackets(reader: TokenReader, wildcards: boolean): PathStep {
  const token = reader.next();
  let step: PathStep;
  if (token.kind === "string") step = { kind: "name", name: token.text, quoted: true };
  else if (token.kind === "number" && /^\d{1,9}$/.test(token.text)) step = { kind: "index", index: Number(token.text) };
  else if (token.kind === "symbol" && token.text === "*") {
    if (!wildcards)
      throw new SelectError("ParseCannotMixSqbAndWildcardInSelectList", "A wildcard is not allowed in this path.");
    step = { kind: "elements" };
  } else throw new SelectError("ParseInvalidPathComponent", "A path's brackets hold a number, a 'name' or *.");
  reader.expectSymbol("]");
  return step;
}
