/** `sherd drive repair` on a real drive: kill -9, a flipped bit in its log, the message, the command, the start, the rebuild. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { ServerProcess } from "./server-process.ts";

const cwd = mkdtempSync(join(tmpdir(), "sherd-repair-"));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));
const SHERD = join(cwd, "d3/.minio.sys/sherd");

async function sherd(...args: string[]): Promise<{ code: number; out: string; error: string }> {
  const program = [process.execPath, join(import.meta.dir, "../../src/main.ts"), ...args];
  const child = Bun.spawn(program, { cwd, stdout: "pipe", stderr: "pipe" });
  const [out, error] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, error };
}

/** In the middle of the second record of a segment that was written. */
function flipABit(): void {
  const path = join(SHERD, "log/segment-0");
  const bytes = readFileSync(path);
  const first = Math.ceil(bytes.readUInt32LE(0) / 8) * 8;
  const at = first + 200;
  bytes[at] = (bytes[at] as number) ^ 16;
  writeFileSync(path, bytes);
}

test("a drive with a damaged log says which command repairs it, is repaired, and is rebuilt from the others", async () => {
  const bodies = new Map<string, Buffer>();
  {
    await using server = await ServerProcess.start({ cwd });
    await server.client.put("/repair", "");
    for (let i = 0; i < 40; i++) {
      const body = Buffer.alloc(i % 10 === 0 ? 300_000 : 500 + i, `object ${i} `);
      expect((await server.client.put(`/repair/k${i}`, body)).status).toBe(200);
      bodies.set(`k${i}`, body);
    }
    await server.kill();
  }
  flipABit();
  {
    await using server = await ServerProcess.start({ cwd });
    const told = await server.until((line) => String(line["message"]).includes("sherd drive repair"));
    expect(String(told?.["message"])).toContain("./d3: the commit log is damaged");
    expect((await server.client.put("/repair/meanwhile", "x")).status).toBe(200); // three of four take it
    await server.kill();
  }
  const before = readFileSync(join(SHERD, "log/segment-0"));
  const dry = await sherd("drive", "repair", "--dry-run", "./d{1...4}");
  expect([dry.code, dry.error]).toEqual([1, ""]);
  expect(dry.out.match(/the commit log is whole/g)).toHaveLength(3);
  expect(dry.out).toContain("nothing was changed");
  expect(readFileSync(join(SHERD, "log/segment-0")).equals(before)).toBe(true);

  const done = await sherd("drive", "repair", "./d3");
  expect([done.code, done.error]).toEqual([0, ""]);
  const aside = readdirSync(SHERD).find((name) => name.startsWith("damaged-log-")) ?? "";
  expect(done.out).toContain(aside);
  expect(readFileSync(join(SHERD, aside, "segment-0")).equals(before)).toBe(true);
  expect((await sherd("drive", "repair", "./d3")).out).toContain("nothing to repair");

  await using server = await ServerProcess.start({ cwd });
  const finished = await server.until((line) => line.event === "rebuild finished", 20_000);
  expect(finished).toMatchObject({ failed: 0 });
  expect(await server.stop()).toBe(0);
  expect(existsSync(join(SHERD, "rebuild"))).toBe(false);
  // The repaired drive and one other are enough for every object, also for what was written while it took no writes.
  for (const drive of ["d1", "d2"]) rmSync(join(cwd, drive), { recursive: true });
  await using half = await ServerProcess.start({ cwd });
  bodies.set("meanwhile", Buffer.from("x"));
  for (const [key, body] of bodies)
    expect([key, (await half.client.get(`/repair/${key}`)).bytes.equals(body)]).toEqual([key, true]);
}, 60_000);

test("a folder that is no drive is refused, and no drive at all", async () => {
  const refused = await sherd("drive", "repair", "./nothing-here");
  expect([refused.code, refused.out.includes("no drive of a deployment")]).toEqual([1, true]);
  expect(existsSync(join(cwd, "nothing-here"))).toBe(false);
  const none = await sherd("drive", "repair");
  expect([none.code, none.error.includes("needs the damaged drives")]).toEqual([2, true]);
});
