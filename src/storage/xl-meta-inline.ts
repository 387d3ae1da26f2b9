/**
 * The inline section at the end of xl.meta: version id text -> this drive's shard stream, hashes included. Parsed when
 * first asked for; an untouched section is written back as it was read. Values are views of the file's bytes.
 * A section that does not parse gives the entries before the damage. Source: docs/format.md §5.9.
 */
import { FormatError } from "../core/format-error.ts";
import { MsgpackReader, type MsgpackWriter } from "../core/msgpack.ts";

const SECTION_VERSION = 1;

export class InlineSection {
  #raw: Uint8Array;
  #entries: Map<string, Uint8Array> | null = null;
  #isChanged = false;

  /** Bytes after the checksum to the end of the file; may be empty. */
  constructor(raw: Uint8Array) {
    this.#raw = raw;
  }

  #parsed(): Map<string, Uint8Array> {
    this.#entries ??= parseEntries(this.#raw);
    return this.#entries;
  }

  get(key: string): Uint8Array | undefined {
    return this.#entries === null && this.#raw.length === 0 ? undefined : this.#parsed().get(key);
  }

  keys(): readonly string[] {
    return [...this.#parsed().keys()];
  }

  set(key: string, value: Uint8Array): void {
    this.#parsed().set(key, value);
    this.#isChanged = true;
  }

  delete(key: string): boolean {
    if (this.get(key) === undefined) return false;
    this.#isChanged = true;
    return this.#parsed().delete(key);
  }

  /** Upper bound of what `write` adds, in bytes. */
  sizeBound(): number {
    if (!this.#isChanged) return this.#raw.length;
    let total = 8;
    for (const [key, value] of this.#parsed()) total += key.length * 3 + value.length + 10;
    return total;
  }

  write(writer: MsgpackWriter): void {
    if (!this.#isChanged) {
      writer.raw(this.#raw);
      return;
    }
    const entries = this.#parsed();
    if (entries.size === 0) return;
    writer.uint(SECTION_VERSION);
    writer.mapHeader(entries.size);
    for (const [key, value] of entries) {
      writer.str(key);
      writer.bin(value);
    }
  }
}

function parseEntries(raw: Uint8Array): Map<string, Uint8Array> {
  const entries = new Map<string, Uint8Array>();
  if (raw.length === 0 || raw[0] !== SECTION_VERSION) return entries;
  const reader = new MsgpackReader(raw, 1);
  try {
    const count = reader.mapHeader();
    for (let index = 0; index < count; index++) {
      const key = reader.str();
      const value = reader.bin();
      if (key !== "") entries.set(key, value);
    }
  } catch (error) {
    // What came before the damage is whole: every value has its own hashes.
    if (!(error instanceof FormatError)) throw error;
  }
  return entries;
}
