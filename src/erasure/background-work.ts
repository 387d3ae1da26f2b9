/** BackgroundWork: work that goes on after the answer, counted, so that a stop can wait for it; failures go to a sink. */
export class BackgroundWork {
  private readonly running = new Set<Promise<void>>();

  constructor(private readonly failed: (error: unknown) => void) {}

  track(work: Promise<void>): void {
    const tracked = work.then(
      () => {
        this.running.delete(tracked);
      },
      (error: unknown) => {
        this.running.delete(tracked);
        this.failed(error);
      },
    );
    this.running.add(tracked);
  }

  get size(): number {
    return this.running.size;
  }

  /** Resolves when nothing runs. */
  async idle(): Promise<void> {
    while (this.running.size > 0) await Promise.all(this.running);
  }
}
