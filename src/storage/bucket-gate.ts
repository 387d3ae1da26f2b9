/**
 * BucketGate: commits enter the bucket that they change; a removal closes it, waits until all have left, and keeps it closed
 * until it is done. Also remembers which buckets were seen to exist, so that a commit does not ask the drive each time.
 */
export class BucketGate {
  private readonly inside = new Map<string, number>();
  private readonly closed = new Map<string, () => void>();
  private readonly known = new Set<string>();

  /** False: the bucket is being removed. Every true needs a `leave`. */
  enter(bucket: string): boolean {
    if (this.closed.has(bucket)) return false;
    this.inside.set(bucket, (this.inside.get(bucket) ?? 0) + 1);
    return true;
  }
  leave(bucket: string): void {
    const left = (this.inside.get(bucket) ?? 1) - 1;
    if (left > 0) this.inside.set(bucket, left);
    else {
      this.inside.delete(bucket);
      this.closed.get(bucket)?.();
    }
  }

  /** Null: somebody else is removing it. Resolves when the bucket is empty of commits; dispose opens it again. */
  async close(bucket: string): Promise<Disposable | null> {
    if (this.closed.has(bucket)) return null;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed.set(bucket, resolve);
    if (this.inside.has(bucket)) await promise;
    return {
      [Symbol.dispose]: () => {
        this.closed.delete(bucket);
      },
    };
  }

  isKnown(bucket: string): boolean {
    return this.known.has(bucket);
  }
  learn(bucket: string): void {
    this.known.add(bucket);
  }
  forget(bucket: string): void {
    this.known.delete(bucket);
  }
}
