/**
 * Generations: a map that forgets what was not used lately, at a constant price. Two maps: what is used moves into the young
 * one; when that is full the old one is let go as a whole. (Taking the oldest entry out of one Map again and again walks over
 * all that was taken out before.) Holds between half of `max` and `max` of the keys used last.
 */
export class Generations<V> {
  private young = new Map<string, V>();
  private old = new Map<string, V>();

  constructor(
    private readonly max: number,
    /** What is let go, all at once. */
    private readonly forgotten: (entries: ReadonlyMap<string, V>) => void = () => undefined,
  ) {}

  /** Does not count as use. */
  peek(key: string): V | undefined {
    return this.young.get(key) ?? this.old.get(key);
  }

  get(key: string): V | undefined {
    const found = this.young.get(key);
    if (found !== undefined) return found;
    const older = this.old.get(key);
    if (older !== undefined) this.set(key, older);
    return older;
  }

  set(key: string, value: V): void {
    this.old.delete(key);
    this.young.set(key, value);
    if (this.young.size < this.max / 2) return;
    const gone = this.old;
    this.old = this.young;
    this.young = new Map();
    this.forgotten(gone);
  }

  get size(): number {
    return this.young.size + this.old.size;
  }
}
