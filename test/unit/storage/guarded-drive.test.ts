/** Deadlines and health of a drive, with time and answers in the test's hand. */
import { expect, test } from "bun:test";
import { bad, good } from "../../../src/core/fan-out.ts";
import { type Drive, DriveError, type DriveState } from "../../../src/storage/drive.ts";
import { GuardedDrive } from "../../../src/storage/guarded-drive.ts";
import type { Clock } from "../../../src/sys/clock.ts";

const KEY = { bucket: "b", path: "k" };
const SPACE = { totalBytes: 1, freeBytes: 1, usedBytes: 0, freeInodes: 1, totalInodes: 1 };

function setup(answers: Partial<Drive>): { drive: GuardedDrive; fire: () => void; states: DriveState[] } {
  const timers = new Set<() => void>();
  const clock = {
    after(_ms: number, run: () => void) {
      timers.add(run);
      return () => timers.delete(run);
    },
  } as unknown as Clock;
  const states: DriveState[] = [];
  const inner = { id: "id", endpoint: "/d", state: "ok", doubts: () => [], ...answers } as unknown as Drive;
  const drive = new GuardedDrive(inner, { clock, onState: (_endpoint, state) => states.push(state) });
  const fire = (): void => {
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

test("a read into the caller's buffers is never given up, but its drive is taken out of use", async () => {
  const { promise, resolve } = Promise.withResolvers<ReturnType<typeof good<void>>>();
  const { drive, fire } = setup({ readFrames: () => promise });
  let ended = false;
  const reading = drive.readFrames({ ...KEY, dataDir: "d", part: 1 }, []).then((outcome) => {
    ended = true;
    return outcome;
  });
  fire();
  await Promise.resolve();
  expect([ended, drive.state]).toEqual([false, "faulty"]);
  resolve(good(undefined));
  expect((await reading).ok).toBe(true);
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
