import { expect } from "bun:test";
import { FormatError } from "../../../src/core/format-error.ts";
import { decodePoolMeta, encodePoolMeta, type PoolStatus, reconcilePools } from "../../../src/erasure/pool-meta.ts";
import { takeoverDocuments } from "../storage/takeover-drives.ts";
import { hex, onFixtures } from "../storage/xl-meta-fixtures.ts";

const PATH = /\.minio\.sys\/pool\.bin\/xl\.meta$/;

function poolBin(set: string): Uint8Array {
  return [...takeoverDocuments(set, PATH).values()][0] as Uint8Array;
}

onFixtures.each(["pools", "pools-decom", "set4"])("pool.bin of %s decodes, and encodes to the same bytes", (set) => {
  const documents = takeoverDocuments(set, PATH);
  expect(documents.size).toBeGreaterThan(0);
  for (const bytes of documents.values()) expect(hex(encodePoolMeta(decodePoolMeta(bytes)))).toBe(hex(bytes));
});

onFixtures("a drained pool shows its decommission", () => {
  const [first, second] = decodePoolMeta(poolBin("pools-decom")) as [PoolStatus, PoolStatus];
  expect([first.argument, second.argument]).toEqual(["d{1...4}", "d{5...12}"]);
  expect(first.decommission).toMatchObject({ isComplete: true, isFailed: false, queuedBuckets: [] });
  expect(first.decommission?.doneBuckets.slice(0, 2)).toEqual([".minio.sys/config", ".minio.sys/buckets"]);
  expect(second.decommission).toBeNull();
});

onFixtures("known pools keep their state when the arguments change", () => {
  const known = decodePoolMeta(poolBin("pools-decom"));
  const same = known.map(({ argument }) => argument);
  expect(reconcilePools(known, same, 9n)).toBeNull();
  const grown = reconcilePools(known, ["/new{1...4}", ...same], 9n) as PoolStatus[];
  expect(grown.map(({ id }) => id)).toEqual([0, 1, 2]);
  expect(grown[0]).toEqual({ id: 0, argument: "/new{1...4}", lastUpdate: 9n, decommission: null });
  expect(grown[1]?.decommission?.isComplete).toBe(true);
});

onFixtures("every truncation is refused", () => {
  const bytes = poolBin("pools-decom");
  for (let length = 0; length < bytes.length; length++)
    expect(() => decodePoolMeta(bytes.subarray(0, length))).toThrow(FormatError);
});
