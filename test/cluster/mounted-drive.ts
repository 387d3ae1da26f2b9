/**
 * MountedDrive: a drive of a test on a small file system of its own, so that it can be full or read-only. FreezableDrive: on one of
 * which writes can hang, or of one process reads and writes. Both need root; where mounting is refused, `mountRefusal` or
 * `refusal` says so in words. Bytes.
 */
import { spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MIB = 1024 * 1024;

function command(program: string, ...words: readonly string[]): string | null {
  const { status, stderr, error } = spawnSync(program, words, { encoding: "utf8" });
  return status === 0 ? null : (error?.message ?? stderr.trim());
}

function must(program: string, ...words: readonly string[]): void {
  const refusal = command(program, ...words);
  if (refusal !== null) throw new Error(refusal);
}

/** Null = drives can be mounted here. */
export function mountRefusal(): string | null {
  const folder = mkdtempSync(join(tmpdir(), "sherd-mount-"));
  const refusal = command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder);
  if (refusal === null) command("umount", folder);
  rmdirSync(folder);
  return refusal;
}

export class MountedDrive implements Disposable {
  constructor(
    readonly folder: string,
    sizeBytes: number,
  ) {
    mkdirSync(folder);
    must("mount", "-t", "tmpfs", "-o", `size=${sizeBytes}`, "tmpfs", folder);
  }

  private get filler(): string {
    return join(this.folder, ".minio.sys", "filler");
  }

  /** Until not one more byte fits. */
  fill(): void {
    const file = openSync(this.filler, "a");
    try {
      for (let piece = MIB; piece >= 1; ) {
        try {
          writeSync(file, Buffer.alloc(piece));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
          piece = Math.floor(piece / 2);
        }
      }
    } finally {
      closeSync(file);
    }
  }

  makeRoom(): void {
    unlinkSync(this.filler);
  }

  /**
   * By a read-only view mounted over it, for a file system with a file open for writing cannot be remounted. What is open
   * already, the key index, stays writable. The view is made aside: one in place has writers before it is read-only.
   */
  makeReadOnly(): void {
    const aside = `${this.folder}-view`;
    mkdirSync(aside);
    must("mount", "--bind", this.folder, aside);
    must("mount", "-o", "remount,bind,ro", aside);
    must("mount", "--bind", aside, this.folder);
    must("umount", "-l", aside);
    rmdirSync(aside);
  }

  makeWritable(): void {
    must("umount", "-l", this.folder);
  }

  /** Its files are gone after this. */
  [Symbol.dispose](): void {
    while (command("umount", "-l", this.folder) === null); // the read-only view too
  }
}

/** Where processes are told how fast a disk is to be for them. */
const THROTTLES = "/sys/fs/cgroup/blkio";

/** An ext4 of its own in a file, that can be frozen. */
export class FreezableDrive implements Disposable {
  /** Why there is none; null = it is mounted. */
  readonly refusal: string | null;
  /** Why it cannot hang for one process; null = it can. */
  readonly hangRefusal: string | null;
  private device: string | null = null;
  private readonly group = join(THROTTLES, `sherd-test-${process.pid}`);

  constructor(
    private readonly folder: string,
    image: string,
    sizeBytes: number,
  ) {
    mkdirSync(folder);
    writeFileSync(image, "");
    truncateSync(image, sizeBytes);
    this.refusal =
      command("mkfs.ext4", "-q", image) ?? command("mount", "-o", "loop", image, folder) ?? this.tryToFreeze();
    this.hangRefusal = this.refusal ?? this.tryToThrottle();
  }

  private tryToFreeze(): string | null {
    return this.freeze() ?? this.thaw();
  }
  freeze(): string | null {
    return command("fsfreeze", "--freeze", this.folder);
  }
  thaw(): string | null {
    return command("fsfreeze", "--unfreeze", this.folder);
  }

  /** Makes the kernel forget what it has in memory of the files. */
  forget(files: readonly string[]): void {
    for (const file of files)
      must("dd", "if=/dev/null", `of=${file}`, "count=0", "oflag=nocache", "conv=notrunc,fdatasync");
  }

  private tryToThrottle(): string | null {
    if (!existsSync(THROTTLES)) return `no ${THROTTLES}`;
    try {
      mkdirSync(this.group);
      this.throttle(1);
      this.throttle(0);
      return null;
    } catch (error) {
      return String(error);
    }
  }
  /** 0 = no bound. */
  private throttle(bytesPerSecond: number): void {
    const { dev } = statSync(this.folder);
    this.device ??= `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`;
    for (const name of ["read", "write"])
      writeFileSync(join(this.group, `blkio.throttle.${name}_bps_device`), `${this.device} ${bytesPerSecond}`);
  }

  /** From now on, what a process reads from the disk or writes to it takes hours. */
  hang(pid: number): void {
    this.throttle(1);
    writeFileSync(join(this.group, "cgroup.procs"), String(pid));
  }
  /** What hung goes on. */
  resume(): void {
    this.throttle(0);
  }

  /** After the process has ended. */
  [Symbol.dispose](): void {
    this.thaw();
    if (this.hangRefusal === null) this.resume();
    if (existsSync(this.group)) rmdirSync(this.group);
    command("umount", "-l", this.folder);
  }
}
