/** flushDrives: what the commit logs hold into the trees, for another program to use; in words, what could not be. */
import type { LocalDrive } from "./local-drive.ts";

export async function flushDrives(drives: readonly LocalDrive[]): Promise<string[]> {
  const left: string[] = [];
  for (const drive of drives) {
    if (await drive.flush()) continue;
    left.push(drive.writeFailure?.message ?? `${drive.endpoint}: an operation is in doubt until more drives are back`);
  }
  return left;
}
