/**
 * Log: one line an event, for people on a terminal, JSON otherwise. Secrets never come here: callers pass names and
 * numbers, not headers. Level "info" is silenced by --quiet.
 */
import type { Clock } from "../sys/clock.ts";

export type LogLevel = "info" | "warn" | "error";
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Log {
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

export interface LogOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly clock: Clock;
  readonly write: (line: string) => void;
}

export function createLog(options: LogOptions): Log {
  const emit = (level: LogLevel, event: string, fields: LogFields): void => {
    if (options.quiet && level === "info") return;
    const time = new Date(options.clock.nowMs()).toISOString();
    options.write(
      options.json
        ? `${JSON.stringify({ time, level, event, ...fields })}\n`
        : `${human(time, level, event, fields)}\n`,
    );
  };
  return {
    info: (event, fields = {}) => emit("info", event, fields),
    warn: (event, fields = {}) => emit("warn", event, fields),
    error: (event, fields = {}) => emit("error", event, fields),
  };
}

function human(time: string, level: LogLevel, event: string, fields: LogFields): string {
  const mark = level === "info" ? "" : `${level.toUpperCase()} `;
  const rest = Object.entries(fields).filter(([, value]) => value !== undefined);
  const words = rest
    .map(([name, value]) => (name === "message" ? String(value) : `${name}=${printable(String(value))}`))
    .join(" ");
  return `${time.slice(11, 19)} ${mark}${event}${words === "" ? "" : ` ${words}`}`;
}

/** Control characters would let a key forge log lines. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what is looked for
  return /[\u0000-\u0020\u007f"]/.test(text) ? JSON.stringify(text) : text;
}
