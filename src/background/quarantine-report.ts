/** What `sherd quarantine` does and prints: one line for each version that is set aside; gives one back, or drops it. */
import type { KeyLock } from "../core/key-lock.ts";
import type { ErasureSet } from "../erasure/erasure-set.ts";
import { dropQuarantined, listQuarantine, restoreQuarantined } from "../erasure/quarantine-version.ts";
import { decodeKey } from "../storage/paths.ts";

export interface QuarantineStore {
  readonly allSets: readonly ErasureSet[];
  readonly locks: KeyLock;
}

/** Throws DriveError. */
export async function quarantineCommand(
  { allSets, locks }: QuarantineStore,
  asked: { readonly restore: string | null; readonly drop: string | null },
): Promise<{ readonly text: string; readonly failed: boolean }> {
  const id = asked.restore ?? asked.drop;
  if (id === null) return { text: await quarantineText(allSets), failed: false };
  let drives = 0;
  for (const set of allSets)
    drives += asked.restore === null ? await dropQuarantined(set, id) : await restoreQuarantined(set, id, locks);
  const done = asked.restore === null ? "dropped" : "restored";
  const text = drives === 0 ? `no drive has ${id} in quarantine\n` : `${done} on ${drives} drives\n`;
  return { text, failed: drives === 0 };
}

/** Columns: id, bucket/key, version, when it was moved, the drives that have a part. */
export async function quarantineText(sets: readonly ErasureSet[]): Promise<string> {
  const lines: string[] = [];
  for (const set of sets) {
    for (const { version, positions } of await listQuarantine(set)) {
      const { id, bucket, path, versionId, movedNs } = version;
      const moved = new Date(Number(movedNs / 1_000_000n)).toISOString();
      const drives = positions.map((position) => set.drives[position]?.endpoint ?? String(position)).join(" ");
      lines.push(`${id}  ${bucket}/${decodeKey(path)}  version ${versionId}  moved ${moved}  on ${drives}`);
    }
  }
  return lines.length === 0 ? "nothing is in quarantine\n" : `${lines.join("\n")}\n`;
}
