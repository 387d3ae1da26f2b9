/**
 * Micro benchmark of small requests: CPU time that the server spends on one signed GET, HEAD, PUT and DELETE of 4 KiB. The
 * server runs in this process, on four fresh folders; the clients in another one, over loopback, so that they cost it nothing.
 * `bun bench/micro/requests.ts`; a profile: `bun --cpu-prof --cpu-prof-dir=DIR bench/micro/requests.ts --only GET`.
 * On a disk, as a server is: a file system in memory reads by other ways. Options: --only GET,HEAD,…, --warm-up 6 and --rounds 6 (of each kind in turn), --requests 2000 (in a round), --clients 8,
 * --keys 256 (that are read in turn). `--count` counts the objects that a request makes instead: unlike times, the same on any machine.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { heapStats } from "bun:jsc";
import { parseCommandLine } from "../../src/config/options.ts";
import { createLog } from "../../src/observe/log.ts";
import { type RunningSherd, startServer } from "../../src/server.ts";
import { realClock } from "../../src/sys/clock.ts";
import { coreCount } from "../../src/sys/machine.ts";
import { realRng } from "../../src/sys/rng.ts";
import { type Call, Client, type LoadResult, Payload, runLoad } from "../macro/load.ts";

const CREDENTIALS = { user: "bench-user", password: "bench-password" };
const BUCKET = "requests";
const OBJECT_BYTES = 4096;
const ROUND_SECONDS_MAX = 60;
/** Fewer than between two collections. */
const REQUESTS_COUNTED = 300;
const KINDS = ["PUT", "GET", "HEAD", "DELETE"] as const;
type Kind = (typeof KINDS)[number];

/** What the clients' process is told. */
interface Round {
  readonly endpoint: string;
  readonly kind: Kind;
  readonly requests: number;
  readonly clients: number;
  readonly keys: number;
}

/** Microseconds of CPU for each request. */
interface Cost {
  /** User and system, all threads. */
  readonly all: number;
  readonly user: number;
  /** The JavaScript thread alone. */
  readonly main: number;
}

const { values } = parseArgs({
  options: {
    only: { type: "string", default: KINDS.join(",") },
    "warm-up": { type: "string", default: "6" },
    rounds: { type: "string", default: "6" },
    requests: { type: "string", default: "2000" },
    clients: { type: "string", default: "8" },
    keys: { type: "string", default: "256" },
    count: { type: "boolean", default: false },
  },
});

if (process.send === undefined) await measure();
else serveAsClients();

/** The other process: one round for each message. */
function serveAsClients(): void {
  const body = Payload.random(OBJECT_BYTES);
  process.on("message", (round: Round) => {
    load(round, body).then(
      (result) => process.send?.(result),
      (error: unknown) => {
        process.stderr.write(`the clients failed: ${String(error)}\n`);
        process.exit(1);
      },
    );
  });
}

async function load({ endpoint, kind, requests, clients, keys }: Round, body: Payload): Promise<LoadResult> {
  const target = { endpoint: new URL(endpoint), accessKey: CREDENTIALS.user, secretKey: CREDENTIALS.password };
  const client = new Client({ ...target, signsPayload: true });
  if (kind === "PUT") await client.send({ method: "PUT", path: `/${BUCKET}` });
  const call = (at: number, n: number): Call | null => {
    const index = n * clients + at;
    if (index >= requests) return null;
    const isRead = kind === "GET" || kind === "HEAD";
    const common = { method: kind, path: `/${BUCKET}/folder/object-${isRead ? index % keys : index}` };
    return kind === "PUT" ? { ...common, body } : { ...common, wantBytes: kind === "GET" ? OBJECT_BYTES : 0 };
  };
  const result = await runLoad(client, { clients, seconds: ROUND_SECONDS_MAX, call });
  client.close();
  return result;
}

async function measure(): Promise<void> {
  const asked = values.only.split(",");
  const kinds = KINDS.filter((kind) => asked.includes(kind));
  const [warmUp, rounds, clients, keys] = [values["warm-up"], values.rounds, values.clients, values.keys].map(
    Number,
  ) as [number, number, number, number];
  const requests = Number(values.requests);
  const folder = mkdtempSync(join(tmpdir(), "sherd-requests-"));
  const others = new Clients();
  const server = await start(folder);
  const costs = new Map<Kind, Cost[]>(kinds.map((kind) => [kind, []]));
  const writes = kinds.includes("PUT") || kinds.includes("DELETE");
  try {
    for (let round = 0; round < warmUp + rounds; round++)
      for (const kind of KINDS) {
        const isNeeded = writes ? kind === "PUT" || kind === "DELETE" : kind === "PUT" && round === 0;
        if (!isNeeded && !kinds.includes(kind)) continue;
        const count = writes || kind !== "PUT" ? requests : keys;
        const run = (of: Kind, many: number): Promise<void> =>
          others.run({ endpoint: server.url, kind: of, requests: many, clients, keys });
        const cost = await costOf(count, () => run(kind, count));
        if (round >= warmUp) costs.get(kind)?.push(cost);
        if (values.count && round === warmUp + rounds - 1) await countObjects(kind, run);
      }
  } finally {
    others.stop();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  if (values.count) return;
  for (const [kind, found] of costs) process.stdout.write(`${lineOf(kind, found)}\n`);
}

function start(folder: string): Promise<RunningSherd> {
  const drives = [1, 2, 3, 4].map((i) => join(folder, `d${i}`));
  for (const drive of drives) mkdirSync(drive);
  const environment = {
    SHERD_ROOT_USER: CREDENTIALS.user,
    SHERD_ROOT_PASSWORD: CREDENTIALS.password,
    SHERD_ALLOW_ROOT_DRIVE: "on",
  };
  const command = parseCommandLine(["server", "--quiet", "--address", "127.0.0.1:0", ...drives], environment);
  if (command.name !== "server") throw new Error(`the server's arguments are those of ${command.name}`);
  const clock = realClock();
  const log = createLog({ json: false, quiet: true, clock, write: (line) => process.stderr.write(line) });
  return startServer(command.options, command.endpoints, {
    clock,
    rng: realRng(),
    log,
    cores: coreCount(),
    absolute: (path) => path,
  });
}

class Clients {
  private answered: (result: LoadResult) => void = () => undefined;
  private readonly child = Bun.spawn([process.execPath, import.meta.path], {
    ipc: (result: LoadResult) => this.answered(result),
    stdio: ["ignore", "inherit", "inherit"],
  });

  async run(round: Round): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<LoadResult>();
    this.answered = resolve;
    this.child.send(round);
    const { operations, firstFailure } = await promise;
    if (operations !== round.requests) throw new Error(`${round.kind}: only ${operations} succeeded: ${firstFailure}`);
  }

  stop(): void {
    this.child.kill();
  }
}

async function costOf(requests: number, work: () => Promise<void>): Promise<Cost> {
  const [before, mainBefore] = [process.cpuUsage(), mainThreadUs()];
  await work();
  const { user, system } = process.cpuUsage(before);
  return { all: (user + system) / requests, user: user / requests, main: (mainThreadUs() - mainBefore) / requests };
}

/** What the heap gains by requests, no collection coming between. */
async function countObjects(kind: Kind, run: (kind: Kind, requests: number) => Promise<void>): Promise<void> {
  if (kind === "PUT") await run("DELETE", REQUESTS_COUNTED); // keys that are new
  if (kind === "DELETE") await run("PUT", REQUESTS_COUNTED); // and some that are there
  Bun.gc(true);
  const before = heapStats().objectTypeCounts;
  await run(kind, REQUESTS_COUNTED);
  const after = heapStats().objectTypeCounts;
  const gained = Object.entries(after)
    .map(([type, count]) => ({ type, each: (count - (before[type] ?? 0)) / REQUESTS_COUNTED }))
    .filter(({ each }) => each >= 0.5)
    .sort((a, b) => b.each - a.each);
  const total = gained.reduce((sum, { each }) => sum + each, 0);
  const words = gained.map(({ type, each }) => `${type} ${each.toFixed(1)}`).join(", ");
  process.stdout.write(`${kind.padEnd(6)} ${total.toFixed(0).padStart(5)} objects: ${words}\n`);
}

/** CPU time of the JavaScript thread: the first field of Linux's schedstat, in ns. */
function mainThreadUs(): number {
  return Number.parseInt(readFileSync(`/proc/self/task/${process.pid}/schedstat`, "latin1"), 10) / 1000;
}

function lineOf(kind: Kind, costs: readonly Cost[]): string {
  const median = (of: keyof Cost): string => {
    const sorted = costs.map((cost) => cost[of]).sort((a, b) => a - b);
    return (sorted[Math.floor(sorted.length / 2)] ?? 0).toFixed(0).padStart(5);
  };
  const least = Math.min(...costs.map((cost) => cost.main)).toFixed(0);
  return `${kind.padEnd(6)} ${median("all")} us, in user space ${median("user")}, JavaScript thread ${median("main")} (least ${least})`;
}
