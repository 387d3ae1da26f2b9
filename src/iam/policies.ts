/** Policies and whom they are attached to. Throws IamError. Source: admin API §3.3. */
import { GO_ZERO_TIME } from "../core/go-time.ts";
import { isObject, type JsonObject } from "./documents.ts";
import { IamError } from "./iam-error.ts";
import type { IamState, MappingKind } from "./iam-state.ts";
import type { IamStore } from "./iam-store.ts";
import { POLICY_BYTES_MAX, parsePolicy } from "./policy.ts";
import { PolicyError } from "./policy-error.ts";
import { demandGroup, demandUser, isPlainName } from "./users.ts";

/** The document of a policy as a client sends it. */
export function policyDocument(bytes: Uint8Array | string): JsonObject {
  if (bytes.length > POLICY_BYTES_MAX)
    throw new IamError("PolicyTooLarge", `The policy exceeds the maximum of ${POLICY_BYTES_MAX} bytes.`);
  try {
    parsePolicy(bytes);
    const text = typeof bytes === "string" ? bytes : new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const document: unknown = JSON.parse(text);
    if (isObject(document)) return withoutSingles(document);
  } catch (cause) {
    if (!(cause instanceof PolicyError)) throw cause;
    throw new IamError("MalformedPolicy", cause.message, {}, { cause });
  }
  throw new IamError("MalformedPolicy", "The policy is not an object.");
}

/** Single values where lists may be become lists, as MinIO keeps them: other programs read these documents. */
function withoutSingles(document: JsonObject): JsonObject {
  const listed = (value: unknown): unknown => (value === undefined || Array.isArray(value) ? value : [value]);
  const statements = listed(document["Statement"]);
  const Statement = (Array.isArray(statements) ? statements : []).map((statement: JsonObject) =>
    Object.fromEntries(
      Object.entries(statement).map(([name, value]) => [
        name,
        /^(Not)?(Action|Resource)$/.test(name) ? listed(value) : value,
      ]),
    ),
  );
  return { ...document, Statement };
}

export async function putPolicy(iam: IamStore, name: string, document: JsonObject): Promise<void> {
  if (!isPlainName(name) || /[\s,]/.test(name))
    throw new IamError("InvalidPolicyName", "A policy's name has no blanks, commas, slashes or control characters.");
  if (typeof document["Version"] !== "string" || document["Version"] === "")
    throw new IamError("MalformedPolicy", "Version cannot be empty expecting '2012-10-17'");
  await iam.change(async (state) => {
    const known = state.policies.get(name);
    // Milliseconds, as MinIO keeps them.
    const updatedNs = BigInt(iam.options.clock.nowMs()) * 1_000_000n;
    const createdNs = known === undefined || known.createdNs === GO_ZERO_TIME ? updatedNs : known.createdNs;
    await iam.putPolicy(name, { document, createdNs, updatedNs });
  });
}

export async function removePolicy(iam: IamStore, name: string): Promise<void> {
  await iam.change(async (state) => {
    demandPolicies(state, [name]);
    for (const kind of ["user", "group", "sts"] as const)
      for (const [mapped, { policies }] of state.mappings[kind])
        if (policies.includes(name) && isThere(state, kind, mapped))
          throw new IamError("PolicyInUse", "The policy cannot be removed, as it is in use");
    await iam.dropPolicy(name);
  });
}

/** Mappings of names that are gone keep nothing in use. */
function isThere(state: IamState, kind: MappingKind, name: string): boolean {
  if (kind === "user") return state.identities.user.has(name);
  if (kind === "group") return state.groups.has(name);
  return true;
}

export interface Target {
  readonly kind: MappingKind;
  readonly name: string;
}

/** Replaces what is attached; none = nothing any more. */
export async function setAttached(iam: IamStore, target: Target, names: readonly string[]): Promise<void> {
  await iam.change(async (state) => {
    demandTarget(iam, state, target);
    demandPolicies(state, names);
    await iam.putMapping(target.kind, target.name, { policies: names, updatedNs: iam.options.clock.nowNs() });
  });
}

/** Those that were attached or detached; throws NoChange when there are none. */
export async function changeAttached(
  iam: IamStore,
  target: Target,
  names: readonly string[],
  how: "attach" | "detach",
): Promise<readonly string[]> {
  return await iam.change(async (state) => {
    demandTarget(iam, state, target);
    if (how === "attach") demandPolicies(state, names);
    const known = state.mapped(target.kind, target.name);
    const changed = names.filter((name) => known.includes(name) === (how === "detach"));
    if (changed.length === 0) throw new IamError("NoChange", "The specified policy change is already in effect.");
    const policies = how === "attach" ? [...known, ...changed] : known.filter((name) => !changed.includes(name));
    await iam.putMapping(target.kind, target.name, { policies, updatedNs: iam.options.clock.nowNs() });
    return changed;
  });
}

function demandTarget(iam: IamStore, state: IamState, { kind, name }: Target): void {
  if (kind === "user") demandUser(iam, state, name);
  else if (kind === "group") demandGroup(state, name);
}

export function demandPolicies(state: IamState, names: readonly string[]): void {
  for (const name of names)
    if (!state.policies.has(name)) throw new IamError("NoSuchPolicy", "The canned policy does not exist.");
}

/** Several policies as one document; null = none of them is there. */
export function mergedDocument(state: IamState, names: readonly string[]): JsonObject | null {
  const documents = names
    .map((name) => state.policies.get(name)?.document)
    .filter((document) => document !== undefined);
  if (documents.length === 0) return null;
  const seen = new Set<string>();
  const statements = documents
    .flatMap((document): readonly unknown[] => {
      const listed = document["Statement"];
      return Array.isArray(listed) ? listed : [listed];
    })
    .filter((statement) => {
      const text = JSON.stringify(statement);
      return text !== undefined && !seen.has(text) && seen.add(text);
    });
  return { Version: "2012-10-17", Statement: statements };
}
