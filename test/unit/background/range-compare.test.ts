/** Comparing drives by their indexes: what a range counts for, and that ranges that are the same cost no look at a key. */
import { expect, test } from "bun:test";
import { compareSet, RANGE_LOOKS } from "../../../src/background/range-compare.ts";
import { KeyLock } from "../../../src/core/key-lock.ts";
import type { DriveOutcome } from "../../../src/storage/drive.ts";
import type { ErasureSet } from "../../../src/erasure/erasure-set.ts";
import { good } from "../../../src/core/fan-out.ts";
import type { IndexRangeAnswer, IndexRangeAsked } from "../../../src/storage/drive-upkeep.ts";

test("a range of a thousand keys counts for many looks: it holds the thread up for as long", async () => {
  const ends = ["k1", "k2", null];
  const indexRange = ({ after, limit }: IndexRangeAsked): Promise<DriveOutcome<IndexRangeAnswer | null>> => {
    const last = limit > 1_000 ? null : (ends[after === "" ? 0 : Number(after.slice(1))] ?? null);
    return Promise.resolve(good({ hash: "same", keys: 1_000, last, rows: null } as unknown as IndexRangeAnswer));
  };
  const drives = [0, 1].map(() => ({ state: "ok", upkeep: { indexRange } }));
  const each = (work: (drive: unknown) => Promise<unknown>): Promise<unknown[]> => Promise.all(drives.map(work));
  const set = { drives, each } as unknown as ErasureSet;
  const looks: number[] = [];
  const compared = await compareSet(set, {
    locks: new KeyLock(),
    signal: new AbortController().signal,
    buckets: ["bucket"],
    pace: (count) => {
      looks.push(count);
      return Promise.resolve();
    },
    onFailure: () => undefined,
    indexed: true,
  });
  expect(compared).toMatchObject({ ranges: 3, different: 0, keysHealed: 0 });
  expect(looks).toEqual([RANGE_LOOKS, RANGE_LOOKS, RANGE_LOOKS]);
  expect(RANGE_LOOKS).toBeGreaterThanOrEqual(10);
});
