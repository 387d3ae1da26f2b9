/**
 * MountedDrive: a drive of a test on a small file system of its own, so that it can be full or read-only. Needs root; where
 * mounting is refused, `mountRefusal` says so in words. Bytes.
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmdirSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MIB = 1024 * 1024;
const ATTEMPTS = 2000;

function command(program: string, ...words: readonly string[]): string | null {
  const { status, stderr, error } = spawnSync(program, words, { encoding: "utf8" });
  return status === 0 ? null : (error?.message ?? stderr.trim());
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
    const refusal = command("mount", "-t", "tmpfs", "-o", `size=${sizeBytes}`, "tmpfs", folder);
    if (refusal !== null) throw new Error(refusal);
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

  /** Refused by the kernel while a file is open for writing: tried again until a moment without one. */
  makeReadOnly(): void {
    let refusal: string | null = "";
    for (let i = 0; i < ATTEMPTS && refusal !== null; i++) refusal = command("mount", "-o", "remount,ro", this.folder);
    if (refusal !== null) throw new Error(refusal);
  }

  makeWritable(): void {
    const refusal = command("mount", "-o", "remount,rw", this.folder);
    if (refusal !== null) throw new Error(refusal);
  }

  /** Its files are gone after this. */
  [Symbol.dispose](): void {
    command("umount", "-l", this.folder);
  }
}
