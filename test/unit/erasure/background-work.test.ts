/** BackgroundWork: who waits for the work of one bucket waits for no other, and not for ever. */
import { expect, test } from "bun:test";
import { BackgroundWork } from "../../../src/erasure/background-work.ts";
import { realClock } from "../../../src/sys/clock.ts";

const failed = (error: unknown): void => {
  throw error;
};

test("the work of one bucket is waited for, that of others is not", async () => {
  const background = new BackgroundWork(failed);
  const own = Promise.withResolvers<void>();
  const other = Promise.withResolvers<void>();
  background.track(own.promise, "own");
  background.track(other.promise, "other");
  let done = false;
  const waiting = background.finished("own", 60_000, realClock()).then(() => {
    done = true;
  });
  await Promise.resolve();
  expect(done).toBe(false);
  own.resolve();
  await waiting;
  expect(background.size).toBe(1);
  await background.finished("nobody's", 60_000, realClock());
  other.resolve();
  await background.idle();
  expect(background.size).toBe(0);
});

test("work without a promise is waited for as well, until it is released", async () => {
  const background = new BackgroundWork(failed);
  const { promise, resolve } = Promise.withResolvers<void>();
  const work = { bucket: "own", finished: () => promise };
  background.hold(work);
  await background.finished("other", 60_000, realClock());
  await background.finished("own", 1, realClock());
  expect(background.size).toBe(1);
  let isIdle = false;
  const idle = background.idle().then(() => {
    isIdle = true;
  });
  await background.finished("other", 1, realClock());
  expect(isIdle).toBe(false);
  background.release(work);
  resolve();
  await idle;
  expect(background.size).toBe(0);
});

test("it is given up after the time that was given", async () => {
  const background = new BackgroundWork(failed);
  const never = Promise.withResolvers<void>();
  background.track(never.promise, "own");
  await background.finished("own", 1, realClock());
  expect(background.size).toBe(1);
});
