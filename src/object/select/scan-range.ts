/**
 * ScanRange: the bytes of the records that begin within [first, last]. The object is read from `readFrom` on; what stands
 * before the first whole record is dropped, and the last one is read to its end. Byte offsets.
 */
export class ScanRange {
  /** Where reading begins: a delimiter that ends at `first` must be seen. */
  readonly readFrom: number;
  /** The object's first record is not in the range. */
  readonly skipsFirst: boolean;
  finished = false;
  private position: number;
  private started: boolean;
  private passed = false;
  private kept: Uint8Array = new Uint8Array(0);

  constructor(
    first: number,
    private readonly last: number,
    private readonly delimiter: Uint8Array,
  ) {
    this.readFrom = Math.max(0, first - delimiter.length);
    this.skipsFirst = first > 0;
    this.position = this.readFrom;
    this.started = !this.skipsFirst;
  }

  /** The part of the next bytes that is in the range; a view, or a copy when a delimiter may be cut. */
  take(bytes: Uint8Array): Uint8Array {
    let from = this.position - this.kept.length;
    let input = this.kept.length === 0 ? bytes : Buffer.concat([this.kept, bytes]);
    this.position += bytes.length;
    this.kept = new Uint8Array(0);
    if (!this.started) {
      const at = Buffer.from(input.buffer, input.byteOffset, input.length).indexOf(this.delimiter);
      if (at < 0) return this.keep(input, input.length - this.delimiter.length + 1);
      this.started = true;
      from += at + this.delimiter.length;
      input = input.subarray(at + this.delimiter.length);
    }
    // Before the first record; later places are inside of one that began in the range.
    if (from > this.last && !this.passed) this.finished = true;
    return this.finished ? input.subarray(0, 0) : this.upToEnd(input, from);
  }

  private upToEnd(input: Uint8Array, from: number): Uint8Array {
    this.passed = true;
    // A record that begins after `last` is not read: the delimiter before it ends there at the earliest.
    const search = Math.max(0, this.last + 1 - this.delimiter.length - from);
    if (search >= input.length) return input;
    const at = Buffer.from(input.buffer, input.byteOffset, input.length).indexOf(this.delimiter, search);
    if (at >= 0) {
      this.finished = true;
      return input.subarray(0, at + this.delimiter.length);
    }
    const cut = Math.max(search, input.length - this.delimiter.length + 1);
    const out = input.subarray(0, Math.min(cut, input.length));
    this.keep(input, cut);
    return out;
  }

  private keep(input: Uint8Array, from: number): Uint8Array {
    this.kept = new Uint8Array(input.subarray(Math.max(0, from)));
    return input.subarray(0, 0);
  }

  /** What was kept back in case that it began a delimiter. */
  rest(): Uint8Array {
    return this.started && !this.finished ? this.kept : new Uint8Array(0);
  }
}
