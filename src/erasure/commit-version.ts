/**
 * The write half of the commit protocol on one set (engine.md §3): COMMIT to all drives, acknowledge at the quorum, settle
 * in the background, report drives that missed it or answer late and did not take it; below the quorum wait for all, take back what
 * was accepted, and retry only a clean attempt. Called under the key's lock, which is a courtesy: the drives' rules are the safety.
 */
import { bad, good, isAnswered } from "../core/fan-out.ts";
import {
  type Change,
  type CommitTerms,
  type Drive,
  DriveError,
  type DriveOutcome,
  nameOf,
  type ObjectPath,
  type Stamp,
} from "../storage/drive.ts";
import { later } from "../storage/key-memory.ts";
import type { BackgroundWork } from "./background-work.ts";
import { CommitRound, NOT_ASKED, type RoundAnswer } from "./commit-round.ts";
import type { ErasureSet, Unsettled } from "./erasure-set.ts";
import { LateAnswers } from "./late-answers.ts";
import { QuorumError } from "../core/quorum-error.ts";
import { type CommitVote, judgeCommit, voteOfError } from "./quorum.ts";
import type { KeyReading } from "./read-version.ts";
import { decideNewest } from "./resolve-doubt.ts";

const ATTEMPTS = 4;
/** About what a drive's record takes beside inline data. */
const RECORD_BYTES = 1024;
const NONE: ReadonlySet<number> = new Set();
const NO_STAMPS: readonly Stamp[] = [];

export interface CommitPlan {
  readonly key: ObjectPath;
  readonly quorum: number;
  /** A drive that lacks the version has done its part. */
  readonly removes: boolean;
  /** It is acknowledged when all have answered that do not hang: what follows asks every drive for it. */
  readonly wantsAll?: boolean;
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
    const known = set.unsettled.get(name);
    const settles = committedStamps(plan.reading, known?.stamp);
    const at: CommitTerms = { stamp, prior: null, settles, overDamage: false };
    const round = askAll(set, plan, at, known);
    const first = await round.over;
    const anew = damagedNeeded(plan, first);
    const outcomes = anew.size === 0 ? first : await askAnew(set, plan, { terms: at, anew, first });
    const votes = votesOf(plan, outcomes);
    const verdict = judgeCommit(votes, plan.quorum);
    if (verdict === "committed") {
      const done = { plan, name, stamp, votes };
      oweMissed(set, done, anew);
      if (votes.includes("late")) settleWithLate(set, done, { round, answers: outcomes }, background);
      else settle(set, done, background);
      return stamp;
    }
    const clean = verdict === "refused" && (await takeBack(set, plan.key, stamp, votes));
    const reasons = outcomes.flatMap((o) => (o === null || o.ok ? [] : [o.error.message])).join("; ");
    const accepted = votes.filter((v) => v === "accepted").length;
    const refusedBy = outcomes.flatMap((o) => (o?.ok === true && o.value?.accepted === false ? [o.value] : []));
    const mayRetry =
      refusedBy.every((r) => r.reason === "stale") ||
      (refusedBy.some((r) => r.reason === "doubt") && (await decideDoubt(set, plan.key, background)));
    if (clean && refusedBy.length > 0 && mayRetry && attempt < ATTEMPTS) {
      for (const refused of refusedBy) if (refused.stamp > floor) floor = refused.stamp;
      continue;
    }
    if (!clean) set.resources.damage.report({ bucket: plan.key.bucket, path: plan.key.path, why: "missed-write" });
    const full = outcomes.some((o) => o?.ok === false && o.error.code === "NoSpace");
    const words = `${accepted} of ${plan.quorum} needed drives accepted the write${reasons === "" ? "" : `: ${reasons}`}`;
    if (!clean)
      throw new QuorumError("OutcomeUnknown", `${words}; the outcome is unknown`, { accepted, needed: plan.quorum });
    throw new QuorumError(full ? "StorageFull" : "WriteQuorum", words, { accepted, needed: plan.quorum });
  }
}

/** COMMIT to every drive, on what it showed. */
function askAll(set: ErasureSet, plan: CommitPlan, terms: CommitTerms, known: Unsettled | undefined): CommitRound {
  const { quorum: enough, removes, wantsAll: isPatient = false } = plan;
  const round = new CommitRound(set, plan.key, { enough, removes, isPatient });
  for (let i = 0; i < set.size; i++) ask(round, set, plan, { position: i, terms, known });
  return round;
}

function ask(
  round: CommitRound,
  set: ErasureSet,
  plan: CommitPlan,
  to: { position: number; terms: CommitTerms; known?: Unsettled | undefined },
): void {
  const { position, terms, known } = to;
  const drive = set.drives[position] ?? null;
  const change = drive === null ? null : plan.changeFor(position, terms.stamp);
  if (drive === null) round.answered(position, bad(set.noDrive(position)));
  else if (change === null) round.answered(position, NOT_ASKED);
  else if (set.lateness.isFull(position)) round.answered(position, bad(tooLate(drive)));
  else {
    const prior = priorOf(plan.reading, position, known);
    round.ask(drive, position, change, prior === null ? terms : { ...terms, prior });
  }
}

/** What it has not answered yet is all that may be kept for it. */
function tooLate({ endpoint }: Drive): DriveError {
  return new DriveError("Faulty", `${endpoint} has not answered many writes that others took`, { endpoint });
}

/** The same again to those that are to begin anew. */
function askAnew(
  set: ErasureSet,
  plan: CommitPlan,
  at: { terms: CommitTerms; anew: ReadonlySet<number>; first: readonly (RoundAnswer | null)[] },
): Promise<readonly (RoundAnswer | null)[]> {
  const terms = { ...at.terms, overDamage: true };
  const round = new CommitRound(set, plan.key, { enough: set.size, removes: plan.removes });
  for (const [i, answer] of at.first.entries())
    if (at.anew.has(i)) ask(round, set, plan, { position: i, terms });
    else round.answered(i, answer ?? NOT_ASKED);
  return round.over;
}

/**
 * A drive that cannot read what it has of the key takes no put, so that what was read wrong once does not become what is there.
 * Those without which the write fails are to begin anew (ADR 0018).
 */
function damagedNeeded(plan: CommitPlan, answers: readonly (RoundAnswer | null)[]): ReadonlySet<number> {
  if (!answers.some(isDamaged)) return NONE;
  const damaged = new Set([...answers.keys()].filter((i) => isDamaged(answers[i])));
  const isNeeded = judgeCommit(votesOf(plan, answers), plan.quorum) !== "committed";
  return isNeeded ? damaged : NONE;
}

function isDamaged(outcome: RoundAnswer | null | undefined): boolean {
  return outcome?.ok === false && outcome.error.code === "Corrupt";
}

function votesOf(plan: CommitPlan, outcomes: readonly (RoundAnswer | null)[]): readonly CommitVote[] {
  const votes: CommitVote[] = [];
  for (const outcome of outcomes) votes.push(outcome === null ? "late" : voteOf(plan, outcome));
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

/** A write that is acknowledged, or about to be. */
interface Acknowledged {
  readonly plan: CommitPlan;
  readonly name: string;
  readonly stamp: Stamp;
  readonly votes: readonly CommitVote[];
}

/** Before the answer, so that a clean stop cannot forget it. A drive that began anew missed what it may have lost. */
function oweMissed(set: ErasureSet, done: Acknowledged, anew: ReadonlySet<number>): void {
  const { plan, votes } = done;
  if (anew.size === 0 && votes.every(isDone)) return; // nearly always
  const missed = [...votes.keys()].filter((i) => (votes[i] !== "late" && !isDone(votes[i])) || anew.has(i));
  if (anew.size > 0) set.resources.damage.report({ bucket: plan.key.bucket, path: plan.key.path, why: "missed-write" });
  if (missed.length > 0) owe(set, done, missed);
}

/** What a put replaces it replaces again when it is given. */
function owe(set: ErasureSet, { plan, stamp, votes }: Acknowledged, missed: readonly number[]): void {
  const change = [...votes.keys()].map((i) => plan.changeFor(i, stamp)).find((found) => found !== null);
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
 * to what was read; silent drives are asked for nothing. One that has yet to answer an acknowledged write will have that first.
 */
function priorOf(reading: KeyReading | null, position: number, known: Unsettled | undefined): Stamp | null {
  if (reading !== null && known?.isLate(position) === true) return known.stamp;
  const state = reading?.states[position];
  if (state === undefined) return null;
  return state.prev !== null && reading?.rolledBack.has(state.stamp) === true ? state.prev.stamp : state.stamp;
}

/** An earlier write is in the way: decides it. True if it is not any more. */
async function decideDoubt(set: ErasureSet, key: ObjectPath, background: BackgroundWork): Promise<boolean> {
  const { kind, stamp, removed } = await decideNewest(set, key);
  if (kind !== "settled") return kind !== "waiting";
  set.unsettled.set(nameOf(key), answeredByAll(stamp));
  background.track(settleDecided(set, key, stamp, removed), key.bucket);
  return true;
}

/** Of what was acknowledged. From memory, as nearly always, that is done at once; else it goes on after the answer. */
function settle(set: ErasureSet, done: Acknowledged, background: BackgroundWork): void {
  const { plan, name, stamp, votes } = done;
  if (!votes.every(isDone)) reportMissed(set, plan.key);
  const told = set.isRead(plan.key) ? null : tellSettled(set, done);
  if (told?.every(isAnswered) === true) {
    set.unsettled.delete(name); // nothing is left to tell of it, nor of what it replaced
    return;
  }
  set.unsettled.set(name, answeredByAll(stamp));
  background.track(settleSlowly(set, done, told), plan.key.bucket);
}

/** Who keeps debts is told already. */
function reportMissed(set: ErasureSet, { bucket, path }: ObjectPath): void {
  if (set.debt === null) set.resources.damage.report({ bucket, path, why: "missed-write" });
}

/** `told`: answers that are under way; null = what was replaced stays while somebody reads it. */
async function settleSlowly(
  set: ErasureSet,
  done: Acknowledged,
  told: readonly Promise<DriveOutcome<void>>[] | null,
): Promise<void> {
  if (told === null) await set.unread(done.plan.key);
  await Promise.all(told ?? tellSettled(set, done));
  forgetUnsettled(set, done.name, done.stamp);
}

/** The same, while some drives are yet to answer. */
function settleWithLate(
  set: ErasureSet,
  done: Acknowledged,
  of: { readonly round: CommitRound; readonly answers: readonly (RoundAnswer | null)[] },
  background: BackgroundWork,
): void {
  const { plan, name, votes } = done;
  if (votes.some((vote) => vote !== "late" && !isDone(vote))) reportMissed(set, plan.key);
  const late = new LateVotes(set, done, background);
  set.unsettled.set(name, late);
  late.begin(of.round, of.answers);
}

/** The drives of an acknowledged write that answer late; the others are told at once. */
class LateVotes extends LateAnswers implements Unsettled {
  constructor(
    private readonly set: ErasureSet,
    private readonly done: Acknowledged,
    background: BackgroundWork,
  ) {
    const { plan, votes, stamp } = done;
    const change = plan.changeFor(votes.indexOf("late"), stamp);
    const shard = change?.kind === "put" && change.data.kind === "inline" ? change.data.bytes.length : 0;
    super(plan.key.bucket, RECORD_BYTES + shard * set.size, set.lateness, background); // the plan has all shards
    if (set.isRead(plan.key)) this.waitFor(set.unread(plan.key).then(() => Promise.all(tellSettled(set, done))));
    else for (const told of tellSettled(set, done)) this.waitFor(told);
  }

  get stamp(): Stamp {
    return this.done.stamp;
  }

  protected judge(position: number, answer: RoundAnswer): void {
    const { set, done } = this;
    const { plan, stamp } = done;
    const vote = voteOf(plan, answer);
    if (!isDone(vote)) {
      owe(set, done, [position]);
      reportMissed(set, plan.key);
    }
    const drive = set.drives[position] ?? null;
    if (drive === null || !mayHold(vote)) return;
    if (set.isRead(plan.key)) this.waitFor(set.unread(plan.key).then(() => drive.settle(plan.key, stamp)));
    else this.waitFor(drive.settle(plan.key, stamp));
  }

  protected over(): void {
    forgetUnsettled(this.set, this.done.name, this.stamp);
  }
}

function answeredByAll(stamp: Stamp): Unsettled {
  return { stamp, isLate: () => false };
}

function mayHold(vote: CommitVote | undefined): boolean {
  return vote === "accepted" || vote === "unknown";
}

/** A drive that never had the stamp has nothing to settle; one whose answer is not known may have taken it. */
function tellSettled(set: ErasureSet, { plan, stamp, votes }: Acknowledged): readonly Promise<DriveOutcome<void>>[] {
  const answers: Promise<DriveOutcome<void>>[] = [];
  for (let i = 0; i < votes.length; i++)
    if (mayHold(votes[i])) {
      const answer = set.drives[i]?.settle(plan.key, stamp);
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
  if (set.unsettled.get(name)?.stamp === stamp) set.unsettled.delete(name);
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
