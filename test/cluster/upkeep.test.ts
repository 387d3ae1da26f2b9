/** Damage to files below a running server: found and repaired by itself, told in log and metrics; quarantine from the command line. */
import { afterAll, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SECRET, ServerProcess, USER } from "./server-process.ts";

const root = mkdtempSync(join(tmpdir(), "sherd-upkeep-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const BIG = Buffer.alloc(900_000, "big ");
const SMALL = Buffer.alloc(3_000, "small ");
const UUID = "77777777-7777-4777-8777-777777777777";
const EAGER = {
  SHERD_SCANNER_SPEED: "fastest",
  SHERD_SCANNER_INTERVAL: "500ms",
  SHERD_SCANNER_GRACE: "2s",
  SHERD_PROMETHEUS_AUTH_TYPE: "public",
};
const LONG_AGO = new Date(Date.now() - 3_600_000);

/** A server with a few objects, stopped again: everything is in the trees. */
async function filled(name: string): Promise<string> {
  const cwd = join(root, name);
  mkdirSync(cwd);
  await using server = await ServerProcess.start({ cwd, env: { SHERD_SCRUB_DAYS: "0" } }); // its first round is to come
  expect((await server.client.put("/bucket", "")).status).toBe(200);
  for (const key of ["big", "dir/big"]) expect((await server.client.put(`/bucket/${key}`, BIG)).status).toBe(200);
  expect((await server.client.put("/bucket/small", SMALL)).status).toBe(200);
  expect(await server.stop()).toBe(0);
  return cwd;
}

/** Of the only data directory of a key. */
function partOf(cwd: string, drive: string, key: string): string {
  const directory = join(cwd, drive, "bucket", key);
  const [dataDir] = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return join(directory, dataDir?.name ?? "", "part.1");
}

/** A line of the metrics, without its labels; NaN = it is not there. */
async function metric(server: ServerProcess, name: string): Promise<number> {
  const response = await fetch(`${server.url}/minio/v2/metrics/node`);
  const line = (await response.text())
    .split("\n")
    .find((text) => text.startsWith(`${name} `) || text.startsWith(`${name}{`));
  return Number(line?.split(" ").at(-1));
}

test("a flipped bit, a lost data directory and a lost key come back by themselves, while the server serves", async () => {
  const cwd = await filled("damage");
  const flipped = partOf(cwd, "d1", "big");
  const before = readFileSync(flipped);
  const damaged = Buffer.from(before);
  damaged[40_000] = (damaged[40_000] as number) ^ 1;
  writeFileSync(flipped, damaged);
  const lost = partOf(cwd, "d2", "dir/big");
  const lostBytes = readFileSync(lost);
  rmSync(join(lost, ".."), { recursive: true });
  rmSync(join(cwd, "d3/bucket/small"), { recursive: true });
  await using server = await ServerProcess.start({ cwd, env: EAGER });
  expect(await server.until((line) => line.event === "scrub found damage", 20_000)).toMatchObject({ key: "big" });
  for (const key of ["big", "dir/big"])
    expect([key, await server.until((line) => line.event === "healed" && line["key"] === key, 20_000)]).not.toEqual([
      key,
      null,
    ]);
  expect(await server.until((line) => line.event === "scan round done", 20_000)).toMatchObject({ set: 0 });
  expect(await metric(server, "sherd_scrub_damaged_total")).toBeGreaterThan(0);
  // A key that was reported again while it was healed counts until it has rested and was looked at.
  expect(await metric(server, "sherd_objects_below_full_redundancy")).toBeLessThanOrEqual(2);
  expect((await server.client.get("/bucket/big")).bytes.equals(BIG)).toBe(true);
  expect(await server.stop()).toBe(0);
  expect(readFileSync(flipped).equals(before)).toBe(true);
  expect(readFileSync(lost).equals(lostBytes)).toBe(true);
  expect(existsSync(join(cwd, "d3/bucket/small/xl.meta"))).toBe(true);
}, 90_000);

test("data that nothing names and leftovers of tmp go when they are old; young ones and everything else stay", async () => {
  const cwd = await filled("orphans");
  const orphan = join(cwd, "d2/bucket/big", UUID);
  mkdirSync(orphan);
  writeFileSync(join(orphan, "part.1"), BIG);
  utimesSync(orphan, LONG_AGO, LONG_AGO);
  await using server = await ServerProcess.start({ cwd, env: { ...EAGER, SHERD_SCANNER_GRACE: "10m" } });
  const staged = join(cwd, "d1/.minio.sys/tmp", `${UUID}.${UUID}`); // as a write of long ago left it
  const young = join(cwd, "d1/.minio.sys/tmp", `${UUID.replace("7", "8")}.${UUID}`);
  for (const path of [staged, young]) mkdirSync(path);
  utimesSync(staged, LONG_AGO, LONG_AGO);
  const told = await server.until((line) => line.event === "orphaned data removed", 20_000);
  expect(told).toMatchObject({ bucket: "bucket", key: "big", directories: 1 });
  const rounds = (): number => server.log().filter((line) => line.event === "scan round done").length;
  const now = rounds();
  expect(await server.until(() => rounds() >= now + 2, 20_000)).not.toBeNull();
  expect([existsSync(orphan), existsSync(staged), existsSync(young)]).toEqual([false, false, true]);
  expect((await server.client.get("/bucket/big")).bytes.equals(BIG)).toBe(true);
  expect(await server.stop()).toBe(0);
}, 60_000);

function sherd(cwd: string, args: readonly string[]): { readonly text: string; readonly code: number } {
  const binary = process.env["SHERD_BIN"];
  const program = binary === undefined ? [process.execPath, join(import.meta.dir, "../../src/main.ts")] : [binary];
  const { stdout, exitCode } = Bun.spawnSync([...program, "quarantine", ...args, "./d{1...4}"], {
    cwd,
    env: { ...process.env, SHERD_ROOT_USER: USER, SHERD_ROOT_PASSWORD: SECRET },
  });
  return { text: stdout.toString(), code: exitCode };
}

test("a version that one drive alone has is set aside, listed, given back, and dropped at an operator's word", async () => {
  const cwd = await filled("quarantine");
  for (const drive of ["d2", "d3", "d4"]) rmSync(join(cwd, drive, "bucket/dir"), { recursive: true });
  const shard = readFileSync(partOf(cwd, "d1", "dir/big"));
  expect(sherd(cwd, [])).toEqual({ text: "nothing is in quarantine\n", code: 0 });
  {
    await using server = await ServerProcess.start({ cwd, env: EAGER });
    const told = await server.until((line) => line.event.startsWith("moved to quarantine"), 30_000);
    expect(told).toMatchObject({ bucket: "bucket", key: "dir/big" });
    expect(await metric(server, "sherd_quarantine_versions")).toBe(1);
    expect((await server.client.get("/bucket/dir/big")).status).toBe(404);
    expect(await server.stop()).toBe(0);
  }
  expect(existsSync(join(cwd, "d1/bucket/dir"))).toBe(false);
  const listed = sherd(cwd, []);
  const id = listed.text.split(" ")[0] as string;
  expect(listed.text).toContain(`${id}  bucket/dir/big  version null`);
  expect(sherd(cwd, ["--restore", id])).toEqual({ text: "restored on 1 drives\n", code: 0 });
  expect(readFileSync(partOf(cwd, "d1", "dir/big")).equals(shard)).toBe(true);
  {
    await using server = await ServerProcess.start({ cwd, env: EAGER });
    expect(await server.until((line) => line.event.startsWith("moved to quarantine"), 30_000)).not.toBeNull();
    expect(await server.stop()).toBe(0);
  }
  expect(sherd(cwd, ["--drop", id])).toEqual({ text: "dropped on 1 drives\n", code: 0 });
  expect(sherd(cwd, ["--drop", id]).code).toBe(1);
  expect(sherd(cwd, []).text).toBe("nothing is in quarantine\n");
}, 120_000);
