/**
 * Drives that are full, read-only or gone while clients read and write: above the quorum they notice nothing, below it writes
 * are refused with the reason and reads go on, and when the drives are back so is everything.
 */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Load } from "./load.ts";
import { MountedDrive, mountRefusal } from "./mounted-drive.ts";
import { ServerProcess } from "./server-process.ts";

const root = mkdtempSync(join(tmpdir(), "sherd-degraded-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const CLIENTS = 6;
const OPERATIONS = 12;
const DRIVE_BYTES = 64 * 1024 * 1024;
const FLAGS = ["--allow-root-drive"];
const ENV = { MINIO_PROMETHEUS_AUTH_TYPE: "public" };
const OFFLINE = "minio_cluster_drive_offline_total";
const refusal = mountRefusal();
if (refusal !== null)
  process.stdout.write(`full and read-only drives are not tried: mounting is refused: ${refusal}\n`);

interface Fault {
  /** Of d3 or d4. */
  begin(drive: "d3" | "d4"): void;
  end(drive: "d3" | "d4"): void;
  /** Statuses and codes of refused operations below the quorum: of writes; of a key whose write was cut by the fault. */
  readonly refusals: readonly [write: string, inDoubt?: string];
  /** Drives that do not answer while both have the fault, by the metrics. */
  readonly offline: number;
}

/** d4 fails, then d3 too, then both are back; all under load. */
async function failAndComeBack(cwd: string, fault: Fault): Promise<void> {
  await using server = await ServerProcess.start({ cwd, flags: FLAGS, env: ENV });
  expect((await server.client.put("/load", "")).status).toBe(200);
  await using load = new Load(server.client, "load", CLIENTS);
  const quiet = { refused: [], wrong: [] };
  expect(await load.look(OPERATIONS)).toMatchObject(quiet);
  fault.begin("d4");
  expect(await load.look(OPERATIONS)).toMatchObject(quiet);
  expect((await fetch(`${server.url}/minio/health/cluster`)).status).toBe(200);
  fault.begin("d3");
  const below = await load.look(OPERATIONS);
  expect(below.wrong).toEqual([]);
  expect(below.refused).toContain(fault.refusals[0]);
  for (const refused of below.refused) expect(fault.refusals).toContain(refused);
  expect(below.reads).toBeGreaterThan(CLIENTS);
  expect((await fetch(`${server.url}/minio/health/live`)).status).toBe(200);
  expect(await metric(server, "minio_cluster_drive_total")).toBe(4);
  expect(await metric(server, OFFLINE)).toBe(fault.offline);
  fault.end("d3");
  fault.end("d4");
  // A drive that was out of use is tried again after a while, and free space is measured every few seconds.
  for (let i = 0; (await load.look(OPERATIONS)).refused.length > 0; i++) expect(i).toBeLessThan(500);
  for (let i = 0; (await metric(server, OFFLINE)) > 0; i++) {
    expect(i).toBeLessThan(5000);
    await load.look(1);
  }
  await load.stop();
  expect(await load.audit(server.client)).toEqual([]);
  expect(await server.stop()).toBe(0);
  await healed(cwd, load);
}

/** After `sherd heal` the drives that missed writes carry all of it: two replaced ones are rebuilt from them. */
async function healed(cwd: string, load: Load): Promise<void> {
  const main = join(import.meta.dir, "../../src/main.ts");
  const heal = Bun.spawnSync([process.execPath, main, "heal", "--json", "./d{1...4}"], { cwd });
  expect([heal.exitCode, heal.stderr.toString()]).toEqual([0, ""]);
  for (const drive of ["d1", "d2"]) renameSync(join(cwd, drive), join(cwd, `${drive}-away`));
  for (const drive of ["d1", "d2"]) mkdirSync(join(cwd, drive));
  await using alone = await ServerProcess.start({ cwd, flags: FLAGS });
  expect(await alone.until((line) => line.event.startsWith("rebuild finished"), 30_000)).not.toBeNull();
  expect(await load.audit(alone.client, "deleted or in doubt")).toEqual([]);
}

async function metric(server: ServerProcess, name: string): Promise<number> {
  const answer = await fetch(`${server.url}/minio/v2/metrics/cluster`);
  expect(answer.status).toBe(200);
  return Number(new RegExp(`^${name}\\{.*\\} (\\S+)$`, "m").exec(await answer.text())?.[1]);
}

function mounted(name: string): { cwd: string; drive: Record<"d3" | "d4", MountedDrive> } & Disposable {
  const cwd = join(root, name);
  mkdirSync(cwd);
  const drive = {
    d3: new MountedDrive(join(cwd, "d3"), DRIVE_BYTES),
    d4: new MountedDrive(join(cwd, "d4"), DRIVE_BYTES),
  };
  return {
    cwd,
    drive,
    [Symbol.dispose]: () => {
      for (const one of Object.values(drive)) one[Symbol.dispose]();
    },
  };
}

test.skipIf(refusal !== null)(
  "full drives under load",
  async () => {
    using at = mounted("full");
    await failAndComeBack(at.cwd, {
      begin: (drive) => at.drive[drive].fill(),
      end: (drive) => at.drive[drive].makeRoom(),
      refusals: ["507 XMinioStorageFull"],
      offline: 0,
    });
  },
  120_000,
);

test.skipIf(refusal !== null)(
  "read-only drives under load",
  async () => {
    using at = mounted("read-only");
    await failAndComeBack(at.cwd, {
      begin: (drive) => at.drive[drive].makeReadOnly(),
      end: (drive) => at.drive[drive].makeWritable(),
      refusals: ["503 SlowDownWrite", "503 SlowDownRead"],
      offline: 0,
    });
  },
  120_000,
);

test("drives whose folders vanish under load", async () => {
  const cwd = join(root, "vanished");
  mkdirSync(cwd);
  const away = (drive: string): [string, string] => [join(cwd, drive), join(cwd, `${drive}-away`)];
  await failAndComeBack(cwd, {
    begin: (drive) => renameSync(...away(drive)),
    end: (drive) => renameSync(...(away(drive).reverse() as [string, string])),
    refusals: ["503 SlowDownWrite", "503 SlowDownRead"],
    offline: 2,
  });
}, 120_000);
