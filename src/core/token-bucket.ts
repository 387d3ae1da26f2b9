/**
 * TokenBucket: how much may be spent at a time, so much a second, and no more saved than `capacity`. A spender may overdraw:
 * whoever comes next waits it off. Time is an argument, in ms.
 */
export class TokenBucket {
  private tokens: number;
  private filledMs: number;

  constructor(
    private readonly capacity: number,
    nowMs: number,
  ) {
    this.tokens = capacity;
    this.filledMs = nowMs;
  }

  /** Spends `amount` at `perSecond`; returns the ms to wait before it is paid for. */
  spend(amount: number, perSecond: number, nowMs: number): number {
    const earned = ((nowMs - this.filledMs) / 1000) * perSecond;
    this.tokens = Math.min(this.capacity, this.tokens + Math.max(0, earned)) - amount;
    this.filledMs = nowMs;
    return this.tokens >= 0 ? 0 : (-this.tokens / perSecond) * 1000;
  }
}
