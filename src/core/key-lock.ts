/** KeyLock: one holder per name, first come first served. In-process; memory is bounded by the holders and waiters. */
export class KeyLock {
  private readonly tails = new Map<string, Promise<void>>();

  /** Resolves when the name is ours; dispose gives it on. */
  async acquire(name: string): Promise<Disposable> {
    const before = this.tails.get(name);
    const { promise, resolve } = Promise.withResolvers<void>();
    const tail = before === undefined ? promise : before.then(() => promise);
    this.tails.set(name, tail);
    if (before !== undefined) await before;
    return {
      [Symbol.dispose]: () => {
        if (this.tails.get(name) === tail) this.tails.delete(name);
        resolve();
      },
    };
  }

  get size(): number {
    return this.tails.size;
  }
}
