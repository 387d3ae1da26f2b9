/** A put is the same bytes whether it is copied from the template of its set or encoded for one drive. */
import { expect, test } from "bun:test";
import { applyChange } from "../../../src/storage/apply-change.ts";
import type { Change, DataSource } from "../../../src/storage/drive.ts";
import { indexRow } from "../../../src/storage/index-row.ts";
import { PutTemplate } from "../../../src/storage/put-template.ts";
import { SummaryCache } from "../../../src/storage/version-summary.ts";
import { INLINE_DATA_KEY } from "../../../src/storage/xl-meta-header.ts";
import type { ObjectVersion } from "../../../src/storage/xl-meta-version.ts";
import { XlMeta } from "../../../src/storage/xl-meta.ts";
import { seededRng } from "../../sim/seeded.ts";

const PUTS = 100;

interface Drawn {
  readonly template: PutTemplate;
  readonly dataOf: () => DataSource;
}

/** A version as uploads make them, of any length, id and metadata. */
function draw(seed: number): Drawn {
  const rng = seededRng(seed);
  const below = (n: number): number => Math.floor(rng.next() * n);
  const dataShards = 1 + below(12);
  const parityShards = 1 + below(dataShards);
  const isInline = below(3) > 0;
  const inlineBytes = below(3) === 0 ? below(400) : below(5_000);
  const metaSys = new Map<string, Uint8Array>(isInline ? [[INLINE_DATA_KEY, new TextEncoder().encode("true")]] : []);
  const metaUsr = new Map([["etag", "0123456789abcdef".repeat(2)]]);
  for (let i = below(4); i > 0; i--) metaUsr.set(`X-Amz-Meta-${i}`, "wörd ".repeat(below(80)));
  const version: ObjectVersion = {
    type: 1,
    versionId: below(2) === 0 ? "null" : rng.uuid(),
    dataDir: rng.uuid(),
    dataShards,
    parityShards,
    blockSizeBytes: 1_048_576,
    erasureIndex: 1,
    distribution: Array.from({ length: dataShards + parityShards }, (_, i) => i + 1),
    partNumbers: [1],
    partEtags: null,
    partSizes: [inlineBytes],
    partActualSizes: [inlineBytes],
    partIndices: null,
    sizeBytes: inlineBytes,
    modTime: 1_700_000_000_000_000_000n + BigInt(below(1e9)),
    metaSys,
    metaUsr,
  };
  const dataOf = (): DataSource =>
    isInline ? { kind: "inline", bytes: rng.fill(new Uint8Array(inlineBytes)) } : { kind: "staged", op: "op" };
  return { template: new PutTemplate(version), dataOf };
}

/** The same without what is made for all drives at once. */
function plain(change: Change): Change {
  if (change.kind !== "put") throw new Error("a put");
  const { kind, body, header, versionId, dataDir, data } = change;
  return { kind, body, header, versionId, dataDir, data };
}

test("on a key that is not there, and over one that has nothing else", () => {
  for (let seed = 1; seed <= PUTS; seed++) {
    const { template, dataOf } = draw(seed);
    const { dataShards, parityShards, versionId } = template.version;
    for (let shard = 1; shard <= dataShards + parityShards; shard++) {
      const change = template.changeFor(shard, dataOf());
      const fresh = applyChange(null, change);
      const encoded = applyChange(null, plain(change));
      expect([seed, shard, fresh?.meta]).toEqual([seed, shard, encoded?.meta]);
      expect(fresh?.freedDirs).toEqual([]);
      const other = new PutTemplate({ ...draw(seed + PUTS).template.version, versionId });
      const before = applyChange(null, other.changeFor(shard, { kind: "staged", op: "before" }))?.meta ?? null;
      const over = applyChange(before, change);
      const encodedOver = applyChange(before, plain(change));
      expect([seed, over?.meta, over?.freedDirs]).toEqual([seed, encodedOver?.meta, encodedOver?.freedDirs]);
      const record = new Uint8Array(over?.lone?.length ?? 0).fill(0xaa);
      over?.lone?.writeTo(record, 0);
      expect(record).toEqual(over?.meta as Uint8Array<ArrayBuffer>);
      expect(XlMeta.decode(over?.meta as Uint8Array).versions[0]?.header.signature).toBe(template.header.signature);
    }
  }
});

test("beside another version nothing of it is lost", () => {
  const first = draw(1).template;
  const second = new PutTemplate({ ...draw(2).template.version, versionId: "11111111-2222-4333-8444-555555555555" });
  const before = applyChange(null, first.changeFor(1, { kind: "inline", bytes: new Uint8Array(9) }))?.meta ?? null;
  const change = second.changeFor(1, { kind: "inline", bytes: new Uint8Array(5) });
  const both = applyChange(before, change);
  expect(both?.meta).toEqual(applyChange(before, plain(change))?.meta as Uint8Array);
  expect([both?.parsed?.versions.length, both?.lone]).toEqual([2, null]);
});

test("the index is told the same by the template as by the bytes", () => {
  for (let seed = 1; seed <= PUTS; seed++) {
    const { template, dataOf } = draw(seed);
    const applied = applyChange(null, template.changeFor(1, dataOf()));
    const key = { bucket: "b", path: `k${seed}` };
    const told = indexRow(key, applied?.parsed ?? null, 7n, new SummaryCache());
    const read = indexRow(key, XlMeta.decode(applied?.meta as Uint8Array), 7n, new SummaryCache());
    expect(told).toEqual(read);
    // Another key or another stamp is another row.
    expect(indexRow({ ...key, path: "other" }, applied?.parsed ?? null, 7n, new SummaryCache()).key).toBe("other");
    expect(indexRow(key, applied?.parsed ?? null, 8n, new SummaryCache()).own).toBe("8");
  }
});
