/**
 * Disk: the only way to files. A task is a short program of steps that runs off the JavaScript thread until one fails;
 * the native pool runs it on a real file system (src/codec/pool.ts), the simulator on an imagined one.
 * Sizes and offsets in bytes; errors are errno numbers in the result, never exceptions.
 */

import { assert } from "../core/assert.ts";

/** Opcodes as in src/codec/native/pool.h. */
export const Op = {
  open: 1,
  close: 2,
  pread: 3,
  pwrite: 4,
  fdatasync: 5,
  fsync: 6,
  fstat: 7,
  stat: 8,
  mkdir: 9,
  mkdirPath: 10,
  rename: 11,
  link: 12,
  unlink: 13,
  rmdir: 14,
  rmdirUp: 15,
  removeTree: 16,
  readdir: 17,
  syncfs: 18,
  readFile: 19,
  writeFile: 20,
  readFrame: 21,
  encode: 22,
  digest: 23,
  rebuild: 24,
  keep: 25,
  use: 26,
  statvfs: 27,
  truncate: 28,
  rebuildSlots: 29,
  verifyFrame: 30,
  append: 31,
  flush: 32,
  dareSeal: 50,
  dareOpen: 51,
  s2Decode: 52,
  s2Check: 53,
  s2Chunk: 54,
  seal: 40,
  place: 41,
  unrelatedChildren: 42,
} as const;

export const Ignore = { none: 0, enoent: 0x10, eexist: 0x20, enotempty: 0x40, any: 0x80 } as const;

export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  EACCES: 13,
  EEXIST: 17,
  EXDEV: 18,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  EMFILE: 24,
  ENOSPC: 28,
  EROFS: 30,
  ENAMETOOLONG: 36,
  ENOTEMPTY: 39,
  EBADMSG: 74,
  EDQUOT: 122,
} as const;

export type StepArgument = string | number | Uint8Array;
export interface Step {
  readonly op: number;
  /** Register (0-3) | Ignore bits. */
  readonly flags: number;
  readonly a: readonly StepArgument[];
}
export interface DiskResult {
  /** errno of the step that failed, 0 = none. */
  readonly error: number;
  readonly failedStep: number;
  /** Per step; bytes, sizes or descriptors as the step says. */
  readonly results: readonly number[];
}
export interface Disk {
  /** `light`: expected to end in microseconds (cached metadata), so that several share one hand-over. */
  run(steps: readonly Step[], light?: boolean): Promise<DiskResult>;
  /**
   * A whole file of the drive at `root` that is in memory, at once: its size, or -errno, which says that it is not there only if
   * the drive is; -EAGAIN = it may wait, run a task.
   */
  readCached?(path: string, into: Uint8Array, root: string): number;
  /** A piece of an open file that is in memory, at once: all of its `bytes`, or -EAGAIN. */
  preadCached?(descriptor: number, into: Uint8Array, offset: number, bytes: number): number;
}
/** For one drive, which keeps a part of the threads at most, however many of its tasks hang. */
export interface DriveDisk extends Disk {
  /** Tasks of the drive that have ended so far. */
  readonly ended: number;
}
export interface SharedDisk extends Disk {
  /** For one drive more. */
  lane(): DriveDisk;
}

const O_WRONLY = 1;
const O_RDWR = 2;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_DIRECT = process.arch === "arm64" ? 0o200000 : 0o40000;

/** `append` writes whole pages of this size; what is left of a frame waits in a tail of one page. */
export const PAGE_BYTES = 4096;

/** Step constructors; `r` is the descriptor's register. */
export const step = {
  openRead: (path: string, r = 0): Step => ({ op: Op.open, flags: r, a: [path, 0, 0] }),
  openReadWrite: (path: string, r = 0): Step => ({ op: Op.open, flags: r, a: [path, O_RDWR, 0] }),
  openCreate: (path: string, r = 0): Step => ({ op: Op.open, flags: r, a: [path, O_WRONLY | O_CREAT | O_EXCL, 0o666] }),
  /** Past the page cache where the file system takes it; write with `append` and `flush`. */
  openDirect: (path: string, r = 0): Step => ({
    op: Op.open,
    flags: r,
    a: [path, O_WRONLY | O_CREAT | O_EXCL | O_DIRECT, 0o666],
  }),
  /**
   * `region`: `lead` bytes of room, then a frame. The room is filled from `tail`, whole pages go to `offset`, what is left goes to
   * `tail`. Page-aligned memory (or what the device takes) spares a copy and the page cache.
   */
  append: (
    region: Uint8Array,
    lead: number,
    to: { readonly tail: Uint8Array; readonly offset: number },
    r = 0,
  ): Step => ({
    op: Op.append,
    flags: r,
    a: [roomy(region, lead), lead, region.length - lead, roomy(to.tail, PAGE_BYTES), to.offset],
  }),
  flush: (tail: Uint8Array, bytes: number, offset: number, r = 0): Step => ({
    op: Op.flush,
    flags: r,
    a: [roomy(tail, bytes), bytes, offset],
  }),
  openAppend: (path: string, r = 0): Step => ({ op: Op.open, flags: r, a: [path, O_WRONLY | O_CREAT, 0o666] }),
  close: (r = 0): Step => ({ op: Op.close, flags: r, a: [] }),
  pread: (buffer: Uint8Array, offset: number, r = 0): Step => ({
    op: Op.pread,
    flags: r,
    a: [buffer, buffer.length, offset],
  }),
  pwrite: (bytes: Uint8Array, offset: number, r = 0): Step => ({
    op: Op.pwrite,
    flags: r,
    a: [bytes, bytes.length, offset],
  }),
  fdatasync: (r = 0): Step => ({ op: Op.fdatasync, flags: r, a: [] }),
  fsync: (r = 0): Step => ({ op: Op.fsync, flags: r, a: [] }),
  fstat: (r = 0): Step => ({ op: Op.fstat, flags: r, a: [] }),
  /** `into`: 32 bytes for mode, mtime ns, device, inode, or none. */
  stat: (path: string, into?: Uint8Array, ignore = 0): Step => ({
    op: Op.stat,
    flags: ignore,
    a: [path, into === undefined ? 0 : roomy(into, 32)],
  }),
  mkdir: (path: string, ignore = 0): Step => ({ op: Op.mkdir, flags: ignore, a: [path] }),
  /** mkdir -p below `base`, which must be a prefix of the path and exist. */
  mkdirPath: (path: string, base: string): Step => ({ op: Op.mkdirPath, flags: 0, a: [path, byteLength(base)] }),
  rename: (from: string, to: string, ignore = 0): Step => ({ op: Op.rename, flags: ignore, a: [from, to] }),
  link: (from: string, to: string, ignore = 0): Step => ({ op: Op.link, flags: ignore, a: [from, to] }),
  unlink: (path: string, ignore = 0): Step => ({ op: Op.unlink, flags: ignore, a: [path] }),
  rmdir: (path: string, ignore = 0): Step => ({ op: Op.rmdir, flags: ignore, a: [path] }),
  /** rmdir the path and its parents while they are empty, never `keep` itself. */
  rmdirUp: (path: string, keep: string): Step => ({ op: Op.rmdirUp, flags: 0, a: [path, byteLength(keep)] }),
  removeTree: (path: string, ignore = 0): Step => ({ op: Op.removeTree, flags: ignore, a: [path] }),
  readdir: (path: string, into: Uint8Array): Step => ({ op: Op.readdir, flags: 0, a: [path, into, into.length] }),
  /** A hint to the file system: the folders in this one have nothing to do with each other, so none need be near another. */
  unrelatedChildren: (path: string): Step => ({ op: Op.unrelatedChildren, flags: Ignore.any, a: [path] }),
  syncfs: (path: string): Step => ({ op: Op.syncfs, flags: 0, a: [path] }),
  readFile: (path: string, into: Uint8Array, ignore = 0): Step => ({
    op: Op.readFile,
    flags: ignore,
    a: [path, into, into.length],
  }),
  writeFile: (path: string, bytes: Uint8Array, options: { exclusive?: boolean; sync?: boolean } = {}): Step => ({
    op: Op.writeFile,
    flags: 0,
    a: [
      path,
      bytes.length > 0 ? bytes : 0,
      bytes.length,
      (options.exclusive === true ? 1 : 0) | (options.sync === true ? 2 : 0),
    ],
  }),
  readFrame: (hash: Uint8Array, shard: Uint8Array, offset: number, r = 0): Step => ({
    op: Op.readFrame,
    flags: r,
    a: [roomy(hash, 32), shard, shard.length, offset],
  }),
  encode: (plan: number, base: Uint8Array, stride: number, shardBytes: number): Step => ({
    op: Op.encode,
    flags: 0,
    a: [plan, slots(base, stride, shardBytes), stride, shardBytes],
  }),
  /** `pieces`: the bytes lie in pieces of so many, so far apart; at most 16 of them. */
  digest: (
    state: Uint8Array,
    bytes: Uint8Array,
    pieces?: { readonly totalBytes: number; readonly pieceBytes: number; readonly stride: number },
  ): Step => ({
    op: Op.digest,
    flags: 0,
    a: [
      state,
      pieces === undefined ? bytes : inPieces(bytes, pieces),
      pieces?.totalBytes ?? bytes.length,
      pieces?.pieceBytes ?? 0,
      pieces?.stride ?? 0,
    ],
  }),
  /** Packages of an encrypted stream (codec/dare.ts) from number `first`; `out` has room for 32 bytes more a package. */
  dareSeal: (stream: Uint8Array, plain: Uint8Array, out: Uint8Array, first: number, isLast: boolean): Step => ({
    op: Op.dareSeal,
    flags: 0,
    a: [
      roomy(stream, 56),
      plain,
      plain.length,
      roomy(out, plain.length + 32 * Math.ceil(plain.length / 65536)),
      first,
      isLast ? 1 : 0,
    ],
  }),
  /** The reverse, in place: the plaintext begins where `sealed` does. EBADMSG if a package is wrong. */
  dareOpen: (stream: Uint8Array, sealed: Uint8Array, first: number, isLast: boolean): Step => ({
    op: Op.dareOpen,
    flags: 0,
    a: [roomy(stream, 56), sealed, sealed.length, sealed, first, isLast ? 1 : 0],
  }),
  /** An S2 block (codec/s2.ts); the result is its plain size, all of it in `out`. EBADMSG: damaged, or longer than `out`. */
  s2Decode: (block: Uint8Array, out: Uint8Array, crc: number): Step => ({
    op: Op.s2Decode,
    flags: 0,
    a: [block, block.length, out, out.length, crc],
  }),
  s2Check: (bytes: Uint8Array, crc: number): Step => ({ op: Op.s2Check, flags: 0, a: [bytes, bytes.length, crc] }),
  /** A chunk of S2 with its header; the result is its size. */
  s2Chunk: (plain: Uint8Array, out: Uint8Array): Step => ({
    op: Op.s2Chunk,
    flags: 0,
    a: [plain, plain.length, roomy(out, s2Room(plain.length))],
  }),
  keep: (r = 0): Step => ({ op: Op.keep, flags: r, a: [] }),
  /** `own`: the task closes it at its end. */
  use: (descriptor: number, own = false, r = 0): Step => ({
    op: Op.use,
    flags: r | (own ? 0x100 : 0),
    a: [descriptor],
  }),
  /** `into`: 48 bytes for total, free, available bytes, inodes, free inodes, device. */
  statvfs: (path: string, into: Uint8Array): Step => ({ op: Op.statvfs, flags: 0, a: [path, roomy(into, 48)] }),
  truncate: (sizeBytes: number, r = 0): Step => ({ op: Op.truncate, flags: r, a: [sizeBytes] }),
  /** Sequences from `first`, positions and checksums for the log records in `bytes` (storage/log-record.ts). */
  seal: (bytes: Uint8Array, first: number): Step => ({
    op: Op.seal,
    flags: 0,
    a: [bytes, bytes.length, (first % 2 ** 32) >>> 0, Math.floor(first / 2 ** 32)],
  }),
  /** Copies `bytes` bytes at `offset` of the register's file to a path; makes its folders below `base`; `tmp`: by rename. */
  place: (
    path: string,
    from: { readonly offset: number; readonly bytes: number },
    to: { readonly base: string; readonly tmp: string | null },
    r = 0,
  ): Step => ({
    op: Op.place,
    flags: r | Ignore.any,
    a: [path, from.offset, from.bytes, byteLength(to.base), to.tmp ?? 0],
  }),
  rebuildSlots: (
    plan: number,
    base: Uint8Array,
    layout: { stride: number; shardBytes: number; have: number; want: number },
  ): Step => ({
    op: Op.rebuildSlots,
    flags: 0,
    a: [
      plan,
      slots(base, layout.stride, layout.shardBytes),
      layout.stride,
      layout.shardBytes,
      layout.have + layout.want * 65536,
    ],
  }),
} as const;

/** As sherd_s2_room of native/s2.c. */
export function s2Room(plainBytes: number): number {
  return plainBytes + Math.floor(plainBytes / 6) + 76;
}

/** What C writes at least; it trusts us. */
function roomy(buffer: Uint8Array, bytes: number): Uint8Array {
  assert(buffer.length >= bytes, "a buffer has room for what is written");
  return buffer;
}

/** At least one slot of [hash][shard] fits; how many there must be, only the plan knows. */
function slots(base: Uint8Array, stride: number, shardBytes: number): Uint8Array {
  assert(stride >= shardBytes + 32, "slots do not overlap");
  return roomy(base, shardBytes + 32);
}

/** More pieces than a block has shards would be cut off, and the digest would be another's. */
function inPieces(
  bytes: Uint8Array,
  { totalBytes, pieceBytes, stride }: { totalBytes: number; pieceBytes: number; stride: number },
): Uint8Array {
  if (totalBytes === 0) return bytes;
  const whole = Math.ceil(totalBytes / pieceBytes) - 1;
  assert(whole >= 0 && whole < 16, "a digest of at most 16 pieces");
  return roomy(bytes, whole * stride + totalBytes - whole * pieceBytes);
}

function byteLength(text: string): number {
  return Buffer.byteLength(text, "utf8");
}
