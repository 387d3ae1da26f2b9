/** Frames appended past the page cache are in the file as they came, whatever their sizes and alignment. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { loadCodec } from "../../../src/codec/native.ts";
import { NativePool } from "../../../src/codec/pool.ts";
import { good } from "../../../src/core/fan-out.ts";
import { DirectWriter } from "../../../src/storage/direct-writer.ts";
import { PAGE_BYTES, step } from "../../../src/sys/disk.ts";

const pool = new NativePool(loadCodec(), { threads: 2, threadsMax: 4 });
const folder = mkdtempSync(join(tmpdir(), "sherd-direct-"));
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  [[32 + 524_288, 32 + 524_288, 32 + 100_001]],
  [[1, 4095, 4096, 4097, 1, 1, 8191, 12_288]],
  [[32 + 349_526, 32 + 349_526, 32 + 349_526, 32 + 1]],
])("frames of %p bytes", async (sizes) => {
  for (const skew of [0, 1, 512]) {
    const path = join(folder, `${sizes.length}-${skew}`);
    const opened = await pool.run([step.openDirect(path), step.keep()]);
    const writer = new DirectWriter(pool, opened.results[1] as number, (errno) => {
      expect(errno).toBe(0);
      return good(undefined);
    });
    const wanted: Uint8Array[] = [];
    for (let i = 0, written = 0; i < sizes.length; i++) {
      const lead = written % PAGE_BYTES;
      const bytes = sizes[i] as number;
      const region = new Uint8Array(new ArrayBuffer(lead + bytes + 2 * PAGE_BYTES)).subarray(skew, skew + lead + bytes);
      for (let at = 0; at < region.length; at += 65_536)
        crypto.getRandomValues(region.subarray(at, Math.min(region.length, at + 65_536)));
      wanted.push(region.slice(lead));
      await writer.append(region, lead);
      written += bytes;
    }
    await writer.close();
    expect(Buffer.compare(readFileSync(path), Buffer.concat(wanted))).toBe(0);
    rmSync(path);
  }
});
