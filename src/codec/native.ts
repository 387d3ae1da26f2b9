/**
 * The native codec: finds, loads and types the C library (native/codec.h). The only import of bun:ffi.
 * The library travels inside the executable; on Linux it is loaded from an anonymous file in memory, so that a temp folder
 * mounted noexec does not matter and nothing is left behind. A wrong self-test refuses to start.
 * Every method checks its sizes: the C side trusts them.
 */
import { readFileSync, writeSync } from "node:fs";
import { dlopen, FFIType, JSCallback, ptr } from "bun:ffi";
import embeddedLibrary from "../../build/libsherd-codec.so" with { type: "file" };
import { assert } from "../core/assert.ts";
import { Glance } from "./glance.ts";

const { ptr: P, u64, u64_fast: U, u32, i32, void: VOID } = FFIType;
const SYMBOLS = {
  sherd_init: { args: [i32], returns: i32 },
  sherd_tier: { args: [], returns: i32 },
  sherd_self_test: { args: [], returns: i32 },
  sherd_plan_bytes: { args: [], returns: U },
  sherd_plan_init: { args: [P, u32, u32], returns: i32 },
  sherd_encode: { args: [P, P, U, U], returns: i32 },
  sherd_rebuild: { args: [P, P, U, u32, u32], returns: i32 },
  sherd_rebuild_slots: { args: [P, P, U, U, u32, u32], returns: i32 },
  sherd_hash: { args: [P, U, P], returns: VOID },
  sherd_verify: { args: [P, P, U], returns: i32 },
  sherd_verify_slots: { args: [P, U, U, u32], returns: u32 },
  sherd_verify_many: { args: [P, P, U, u32], returns: u32 },
  sherd_digest_bytes: { args: [], returns: U },
  sherd_digest_init: { args: [P, u32], returns: VOID },
  sherd_digest_update: { args: [P, P, U], returns: VOID },
  sherd_digest_final: { args: [P, P], returns: VOID },
  sherd_digest_final_more: { args: [P, P], returns: VOID },
  sherd_digest_many: { args: [P, u32], returns: VOID },
  sherd_crc_combine: { args: [u32, u64, u64, u64], returns: u64 },
  sherd_aead_seal: { args: [P, P, U, P, U, P], returns: i32 },
  sherd_aead_open: { args: [P, P, U, P, U, P], returns: i32 },
  sherd_dare_seal: { args: [P, P, U, P, u32, u32], returns: i32 },
  sherd_dare_open: { args: [P, P, U, P, u32, u32], returns: i32 },
  sherd_s2_decode: { args: [P, U, P, U, u32], returns: FFIType.i64_fast },
  sherd_s2_check: { args: [P, U, u32], returns: i32 },
  sherd_s2_room: { args: [U], returns: U },
  sherd_s2_chunk: { args: [P, U, P], returns: FFIType.i64_fast },
  sherd_pool_start: { args: [u32, u32, P], returns: i32 },
  sherd_pool_submit: { args: [P, u32], returns: VOID },
  sherd_pool_drain: { args: [P, u32], returns: u32 },
  sherd_pool_stats: { args: [P], returns: VOID },
  sherd_pool_stop: { args: [u32], returns: u32 },
  sherd_read_cached: { args: [P, P, U, U], returns: FFIType.i64_fast },
  sherd_pread_cached: { args: [i32, P, U, U], returns: FFIType.i64_fast },
  sherd_glance: { args: [P, U, P, u32, P], returns: i32 },
  sherd_cached_vfs: { args: [P], returns: VOID },
  sherd_only_cached: { args: [u32], returns: VOID },
  sherd_cached_missed: { args: [P], returns: i32 },
} as const;

type Int = number | bigint;
/** Raw functions; pointers are numbers of memory that must not move during the call. */
export interface CodecSymbols {
  sherd_init(tier: number): number;
  sherd_tier(): number;
  sherd_self_test(): number;
  sherd_plan_bytes(): Int;
  sherd_plan_init(plan: number, k: number, m: number): number;
  sherd_encode(plan: number, base: number, stride: number, shardBytes: number): number;
  sherd_rebuild(plan: number, shards: number, shardBytes: number, have: number, want: number): number;
  sherd_rebuild_slots(
    plan: number,
    base: number,
    stride: number,
    shardBytes: number,
    haveWant: number,
    hash: number,
  ): number;
  sherd_hash(data: number, bytes: number, out: number): void;
  sherd_verify(hash: number, data: number, bytes: number): number;
  sherd_verify_slots(base: number, stride: number, shardBytes: number, mask: number): number;
  sherd_verify_many(hashes: number, data: number, bytes: number, count: number): number;
  sherd_digest_bytes(): Int;
  sherd_digest_init(state: number, flags: number): void;
  sherd_digest_update(state: number, data: number, bytes: number): void;
  sherd_digest_final(state: number, out: number): void;
  sherd_digest_final_more(state: number, out: number): void;
  sherd_digest_many(jobs: number, count: number): void;
  sherd_crc_combine(width: number, a: bigint, b: bigint, bytesB: bigint): Int;
  sherd_aead_seal(stream: number, aad: number, aadBytes: number, data: number, bytes: number, out: number): number;
  sherd_aead_open(stream: number, aad: number, aadBytes: number, data: number, bytes: number, out: number): number;
  sherd_dare_seal(stream: number, data: number, bytes: number, out: number, first: number, last: number): number;
  sherd_dare_open(stream: number, data: number, bytes: number, out: number, first: number, last: number): number;
  sherd_s2_decode(block: number, bytes: number, out: number, room: number, crc: number): Int;
  sherd_s2_check(data: number, bytes: number, crc: number): number;
  sherd_s2_room(bytes: number): Int;
  sherd_s2_chunk(data: number, bytes: number, out: number): Int;
  sherd_pool_start(threads: number, threadsMax: number, wake: number): number;
  sherd_pool_submit(tasks: number, count: number): void;
  sherd_pool_drain(ids: number, max: number): number;
  sherd_pool_stats(out: number): void;
  sherd_pool_stop(waitMs: number): number;
  sherd_read_cached(path: number, into: number, room: number, rootBytes: number): Int;
  sherd_pread_cached(descriptor: number, into: number, bytes: number, offset: number): Int;
  sherd_glance(slots: number, stride: number, bytes: number, count: number, out: number): number;
  sherd_cached_vfs(name: number): void;
  sherd_only_cached(isOn: number): void;
  sherd_cached_missed(out: number): number;
}

export const TIER_NAMES = ["portable", "NEON", "AVX2", "AVX2+GFNI", "AVX-512+GFNI"] as const;
const HASH_BYTES = 32;
const SHARDS_MAX = 16;

export class Codec {
  private knownGlance: Glance | null = null;
  private readonly plans = new Map<number, { readonly memory: Uint8Array; readonly pointer: number }>();
  private readonly callbacks: JSCallback[] = [];

  constructor(
    readonly symbols: CodecSymbols,
    /** Where the library can be loaded from again, as the same one. */
    readonly library: string,
  ) {}

  get tier(): number {
    return this.symbols.sherd_tier();
  }

  /** Address of a view's first byte; valid while the view lives. An empty view has none. */
  ptr(view: NodeJS.TypedArray): number {
    // A small typed array moves when its buffer is first touched: touch it before asking.
    assert(view.buffer.byteLength >= 0 && view.byteLength > 0, "an empty view has no address");
    return ptr(view) as unknown as number;
  }

  /** A function that native threads may call; it runs on this thread. Lives as long as the codec. */
  threadsafeCallback(run: () => void): number {
    const callback = new JSCallback(run, { args: [], returns: FFIType.void, threadsafe: true });
    this.callbacks.push(callback);
    return callback.ptr as unknown as number;
  }

  /** Address of the coding plan of k + m, made once. */
  plan(k: number, m: number): number {
    const isWhole = Number.isInteger(k) && Number.isInteger(m);
    assert(isWhole && k >= 1 && m >= 0 && m <= k && k + m <= SHARDS_MAX, "there is a code of so many shards");
    const key = k * 32 + m;
    const known = this.plans.get(key);
    if (known !== undefined) return known.pointer;
    const memory = new Uint8Array(new ArrayBuffer(Math.max(2048, Number(this.symbols.sherd_plan_bytes()))));
    const pointer = this.ptr(memory);
    assert(this.symbols.sherd_plan_init(pointer, k, m) === 0, `a plan of ${k}+${m} shards`);
    this.plans.set(key, { memory, pointer });
    return pointer;
  }

  /** Sizes of a block's slots, which C will trust. */
  private assertSlots(slots: number, base: Uint8Array, stride: number, shardBytes: number): void {
    assert(
      Number.isSafeInteger(stride) && Number.isSafeInteger(shardBytes) && shardBytes >= 0,
      "sizes are whole numbers",
    );
    assert(
      stride >= shardBytes + HASH_BYTES && base.length >= stride * (slots - 1) + HASH_BYTES + shardBytes,
      "slots hold the block",
    );
  }

  /** For all who read on this thread. */
  get glance(): Glance {
    this.knownGlance ??= new Glance(this);
    return this.knownGlance;
  }

  /** HighwayHash-256 with MinIO's bitrot key. */
  hash(data: Uint8Array, out: Uint8Array): void {
    assert(out.length >= HASH_BYTES, "room for a hash");
    this.symbols.sherd_hash(data.length === 0 ? 0 : this.ptr(data), data.length, this.ptr(out));
  }

  verify(hash: Uint8Array, data: Uint8Array): boolean {
    assert(hash.length >= HASH_BYTES, "a whole hash");
    return this.symbols.sherd_verify(this.ptr(hash), data.length === 0 ? 0 : this.ptr(data), data.length) === 1;
  }

  /** The same of a frame: its hash and then its data. */
  verifyFrame(frame: Uint8Array): boolean {
    assert(frame.length > HASH_BYTES, "a frame has a hash and data");
    const at = this.ptr(frame);
    return this.symbols.sherd_verify(at, at + HASH_BYTES, frame.length - HASH_BYTES) === 1;
  }

  /** Parity and hashes of a block in slots of [hash][shard]. */
  encode(
    shape: { readonly k: number; readonly m: number },
    base: Uint8Array,
    stride: number,
    shardBytes: number,
  ): void {
    this.assertSlots(shape.k + shape.m, base, stride, shardBytes);
    assert(
      this.symbols.sherd_encode(this.plan(shape.k, shape.m), this.ptr(base), stride, shardBytes) === 0,
      "a block of valid shape is coded",
    );
  }

  /** Fills the wanted slots from k of the had ones; false: fewer than k. */
  rebuildSlots(
    shape: { readonly k: number; readonly m: number },
    base: Uint8Array,
    layout: { readonly stride: number; readonly shardBytes: number; readonly have: number; readonly want: number },
  ): boolean {
    const { stride, shardBytes, have, want } = layout;
    this.assertSlots(shape.k + shape.m, base, stride, shardBytes);
    return (
      this.symbols.sherd_rebuild_slots(
        this.plan(shape.k, shape.m),
        this.ptr(base),
        stride,
        shardBytes,
        (have | (want << 16)) >>> 0,
        1,
      ) === 0
    );
  }
}

export interface CodecOptions {
  /** At most this one; -1 = the CPU's best. */
  readonly tier?: number;
  /** Path of another build of the library than the one that travels with the program. */
  readonly library?: string;
}

/** Loads the library, picks the tier and tests it. Throws with words when it cannot be used. */
export function loadCodec(options: CodecOptions = {}): Codec {
  const library = loadable(options.library ?? embeddedLibrary);
  const symbols = dlopen(library, SYMBOLS).symbols as unknown as CodecSymbols;
  symbols.sherd_init(options.tier ?? -1);
  const wrong = symbols.sherd_self_test();
  if (wrong !== 0)
    throw new Error(
      `the codec gives a wrong result in self-test ${wrong} (tier ${TIER_NAMES[symbols.sherd_tier()]}); refusing to start`,
    );
  return new Codec(symbols, library);
}

/** The path to load it from. */
function loadable(library: string): string {
  if (process.platform !== "linux") return library;
  const libc = dlopen("libc.so.6", { memfd_create: { args: [FFIType.cstring, FFIType.u32], returns: FFIType.i32 } });
  const name = new TextEncoder().encode("sherd-codec\0");
  const descriptor = libc.symbols.memfd_create(ptr(name), 1);
  if (descriptor < 0) return library;
  const bytes = readFileSync(library);
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
  // The descriptor stays open: the loader knows libraries by their names, and would give the next load of this process (a
  // second node, in tests) this one again, whose pool runs already.
  return `/proc/self/fd/${descriptor}`;
}
