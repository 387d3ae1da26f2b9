/** Drives that vanish, come back empty or refuse while the server runs, and clients that go away in the middle. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { S3Client } from "./s3-client.ts";
import { ServerProcess } from "./server-process.ts";

const root = mkdtempSync(join(tmpdir(), "sherd-drives-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const contentOf = (i: number): Buffer => Buffer.alloc(i % 3 === 0 ? 900_000 : 2000 + i, `object ${i} `);
const OBJECTS = 24;

async function started(name: string): Promise<{ server: ServerProcess; cwd: string }> {
  const cwd = join(root, name);
  mkdirSync(cwd);
  const server = await ServerProcess.start({ cwd });
  expect((await server.client.put("/bucket", "")).status).toBe(200);
  for (let i = 0; i < OBJECTS; i++)
    expect((await server.client.put(`/bucket/dir/${i}`, contentOf(i))).status).toBe(200);
  return { server, cwd };
}

async function wrongOf(client: S3Client): Promise<string[]> {
  const wrong: string[] = [];
  for (let i = 0; i < OBJECTS; i++) {
    const { status, bytes } = await client.get(`/bucket/dir/${i}`);
    if (status !== 200 || !bytes.equals(contentOf(i))) wrong.push(`${i}: ${status}, ${bytes.length} bytes`);
  }
  return wrong;
}

/** Files of a drive outside of what sherd and MinIO keep for themselves: name and size. */
function census(drive: string): string[] {
  return readdirSync(join(drive, "bucket"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => `${path.slice(drive.length)} ${readFileSync(path).length}`)
    .sort();
}

test("a drive that comes back empty is rebuilt while the server serves, all of it, and told in the log", async () => {
  const { server, cwd } = await started("replaced");
  await using _ = server;
  expect(await server.stop()).toBe(0);
  const before = census(join(cwd, "d2"));
  expect(before.length).toBeGreaterThan(OBJECTS);
  rmSync(join(cwd, "d2"), { recursive: true });
  mkdirSync(join(cwd, "d2"));
  await using again = await ServerProcess.start({ cwd, flags: ["--allow-root-drive"] });
  expect(await wrongOf(again.client)).toEqual([]);
  const finished = await again.until((line) => line.event.startsWith("rebuild finished"), 30_000);
  expect(finished).toMatchObject({ failed: 0, what: "replaced drive" });
  expect(again.log().some((line) => line.event === "rebuild started")).toBe(true);
  expect(await again.stop()).toBe(0);
  expect(census(join(cwd, "d2"))).toEqual(before);
  for (const lost of ["d1", "d3"]) renameSync(join(cwd, lost), join(cwd, `${lost}-away`)); // the rebuilt one must carry
  for (const lost of ["d1", "d3"]) mkdirSync(join(cwd, lost));
  await using alone = await ServerProcess.start({ cwd });
  expect(await wrongOf(alone.client)).toEqual([]);
}, 60_000);

test("sherd heal, with the server stopped, gives back what was removed from a drive", async () => {
  const { server, cwd } = await started("healed");
  await using _ = server;
  expect(await server.stop()).toBe(0);
  const before = census(join(cwd, "d3"));
  for (const i of [0, 1, 2, 3]) rmSync(join(cwd, `d3/bucket/dir/${i}`), { recursive: true });
  expect(census(join(cwd, "d3")).length).toBeLessThan(before.length);
  const healed = Bun.spawnSync(
    [process.execPath, join(import.meta.dir, "../../src/main.ts"), "heal", "--json", "./d{1...4}"],
    { cwd },
  );
  expect([healed.exitCode, healed.stderr.toString()]).toEqual([0, ""]);
  expect(healed.stdout.toString()).toContain('"failed":0'); // one that its own reads reported may be healed before it is counted
  expect(census(join(cwd, "d3"))).toEqual(before);
});

test("one drive folder gone under load: reads and writes go on; two gone: writes are refused with the reason", async () => {
  const { server: first, cwd } = await started("vanished");
  expect(await first.stop()).toBe(0); // what is read lies in the folders, no longer in the logs
  await using server = await ServerProcess.start({ cwd });
  renameSync(join(cwd, "d4"), join(cwd, "d4-away"));
  expect(await wrongOf(server.client)).toEqual([]);
  expect((await server.client.put("/bucket/while-one-is-gone", contentOf(0))).status).toBe(200);
  expect((await server.client.put("/bucket/small-while-one-is-gone", "small")).status).toBe(200);
  expect((await fetch(`${server.url}/minio/health/live`)).status).toBe(200);
  renameSync(join(cwd, "d1"), join(cwd, "d1-away"));
  expect(await wrongOf(server.client)).toEqual([]);
  for (const body of [contentOf(0), "small"]) {
    const refused = await server.client.put("/bucket/while-two-are-gone", body);
    expect([refused.status, refused.text]).toEqual([503, expect.stringContaining("needed drives")]);
  }
  expect((await fetch(`${server.url}/minio/health/cluster`)).status).toBe(503);
  expect((await fetch(`${server.url}/minio/health/cluster/read`)).status).toBe(200);
  renameSync(join(cwd, "d3"), join(cwd, "d3-away"));
  expect((await server.client.get("/bucket/dir/0")).status).toBe(503);
  expect((await server.client.get("/bucket/dir/1")).status).toBe(503);
  expect((await fetch(`${server.url}/minio/health/cluster/read`)).status).toBe(503);
  for (const drive of ["d1", "d3", "d4"]) {
    expect(readdirSync(cwd)).not.toContain(drive); // an empty mount point must not be filled
    renameSync(join(cwd, `${drive}-away`), join(cwd, drive));
  }
  await server.stop();
  await using again = await ServerProcess.start({ cwd });
  expect(await wrongOf(again.client)).toEqual([]);
  expect((await again.client.get("/bucket/while-one-is-gone")).bytes.equals(contentOf(0))).toBe(true);
  expect((await again.client.get("/bucket/while-two-are-gone")).status).toBe(404);
}, 90_000);

test("a download whose shards vanish in the middle breaks the connection; one whose client goes away leaves nothing", async () => {
  const { server, cwd } = await started("broken");
  await using _ = server;
  const large = Buffer.alloc(64 * 1024 * 1024, "large ");
  expect((await server.client.put("/bucket/large", large)).status).toBe(200);
  const answer = await fetch(server.client.urlOf("/bucket/large"), server.client.requestOf("GET", "/bucket/large"));
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  let received = (await reader.read()).value?.length ?? 0;
  for (const drive of ["d1", "d2", "d3"]) rmSync(join(cwd, drive, "bucket/large"), { recursive: true });
  const rest = (async (): Promise<void> => {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) received += piece.value.length;
  })();
  await expect(rest).rejects.toThrow();
  expect(received).toBeLessThan(large.length);
  expect(await wrongOf(server.client)).toEqual([]);
}, 60_000);

test("clients that go away in the middle of an upload leave no file, no object and no lent memory", async () => {
  const { server, cwd } = await started("aborted");
  await using _ = server;
  for (let i = 0; i < 20; i++) {
    const path = `/bucket/aborted-${i}`;
    const headers = server.client.sign("PUT", path, { headers: { "content-length": "40000000" } });
    const { promise: gone, resolve } = Promise.withResolvers<void>();
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1", () => {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`PUT ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
      socket.write(Buffer.alloc(3_000_000, "x"), () => socket.destroy());
    });
    socket.on("error", resolve);
    socket.on("close", () => resolve());
    await gone;
  }
  expect(await wrongOf(server.client)).toEqual([]);
  expect((await server.client.get("/bucket/aborted-3")).status).toBe(404);
  expect(await server.stop()).toBe(0); // waits for what the twenty still had to remove
  for (const drive of ["d1", "d2", "d3", "d4"])
    expect(readdirSync(join(cwd, drive, ".minio.sys/tmp"), { recursive: true }).sort()).toEqual([
      ".trash",
      "sherd-index",
    ]);
}, 60_000);
