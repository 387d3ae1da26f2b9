/** Pieces of a body are lent: their memory is gone when the next one is asked for, whatever kind of array they are. */
import { expect, test } from "bun:test";
import { loadCodec } from "../../src/codec/native.ts";
import type { ByteSource } from "../../src/core/byte-stream.ts";
import { realClock } from "../../src/sys/clock.ts";
import { seededRng } from "./seeded.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import { DRIVES, getBytes, NO_SIGNAL, simulatedStore } from "./simulated-store.ts";

const codec = loadCodec();

/** In pieces that are taken back at the next call. */
function lending(bytes: Buffer, pieceBytes: number, as: (bytes: ArrayBuffer) => Uint8Array): ByteSource {
  let at = 0;
  let lent: ArrayBuffer | null = null;
  return {
    next() {
      lent?.transfer(0);
      lent = null;
      if (at >= bytes.length) return Promise.resolve(null);
      const piece = bytes.subarray(at, at + pieceBytes);
      at += piece.length;
      lent = new ArrayBuffer(piece.length);
      new Uint8Array(lent).set(piece);
      return Promise.resolve(as(lent));
    },
  };
}

test.each([
  ["Uint8Array", (bytes: ArrayBuffer) => new Uint8Array(bytes)],
  ["Buffer", (bytes: ArrayBuffer) => Buffer.from(bytes)],
] as const)("a body in small pieces, each a %s that is gone afterwards, is stored whole", async (_, as) => {
  const disk = SimulatedDisk.create(codec, 1, DRIVES);
  const { pools } = await simulatedStore(codec, disk, { clock: realClock(), rng: seededRng(1) });
  await pools.makeBucket("bucket");
  const bytes = Buffer.from(seededRng(2).fill(new Uint8Array(2_500_000)));
  for (const pieceBytes of [1_000, 40_000, 70_001, 1_048_577]) {
    await using staged = await pools.stage({
      bucket: "bucket",
      key: "k",
      body: lending(bytes, pieceBytes, as),
      sizeBytes: bytes.length,
      digests: 1,
      storageClass: "STANDARD",
      inline: "unversioned",
      signal: NO_SIGNAL,
    });
    await pools.commit({
      bucket: "bucket",
      key: "k",
      reads: "none",
      signal: NO_SIGNAL,
      decide: () => ({ kind: "put", versionId: "null", staged, metaUsr: new Map(), metaSys: new Map() }),
    });
    expect((await getBytes(pools, "k"))?.equals(bytes)).toBe(true);
  }
});
