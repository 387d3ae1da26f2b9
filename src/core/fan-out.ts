/**
 * fanOut: the same work on several, all of them awaited. Outcomes are values: a drive that fails is input to the quorum
 * rule, not an exception. `Promise.all` would leave the others running with the caller's buffers.
 */
export type Outcome<T, E extends Error = Error> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E };

export const good = <T>(value: T): { readonly ok: true; readonly value: T } => ({ ok: true, value });
export const bad = <E extends Error>(error: E): { readonly ok: false; readonly error: E } => ({ ok: false, error });

/** It answered already, so that nothing has to wait for it. */
export function isAnswered(answer: Promise<unknown>): boolean {
  return Bun.peek.status(answer) === "fulfilled";
}

/** Runs `work` on every item at once and waits for all. `work` must answer with an Outcome, not throw. */
export function fanOut<I, T, E extends Error>(
  items: readonly I[],
  work: (item: I, index: number) => Promise<Outcome<T, E>>,
): Promise<Outcome<T, E>[]> {
  return Promise.all(items.map(work));
}
