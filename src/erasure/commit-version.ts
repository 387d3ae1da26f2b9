/**
 * The write half of the commit protocol on one set (engine.md §3): COMMIT to all drives, acknowledge at the quorum, settle
 * in the background, report drives that missed it; below the quorum take back what was accepted, and retry only a clean
 * attempt. Called under the key's lock, which is a courtesy: the drives' rules are the safety.
 */
import { bad, good, isAnswered } from "../core/fan-out.ts";
import {
  type Change,
  type CommitTerms,
  type DriveOutcome,
  nameOf,
  type ObjectPath,
  type Stamp,
} from "../storage/drive.ts";
import { later } from "../storage/key-memory.ts";
import type { BackgroundWork } from "./background-work.ts";
import { CommitRound, type RoundAnswer } from "./commit-round.ts";
import type { ErasureSet } from "./erasure-set.ts";
import { QuorumError } from "../core/quorum-error.ts";
import { type CommitVote, judgeCommit, voteOfError } from "./quorum.ts";
import type { KeyReading } from "./read-version.ts";
import { decideNewest } from "./resolve-doubt.ts";

const ATTEMPTS = 4;
const NONE: ReadonlySet<number> = new Set();
const NO_STAMPS: readonly Stamp[] = [];

export interface CommitPlan {
  readonly key: ObjectPath;
  readonly quorum: number;
  /** A drive that lacks the version has done its part. */
  readonly removes: boolean;
  /** The change for the drive at a position at this stamp; null = this drive cannot take it (it failed while staging). */
  changeFor(position: number, stamp: Stamp): Change | null;
  /** What was read under the lock: makes the write conditional on it. null = blind. */
  readonly reading: KeyReading | null;
  /** The stamp must be higher: what the other pools show of the key. */
  readonly above?: Stamp;
}

/** Returns the stamp that the change was committed at. */
export async function commitChange(set: ErasureSet, plan: CommitPlan, background: BackgroundWork): Promise<Stamp> {
  const name = nameOf(plan.key);
  let floor = later(plan.reading?.highest ?? 0n, plan.above ?? 0n);
  for (let attempt = 1; ; attempt++) {
    const stamp = set.resources.stamps.above(floor);
    const settles = committedStamps(plan.reading, set.unsettled.get(name));
    const at: CommitTerms = { stamp, prior: null, settles, overDamage: false };
    const first = await askAll(set, plan, at);
    const anew = damagedNeeded(plan, first);
    const outcomes = anew.size === 0 ? first : await askAnew(set, plan, { terms: at, anew, first });
    const votes = votesOf(plan, outcomes);
    const verdict = judgeCommit(votes, plan.quorum);
    if (verdict === "committed") {
      oweMissed(set, plan, { stamp, votes, anew });
      settle(set, { key: plan.key, name, stamp, votes }, background);
      return stamp;
    }
    const clean = verdict === "refused" && (await takeBack(set, plan.key, stamp, votes));
    const reasons = outcomes.flatMap((o) => (o.ok ? [] : [o.error.message])).join("; ");
    const accepted = votes.filter((v) => v === "accepted").length;
    const refusedBy = outcomes.flatMap((o) => (o.ok && o.value !== null && !o.value.accepted ? [o.value] : []));
    const mayRetry =
      refusedBy.every((r) => r.reason === "stale") ||
      (refusedBy.some((r) => r.reason === "doubt") && (await decideDoubt(set, plan.key, background)));
    if (clean && refusedBy.length > 0 && mayRetry && attempt < ATTEMPTS) {
      for (const refused of refusedBy) if (refused.stamp > floor) floor = refused.stamp;
      continue;
    }
    if (!clean) set.resources.damage.report({ bucket: plan.key.bucket, path: plan.key.path, why: "missed-write" });
    const full = outcomes.some((o) => !o.ok && o.error.code === "NoSpace");
    const words = `${accepted} of ${plan.quorum} needed drives accepted the write${reasons === "" ? "" : `: ${reasons}`}`;
    if (!clean)
      throw new QuorumError("OutcomeUnknown", `${words}; the outcome is unknown`, { accepted, needed: plan.quorum });
    throw new QuorumError(full ? "StorageFull" : "WriteQuorum", words, { accepted, needed: plan.quorum });
  }
}

/** COMMIT to every drive, on what it showed; null = it has nothing to commit. */
function askAll(set: ErasureSet, plan: CommitPlan, at: CommitTerms): Promise<readonly RoundAnswer[]> {
  const round = new CommitRound(plan.key, set.size);
  for (let i = 0; i < set.size; i++) ask(round, set, plan, { position: i, terms: at });
  return round.over;
}

function ask(
  round: CommitRound,
  set: ErasureSet,
  plan: CommitPlan,
  to: { position: number; terms: CommitTerms },
): void {
  const { position, terms } = to;
  const drive = set.drives[position] ?? null;
  const change = drive === null ? null : plan.changeFor(position, terms.stamp);
  if (drive === null) round.answered(position, bad(set.noDrive(position)));
  else if (change === null) round.answered(position, good(null));
  else {
    const prior = priorOf(plan.reading, position);
    round.ask(drive, position, change, prior === null ? terms : { ...terms, prior });
  }
}

/** The same again to those that are to begin anew. */
function askAnew(
  set: ErasureSet,
  plan: CommitPlan,
  at: { terms: CommitTerms; anew: ReadonlySet<number>; first: readonly RoundAnswer[] },
): Promise<readonly RoundAnswer[]> {
  const terms = { ...at.terms, overDamage: true };
  const round = new CommitRound(plan.key, set.size);
  for (const [i, answer] of at.first.entries())
    if (at.anew.has(i)) ask(round, set, plan, { position: i, terms });
    else round.answered(i, answer);
  return round.over;
}

/**
 * A drive that cannot read what it has of the key takes no put, so that what was read wrong once does not become what is there.
 * Those without which the write fails are to begin anew (ADR 0018).
 */
function damagedNeeded(plan: CommitPlan, answers: readonly RoundAnswer[]): ReadonlySet<number> {
  if (!answers.some(isDamaged)) return NONE;
  const damaged = new Set([...answers.keys()].filter((i) => isDamaged(answers[i])));
  const isNeeded = judgeCommit(votesOf(plan, answers), plan.quorum) !== "committed";
  return isNeeded ? damaged : NONE;
}

function isDamaged(outcome: RoundAnswer | undefined): boolean {
  return outcome?.ok === false && outcome.error.code === "Corrupt";
}

function votesOf(plan: CommitPlan, outcomes: readonly RoundAnswer[]): readonly CommitVote[] {
  const votes: CommitVote[] = [];
  for (const outcome of outcomes) votes.push(voteOf(plan, outcome));
  return votes;
}

function voteOf(plan: CommitPlan, outcome: RoundAnswer): CommitVote {
  if (!outcome.ok) return voteOfError(outcome.error);
  if (outcome.value === null) return "untouched";
  if (outcome.value.accepted) return "accepted";
  return outcome.value.reason === "missing" && plan.removes ? "missing" : "refused";
}

/** It has what the write brought, or lacks what it removed. */
function isDone(vote: CommitVote | undefined): boolean {
  return vote === "accepted" || vote === "missing";
}

/** Before the answer, so that a clean stop cannot forget it. A drive that began anew missed what it may have lost. */
function oweMissed(
  set: ErasureSet,
  plan: CommitPlan,
  { stamp, votes, anew }: { stamp: Stamp; votes: readonly CommitVote[]; anew: ReadonlySet<number> },
): void {
  if (anew.size === 0 && votes.every(isDone)) return; // nearly always
  const missed = [...votes.keys()].filter((i) => !isDone(votes[i]) || anew.has(i));
  if (anew.size > 0) set.resources.damage.report({ bucket: plan.key.bucket, path: plan.key.path, why: "missed-write" });
  const change = [...votes.keys()].map((i) => plan.changeFor(i, stamp)).find((found) => found !== null);
  // What a put replaces it replaces again when it is given.
  const removed = change?.kind === "delete-version" ? [change.versionId] : [];
  set.debt?.owe({ key: plan.key, stamp, removed }, missed);
}

/** Stamps that the read showed to be committed, or that are `known` to be: a drive may still hold them in doubt. */
function committedStamps(reading: KeyReading | null, known: Stamp | undefined): readonly Stamp[] {
  if (reading === null && known === undefined) return NO_STAMPS; // nearly always
  const stamps = known === undefined ? [] : [known];
  if (reading === null) return stamps;
  for (const state of reading.states)
    if (state !== undefined && state.prev !== null && !reading.rolledBack.has(state.stamp)) stamps.push(state.stamp);
  return stamps;
}

/**
 * The stamp that this drive showed, or the one behind an operation that can never be committed, so that the change applies
 * to what was read; silent drives are asked for nothing.
 */
function priorOf(reading: KeyReading | null, position: number): Stamp | null {
  const state = reading?.states[position];
  if (state === undefined) return null;
  return state.prev !== null && reading?.rolledBack.has(state.stamp) === true ? state.prev.stamp : state.stamp;
}

/** An earlier write is in the way: decides it. True if it is not any more. */
async function decideDoubt(set: ErasureSet, key: ObjectPath, background: BackgroundWork): Promise<boolean> {
  const { kind, stamp, removed } = await decideNewest(set, key);
  if (kind !== "settled") return kind !== "waiting";
  set.unsettled.set(nameOf(key), stamp);
  background.track(settleDecided(set, key, stamp, removed), key.bucket);
  return true;
}

interface Acknowledged {
  readonly key: ObjectPath;
  readonly name: string;
  readonly stamp: Stamp;
  readonly votes: readonly CommitVote[];
}

/** Of what was acknowledged. From memory, as nearly always, that is done at once; else it goes on after the answer. */
function settle(set: ErasureSet, done: Acknowledged, background: BackgroundWork): void {
  const { key, name, stamp, votes } = done;
  // Who keeps debts is told already (oweMissed).
  if (set.debt === null && !votes.every(isDone))
    set.resources.damage.report({ bucket: key.bucket, path: key.path, why: "missed-write" });
  const told = set.isRead(key) ? null : tellSettled(set, done);
  if (told?.every(isAnswered) === true) {
    set.unsettled.delete(name); // nothing is left to tell of it, nor of what it replaced
    return;
  }
  set.unsettled.set(name, stamp);
  background.track(settleSlowly(set, done, told), key.bucket);
}

/** `told`: answers that are under way; null = what was replaced stays while somebody reads it. */
async function settleSlowly(
  set: ErasureSet,
  done: Acknowledged,
  told: readonly Promise<DriveOutcome<void>>[] | null,
): Promise<void> {
  if (told === null) await set.unread(done.key);
  await Promise.all(told ?? tellSettled(set, done));
  forgetUnsettled(set, done.name, done.stamp);
}

/** A drive that never had the stamp has nothing to settle; one whose answer is not known may have taken it. */
function tellSettled(set: ErasureSet, { key, stamp, votes }: Acknowledged): readonly Promise<DriveOutcome<void>>[] {
  const answers: Promise<DriveOutcome<void>>[] = [];
  for (let i = 0; i < votes.length; i++)
    if (votes[i] === "accepted" || votes[i] === "unknown") {
      const answer = set.drives[i]?.settle(key, stamp);
      if (answer !== undefined) answers.push(answer);
    }
  return answers;
}

/** Of what was decided later: who does not answer now may lack it. */
async function settleDecided(
  set: ErasureSet,
  key: ObjectPath,
  stamp: Stamp,
  removed: readonly string[],
): Promise<void> {
  set.resources.damage.report({ bucket: key.bucket, path: key.path, why: "missed-write" });
  await set.unread(key); // what was replaced stays while somebody reads it
  const settled = await set.each((drive) => drive.settle(key, stamp));
  const silent = [...settled.keys()].filter((i) => settled[i]?.ok === false);
  if (silent.length > 0) set.debt?.owe({ key, stamp, removed }, silent);
  forgetUnsettled(set, nameOf(key), stamp);
}

function forgetUnsettled(set: ErasureSet, name: string, stamp: Stamp): void {
  if (set.unsettled.get(name) === stamp) set.unsettled.delete(name);
}

/** True if no drive has it: each refused, was never touched, or confirmed its restore. */
async function takeBack(
  set: ErasureSet,
  key: ObjectPath,
  stamp: Stamp,
  votes: readonly CommitVote[],
): Promise<boolean> {
  const gone = await set.each((drive, i) => {
    const vote = votes[i];
    return vote === "accepted" || vote === "unknown" ? drive.restore(key, stamp, stamp) : Promise.resolve(good(true));
  });
  return gone.every((o, i) => votes[i] === "untouched" || (o.ok && o.value));
}
