/** Chance and time of the simulator: a seeded Rng, and a Clock whose timers run only when a test advances it. */
import type { Clock } from "../../src/sys/clock.ts";
import type { Rng } from "../../src/sys/rng.ts";

/** Mulberry32: the same seed gives the same run. */
export function seededRng(seed: number): Rng {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const fill = (bytes: Uint8Array): Uint8Array => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(next() * 256);
    return bytes;
  };
  const uuid = (): string => {
    const raw = fill(new Uint8Array(16));
    raw[6] = ((raw[6] as number) & 0x0f) | 0x40;
    raw[8] = ((raw[8] as number) & 0x3f) | 0x80;
    const hex = Buffer.from(raw).toString("hex");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  };
  return { next, fill, uuid };
}

/** Time stands still until `advance`; nowNs grows by one each time so that stamps are unique. */
export class SimulatedClock implements Clock {
  private ms = 0;
  private lastNs: bigint;
  private readonly timers = new Set<{ at: number; run: () => void }>();

  constructor(private readonly startMs = 1_700_000_000_000) {
    this.lastNs = BigInt(startMs) * 1_000_000n;
  }
  nowMs(): number {
    return this.startMs + this.ms;
  }
  nowNs(): bigint {
    const now = BigInt(this.nowMs()) * 1_000_000n;
    this.lastNs = now > this.lastNs ? now : this.lastNs + 1n;
    return this.lastNs;
  }
  elapsedMs(): number {
    return this.ms;
  }
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stop = this.after(ms, resolve);
    signal?.addEventListener("abort", () => {
      stop();
      reject(signal.reason as Error);
    });
    await promise;
  }
  yieldNow(): Promise<void> {
    return Promise.resolve();
  }
  after(ms: number, run: () => void): () => void {
    const timer = { at: this.ms + ms, run };
    this.timers.add(timer);
    return () => {
      this.timers.delete(timer);
    };
  }
  /** Runs the timers that fall due, in order, and lets what they woke go on. */
  async advance(ms: number): Promise<void> {
    const until = this.ms + ms;
    for (;;) {
      await turns();
      const due = [...this.timers].filter((t) => t.at <= until).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.timers.delete(due);
      this.ms = Math.max(this.ms, due.at);
      due.run();
    }
    this.ms = until;
    await turns();
  }
}

const TAKES_MAX_MS = 60_000;
/** Runs `work` on simulated time, moved by `stepMs`; what it gives and how long it took. Throws if that is more than a minute. */
export async function timed<T>(clock: SimulatedClock, work: Promise<T>, stepMs = 1): Promise<{ value: T; ms: number }> {
  const began = clock.elapsedMs();
  let isOver = false;
  const done = work.finally(() => {
    isOver = true;
  });
  while (!isOver && clock.elapsedMs() - began < TAKES_MAX_MS) await clock.advance(stepMs);
  if (!isOver) throw new Error("it does not end");
  return { value: await done, ms: clock.elapsedMs() - began };
}

const SOON_MS = 50;

/** Time that nobody moves: what is to happen soon does so some turns later, few or many. */
export class HastyClock extends SimulatedClock {
  constructor(
    private readonly rng: Rng,
    startMs?: number,
  ) {
    super(startMs);
  }
  private isOver = false;

  /** Its world has ended: nothing happens any more. */
  end(): void {
    this.isOver = true;
  }

  override after(ms: number, run: () => void): () => void {
    if (ms > SOON_MS) return super.after(ms, run);
    let left = Math.floor(this.rng.next() * (this.rng.next() < 0.5 ? 10 : 300));
    let isStopped = false;
    const turn = (): void => {
      if (isStopped || this.isOver) return;
      if (left-- > 0) queueMicrotask(turn);
      else run();
    };
    queueMicrotask(turn);
    return () => {
      isStopped = true;
    };
  }
}

/** Lets everything that is ready run: the simulator needs only microtasks, and one turn of the loop ends after them. */
export async function turns(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
