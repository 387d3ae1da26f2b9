/** One timer for many deadlines. */
import { expect, test } from "bun:test";
import { DeadlineWatch } from "../../../src/core/deadline-watch.ts";

function watched(): { watch: DeadlineWatch; tick: () => void; timers: number[] } {
  const timers: number[] = [];
  let run: (() => void) | null = null;
  const watch = new DeadlineWatch((ms, later) => {
    timers.push(ms);
    run = later;
  }, 1000);
  const tick = (): void => {
    const due = run;
    run = null;
    due?.();
  };
  return { watch, tick, timers };
}

test("a call is late after its deadline, not before, and once", () => {
  const { watch, tick, timers } = watched();
  let late = 0;
  watch.begin(() => late++);
  for (let i = 0; i < 4; i++) tick();
  expect(late).toBe(0);
  tick();
  tick();
  expect(late).toBe(1);
  expect(timers).toEqual([250, 250, 250, 250, 250]);
});

test("a call that ended is never late, and no timer runs while nothing is under way", () => {
  const { watch, tick, timers } = watched();
  for (let i = 0; i < 100; i++) watch.end(watch.begin(() => expect.unreachable()));
  tick();
  tick();
  expect(timers.length).toBe(1);
});
