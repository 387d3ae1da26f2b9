/** Ids of requests, as clients and log lines show them. */
import type { Rng } from "../sys/rng.ts";

/** Random, upper-case hex; chance is asked for many at once. */
export function requestIds(rng: Rng): () => string {
  const bytes = Buffer.alloc(8 * 128);
  let at = bytes.length;
  return () => {
    if (at === bytes.length) rng.fill(bytes);
    if (at === bytes.length) at = 0;
    at += 8;
    return bytes.toString("hex", at - 8, at).toUpperCase();
  };
}
