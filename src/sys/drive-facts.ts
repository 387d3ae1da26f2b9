/** What is at a drive's path, looked at without touching it: for `sherd plan`, before anything may be written. Bytes. */
import { existsSync, statfsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

export interface FoundDrive {
  readonly state: "formatted" | "empty" | "not there";
  readonly device: number;
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/** `path`: absolute. Of a folder that is not there, the file system that it would be made on. */
export function lookAtDrive(path: string): FoundDrive {
  let existing = path;
  while (!existsSync(existing)) existing = dirname(existing);
  const { bsize, blocks, bavail } = statfsSync(existing);
  const isFormatted = existsSync(join(path, ".minio.sys/format.json"));
  return {
    state: isFormatted ? "formatted" : existing === path ? "empty" : "not there",
    device: statSync(existing).dev,
    totalBytes: blocks * bsize,
    freeBytes: bavail * bsize,
  };
}
