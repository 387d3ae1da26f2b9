/**
 * Go's time values as nanoseconds since 1970 (bigint): the zero time, and RFC 3339 text with up to nine decimals.
 * Pure calendar arithmetic, no clock. `parseRfc3339` returns null on text that is no such time.
 */

/** Go's zero `time.Time`: 0001-01-01T00:00:00Z. */
export const GO_ZERO_TIME = -62_135_596_800n * 1_000_000_000n;

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;
const SECONDS_PER_DAY = 86_400;

export function parseRfc3339(text: string): bigint | null {
  const match = RFC3339.exec(text);
  if (match === null) return null;
  const field = (index: number): number => Number(match[index] ?? "0");
  const month = field(2);
  const day = field(3);
  if (month < 1 || month > 12 || day < 1 || day > 31 || field(4) > 23 || field(5) > 59 || field(6) > 60) return null;
  const zone = (match[8] === "-" ? -1 : 1) * (field(9) * 3600 + field(10) * 60);
  const days = daysFromCivil(field(1), month, day);
  const seconds = days * SECONDS_PER_DAY + field(4) * 3600 + field(5) * 60 + field(6) - zone;
  return BigInt(seconds) * 1_000_000_000n + BigInt((match[7] ?? "").padEnd(9, "0"));
}

/** As Go's RFC3339Nano in UTC: trailing zeros of the fraction are dropped. */
export function formatRfc3339(nanoseconds: bigint): string {
  const inSecond = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const seconds = Number((nanoseconds - inSecond) / 1_000_000_000n);
  const days = Math.floor(seconds / SECONDS_PER_DAY);
  const inDay = seconds - days * SECONDS_PER_DAY;
  const { year, month, day } = civilFromDays(days);
  const two = (value: number): string => String(value).padStart(2, "0");
  const clock = `${two(Math.floor(inDay / 3600))}:${two(Math.floor(inDay / 60) % 60)}:${two(inDay % 60)}`;
  const fraction = inSecond === 0n ? "" : `.${inSecond.toString().padStart(9, "0").replace(/0+$/, "")}`;
  return `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}T${clock}${fraction}Z`;
}

/** Days since 1970-01-01 of a Gregorian date; years count from March, so that the leap day comes last. */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function civilFromDays(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const leapDays = Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth + (shiftedMonth < 10 ? 3 : -9);
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return { year, month, day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1 };
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const HTTP_DATE = /^[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT$/;

/** An HTTP date (IMF-fixdate); null if it is none. */
export function parseHttpDate(text: string): bigint | null {
  const match = HTTP_DATE.exec(text);
  const month = MONTHS.indexOf(match?.[2] ?? "");
  if (match === null || month < 0) return null;
  const month2 = String(month + 1).padStart(2, "0");
  return parseRfc3339(`${match[3]}-${month2}-${match[1]}T${match[4]}:${match[5]}:${match[6]}Z`);
}
