/**
 * How long the process lives. Native jobs in flight do not keep Bun's event loop alive: without a hold, a stop that waits
 * for them after the last socket closed would end in the middle, with code 0.
 */
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
export function startAgain(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): never {
  const isCompiled = import.meta.url.includes("/$bunfs/");
  const given = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  process.execve?.(process.execPath, [process.execPath, ...argv.slice(isCompiled ? 2 : 1)], Object.fromEntries(given));
  process.exit(1); // not on this platform: whoever supervises it starts it again
}
