/**
 * ServerProcess: the server under load as the machine sees it: CPU time, memory, and starting and stopping one. CPU comes
 * from /proc/<pid>/stat, so that the load generator's own cost does not count. Linux only.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { basename, join, resolve } from "node:path";

const TICKS_PER_SECOND = 100;
const READY_MS = 30_000;

export interface Usage {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly peakBytes: number;
}

export function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) * 1024;
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    residentBytes: kilobytes("VmRSS"),
    peakBytes: kilobytes("VmHWM"),
  };
}

export interface StartedServer {
  readonly pid: number;
  readonly endpoint: string;
  readonly readyMs: number;
  stop(): Promise<void>;
}

/** Starts `binary` (sherd, or minio by its name) on four fresh drives below `where`; `stop` removes them. */
export async function startServer(
  binary: string,
  where: string,
  credentials: { readonly user: string; readonly password: string },
): Promise<StartedServer> {
  mkdirSync(where, { recursive: true });
  const folder = mkdtempSync(join(resolve(where), "bench-"));
  const drives = [1, 2, 3, 4].map((i) => join(folder, `d${i}`));
  for (const drive of drives) mkdirSync(drive);
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const started = await serve(binary, drives, credentials);
    return { ...started, stop: () => started.stop().finally(remove) };
  } catch (error) {
    remove();
    throw error;
  }
}

/** Starts `binary` on these drives, which stay. */
export async function serve(
  binary: string,
  drives: readonly string[],
  credentials: { readonly user: string; readonly password: string },
): Promise<StartedServer> {
  const address = `127.0.0.1:${await freePort()}`;
  const { user, password } = credentials;
  const own = { SHERD_ROOT_USER: user, SHERD_ROOT_PASSWORD: password, SHERD_ALLOW_ROOT_DRIVE: "on" };
  const others = {
    MINIO_ROOT_USER: user,
    MINIO_ROOT_PASSWORD: password,
    MINIO_CI_CD: "1",
    MINIO_BROWSER: "off",
    MINIO_UPDATE: "off",
  };
  const names = basename(binary).startsWith("minio") ? others : own;
  const started = performance.now();
  const child = Bun.spawn(
    [binary.includes("/") ? resolve(binary) : binary, "server", "--quiet", "--address", address, ...drives],
    {
      env: { ...Bun.env, ...names },
      stdout: "ignore",
      stderr: "inherit",
    },
  );
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await child.exited;
  };
  try {
    await untilReady(`http://${address}`, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: child.pid, endpoint: `http://${address}`, readyMs: performance.now() - started, stop };
}

async function untilReady(endpoint: string, child: Bun.Subprocess): Promise<void> {
  for (const until = performance.now() + READY_MS; performance.now() < until; await Bun.sleep(10)) {
    if (child.exitCode !== null) throw new Error(`the server ended with code ${child.exitCode}`);
    const status = await fetch(`${endpoint}/minio/health/cluster`).then(
      (answer) => answer.status,
      () => 0, // nobody listens yet
    );
    if (status === 200) return;
  }
  throw new Error(`the server was not ready after ${READY_MS / 1000} s`);
}

async function freePort(): Promise<number> {
  const { promise, resolve: found } = Promise.withResolvers<number>();
  const server = createServer();
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    server.close(() => found(typeof address === "object" && address !== null ? address.port : 0));
  });
  return await promise;
}
