/** KeyLock: one holder per name, first come first served. In-process; memory is bounded by the holders and waiters. */
export class KeyLock {
  /** Names that are held -> who waits for them; null = nobody. */
  private readonly held = new Map<string, ((holder: Disposable) => void)[] | null>();

  /** Ours at once; null = somebody holds it. Dispose gives it on. */
  take(name: string): Disposable | null {
    if (this.held.has(name)) return null;
    this.held.set(name, null);
    return new Holder(this, name);
  }

  isHeld(name: string): boolean {
    return this.held.has(name);
  }

  /** Resolves when the name is ours; dispose gives it on. */
  acquire(name: string): Promise<Disposable> {
    const taken = this.take(name);
    if (taken !== null) return Promise.resolve(taken);
    const { promise, resolve } = Promise.withResolvers<Disposable>();
    const waiting = this.held.get(name) ?? null;
    if (waiting === null) this.held.set(name, [resolve]);
    else waiting.push(resolve);
    return promise;
  }

  get size(): number {
    return this.held.size;
  }

  /** Of the holder: the next one has it. */
  release(name: string): void {
    const next = this.held.get(name)?.shift();
    if (next === undefined) this.held.delete(name);
    else next(new Holder(this, name));
  }
}

class Holder implements Disposable {
  private isOver = false;

  constructor(
    private readonly lock: KeyLock,
    private readonly name: string,
  ) {}

  [Symbol.dispose](): void {
    if (this.isOver) return;
    this.isOver = true;
    this.lock.release(this.name);
  }
}
