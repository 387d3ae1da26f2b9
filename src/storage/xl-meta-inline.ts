/**
 * The inline section at the end of xl.meta: version id text -> this drive's shard stream, hashes included. Parsed when
 * first asked for; an untouched section is written back as it was read. Values are views of the file's bytes.
 * A section that does not parse gives the entries before the damage. Source: docs/format.md §5.9.
 */
import { FormatError } from "../core/format-error.ts";
import { knownKeys, MsgpackReader, type MsgpackWriter } from "../core/msgpack.ts";
import { NULL_VERSION_ID } from "./uuid.ts";

const SECTION_VERSION = 1;
/** Of the version of a bucket without versioning. */
const NULL_KEY = knownKeys(NULL_VERSION_ID);

export class InlineSection {
  readonly #file: Uint8Array;
  readonly #start: number;
  #entries: Map<string, Uint8Array> | null = null;
  #isChanged = false;

  /** The section goes from `start`, behind the checksum, to the end of the file; may be empty. */
  constructor(file: Uint8Array, start = 0) {
    this.#file = file;
    this.#start = start;
  }

  #parsed(): Map<string, Uint8Array> {
    this.#entries ??= parseEntries(this.#file, this.#start);
    return this.#entries;
  }

  /** Of what was read. */
  get #rawBytes(): number {
    return this.#file.length - this.#start;
  }

  get(key: string): Uint8Array | undefined {
    return this.#entries === null && this.#rawBytes === 0 ? undefined : this.#parsed().get(key);
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
    if (!this.#isChanged) return this.#rawBytes;
    let total = 8;
    for (const [key, value] of this.#parsed()) total += key.length * 3 + value.length + 10;
    return total;
  }

  write(writer: MsgpackWriter): void {
    if (!this.#isChanged) {
      writer.raw(this.#file.subarray(this.#start));
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

  /** What stands before the only value of a section. */
  static writeHead(writer: MsgpackWriter, key: string, valueBytes: number): void {
    writer.uint(SECTION_VERSION);
    writer.mapHeader(1);
    writer.str(key);
    writer.binHeader(valueBytes);
  }
}

function parseEntries(file: Uint8Array, start: number): Map<string, Uint8Array> {
  const entries = new Map<string, Uint8Array>();
  if (file.length === start || file[start] !== SECTION_VERSION) return entries;
  const reader = new MsgpackReader(file, start + 1);
  try {
    const count = reader.mapHeader();
    for (let index = 0; index < count; index++) {
      const key = reader.strOf(NULL_KEY);
      const value = reader.bin();
      if (key !== "") entries.set(key, value);
    }
  } catch (error) {
    // What came before the damage is whole: every value has its own hashes.
    if (!(error instanceof FormatError)) throw error;
  }
  return entries;
}
