/** ByteReader: exact numbers of bytes from a source of pieces, for formats that say how much comes next. */
import type { ByteSource } from "./byte-stream.ts";
import { FormatError } from "./format-error.ts";

export class ByteReader {
  private piece: Uint8Array = new Uint8Array(0);
  private at = 0;

  constructor(private readonly source: ByteSource) {}

  /** Fills `into`; false: the source ended before its first byte. Throws FormatError if it ends later. */
  async fill(into: Uint8Array): Promise<boolean> {
    for (let done = 0; done < into.length; ) {
      if (this.at === this.piece.length && !(await this.more())) {
        if (done === 0) return false;
        throw new FormatError("the data end too early");
      }
      const take = Math.min(into.length - done, this.piece.length - this.at);
      into.set(this.piece.subarray(this.at, this.at + take), done);
      this.at += take;
      done += take;
    }
    return true;
  }

  /** As `fill`, for what must be there. */
  async demand(into: Uint8Array): Promise<Uint8Array> {
    if (into.length > 0 && !(await this.fill(into))) throw new FormatError("the data end too early");
    return into;
  }

  async skip(bytes: number): Promise<void> {
    for (let left = bytes; left > 0; ) {
      if (this.at === this.piece.length && !(await this.more())) throw new FormatError("the data end too early");
      const take = Math.min(left, this.piece.length - this.at);
      this.at += take;
      left -= take;
    }
  }

  /** Some bytes, as many as are there; null at the end. Good until the next call. */
  async some(): Promise<Uint8Array | null> {
    if (this.at === this.piece.length && !(await this.more())) return null;
    const rest = this.piece.subarray(this.at);
    this.at = this.piece.length;
    return rest;
  }

  private async more(): Promise<boolean> {
    for (;;) {
      const piece = await this.source.next();
      if (piece === null) return false;
      if (piece.length === 0) continue;
      this.piece = piece;
      this.at = 0;
      return true;
    }
  }
}
