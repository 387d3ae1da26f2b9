/**
 * Reading what a set holds of one key: ask, judge doubts, merge. In the usual case the k drives with the data shards
 * agree and that is the whole cost; else all are asked. Throws QuorumError when the drives cannot tell. Never writes.
 */
import { type Drive, type DriveOutcome, type KeyState, nameOf, type ObjectPath } from "../storage/drive.ts";
import { FormatError } from "../core/format-error.ts";
import { SYSTEM_BUCKET } from "../storage/paths.ts";
import { XlMeta } from "../storage/xl-meta.ts";
import type { XlVersion } from "../storage/xl-meta-container.ts";
import type { XlHeader } from "../storage/xl-meta-header.ts";
import type { ErasureSet } from "./erasure-set.ts";
import { QuorumError } from "../core/quorum-error.ts";
import {
  deleteQuorum,
  doubtQuorum,
  judgeDoubts,
  type Merged,
  mergeVersions,
  type MergedVersion,
  type View,
} from "./quorum.ts";

export interface KeyReading {
  readonly key: ObjectPath;
  /** By position in the set; undefined = silent. */
  readonly states: readonly (KeyState | undefined)[];
  /** Decoded xl.meta by position, doubtful operations that cannot count rolled back. */
  readonly metas: readonly (XlMeta | null | undefined)[];
  readonly merged: Merged;
  /** Highest stamp or promise seen. */
  readonly highest: bigint;
  /** Doubtful stamps that can never be committed and were looked behind. */
  readonly rolledBack: ReadonlySet<bigint>;
  /** True if only the first few drives were asked. */
  readonly partial: boolean;
}

/** What MinIO never writes. */
const OWN_DOCUMENT = /(^|\/)\.sherd-[^/]*$/;
const LOOKS_MAX = 16;
const NONE: ReadonlySet<bigint> = new Set();
const NOBODY: ReadonlySet<number> = new Set();
const NO_HEADERS: readonly XlHeader[] = [];
const NO_POSITIONS: readonly number[] = [];

/** How a drive is asked: by `read`, or by what brings more with it. */
export type Ask = (drive: Drive, key: ObjectPath) => KeyState | Promise<DriveOutcome<KeyState>>;
const plainRead: Ask = (drive, key) => drive.readNow(key) ?? drive.read(key);

/**
 * Reads a key. `all`: ask every drive (writers that pass `prior`). A drive that takes its time is waited for only where the others cannot
 * tell without it.
 */
export function readKey(set: ErasureSet, key: ObjectPath, all = false, how: Ask = plainRead): Promise<KeyReading> {
  return all ? readAll(set, key, how) : readFew(set, key, how);
}

/** What every drive has of a key, however long it takes: for who repairs it. */
export async function readKeyPatiently(set: ErasureSet, key: ObjectPath): Promise<KeyReading> {
  const states = silence(set);
  const order = readOrder(set, key);
  await answersOf(set, await ask(set, key, order, { into: states, how: plainRead }), states);
  return agreed(set, key, order, states) ?? (await settled(set, judge(set, key, states), plainRead));
}

/** How many drives are asked first: enough for a quorum. */
export function fewOf(set: ErasureSet): number {
  return Math.max(set.dataShards, set.size - Math.floor(set.size / 2));
}

/** The positions that are asked first, in the order of their shards; null = not each of them can be believed. */
export function witnessesOf(set: ErasureSet, key: ObjectPath, few: number): readonly number[] | null {
  const order = readOrder(set, key);
  return isWitnessed(set, key, order, few) ? order : null;
}

/** Asks the first few, and the others only if these do not settle it. */
async function readFew(set: ErasureSet, key: ObjectPath, how: Ask): Promise<KeyReading> {
  const order = readOrder(set, key);
  const few = fewOf(set);
  const states = silence(set);
  const slow = await ask(set, key, order.slice(0, few), { into: states, how });
  const quick = slow.length === 0 && isWitnessed(set, key, order, few) ? agreeing(set, key, states, few) : null;
  // That a key is absent is believed when all say so: drives may have lost it without knowing.
  if (quick !== null && (quick.merged.versions.length > 0 || how !== plainRead)) return quick;
  const slower = await ask(set, key, order.slice(few), { into: states, how });
  return await verdict(set, { key, states, how, slow: slow.length === 0 ? slower : [...slow, ...slower] });
}

async function readAll(set: ErasureSet, key: ObjectPath, how: Ask): Promise<KeyReading> {
  const states = silence(set);
  const order = readOrder(set, key);
  const slow = await ask(set, key, order, { into: states, how });
  const same = slow.length === 0 ? agreed(set, key, order, states) : null;
  return same ?? (await verdict(set, { key, states, how, slow }));
}

/** All say the same, as nearly always. */
function agreed(
  set: ErasureSet,
  key: ObjectPath,
  order: readonly number[],
  states: readonly (KeyState | undefined)[],
): KeyReading | null {
  return isWitnessed(set, key, order, set.size) ? agreeing(set, key, states, set.size) : null;
}

interface Asked {
  readonly key: ObjectPath;
  readonly states: (KeyState | undefined)[];
  readonly how: Ask;
  readonly slow: readonly Slow[];
}

/** Of what the drives say; the slow ones are waited for where the others cannot tell. */
async function verdict(set: ErasureSet, asked: Asked): Promise<KeyReading> {
  const { key, states, how, slow } = asked;
  if (slow.length > 0) {
    const early = without(set, asked);
    if (early !== null) return early;
    await answersOf(set, slow, states);
  }
  return await settled(set, judge(set, key, states), how);
}

/** The verdict without the slow ones, which count as silent; null = there is none, or not a plain one. */
function without(set: ErasureSet, { key, states }: Asked): KeyReading | null {
  try {
    const reading = judge(set, key, states);
    return reading.merged.undecided.length === 0 && !reading.merged.hasTraces ? reading : null;
  } catch (error) {
    if (error instanceof QuorumError) return null;
    throw error;
  }
}

function settled(set: ErasureSet, reading: KeyReading, how: Ask): Promise<KeyReading> | KeyReading {
  return reading.merged.hasTraces ? lookAgain(set, reading, how) : reading;
}

/** No drive has answered yet. */
function silence(set: ErasureSet): (KeyState | undefined)[] {
  return new Array<KeyState | undefined>(set.size).fill(undefined);
}

/** Can each of the `few` that were asked first be believed? */
function isWitnessed(set: ErasureSet, key: ObjectPath, order: readonly number[], few: number): boolean {
  const behind = behindOf(set, key);
  for (let n = 0; n < few; n++) {
    const position = order[n] as number;
    if (set.rebuilding.has(position) || behind?.has(position) === true) return false;
  }
  return true;
}

/** Answers of different moments look like a version that too few drives have: only what is seen twice is a trace. */
async function lookAgain(set: ErasureSet, first: KeyReading, how: Ask): Promise<KeyReading> {
  let before = first;
  for (let look = 1; look <= LOOKS_MAX; look++) {
    const states = silence(set);
    await answersOf(set, await ask(set, before.key, [...states.keys()], { into: states, how }), states);
    const now = judge(set, before.key, states);
    const isSame = states.every((state, i) => state?.stamp === before.states[i]?.stamp);
    if (isSame || !now.merged.hasTraces) return now;
    before = now;
  }
  throw new QuorumError("ReadQuorum", `${first.key.bucket}/${first.key.path} changes faster than it can be read`);
}

/** Drives that hold data shards first, so that an inline object comes with its metadata. */
function readOrder(set: ErasureSet, key: ObjectPath): number[] {
  const dist = set.distribution(key);
  const behind = behindOf(set, key);
  const order: number[] = new Array<number>(dist.length).fill(0);
  let isUsual = true;
  for (let i = 0; i < dist.length; i++) {
    order[(dist[i] as number) - 1] = i;
    if (hindrance(set, behind, i) > 0) isUsual = false;
  }
  return isUsual ? order : leastHindered(set, behind, order);
}

/** A stable sort. */
function leastHindered(set: ErasureSet, behind: ReadonlySet<number> | null, order: number[]): number[] {
  return order.sort((a, b) => hindrance(set, behind, a) - hindrance(set, behind, b));
}

/** What keeps a drive from being asked among the first, the more the higher; 0 = nothing. */
function hindrance(set: ErasureSet, behind: ReadonlySet<number> | null, position: number): number {
  const drive = set.drives[position];
  if (drive == null) return 3;
  if (drive.state !== "ok" || behind?.has(position) === true || set.patience.isHanging(position)) return 2;
  return set.rebuilding.has(position) ? 1 : 0;
}

/** Positions that are owed something of the key; null = none, or all that know more were replaced: what is left is all there is. */
function behindOf(set: ErasureSet, key: ObjectPath): ReadonlySet<number> | null {
  const behind = set.debt?.behind(key) ?? null;
  if (behind === null) return null;
  for (let i = 0; i < set.drives.length; i++) if (!behind.has(i) && !set.rebuilding.has(i)) return behind;
  return null;
}

/** A drive that has not answered yet. */
interface Slow {
  readonly position: number;
  readonly answer: Promise<DriveOutcome<KeyState>>;
}

/** Asks all at once, and waits for those that do not take too long; the others. */
async function ask(
  set: ErasureSet,
  key: ObjectPath,
  positions: readonly number[],
  { into, how }: { readonly into: (KeyState | undefined)[]; readonly how: Ask },
): Promise<readonly Slow[]> {
  // What is rebuilt while others are waited for may have answered before it was.
  const rebuilding = set.rebuilding.size === 0 ? NOBODY : new Set(set.rebuilding);
  const where = { into, rebuilding };
  const asked: Slow[] = [];
  for (const position of positions) {
    const drive = set.drives[position];
    const answer = drive == null ? null : how(drive, key);
    if (answer === null) continue;
    if (answer instanceof Promise) asked.push({ position, answer });
    else take(set, where, position, answer);
  }
  if (asked.length === 0) return asked;
  const outcomes = await set.patience.hear(
    asked.map(({ position }) => position),
    asked.map(({ answer }) => answer),
  );
  const slow: Slow[] = [];
  for (const [i, each] of asked.entries()) {
    const outcome = outcomes[i] ?? null;
    const state = outcome === null ? null : stateIn(outcome);
    if (outcome === null) slow.push(each);
    else if (state !== null) take(set, where, each.position, state);
  }
  return slow;
}

function take(
  set: ErasureSet,
  { into, rebuilding }: { readonly into: (KeyState | undefined)[]; readonly rebuilding: ReadonlySet<number> },
  position: number,
  state: KeyState,
): void {
  const isEmpty = rebuilding.has(position) || set.rebuilding.has(position);
  if (state.meta !== null || !isEmpty) into[position] = state;
}

/** Waits for the slow ones, however long it takes. */
async function answersOf(set: ErasureSet, slow: readonly Slow[], into: (KeyState | undefined)[]): Promise<void> {
  if (slow.length === 0) return;
  const rebuilding = set.rebuilding.size === 0 ? NOBODY : new Set(set.rebuilding);
  for (const { position, answer } of slow) {
    const state = stateIn(await answer);
    if (state !== null) take(set, { into, rebuilding }, position, state);
  }
}

function stateIn(answer: DriveOutcome<KeyState>): KeyState | null {
  return answer.ok ? answer.value : null;
}

/** The quick verdict: `few` settled answers, or those of all drives, that say exactly the same. */
function agreeing(
  set: ErasureSet,
  key: ObjectPath,
  states: readonly (KeyState | undefined)[],
  few: number,
): KeyReading | null {
  const metas: (XlMeta | null | undefined)[] = new Array<XlMeta | null | undefined>(set.size).fill(undefined);
  const holders: number[] = [];
  let first: XlMeta | null | undefined;
  let highest = 0n;
  for (let i = 0; i < states.length; i++) {
    const state = states[i];
    if (state === undefined) continue;
    if (state.prev !== null) return null;
    const meta = decode(state.meta);
    if (meta === undefined) return null;
    if (first === undefined) first = meta;
    else if (!sameVersions(first, meta)) return null;
    metas[i] = meta;
    holders.push(i);
    if (state.stamp > highest) highest = state.stamp;
    if (state.promised > highest) highest = state.promised;
  }
  if (holders.length < few || first === undefined) return null;
  const versions: MergedVersion[] = [];
  for (const { header } of first?.versions ?? []) {
    if (header.ecM > few) return null; // a version of another shape may need more copies than were asked for
    versions.push({ header, holders, copies: holders });
  }
  return {
    key,
    states,
    metas,
    merged: { versions, undecided: NO_HEADERS, differing: NO_POSITIONS, hasTraces: false },
    highest,
    rolledBack: NONE,
    partial: few < set.size,
  };
}

function sameVersions(a: XlMeta | null, b: XlMeta | null): boolean {
  if (a === null || b === null) return a === b;
  if (a.versions.length !== b.versions.length) return false;
  for (let i = 0; i < a.versions.length; i++)
    if (!isSame((a.versions[i] as XlVersion).header, (b.versions[i] as XlVersion).header)) return false;
  return true;
}

function isSame(a: XlHeader, b: XlHeader): boolean {
  return a.signature === b.signature && a.modTime === b.modTime && a.versionId === b.versionId && a.type === b.type;
}

function judge(set: ErasureSet, key: ObjectPath, states: (KeyState | undefined)[]): KeyReading {
  const verdict = judgeDoubts(states, (state) => doubtQuorum(state, set.size, set.dataShards));
  if (verdict.kind === "unknown")
    throw new QuorumError(
      "ReadQuorum",
      `an earlier write of ${key.bucket}/${key.path} is in doubt and too few drives answer to decide it`,
      { key, stamp: verdict.stamp.toString() },
    );
  const metas: (XlMeta | null | undefined)[] = [];
  const behind = behindOf(set, key); // a drive that returns must not decide by what it slept through
  const views: View[] = [];
  let highest = 0n;
  for (const [i, state] of states.entries()) {
    if (state === undefined) continue;
    const isTakenBack = state.prev !== null && verdict.rollBack.has(state.stamp);
    const meta = decode(isTakenBack ? state.prev.meta : state.meta);
    metas[i] = meta ?? null;
    const isBehind = behind?.has(i) === true;
    if (meta !== undefined) views.push({ drive: i, stamp: state.stamp, inDoubt: state.prev !== null, isBehind, meta });
    if (state.stamp > highest) highest = state.stamp;
    if (state.promised > highest) highest = state.promised;
  }
  const answers = views.length; // what cannot be read is no witness
  const silent = set.size - answers;
  const smallest = copiesMin(set, key);
  const merged = withoutStale(set, mergeVersions(views, set.size, set.dataShards), views);
  if (merged.versions.length === 0 && silent >= smallest) {
    throw new QuorumError(
      "ReadQuorum",
      `${answers} of ${set.size} drives answered for ${key.bucket}/${key.path}; ${set.size - smallest + 1} are needed to say that it is not there`,
      { key, answers },
    );
  }
  const isDamaged = views.length < states.filter((s) => s !== undefined).length;
  // While a write of the key is not settled, a drive may be about to answer it.
  if ((merged.differing.length > 0 || isDamaged) && !set.unsettled.has(nameOf(key)))
    set.resources.damage.report({ bucket: key.bucket, path: key.path, why: "differs" });
  return { key, states, metas, merged, highest, rolledBack: verdict.rollBack, partial: false };
}

/**
 * As many silent drives may hide a version: MinIO believes k copies, whatever became of the others. Documents that only we
 * write are on more than half of the drives, so that buckets without any stay usable when every spare drive is gone.
 */
function copiesMin(set: ErasureSet, key: ObjectPath): number {
  if (key.bucket === SYSTEM_BUCKET && OWN_DOCUMENT.test(key.path)) return deleteQuorum(set.size);
  return Math.min(set.dataShards, set.size - Math.floor(set.size / 2));
}

/**
 * What only drives show that are being rebuilt, while enough others answer to hold a copy of every committed write, is older than
 * its removal: the log of such a drive may have lost that.
 */
function withoutStale(set: ErasureSet, merged: Merged, views: readonly View[]): Merged {
  if (set.rebuilding.size === 0) return merged;
  const isWhole = (position: number): boolean => !set.rebuilding.has(position);
  if (views.filter(({ drive }) => isWhole(drive)).length < set.size - Math.floor(set.size / 2)) return merged;
  return { ...merged, versions: merged.versions.filter(({ copies }) => copies.some(isWhole)) };
}

/** null = absent, undefined = unreadable. */
function decode(bytes: Uint8Array | null): XlMeta | null | undefined {
  if (bytes === null) return null;
  try {
    return XlMeta.shared(bytes);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** The version asked for; undefined = there is none. Throws when it may exist but too few drives tell. */
export function pickVersion(
  reading: KeyReading,
  versionId: string | undefined,
): { readonly found: MergedVersion; readonly isLatest: boolean } | undefined {
  const visible = reading.merged.versions.filter((v) => !isFree(v));
  const latest = visible[0];
  const found = versionId === undefined ? latest : visible.find((v) => v.header.versionId === versionId);
  const doubtful = reading.merged.undecided.find(
    (h) =>
      (versionId === undefined || h.versionId === versionId) &&
      (found === undefined || h.modTime > found.header.modTime),
  );
  if (doubtful !== undefined) {
    throw new QuorumError(
      "ReadQuorum",
      `too few drives answer to tell the newest version of ${reading.key.bucket}/${reading.key.path}`,
      { key: reading.key },
    );
  }
  return found === undefined ? undefined : { found, isLatest: found === latest };
}

export function isFree(version: MergedVersion): boolean {
  return (version.header.flags & 1) !== 0;
}
