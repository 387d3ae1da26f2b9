/**
 * Object lock on what lies on the drives: retention and legal hold of a version, and the default that a bucket's stored
 * configuration gives to new ones. Pure; times in ms. Source: s3-api.md §4.11, on-disk-format.md §5.10.
 */
export const LOCK_MODE_KEY = "x-amz-object-lock-mode";
export const LOCK_UNTIL_KEY = "x-amz-object-lock-retain-until-date";
export const LOCK_HOLD_KEY = "x-amz-object-lock-legal-hold";
const DAY_MS = 86_400_000;

export interface Retention {
  readonly mode: "GOVERNANCE" | "COMPLIANCE";
  /** As stored: ISO 8601. */
  readonly until: string;
}

export function retentionOf(metadata: ReadonlyMap<string, string>): Retention | null {
  const mode = metadata.get(LOCK_MODE_KEY)?.toUpperCase();
  const until = metadata.get(LOCK_UNTIL_KEY);
  return (mode === "GOVERNANCE" || mode === "COMPLIANCE") && until !== undefined
    ? { mode, until: isoTime(until) }
    : null;
}

/** Older releases stored no milliseconds. */
function isoTime(text: string): string {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? text : new Date(ms).toISOString();
}

export function legalHoldOf(metadata: ReadonlyMap<string, string>): "ON" | "OFF" | null {
  const hold = metadata.get(LOCK_HOLD_KEY)?.toUpperCase();
  return hold === "ON" || hold === "OFF" ? hold : null;
}

/** May this version be removed? `bypass`: the caller asked to, and may, override GOVERNANCE. */
export function isProtected(metadata: ReadonlyMap<string, string>, nowMs: number, bypass: boolean): boolean {
  if (legalHoldOf(metadata) === "ON") return true;
  const retention = retentionOf(metadata);
  if (retention === null) return false;
  const untilMs = Date.parse(retention.until);
  const isOver = !Number.isNaN(untilMs) && untilMs <= nowMs; // a date that cannot be read protects
  return !isOver && !(retention.mode === "GOVERNANCE" && bypass);
}

/** The last moment that a date of four-digit years can name. */
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59);

/** Metadata that the bucket's default retention gives to a version made now; empty = no default. */
export function defaultRetention(configuration: Uint8Array, nowMs: number): ReadonlyMap<string, string> {
  if (configuration.length === 0) return new Map();
  const text = new TextDecoder().decode(configuration);
  const mode = /<DefaultRetention>.*<Mode>\s*(GOVERNANCE|COMPLIANCE)\s*<\/Mode>/s.exec(text)?.[1];
  const days = /<Days>\s*(\d+)\s*<\/Days>/.exec(text)?.[1];
  const years = /<Years>\s*(\d+)\s*<\/Years>/.exec(text)?.[1];
  if (mode === undefined || (days === undefined && years === undefined)) return new Map();
  const until = new Date(nowMs + Number(days ?? 0) * DAY_MS);
  if (years !== undefined) until.setUTCFullYear(until.getUTCFullYear() + Number(years));
  const untilMs = Math.min(until.getTime(), LAST_MS); // NaN beyond what a date can be
  return new Map([
    [LOCK_MODE_KEY, mode],
    [LOCK_UNTIL_KEY, new Date(Number.isNaN(untilMs) ? LAST_MS : untilMs).toISOString()],
  ]);
}
