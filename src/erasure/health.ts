/**
 * Health: can every erasure set be written and read now, and would it be without some drives? Pure judgement on the
 * drives' states; a position without a drive, or with a faulty one, is offline. A "suspect" drive still answers.
 * Source: s3-api.md §6.1; quorum rules: quorum.ts.
 */
import type { Drive } from "../storage/drive.ts";
import type { ErasureSet } from "./erasure-set.ts";
import { writeQuorum } from "./quorum.ts";

/** What is looked at in a set: an ErasureSet is one. */
export type SetShape = Pick<ErasureSet, "poolIndex" | "setIndex" | "standardParity"> & {
  readonly drives: readonly (Pick<Drive, "id" | "state"> | null)[];
};

export interface SetHealth {
  readonly poolIndex: number;
  readonly setIndex: number;
  readonly drives: number;
  readonly online: number;
  readonly healing: number;
  readonly writeQuorum: number;
  readonly readQuorum: number;
  readonly writable: boolean;
  readonly readable: boolean;
}

export interface ClusterHealth {
  /** Every set has its quorum. */
  readonly writable: boolean;
  readonly readable: boolean;
  /** The largest of any set. */
  readonly writeQuorum: number;
  readonly readQuorum: number;
  readonly drives: number;
  readonly online: number;
  readonly healing: number;
  readonly sets: readonly SetHealth[];
}

export interface HealthQuestion {
  /** Counted as offline: the drives of a node that would leave. */
  readonly without?: (driveId: string) => boolean;
  /** Being rebuilt: online for writes, but still lacking data, so not counted for reads. */
  readonly isHealing?: (driveId: string) => boolean;
}

/** True for a drive that answers. */
export function isOnline(drive: Pick<Drive, "state"> | null): boolean {
  return drive !== null && drive.state !== "faulty";
}

export function setHealth(set: SetShape, question: HealthQuestion = {}): SetHealth {
  const drives = set.drives.length;
  const k = drives - set.standardParity;
  const present = set.drives.filter(
    (drive) => drive !== null && isOnline(drive) && question.without?.(drive.id) !== true,
  );
  const healing = present.filter((drive) => drive !== null && question.isHealing?.(drive.id) === true).length;
  const write = writeQuorum(k, set.standardParity);
  const online = present.length;
  return {
    poolIndex: set.poolIndex,
    setIndex: set.setIndex,
    drives,
    online,
    healing,
    writeQuorum: write,
    readQuorum: k,
    writable: online >= write,
    readable: online - healing >= k,
  };
}

export function clusterHealth(sets: readonly SetShape[], question: HealthQuestion = {}): ClusterHealth {
  const each = sets.map((set) => setHealth(set, question));
  const sum = (of: (set: SetHealth) => number): number => each.reduce((total, set) => total + of(set), 0);
  const largest = (of: (set: SetHealth) => number): number => each.reduce((most, set) => Math.max(most, of(set)), 0);
  return {
    writable: each.every((set) => set.writable),
    readable: each.every((set) => set.readable),
    writeQuorum: largest((set) => set.writeQuorum),
    readQuorum: largest((set) => set.readQuorum),
    drives: sum((set) => set.drives),
    online: sum((set) => set.online),
    healing: sum((set) => set.healing),
    sets: each,
  };
}
