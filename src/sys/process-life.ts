/**
 * How long the process lives. Native jobs in flight do not keep Bun's event loop alive: without a hold, a stop that waits
 * for them after the last socket closed would end in the middle, with code 0.
 */

/** How the program was started: `process` itself. */
interface Program {
  readonly argv: readonly string[];
  /** Flags of the runtime, if it is not part of the executable. */
  readonly execArgv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

const FAR_MS = 2 ** 30;
const FLUSH_MS = 2000;

/** The process stays until `exitFlushed`, whatever it waits for. */
export function holdProcess(): void {
  setInterval(() => undefined, FAR_MS);
}

/** Ends the process after the last lines of output are written; exit alone would lose them. */
export function exitFlushed(code: number): void {
  setTimeout(() => process.exit(code), FLUSH_MS); // nobody reads our output: go all the same
  process.stdout.write("", () => process.exit(code));
}

/** The same program with the same arguments in the same process: whoever supervises it sees no end. */
export function startAgain(program: Program): never {
  replaceProcess(program, program.env);
  process.exit(1); // not on this platform: whoever supervises it starts it again
}

/**
 * Options of the JavaScript engine, which reads them from its environment, and only when it starts (ADR 0016). Its last compiler
 * takes seconds of CPU for what a server does a few thousand times, and makes that no faster: it waits ten times as long. And it lets
 * the heap grow to three times what is in use between two full collections: three quarters more are enough, and half would make every second one a full one.
 */
const ENGINE_OPTIONS = {
  BUN_JSC_thresholdForFTLOptimizeAfterWarmUp: "1000000",
  BUN_JSC_thresholdForFTLOptimizeSoon: "10000",
  BUN_JSC_heapGrowthMaxIncrease: "0.75",
};

/** Starts the process again with the engine's options, unless it runs with them or with what somebody else chose. */
export function withEngineOptions(program: Program): void {
  if (Object.keys(ENGINE_OPTIONS).some((name) => program.env[name] !== undefined)) return;
  replaceProcess(program, { ...program.env, ...ENGINE_OPTIONS });
}

/** Returns where that is not possible. */
function replaceProcess({ argv, execArgv }: Program, env: Program["env"]): void {
  const isCompiled = import.meta.url.includes("/$bunfs/");
  const given = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const args = [process.execPath, ...execArgv, ...argv.slice(isCompiled ? 2 : 1)];
  process.execve?.(process.execPath, args, Object.fromEntries(given));
}
