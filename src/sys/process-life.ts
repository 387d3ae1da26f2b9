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
