/** What the end of a commit leaves to do in the tree: removed, or given back to where it came from. */
import { good } from "../core/fan-out.ts";
import type { DriveFiles } from "./drive-files.ts";
import type { DriveOutcome, ObjectPath } from "./drive.ts";
import type { Doubt } from "./overlay.ts";

/** What a settled commit leaves to remove: parts of an upload that are not listed, data directories of what it replaced. */
export async function tidyAfterSettle(
  files: DriveFiles,
  key: ObjectPath,
  doubt: Pick<Doubt, "newDirs" | "oldDirs">,
): Promise<DriveOutcome<void>> {
  for (const { name, keepParts } of doubt.newDirs) {
    const tidy = keepParts === null ? good(undefined) : await files.keepOnlyParts(key, name, keepParts);
    if (!tidy.ok) return tidy;
  }
  for (const dir of doubt.oldDirs) {
    const gone = await files.discardDirectory(key, dir);
    if (!gone.ok) return gone;
  }
  return good(undefined);
}

/** New data go to where they came from, so that the operation can be repeated; what cannot, to the trash. */
export async function tidyAfterRestore(
  files: DriveFiles,
  key: ObjectPath,
  doubt: Pick<Doubt, "newDirs">,
): Promise<DriveOutcome<void>> {
  for (const dir of doubt.newDirs) {
    const back = await files.giveBackDirectory(key, dir);
    if (!back.ok) return back;
    const gone = await files.discardDirectory(key, dir.name);
    if (!gone.ok) return gone;
  }
  return good(undefined);
}
