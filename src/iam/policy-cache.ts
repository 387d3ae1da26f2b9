/** PolicyCache: documents compiled once. Bounded in documents, each of at most POLICY_BYTES_MAX; the oldest goes first. */
import { parsePolicy, type Policy, type PolicyKind } from "./policy.ts";

const DOCUMENTS_MAX = 1000;

export class PolicyCache {
  private readonly compiled = new Map<string, Policy>();

  /** Throws PolicyError; what is refused is not kept. */
  get(document: string, kind: PolicyKind): Policy {
    const key = `${kind} ${document}`;
    const known = this.compiled.get(key);
    if (known !== undefined) return known;
    const policy = parsePolicy(document, kind);
    if (this.compiled.size >= DOCUMENTS_MAX) this.compiled.delete(this.compiled.keys().next().value as string);
    this.compiled.set(key, policy);
    return policy;
  }
}
