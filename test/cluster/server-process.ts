/**
 * ServerProcess: a real server process on real folders and a free port of loopback, for tests that kill it. Runs the sources,
 * or the executable of SHERD_BIN. Owns the process, what it printed, and nothing of the folders.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { S3Client } from "./s3-client.ts";

export const USER = "cluster-admin";
export const SECRET = "cluster-admin-secret";
const SOURCES = join(import.meta.dir, "../../src/main.ts");
const LISTENING_MS = 20_000;
/** Chosen here, so that a server does not start twice to choose it (sys/process-life.ts). */
const ENGINE = { BUN_JSC_thresholdForFTLOptimizeAfterWarmUp: "1000000", BUN_JSC_heapGrowthMaxIncrease: "0.5" };

export interface LogLine {
  readonly event: string;
  readonly level?: string;
  readonly [field: string]: unknown;
}

export interface StartOptions {
  /** Where the process runs: relative endpoints are folders of it. */
  readonly cwd: string;
  readonly endpoints?: readonly string[];
  readonly flags?: readonly string[];
  /** undefined = without this one. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Instead of src/main.ts: an entry point of a test. */
  readonly entry?: string;
}

export class ServerProcess implements AsyncDisposable {
  readonly lines: string[] = [];
  private readonly waiting = new Set<() => void>();
  private ended = false;

  private constructor(
    private readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">,
    readonly errorText: { value: string },
  ) {}

  /** Resolves when it listens; rejects with its output when it ends before. */
  static async start(options: StartOptions): Promise<ServerProcess> {
    const server = ServerProcess.spawn(options);
    const listening = await server.until((line) => line.event === "listening", LISTENING_MS);
    if (listening === null) {
      await server.kill();
      throw new Error(`the server did not listen:\n${server.lines.join("\n")}\n${server.errorText.value}`);
    }
    return server;
  }

  static spawn(options: StartOptions): ServerProcess {
    const binary = process.env["SHERD_BIN"];
    const program =
      options.entry === undefined && binary !== undefined ? [binary] : [process.execPath, options.entry ?? SOURCES];
    const endpoints = options.endpoints ?? ["./d{1...4}"];
    const child = Bun.spawn(
      [...program, "server", "--json", "--address", "127.0.0.1:0", ...(options.flags ?? []), ...endpoints],
      {
        cwd: options.cwd,
        env: { ...process.env, ...ENGINE, SHERD_ROOT_USER: USER, SHERD_ROOT_PASSWORD: SECRET, ...options.env },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    const errorText = { value: "" };
    const server = new ServerProcess(child, errorText);
    server.collect();
    return server;
  }

  get pid(): number {
    return this.child.pid;
  }
  get exitCode(): number | null {
    return this.child.exitCode;
  }
  get url(): string {
    return String(this.log().find((line) => line.event === "listening")?.["address"] ?? "");
  }
  get client(): S3Client {
    return new S3Client(this.url, USER, SECRET);
  }

  log(): LogLine[] {
    return this.lines.flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as LogLine] : []));
  }

  /** The first log line for which `matches`, printed already or later; null = the process ended, or time is up. */
  async until(matches: (line: LogLine) => boolean, timeoutMs = 10_000): Promise<LogLine | null> {
    const { promise: late, resolve: giveUp } = Promise.withResolvers<"late">();
    const timer = setTimeout(() => giveUp("late"), timeoutMs);
    try {
      for (;;) {
        const found = this.log().find(matches);
        if (found !== undefined) return found;
        if (this.ended) return null;
        const { promise: more, resolve } = Promise.withResolvers<"more">();
        const wake = (): void => resolve("more");
        this.waiting.add(wake);
        const what = await Promise.race([more, late]);
        this.waiting.delete(wake);
        if (what === "late") return null;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** SIGTERM; the exit code. */
  async stop(): Promise<number> {
    this.child.kill("SIGTERM");
    return await this.child.exited;
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.exited;
  }

  async exited(): Promise<number> {
    return await this.child.exited;
  }

  /** VmRSS and VmHWM in bytes. */
  memory(): { readonly resident: number; readonly peak: number } {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    const bytes = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) * 1024;
    return { resident: bytes("VmRSS"), peak: bytes("VmHWM") };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.kill();
  }

  private collect(): void {
    const notify = (): void => {
      for (const wake of this.waiting) wake();
    };
    const read = async (): Promise<void> => {
      let rest = "";
      const decoder = new TextDecoder();
      for await (const chunk of this.child.stdout) {
        rest += decoder.decode(chunk, { stream: true });
        const parts = rest.split("\n");
        rest = parts.pop() ?? "";
        this.lines.push(...parts);
        notify();
      }
      await this.child.exited;
      this.ended = true;
      notify();
    };
    const readErrors = async (): Promise<void> => {
      for await (const chunk of this.child.stderr) this.errorText.value += Buffer.from(chunk).toString();
    };
    read().catch((error: unknown) => this.lines.push(String(error)));
    readErrors().catch((error: unknown) => this.lines.push(String(error)));
  }
}
