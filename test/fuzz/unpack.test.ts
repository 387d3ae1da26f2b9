/** Compressed streams, damaged in every way and cut anywhere: bytes or the error of the format, never more memory than was lent. */
import { expect } from "bun:test";
import { decodeBzip2, BZIP2_MEMORY_BYTES } from "../../src/object/bzip2-blocks.ts";
import { ByteReader } from "../../src/core/byte-reader.ts";
import type { ByteSource } from "../../src/core/byte-stream.ts";
import { FormatError } from "../../src/core/format-error.ts";
import { decodeLz4, LZ4_MEMORY_BYTES } from "../../src/object/lz4-frames.ts";
import { COMPRESSED } from "../s3/compressed-archives.ts";
import { type Chance, fuzz } from "./fuzz.ts";

const OUTPUT_BYTES_MAX = 8 * 1024 * 1024;
class Enough extends Error {}

function pieces(input: Uint8Array, chance: Chance): ByteSource {
  let at = 0;
  return {
    next() {
      if (at >= input.length) return Promise.resolve(null);
      const end = Math.min(input.length, at + 1 + chance.below(5000));
      const piece = input.slice(at, end);
      at = end;
      return Promise.resolve(piece);
    },
  };
}

function sink(): { write(bytes: Uint8Array): Promise<void> } {
  let total = 0;
  return {
    write(bytes) {
      total += bytes.length;
      expect(bytes.length).toBeGreaterThan(0);
      if (total > OUTPUT_BYTES_MAX) throw new Enough(); // a real reader stops too
      return Promise.resolve();
    },
  };
}

const samplesOf = (name: string): Uint8Array[] =>
  COMPRESSED.filter(([known]) => known.startsWith(name)).map(([, bytes]) => new Uint8Array(bytes));
const lz4Memory = new Uint8Array(LZ4_MEMORY_BYTES);
const bzip2Memory = new Uint8Array(BZIP2_MEMORY_BYTES);

fuzz("lz4 frames", {
  samples: samplesOf("lz4"),
  errors: [FormatError, Enough],
  words: ["\x04\x22\x4d\x18", "\x50\x2a\x4d\x18", "\0\0\0\0", "\xff\xff\xff\xff", "\x64\x40\xa7"],
  run: (input, chance) => decodeLz4(new ByteReader(pieces(input, chance)), sink(), lz4Memory),
});

fuzz("bzip2 streams", {
  samples: samplesOf("bzip2"),
  errors: [FormatError, Enough],
  words: ["BZh9", "1AY&SY", "\x17\x72\x45\x38\x50\x90", "\0\0\0\0"],
  run: (input, chance) =>
    decodeBzip2(new ByteReader(pieces(input, chance)), sink(), {
      memory: bzip2Memory,
      yieldNow: () => Promise.resolve(),
    }),
});
