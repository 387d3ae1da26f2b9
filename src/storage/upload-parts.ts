/** Reading the part records of an upload's data directory: part.N.meta of every part.N (on-disk-format.md §6.3). */
import { good } from "../core/fan-out.ts";
import type { DriveOutcome, PartNumbers } from "./drive.ts";
import type { DriveFiles } from "./drive-files.ts";

const READS_AT_ONCE = 64;

export async function readParts(
  files: DriveFiles,
  directory: string,
  only?: PartNumbers,
): Promise<DriveOutcome<ReadonlyMap<number, Uint8Array>>> {
  const entries = await files.readDirectory(directory);
  if (!entries.ok) return entries.error.code === "NotFound" ? good(new Map()) : entries;
  const names = new Set(entries.value.map((e) => e.name));
  const numbers = [...names]
    .flatMap((n) => (/^part\.[0-9]+$/.test(n) && names.has(`${n}.meta`) ? [Number(n.slice(5))] : []))
    .filter((number) => only === undefined || (number >= only.first && number <= only.last))
    .sort((a, b) => a - b);
  const parts = new Map<number, Uint8Array>();
  for (let at = 0; at < numbers.length; at += READS_AT_ONCE) {
    const group = numbers.slice(at, at + READS_AT_ONCE);
    const read = await Promise.all(group.map((number) => files.readSmall(`${directory}/part.${number}.meta`)));
    for (const [i, outcome] of read.entries()) {
      if (!outcome.ok) return outcome; // a record that cannot be read is none that is not there
      if (outcome.value !== null) parts.set(group[i] as number, outcome.value);
    }
  }
  return good(parts);
}
