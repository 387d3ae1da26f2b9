/** What LocalDrive does with its own files; what every drive does is in test/contract. */
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LocalDrive } from "../../../src/storage/local-drive.ts";
import { KEY, put, remove, settled, tags } from "../../contract/changes.ts";
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

test("what changes an xl.meta that cannot be read is Corrupt, not done; a put replaces it if it must", async () => {
  await withDrive(async (root) => {
    const drive = await openLocal(native, root);
    must(await drive.makeBucket("bucket"));
    await settled(drive, 10n, "old");
    await (drive as LocalDrive).flush();
    const file = join(root, "bucket/a/key/xl.meta");
    writeFileSync(file, "rubbish");
    for (const change of [remove(), put(20n, "new")]) {
      const outcome = await drive.commit(KEY, change, { stamp: 20n, prior: null, settles: [] });
      expect(outcome.ok ? "ok" : outcome.error.code).toBe("Corrupt");
    }
    await (drive as LocalDrive).flush();
    expect(readFileSync(file, "latin1")).toBe("rubbish");
    const terms = { stamp: 20n, prior: null, settles: [], overDamage: true };
    expect(must(await drive.commit(KEY, put(20n, "new"), terms))).toEqual({ accepted: true });
    expect(await tags(drive)).toEqual(["new"]);
  });
});
