/** pipeContent: the reader goes on when the writer asks, its failures arrive, and it ends when the writer does. */
import { expect, test } from "bun:test";
import type { ByteSink } from "../../../src/core/byte-stream.ts";
import { pipeContent } from "../../../src/object/pipe-content.ts";

const CHUNKS = [Uint8Array.of(1, 2), Uint8Array.of(3), Uint8Array.of(4, 5, 6)];

/** Notes what it wrote and whether it ended. */
function reader(failsAt = CHUNKS.length) {
  const seen = { written: 0, ended: false };
  return {
    seen,
    async stream(sink: ByteSink): Promise<void> {
      try {
        for (const [i, chunk] of CHUNKS.entries()) {
          if (i === failsAt) throw new Error("a drive is gone");
          await sink.write(chunk);
          seen.written++;
        }
      } finally {
        seen.ended = true;
      }
    },
  };
}

test("chunks come in order, each kept until the next is asked for", async () => {
  const from = reader();
  await using body = pipeContent(from, 0, 6);
  for (const [i, chunk] of CHUNKS.entries()) {
    expect(await body.next()).toEqual(chunk);
    expect(from.seen.written).toBe(i);
  }
  expect(await body.next()).toBeNull();
  expect(await body.next()).toBeNull();
  expect(from.seen).toEqual({ written: 3, ended: true });
});

test("a failure of the reader arrives after what was read", async () => {
  await using body = pipeContent(reader(1), 0, 6);
  expect(await body.next()).toEqual(CHUNKS[0] as Uint8Array);
  expect(await body.next().catch(String)).toBe("Error: a drive is gone");
});

test("a reader whose writer fails ends, and lets go of what it holds", async () => {
  for (const asked of [0, 1, 2, 3]) {
    const from = reader();
    {
      await using body = pipeContent(from, 0, 6);
      for (let i = 0; i < asked; i++) await body.next();
    }
    expect(from.seen.ended).toBe(asked > 0);
    expect(from.seen.written).toBeLessThan(3);
  }
});

test("an empty range asks for nothing", async () => {
  const from = reader();
  await using body = pipeContent(from, 0, 0);
  expect(await body.next()).toBeNull();
  expect(from.seen.written).toBe(0);
});
