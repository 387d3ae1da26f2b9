/**
 * The Condition element of a policy statement: operators, `ForAllValues:`/`ForAnyValue:`, `…IfExists`, compiled once.
 * A request without the key: positive operators do not hold, negated ones do, `IfExists` and `ForAllValues` do.
 * Throws PolicyError on an unknown operator or a value that is none of its kind.
 */
import { parseIpRange } from "./ip-range.ts";
import { malformed } from "./policy-error.ts";
import { conditionKey, type ConditionValues, PolicyText } from "./policy-text.ts";

export interface Condition {
  readonly key: string;
  /** As written, without qualifier and IfExists. */
  readonly operator: string;
  readonly wanted: readonly string[];
  /** With IfExists or ForAllValues: holds where the key is absent. */
  readonly isOptional: boolean;
  /** Keys whose values decide, variables included. */
  readonly needs: readonly string[];
  holds(values: ConditionValues): boolean;
}

/** Does the request's value agree with one of the document's? */
type Test = (actual: string, values: ConditionValues) => boolean;
interface Operator {
  readonly negated: boolean;
  readonly test: (wanted: string, hasVariables: boolean) => { readonly test: Test; readonly needs?: readonly string[] };
}

const QUALIFIERS = ["ForAllValues:", "ForAnyValue:"] as const;
type Qualifier = (typeof QUALIFIERS)[number] | "";
const VALUES_MAX = 1000;

function text(isWild: boolean, negated: boolean): Operator {
  return {
    negated,
    test: (wanted, hasVariables) => {
      const pattern = PolicyText.parse(wanted, { isWild, hasVariables });
      return { test: (actual, values) => pattern.matches(actual, values), needs: pattern.variables };
    },
  };
}

function anyCase(negated: boolean): Operator {
  return {
    negated,
    test: (wanted, hasVariables) => {
      const pattern = PolicyText.parse(wanted, { isWild: false, hasVariables });
      const same: Test = (actual, values) => pattern.filled(values)?.toLowerCase() === actual.toLowerCase();
      return { test: same, needs: pattern.variables };
    },
  };
}

function ordered(parse: (text: string) => number | null, kind: string) {
  return (holds: (order: number) => boolean, negated = false): Operator => ({
    negated,
    test: (wanted) => {
      const limit = parse(wanted);
      if (limit === null) throw malformed(`Condition value ${JSON.stringify(wanted)} is not a ${kind}.`);
      return {
        test: (actual) => {
          const value = parse(actual);
          return value !== null && holds(value - limit);
        },
      };
    },
  });
}

function numberOf(text: string): number | null {
  return /^[+-]?\d{1,20}(\.\d{1,20})?$/.test(text) ? Number(text) : null;
}

function timeOf(text: string): number | null {
  if (/^\d{1,12}$/.test(text)) return text.length <= 4 ? Date.parse(text) : Number(text) * 1000;
  const ms = text.length > 40 || !/^\d{4}-/.test(text) ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

function ip(negated: boolean): Operator {
  return {
    negated,
    test: (wanted) => {
      const range = parseIpRange(wanted);
      if (range === null) throw malformed(`Condition value ${JSON.stringify(wanted)} is not an IP address or range.`);
      return { test: (actual) => range.contains(actual) };
    },
  };
}

function boolean(): Operator {
  return {
    negated: false,
    test: (wanted) => {
      const flag = wanted.toLowerCase();
      if (flag !== "true" && flag !== "false")
        throw malformed(`Condition value ${JSON.stringify(wanted)} is not true or false.`);
      return { test: (actual) => actual.toLowerCase() === flag };
    },
  };
}

/** Six fields; a wildcard does not cross from one to the next. */
function arn(negated: boolean): Operator {
  return {
    negated,
    test: (wanted, hasVariables) => {
      const fields = arnFields(wanted).map((f) => PolicyText.parse(f, { isWild: true, hasVariables }));
      return {
        needs: fields.flatMap((f) => f.variables),
        test: (actual, values) => {
          const found = arnFields(actual);
          return found.length === fields.length && fields.every((f, i) => f.matches(found[i] as string, values));
        },
      };
    },
  };
}

/** A variable's colon is not the ARN's: `${aws:username}` stays whole. */
function arnFields(arnText: string): string[] {
  const fields: string[] = [];
  let from = 0;
  let depth = 0;
  for (let i = 0; i < arnText.length && fields.length < 5; i++) {
    if (arnText.startsWith("${", i)) depth++;
    else if (arnText[i] === "}" && depth > 0) depth--;
    else if (arnText[i] === ":" && depth === 0) {
      fields.push(arnText.slice(from, i));
      from = i + 1;
    }
  }
  return [...fields, arnText.slice(from)];
}

function binary(): Operator {
  return {
    negated: false,
    test: (wanted) => {
      const bytes = Buffer.from(wanted, "base64");
      return { test: (actual) => bytes.equals(Buffer.from(actual, "base64")) };
    },
  };
}

const numeric = ordered(numberOf, "number");
const date = ordered(timeOf, "date");

const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ["StringEquals", text(false, false)],
  ["StringNotEquals", text(false, true)],
  ["StringEqualsIgnoreCase", anyCase(false)],
  ["StringNotEqualsIgnoreCase", anyCase(true)],
  ["StringLike", text(true, false)],
  ["StringNotLike", text(true, true)],
  ["NumericEquals", numeric((order) => order === 0)],
  ["NumericNotEquals", numeric((order) => order === 0, true)],
  ["NumericLessThan", numeric((order) => order < 0)],
  ["NumericLessThanEquals", numeric((order) => order <= 0)],
  ["NumericGreaterThan", numeric((order) => order > 0)],
  ["NumericGreaterThanEquals", numeric((order) => order >= 0)],
  ["DateEquals", date((order) => order === 0)],
  ["DateNotEquals", date((order) => order === 0, true)],
  ["DateLessThan", date((order) => order < 0)],
  ["DateLessThanEquals", date((order) => order <= 0)],
  ["DateGreaterThan", date((order) => order > 0)],
  ["DateGreaterThanEquals", date((order) => order >= 0)],
  ["Bool", boolean()],
  ["IpAddress", ip(false)],
  ["NotIpAddress", ip(true)],
  ["ArnEquals", arn(false)],
  ["ArnLike", arn(false)],
  ["ArnNotEquals", arn(true)],
  ["ArnNotLike", arn(true)],
  ["BinaryEquals", binary()],
]);

export function parseConditions(document: unknown, hasVariables: boolean): Condition[] {
  if (document === undefined) return [];
  const conditions: Condition[] = [];
  for (const [name, block] of entriesOf(document, "Condition"))
    for (const [key, wanted] of entriesOf(block, `Condition ${name}`))
      conditions.push(conditionOf(name, key, { wanted: wantedOf(wanted), hasVariables }));
  return conditions;
}

function conditionOf(name: string, keyName: string, means: { wanted: string[]; hasVariables: boolean }): Condition {
  const qualifier: Qualifier = QUALIFIERS.find((q) => name.startsWith(q)) ?? "";
  const rest = name.slice(qualifier.length);
  const ifExists = rest.endsWith("IfExists");
  const operator = ifExists ? rest.slice(0, -"IfExists".length) : rest;
  if (!/^[A-Za-z0-9-]+:[^\s]/.test(keyName))
    throw malformed(`Condition key ${JSON.stringify(keyName.slice(0, 128))} is not one.`);
  const key = conditionKey(keyName);
  const isOptional = ifExists || qualifier === "ForAllValues:";
  const facts = { key, operator, wanted: means.wanted, isOptional };
  if (operator === "Null" && !ifExists) return { ...facts, needs: [key], holds: nullTest(key, means.wanted) };
  const found = OPERATORS.get(operator);
  if (found === undefined) throw malformed(`Condition operator ${JSON.stringify(name.slice(0, 128))} is not known.`);
  const tests = means.wanted.map((value) => found.test(value, means.hasVariables));
  const { negated } = found;
  const agrees = (actual: string, values: ConditionValues): boolean =>
    tests.some(({ test }) => test(actual, values)) !== negated;
  const absent = isOptional || (negated && qualifier === "");
  return {
    ...facts,
    needs: [key, ...tests.flatMap((t) => t.needs ?? [])],
    holds(values) {
      const actual = values.get(key);
      if (actual === undefined || actual.length === 0) return absent;
      const all = qualifier === "ForAllValues:" || (qualifier === "" && negated);
      return all ? actual.every((v) => agrees(v, values)) : actual.some((v) => agrees(v, values));
    },
  };
}

/** "true": the request must not have the key. */
function nullTest(key: string, wanted: readonly string[]): (values: ConditionValues) => boolean {
  const flags = wanted.map((value) => value.toLowerCase());
  if (flags.some((flag) => flag !== "true" && flag !== "false")) throw malformed("Null takes true or false.");
  return (values) => flags.includes(String((values.get(key)?.length ?? 0) === 0));
}

function wantedOf(value: unknown): string[] {
  const list = Array.isArray(value) ? value : [value];
  if (list.length === 0 || list.length > VALUES_MAX) throw malformed("A condition needs between 1 and 1000 values.");
  return list.map((one) => {
    if (typeof one !== "string" && typeof one !== "number" && typeof one !== "boolean")
      throw malformed("A condition's value must be a text, a number or true or false.");
    return String(one);
  });
}

function entriesOf(value: unknown, what: string): [string, unknown][] {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw malformed(`${what.slice(0, 128)} must be an object.`);
  return Object.entries(value);
}
