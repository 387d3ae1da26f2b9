/** Shard files, staging, uploads, directories, buckets and space: what every single drive does with data. */
import { describe, expect, test } from "bun:test";
import type { Drive } from "../../src/storage/drive.ts";
import {
  append,
  commit,
  frame,
  KEY,
  marker,
  put,
  remove,
  settled,
  SHARD_BYTES,
  shardFile,
  stage,
  tags,
} from "./changes.ts";
import { DRIVE_MAKERS, type DriveUnderTest, must } from "./drive-makers.ts";

const D1 = "d1111111-1111-4111-8111-111111111111";
const D2 = "d2222222-2222-4222-8222-222222222222";
const UPLOAD = "multipart/parent/upload";
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const staged = (op: string) => ({ kind: "staged", op }) as const;
const codeOf = (outcome: { ok: boolean; error?: { code: string } }): string =>
  outcome.ok ? "ok" : (outcome.error?.code ?? "?");

async function names(drive: Drive, path: string, bucket = "bucket"): Promise<string[]> {
  return must(await drive.readDirectory(bucket, path))
    .map((e) => `${e.name}${e.isDirectory ? "/" : ""}`)
    .sort();
}

for (const maker of DRIVE_MAKERS) {
  const on = (name: string, body: (drive: Drive, made: DriveUnderTest) => Promise<void>): void => {
    test(name, async () => {
      using made = await maker.make();
      must(await made.drive.makeBucket("bucket"));
      await body(made.drive, made);
    });
  };

  describe(`shards on a ${maker.name}`, () => {
    on("what is staged is invisible until it is committed, then read frame by frame", async (drive) => {
      for (const [op, dataDir, blocks] of [
        ["op1", D1, 1],
        ["op2", D2, 3],
      ] as const) {
        await stage(drive, { op, dataDir }, shardFile(blocks, 7));
        expect(must(await drive.shardSize({ ...KEY, dataDir, part: 1 }))).toBeNull();
      }
      expect(await names(drive, "")).toEqual([]);
      expect(await commit(drive, put(10n, "one", { dataDir: D1, data: staged("op1") }), 10n)).toBe("accepted");
      expect(await frame(drive, { dataDir: D1 }, 0)).toBe("good");
      expect(await commit(drive, put(20n, "two", { dataDir: D2, data: staged("op2") }), 20n, { settles: [10n] })).toBe(
        "accepted",
      );
      expect(must(await drive.shardSize({ ...KEY, dataDir: D2, part: 1 }))).toBe(3 * (32 + SHARD_BYTES));
      const slots = [0, 1, 2].map((block) => ({
        slot: new Uint8Array(new ArrayBuffer(32 + SHARD_BYTES)),
        offset: block * (32 + SHARD_BYTES),
      }));
      expect(codeOf(await drive.readFrames({ ...KEY, dataDir: D2, part: 1 }, slots))).toBe("ok");
      expect(slots.map(({ slot }) => slot[32 + 5])).toEqual([7, 8, 9]);
    });

    on("a writer keeps appends of any size in order", async (drive) => {
      const file = shardFile(4, 3);
      const writer = must(await drive.stage("op", D1, 1));
      const sizes = [1, 4095, 4096, 4097, 100_000, 700_000, file.length];
      const appends: Promise<unknown>[] = [];
      for (let from = 0, i = 0; from < file.length; i++) {
        const to = Math.min(file.length, from + (sizes[i % sizes.length] as number));
        appends.push(append(writer, file.subarray(from, to), from));
        from = to;
      }
      await Promise.all(appends);
      must(await writer.close());
      await commit(drive, put(10n, "x", { dataDir: D1, data: staged("op") }), 10n);
      expect(must(await drive.shardSize({ ...KEY, dataDir: D1, part: 1 }))).toBe(file.length);
      for (let block = 0; block < 4; block++) expect(await frame(drive, { dataDir: D1 }, block)).toBe("good");
    });

    on("a writer that gives up and an unstage leave nothing to commit", async (drive) => {
      const writer = must(await drive.stage("op", D1, 1));
      await append(writer, shardFile(1, 1), 0);
      await writer.abort();
      must(await drive.unstage("op"));
      must(await drive.unstage("op")); // again is fine
      const outcome = await drive.commit(KEY, put(10n, "x", { dataDir: D1, data: staged("op") }), {
        stamp: 10n,
        prior: null,
        settles: [],
      });
      expect(codeOf(outcome)).toBe("NotFound");
      expect(await tags(drive)).toBeNull();
      expect(await names(drive, "")).toEqual([]);
    });

    on("what is given up while it is committed goes when that has ended, and takes nothing along", async (drive) => {
      await settled(drive, 5n, "old");
      for (const [stamp, verdict] of [
        [4n, "stale"],
        [10n, "accepted"],
      ] as const) {
        const op = `op-${stamp}`;
        await stage(drive, { op, dataDir: D1 }, shardFile(1, 1));
        const committing = commit(drive, put(stamp, "x", { dataDir: D1, data: staged(op) }), stamp);
        const givenUp = drive.unstage(op);
        expect(await committing).toBe(verdict);
        must(await givenUp);
        const left = must(await drive.readDirectory(".minio.sys", "tmp")).filter(({ name }) => !name.startsWith("."));
        expect(left).toEqual([]);
      }
      must(await drive.settle(KEY, 10n));
      expect(await tags(drive)).toEqual(["x"]);
      expect(await frame(drive, { dataDir: D1 }, 0)).toBe("good");
    });

    on("a version without its staged data is never accepted, also over an older version", async (drive) => {
      await settled(drive, 5n, "old");
      for (const data of [staged("nowhere"), { kind: "upload", path: UPLOAD, keepParts: [1] } as const]) {
        const outcome = await drive.commit(KEY, put(10n, "x", { dataDir: D1, data }), {
          stamp: 10n,
          prior: null,
          settles: [],
        });
        expect(codeOf(outcome)).toBe("NotFound");
        expect(await tags(drive)).toEqual(["old"]);
      }
      expect(await commit(drive, put(11n, "next"), 11n)).toBe("accepted");
    });

    on("a replaced version's data stays until the settle, and goes with it", async (drive) => {
      await stage(drive, { op: "op1", dataDir: D1 }, shardFile(1, 1));
      await commit(drive, put(10n, "one", { dataDir: D1, data: staged("op1") }), 10n);
      must(await drive.settle(KEY, 10n));
      await stage(drive, { op: "op2", dataDir: D2 }, shardFile(1, 2));
      await commit(drive, put(20n, "two", { dataDir: D2, data: staged("op2") }), 20n);
      expect([await frame(drive, { dataDir: D1 }, 0), await frame(drive, { dataDir: D2 }, 0)]).toEqual([
        "good",
        "good",
      ]);
      must(await drive.settle(KEY, 20n));
      expect([await frame(drive, { dataDir: D1 }, 0), await frame(drive, { dataDir: D2 }, 0)]).toEqual([
        "NotFound",
        "good",
      ]);
      await commit(drive, remove(), 30n);
      expect(await frame(drive, { dataDir: D2 }, 0)).toBe("good");
      must(await drive.settle(KEY, 30n));
      expect(await frame(drive, { dataDir: D2 }, 0)).toBe("NotFound");
      expect(await names(drive, "")).toEqual([]);
    });

    on("data of a predecessor that a commit named as settled goes with that one's own settle", async (drive) => {
      await stage(drive, { op: "op1", dataDir: D1 }, shardFile(1, 1));
      await commit(drive, put(10n, "one", { dataDir: D1, data: staged("op1") }), 10n);
      must(await drive.settle(KEY, 10n));
      await commit(drive, put(20n, "two"), 20n);
      await commit(drive, put(30n, "three"), 30n, { settles: [20n] });
      must(await drive.settle(KEY, 20n));
      expect(await frame(drive, { dataDir: D1 }, 0)).toBe("NotFound");
      expect(await tags(drive)).toEqual(["three"]);
    });

    on("a restore leaves the old data and none of the new", async (drive) => {
      await stage(drive, { op: "op1", dataDir: D1 }, shardFile(1, 1));
      await commit(drive, put(10n, "one", { dataDir: D1, data: staged("op1") }), 10n);
      must(await drive.settle(KEY, 10n));
      await stage(drive, { op: "op2", dataDir: D2 }, shardFile(1, 2));
      await commit(drive, put(20n, "two", { dataDir: D2, data: staged("op2") }), 20n);
      expect(must(await drive.restore(KEY, 20n, 20n))).toBe(true);
      expect([await frame(drive, { dataDir: D1 }, 0), await frame(drive, { dataDir: D2 }, 0)]).toEqual([
        "good",
        "NotFound",
      ]);
      await commit(drive, remove(), 30n);
      must(await drive.settle(KEY, 30n));
      expect(await names(drive, "")).toEqual([]);
    });

    on("staged data that a restore took back can be committed again at a larger stamp", async (drive) => {
      await stage(drive, { op: "op1", dataDir: D1 }, shardFile(1, 1));
      await commit(drive, put(10n, "one", { dataDir: D1, data: staged("op1") }), 10n);
      must(await drive.restore(KEY, 10n, 10n));
      expect(await commit(drive, put(20n, "one", { dataDir: D1, data: staged("op1") }), 20n)).toBe("accepted");
      expect(await frame(drive, { dataDir: D1 }, 0)).toBe("good");
    });

    on("a heal replaces a damaged data directory of the same name", async (drive, made) => {
      await stage(drive, { op: "op1", dataDir: D1 }, shardFile(1, 1));
      await commit(drive, put(10n, "one", { dataDir: D1, data: staged("op1") }), 10n);
      must(await drive.settle(KEY, 10n));
      made.damage(`bucket/a/key/${D1}/part.1`, 100);
      expect(await frame(drive, { dataDir: D1 }, 0)).toBe("Corrupt");
      await stage(drive, { op: "heal", dataDir: D1 }, shardFile(1, 1));
      const meta = must(await drive.read(KEY)).meta as Uint8Array;
      expect(await commit(drive, { kind: "replace", meta, op: "heal", dataDirs: [D1] }, 20n, { prior: 10n })).toBe(
        "accepted",
      );
      must(await drive.settle(KEY, 20n));
      expect(await frame(drive, { dataDir: D1 }, 0)).toBe("good");
    });

    on(
      "a flipped bit anywhere in a frame and a file that is short are Corrupt, a missing one NotFound",
      async (drive, made) => {
        await stage(drive, { op: "op", dataDir: D1 }, shardFile(3, 1));
        await commit(drive, put(10n, "x", { dataDir: D1, data: staged("op") }), 10n);
        const file = `bucket/a/key/${D1}/part.1`;
        for (const offset of [0, 31, 32, 32 + SHARD_BYTES - 1]) {
          made.damage(file, offset);
          expect(await frame(drive, { dataDir: D1 }, 0)).toBe("Corrupt");
          made.damage(file, offset);
          expect(await frame(drive, { dataDir: D1 }, 0)).toBe("good");
        }
        made.damage(file, 32 + SHARD_BYTES + 50);
        expect([await frame(drive, { dataDir: D1 }, 0), await frame(drive, { dataDir: D1 }, 1)]).toEqual([
          "good",
          "Corrupt",
        ]);
        made.cut(file, 3 * (32 + SHARD_BYTES) - 1);
        expect(await frame(drive, { dataDir: D1 }, 2)).toBe("Corrupt");
        made.cut(file, 2 * (32 + SHARD_BYTES));
        expect(await frame(drive, { dataDir: D1 }, 2)).toBe("Corrupt");
        expect([
          await frame(drive, { dataDir: D2 }, 0),
          await frame(drive, { dataDir: D1, part: 2 }, 0),
          await frame(drive, { key: { bucket: "bucket", path: "none" }, dataDir: D1 }, 0),
        ]).toEqual(["NotFound", "NotFound", "NotFound"]);
      },
    );
  });

  describe(`uploads on a ${maker.name}`, () => {
    const putPart = async (drive: Drive, part: number, fill: number, record: string): Promise<void> => {
      const op = `part-${part}-${fill}`;
      await stage(drive, { op, dataDir: D1 }, shardFile(1, fill));
      must(await drive.putPart({ op, uploadPath: UPLOAD, dataDir: D1, part, meta: bytes(record) }));
    };
    const begin = (drive: Drive): Promise<string> =>
      commit(drive, put(5n, "upload", { dataDir: D1, data: { kind: "inline", bytes: new Uint8Array(0) } }), 5n, {
        key: { bucket: ".minio.sys", path: UPLOAD },
      });
    const records = async (drive: Drive): Promise<[number, string][]> =>
      [...must(await drive.readParts(UPLOAD, D1))].map(([n, b]) => [n, Buffer.from(b).toString()]);
    const complete = (keepParts: readonly number[]) =>
      put(20n, "object", { dataDir: D1, data: { kind: "upload", path: UPLOAD, keepParts } });

    on("parts are listed by number with their records; a newer one replaces an older one", async (drive) => {
      await begin(drive);
      for (const part of [10, 2, 1]) await putPart(drive, part, part, `r${part}`);
      await putPart(drive, 2, 77, "r2b");
      expect(await records(drive)).toEqual([
        [1, "r1"],
        [2, "r2b"],
        [10, "r10"],
      ]);
      expect([...must(await drive.readParts(UPLOAD, D1, { first: 2, last: 9 })).keys()]).toEqual([2]);
      const system = { bucket: ".minio.sys", path: UPLOAD };
      expect(await frame(drive, { key: system, dataDir: D1, part: 2 }, 0)).toBe("good");
      expect(must(await drive.readParts("multipart/parent/none", D1)).size).toBe(0);
    });

    on("an upload that is removed while it is completed goes when that has ended", async (drive) => {
      await begin(drive);
      for (const part of [1, 2]) await putPart(drive, part, part, `r${part}`);
      const completing = commit(drive, complete([1, 2]), 20n);
      const removing = drive.removeUpload(UPLOAD);
      expect(await completing).toBe("accepted");
      must(await removing);
      must(await drive.settle(KEY, 20n));
      for (const part of [1, 2]) expect(await frame(drive, { dataDir: D1, part }, 0)).toBe("good");
      expect(await names(drive, "multipart", ".minio.sys")).toEqual([]);
    });

    on("a complete brings the listed parts and, once settled, nothing else", async (drive) => {
      await begin(drive);
      for (const part of [1, 2, 3]) await putPart(drive, part, part, `r${part}`);
      expect(await commit(drive, complete([1, 3]), 20n)).toBe("accepted");
      must(await drive.settle(KEY, 20n));
      expect(await names(drive, `a/key/${D1}`)).toEqual(["part.1", "part.3"]);
      expect(await frame(drive, { dataDir: D1, part: 3 }, 0)).toBe("good");
      must(await drive.removeUpload(UPLOAD));
      expect(await names(drive, "multipart", ".minio.sys")).toEqual([]);
    });

    on("a complete that is taken back gives every part back, and can be repeated", async (drive) => {
      await begin(drive);
      for (const part of [1, 2]) await putPart(drive, part, part, `r${part}`);
      expect(await commit(drive, complete([2]), 20n)).toBe("accepted");
      expect(must(await drive.restore(KEY, 20n, 20n))).toBe(true);
      expect(await records(drive)).toEqual([
        [1, "r1"],
        [2, "r2"],
      ]);
      expect(await names(drive, "")).toEqual([]);
      expect(await commit(drive, complete([1, 2]), 30n)).toBe("accepted");
      must(await drive.settle(KEY, 30n));
      expect(await names(drive, `a/key/${D1}`)).toEqual(["part.1", "part.2"]);
    });

    on("a complete in doubt after a restart gives its parts back too", async (drive, made) => {
      await begin(drive);
      for (const part of [1, 2]) await putPart(drive, part, part, `r${part}`);
      await commit(drive, complete([1]), 20n);
      const again = await made.reopen();
      must(await again.fence(KEY, 30n));
      expect(must(await again.restore(KEY, 30n, 20n))).toBe(true);
      expect(await records(again)).toEqual([
        [1, "r1"],
        [2, "r2"],
      ]);
    });

    on("removing an upload that is not there is done, and its siblings stay", async (drive) => {
      must(await drive.removeUpload("multipart/parent/none"));
      await begin(drive);
      must(await drive.removeUpload("multipart/parent/none"));
      expect(await names(drive, "multipart/parent", ".minio.sys")).toEqual(["upload/"]);
    });
  });

  describe(`buckets and directories on a ${maker.name}`, () => {
    on("a bucket is made once, listed with its time, and removed when empty", async (drive) => {
      expect(codeOf(await drive.makeBucket("bucket"))).toBe("Exists");
      must(await drive.makeBucket("another"));
      const listed = must(await drive.listBuckets());
      expect(listed.map((b) => b.name).sort()).toEqual(["another", "bucket"]);
      expect(listed.every((b) => b.createdNs > 0n)).toBe(true);
      expect(codeOf(await drive.removeBucket("another"))).toBe("ok");
      expect(codeOf(await drive.removeBucket("another"))).toBe("NotFound");
      expect(must(await drive.listBuckets()).map((b) => b.name)).toEqual(["bucket"]);
    });

    on("a bucket with an object, a marker or only data is NotEmpty, and keeps it", async (drive) => {
      await settled(drive, 10n, "x");
      expect(codeOf(await drive.removeBucket("bucket"))).toBe("NotEmpty");
      expect(await tags(drive)).toEqual(["x"]);
      await commit(drive, remove(), 20n);
      must(await drive.settle(KEY, 20n));
      await commit(drive, marker(30n, D1), 30n);
      expect(codeOf(await drive.removeBucket("bucket"))).toBe("NotEmpty");
      await commit(drive, remove(D1), 40n, { settles: [30n] });
      must(await drive.settle(KEY, 40n));
      expect(codeOf(await drive.removeBucket("bucket"))).toBe("ok");
    });

    on(
      "a commit and the removal of its bucket at once: one of them fails, and what was accepted is there",
      async (drive) => {
        for (let round = 0; round < 30; round++) {
          const bucket = `race-${round}`;
          const key = { bucket, path: "deep/er/key" };
          must(await drive.makeBucket(bucket));
          const stamp = BigInt(round + 1);
          const writing = drive.commit(key, put(stamp, "x"), { stamp, prior: null, settles: [] });
          for (let i = 0; i < round * 3; i++) await Promise.resolve();
          const [removed, written] = await Promise.all([drive.removeBucket(bucket), writing]);
          const there = (await tags(drive, key)) !== null;
          const found = { removed: codeOf(removed), written: written.ok && written.value.accepted, there };
          expect(found).toEqual(
            written.ok
              ? { removed: "NotEmpty", written: true, there: true }
              : { removed: "ok", written: false, there: false },
          );
        }
      },
    );

    on("a commit into a bucket that is not there changes nothing", async (drive) => {
      const key = { bucket: "nowhere", path: "k" };
      const outcome = await drive.commit(key, put(10n, "x"), { stamp: 10n, prior: null, settles: [] });
      expect(codeOf(outcome)).toBe("NotFound");
      expect(must(await drive.listBuckets()).map((b) => b.name)).toEqual(["bucket"]);
    });

    on("readDirectory tells names and kinds, look the directories beside the state", async (drive) => {
      await settled(drive, 10n, "x");
      await settled(drive, 11n, "y", { bucket: "bucket", path: "a/key/below" });
      await settled(drive, 12n, "z", { bucket: "bucket", path: "top__XLDIR__" });
      expect(await names(drive, "")).toEqual(["a/", "top__XLDIR__/"]);
      expect(await names(drive, "a/key")).toContain("below/");
      expect(codeOf(await drive.readDirectory("bucket", "none"))).toBe("NotFound");
      expect(codeOf(await drive.readDirectory("nowhere", ""))).toBe("NotFound");
      const look = must(await drive.look(KEY));
      expect([look.state.stamp, look.directories]).toEqual([10n, ["below"]]);
      expect(must(await drive.look({ bucket: "bucket", path: "none" })).directories).toEqual([]);
      expect(must(await drive.look({ bucket: "bucket", path: "a" })).directories).toEqual(["key"]);
    });

    on("a directory of more names than one buffer holds is listed whole", async (drive) => {
      const all = Array.from({ length: 400 }, (_, i) => `${String(i).padStart(3, "0")}${"n".repeat(200)}`);
      await Promise.all(all.map((path, i) => settled(drive, BigInt(i + 1), "x", { bucket: "bucket", path })));
      expect(await names(drive, "")).toEqual(all.map((n) => `${n}/`));
    });

    on("space is plausible", async (drive) => {
      const space = must(await drive.space());
      expect(space.totalBytes).toBeGreaterThan(0);
      expect(space.freeBytes).toBeLessThanOrEqual(space.totalBytes);
      expect(space.usedBytes + space.freeBytes).toBeLessThanOrEqual(space.totalBytes);
      expect(space.totalInodes).toBeGreaterThanOrEqual(space.freeInodes);
    });

    on("a drive tells who it is", async (drive) => {
      expect([drive.id, drive.state]).toEqual(["id", "ok"]);
      expect(drive.endpoint).not.toBe("");
    });
  });
}
