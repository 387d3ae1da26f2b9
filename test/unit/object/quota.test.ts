/** Reservations against a quota: together never over it, and nobody refused for bytes that are counted twice. */
import { expect, test } from "bun:test";
import { QuotaLedger, type Room } from "../../../src/object/quota.ts";

const LIMIT = 10;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("writes at the same time are given no more than there is, the first ones first", async () => {
  const ledger = new QuotaLedger();
  const rooms = await Promise.all([4, 4, 4, 2].map((n) => ledger.reserve("b", n, LIMIT, () => Promise.resolve(0))));
  expect(rooms.map((room) => room !== null)).toEqual([true, true, false, false]);
  rooms[0]?.[Symbol.dispose](); // it failed
  expect(await ledger.reserve("b", 6, LIMIT, () => Promise.resolve(0))).not.toBeNull();
  expect(await ledger.reserve("other", 10, LIMIT, () => Promise.resolve(0))).not.toBeNull();
});

test("a write that commits while the sum is taken does not count twice", async () => {
  const ledger = new QuotaLedger();
  let used = 0;
  const first = (await ledger.reserve("b", 6, LIMIT, () => Promise.resolve(used))) as Room;
  first.committing();
  used = 6; // in the sum, not yet released
  const second = ledger.reserve("b", 4, LIMIT, () => Promise.resolve(used));
  await turn();
  first[Symbol.dispose]();
  expect(await second).not.toBeNull();
});

test("what was released after the sum was asked for is still counted", async () => {
  const ledger = new QuotaLedger();
  const first = (await ledger.reserve("b", 6, LIMIT, () => Promise.resolve(0))) as Room;
  let used = 0;
  const answers = [0, 6];
  const second = ledger.reserve("b", 6, LIMIT, async () => {
    const old = answers.shift() ?? used;
    first.committing();
    used = 6;
    first[Symbol.dispose](); // committed and released while the old sum was on its way
    await turn();
    return old;
  });
  expect(await second).toBeNull();
});

test("a failed sum releases the room, and where nobody knows the sum all is let in", async () => {
  const ledger = new QuotaLedger();
  const failing = ledger.reserve("b", 10, LIMIT, () => Promise.reject(new Error("no drives")));
  expect(failing).rejects.toThrow("no drives");
  await failing.catch(() => null);
  expect(await ledger.reserve("b", 10, LIMIT, () => Promise.resolve(0))).not.toBeNull();
  expect(await ledger.reserve("c", 11, LIMIT, () => Promise.resolve(null))).not.toBeNull();
});

test("many writers in any order fill the quota exactly", async () => {
  const ledger = new QuotaLedger();
  let used = 0;
  let accepted = 0;
  const write = async (i: number): Promise<void> => {
    const room = await ledger.reserve("b", 1, LIMIT, async () => {
      const sum = used;
      await turn();
      return sum;
    });
    if (room === null) return;
    accepted++;
    for (let n = i % 3; n > 0; n--) await turn();
    room.committing();
    await turn();
    used++;
    await turn();
    room[Symbol.dispose]();
  };
  await Promise.all(Array.from({ length: 50 }, (_, i) => write(i)));
  expect([used, accepted]).toEqual([LIMIT, LIMIT]);
});
