/** The commit protocol that every single drive keeps, whatever it is made of (engine.md §1-3; commit-model is its model). */
import { describe, expect, test } from "bun:test";
import type { Change, CommitAnswer, CommitTerms, Drive, DriveOutcome, Stamp } from "../../src/storage/drive.ts";
import { commit, KEY, marker, NO_CHANGES, put, remove, said, settled, shown, tags, terms } from "./changes.ts";
import { LocalDrive } from "../../src/storage/local-drive.ts";
import { turns } from "../sim/seeded.ts";
import { DRIVE_MAKERS, must } from "./drive-makers.ts";

for (const maker of DRIVE_MAKERS) {
  const on = (name: string, body: (drive: Drive, reopen: () => Promise<Drive>) => Promise<void>): void => {
    test(name, async () => {
      using made = await maker.make();
      must(await made.drive.makeBucket("bucket"));
      await body(made.drive, () => made.reopen());
    });
  };

  describe(`the protocol on a ${maker.name}`, () => {
    on("a key that was never written is absent, at stamp 0, settled", async (drive) => {
      expect(must(await drive.read(KEY))).toEqual({ meta: null, stamp: 0n, prev: null, promised: 0n });
    });

    on("what is accepted is visible, in doubt, with what it replaced; a settle ends the doubt", async (drive) => {
      await settled(drive, 10n, "old");
      expect(await commit(drive, put(20n, "new"), 20n)).toBe("accepted");
      expect(await shown(drive)).toEqual({ tags: ["new"], stamp: 20n, prev: ["old"] });
      expect(drive.doubts()).toEqual([expect.objectContaining(KEY)]);
      must(await drive.settle(KEY, 20n));
      expect(await shown(drive)).toEqual({ tags: ["new"], stamp: 20n, prev: "settled" });
      expect(drive.doubts()).toEqual([]);
    });

    on(
      "what is copied at once is what is read: never of a key that is absent, in doubt or larger than the room",
      async (drive) => {
        const into = new Uint8Array(new ArrayBuffer(65_536));
        const mayCopy = async (): Promise<void> => {
          const { meta } = must(await drive.read(KEY));
          const bytes = drive.copyNow(KEY, into);
          if (bytes > 0) expect(Buffer.from(into.subarray(0, bytes)).equals(meta ?? new Uint8Array(0))).toBe(true);
          const room = new Uint8Array(new ArrayBuffer((meta?.length ?? 1) - 1));
          expect(drive.copyNow(KEY, room)).toBeLessThanOrEqual(0);
        };
        expect(drive.copyNow(KEY, into)).toBeLessThanOrEqual(0);
        expect(await commit(drive, put(10n, "one"), 10n)).toBe("accepted");
        expect(drive.copyNow(KEY, into)).toBeLessThanOrEqual(0);
        must(await drive.settle(KEY, 10n));
        expect(drive.copyNow(KEY, into)).toBeGreaterThan(0); // it was just written: it is in memory
        await mayCopy();
        if (drive instanceof LocalDrive) await drive.flush();
        await mayCopy();
        expect(await commit(drive, remove("null"), 20n)).toBe("accepted");
        must(await drive.settle(KEY, 20n));
        expect(drive.copyNow(KEY, into)).toBeLessThanOrEqual(0);
      },
    );

    on("what is read at once is what is read: in doubt, settled, absent, and in the tree", async (drive) => {
      const isSame = async (): Promise<boolean> => {
        const now = drive.readNow(KEY);
        if (now !== null) expect(now).toEqual(must(await drive.read(KEY)));
        return now !== null;
      };
      await isSame();
      await settled(drive, 10n, "one");
      expect(await isSame()).toBe(true); // it was just written: it is in memory
      expect(await commit(drive, put(20n, "two"), 20n)).toBe("accepted");
      expect(await isSame()).toBe(true);
      expect(drive.readNow(KEY)?.prev?.stamp).toBe(10n);
      must(await drive.settle(KEY, 20n));
      must(await drive.fence(KEY, 30n));
      expect(await isSame()).toBe(true);
      if (drive instanceof LocalDrive) await drive.flush();
      await isSame();
      expect(await commit(drive, remove("null"), 40n)).toBe("accepted");
      must(await drive.settle(KEY, 40n));
      expect(await isSame()).toBe(true);
    });

    on(
      "a commit that is taken at once is told its answer later, once; one that is not changes nothing",
      async (drive) => {
        let told: DriveOutcome<CommitAnswer>[] = [];
        const now = async (
          change: Change,
          stamp: Stamp,
          more: Partial<CommitTerms> = {},
          key = KEY,
        ): Promise<string> => {
          const before = await shown(drive);
          const { promise, resolve } = Promise.withResolvers<void>();
          told = [];
          const waiter = {
            answered(outcome: DriveOutcome<CommitAnswer>): void {
              told.push(outcome);
              resolve();
            },
          };
          if (!drive.commitNow(key, change, terms(stamp, more), waiter)) {
            expect(await shown(drive)).toEqual(before);
            return "not taken";
          }
          expect(told).toEqual([]);
          await promise;
          return said(must(told[0] as DriveOutcome<CommitAnswer>));
        };
        await settled(drive, 10n, "old");
        expect(await now(put(20n, "new"), 20n)).toBe("accepted");
        expect(await shown(drive)).toEqual({ tags: ["new"], stamp: 20n, prev: ["old"] });
        expect(await now(put(30n, "x"), 30n)).toBe("not taken"); // in doubt
        must(await drive.settle(KEY, 20n));
        expect(await now(put(20n, "x"), 20n)).toBe("not taken"); // done already
        expect(await now(put(15n, "x"), 15n)).toBe("not taken"); // stale
        expect(await now(put(90n, "x"), 90n, { prior: 10n })).toBe("not taken"); // and 90 is not promised to anybody
        expect(await now(remove("11111111-2222-4333-8444-555555555555"), 90n)).toBe("not taken");
        expect(await now(put(90n, "x"), 90n, {}, { bucket: "no-such-bucket", path: "k" })).toBe("not taken");
        expect(await now(remove("null"), 40n, { prior: 20n })).toBe("accepted");
        expect(await now(put(50n, "next"), 50n, { settles: [40n] })).toBe("accepted");
        must(await drive.settle(KEY, 50n));
        expect(await shown(drive)).toEqual({ tags: ["next"], stamp: 50n, prev: "settled" });
        expect(told.length).toBe(1);
      },
    );

    on("a commit changes what is there now, whatever was read before", async (drive) => {
      const other = "11111111-2222-4333-8444-555555555555";
      await settled(drive, 10n, "old");
      must(await drive.read(KEY));
      expect(await commit(drive, put(20n, "new", { versionId: other }), 20n)).toBe("accepted");
      must(await drive.settle(KEY, 20n));
      expect(await commit(drive, remove(other), 30n)).toBe("accepted");
      must(await drive.settle(KEY, 30n));
      expect(await shown(drive)).toEqual({ tags: ["old"], stamp: 30n, prev: "settled" });
      must(await drive.read(KEY));
      expect(await commit(drive, remove("null"), 40n)).toBe("accepted");
      expect(await commit(drive, put(50n, "later"), 50n)).toBe("doubt");
      must(await drive.settle(KEY, 40n));
      expect(await commit(drive, remove("null"), 60n)).toBe("missing");
    });

    on("a stamp at or below what is there or was promised is refused, and told the higher one", async (drive) => {
      await settled(drive, 10n, "old");
      for (const stamp of [9n, 5n])
        expect(must(await drive.commit(KEY, put(stamp, "late"), terms(stamp)))).toEqual({
          accepted: false,
          reason: "stale",
          stamp: 10n,
        });
      expect(must(await drive.fence(KEY, 30n)).promised).toBe(true);
      expect(must(await drive.commit(KEY, put(30n, "late"), terms(30n)))).toEqual({
        accepted: false,
        reason: "stale",
        stamp: 30n,
      });
      expect(await commit(drive, put(31n, "next"), 31n)).toBe("accepted");
    });

    on("over a doubt nothing is accepted, unless it is named as settled", async (drive) => {
      expect(await commit(drive, put(10n, "one"), 10n)).toBe("accepted");
      expect(await commit(drive, put(20n, "two"), 20n)).toBe("doubt");
      expect(await commit(drive, put(30n, "two"), 30n, { settles: [5n, 7n] })).toBe("doubt");
      expect(await commit(drive, put(40n, "two"), 40n, { settles: [7n, 10n] })).toBe("accepted");
      expect(await shown(drive)).toEqual({ tags: ["two"], stamp: 40n, prev: ["one"] });
    });

    on("a settle of another stamp ends no doubt", async (drive) => {
      await settled(drive, 10n, "old");
      await commit(drive, put(20n, "new"), 20n);
      must(await drive.settle(KEY, 10n));
      must(await drive.settle(KEY, 25n));
      expect(await shown(drive)).toEqual({ tags: ["new"], stamp: 20n, prev: ["old"] });
    });

    on("a prior that does not match is refused, one that matches is taken", async (drive) => {
      await settled(drive, 10n, "old");
      expect(await commit(drive, put(20n, "new"), 20n, { prior: 9n })).toBe("prior");
      expect(await commit(drive, put(21n, "new"), 21n, { prior: 10n })).toBe("accepted");
      expect(await commit(drive, put(5n, "n"), 5n, { prior: 0n, key: { bucket: "bucket", path: "other" } })).toBe(
        "accepted",
      );
    });

    for (const [reason, refused] of [
      ["doubt", (drive: Drive) => commit(drive, put(50n, "x"), 50n)],
      ["prior", (drive: Drive) => commit(drive, put(50n, "x"), 50n, { settles: [20n], prior: 1n })],
      ["missing", (drive: Drive) => commit(drive, remove(crypto.randomUUID()), 50n, { settles: [20n] })],
    ] as const)
      on(`a refusal is for ever: the same stamp is refused again (${reason})`, async (drive) => {
        await commit(drive, put(20n, "first"), 20n);
        expect(await refused(drive)).toBe(reason);
        must(await drive.settle(KEY, 20n));
        expect(await commit(drive, put(50n, "x"), 50n)).toBe("stale");
        expect(await commit(drive, put(49n, "x"), 49n)).toBe("stale");
        expect(await commit(drive, put(51n, "x"), 51n)).toBe("accepted");
      });

    on("a doubled COMMIT gets its first answer, also when it is settled or has a successor", async (drive) => {
      for (let i = 0; i < 2; i++) expect(await commit(drive, put(20n, "one"), 20n)).toBe("accepted");
      must(await drive.settle(KEY, 20n));
      expect(await commit(drive, put(20n, "one"), 20n)).toBe("accepted");
      await settled(drive, 30n, "two");
      expect(await commit(drive, put(20n, "one"), 20n)).toBe("accepted");
      expect(await shown(drive)).toEqual({ tags: ["two"], stamp: 30n, prev: "settled" });
    });

    on("one of two commits at once is accepted, the other meets its doubt or is late", async (drive) => {
      const answers = await Promise.all([commit(drive, put(10n, "one"), 10n), commit(drive, put(11n, "two"), 11n)]);
      expect(answers.filter((a) => a === "accepted")).toHaveLength(1);
      const winner = answers[0] === "accepted" ? "one" : "two";
      expect(await tags(drive)).toEqual([winner]);
    });
  });

  describe(`restore, fence and help on a ${maker.name}`, () => {
    on("a restore puts back what was there; the stamp stays refused, a larger one is taken", async (drive) => {
      await settled(drive, 10n, "old");
      await commit(drive, put(20n, "new"), 20n);
      expect(must(await drive.restore(KEY, 20n, 20n))).toBe(true);
      expect(await shown(drive)).toEqual({ tags: ["old"], stamp: 10n, prev: "settled" });
      expect(drive.doubts()).toEqual([]);
      expect(await commit(drive, put(20n, "new"), 20n)).toBe("stale");
      expect(await commit(drive, put(21n, "again"), 21n, { prior: 10n })).toBe("accepted");
    });

    on("a restored first write leaves nothing, and a restored delete brings the key back", async (drive) => {
      await commit(drive, put(20n, "new"), 20n);
      expect(must(await drive.restore(KEY, 20n, 20n))).toBe(true);
      expect(must(await drive.readDirectory("bucket", ""))).toEqual([]);
      await settled(drive, 30n, "kept");
      expect(await commit(drive, remove(), 40n)).toBe("accepted");
      expect(await tags(drive)).toBeNull();
      expect(must(await drive.restore(KEY, 40n, 40n))).toBe(true);
      expect(await shown(drive)).toEqual({ tags: ["kept"], stamp: 30n, prev: "settled" });
    });

    on(
      "a restore of what is settled does nothing and says so; of what is not there, that it is gone",
      async (drive) => {
        await settled(drive, 10n, "old");
        expect(must(await drive.restore(KEY, 10n, 10n))).toBe(false);
        expect(must(await drive.restore(KEY, 5n, 5n))).toBe(true);
        expect(await tags(drive)).toEqual(["old"]);
      },
    );

    on("a fence promises once: a lower or equal resolver is told no, and what is there", async (drive) => {
      await settled(drive, 10n, "old");
      await commit(drive, put(20n, "new"), 20n);
      const first = must(await drive.fence(KEY, 30n));
      expect([first.promised, first.state.stamp, first.state.promised]).toEqual([true, 20n, 30n]);
      expect(first.state.prev?.stamp).toBe(10n);
      for (const [stamp, promised] of [
        [30n, false],
        [29n, false],
        [31n, true],
      ] as const)
        expect(must(await drive.fence(KEY, stamp)).promised).toBe(promised);
      expect(must(await drive.read(KEY)).promised).toBe(31n);
    });

    on("a fence does not count at or below the last stamp that was accepted, a restored one too", async (drive) => {
      await commit(drive, put(20n, "new"), 20n);
      must(await drive.restore(KEY, 20n, 20n));
      expect(must(await drive.fence(KEY, 20n)).promised).toBe(false);
      expect(must(await drive.fence(KEY, 21n)).promised).toBe(true);
    });

    on("the writer's own restore does nothing once a resolver has fenced; the resolver's does", async (drive) => {
      await settled(drive, 10n, "old");
      await commit(drive, put(20n, "new"), 20n);
      must(await drive.fence(KEY, 30n));
      expect(must(await drive.restore(KEY, 20n, 20n))).toBe(false);
      expect(await tags(drive)).toEqual(["new"]);
      must(await drive.fence(KEY, 40n));
      expect(must(await drive.restore(KEY, 30n, 20n))).toBe(false);
      expect(must(await drive.restore(KEY, 40n, 20n))).toBe(true);
      expect(await tags(drive)).toEqual(["old"]);
    });

    on("help is taken under the newest fence only", async (drive) => {
      await settled(drive, 10n, "old");
      expect(must(await drive.help(KEY, 30n, 20n, put(20n, "new")))).toBe(false);
      must(await drive.fence(KEY, 30n));
      must(await drive.fence(KEY, 40n));
      expect(must(await drive.help(KEY, 30n, 20n, put(20n, "new")))).toBe(false);
      expect(await tags(drive)).toEqual(["old"]);
      expect(must(await drive.help(KEY, 40n, 20n, put(20n, "new")))).toBe(true);
      expect(await shown(drive)).toEqual({ tags: ["new"], stamp: 20n, prev: ["old"] });
      expect(must(await drive.help(KEY, 40n, 20n, put(20n, "new")))).toBe(true); // it has it
    });

    on("help is refused when something was accepted since the fence, even if that is restored again", async (drive) => {
      must(await drive.fence(KEY, 30n));
      await commit(drive, put(35n, "later"), 35n);
      must(await drive.restore(KEY, 35n, 35n));
      expect(must(await drive.help(KEY, 30n, 20n, put(20n, "new")))).toBe(false);
      expect(await tags(drive)).toBeNull();
    });

    on("help is refused over a newer state and over a doubt", async (drive) => {
      await settled(drive, 25n, "newer");
      must(await drive.fence(KEY, 30n));
      expect(must(await drive.help(KEY, 30n, 20n, put(20n, "old")))).toBe(false);
      const other = { bucket: "bucket", path: "other" };
      await commit(drive, put(5n, "doubt"), 5n, { key: other });
      must(await drive.fence(other, 30n));
      expect(must(await drive.help(other, 30n, 20n, put(20n, "new")))).toBe(false);
      expect(await tags(drive, other)).toEqual(["doubt"]);
    });
  });

  describe(`changes on a ${maker.name}`, () => {
    const V1 = "11111111-1111-4111-8111-111111111111";
    const V2 = "22222222-2222-4222-8222-222222222222";

    on("versions are kept beside each other, a put of the same version replaces it", async (drive) => {
      await commit(drive, put(10n, "one", { versionId: V1 }), 10n);
      await commit(drive, put(20n, "two", { versionId: V2 }), 20n, { settles: [10n] });
      await commit(drive, marker(30n, "33333333-3333-4333-8333-333333333333"), 30n, { settles: [20n] });
      expect(await tags(drive)).toEqual(["marker", "two", "one"]);
      await commit(drive, put(40n, "three", { versionId: V1 }), 40n, { settles: [30n] });
      expect(await tags(drive)).toEqual(["three", "marker", "two"]);
    });

    on("delete-version removes that one; the last one takes the key and its empty directories along", async (drive) => {
      await commit(drive, put(10n, "one", { versionId: V1 }), 10n);
      await commit(drive, put(20n, "two", { versionId: V2 }), 20n, { settles: [10n] });
      expect(await commit(drive, remove(V2), 30n, { settles: [20n] })).toBe("accepted");
      expect(await tags(drive)).toEqual(["one"]);
      expect(await commit(drive, remove(V2), 40n, { settles: [30n] })).toBe("missing");
      expect(await commit(drive, remove(V1), 50n, { settles: [30n] })).toBe("accepted");
      must(await drive.settle(KEY, 50n));
      expect(await tags(drive)).toBeNull();
      expect(must(await drive.readDirectory("bucket", ""))).toEqual([]);
    });

    on("a delete leaves the keys beside and below it alone", async (drive) => {
      const below = { bucket: "bucket", path: "a/key/below" };
      const beside = { bucket: "bucket", path: "a/beside" };
      await settled(drive, 10n, "x");
      await settled(drive, 11n, "below", below);
      await settled(drive, 12n, "beside", beside);
      await commit(drive, remove(), 20n);
      must(await drive.settle(KEY, 20n));
      expect(await tags(drive)).toBeNull();
      expect([await tags(drive, below), await tags(drive, beside)]).toEqual([["below"], ["beside"]]);
    });

    on(
      "patch sets and removes metadata of one version and leaves its time; an unknown one is missing",
      async (drive) => {
        await commit(drive, put(10n, "one", { versionId: V1 }), 10n);
        const metaUsr = new Map([["tag", "patched"]]);
        const patch = { kind: "patch", versionId: V1, metaUsr, metaSys: new Map<string, Uint8Array | null>() } as const;
        expect(await commit(drive, patch, 20n, { settles: [10n] })).toBe("accepted");
        expect(await shown(drive)).toEqual({ tags: ["patched"], stamp: 20n, prev: ["one"] });
        expect(must(await drive.restore(KEY, 20n, 20n))).toBe(true);
        expect(await tags(drive)).toEqual(["one"]);
        expect(
          await commit(drive, { kind: "patch", versionId: V2, metaUsr: NO_CHANGES, metaSys: new Map() }, 30n),
        ).toBe("missing");
      },
    );

    on("replace takes the whole key as it stands elsewhere", async (drive) => {
      await settled(drive, 10n, "stale");
      const elsewhere = must(await drive.read(KEY)).meta as Uint8Array;
      await commit(drive, put(20n, "fresh"), 20n);
      must(await drive.settle(KEY, 20n));
      const replace = { kind: "replace", meta: elsewhere, op: "no-op", dataDirs: [] } as const;
      expect(await commit(drive, replace, 30n, { prior: 20n })).toBe("accepted");
      must(await drive.settle(KEY, 30n));
      expect(await tags(drive)).toEqual(["stale"]);
    });

    on("what was settled is there after a restart, and what is in doubt still is", async (drive, reopen) => {
      await settled(drive, 10n, "old");
      await settled(drive, 10n, "other", { bucket: "bucket", path: "other" });
      await commit(drive, put(20n, "new"), 20n);
      const again = await reopen();
      expect(await shown(again)).toEqual({ tags: ["new"], stamp: 20n, prev: ["old"] });
      expect(await tags(again, { bucket: "bucket", path: "other" })).toEqual(["other"]);
      must(await again.fence(KEY, 30n));
      expect(must(await again.restore(KEY, 30n, 20n))).toBe(true);
      expect(await tags(again)).toEqual(["old"]);
      expect(await tags(await reopen())).toEqual(["old"]);
    });

    on("a delete in doubt is in doubt after a restart, and can be taken back or settled", async (drive, reopen) => {
      await settled(drive, 10n, "old");
      await commit(drive, remove(), 20n);
      const again = await reopen();
      expect(again.doubts()).toEqual([expect.objectContaining(KEY)]);
      must(await again.fence(KEY, 30n));
      expect(must(await again.restore(KEY, 30n, 20n))).toBe(true);
      expect(await tags(again)).toEqual(["old"]);
    });

    on(
      "a read at the same time as a commit shows one whole state: no old bytes at a new stamp, nothing settled too early",
      async (drive) => {
        let last = 10n;
        let named = 10n; // up to here a settle was asked for
        await settled(drive, last, "s10");
        const seen: string[] = [];
        let writing = true;
        const reader = async (): Promise<void> => {
          while (writing) {
            await turns(); // a drive may answer from memory: others get their turn too
            const { tags: now, stamp, prev } = await shown(drive);
            const early = prev === "settled" && stamp > named;
            if (early || now?.[0] !== `s${stamp}` || (prev !== "settled" && prev?.[0] === now[0]))
              seen.push(`${now} at ${stamp}, prev ${prev}`);
          }
        };
        const readers = [reader(), reader()];
        for (let stamp = 11n; stamp < 31n; stamp++) {
          named = last;
          expect(await commit(drive, put(stamp, `s${stamp}`), stamp, { settles: [last] })).toBe("accepted");
          last = stamp;
        }
        writing = false;
        await Promise.all(readers);
        expect(seen).toEqual([]);
      },
    );
  });
}
