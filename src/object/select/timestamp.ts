/**
 * Timestamps of S3 Select: a moment (milliseconds since 1970, UTC), the offset it was written with, and how much of it was
 * written. Reading (ISO 8601, extended and basic), writing, adding and subtracting. Years 1 to 9999.
 */
export type DatePart = "year" | "month" | "day" | "hour" | "minute" | "second";
export const DATE_PARTS: readonly DatePart[] = ["year", "month", "day", "hour", "minute", "second"];

export class Timestamp {
  constructor(
    readonly ms: number,
    /** Minutes east of UTC. */
    readonly offsetMinutes: number,
    /** The last part that was written. */
    readonly precision: DatePart,
  ) {}
}

const EXTENDED =
  /^(\d{4})(?:T|-(\d{2})(?:T|-(\d{2})(?:T?|[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?\s?(Z|[+-]\d{2}:?\d{2})?)))$/;
const BASIC = /^(\d{4})(\d{2})(\d{2})T?(?:(\d{2})(\d{2})(?:(\d{2})(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}:?\d{2})?)?$/;
const MS_MIN = -62_135_596_800_000;
const MS_MAX = 253_402_300_799_999;

/** null = not a timestamp. */
export function parseTimestamp(text: string): Timestamp | null {
  const match = EXTENDED.exec(text) ?? BASIC.exec(text);
  if (match === null) return null;
  const number = (index: number, fallback: number): number =>
    match[index] === undefined ? fallback : Number(match[index]);
  const [year, month, day] = [number(1, 1), number(2, 1), number(3, 1)];
  const [hour, minute, second] = [number(4, 0), number(5, 0), number(6, 0)];
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return null;
  if (hour > 23 || minute > 59 || second > 59) return null;
  const offsetMinutes = offsetOf(match[8]);
  if (offsetMinutes === null) return null;
  const fraction = Number((match[7] ?? "0").padEnd(3, "0").slice(0, 3));
  const ms = utc(year, month, day) + ((hour * 60 + minute - offsetMinutes) * 60 + second) * 1000 + fraction;
  const written = (match as (string | undefined)[]).slice(1, 7).indexOf(undefined);
  return inRange(new Timestamp(ms, offsetMinutes, DATE_PARTS[(written < 0 ? 6 : written) - 1] as DatePart));
}

function offsetOf(text: string | undefined): number | null {
  if (text === undefined || text === "Z") return 0;
  const [hours, minutes] = [Number(text.slice(1, 3)), Number(text.slice(-2))];
  if (hours > 23 || minutes > 59) return null;
  return (text.startsWith("-") ? -1 : 1) * (hours * 60 + minutes);
}

function inRange(timestamp: Timestamp): Timestamp | null {
  return timestamp.ms >= MS_MIN && timestamp.ms <= MS_MAX ? timestamp : null;
}

function daysIn(year: number, month: number): number {
  return new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate();
}
/** Date.UTC takes the years below 100 for those of the last century. */
function utc(year: number, month: number, day: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getTime();
}

/** The parts as its own offset shows them. */
export interface Parts {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly millisecond: number;
}
export function partsOf(timestamp: Timestamp): Parts {
  const local = new Date(timestamp.ms + timestamp.offsetMinutes * 60_000);
  return {
    year: local.getUTCFullYear(),
    month: local.getUTCMonth() + 1,
    day: local.getUTCDate(),
    hour: local.getUTCHours(),
    minute: local.getUTCMinutes(),
    second: local.getUTCSeconds(),
    millisecond: local.getUTCMilliseconds(),
  };
}

const MS_OF = { day: 86_400_000, hour: 3_600_000, minute: 60_000, second: 1000 } as const;

/** null = outside of the years that there are. A month's end stays a month's end. */
export function dateAdd(part: DatePart, quantity: number, timestamp: Timestamp): Timestamp | null {
  const finer = DATE_PARTS.indexOf(part) > DATE_PARTS.indexOf(timestamp.precision);
  const minutely = part === "hour" && finer ? "minute" : part; // hours are never shown without minutes
  const precision = finer ? minutely : timestamp.precision;
  if (part !== "year" && part !== "month")
    return inRange(new Timestamp(timestamp.ms + quantity * MS_OF[part], timestamp.offsetMinutes, precision));
  const { year, month, day } = partsOf(timestamp);
  const months = year * 12 + (month - 1) + quantity * (part === "year" ? 12 : 1);
  const [newYear, newMonth] = [Math.floor(months / 12), (((months % 12) + 12) % 12) + 1];
  if (newYear < 1 || newYear > 9999) return null;
  const newDay = Math.min(day, daysIn(newYear, newMonth));
  const moved = utc(newYear, newMonth, newDay) - utc(year, month, day);
  return inRange(new Timestamp(timestamp.ms + moved, timestamp.offsetMinutes, precision));
}

/** Whole units from one to the other: 23 hours are no day. */
export function dateDiff(part: DatePart, from: Timestamp, to: Timestamp): number {
  if (part !== "year" && part !== "month") return Math.trunc((to.ms - from.ms) / MS_OF[part]) + 0;
  const forward = to.ms >= from.ms;
  const [early, late] = forward ? [from, to] : [to, from];
  const [a, b] = [partsOf(new Timestamp(early.ms, 0, "second")), partsOf(new Timestamp(late.ms, 0, "second"))];
  let months = (b.year - a.year) * 12 + b.month - a.month;
  const into = (p: Parts): number =>
    p.day * MS_OF.day + p.hour * MS_OF.hour + p.minute * MS_OF.minute + p.second * MS_OF.second + p.millisecond;
  if (into(b) < into(a)) months--;
  const units = part === "year" ? Math.trunc(months / 12) : months;
  return units === 0 ? 0 : forward ? units : -units;
}

/** ISO 8601, as much of it as was written. */
export function timestampText(timestamp: Timestamp): string {
  const p = partsOf(timestamp);
  const pad = (n: number, width = 2): string => String(n).padStart(width, "0");
  const date = `${pad(p.year, 4)}-${pad(p.month)}-${pad(p.day)}`;
  const time = `${pad(p.hour)}:${pad(p.minute)}`;
  const fraction = p.millisecond === 0 ? "" : `.${pad(p.millisecond, 3)}`;
  switch (timestamp.precision) {
    case "year":
      return `${pad(p.year, 4)}T`;
    case "month":
      return `${pad(p.year, 4)}-${pad(p.month)}T`;
    case "day":
      return `${date}T`;
    case "hour":
    case "minute":
      return `${date}T${time}${offsetText(timestamp.offsetMinutes, ":")}`;
    case "second":
      return `${date}T${time}:${pad(p.second)}${fraction}${offsetText(timestamp.offsetMinutes, ":")}`;
  }
}

/** Z, or ±hh:mm. */
export function offsetText(minutes: number, separator: string): string {
  return minutes === 0 ? "Z" : signedOffset(minutes, separator);
}
export function signedOffset(minutes: number, separator: string): string {
  const size = Math.abs(minutes);
  const pad = (n: number): string => String(n).padStart(2, "0");
  return `${minutes < 0 ? "-" : "+"}${pad(Math.floor(size / 60))}${separator}${pad(size % 60)}`;
}
