/** Names of requests, for answers and log lines. */
import type { Rng } from "../sys/rng.ts";

const ID_DIGITS = 16;

/** Random, upper-case hex; chance is asked for many at once. */
export function requestIds(rng: Rng): () => string {
  const bytes = Buffer.alloc((ID_DIGITS / 2) * 128);
  let digits = "";
  let at = 0;
  return () => {
    if (at === digits.length) {
      rng.fill(bytes);
      digits = bytes.toString("hex").toUpperCase();
      at = 0;
    }
    at += ID_DIGITS;
    return digits.slice(at - ID_DIGITS, at);
  };
}
