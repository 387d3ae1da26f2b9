/**
 * Resolve (engine.md §3): decide the fate of operations that a crash, a lost drive or a failed write left in doubt. Fence
 * every drive; held by W or settled anywhere: settle all; never able to reach W: restore; else the key waits for a drive.
 * Call it under the key's lock.
 */
import {
  type DriveOutcome,
  type FenceAnswer,
  type KeyState,
  nameOf,
  type ObjectPath,
  type Stamp,
} from "../storage/drive.ts";
import type { Committed } from "./damage.ts";
import type { ErasureSet } from "./erasure-set.ts";
import { doubtCopies, doubtQuorum, isOutlived, reflects, removedBy } from "./quorum.ts";

export type Resolution = "settled" | "restored" | "clear" | "waiting";

/** Does a drive of the set have an operation of this key in doubt? */
export function isInDoubt(set: ErasureSet, key: ObjectPath): boolean {
  return set.drives.some(
    (drive) => drive?.doubts().some(({ bucket, path }) => bucket === key.bucket && path === key.path) === true,
  );
}

/** Drives may be in doubt about different operations: one after the other, the newest first. */
export async function resolveDoubt(set: ErasureSet, key: ObjectPath): Promise<Resolution> {
  let last: Resolution = "clear";
  for (let round = 0; round < set.size; round++) {
    const { kind, ...decided } = await decideNewest(set, key);
    if (kind === "waiting") return kind;
    if (kind === "clear") break;
    if (kind === "settled" && !(await settleEverywhere(set, { key, ...decided }))) return "waiting";
    last = kind;
  }
  return last;
}

/** The fate of the newest operation in doubt. What is to be settled is left to the caller, what cannot stay is taken back. */
export async function decideNewest(
  set: ErasureSet,
  key: ObjectPath,
): Promise<Omit<Committed, "key"> & { readonly kind: Resolution }> {
  const seen = await set.each((drive) => drive.read(key));
  const states = seen.map((o) => (o.ok ? o.value : undefined));
  const newest = states.reduce<(typeof states)[number]>(
    (top, s) => (s !== undefined && s.prev !== null && (top === undefined || s.stamp > top.stamp) ? s : top),
    undefined,
  );
  if (newest === undefined) return { kind: "clear", stamp: 0n, removed: [] };
  const { stamp } = newest;
  const removed = removedBy(newest);
  if (set.unsettled.get(nameOf(key))?.stamp === stamp) return { kind: "settled", stamp, removed };
  let highest: Stamp = 0n;
  for (const state of states) {
    for (const seenStamp of state === undefined ? [] : [state.promised, state.stamp])
      if (seenStamp > highest) highest = seenStamp;
  }
  const fence = set.resources.stamps.above(highest);
  const kind = judge(set, await set.each((drive) => drive.fence(key, fence)), newest);
  if (kind !== "restored") return { kind, stamp, removed };
  const back = await set.each((drive) => drive.restore(key, fence, stamp));
  // A drive that could not do it keeps its doubt: it is asked again another time.
  return { kind: back.every((o, i) => set.drives[i] === null || (o.ok && o.value)) ? kind : "waiting", stamp, removed };
}

function judge(
  set: ErasureSet,
  answers: readonly DriveOutcome<FenceAnswer>[],
  doubt: KeyState,
): "settled" | "restored" | "waiting" {
  const quorum = doubtQuorum(doubt, set.size, set.dataShards);
  let holders = 0;
  let without = 0;
  let lost = 0;
  for (const [position, answer] of answers.entries()) {
    if (!answer.ok) continue;
    const { promised, state } = answer.value;
    if (state.stamp !== doubt.stamp && set.rebuilding.has(position)) lost++;
    else if (reflects(state, doubt)) holders += promised ? 1 : 0;
    else if (promised) without++;
  }
  const states = answers.flatMap((answer) => (answer.ok ? [answer.value.state] : []));
  if (holders >= quorum || isOutlived(states, doubt.stamp)) return "settled";
  if (without >= set.size - quorum + 1) return "restored";
  // What a replaced drive had is gone for good, and what one with a repaired log shows may be older than what it had. With it the
  // operation may have been acknowledged: it stays if it can.
  if (holders + lost >= quorum && holders >= doubtCopies(doubt, set.size, set.dataShards)) return "settled";
  return holders + without + lost === set.size ? "restored" : "waiting";
}

/** False if a drive could not, or somebody reads what was replaced. */
async function settleEverywhere(set: ErasureSet, decided: Committed): Promise<boolean> {
  const { key, stamp } = decided;
  if (set.isRead(key)) return false;
  const done = await set.each((drive) => drive.settle(key, stamp));
  set.resources.damage.report({ bucket: key.bucket, path: key.path, why: "missed-write" });
  const silent = [...done.keys()].filter((i) => done[i]?.ok === false);
  if (silent.length > 0) set.debt?.owe(decided, silent); // who does not answer now may lack it
  return done.every((o, i) => set.drives[i] === null || o.ok);
}

/** At start: every operation in doubt on any drive of the set. Returns what could not be decided yet. */
export async function resolveAll(
  set: ErasureSet,
): Promise<{ readonly decided: number; readonly waiting: readonly ObjectPath[] }> {
  const keys = new Map<string, ObjectPath>();
  for (const drive of set.drives) for (const key of drive?.doubts() ?? []) keys.set(nameOf(key), key);
  const waiting: ObjectPath[] = [];
  for (const key of keys.values()) if ((await resolveDoubt(set, key)) === "waiting") waiting.push(key);
  return { decided: keys.size - waiting.length, waiting };
}
