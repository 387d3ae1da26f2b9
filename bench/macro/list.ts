/**
 * Listings of a million keys: writes the key indexes of four fresh drives directly (the objects themselves are not there, and
 * a listing does not look), starts the server on them and lists with one client, page after page.
 * `bun bench/macro/list.ts --start dist/sherd --where /mnt/disk [--keys 1000000] [--json FILE]`
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { PREFIXES, writeIndexes } from "./indexed-drives.ts";
import { Client } from "./load.ts";
import { serve, usageOf } from "./server-process.ts";

const CREDENTIALS = { user: "bench-user", password: "bench-password" };

const { values } = parseArgs({
  options: {
    start: { type: "string", default: "dist/sherd" },
    where: { type: "string", default: "." },
    keys: { type: "string", default: "1000000" },
    json: { type: "string" },
  },
});

interface Page {
  readonly ms: number;
  readonly keys: number;
  readonly prefixes: number;
  readonly token: string;
}

async function page(client: Client, query: Record<string, string>): Promise<Page> {
  const text = Object.entries({ "list-type": "2", ...query })
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join("&");
  const began = performance.now();
  const answer = await client.send({ method: "GET", path: "/listed", query: text }, true);
  const ms = performance.now() - began;
  if (answer.status !== 200) throw new Error(`LIST: ${answer.status} ${answer.text}`);
  const count = Number(/<KeyCount>(\d+)</.exec(answer.text)?.[1]);
  const prefixes = answer.text.split("<CommonPrefixes>").length - 1;
  const token = /<NextContinuationToken>([^<]+)</.exec(answer.text)?.[1] ?? "";
  return { ms, keys: count - prefixes, prefixes, token };
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}

async function measure(client: Client, pid: number, keys: number): Promise<Record<string, number>> {
  const times: number[] = [];
  let seen = 0;
  const before = usageOf(pid);
  const began = performance.now();
  for (let token = ""; ; ) {
    const found = await page(client, token === "" ? {} : { "continuation-token": token });
    times.push(found.ms);
    seen += found.keys;
    token = found.token;
    if (token === "") break;
  }
  const seconds = (performance.now() - began) / 1000;
  if (seen !== keys) throw new Error(`${seen} of ${keys} keys were listed`);
  times.sort((a, b) => a - b);
  const groups: number[] = [];
  for (let i = 0; i < 30; i++) {
    const found = await page(client, { delimiter: "/" });
    if (found.prefixes !== PREFIXES) throw new Error(`${found.prefixes} prefixes`);
    groups.push(found.ms);
  }
  groups.sort((a, b) => a - b);
  const after = usageOf(pid);
  return {
    keysPerSecond: Math.round(seen / seconds),
    pageP50Ms: quantile(times, 0.5),
    pageP99Ms: quantile(times, 0.99),
    delimiterP50Ms: quantile(groups, 0.5),
    delimiterP99Ms: quantile(groups, 0.99),
    cpuSecondsPerMillion: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / seen,
    residentMiB: after.residentBytes / 1048576,
    peakMiB: after.peakBytes / 1048576,
  };
}

const folder = mkdtempSync(join(resolve(values.where), "list-"));
try {
  const drives = [1, 2, 3, 4].map((i) => join(folder, `d${i}`));
  for (const drive of drives) mkdirSync(drive);
  const target = (endpoint: string) => ({
    endpoint: new URL(endpoint),
    accessKey: CREDENTIALS.user,
    secretKey: CREDENTIALS.password,
    signsPayload: false,
  });
  const first = await serve(values.start, drives, CREDENTIALS);
  const maker = new Client(target(first.endpoint));
  await maker.send({ method: "PUT", path: "/listed" });
  maker.close();
  await first.stop();
  const began = performance.now();
  await writeIndexes(drives, Number(values.keys));
  process.stdout.write(`indexes written in ${((performance.now() - began) / 1000).toFixed(1)} s\n`);
  const server = await serve(values.start, drives, CREDENTIALS);
  const client = new Client(target(server.endpoint));
  const figures = { startMs: server.readyMs, ...(await measure(client, server.pid, Number(values.keys))) };
  client.close();
  await server.stop();
  for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(22)} ${value.toFixed(1)}\n`);
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(figures));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
