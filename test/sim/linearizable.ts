/**
 * Is a history of one key linearizable? The key is a register with put, put-if-absent, delete and get. An unknown outcome
 * may take effect once, at any time after its start, or never; a failed one never does. Wing and Gong's search with memory.
 */

/** 0 = absent. */
export type Value = number;
export interface Operation {
  readonly kind: "put" | "create" | "delete" | "get";
  /** Written, or seen by a get. */
  value: Value;
  readonly start: number;
  /** Infinity while it has not ended, or ended unknown. */
  end: number;
  outcome: "ok" | "unknown" | "failed" | "exists";
}

/** The state after `op`, or null if it cannot have happened in `state`. */
function after(op: Operation, state: Value): Value | null {
  if (op.outcome === "exists") return state === 0 ? null : state;
  switch (op.kind) {
    case "get":
      return op.value === state ? state : null;
    case "put":
      return op.value;
    case "delete":
      return 0;
    case "create":
      return state === 0 ? op.value : null;
  }
}

export function isLinearizable(history: readonly Operation[]): boolean {
  const ops = history.filter((op) => op.outcome !== "failed" && !(op.kind === "get" && op.outcome === "unknown"));
  const seen = new Set<string>();
  const search = (done: bigint, state: Value): boolean => {
    const left = ops.filter((_, i) => ((done >> BigInt(i)) & 1n) === 0n);
    if (left.every((op) => op.outcome === "unknown")) return true;
    const name = `${done} ${state}`;
    if (seen.has(name)) return false;
    seen.add(name);
    const firstEnd = Math.min(...left.map((op) => op.end));
    for (const [i, op] of ops.entries()) {
      if (((done >> BigInt(i)) & 1n) === 1n || op.start > firstEnd) continue;
      const next = after(op, state);
      if (next !== null && search(done | (1n << BigInt(i)), next)) return true;
    }
    return false;
  };
  return search(0n, 0);
}

export function describeHistory(history: readonly Operation[]): string {
  return [...history]
    .sort((a, b) => a.start - b.start)
    .map(
      (op) =>
        `[${op.start}, ${op.end === Number.POSITIVE_INFINITY ? "-" : op.end}] ${op.kind} ${op.value} ${op.outcome}`,
    )
    .join("\n");
}
