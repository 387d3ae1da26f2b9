/** Cancellation: what long work asks now and then, so that it ends when nobody waits for it any more. An AbortSignal is one. */
export interface Cancellation {
  /** Throws when it is over. */
  throwIfAborted(): void;
}
