/** gunzip between a producer and a consumer: whoever fails first is the answer, and neither is left waiting. */
import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import type { ByteSink } from "../../../../src/core/byte-stream.ts";
import { gunzip } from "../../../../src/object/select/decompress.ts";
import { codeOf } from "./run-select.ts";

const text = Buffer.from(Array.from({ length: 100_000 }, (_, i) => `row ${i}\n`).join(""));
const packed = gzipSync(text);
const pieces =
  (bytes: Uint8Array, size: number) =>
  async (sink: ByteSink): Promise<void> => {
    for (let at = 0; at < bytes.length; at += size) await sink.write(bytes.subarray(at, at + size));
  };
const nothing = (): Promise<void> => Promise.resolve();
class Failure extends Error {
  readonly code = "Failure";
}

test("what was packed comes out, in any pieces, several members too", async () => {
  for (const size of [1000, packed.length]) {
    const out: Uint8Array[] = [];
    const keep = (bytes: Uint8Array): Promise<void> => {
      out.push(new Uint8Array(bytes));
      return Promise.resolve();
    };
    await gunzip(pieces(Buffer.concat([packed, packed]), size), keep);
    expect(Buffer.concat(out).equals(Buffer.concat([text, text]))).toBe(true);
  }
});

test("a producer that fails, before, between and after its bytes, is the answer", async () => {
  for (const sent of [0, 1000, packed.length]) {
    const produce = async (sink: ByteSink): Promise<void> => {
      if (sent > 0) await sink.write(packed.subarray(0, sent));
      throw new Failure();
    };
    expect(await codeOf(() => gunzip(produce, nothing))).toBe("Failure");
  }
});

test("a consumer that fails is the answer, and ends the producer", async () => {
  let ended = false;
  const produce = async (sink: ByteSink): Promise<void> => {
    try {
      await pieces(packed, 500)(sink);
    } finally {
      ended = true;
    }
  };
  expect(await codeOf(() => gunzip(produce, () => Promise.reject(new Failure())))).toBe("Failure");
  expect(ended).toBe(true);
});

test("what is not gzip, or ends too early, has its code", async () => {
  expect(await codeOf(() => gunzip(pieces(text, 4096), nothing))).toBe("InvalidCompressionFormat");
  expect(await codeOf(() => gunzip(pieces(packed.subarray(0, 5000), 512), nothing))).toBe("TruncatedInput");
  expect(await codeOf(() => gunzip(pieces(new Uint8Array(0), 1), nothing))).toMatch(/^(none|TruncatedInput)$/);
});
