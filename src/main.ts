/**
 * The executable: arguments and environment become a command, the command runs. Signals drain the server; a broken promise
 * of our own ends the process with its reason.
 */
import { resolve } from "node:path";
import { loadCodec, TIER_NAMES } from "./codec/native.ts";
import { NativePool } from "./codec/pool.ts";
import { expandArgument, hasEllipses, layoutPools } from "./config/endpoints.ts";
import { type Command, helpText, parseCommandLine, type ServerOptions } from "./config/options.ts";
import { planText } from "./config/plan-text.ts";
import { storageClassesOf } from "./config/storage-class.ts";
import { OperatingError } from "./core/errors.ts";
import { createLog, type Log } from "./observe/log.ts";
import { DebtReplay } from "./background/debt-replay.ts";
import { healDrivesLogged } from "./background/drive-healer.ts";
import { quarantineCommand } from "./background/quarantine-report.ts";
import { measureCodec } from "./codec/speed.ts";
import { openStore, type Outside, startServer, VERSION } from "./server.ts";
import { LOG_DEFAULTS } from "./storage/drive-log.ts";
import { RebuildMarkError } from "./storage/rebuild-mark.ts";
import { RepairError, repairLog } from "./storage/repair-log.ts";
import { repairText } from "./storage/repair-text.ts";
import { realClock } from "./sys/clock.ts";
import { lookAtDrive } from "./sys/drive-facts.ts";
import { coreCount } from "./sys/machine.ts";
import { exitFlushed, holdProcess, startAgain, withEngineOptions } from "./sys/process-life.ts";
import { realRng } from "./sys/rng.ts";

const REPAIR_THREADS_MAX = 64;

async function main(): Promise<void> {
  const command = parseCommandLine(process.argv.slice(2), process.env);
  switch (command.name) {
    case "help":
      process.stdout.write(command.text === "" ? helpText() : `${command.text}\n`);
      return;
    case "version":
      process.stdout.write(`sherd version ${VERSION}\n`);
      return;
    case "error":
      process.stderr.write(`sherd: ${command.message}\n`);
      process.exitCode = 2;
      return;
    case "codec":
      showCodec(command.options);
      return;
    case "plan":
      showPlan(command);
      return;
    case "heal":
      await heal(command);
      return;
    case "drive flush":
      await flush(command);
      return;
    case "quarantine":
      await quarantine(command);
      return;
    case "drive repair":
      await repair(command);
      return;
    case "server":
      await serve(command);
  }
}

type OnDrives = Extract<Command, { name: "server" | "plan" | "heal" | "quarantine" | "drive flush" | "drive repair" }>;

function outsideOf(options: ServerOptions): Outside & { readonly log: Log } {
  const clock = realClock();
  const log = createLog({
    json: options.json,
    quiet: options.quiet,
    clock,
    write: (line) => process.stdout.write(line),
  });
  return { clock, rng: realRng(), log, cores: coreCount(), absolute: (path) => resolve(path) };
}

async function serve({ options, endpoints }: OnDrives): Promise<void> {
  withEngineOptions(process);
  holdProcess();
  const outside = outsideOf(options);
  const { promise: stopAsked, resolve: askToStop } = Promise.withResolvers<string>();
  // Before anything is started: a signal during the start stops in order, too.
  process.on("SIGTERM", () => askToStop("SIGTERM"));
  process.on("SIGINT", () => askToStop("SIGINT"));
  const server = await startServer(options, endpoints, outside);
  process.on("SIGHUP", () => server.lookAtCertificates());
  if (options.json) process.stdout.write(`${JSON.stringify({ event: "listening", address: server.url })}\n`);
  else if (!options.quiet) process.stdout.write(greeting(server.url, options));
  if (options.ignoredEnvironment.length > 0)
    outside.log.info("environment without effect", { names: options.ignoredEnvironment.join(" ") });
  const why = await Promise.race([stopAsked, server.asked]);
  outside.log.info("stopping", { signal: why });
  const finished = await server.stop();
  if (!finished) outside.log.warn("some requests did not finish in time");
  if (why === "restart") startAgain(process);
  exitFlushed(0);
}

function greeting(url: string, options: ServerOptions): string {
  const secret = options.rootIsDefault ? options.rootPassword : "(as given)";
  return [
    `sherd ${VERSION}`,
    `S3:          ${url}`,
    `Access key:  ${options.rootUser}`,
    `Secret key:  ${secret}`,
    options.rootIsDefault
      ? "These are the published default credentials: set SHERD_ROOT_USER and SHERD_ROOT_PASSWORD before anything matters."
      : "",
    "",
    "First steps:",
    `  AWS_ACCESS_KEY_ID=${options.rootUser} AWS_SECRET_ACCESS_KEY=${options.rootIsDefault ? options.rootPassword : "…"} aws --endpoint-url ${url} s3 mb s3://first`,
    `  mc alias set first ${url} ${options.rootUser} ${options.rootIsDefault ? options.rootPassword : "…"} && mc mb first/bucket`,
    "",
    "",
  ].join("\n");
}

async function heal({ options, endpoints }: OnDrives): Promise<void> {
  holdProcess();
  const outside = outsideOf(options);
  const store = await openStore(options, endpoints, outside);
  const { clock, log } = outside;
  const listBuckets = (): ReturnType<typeof store.pools.listBuckets> => store.pools.listBuckets();
  const owed = { sets: store.books, locks: store.pools.locks, listBuckets, clock, log };
  await new DebtReplay({ ...owed, pace: () => clock.yieldNow() }).round(new AbortController().signal);
  const done = await healDrivesLogged(store.pools, {
    deep: true,
    signal: new AbortController().signal,
    log,
    clock,
    what: "all drives",
  });
  if (done.failed === 0) await store.rebuilt();
  await store.close();
  exitFlushed(done.failed === 0 ? 0 : 1);
}

/** What is in the tree afterwards is all that was acknowledged: MinIO can be started on the drives. */
async function flush({ options, endpoints }: OnDrives): Promise<void> {
  holdProcess();
  const outside = outsideOf(options);
  const store = await openStore(options, endpoints, outside);
  const left = await store.flush();
  for (const message of left) outside.log.error("not flushed", { message });
  await store.close();
  if (left.length === 0) outside.log.info("flushed", { drives: endpoints.length });
  exitFlushed(left.length === 0 ? 0 : 1);
}

async function quarantine({ options, endpoints }: OnDrives): Promise<void> {
  holdProcess();
  const store = await openStore(options, endpoints, outsideOf({ ...options, quiet: true }));
  const { text, failed } = await quarantineCommand(store.pools, options);
  process.stdout.write(text);
  await store.close();
  exitFlushed(failed ? 1 : 0);
}

/** Damaged commit logs, one drive after the other: one that fails ends no other's repair. Exit 1 when a damaged one is left. */
async function repair({ options, endpoints }: OnDrives): Promise<void> {
  holdProcess();
  const { clock, rng, cores } = outsideOf(options);
  const disk = new NativePool(loadCodec(), { threads: cores, threadsMax: REPAIR_THREADS_MAX });
  let isWell = true;
  for (const argument of endpoints)
    for (const endpoint of hasEllipses(argument) ? expandArgument(argument).endpoints : [argument]) {
      const root = resolve(endpoint);
      try {
        const report = await repairLog({ disk, clock, rng, root, size: LOG_DEFAULTS, dryRun: options.dryRun });
        process.stdout.write(repairText(report));
        isWell &&= report.damage === null || report.movedTo !== null;
      } catch (error) {
        if (!(error instanceof RepairError) && !(error instanceof RebuildMarkError)) throw error;
        process.stdout.write(`${error.message}\n`);
        isWell = false;
      }
    }
  exitFlushed(isWell ? 0 : 1);
}

function showCodec(options: ServerOptions): void {
  const tier = { auto: -1, portable: 0, neon: 1, avx2: 3, avx512: 4 }[options.codecTier];
  const codec = loadCodec({ tier });
  const clock = realClock();
  process.stdout.write(`instruction set: ${TIER_NAMES[codec.tier] ?? "?"}, self-test passed\n`);
  for (const { what, gigabytesPerSecond } of measureCodec(codec, () => clock.elapsedMs()))
    process.stdout.write(`${what.padEnd(34)} ${gigabytesPerSecond.toFixed(1).padStart(6)} GB/s\n`);
}

/** What the arguments mean, before anything is written. */
function showPlan({ options, endpoints }: OnDrives): void {
  const layouts = layoutPools(endpoints, options.setDriveCount);
  const classes = storageClassesOf(
    layouts.map((l) => l.setSize),
    { standard: options.standardClass, reduced: options.reducedClass },
  );
  process.stdout.write(planText(layouts, classes, (endpoint) => lookAtDrive(resolve(endpoint))));
}

function fail(error: unknown): void {
  const words =
    error instanceof OperatingError
      ? error.message
      : error instanceof Error
        ? (error.stack ?? error.message)
        : String(error);
  process.stderr.write(`sherd: ${words}\n`);
  process.exit(1);
}

// Who reads our output may go away; that is no reason to stop serving.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);
await main().catch(fail);
