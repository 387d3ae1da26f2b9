/** Truth tables of the quorum rules: who counts, what is committed, what is looked behind, what is not known. */
import { describe, expect, test } from "bun:test";
import {
  type CommitVote,
  deleteQuorum,
  doubtQuorum,
  isOutlived,
  judgeCommit,
  judgeDoubts,
  mergeVersions,
  versionQuorum,
  voteOfError,
  writeQuorum,
} from "../../../src/erasure/quorum.ts";
import { DriveError, type DriveErrorCode, type KeyState } from "../../../src/storage/drive.ts";
import { XlMeta } from "../../../src/storage/xl-meta.ts";
import { applyChange } from "../../../src/storage/apply-change.ts";
import { marker, put, remove } from "../../contract/changes.ts";

describe("quorums", () => {
  test.each([
    // k  m  write
    [1, 0, 1],
    [1, 1, 2],
    [2, 1, 2],
    [2, 2, 3],
    [3, 1, 3],
    [4, 4, 5],
    [6, 2, 6],
    [12, 4, 12],
    [8, 8, 9],
  ])("%p data and %p parity shards need %p drives for a write", (k, m, write) => {
    expect(writeQuorum(k, m)).toBe(write);
    expect(write).toBeGreaterThan((k + m) / 2); // two writes meet
    expect(k + write).toBeGreaterThan(k + m); // any k answers hold a copy
  });

  test.each([
    [1, 1, 1],
    [2, 2, 1],
    [4, 3, 2],
    [5, 3, 3],
    [8, 5, 4],
    [16, 9, 8],
  ])("of %p drives a delete needs %p, and a marker counts with %p", (drives, needed, counts) => {
    expect(deleteQuorum(drives)).toBe(needed);
    expect(versionQuorum({ type: 2, ecM: 0 }, drives, 3)).toBe(counts);
    expect(versionQuorum({ type: 1, ecM: 2 }, drives, 3)).toBe(2);
    expect(versionQuorum({ type: 1, ecM: 0 }, drives, 3)).toBe(3);
  });
});

describe("judgeCommit", () => {
  const ok = "accepted";
  const none = "missing";
  const no = "refused";
  const gone = "untouched";
  const lost = "unknown";
  test.each<[CommitVote, CommitVote, CommitVote, CommitVote, string]>([
    // d1    d2    d3    d4     verdict of 2+2, W = 3
    [ok, ok, ok, ok, "committed"],
    [ok, ok, ok, gone, "committed"],
    [ok, ok, ok, lost, "committed"],
    [ok, ok, ok, no, "committed"],
    [ok, none, none, gone, "committed"],
    [none, none, none, none, "committed"],
    [ok, ok, gone, gone, "refused"],
    [ok, ok, no, gone, "refused"],
    [ok, no, no, ok, "refused"],
    [no, no, no, no, "refused"],
    [gone, gone, gone, gone, "refused"],
    [no, gone, lost, lost, "refused"],
    [ok, ok, lost, lost, "unknown"],
    [ok, ok, no, lost, "unknown"],
    [ok, lost, lost, gone, "unknown"],
    [lost, lost, lost, lost, "unknown"],
  ])("%p %p %p %p is %s", (a, b, c, d, verdict) => {
    expect(judgeCommit([a, b, c, d], 3)).toBe(verdict as "committed");
  });

  test("no set of votes is committed and refused at once, and one more acceptance never makes it worse", () => {
    const votes = [ok, none, no, gone, lost] as const;
    const rank = { refused: 0, unknown: 1, committed: 2 };
    for (let code = 0; code < 5 ** 4; code++) {
      const row = [0, 1, 2, 3].map((i) => votes[Math.floor(code / 5 ** i) % 5] as CommitVote);
      for (const quorum of [3, 4]) {
        const before = judgeCommit(row, quorum);
        for (const i of row.keys())
          expect(rank[judgeCommit(row.with(i, ok), quorum)]).toBeGreaterThanOrEqual(rank[before]);
      }
    }
  });

  test.each<[DriveErrorCode, CommitVote]>([
    ["Io", "unknown"],
    ["Timeout", "unknown"],
    ["NoSpace", "untouched"],
    ["ReadOnly", "untouched"],
    ["Faulty", "untouched"],
    ["NotFound", "untouched"],
    ["Denied", "untouched"],
  ])("a drive that fails with %s has an %s vote", (code, vote) => {
    expect(voteOfError(new DriveError(code, "x"))).toBe(vote);
  });
});

function state(stamp: bigint, prev: bigint | null): KeyState {
  return { meta: null, stamp, prev: prev === null ? null : { meta: null, stamp: prev }, promised: stamp };
}

describe("judgeDoubts", () => {
  const old = state(10n, null);
  const doubt = state(20n, 10n);
  const settled = state(20n, null);
  const newer = state(30n, null);
  const other = state(15n, 10n);
  const quiet = undefined;
  test.each<[string, (KeyState | undefined)[], string]>([
    ["nobody doubts", [old, old, old, old], "clear"],
    ["held by W", [doubt, doubt, doubt, old], "clear"],
    ["held by W, one silent", [doubt, doubt, doubt, quiet], "clear"],
    ["settled on one", [doubt, settled, old, old], "clear"],
    ["outlived by a newer settled one", [doubt, newer, newer, newer], "clear"],
    ["never acknowledged", [doubt, old, old, old], "behind 20"],
    ["held by two, nobody silent", [doubt, doubt, old, old], "behind 20"],
    ["held by two, one silent", [doubt, doubt, old, quiet], "unknown"],
    ["held by one, two silent", [doubt, old, quiet, quiet], "unknown"],
    ["held by one, one silent", [doubt, old, old, quiet], "behind 20"],
    ["two failed writes", [doubt, other, old, old], "behind 20 15"],
    ["a failed write under a committed one", [doubt, doubt, doubt, other], "clear"],
    ["a newer failed write that found the older one settled", [state(30n, 20n), doubt, old, old], "behind 30"],
  ])("%s", (_, states, verdict) => {
    const found = judgeDoubts(states, () => 3);
    const shown =
      found.kind === "unknown"
        ? "unknown"
        : found.rollBack.size === 0
          ? "clear"
          : `behind ${[...found.rollBack].join(" ")}`;
    expect(shown).toBe(verdict);
  });

  test("a drive with an older version of the id that is deleted did not take the delete, one without any may have", () => {
    const meta = (stamp: bigint): Uint8Array | null => applyChange(null, put(stamp, "x"))?.meta ?? null;
    const [stale, found] = [meta(10n), meta(20n)];
    const deleted: KeyState = { meta: null, stamp: 30n, prev: { meta: found, stamp: 20n }, promised: 30n };
    const holds = (bytes: Uint8Array | null, stamp: bigint): KeyState => ({
      meta: bytes,
      stamp,
      prev: null,
      promised: stamp,
    });
    const verdict = (other: KeyState): unknown => judgeDoubts([deleted, holds(found, 20n), other], () => 2);
    expect(verdict(holds(stale, 10n))).toEqual({ kind: "clear", rollBack: new Set([30n]) });
    expect(verdict(holds(found, 20n))).toEqual({ kind: "clear", rollBack: new Set([30n]) });
    expect(verdict(holds(null, 0n))).toEqual({ kind: "clear", rollBack: new Set() });
  });

  test("a stamp is outlived by the same or a later settled one, or by what was accepted over it", () => {
    expect(isOutlived([doubt, old], 20n)).toBe(false);
    expect(isOutlived([doubt, settled], 20n)).toBe(true);
    expect(isOutlived([doubt, newer], 20n)).toBe(true);
    expect(isOutlived([doubt, state(30n, 20n)], 20n)).toBe(true);
    expect(isOutlived([doubt, state(30n, 10n)], 20n)).toBe(false);
  });
});

describe("doubtQuorum", () => {
  const meta = (...changes: Parameters<typeof applyChange>[1][]): Uint8Array | null => {
    let bytes: Uint8Array | null = null;
    for (const change of changes) bytes = applyChange(bytes, change)?.meta ?? null;
    return bytes;
  };
  const V2 = "22222222-2222-4222-8222-222222222222";
  const one = put(10n, "one");
  const patch = { kind: "patch", versionId: "null", metaUsr: new Map([["a", "b"]]), metaSys: new Map() } as const;
  test.each([
    ["a first put of 2+2", null, meta(one), 3],
    ["an overwrite", meta(one), meta(one, put(20n, "two")), 3],
    ["a delete", meta(one), null, 3],
    ["a marker", meta(one), meta(one, marker(20n, V2)), 3],
    ["a patch", meta(one), meta(one, patch), 3],
    ["a removal of one of two versions", meta(one, marker(20n, V2)), meta(one, marker(20n, V2), remove(V2)), 3],
  ])("%s on four drives needs %p", (_, before, after, needed) => {
    const held = { meta: after, stamp: 20n, prev: { meta: before, stamp: 10n }, promised: 20n };
    expect(doubtQuorum(held, 4, 2)).toBe(needed);
  });
});

describe("mergeVersions", () => {
  const metaOf = (...changes: Parameters<typeof applyChange>[1][]): XlMeta => {
    let bytes: Uint8Array | null = null;
    for (const change of changes) bytes = applyChange(bytes, change)?.meta ?? null;
    return bytes === null ? XlMeta.empty() : XlMeta.decode(bytes);
  };
  const one = metaOf(put(10n, "one"));
  const two = metaOf(put(20n, "two"));
  const patched = metaOf(put(10n, "one"), {
    kind: "patch",
    versionId: "null",
    metaUsr: new Map([["a", "b"]]),
    metaSys: new Map(),
  });
  const merge = (metas: (XlMeta | null | undefined)[]) =>
    mergeVersions(
      metas.flatMap((meta, drive) => (meta === undefined ? [] : [{ drive, stamp: 0n, inDoubt: false, meta }])),
      metas.length,
      2,
    );
  test.each<[string, (XlMeta | null | undefined)[], bigint[], number, number[]]>([
    // what                                      drives                        times    undecided  differing
    ["all agree", [one, one, one, one], [10n], 0, []],
    ["all absent", [null, null, null, null], [], 0, []],
    ["two have it", [one, one, null, null], [10n], 0, [2, 3]],
    ["one has it, three do not", [one, null, null, null], [], 0, [0]],
    ["one has it, one is silent", [one, null, null, undefined], [], 0, [0]],
    ["one has it, two are silent", [one, null, undefined, undefined], [], 1, [0]],
    ["an overwrite that three have", [two, two, two, one], [20n], 0, [3]],
    ["two and two: the newer one", [two, two, one, one], [20n], 0, [2, 3]],
    ["one and three: the older one", [two, one, one, one], [10n], 0, [0]],
    ["a change of metadata that three have", [patched, patched, patched, one], [10n], 0, [3]],
  ])("%s", (_, metas, times, undecided, differing) => {
    const merged = merge(metas);
    expect(merged.versions.map((v) => v.header.modTime)).toEqual(times);
    expect(merged.undecided).toHaveLength(undecided);
    expect([...merged.differing]).toEqual(differing);
  });

  test("a drive that missed a change of metadata is no holder of the version, but of its data", () => {
    const [version] = merge([patched, patched, patched, one]).versions;
    expect([version?.holders, version?.copies]).toEqual([
      [0, 1, 2],
      [0, 1, 2, 3],
    ]);
  });
});
