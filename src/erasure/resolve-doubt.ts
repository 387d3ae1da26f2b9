/**
 * Resolve (engine.md §3): decide the fate of an operation that a crash or a lost drive left in doubt. Fence every drive;
 * held by W or settled anywhere: settle all; never able to reach W: restore; else the key waits for a drive.
 */
import type { ObjectPath, Stamp } from "../storage/drive.ts";
import type { ErasureSet } from "./erasure-set.ts";
import { writeQuorum } from "./quorum.ts";

export type Resolution = "settled" | "restored" | "clear" | "waiting";

export async function resolveDoubt(set: ErasureSet, key: ObjectPath): Promise<Resolution> {
  const seen = await set.each((drive) => drive.read(key));
  const states = seen.map((o) => (o.ok ? o.value : undefined));
  const doubtful = states.reduce<Stamp>(
    (top, s) => (s !== undefined && s.prev !== null && s.stamp > top ? s.stamp : top),
    0n,
  );
  if (doubtful === 0n) return "clear";
  let highest: Stamp = 0n;
  for (const state of states) {
    for (const seenStamp of state === undefined ? [] : [state.promised, state.stamp])
      if (seenStamp > highest) highest = seenStamp;
  }
  const now = set.resources.clock.nowNs();
  const fence = now > highest ? now : highest + 1n;
  const answers = await set.each((drive) => drive.fence(key, fence));
  const W = writeQuorum(set.dataShards, set.standardParity);
  let holders = 0;
  let without = 0;
  let settledSomewhere = false;
  for (const answer of answers) {
    if (!answer.ok) continue;
    if (answer.value.state.stamp === doubtful) {
      if (answer.value.promised) holders++;
      if (answer.value.state.prev === null) settledSomewhere = true;
    } else if (answer.value.promised) without++;
  }
  if (settledSomewhere || holders >= W) {
    await set.each((drive) => drive.settle(key, doubtful));
    if (holders < set.size) set.resources.damage.report({ bucket: key.bucket, path: key.path, why: "missed-write" });
    return "settled";
  }
  if (without < set.size - W + 1) return "waiting";
  await set.each((drive) => drive.restore(key, fence, doubtful));
  return "restored";
}

/** At start: every operation in doubt on any drive of the set. Returns what could not be decided yet. */
export async function resolveAll(
  set: ErasureSet,
): Promise<{ readonly decided: number; readonly waiting: readonly ObjectPath[] }> {
  const keys = new Map<string, ObjectPath>();
  for (const drive of set.drives) for (const key of drive?.doubts() ?? []) keys.set(`${key.bucket}/${key.path}`, key);
  const waiting: ObjectPath[] = [];
  for (const key of keys.values()) if ((await resolveDoubt(set, key)) === "waiting") waiting.push(key);
  return { decided: keys.size - waiting.length, waiting };
}
