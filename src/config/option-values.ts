/**
 * The kinds of option values: each a zod schema from the text of a flag or variable to a typed value, with a message that
 * says what is expected. Used by the table in `options.ts`. Units: durations in milliseconds, sizes in bytes.
 */
import { z } from "zod";

/** A schema whose value is `parse(text)`; null means that the text is not one. */
function parsedAs<T>(expected: string, parse: (text: string) => { readonly value: T } | null) {
  return z.string().transform((text, context): T => {
    const result = parse(text.trim());
    if (result !== null) return result.value;
    context.addIssue({ code: "custom", message: `expected ${expected}` });
    return z.NEVER;
  });
}

const TRUE_WORDS: ReadonlySet<string> = new Set(["on", "true", "yes", "1", "enable", "enabled"]);
const FALSE_WORDS: ReadonlySet<string> = new Set(["off", "false", "no", "0", "disable", "disabled"]);

export const onOff = parsedAs("on or off", (text) => {
  const word = text.toLowerCase();
  if (TRUE_WORDS.has(word)) return { value: true };
  return FALSE_WORDS.has(word) ? { value: false } : null;
});

/** An address to listen on. `host` is "" for all interfaces, without brackets for IPv6; port 0 = any free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

function parseAddress(text: string): { readonly value: ListenAddress } | null {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]\s/]*)):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const port = Number(match[3]);
  return port <= 65_535 ? { value: { host: match[1] ?? match[2] ?? "", port } } : null;
}

const ADDRESS_FORM = "HOST:PORT or :PORT, with [ ] around an IPv6 host";
export const listenAddress = parsedAs(ADDRESS_FORM, parseAddress);
export const optionalListenAddress = parsedAs<ListenAddress | null>(ADDRESS_FORM, (text) =>
  text === "" ? { value: null } : parseAddress(text),
);

export const anyText = z.string();

/** A text or null when it is empty. */
export const optionalText = z.string().transform((text): string | null => (text === "" ? null : text));

/** Words separated by commas; "*" alone stands for all and gives none. */
export const wordList = parsedAs<readonly string[]>("words separated by commas", (text) => {
  const words = text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
  return { value: words.includes("*") ? [] : words };
});

export function textOfLength(min: number) {
  return z.string().min(min, `expected at least ${min} characters`);
}

export function integerBetween(min: number, max: number) {
  return parsedAs(`a whole number from ${min} to ${max}`, (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? { value } : null;
  });
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** "30s", "1m30s", "500ms". */
export const durationMs = parsedAs("a duration such as 30s, 1m30s or 500ms", (text) => {
  if (!/^(?:\d{1,9}(?:ms|s|m|h))+$/.test(text)) return null;
  let value = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|s|m|h)/g)) value += Number(count) * (UNIT_MS[unit ?? ""] ?? 0);
  return value < 2 ** 31 ? { value } : null;
});

const SIZE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  KB: 1000,
  MB: 1000 ** 2,
  KIB: 1024,
  MIB: 1024 ** 2,
  GB: 1000 ** 3,
  GIB: 1024 ** 3,
};

function sizeOf(text: string): number | null {
  const match = /^(\d{1,12})\s*([A-Za-z]*)$/.exec(text);
  const unit = SIZE_UNITS[(match?.[2] ?? "").toUpperCase()];
  return match === null || unit === undefined ? null : Number(match[1]) * unit;
}

/** "128KiB", "131072"; null when empty. */
export const optionalSizeBytes = parsedAs<number | null>("a size such as 128KiB", (text) => {
  if (text === "") return { value: null };
  const value = sizeOf(text);
  return value === null ? null : { value };
});

/** "64MiB", within bounds. */
export function sizeBetween(min: string, max: string) {
  const [least, most] = [sizeOf(min), sizeOf(max)];
  return parsedAs(`a size from ${min} to ${max}`, (text) => {
    const value = sizeOf(text);
    return value !== null && least !== null && most !== null && value >= least && value <= most ? { value } : null;
  });
}

/** "EC:2" or "" for the default of the set size, as text: it is judged in `storage-class.ts`, where the sets are known. */
export const storageClassText = parsedAs("EC:PARITY, for example EC:2", (text) =>
  text === "" || /^EC:\d{1,2}$/.test(text) ? { value: text } : null,
);

/** DNS names separated by commas; none may be a suffix of another, or a host would name two buckets. */
export const domainList = parsedAs<readonly string[]>(
  "domain names separated by commas, none a suffix of another",
  (text) => {
    const names = text
      .toLowerCase()
      .split(",")
      .map((name) => name.trim());
    const value = names.filter((name) => name !== "");
    const wellFormed = value.every((name) => /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/.test(name));
    const overlapping = value.some((a, i) => value.some((b, j) => i !== j && (a === b || a.endsWith(`.${b}`))));
    return wellFormed && !overlapping ? { value } : null;
  },
);

export const originList = parsedAs<readonly string[]>("origins separated by commas, one * in each at most", (text) => {
  const value = text
    .split(",")
    .map((origin) => origin.trim())
    .filter((origin) => origin !== "");
  const wellFormed = value.every((origin) => /^[\x21-\x7e]+$/.test(origin) && origin.split("*").length <= 2);
  return wellFormed ? { value } : null;
});

export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, { error: `expected ${words.slice(0, -1).join(", ")} or ${words.at(-1)}` });
}
