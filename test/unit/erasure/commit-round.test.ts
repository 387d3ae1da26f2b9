/** Who waits for the answers of several drives to one commit. */
import { expect, test } from "bun:test";
import { bad, good } from "../../../src/core/fan-out.ts";
import { CommitRound } from "../../../src/erasure/commit-round.ts";
import {
  type Change,
  type CommitAnswer,
  type CommitTerms,
  type CommitWaiter,
  type Drive,
  DriveError,
  type DriveOutcome,
} from "../../../src/storage/drive.ts";

const KEY = { bucket: "b", path: "k" };
const CHANGE: Change = { kind: "delete-version", versionId: "null" };
const TERMS: CommitTerms = { stamp: 1n, prior: null, settles: [] };
const YES = good({ accepted: true } as const);
const NO = bad(new DriveError("Faulty", "x"));

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
  const round = new CommitRound(KEY, 4);
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

test("a drive that breaks its promise ends the round with what it threw", async () => {
  const round = new CommitRound(KEY, 2);
  round.ask(slowDrive(Promise.reject(new Error("broken"))), 0, CHANGE, TERMS);
  expect(await soon(round.over)).toBe("Error: broken");
});
