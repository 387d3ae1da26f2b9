/** What LocalDrive does with its own files; what every drive does is in test/contract. */
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LocalDrive } from "../../../src/storage/local-drive.ts";
import { commit, KEY, put, remove, settled, tags } from "../../contract/changes.ts";
import { must, native, openLocal } from "../../contract/drive-makers.ts";

async function withDrive(body: (root: string) => Promise<void>): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), "sherd-local-"));
  try {
    mkdirSync(join(base, "d"));
    await body(join(base, "d"));
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

test("a delete of a version in an xl.meta that cannot be read is Corrupt, not done; a put replaces it", async () => {
  await withDrive(async (root) => {
    const drive = await openLocal(native, root);
    must(await drive.makeBucket("bucket"));
    await settled(drive, 10n, "old");
    await (drive as LocalDrive).flush();
    writeFileSync(join(root, "bucket/a/key/xl.meta"), "rubbish");
    const outcome = await drive.commit(KEY, remove(), { stamp: 20n, prior: null, settles: [] });
    expect(outcome.ok ? "ok" : outcome.error.code).toBe("Corrupt");
    expect(await commit(drive, put(30n, "new"), 30n)).toBe("accepted");
    expect(await tags(drive)).toEqual(["new"]);
  });
});
