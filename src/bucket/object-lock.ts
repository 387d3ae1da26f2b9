/**
 * Object lock on what lies on the drives: retention and legal hold of a version, and the default that a bucket's stored
 * configuration gives to new ones. Pure; times in ms. Source: s3-api.md §4.11, on-disk-format.md §5.10.
 */
import { firstChild, storedDocument, textOf, type XmlElement } from "../core/xml.ts";
import { DocumentError, malformed } from "./document-error.ts";

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
const DAYS_MAX = 36_500;
const YEARS_MAX = 100;

// ---- the bucket's configuration

export interface DefaultRetention {
  readonly mode: Retention["mode"];
  readonly days: number;
  readonly years: number;
}
/** null = locking only, without a default. */
export interface LockConfiguration {
  readonly retention: DefaultRetention | null;
}

export function parseLockConfiguration(root: XmlElement): LockConfiguration {
  if (textOf(root, "ObjectLockEnabled") !== "Enabled") throw malformed("ObjectLockEnabled must be Enabled.");
  const rule = firstChild(root, "Rule");
  if (rule === undefined) return { retention: null };
  const wanted = firstChild(rule, "DefaultRetention");
  if (wanted === undefined) throw malformed("A rule needs a DefaultRetention.");
  const mode = textOf(wanted, "Mode");
  if (mode !== "GOVERNANCE" && mode !== "COMPLIANCE") throw malformed("The mode must be GOVERNANCE or COMPLIANCE.");
  const [days, years] = [textOf(wanted, "Days"), textOf(wanted, "Years")];
  if ((days === undefined) === (years === undefined)) throw malformed("One of Days and Years must be given.");
  const period = (text: string | undefined, max: number): number => {
    if (text === undefined) return 0;
    if (!/^-?\d{1,15}$/.test(text)) throw malformed("A retention period must be a number.");
    if (Number(text) < 1 || Number(text) > max)
      throw new DocumentError("InvalidRetentionPeriod", `The retention period must be between 1 and ${max}.`);
    return Number(text);
  };
  return { retention: { mode, days: period(days, DAYS_MAX), years: period(years, YEARS_MAX) } };
}

export function storedLockConfiguration({ retention }: LockConfiguration): Uint8Array {
  return storedDocument("ObjectLockConfiguration", [
    ["ObjectLockEnabled", "Enabled"],
    retention === null
      ? null
      : [
          "Rule",
          [
            [
              "DefaultRetention",
              [
                ["Mode", retention.mode],
                retention.days > 0 ? ["Days", retention.days] : null,
                retention.years > 0 ? ["Years", retention.years] : null,
              ],
            ],
          ],
        ],
  ]);
}

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

// ---- one version

export interface LockWish {
  readonly retention: Retention | null;
  readonly legalHold: "ON" | "OFF" | null;
}
export const NO_LOCK: LockWish = { retention: null, legalHold: null };

/** ISO 8601 with a zone, as stored; null = not a date. */
export function retainUntil(text: string): string | null {
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/.test(text)) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) || ms > LAST_MS ? null : new Date(ms).toISOString();
}

/** Lock metadata of a version made now: what was asked for, else the bucket's default. */
export function lockMetadata(configuration: Uint8Array, wish: LockWish, nowMs: number): ReadonlyMap<string, string> {
  const metadata = new Map(wish.retention === null ? defaultRetention(configuration, nowMs) : []);
  if (wish.retention !== null) {
    metadata.set(LOCK_MODE_KEY, wish.retention.mode);
    metadata.set(LOCK_UNTIL_KEY, wish.retention.until);
  }
  if (wish.legalHold !== null) metadata.set(LOCK_HOLD_KEY, wish.legalHold);
  return metadata;
}

/**
 * May a version's retention become `next` (null = none)? COMPLIANCE only grows; GOVERNANCE shrinks, ends or changes its mode
 * for those who may bypass it.
 */
export function mayChangeRetention(
  current: Retention | null,
  next: Retention | null,
  nowMs: number,
  bypass: boolean,
): boolean {
  if (current === null) return true;
  const untilMs = Date.parse(current.until);
  if (untilMs <= nowMs) return true;
  const grows = next !== null && next.mode === current.mode && Date.parse(next.until) >= untilMs;
  return grows || (current.mode === "GOVERNANCE" && bypass);
}
