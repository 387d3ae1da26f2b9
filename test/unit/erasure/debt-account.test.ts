/** What a drive is owed, in memory and as notes. */
import { expect, test } from "bun:test";
import { DebtAccount, type Missed } from "../../../src/erasure/debt-account.ts";

const missed = (path: string, stamp: bigint, removed = ""): Missed => ({
  key: { bucket: "b", path },
  stamp,
  removed,
  sinceMs: 7,
});

/** What another process reads out of the notes. */
function reread(account: DebtAccount): DebtAccount {
  const again = new DebtAccount(1_000_000);
  for (const { segment, text } of account.dirty())
    if (text !== null) expect(again.load(segment.number, text, 1)).toBe(true);
  return again;
}

test("of a key the newest operation counts, and every version that one took away", () => {
  const account = new DebtAccount(1_000_000);
  for (const one of [
    missed("k", 1n),
    missed("k", 5n, "v1"),
    missed("k", 3n),
    missed("k", 9n, "v2"),
    missed("k", 4n, "v1"),
  ])
    expect(account.add(one)).toBe(true);
  for (const one of [account, reread(account)])
    expect(one.all()).toEqual([
      {
        key: { bucket: "b", path: "k" },
        stamp: 9n,
        removed: new Map([
          ["v1", 5n],
          ["v2", 9n],
        ]),
        sinceMs: 7,
      },
    ]);
});

test("what was missed after the repair began stays owed", () => {
  const account = new DebtAccount(1_000_000);
  account.add(missed("k", 5n, "v1"));
  account.add(missed("k", 8n));
  account.settled("b/k", 5n);
  expect(account.all()).toMatchObject([{ stamp: 8n }]);
  account.settled("b/k", 8n);
  expect([account.keys, account.oldestMs]).toEqual([0, null]);
  expect(account.dirty().map(({ text }) => text)).toEqual([null]);
});

test("a key that is overwritten over and over costs one line that counts, and its notes go when it is settled", () => {
  const account = new DebtAccount(200_000);
  for (let i = 1; i <= 5_000; i++) {
    expect(account.add(missed("hot", BigInt(i)))).toBe(true);
    for (const { segment, text } of account.dirty()) if (text === null) account.forget(segment);
  }
  expect([account.keys, account.all()[0]?.stamp]).toEqual([1, 5_000n]);
  expect(account.bytes).toBeLessThan(70_000);
});

test("more than may be kept is given up for a comparison, and nothing is kept after that", () => {
  const account = new DebtAccount(500);
  let taken = 0;
  while (account.add(missed(`k${taken}`, 1n))) taken++;
  expect(taken).toBeGreaterThan(5);
  expect([account.isIncomplete, account.keys]).toEqual([true, 0]);
  expect(account.add(missed("later", 2n))).toBe(false);
});

test("a damaged note is told, not believed", () => {
  const account = new DebtAccount(1_000_000);
  account.add(missed("k", 1n, "v1"));
  const text = account.dirty()[0]?.text as string;
  for (const bad of ["", text.slice(5), text.replace("v1", "v2"), text.slice(0, -3)])
    expect(new DebtAccount(1_000_000).load(1, bad, 0)).toBe(false);
});
