/** `sherd drive flush` after kill -9: what was acknowledged is in MinIO's layout, and the log is not needed for it any more. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { ServerProcess } from "./server-process.ts";

const cwd = mkdtempSync(join(tmpdir(), "sherd-flush-"));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));
const DRIVES = ["d1", "d2", "d3", "d4"];

test("after kill -9, drive flush leaves every acknowledged object in the tree, and none that was deleted", async () => {
  const bodies = new Map<string, Buffer>();
  {
    await using server = await ServerProcess.start({ cwd });
    await server.client.put("/flush", "");
    for (let i = 0; i < 60; i++) {
      const body = Buffer.alloc(i % 10 === 0 ? 300_000 : 500 + i, `object ${i} `);
      expect((await server.client.put(`/flush/dir/k${i}`, body)).status).toBe(200);
      bodies.set(`k${i}`, body);
    }
    for (let i = 0; i < 60; i += 7) {
      expect((await server.client.delete(`/flush/dir/k${i}`)).status).toBe(204);
      bodies.delete(`k${i}`);
    }
    await server.kill();
  }
  const main = join(import.meta.dir, "../../src/main.ts");
  const flush = Bun.spawn([process.execPath, main, "drive", "flush", "./d{1...4}"], {
    cwd,
    stdout: "pipe",
    stderr: "pipe",
  });
  expect([await flush.exited, await new Response(flush.stderr).text()]).toEqual([0, ""]);
  for (const drive of DRIVES) {
    const keys = readdirSync(join(cwd, drive, "flush/dir")).sort();
    expect(keys).toEqual([...bodies.keys()].sort());
    for (const key of keys) expect(existsSync(join(cwd, drive, "flush/dir", key, "xl.meta"))).toBe(true);
    rmSync(join(cwd, drive, ".minio.sys/sherd"), { recursive: true }); // as MinIO sees it: the tree alone
  }
  await using again = await ServerProcess.start({ cwd });
  for (const [key, body] of bodies) expect((await again.client.get(`/flush/dir/${key}`)).bytes.equals(body)).toBe(true);
  expect(await again.stop()).toBe(0);
}, 60_000);
