/**
 * DeadlineWatch: one timer for the deadlines of many calls, which all have the same one. A timer for each would cost as much as
 * reading a small object. A call is late between one and one and a quarter deadlines after it began.
 */
const TICKS = 4;

export interface Watched {
  /** 0 when it begins. */
  ticks: number;
  late(): void;
}

export class DeadlineWatch {
  private readonly calls = new Set<Watched>();
  private isArmed = false;

  constructor(
    private readonly after: (ms: number, run: () => void) => unknown,
    readonly deadlineMs: number,
  ) {}

  /** `late` runs unless the call ends in time. */
  begin(late: () => void): Watched {
    const call: Watched = { ticks: 0, late };
    this.watch(call);
    return call;
  }
  watch(call: Watched): void {
    this.calls.add(call);
    if (!this.isArmed) this.arm();
  }
  end(call: Watched): void {
    this.calls.delete(call);
  }

  private arm(): void {
    this.isArmed = true;
    this.after(this.deadlineMs / TICKS, () => {
      this.isArmed = false;
      for (const call of this.calls) {
        if (call.ticks++ < TICKS) continue;
        this.calls.delete(call);
        call.late();
      }
      if (this.calls.size > 0 && !this.isArmed) this.arm();
    });
  }
}
