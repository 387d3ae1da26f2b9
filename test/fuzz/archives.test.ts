/** Tar archives, damaged in every way and cut anywhere: members or a WireError, never more bytes than came. */
import { expect } from "bun:test";
import type { ByteSource } from "../../src/core/byte-stream.ts";
import { TarReader } from "../../src/s3/tar.ts";
import { WireError } from "../../src/s3/wire-error.ts";
import { tarOf } from "../s3/tar-writer.ts";
import { type Chance, fuzz } from "./fuzz.ts";

function pieces(input: Uint8Array, chance: Chance): ByteSource {
  let at = 0;
  return {
    next() {
      if (at >= input.length) return Promise.resolve(null);
      const end = Math.min(input.length, at + 1 + chance.below(700));
      const piece = input.slice(at, end);
      at = end;
      return Promise.resolve(piece);
    },
  };
}

const SAMPLES = [
  tarOf([{ name: "a", content: "x".repeat(600) }, { name: "d/", type: "5" }, { name: "b" }]),
  tarOf([
    { name: "a", content: "x", records: { path: "long/name", size: "1", mtime: "1.5", "minio.metadata.a": "b" } },
  ]),
  tarOf([
    { name: "g", content: "12 path=abcd\n", type: "g" },
    { name: "L", content: "gnu/long\0", type: "L" },
    { name: "x", content: "y" },
  ]),
  // A record without a length after one with: it made no progress once.
  tarOf([
    { name: "g", content: "12 path=abcd\nxx", type: "x" },
    { name: "x", content: "y" },
  ]),
].map((b) => new Uint8Array(b));

/** Damage that keeps the headers' checksums right reaches further. */
function mended(input: Uint8Array): Uint8Array {
  const out = input.slice();
  for (let at = 0; at + 512 <= out.length; at += 512) {
    const block = out.subarray(at, at + 512);
    if (Buffer.from(block.subarray(257, 262)).toString("latin1") !== "ustar") continue;
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.set(Buffer.from(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  }
  return out;
}

fuzz("tar archives", {
  samples: SAMPLES,
  errors: [WireError],
  words: ["ustar", "00000000017", "77777777777", "\x80", "12 path=abcd\n", "0 =\n", "path", "x", "g", "L", "5"],
  async run(bytes, chance) {
    const input = chance.below(4) === 0 ? bytes : mended(bytes);
    const reader = new TarReader(pieces(input, chance));
    let total = 0;
    for (let member = await reader.next(); member !== null; member = await reader.next()) {
      total += 512;
      expect(member.sizeBytes).toBeGreaterThanOrEqual(0);
      expect(Number.isFinite(member.modTimeMs)).toBe(true);
      if (chance.below(3) === 0) continue; // skipped by the next one
      for (let chunk = await member.content.next(); chunk !== null; chunk = await member.content.next())
        total += chunk.length;
    }
    expect(total).toBeLessThanOrEqual(input.length);
  },
});
