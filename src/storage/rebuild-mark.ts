/**
 * RebuildMark: a file on a replaced drive, `.minio.sys/sherd/rebuild`, from its first use until its rebuild is done. A
 * drive that has its format back does not look empty any more: without the mark a restart would forget the rest.
 * Made and removed durably; throws RebuildMarkError with the errno otherwise.
 */
import { OperatingError } from "../core/errors.ts";
import { SYSTEM_BUCKET, SYSTEM_PATHS } from "./paths.ts";
import { type Disk, Errno, Ignore, step } from "../sys/disk.ts";

export class RebuildMarkError extends OperatingError<"CannotMark"> {}

const TEXT = "this drive is being rebuilt; removing this file does not speed it up\n";

function pathOf(root: string): string {
  return `${root}/${SYSTEM_BUCKET}/${SYSTEM_PATHS.sherd}/rebuild`;
}

/** `root`: absolute path of the drive. */
export async function markRebuild(disk: Disk, root: string): Promise<void> {
  const { error } = await disk.run([
    step.mkdirPath(pathOf(root).slice(0, -"/rebuild".length), root),
    step.writeFile(pathOf(root), new TextEncoder().encode(TEXT), { sync: true }),
    step.syncfs(root),
  ]);
  if (error !== 0)
    throw new RebuildMarkError("CannotMark", `${root} cannot be marked as being rebuilt (errno ${error})`, {
      root,
      error,
    });
}

/** A mark that cannot be read counts as one: a rebuild too many costs time, one too few costs copies. */
export async function isMarkedForRebuild(disk: Disk, root: string): Promise<boolean> {
  const { error } = await disk.run([step.stat(pathOf(root))]);
  return error !== Errno.ENOENT && error !== Errno.ENOTDIR;
}

export async function unmarkRebuild(disk: Disk, root: string): Promise<void> {
  const { error } = await disk.run([step.unlink(pathOf(root), Ignore.enoent), step.syncfs(root)]);
  if (error !== 0)
    throw new RebuildMarkError("CannotMark", `the mark of a rebuild on ${root} cannot be removed (errno ${error})`, {
      root,
      error,
    });
}
