/**
 * How long a start takes with a million keys: after a clean stop, and after kill -9 with a full commit log. The keys are rows
 * of the key indexes (indexed-drives.ts); the log is filled by clients that PUT 4 KiB over HTTP to other keys, and the server
 * killed when the fullest log is `--full` in use or `--seconds` are over. Ready = /minio/health/cluster answers 200.
 * `bun bench/macro/start.ts --start dist/sherd --where /mnt/disk [--keys 1000000] [--full 0.6] [--seconds 40] [--log-size 64MiB]`
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { writeIndexes } from "./indexed-drives.ts";
import { type Call, Client, Payload, runLoad } from "./load.ts";
import { serve, type StartedServer, usageOf } from "./server-process.ts";

const CREDENTIALS = { user: "bench-user", password: "bench-password" };
const CLIENTS = 64;
const STARTS = 3;

const { values } = parseArgs({
  options: {
    start: { type: "string", default: "dist/sherd" },
    where: { type: "string", default: "." },
    keys: { type: "string", default: "1000000" },
    full: { type: "string", default: "0.6" },
    seconds: { type: "string", default: "40" },
    "log-size": { type: "string", default: "64MiB" },
  },
});
Bun.env["SHERD_PROMETHEUS_AUTH_TYPE"] = "public";
Bun.env["SHERD_LOG_SIZE"] = values["log-size"];

function clientOf(server: StartedServer): Client {
  const endpoint = new URL(server.endpoint);
  const { user, password } = CREDENTIALS;
  return new Client({ endpoint, accessKey: user, secretKey: password, signsPayload: false });
}

interface LogUse {
  readonly fraction: number;
  readonly unappliedKeys: number;
}
/** Of the fullest log. */
async function logUse(server: StartedServer): Promise<LogUse> {
  const text = await (await fetch(`${server.endpoint}/minio/v2/metrics/node`)).text();
  const all = (name: string): number[] =>
    [...text.matchAll(new RegExp(`^sherd_commit_log_${name}\\{[^}]*\\} ([0-9.e+]+)$`, "gm"))].map((row) =>
      Number(row[1]),
    );
  const sizes = all("size_bytes");
  return {
    fraction: Math.max(...all("used_bytes").map((used, i) => used / (sizes[i] ?? 1))),
    unappliedKeys: Math.max(...all("unapplied_keys")),
  };
}

/** Fills the logs and kills the server under load. */
async function fillAndKill(server: StartedServer): Promise<LogUse> {
  const client = clientOf(server);
  const body = Payload.random(4096);
  let isOver = false;
  const call = (at: number, n: number): Call | null =>
    isOver ? null : { method: "PUT", path: `/listed/filled-${at}/${n}`, body };
  const load = runLoad(client, { clients: CLIENTS, seconds: Number(values.seconds) + 10, call });
  let use = await logUse(server);
  for (const until = performance.now() + Number(values.seconds) * 1000; performance.now() < until; ) {
    use = await logUse(server);
    if (use.fraction >= Number(values.full)) break;
    await Bun.sleep(20);
  }
  process.kill(server.pid, "SIGKILL");
  await server.stop();
  isOver = true;
  await load;
  client.close();
  return use;
}

function show(what: string, value: string): void {
  process.stdout.write(`${what.padEnd(44)} ${value}\n`);
}

const folder = mkdtempSync(join(resolve(values.where), "start-"));
try {
  const drives = [1, 2, 3, 4].map((i) => join(folder, `d${i}`));
  for (const drive of drives) mkdirSync(drive);
  const first = await serve(values.start, drives, CREDENTIALS);
  const maker = clientOf(first);
  await maker.send({ method: "PUT", path: "/listed" });
  maker.close();
  await first.stop();
  await writeIndexes(drives, Number(values.keys));
  for (let i = 0; i < STARTS; i++) {
    const server = await serve(values.start, drives, CREDENTIALS);
    show("start after a clean stop, ms", server.readyMs.toFixed(0));
    await server.stop();
  }
  for (let i = 0; i < STARTS; i++) {
    const use = await fillAndKill(await serve(values.start, drives, CREDENTIALS));
    show("killed: log in use, keys only in it", `${(use.fraction * 100).toFixed(0)} %, ${use.unappliedKeys} a drive`);
    const server = await serve(values.start, drives, CREDENTIALS);
    show("start after kill -9, ms", server.readyMs.toFixed(0));
    show(
      "CPU seconds, resident MiB",
      `${usageOf(server.pid).cpuSeconds}, ${(usageOf(server.pid).residentBytes / 1048576).toFixed(0)}`,
    );
    const client = clientOf(server);
    const answer = await client.send({ method: "HEAD", path: "/listed/filled-0/0" });
    if (answer.status !== 200) throw new Error(`what was acknowledged answers ${answer.status}`);
    client.close();
    await server.stop();
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
