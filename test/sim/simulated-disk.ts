/**
 * SimulatedDisk: `Disk` on imagined file systems (simulated-files.ts), one a mount. Tasks that run at once interleave step by
 * step in a seeded order. Faults are injected by path prefix; `crashAt(n)` stops the world before the n-th step that
 * changes or syncs something, and `afterCrash` gives the disk that a restarted process finds.
 * Coding and hashing steps are done at once by the codec.
 */
import type { Codec } from "../../src/codec/native.ts";
import {
  PAGE_BYTES,
  type DiskResult,
  type DriveDisk,
  type SharedDisk,
  Errno,
  Ignore,
  Op,
  type Step,
} from "../../src/sys/disk.ts";
import type { Rng } from "../../src/sys/rng.ts";
import { seededRng } from "./seeded.ts";
import { sealRecords } from "../../src/storage/log-record.ts";
import { type CrashOrder, FsError, type Node, SimulatedFiles } from "./simulated-files.ts";

export interface Fault {
  /** A path and everything below it. */
  readonly prefix: string;
  /** Steps that it hits; none given: all, or those that write if `errno` is ENOSPC or EROFS. */
  readonly ops?: readonly number[];
  /** A number: fails so. "hang": until lifted. "flip": reads a wrong bit. A function: each step waits for it first. */
  readonly effect: number | "hang" | "flip" | (() => Promise<void>);
  /** Hits before the first one that fails, and how many then fail; default 0 and all. */
  readonly skip?: number;
  readonly times?: number;
}
/** Opaque: see `image`. */
export interface DriveImage {
  readonly files: SimulatedFiles;
}
interface ActiveFault extends Fault {
  seen: number;
  readonly lifted: Promise<void>;
}
interface Descriptor {
  readonly files: SimulatedFiles;
  readonly node: Node;
  readonly path: string;
}
interface Task {
  readonly steps: readonly Step[];
  readonly results: number[];
  readonly registers: number[];
  readonly own: Set<number>;
  readonly kept: number[];
  at: number;
  isStuck: boolean;
  /** The step that has waited as long as a slow drive lets it. */
  waited: number;
  readonly resolve: (result: DiskResult) => void;
}

const READ_ONLY: ReadonlySet<number> = new Set([
  Op.pread,
  Op.fstat,
  Op.stat,
  Op.readdir,
  Op.readFile,
  Op.readFrame,
  Op.encode,
  Op.digest,
  Op.rebuild,
  Op.keep,
  Op.use,
  Op.statvfs,
  Op.rebuildSlots,
  Op.verifyFrame,
  Op.close,
  Op.seal,
  Op.unrelatedChildren,
]);
const GROWING: ReadonlySet<number> = new Set([
  Op.pwrite,
  Op.mkdir,
  Op.mkdirPath,
  Op.writeFile,
  Op.link,
  Op.truncate,
  Op.append,
  Op.flush,
  Op.place,
]);
const TOTAL_BYTES = 2 ** 40;

export class SimulatedDisk implements SharedDisk {
  /** Steps so far that changed or synced something. */
  mutations = 0;
  /** Called before each of them: to look at what a cut there would leave, without one. */
  beforeMutation: (() => void) | null = null;
  /** Syncs of a file system so far, and of single files. */
  syncs = 0;
  fileSyncs = 0;
  get hasCrashed(): boolean {
    return this.isDead;
  }
  /** Resolves when the world stopped. */
  readonly crashed: Promise<void>;
  private stop: () => void;
  private isDead = false;
  private crashBefore = Number.POSITIVE_INFINITY;
  private readonly rng: Rng;
  private readonly faults = new Set<ActiveFault>();
  private readonly descriptors = new Map<number, Descriptor>();
  private nextDescriptor = 3;
  private readonly ready: Task[] = [];
  private isPumping = false;

  private constructor(
    private readonly codec: Codec,
    seed: number,
    private readonly mounts: readonly { readonly path: string; readonly files: SimulatedFiles }[],
  ) {
    this.rng = seededRng(seed);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.crashed = promise;
    this.stop = resolve;
  }

  /** Empty file systems mounted at the paths, and one at "/". */
  static create(codec: Codec, seed: number, mounts: readonly string[]): SimulatedDisk {
    const list = ["/", ...mounts].map((path, i) => ({ path, files: new SimulatedFiles(i + 1) }));
    return new SimulatedDisk(
      codec,
      seed,
      list.sort((a, b) => b.path.length - a.path.length),
    );
  }

  // ---- what a test does to it

  /** Injects a fault; the returned function lifts it. */
  fail(fault: Fault): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    const active: ActiveFault = { ...fault, seen: 0, lifted: promise };
    this.faults.add(active);
    return () => {
      this.faults.delete(active);
      resolve();
    };
  }
  /** Stops before the n-th (from 0) step from now that changes or syncs something. */
  crashAt(n: number): void {
    this.crashBefore = this.mutations + n;
  }
  crash(): void {
    this.isDead = true;
    this.stop();
  }
  /** The disk that the next process finds: synced things, and a seeded part of the others. */
  afterCrash(seed: number, order: CrashOrder): SimulatedDisk {
    const rng = seededRng(seed);
    const mounts = this.mounts.map(({ path, files }) => ({ path, files: files.crash(rng, order) }));
    return new SimulatedDisk(this.codec, seed, mounts);
  }
  /** A copy with everything synced: to run one beginning with many ends. */
  fork(seed: number): SimulatedDisk {
    for (const { files } of this.mounts) files.syncAll();
    return this.afterCrash(seed, "ordered");
  }
  /** Empties a mount: the drive was replaced. */
  wipe(path: string): void {
    const mount = this.mounts.find((m) => m.path === path);
    mount?.files.root.entries.clear();
    mount?.files.root.durableEntries.clear();
  }
  /** What is on a mount now, to be put back later: a drive restored from an older copy. */
  image(path: string): DriveImage {
    const mount = this.mounts.find((m) => m.path === path);
    mount?.files.syncAll();
    return { files: mount?.files.crash(seededRng(1), "ordered") as SimulatedFiles };
  }
  /** For the next process: nothing of this one may be open there. */
  putBack(path: string, { files }: DriveImage): void {
    const mount = this.mounts.find((m) => m.path === path);
    const { root } = files.crash(seededRng(1), "ordered");
    if (mount === undefined) return;
    mount.files.root.entries = root.entries;
    mount.files.root.durableEntries = root.durableEntries;
  }
  /** Exchanges what two mounts hold. */
  swap(one: string, other: string): void {
    const [a, b] = [this.image(one), this.image(other)];
    this.putBack(one, b);
    this.putBack(other, a);
  }
  /** Changes one byte of a file behind everybody's back. */
  damage(path: string, offset: number): void {
    const { files, names } = this.locate(path);
    const { bytes, durableBytes } = files.find(names);
    const flipped = (bytes[offset] as number) ^ 1;
    bytes[offset] = flipped;
    if (offset < durableBytes.length) durableBytes[offset] = flipped;
  }
  /** Cuts a file short behind everybody's back. */
  cut(path: string, bytes: number): void {
    const { files, names } = this.locate(path);
    files.resize(files.find(names), bytes);
  }
  /** Takes a directory or file away behind everybody's back. */
  discard(path: string): void {
    const { files, names } = this.locate(path);
    this.removeTree(files, names);
    files.syncAll();
  }
  /** Names below a directory, as paths relative to it; for looking at what is left over. */
  tree(path: string): string[] {
    const { files, names } = this.locate(path);
    const out: string[] = [];
    const walk = (node: Node, prefix: string): void => {
      for (const [name, child] of node.entries) {
        out.push(`${prefix}${name}${child.isDirectory ? "/" : ""}`);
        walk(child, `${prefix}${name}/`);
      }
    };
    walk(files.find(names), "");
    return out.sort();
  }

  // ---- Disk

  /** What no fault may hit is in memory, and read at once, as on a drive of a server that runs; false: everything is waited for. */
  hasCache = true;

  /** The same disk, and a count. */
  lane(): DriveDisk {
    const lane = {
      ended: 0,
      run: async (steps: readonly Step[]): Promise<DiskResult> => {
        const result = await this.run(steps);
        lane.ended++;
        return result;
      },
      readCached: (path: string, into: Uint8Array, root: string): number => this.readCached(path, into, root),
      preadCached: (descriptor: number, into: Uint8Array, offset: number, bytes: number): number =>
        this.preadCached(descriptor, into, offset, bytes),
    };
    return lane;
  }

  readCached(path: string, into: Uint8Array, root: string): number {
    const file = this.cached(path);
    if (file !== null) return copied(file.bytes, 0, file.bytes.length, into);
    return this.hasCache && this.cached(`${root}/.minio.sys`) !== null && !this.mayFail(path)
      ? -Errno.ENOENT
      : -Errno.EAGAIN;
  }
  preadCached(descriptor: number, into: Uint8Array, offset: number, bytes: number): number {
    const path = this.descriptors.get(descriptor)?.path ?? "";
    return copied(this.cached(path)?.bytes ?? new Uint8Array(0), offset, bytes, into);
  }
  /** Null: not there, or not in memory. */
  private cached(path: string): Node | null {
    if (!this.hasCache || this.isDead || this.mayFail(path)) return null;
    try {
      const { files, names } = this.locate(path);
      return files.find(names);
    } catch (error) {
      if (error instanceof FsError) return null;
      throw error;
    }
  }
  private mayFail(path: string): boolean {
    for (const { prefix } of this.faults) if (isBelow(path, prefix)) return true;
    return false;
  }

  run(steps: readonly Step[]): Promise<DiskResult> {
    return new Promise((resolve) => {
      this.ready.push({
        steps,
        results: new Array<number>(steps.length).fill(0),
        registers: [-1, -1, -1, -1],
        own: new Set(),
        kept: [],
        at: 0,
        isStuck: false,
        waited: -1,
        resolve,
      });
      if (this.isPumping) return;
      this.isPumping = true;
      queueMicrotask(() => this.pump());
    });
  }

  /** One step of one task, and the rest in a later microtask, so that what an answer wakes takes its place between them. */
  private pump(): void {
    const runnable = this.ready.filter((task) => !task.isStuck);
    const task = runnable[Math.floor(this.rng.next() * runnable.length)];
    if (task === undefined || this.isDead) {
      this.isPumping = false;
      return;
    }
    this.advance(task);
    queueMicrotask(() => this.pump());
  }

  private advance(task: Task): void {
    const current = task.steps[task.at];
    if (current === undefined) {
      this.finish(task, 0, -1);
      return;
    }
    if (!READ_ONLY.has(current.op) && !(current.op === Op.open && current.a[1] === 0)) {
      if (this.mutations >= this.crashBefore) {
        this.crash();
        return;
      }
      this.beforeMutation?.();
      this.mutations++;
    }
    const errno = this.tryStep(task, current);
    if (errno === "stuck") return;
    if (errno !== 0 && !isIgnored(current.flags, errno)) {
      this.finish(task, errno, task.at);
      return;
    }
    if (errno !== 0) task.results[task.at] = -errno;
    task.at++;
    if (task.at === task.steps.length) this.finish(task, 0, -1);
  }

  private finish(task: Task, error: number, failedStep: number): void {
    this.ready.splice(this.ready.indexOf(task), 1);
    for (const descriptor of task.own) this.descriptors.delete(descriptor);
    if (error !== 0) for (const descriptor of task.kept) this.descriptors.delete(descriptor);
    task.resolve({ error, failedStep, results: task.results });
  }

  private tryStep(task: Task, current: Step): number | "stuck" {
    const fault = this.faultFor(task, current);
    if (fault !== null && typeof fault.effect === "number") return fault.effect;
    if (fault?.effect === "hang") return this.stick(task, fault.lifted);
    if (typeof fault?.effect === "function" && task.waited !== task.at) {
      task.waited = task.at;
      return this.stick(task, fault.effect());
    }
    try {
      task.results[task.at] = this.step(task, current, fault?.effect === "flip");
      return 0;
    } catch (error) {
      if (error instanceof FsError) {
        if (error.errno === Errno.E2BIG) task.results[task.at] = this.lastNeed;
        return error.errno;
      }
      throw error;
    }
  }

  private stick(task: Task, until: Promise<void>): "stuck" {
    task.isStuck = true;
    until.then(
      () => {
        task.isStuck = false;
        if (this.isPumping) return;
        this.isPumping = true;
        queueMicrotask(() => this.pump());
      },
      () => this.crash(),
    );
    return "stuck";
  }

  private faultFor(task: Task, current: Step): ActiveFault | null {
    if (this.faults.size === 0 || current.op === Op.keep || current.op === Op.use || current.op === Op.close)
      return null;
    const paths = current.a.filter((a): a is string => typeof a === "string");
    const descriptor = this.descriptors.get(task.registers[current.flags & 3] ?? -1);
    if (paths.length === 0 && descriptor !== undefined) paths.push(descriptor.path);
    for (const fault of this.faults) {
      if (!paths.some((path) => isBelow(path, fault.prefix))) continue;
      if (!hits(fault, current)) continue;
      const seen = fault.seen++;
      const skip = fault.skip ?? 0;
      if (seen >= skip && seen < skip + (fault.times ?? Number.POSITIVE_INFINITY)) return fault;
    }
    return null;
  }

  // ---- steps

  private lastNeed = 0;

  private locate(path: string): { files: SimulatedFiles; names: string[] } {
    for (const mount of this.mounts) {
      if (!isBelow(path, mount.path)) continue;
      return {
        files: mount.files,
        names: path
          .slice(mount.path.length)
          .split("/")
          .filter((name) => name !== ""),
      };
    }
    throw new FsError(Errno.ENOENT);
  }

  private step(task: Task, s: Step, flip: boolean): number {
    switch (s.op) {
      case Op.encode:
      case Op.digest:
      case Op.rebuild:
      case Op.rebuildSlots:
      case Op.verifyFrame:
        return this.codecStep(s);
      case Op.unrelatedChildren:
        return 0;
      case Op.seal:
        sealRecords(s.a[0] as Uint8Array, (s.a[2] as number) + (s.a[3] as number) * 2 ** 32);
        return 0;
      case Op.place:
        return this.place(task, s);
      case Op.open:
      case Op.close:
      case Op.use:
      case Op.keep:
        return this.descriptorStep(task, s);
      case Op.pread:
      case Op.pwrite:
      case Op.append:
      case Op.flush:
      case Op.fdatasync:
      case Op.fsync:
      case Op.fstat:
      case Op.readFrame:
      case Op.truncate:
        return this.fileStep(task, s, flip);
      default:
        return this.pathStep(s, flip);
    }
  }

  private codecStep({ op, a }: Step): number {
    const { symbols } = this.codec;
    const view = (i: number): Uint8Array => a[i] as Uint8Array;
    const at = (i: number): number => this.codec.ptr(view(i));
    const number = (i: number): number => a[i] as number;
    const must = (ok: boolean, errno: number): number => {
      if (!ok) throw new FsError(errno);
      return 0;
    };
    if (op === Op.encode) return must(symbols.sherd_encode(number(0), at(1), number(2), number(3)) === 0, Errno.EINVAL);
    if (op === Op.rebuildSlots)
      return must(
        symbols.sherd_rebuild_slots(number(0), at(1), number(2), number(3), number(4), 1) === 0,
        Errno.EINVAL,
      );
    if (op === Op.verifyFrame) return must(symbols.sherd_verify(at(0), at(1), number(2)) === 1, Errno.EBADMSG);
    if (op === Op.digest) {
      const total = number(2);
      const piece = number(3) > 0 ? number(3) : total;
      for (let from = 0, data = at(1); from < total; from += piece, data += number(4))
        symbols.sherd_digest_update(at(0), data, Math.min(piece, total - from));
      return 0;
    }
    throw new FsError(Errno.EINVAL);
  }

  private descriptorStep(task: Task, { op, flags, a }: Step): number {
    const register = flags & 3;
    const descriptor = task.registers[register] as number;
    const drop = (): void => {
      if (task.own.delete(descriptor)) this.descriptors.delete(descriptor);
      task.registers[register] = -1;
    };
    if (op === Op.keep) {
      task.own.delete(descriptor);
      task.kept.push(descriptor);
      return descriptor;
    }
    drop();
    if (op === Op.close) return 0;
    if (op === Op.use) {
      task.registers[register] = a[0] as number;
      if ((flags & 0x100) !== 0) task.own.add(a[0] as number);
      return 0;
    }
    const path = a[0] as string;
    const { files, names } = this.locate(path);
    const node = this.openNode(files, names, a[1] as number);
    const fresh = this.nextDescriptor++;
    this.descriptors.set(fresh, { files, node, path });
    task.registers[register] = fresh;
    task.own.add(fresh);
    return 0;
  }

  private openNode(files: SimulatedFiles, names: readonly string[], mode: number): Node {
    if ((mode & 0o200) !== 0) return files.create(names, false);
    try {
      return files.find(names);
    } catch (error) {
      if ((mode & 0o100) !== 0 && error instanceof FsError && error.errno === Errno.ENOENT)
        return files.create(names, false);
      throw error;
    }
  }

  private fileStep(task: Task, { op, flags, a }: Step, flip: boolean): number {
    const descriptor = this.descriptors.get(task.registers[flags & 3] as number);
    if (descriptor === undefined) throw new FsError(Errno.EBADF);
    const { files, node } = descriptor;
    switch (op) {
      case Op.pread:
        return copyOut(node.bytes, a[0] as Uint8Array, a[2] as number, flip);
      case Op.pwrite:
        files.write(node, a[0] as Uint8Array, a[2] as number);
        return 0;
      case Op.append: {
        // As the native step: whole pages are written, the rest stays in the tail.
        const [region, lead, bytes, tail, offset] = a as [Uint8Array, number, number, Uint8Array, number];
        region.set(tail.subarray(0, lead));
        const total = lead + bytes;
        const whole = total - (total % PAGE_BYTES);
        if (whole > 0) files.write(node, region.slice(0, whole), offset);
        tail.set(region.subarray(whole, total));
        return 0;
      }
      case Op.flush:
        files.write(node, (a[0] as Uint8Array).slice(0, a[1] as number), a[2] as number);
        return 0;
      case Op.fstat:
        return node.bytes.length;
      case Op.truncate:
        files.resize(node, a[0] as number);
        return 0;
      case Op.readFrame: {
        const [hash, shard, size, offset] = a as [Uint8Array, Uint8Array, number, number];
        const got = copyOut(node.bytes, hash, offset, false) + copyOut(node.bytes, shard, offset + 32, flip);
        if (got < 32 + size || !this.codec.verify(hash, shard)) throw new FsError(Errno.EBADMSG);
        return 0;
      }
      default:
        this.fileSyncs++;
        files.syncFile(node);
        return 0;
    }
  }

  private place(task: Task, { flags, a }: Step): number {
    const source = this.descriptors.get(task.registers[flags & 3] as number);
    if (source === undefined) throw new FsError(Errno.EBADF);
    const [path, offset, size, base] = a as [string, number, number, number];
    const bytes = source.node.bytes.slice(offset, offset + size);
    if (bytes.length < size) throw new FsError(Errno.EBADMSG);
    const { files, names } = this.locate(path);
    this.makePath(path.slice(0, path.lastIndexOf("/")), base);
    const tmp = a[4] as string | number;
    const to = typeof tmp === "string" ? this.locate(tmp).names : names;
    const node = this.openNode(files, to, typeof tmp === "string" ? 0o200 : 0o100);
    if (node.bytes.length > 0) files.resize(node, 0);
    files.write(node, bytes, 0);
    if (typeof tmp === "string") files.rename(to, names);
    return 0;
  }

  private pathStep(s: Step, flip: boolean): number {
    const path = s.a[0] as string;
    const { files, names } = this.locate(path);
    switch (s.op) {
      case Op.stat:
        return statInto(files, files.find(names), s.a[1] as Uint8Array | number);
      case Op.statvfs:
        return statvfsInto(files, s.a[1] as Uint8Array);
      case Op.mkdir:
        files.create(names, true);
        return 0;
      case Op.mkdirPath:
        return this.makePath(path, s.a[1] as number);
      case Op.rename:
      case Op.link: {
        const to = this.locate(s.a[1] as string);
        if (to.files !== files) throw new FsError(Errno.EXDEV);
        if (s.op === Op.rename) files.rename(names, to.names);
        else files.link(names, to.names);
        return 0;
      }
      case Op.unlink:
        files.remove(names, "file");
        return 0;
      case Op.rmdir:
        files.remove(names, "directory");
        return 0;
      case Op.rmdirUp:
        return this.removeUp(path, s.a[1] as number);
      case Op.removeTree:
        return this.removeTree(files, names);
      case Op.readdir:
        return this.readDirectory(files.find(names), s.a[1] as Uint8Array);
      case Op.syncfs:
        files.find(names);
        this.syncs++;
        files.syncAll();
        return 0;
      case Op.readFile:
        return this.readFile(files.find(names), s.a[1] as Uint8Array, flip);
      case Op.writeFile:
        return this.writeFile(files, names, s);
      default:
        throw new Error(`the simulator has no step ${s.op}`);
    }
  }

  /** mkdir -p below the first `base` bytes of the path, which must exist. */
  private makePath(path: string, base: number): number {
    const { files, names } = this.locate(path);
    const above = this.locate(Buffer.from(path).subarray(0, base).toString()).names.length;
    for (let i = Math.max(1, above + 1); i <= names.length; i++) {
      try {
        files.create(names.slice(0, i), true);
      } catch (error) {
        if (!(error instanceof FsError) || error.errno !== Errno.EEXIST) throw error;
      }
    }
    return 0;
  }

  private removeUp(path: string, keep: number): number {
    for (let at = path; Buffer.byteLength(at) > keep; at = at.slice(0, at.lastIndexOf("/"))) {
      const { files, names } = this.locate(at);
      try {
        files.remove(names, "directory");
      } catch (error) {
        const fine: number[] = [Errno.ENOENT, Errno.ENOTEMPTY, Errno.EEXIST];
        if (error instanceof FsError && fine.includes(error.errno)) return 0;
        throw error;
      }
    }
    return 0;
  }

  private removeTree(files: SimulatedFiles, names: readonly string[]): number {
    let node: Node;
    try {
      node = files.find(names);
    } catch (error) {
      if (error instanceof FsError && error.errno === Errno.ENOENT) return 0;
      throw error;
    }
    for (const name of [...node.entries.keys()]) this.removeTree(files, [...names, name]);
    files.remove(names, node.isDirectory ? "directory" : "file");
    return 0;
  }

  private readDirectory(node: Node, into: Uint8Array): number {
    if (!node.isDirectory) throw new FsError(Errno.ENOTDIR);
    let used = 0;
    for (const [name, child] of node.entries) {
      const text = Buffer.from(name);
      if (used + 3 + text.length <= into.length) {
        into.set([child.isDirectory ? 2 : 1, text.length & 255, text.length >> 8], used);
        into.set(text, used + 3);
      }
      used += 3 + text.length;
    }
    if (used <= into.length) return used;
    this.lastNeed = used;
    throw new FsError(Errno.E2BIG);
  }

  private readFile(node: Node, into: Uint8Array, flip: boolean): number {
    if (node.isDirectory) throw new FsError(Errno.EISDIR);
    if (node.bytes.length > into.length) {
      this.lastNeed = node.bytes.length;
      throw new FsError(Errno.E2BIG);
    }
    return copyOut(node.bytes, into, 0, flip);
  }

  private writeFile(files: SimulatedFiles, names: readonly string[], s: Step): number {
    const flags = s.a[3] as number;
    const node = this.openNode(files, names, (flags & 1) !== 0 ? 0o200 : 0o100);
    if (node.isDirectory) throw new FsError(Errno.EISDIR);
    if (node.bytes.length > 0) files.resize(node, 0);
    if (typeof s.a[1] === "object") files.write(node, s.a[1], 0);
    if ((flags & 2) !== 0) files.syncFile(node);
    return 0;
  }
}

function isBelow(path: string, prefix: string): boolean {
  return prefix === "/" || path === prefix || path.startsWith(`${prefix}/`);
}

function hits(fault: Fault, s: Step): boolean {
  if (fault.ops !== undefined) return fault.ops.includes(s.op);
  if (fault.effect === Errno.ENOSPC)
    return GROWING.has(s.op) || (s.op === Op.open && ((s.a[1] as number) & 0o100) !== 0);
  if (fault.effect === Errno.EROFS)
    return (!READ_ONLY.has(s.op) && s.op !== Op.syncfs && s.op !== Op.open) || (s.op === Op.open && s.a[1] !== 0);
  if (fault.effect === "flip") return s.op === Op.pread || s.op === Op.readFile || s.op === Op.readFrame;
  return true;
}

function copied(from: Uint8Array, offset: number, bytes: number, into: Uint8Array): number {
  if (bytes > into.length || offset + bytes > from.length) return -Errno.EAGAIN;
  into.set(from.subarray(offset, offset + bytes));
  return bytes;
}

function isIgnored(flags: number, errno: number): boolean {
  if ((flags & Ignore.any) !== 0) return true;
  if (errno === Errno.ENOENT) return (flags & Ignore.enoent) !== 0;
  if (errno === Errno.EEXIST && (flags & Ignore.eexist) !== 0) return true;
  return (errno === Errno.ENOTEMPTY || errno === Errno.EEXIST) && (flags & Ignore.enotempty) !== 0;
}

function copyOut(bytes: Uint8Array, into: Uint8Array, offset: number, flip: boolean): number {
  const part = bytes.subarray(offset, offset + into.length);
  into.set(part);
  if (flip && part.length > 0) into[part.length >> 1] = (into[part.length >> 1] as number) ^ 4;
  return part.length;
}

function statInto(files: SimulatedFiles, node: Node, into: Uint8Array | number): number {
  if (typeof into === "object") {
    const view = new DataView(into.buffer, into.byteOffset);
    view.setBigUint64(0, node.isDirectory ? 0o40755n : 0o100644n, true);
    view.setBigUint64(8, node.mtimeNs, true);
    view.setBigUint64(16, BigInt(files.device), true);
    view.setBigUint64(24, BigInt(node.id), true);
  }
  return node.isDirectory ? 4096 : node.bytes.length;
}

function statvfsInto(files: SimulatedFiles, into: Uint8Array): number {
  const view = new DataView(into.buffer, into.byteOffset);
  for (const [i, value] of [TOTAL_BYTES, TOTAL_BYTES / 2, TOTAL_BYTES / 2, 1e6, 1e6, files.device].entries())
    view.setBigUint64(i * 8, BigInt(value), true);
  return 0;
}
