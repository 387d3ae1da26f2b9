/**
 * World: everything outside that the server may touch, injected so that the whole of it can run in a simulator.
 * Files and directories go through Disk (disk.ts), sockets through http.ts.
 */
import type { Clock } from "./clock.ts";
import type { Disk } from "./disk.ts";
import type { Rng } from "./rng.ts";

export interface World {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly disk: Disk;
}
