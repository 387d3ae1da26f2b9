/** What the machine is. */
import { availableParallelism } from "node:os";

/** Cores that this process may use. */
export function coreCount(): number {
  return availableParallelism();
}
