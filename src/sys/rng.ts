/** Rng: chance. The real one is the system's; the simulator's is seeded. */
import { randomFillSync } from "node:crypto";

export interface Rng {
  /** Fills with random bytes fit for ids and keys. */
  fill(bytes: Uint8Array): Uint8Array;
  /** A random UUID v4 as text. */
  uuid(): string;
  /** 0 <= x < 1; not for secrets. */
  next(): number;
}

export function realRng(): Rng {
  return {
    fill: (bytes) => randomFillSync(bytes),
    uuid: () => crypto.randomUUID(),
    next: () => Math.random(),
  };
}
