/** Who waits for the answers of several drives to one commit: until enough have taken it, or all have answered. */
import { expect, test } from "bun:test";
import { bad, good } from "../../../src/core/fan-out.ts";
import { CommitRound, type RoundAnswer, type RoundRules } from "../../../src/erasure/commit-round.ts";
import { GRACE_MS, HANGS_MS, Lateness, PATIENCE_MS } from "../../../src/erasure/late-answers.ts";
import {
  type Change,
  type CommitAnswer,
  type CommitTerms,
  type CommitWaiter,
  type Drive,
  DriveError,
  type DriveOutcome,
} from "../../../src/storage/drive.ts";
import { SimulatedClock } from "../../sim/seeded.ts";

const KEY = { bucket: "b", path: "k" };
const CHANGE: Change = { kind: "delete-version", versionId: "null" };
const TERMS: CommitTerms = { stamp: 1n, prior: null, settles: [] };
const YES = good({ accepted: true } as const);
const NO = bad(new DriveError("Faulty", "x"));
const REFUSED = good({ accepted: false, reason: "stale", stamp: 2n } as const);
const MISSING = good({ accepted: false, reason: "missing", stamp: 2n } as const);
const ALL: RoundRules = { enough: 99, removes: false };

interface Place {
  readonly size: number;
  readonly lateness: Lateness;
  readonly clock: SimulatedClock;
}
function placeOf(size: number): Place {
  const clock = new SimulatedClock();
  return { size, lateness: new Lateness(size, clock), clock };
}

/** A drive that takes commits at once; its answer is the test's. */
function quickDrive(): { readonly drive: Drive; readonly waiters: CommitWaiter[] } {
  const waiters: CommitWaiter[] = [];
  const commitNow: Drive["commitNow"] = (_key, _change, _terms, waiter) => waiters.push(waiter) > 0;
  return { drive: { commitNow } as unknown as Drive, waiters };
}
/** One that has something to wait for. */
function slowDrive(answer: Promise<DriveOutcome<CommitAnswer>>): Drive {
  return { commitNow: () => false, commit: () => answer } as unknown as Drive;
}
/** What a promise came to in the turns that went by; null = it waits. */
async function soon<T>(promise: Promise<T>): Promise<T | string | null> {
  let found: T | string | null = null;
  promise.then(
    (value) => {
      found = value;
    },
    (error: unknown) => {
      found = String(error);
    },
  );
  for (let i = 0; i < 10; i++) await Promise.resolve();
  return found;
}

test("a round is over when every drive has answered, whichever way, and tells them by position", async () => {
  const [first, last] = [quickDrive(), quickDrive()];
  const { promise, resolve } = Promise.withResolvers<DriveOutcome<CommitAnswer>>();
  const round = new CommitRound(placeOf(4), KEY, ALL);
  round.ask(first.drive, 0, CHANGE, TERMS);
  round.ask(slowDrive(promise), 1, CHANGE, TERMS);
  round.answered(2, good(null));
  round.ask(last.drive, 3, CHANGE, TERMS);
  last.waiters[0]?.answered(NO);
  expect(await soon(round.over)).toBeNull();
  first.waiters[0]?.answered(YES);
  expect(await soon(round.over)).toBeNull();
  resolve(YES);
  expect(await round.over).toEqual([YES, YES, good(null), NO]);
});

test("it is over a moment after enough have taken it, and those that answer later are told to who asks for them", async () => {
  const place = placeOf(4);
  const round = new CommitRound(place, KEY, { enough: 2, removes: false });
  round.answered(0, YES);
  round.answered(3, NO);
  round.answered(2, REFUSED);
  await place.clock.advance(GRACE_MS);
  expect(await soon(round.over)).toBeNull(); // of four, three answered and one took it
  round.answered(1, YES);
  expect(await round.over).toEqual([YES, YES, REFUSED, NO]);

  const other = new CommitRound(place, KEY, { enough: 2, removes: false });
  other.answered(0, YES);
  other.answered(2, YES);
  await soon(other.over);
  other.answered(3, YES); // in time: it is no late one
  await place.clock.advance(GRACE_MS);
  const answers = await other.over;
  expect(answers).toEqual([YES, null, YES, YES]);
  const late: [number, RoundAnswer][] = [];
  other.tellLate({ answered: (position, answer) => late.push([position, answer]) });
  other.answered(1, NO);
  expect([late, answers]).toEqual([[[1, NO]], [YES, null, YES, YES]]);
});

test("a drive without what is removed counts only for a removal", async () => {
  const place = placeOf(3);
  const put = new CommitRound(place, KEY, { enough: 2, removes: false });
  const removal = new CommitRound(place, KEY, { enough: 2, removes: true });
  for (const round of [put, removal]) {
    round.answered(0, MISSING);
    round.answered(1, YES);
  }
  await place.clock.advance(GRACE_MS);
  expect(await soon(put.over)).toBeNull();
  expect(await soon(removal.over)).toEqual([MISSING, YES, null]);
});

test("a drive that lags is waited for, and for so long", async () => {
  const place = placeOf(3);
  place.lateness.add(2, 2 * 1024 * 1024);
  const answering = new CommitRound(place, KEY, { enough: 2, removes: false });
  const silent = new CommitRound(place, KEY, { enough: 2, removes: false });
  for (const round of [answering, silent]) {
    round.answered(0, YES);
    round.answered(1, YES);
  }
  await place.clock.advance(GRACE_MS + PATIENCE_MS - 1);
  expect(await soon(silent.over)).toBeNull();
  answering.answered(2, YES);
  expect(await soon(answering.over)).toEqual([YES, YES, YES]);
  await place.clock.advance(1);
  expect(await soon(silent.over)).toEqual([YES, YES, null]);
});

test("one that answers nothing any more is not, until it does", async () => {
  const place = placeOf(2);
  /** Neither, for a moment, or for longer. */
  const waits = async (): Promise<string> => {
    const round = new CommitRound(place, KEY, { enough: 1, removes: false });
    round.answered(0, YES);
    if ((await soon(round.over)) !== null) return "not";
    await place.clock.advance(GRACE_MS);
    return (await soon(round.over)) === null ? "longer" : "a moment";
  };
  expect(await waits()).toBe("a moment");
  place.lateness.add(1, 3 * 1024 * 1024);
  expect(await waits()).toBe("longer");
  await place.clock.advance(HANGS_MS);
  expect(await waits()).toBe("not");
  place.lateness.take(1, 1024);
  expect(await waits()).toBe("longer");
  place.lateness.take(1, 2 * 1024 * 1024);
  expect(await waits()).toBe("a moment"); // it has caught up
});

test("a drive that breaks its promise ends the round with what it threw, and does not keep those that were answered", async () => {
  const round = new CommitRound(placeOf(2), KEY, ALL);
  round.ask(slowDrive(Promise.reject(new Error("broken"))), 0, CHANGE, TERMS);
  expect(await soon(round.over)).toBe("Error: broken");

  const { promise, reject } = Promise.withResolvers<DriveOutcome<CommitAnswer>>();
  const place = placeOf(2);
  const other = new CommitRound(place, KEY, { enough: 1, removes: false });
  other.ask(slowDrive(promise), 0, CHANGE, TERMS);
  other.answered(1, YES);
  await place.clock.advance(GRACE_MS);
  await other.over;
  const late: RoundAnswer[] = [];
  other.tellLate({ answered: (_, answer) => late.push(answer) });
  reject(new Error("broken"));
  await soon(promise);
  expect(late.map((answer) => !answer.ok && answer.error.code)).toEqual(["Io"]);
});

test("a patient round waits for the others until they hang, and for those that do so already not at all", async () => {
  const patient: RoundRules = { enough: 2, removes: false, isPatient: true };
  const place = placeOf(3);
  const round = new CommitRound(place, KEY, patient);
  for (const position of [0, 1]) round.answered(position, YES);
  await place.clock.advance(HANGS_MS - 1);
  expect(await soon(round.over)).toBeNull();
  await place.clock.advance(1);
  expect(await soon(round.over)).toEqual([YES, YES, null]);

  const again = new CommitRound(place, KEY, patient);
  for (const position of [0, 1]) again.answered(position, YES);
  await place.clock.advance(1);
  again.answered(2, NO);
  expect(await soon(again.over)).toEqual([YES, YES, NO]);

  place.lateness.add(2, 1);
  await place.clock.advance(HANGS_MS);
  const third = new CommitRound(place, KEY, patient);
  for (const position of [0, 1]) third.answered(position, YES);
  expect(await soon(third.over)).toEqual([YES, YES, null]);
});
