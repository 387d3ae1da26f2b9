/** A drive whose folder is away for a while: what its log holds is neither taken for applied nor given up. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GroupSync } from "../../src/storage/group-sync.ts";
import { LocalDrive } from "../../src/storage/local-drive.ts";
import { realRng } from "../../src/sys/rng.ts";
import { erase, keyOf, tagAt, write } from "../sim/one-drive.ts";
import { must, native, SMALL_LOG, stillClock } from "./drive-makers.ts";

const base = mkdtempSync(join(tmpdir(), "sherd-away-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

test("what is only in the log stays there while the drive is away, and is applied when it is back", async () => {
  const [root, elsewhere, other] = ["d1", "d1-away", "d2"].map((name) => join(base, name)) as [string, string, string];
  for (const folder of [root, other]) mkdirSync(folder);
  const warnings: string[] = [];
  const groupSync = new GroupSync(native, root);
  groupSync.alsoAt(other); // the file system can be synced all the same
  const options = { id: "id", root, endpoint: root, disk: native, rng: realRng(), groupSync, log: SMALL_LOG };
  const drive = must(
    await LocalDrive.open({ ...options, clock: stillClock(), warn: (message) => warnings.push(message) }),
  );
  must(await drive.makeBucket("bucket"));
  await write(drive, "old", 10n, "x");
  expect(await drive.flush()).toBe(true);
  await write(drive, "new", 11n, "y");
  await erase(drive, "old", 12n);

  renameSync(root, elsewhere);
  expect(await drive.flush()).toBe(false);
  expect(drive.logStats().waiting).toBe(2);
  expect(warnings.some((message) => message.includes("is the drive mounted?"))).toBe(true);

  renameSync(elsewhere, root);
  expect(drive.state).toBe("ok");
  expect([await tagAt(drive, "new"), await tagAt(drive, "old")]).toEqual(["y", null]);
  await write(drive, "after", 20n, "z");
  expect(await drive.flush()).toBe(true);
  const { path } = keyOf("new");
  expect([existsSync(join(root, "bucket", path, "xl.meta")), existsSync(join(root, "bucket/old"))]).toEqual([
    true,
    false,
  ]);
  await drive.close();
});

test("a drive that is away does not say that a key is absent, however often it is asked", async () => {
  const [root, elsewhere] = [join(base, "d3"), join(base, "d3-away")];
  mkdirSync(root);
  const groupSync = new GroupSync(native, root);
  const options = { id: "id", root, endpoint: root, disk: native, rng: realRng(), groupSync, log: SMALL_LOG };
  const drive = must(await LocalDrive.open({ ...options, clock: stillClock(), warn: () => undefined }));
  must(await drive.makeBucket("bucket"));
  await write(drive, "kept", 10n, "x");
  expect(await drive.flush()).toBe(true);
  expect(await tagAt(drive, "never")).toBeNull();

  renameSync(root, elsewhere);
  // The kernel remembers from the first time that there is no such file.
  for (let i = 0; i < 3; i++)
    for (const key of ["kept", "never"]) {
      const answer = await drive.read(keyOf(key));
      expect(answer.ok ? "an answer" : answer.error.code).toBe("Faulty");
    }
  renameSync(elsewhere, root);
  expect([await tagAt(drive, "kept"), await tagAt(drive, "never")]).toEqual(["x", null]);
  await drive.close();
});
