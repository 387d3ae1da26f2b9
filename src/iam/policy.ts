/**
 * The policy language: a JSON document parsed and compiled once (`parsePolicy`), and the answer that policies give to a
 * question (`judge`), with AWS's rules: an explicit Deny wins, else an Allow, else nothing was said. Policies of identities
 * name no principal; those of resources must. Matching is linear in pattern times text; no regular expressions of users.
 * Bounds: 20 KiB, 400 statements. Source: s3-api.md §4.15.
 */
import { Glob } from "../core/glob.ts";
import { type Condition, parseConditions } from "./condition.ts";
import { malformed, PolicyError } from "./policy-error.ts";
import { type ConditionValues, PolicyText } from "./policy-text.ts";

export const POLICY_BYTES_MAX = 20 * 1024;
const STATEMENTS_MAX = 400;
const VERSIONS: readonly unknown[] = [undefined, "", "2012-10-17", "2008-10-17"];

export type PolicyKind = "identity" | "resource";

/** Patterns, or (negated) everything but what they match. */
export interface Patterns<T> {
  readonly list: readonly T[];
  readonly negated: boolean;
}
export interface Statement {
  readonly effect: "Allow" | "Deny";
  /** Names, "*" = anybody; null in policies of identities. */
  readonly principals: Patterns<string> | null;
  /** Lower-case. */
  readonly actions: Patterns<Glob>;
  /** As written. */
  readonly actionNames: readonly string[];
  /** null = no resource named: any. */
  readonly resources: Patterns<PolicyText> | null;
  readonly conditions: readonly Condition[];
}
export interface Policy {
  readonly version: string;
  readonly statements: readonly Statement[];
  /** Does a condition or variable look at a key of this prefix, like "s3:existingobjecttag/"? */
  needs(keyPrefix: string): boolean;
}

export interface Question {
  /** "s3:GetObject" */
  readonly action: string;
  /** "arn:aws:s3:::bucket/key"; "" for actions that have none. */
  readonly resource: string;
  /** All names by which a resource's policy may mean the caller; anonymous has none. */
  readonly principalNames: readonly string[];
  readonly values: ConditionValues;
}

export type Verdict = "allow" | "deny" | "none";

export function judge(policies: readonly Policy[], question: Question): Verdict {
  const action = question.action.toLowerCase();
  let verdict: Verdict = "none";
  for (const { statements } of policies) {
    for (const statement of statements) {
      if (statement.effect === "Allow" && verdict === "allow") continue;
      if (!applies(statement, action, question)) continue;
      if (statement.effect === "Deny") return "deny";
      verdict = "allow";
    }
  }
  return verdict;
}

function applies(statement: Statement, action: string, question: Question): boolean {
  const { actions, principals, resources, conditions } = statement;
  if (actions.list.some((glob) => glob.matches(action)) === actions.negated) return false;
  const isAdmin = action.startsWith("admin:");
  // "All but these" means what a bucket owner does, never the administration of the server.
  if (isAdmin && actions.negated && statement.effect === "Allow") return false;
  if (principals !== null) {
    const isMeant = principals.list.some((name) => name === "*" || question.principalNames.includes(name));
    if (isMeant === principals.negated) return false;
  }
  if (resources !== null && !isAdmin && !action.startsWith("sts:")) {
    const isNamed = resources.list.some((text) => text.matches(question.resource, question.values));
    if (isNamed === resources.negated) return false;
  }
  return conditions.every((condition) => condition.holds(question.values));
}

/** Throws PolicyError. Unknown elements are ignored, as MinIO does. */
export function parsePolicy(json: string | Uint8Array, kind: PolicyKind = "identity"): Policy {
  if (json.length > POLICY_BYTES_MAX)
    throw new PolicyError("PolicyTooLarge", `Policy exceeds the maximum allowed document size of ${POLICY_BYTES_MAX}.`);
  const document = objectOf(parseJson(json), "Policy");
  const version = document["Version"];
  if (!VERSIONS.includes(version)) throw malformed("The policy must contain a valid version string");
  const listed = document["Statement"];
  const items = Array.isArray(listed) ? listed : [listed];
  if (listed === undefined || items.length === 0) throw malformed("Missing required field Statement");
  if (items.length > STATEMENTS_MAX) throw malformed(`A policy can have at most ${STATEMENTS_MAX} statements.`);
  const hasVariables = version !== "2008-10-17";
  const statements = items.map((item) => statementOf(objectOf(item, "Statement"), kind, hasVariables));
  const needed = new Set(statements.flatMap(keysOf));
  return {
    version: typeof version === "string" ? version : "",
    statements,
    needs: (prefix) => [...needed].some((key) => key.startsWith(prefix)),
  };
}

function keysOf(statement: Statement): string[] {
  const inResources = (statement.resources?.list ?? []).flatMap((text) => text.variables);
  return [...inResources, ...statement.conditions.flatMap((condition) => condition.needs)];
}

function parseJson(json: string | Uint8Array): unknown {
  try {
    return JSON.parse(typeof json === "string" ? json : new TextDecoder("utf-8", { fatal: true }).decode(json));
  } catch (cause) {
    throw new PolicyError(
      "MalformedPolicy",
      "Policies must be valid JSON and the first byte must be '{'",
      {},
      { cause },
    );
  }
}

function statementOf(item: Record<string, unknown>, kind: PolicyKind, hasVariables: boolean): Statement {
  const effect = item["Effect"];
  if (effect !== "Allow" && effect !== "Deny") throw malformed("Missing or invalid field Effect");
  const actions = oneOf(item, "Action", "NotAction");
  if (actions === null) throw malformed("Missing required field Action");
  for (const action of actions.list)
    if (action !== "*" && !/^[a-z0-9-]+:[A-Za-z0-9*?]+$/i.test(action)) throw malformed("Policy has invalid action");
  const resources = oneOf(item, "Resource", "NotResource");
  if (resources === null && (kind === "resource" || actions.list.some((a) => /^(\*|s3:.*)$/i.test(a))))
    throw malformed("Missing required field Resource");
  if (kind === "resource" && effect === "Allow" && item["NotPrincipal"] !== undefined)
    throw malformed("Allow with NotPrincipal is not allowed.");
  return {
    effect,
    principals: kind === "resource" ? principalsOf(item) : refusePrincipal(item),
    actions: { negated: actions.negated, list: actions.list.map((name) => Glob.of(name.toLowerCase())) },
    actionNames: actions.list,
    resources:
      resources === null
        ? null
        : {
            negated: resources.negated,
            list: resources.list.map((r) => PolicyText.parse(resourceOf(r), { isWild: true, hasVariables })),
          },
    conditions: parseConditions(item["Condition"], hasVariables),
  };
}

function resourceOf(text: string): string {
  if (text !== "*" && !text.startsWith("arn:")) throw malformed("Policy has invalid resource");
  return text;
}

function refusePrincipal(item: Record<string, unknown>): null {
  if (item["Principal"] !== undefined || item["NotPrincipal"] !== undefined)
    throw malformed("Policy document should not specify a principal.");
  return null;
}

function principalsOf(item: Record<string, unknown>): Patterns<string> {
  const negated = item["NotPrincipal"] !== undefined;
  if (negated && item["Principal"] !== undefined) throw malformed("Statement has both Principal and NotPrincipal");
  const given = negated ? item["NotPrincipal"] : item["Principal"];
  if (given === undefined) throw malformed("Missing required field Principal");
  if (given === "*") return { negated, list: ["*"] };
  const list: string[] = [];
  for (const [type, names] of Object.entries(objectOf(given, "Principal"))) {
    if (!["AWS", "CanonicalUser", "Service", "Federated"].includes(type))
      throw malformed("Invalid principal in policy");
    // Services and federated sessions are nobody here; kept, so that a statement that names only them means nobody.
    for (const name of textsOf(names, "Principal"))
      list.push(type === "AWS" || (type === "CanonicalUser" && name !== "*") ? name : `${type}:${name}`);
  }
  if (list.length === 0) throw malformed("Invalid principal in policy");
  return { negated, list };
}

function oneOf(item: Record<string, unknown>, plain: string, not: string): Patterns<string> | null {
  const negated = item[not] !== undefined;
  if (negated && item[plain] !== undefined) throw malformed(`Statement has both ${plain} and ${not}`);
  const value = negated ? item[not] : item[plain];
  return value === undefined ? null : { negated, list: textsOf(value, plain) };
}

function textsOf(value: unknown, what: string): string[] {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0) throw malformed(`${what} is empty`);
  return list.map((one) => {
    if (typeof one !== "string" || one === "") throw malformed(`Policy has invalid ${what.toLowerCase()}`);
    return one;
  });
}

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed(`${what} must be an object`);
  return value as Record<string, unknown>;
}
