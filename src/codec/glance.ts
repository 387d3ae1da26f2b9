/**
 * Glance: the files of one key from several drives, side by side in memory that does not move and is used again for the next key,
 * and where in them is what a read needs (native/glance.c). All of it within one turn: whoever keeps something copies it.
 */
import { assert } from "../core/assert.ts";
import { LentBytes } from "../core/msgpack.ts";
import { HASH_BYTES } from "./bitrot.ts";
import type { Codec } from "./native.ts";

/** A longer xl.meta is read by other ways. */
const SLOT_BYTES = 64 * 1024;
const SLOTS = 16;
const HEADER = 0;
const BODY = 2;
const DATA_KEY = 4;
const FILES = 6;
const WORDS_A_FILE = 3;

/** Offsets into the memory. */
export interface Piece {
  readonly from: number;
  readonly to: number;
}

export class Glance {
  /** Of all slots. */
  readonly lent: LentBytes;
  /** For each file the memory that it is read into. */
  readonly slots: readonly Uint8Array[];
  private readonly sizes = new Uint32Array(new ArrayBuffer(1024));
  private readonly found = new Uint32Array(new ArrayBuffer(1024));
  private readonly pointers: { readonly slots: number; readonly sizes: number; readonly found: number };

  constructor(private readonly codec: Codec) {
    const memory = new ArrayBuffer(SLOT_BYTES * SLOTS);
    this.lent = new LentBytes(new Uint8Array(memory));
    this.slots = Array.from({ length: SLOTS }, (_, i) => new Uint8Array(memory, i * SLOT_BYTES, SLOT_BYTES));
    this.pointers = { slots: codec.ptr(this.lent.bytes), sizes: codec.ptr(this.sizes), found: codec.ptr(this.found) };
  }

  /** What a slot holds. */
  setSize(slot: number, bytes: number): void {
    assert(slot < SLOTS && bytes >= 0 && bytes <= SLOT_BYTES, "a file in its slot");
    this.sizes[slot] = bytes;
  }

  /** Looks at the first `count` slots. True: each file has one version, and they are the same but for the shard's number. */
  look(count: number): boolean {
    assert(count <= SLOTS, "no more files than slots");
    const { slots, sizes, found } = this.pointers;
    return this.codec.symbols.sherd_glance(slots, SLOT_BYTES, sizes, count, found) === 1;
  }

  // ---- after a look that was true

  get header(): Piece {
    return this.piece(HEADER);
  }
  get body(): Piece {
    return this.piece(BODY);
  }
  /** The version id under which the inline data lie. */
  get dataKey(): string {
    const { from, to } = this.piece(DATA_KEY);
    return this.lent.text.toString("latin1", from, to);
  }
  /** The number of the shard in a slot; 0 = the files do not differ in it. */
  shardNumber(slot: number): number {
    return this.found[FILES + WORDS_A_FILE * slot + 2] as number;
  }
  /** The inline data in a slot, a hash and what it is of; empty = there are none. */
  data(slot: number): Piece {
    return this.piece(FILES + WORDS_A_FILE * slot);
  }

  private piece(word: number): Piece {
    const from = this.found[word] as number;
    return { from, to: from + (this.found[word + 1] as number) };
  }

  /** Is the hash at the front of `frame` that of the rest? */
  isGood({ from, to }: Piece): boolean {
    assert(to - from > HASH_BYTES && to <= this.lent.bytes.length, "a frame has a hash and data");
    const at = this.pointers.slots + from;
    return this.codec.symbols.sherd_verify(at, at + HASH_BYTES, to - from - HASH_BYTES) === 1;
  }
}
