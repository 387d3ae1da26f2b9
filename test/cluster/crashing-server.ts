/**
 * The server, killed (SIGKILL, by itself) before a step of its own drive I/O: an entry point for crash tests only. CRASH_BEFORE=n
 * names the step, counted over all drives from the moment of SIGUSR2; the steps before it of the same task are done.
 */
import { NativePool } from "../../src/codec/pool.ts";
import { Op } from "../../src/sys/disk.ts";

type Run = NativePool["run"];
/** Steps that change what is on a drive, or that make a change durable; dying before any other shows nothing new. */
const CHANGES: ReadonlySet<number> = new Set([
  Op.pwrite,
  Op.append,
  Op.flush,
  Op.fdatasync,
  Op.fsync,
  Op.syncfs,
  Op.mkdir,
  Op.mkdirPath,
  Op.rename,
  Op.link,
  Op.unlink,
  Op.rmdir,
  Op.rmdirUp,
  Op.removeTree,
  Op.writeFile,
  Op.truncate,
  Op.place,
]);

const state = { left: Number(process.env["CRASH_BEFORE"] ?? "-1"), armed: false };
process.on("SIGUSR2", () => {
  state.armed = true;
  process.stdout.write(`${JSON.stringify({ event: "armed" })}\n`);
});

const run: Run = NativePool.prototype.run;
NativePool.prototype.run = function crashing(this: NativePool, steps, light): ReturnType<Run> {
  if (!state.armed || state.left < 0) return run.call(this, steps, light);
  for (const [at, { op }] of steps.entries()) {
    if (!CHANGES.has(op) || state.left-- > 0) continue;
    const before = at === 0 ? Promise.resolve() : run.call(this, steps.slice(0, at), light);
    before.then(
      () => process.kill(process.pid, "SIGKILL"),
      () => process.kill(process.pid, "SIGKILL"),
    );
    return new Promise(() => undefined); // nothing is heard of it any more
  }
  return run.call(this, steps, light);
};

await import("../../src/main.ts");
