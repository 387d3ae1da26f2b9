/** The codec against published vectors, on every tier of this CPU. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeInline, encodeInline, framedFileBytes, shardFileBytes } from "../../../src/codec/bitrot.ts";
import { type Codec, loadCodec } from "../../../src/codec/native.ts";

const VECTORS = join(process.env["SHERD_FIXTURES"] ?? "../shared/fixtures", "xlmeta/vectors.json");
const known = existsSync(VECTORS);
const vectors = known ? JSON.parse(readFileSync(VECTORS, "utf8")) : {};
const CODECS = [0, 1, 2, 3, 4].map((tier) => loadCodec({ tier })).filter((codec, tier) => codec.tier === tier);
const noise = (bytes: number): Uint8Array => Uint8Array.from({ length: bytes }, (_, i) => (i * 2654435761) >>> 13);
const SHAPES = Array.from({ length: 16 }, (_, k) => k + 1).flatMap((k) =>
  Array.from({ length: Math.min(k, 16 - k) + 1 }, (_, m) => ({ k, m })),
);

test.skipIf(!known)("HighwayHash-256 gives the published digests on every tier", () => {
  for (const codec of CODECS) {
    for (const { inputHex, hashHex } of vectors.highwayhash256.cases) {
      if (inputHex === undefined) continue;
      const out = new Uint8Array(new ArrayBuffer(1024));
      codec.hash(new Uint8Array(Buffer.from(inputHex, "hex")), out);
      expect(Buffer.from(out.subarray(0, 32)).toString("hex")).toBe(hashHex);
    }
  }
});

test.skipIf(!known)("shard and file sizes are those of the format", () => {
  for (const [k, total, , shardFile, framed] of vectors.shardSizes.rows) {
    expect([shardFileBytes(total, 1048576, k), framedFileBytes(total, 1048576, k)]).toEqual([shardFile, framed]);
  }
});

test("every tier codes every shape to the same bytes, also of short and odd lengths", () => {
  const [portable, ...others] = CODECS as [Codec, ...Codec[]];
  for (const { k, m } of SHAPES) {
    for (const size of [1, k, 257, 1031]) {
      const content = noise(size);
      const coding = { k, m, blockBytes: 1048576 };
      const expected = encodeInline(portable, content, coding).map((s) => Buffer.from(s).toString("hex"));
      for (const codec of others) {
        const streams = encodeInline(codec, content, coding).map((s) => Buffer.from(s).toString("hex"));
        expect({ k, m, size, tier: codec.tier, streams }).toEqual({ k, m, size, tier: codec.tier, streams: expected });
      }
    }
  }
});

test("any m lost or damaged shards are rebuilt, one more is not", () => {
  const codec = loadCodec();
  for (const { k, m } of SHAPES.filter((s) => s.m > 0)) {
    const content = noise(5000);
    const streams: (Uint8Array | undefined)[] = encodeInline(codec, content, { k, m, blockBytes: 1048576 });
    for (let i = 0; i < m; i++) {
      if (i % 2 === 0) streams[(i * 3) % (k + m)] = undefined;
      else {
        const damaged = (streams[(i * 3) % (k + m)] ?? new Uint8Array(0)).slice();
        if (damaged.length > 40) damaged[40] = (damaged[40] as number) ^ 1;
        streams[(i * 3) % (k + m)] = damaged;
      }
    }
    const { data } = decodeInline(codec, streams, { k, m, blockBytes: 1048576, sizeBytes: content.length });
    expect({ k, m, same: data !== null && Buffer.compare(data, content) === 0 }).toEqual({ k, m, same: true });
  }
});
