/**
 * Macro benchmark: the same work against a running server, or one that is started for it, with what it cost that server.
 *   bun bench/macro/main.ts --start dist/sherd --where DIR      four fresh drives below DIR, removed afterwards
 *   bun bench/macro/main.ts --pid N --endpoint URL --user U --password P
 * Options: --seconds 5, --clients N (instead of each workload's own), --only REGEX, --keys 10000 (of the listing),
 * --sign payload|unsigned, --json FILE. Exit 1 if any request failed.
 */
import { parseArgs } from "node:util";
import { type Call, Client, type LoadPlan, type LoadResult, Payload, runLoad } from "./load.ts";
import { startServer, type Usage, usageOf } from "./server-process.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const LOAD_SECONDS_MAX = 600;

interface Settings {
  readonly seconds: number;
  readonly clients: number | null;
  readonly only: RegExp;
  readonly listKeys: number;
}
interface Workload {
  readonly name: string;
  readonly clients: number;
  /** Objects that must be there before. */
  readonly needs: { readonly sizeBytes: number; readonly count: number; readonly prefix: string } | null;
  plan(bucket: string, settings: Settings): Pick<LoadPlan, "call">;
}

const SIZES = [
  { name: "4 KiB", sizeBytes: 4 * KIB, clients: 16, keys: 256 },
  { name: "1 MiB", sizeBytes: MIB, clients: 16, keys: 32 },
  { name: "64 MiB", sizeBytes: 64 * MIB, clients: 8, keys: 4 },
] as const;

function workloadsOf(settings: Settings): Workload[] {
  const payloads = new Map(SIZES.map(({ sizeBytes }) => [sizeBytes, Payload.random(sizeBytes)]));
  const bySize = SIZES.flatMap(({ name, sizeBytes, clients, keys }): Workload[] => {
    const needs = { sizeBytes, count: keys, prefix: `get-${sizeBytes}` };
    const read =
      (method: "GET" | "HEAD", wantBytes: number): Workload["plan"] =>
      (bucket) => ({
        call: (client, n): Call => ({
          method,
          path: `/${bucket}/${needs.prefix}-${(client * 7 + n) % keys}`,
          wantBytes,
        }),
      });
    const body = payloads.get(sizeBytes) as Payload;
    const put: Workload = {
      name: `PUT ${name}`,
      clients,
      needs: null,
      plan: (bucket) => ({
        call: (client, n): Call => ({ method: "PUT", path: `/${bucket}/put-${sizeBytes}-${client}-${n % keys}`, body }),
      }),
    };
    const get: Workload = { name: `GET ${name}`, clients, needs, plan: read("GET", sizeBytes) };
    return sizeBytes === 4 * KIB
      ? [put, get, { name: `HEAD ${name}`, clients, needs, plan: read("HEAD", 0) }]
      : [put, get];
  });
  return [...bySize, deleteWorkload(settings), listWorkload(settings)];
}

/** Each key once: ends when all are gone, or the time is up. */
function deleteWorkload(settings: Settings): Workload {
  const count = Math.ceil(settings.seconds * 400);
  const clients = 16;
  const call =
    (bucket: string) =>
    (client: number, n: number): Call | null => {
      const index = n * (settings.clients ?? clients) + client;
      return index < count ? { method: "DELETE", path: `/${bucket}/del-${index}` } : null;
    };
  return {
    name: "DELETE 4 KiB",
    clients,
    needs: { sizeBytes: 4 * KIB, count, prefix: "del" },
    plan: (bucket) => ({ call: call(bucket) }),
  };
}

/** Pages of 1,000 from evenly spread places. */
function listWorkload(settings: Settings): Workload {
  const pages = Math.max(1, Math.floor(settings.listKeys / 1000));
  const call = (client: number, n: number, bucket: string): Call => {
    const after = `list-${String(((client + n) % pages) * 1000).padStart(7, "0")}`;
    return { method: "GET", path: `/${bucket}`, query: `list-type=2&max-keys=1000&prefix=list-&start-after=${after}` };
  };
  return {
    name: "LIST 1,000 keys",
    clients: 4,
    needs: { sizeBytes: 1, count: settings.listKeys, prefix: "list" },
    plan: (bucket) => ({ call: (client, n) => call(client, n, bucket) }),
  };
}

interface Row extends LoadResult {
  readonly name: string;
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly peakBytes: number;
}

async function fill(client: Client, bucket: string, needs: NonNullable<Workload["needs"]>): Promise<void> {
  const body = Payload.random(needs.sizeBytes);
  const clients = needs.sizeBytes >= MIB ? 4 : 16;
  const name = (i: number): string => `${needs.prefix}-${needs.prefix === "list" ? String(i).padStart(7, "0") : i}`;
  const call = (at: number, n: number): Call | null => {
    const index = n * clients + at;
    return index < needs.count ? { method: "PUT", path: `/${bucket}/${name(index)}`, body } : null;
  };
  const done = await runLoad(client, { clients, seconds: LOAD_SECONDS_MAX, call });
  if (done.operations !== needs.count)
    throw new Error(`only ${done.operations} of ${needs.count} objects could be written: ${done.firstFailure}`);
}

async function measure(client: Client, pid: number, plan: LoadPlan): Promise<Omit<Row, "name">> {
  const before = usageOf(pid);
  const result = await runLoad(client, plan);
  await Bun.sleep(300); // what the server put off until after the last answer counts, too
  const after: Usage = usageOf(pid);
  return {
    ...result,
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    residentBytes: after.residentBytes,
    peakBytes: after.peakBytes,
  };
}

const COLUMNS = [
  "workload",
  "ops/s",
  "MB/s",
  "CPU-s/GB",
  "CPU-s/1,000",
  "p50 ms",
  "p99 ms",
  "RSS MB",
  "peak MB",
  "failed",
];

function cellsOf(row: Row): string[] {
  const perGigabyte = row.bytes > MIB * 16 ? (row.cpuSeconds / (row.bytes / 1e9)).toFixed(2) : "-";
  return [
    row.name,
    (row.operations / row.seconds).toFixed(1),
    (row.bytes / 1e6 / row.seconds).toFixed(1),
    perGigabyte,
    row.operations === 0 ? "-" : ((1000 * row.cpuSeconds) / row.operations).toFixed(3),
    row.p50Ms.toFixed(2),
    row.p99Ms.toFixed(2),
    (row.residentBytes / 1e6).toFixed(0),
    (row.peakBytes / 1e6).toFixed(0),
    String(row.failures),
  ];
}

function print(cells: readonly string[]): void {
  console.log(cells.map((cell, i) => (i === 0 ? cell.padEnd(16) : cell.padStart(12))).join(""));
}

/** Removes what was written, then the bucket. */
async function tidyUp(client: Client, bucket: string): Promise<void> {
  for (;;) {
    const { text } = await client.send({ method: "GET", path: `/${bucket}`, query: "list-type=2&max-keys=1000" }, true);
    const keys = [...text.matchAll(/<Key>([^<]+)<\/Key>/g)].map((m) => m[1] as string);
    if (keys.length === 0) break;
    const call = (at: number, n: number): Call | null =>
      n * 16 + at < keys.length ? { method: "DELETE", path: `/${bucket}/${keys[n * 16 + at]}` } : null;
    const done = await runLoad(client, { clients: 16, seconds: LOAD_SECONDS_MAX, call });
    if (done.operations === 0) throw new Error(`the bucket ${bucket} could not be emptied: ${done.firstFailure}`);
  }
  await client.send({ method: "DELETE", path: `/${bucket}` });
}

async function runAll(client: Client, pid: number, settings: Settings): Promise<Row[]> {
  const bucket = `bench-${process.pid}`;
  const made = await client.send({ method: "PUT", path: `/${bucket}` }, true);
  if (made.status !== 200)
    throw new Error(`the bucket could not be made: status ${made.status} ${made.text.slice(0, 300)}`);
  const rows: Row[] = [];
  const filled = new Set<string>();
  print(COLUMNS);
  for (const workload of workloadsOf(settings)) {
    if (!settings.only.test(workload.name)) continue;
    const { needs } = workload;
    if (needs !== null && !filled.has(needs.prefix)) await fill(client, bucket, needs);
    if (needs !== null) filled.add(needs.prefix);
    const plan = {
      clients: settings.clients ?? workload.clients,
      seconds: settings.seconds,
      ...workload.plan(bucket, settings),
    };
    const row = { name: workload.name, ...(await measure(client, pid, plan)) };
    rows.push(row);
    print(cellsOf(row));
    if (row.firstFailure !== "") console.log(`  first failure: ${row.firstFailure}`);
  }
  await tidyUp(client, bucket);
  return rows;
}

async function main(): Promise<number> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: {
      start: text,
      where: { ...text, default: "/var/tmp" },
      pid: text,
      endpoint: text,
      user: { ...text, default: "benchadmin" },
      password: { ...text, default: "benchadmin-secret" },
      seconds: { ...text, default: "5" },
      clients: text,
      only: { ...text, default: "" },
      keys: { ...text, default: "10000" },
      sign: { ...text, default: "unsigned" },
      json: text,
    },
  });
  const { user, password } = values;
  const running =
    values.pid !== undefined && values.endpoint !== undefined
      ? { pid: Number(values.pid), endpoint: values.endpoint, stop: () => Promise.resolve() }
      : null;
  const started =
    running === null ? await startServer(values.start ?? "dist/sherd", values.where, { user, password }) : null;
  if (started !== null)
    console.log(
      `ready after ${started.readyMs.toFixed(0)} ms, idle at ${(usageOf(started.pid).residentBytes / 1e6).toFixed(0)} MB`,
    );
  const { pid, endpoint, stop } = (running ?? started) as NonNullable<typeof running>;
  const settings = {
    seconds: Number(values.seconds),
    clients: values.clients === undefined ? null : Number(values.clients),
    only: new RegExp(values.only),
    listKeys: Number(values.keys),
  };
  const client = new Client({
    endpoint: new URL(endpoint),
    accessKey: user,
    secretKey: password,
    signsPayload: values.sign === "payload",
  });
  try {
    const rows = await runAll(client, pid, settings);
    if (values.json !== undefined) await Bun.write(values.json, `${JSON.stringify(rows, null, 2)}\n`);
    return rows.some((row) => row.failures > 0) ? 1 : 0;
  } finally {
    client.close();
    await stop();
  }
}

process.exit(await main());
