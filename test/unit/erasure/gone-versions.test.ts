/** What is proven gone from a drive, and what only looks so. Four drives, 2+2. */
import { expect, test } from "bun:test";
import { goneVersions } from "../../../src/erasure/gone-versions.ts";
import { mergeVersions } from "../../../src/erasure/quorum.ts";
import type { KeyReading } from "../../../src/erasure/read-version.ts";
import { applyChange, parseMeta } from "../../../src/storage/apply-change.ts";
import type { KeyState } from "../../../src/storage/drive.ts";
import { put } from "../../contract/changes.ts";

const OLD = "11111111-1111-4111-8111-111111111111";
const NEW = "22222222-2222-4222-8222-222222222222";
const older = applyChange(null, put(10n, "old", { versionId: OLD }))?.meta ?? null;
const newer = applyChange(null, put(20n, "new", { versionId: NEW }))?.meta ?? null;
const settled = (meta: Uint8Array | null, stamp: bigint): KeyState => ({ meta, stamp, prev: null, promised: 0n });

/** What a drive says. */
const ANSWERS = {
  both: settled(applyChange(older, put(20n, "new", { versionId: NEW }))?.meta ?? null, 20n),
  new: settled(newer, 20n),
  none: settled(null, 30n),
  lost: settled(null, 0n),
  bad: settled(Uint8Array.of(88, 76, 50, 32, 0), 1n),
  doubt: { ...settled(newer, 25n), prev: { meta: newer, stamp: 20n } },
  away: undefined,
} satisfies Record<string, KeyState | undefined>;
type Answer = keyof typeof ANSWERS;

function readingOf(answers: readonly Answer[]): KeyReading {
  const states = answers.map((answer): KeyState | undefined => ANSWERS[answer]);
  const parsed = states.map((state) => (state === undefined ? undefined : parseMeta(state.meta)));
  const views = parsed.flatMap((meta, drive) =>
    meta === undefined || meta === "unreadable" ? [] : [{ drive, stamp: 0n, inDoubt: false, meta }],
  );
  return {
    key: { bucket: "bucket", path: "k" },
    states,
    metas: parsed.map((meta) => (meta === "unreadable" ? null : meta)),
    merged: mergeVersions(views, answers.length, 2),
    highest: 0n,
    rolledBack: new Set(),
    partial: false,
  };
}

test.each<[readonly Answer[], readonly number[], bigint | null, readonly string[]]>([
  // what the drives say              rebuilt  debt   gone from the first
  [["both", "new", "new", "new"], [], null, []], // perhaps a loss
  [["both", "new", "new", "new"], [0], null, [OLD]],
  [["both", "new", "new", "away"], [0], null, [OLD]],
  [["both", "new", "away", "away"], [0], null, []],
  [["both", "new", "bad", "away"], [0], null, []], // what cannot be read says nothing
  [["both", "new", "bad", "bad"], [0], null, []],
  [["both", "new", "new", "doubt"], [0], null, []],
  [["both", "new", "new", "away"], [0, 1], null, []], // one witness
  [["new", "new", "both", "new"], [0], null, []],
  [["both", "new", "new", "new"], [], 15n, [OLD]],
  [["both", "new", "new", "new"], [], 5n, []], // the version is younger than what was missed
  [["both", "none", "none", "none"], [], null, [NEW, OLD]],
  [["both", "none", "none", "away"], [], null, []],
  [["both", "lost", "lost", "lost"], [], null, []], // nothing says when
  [["both", "none", "none", "bad"], [0], null, [NEW, OLD]],
])("drives that say %p, rebuilt %p, debt up to %p: gone is %p", (answers, rebuilt, owed, gone) => {
  const removed = owed === null ? null : new Map([[OLD, owed]]);
  expect(goneVersions(readingOf(answers), 0, { removed, rebuilding: new Set(rebuilt) })).toEqual([...gone]);
});
