/** Deadlines and health of a drive, with time and answers in the test's hand. */
import { expect, test } from "bun:test";
import { bad, good } from "../../../src/core/fan-out.ts";
import { type CommitWaiter, type Drive, DriveError, type DriveState } from "../../../src/storage/drive.ts";
import { GuardedDrive } from "../../../src/storage/guarded-drive.ts";
import type { Clock } from "../../../src/sys/clock.ts";

const KEY = { bucket: "b", path: "k" };
const SPACE = { totalBytes: 1, freeBytes: 1, usedBytes: 0, freeInodes: 1, totalInodes: 1 };

function setup(
  answers: Partial<Drive>,
  inFlightMax = 100,
): { drive: GuardedDrive; fire: () => void; states: DriveState[] } {
  const timers = new Set<() => void>();
  const clock = {
    after(_ms: number, run: () => void) {
      timers.add(run);
      return () => timers.delete(run);
    },
  } as unknown as Clock;
  const states: DriveState[] = [];
  const inner = { id: "id", endpoint: "/d", state: "ok", doubts: () => [], ...answers } as unknown as Drive;
  const drive = new GuardedDrive(inner, { clock, inFlightMax, onState: (_endpoint, state) => states.push(state) });
  /** Time enough for a deadline, which is watched in quarters. */
  const fire = (): void => {
    for (let quarter = 0; quarter <= 4; quarter++)
      for (const run of [...timers]) {
        timers.delete(run);
        run();
      }
  };
  return { drive, fire, states };
}
const never = new Promise<never>(() => undefined);
const codeOf = (outcome: { ok: boolean; error?: DriveError }): string =>
  outcome.ok ? "ok" : (outcome.error?.code ?? "");

test("a metadata call that hangs is a Timeout, the next ones fail at once, and a probe brings the drive back", async () => {
  let hangs = true;
  const { drive, fire, states } = setup({
    read: () => never,
    space: () => (hangs ? never : Promise.resolve(good(SPACE))),
  });
  const first = drive.read(KEY);
  fire();
  expect(codeOf(await first)).toBe("Timeout");
  expect(codeOf(await drive.read(KEY))).toBe("Faulty");
  hangs = false;
  fire();
  await Promise.resolve();
  await Promise.resolve();
  expect([drive.state, states]).toEqual(["ok", ["faulty", "ok"]]);
});

test("a read into the caller's buffers is given up at the deadline, and tells when the buffers are the caller's again", async () => {
  const { promise, resolve } = Promise.withResolvers<ReturnType<typeof good<void>>>();
  const { drive, fire } = setup({ readFrames: () => promise });
  const reading = drive.readFrames({ ...KEY, dataDir: "d", part: 1 }, []);
  fire();
  const outcome = await reading;
  expect([codeOf(outcome), drive.state]).toEqual(["Timeout", "faulty"]);
  const letsGo = outcome.ok ? null : outcome.error.letsGo;
  let isFree = false;
  const freed = letsGo?.then(() => {
    isFree = true;
  });
  await Promise.resolve();
  expect(isFree).toBe(false);
  resolve(good(undefined));
  await freed;
  expect(isFree).toBe(true);
});

test("a writer that hangs is given up, also in its abort; one that opens too late is closed", async () => {
  let aborted = 0;
  const abort = (): Promise<void> => {
    aborted++;
    return never;
  };
  const writer = { append: () => never, close: () => never, abort };
  const first = setup({ stage: () => Promise.resolve(good(writer)) });
  const staged = await first.drive.stage("op", "d", 1);
  if (!staged.ok) throw staged.error;
  const appending = staged.value.append(new Uint8Array(1), 0);
  first.fire();
  expect(codeOf(await appending)).toBe("Timeout");
  await staged.value.abort();
  expect(aborted).toBe(1);
  const { promise, resolve } = Promise.withResolvers<ReturnType<typeof good<typeof writer>>>();
  const late = setup({ stage: () => promise });
  const opening = late.drive.stage("op", "d", 1);
  late.fire();
  expect(codeOf(await opening)).toBe("Timeout");
  resolve(good(writer));
  await promise;
  await Promise.resolve();
  await Promise.resolve();
  expect(aborted).toBe(2);
});

test("a commit that was taken at once and hangs is a Timeout, told once, and counts as under way until it answers", async () => {
  const waiting: CommitWaiter[] = [];
  const commitNow: Drive["commitNow"] = (_key, _change, _terms, waiter) => waiting.push(waiter) > 0;
  const { drive, fire } = setup({ commitNow, space: () => Promise.resolve(good(SPACE)) }, 2);
  const told: string[] = [];
  const ask = (): boolean =>
    drive.commitNow(
      KEY,
      { kind: "delete-version", versionId: "null" },
      { stamp: 1n, prior: null, settles: [] },
      {
        answered: (outcome) => told.push(codeOf(outcome)),
      },
    );
  expect([ask(), ask(), ask()]).toEqual([true, true, false]);
  waiting[0]?.answered(good({ accepted: true }));
  expect(told).toEqual(["ok"]);
  expect([ask(), ask()]).toEqual([true, false]);
  fire();
  expect(told).toEqual(["ok", "Timeout", "Timeout"]);
  expect([drive.state, ask()]).toEqual(["faulty", false]);
  fire(); // the probe
  await Promise.resolve();
  await Promise.resolve();
  expect([drive.state, ask()]).toEqual(["ok", false]); // it is back, and both are still under way
  waiting[1]?.answered(good({ accepted: true }));
  waiting[2]?.answered(bad(new DriveError("Io", "x")));
  expect(told).toEqual(["ok", "Timeout", "Timeout"]);
  expect(ask()).toBe(true);
});

test("beyond its cap of calls a drive refuses untouched, and takes calls again when some have ended", async () => {
  const ends: (() => void)[] = [];
  const read = (): Promise<never> =>
    new Promise((resolve) => ends.push(() => resolve(bad(new DriveError("NotFound", "x")) as never)));
  const { drive } = setup({ read }, 2);
  const both = [drive.read(KEY), drive.read(KEY)];
  expect(codeOf(await drive.read(KEY))).toBe("Faulty");
  expect(drive.state).toBe("ok");
  for (const end of ends) end();
  expect((await Promise.all(both)).map(codeOf)).toEqual(["NotFound", "NotFound"]);
  const again = drive.read(KEY);
  ends[2]?.();
  expect(codeOf(await again)).toBe("NotFound");
});

test("errors in a row make a drive suspect and then faulty; a missing file is no error", async () => {
  let code: "Io" | "NotFound" = "Io";
  const { drive, states } = setup({ read: () => Promise.resolve(bad(new DriveError(code, "x"))) });
  for (let i = 0; i < 3; i++) await drive.read(KEY);
  expect(drive.state).toBe("suspect");
  code = "NotFound";
  await drive.read(KEY);
  expect(drive.state).toBe("ok");
  code = "Io";
  for (let i = 0; i < 8; i++) await drive.read(KEY);
  expect([drive.state, states]).toEqual(["faulty", ["suspect", "ok", "suspect", "faulty"]]);
});
