/**
 * From the command line's arguments to pools of endpoints in erasure sets: `{a...b}` expansion and set sizes, exactly
 * MinIO's, because position decides where data are found. Pure text; whether an endpoint is local is decided elsewhere.
 * Throws EndpointsError with words for the operator. Source: docs/format.md §2.1.
 */
import { OperatingError } from "../core/errors.ts";

export class EndpointsError extends OperatingError<"BadEndpoints"> {}

export interface PoolLayout {
  /** The argument as written (several without ellipses: joined by spaces): the pool's name in pool.bin. */
  readonly argument: string;
  /** In order: endpoints i*setSize … form set i. */
  readonly endpoints: readonly string[];
  readonly setSize: number;
  readonly setCount: number;
}

const SET_SIZE_MIN = 2;
const SET_SIZE_MAX = 16;
/** No deployment is near it; a typing error would otherwise fill memory. */
const ENDPOINT_COUNT_MAX = 65_536;
const ELLIPSIS = /\{([^{}]*?)\.\.\.([^{}]*?)\}/g;

function fail(message: string): never {
  throw new EndpointsError("BadEndpoints", message);
}

/** `setDriveCount`: the operator's choice of set size; 0 = ours. */
export function layoutPools(args: readonly string[], setDriveCount = 0): PoolLayout[] {
  if (args.length === 0) fail("no drives given");
  const withEllipses = args.filter(hasEllipses).length;
  if (withEllipses === 0) return checked([plainPool(args, setDriveCount)]);
  if (withEllipses < args.length) fail("either every argument is a pool with {a...b}, or none has an ellipsis");
  return checked(args.map((argument) => ellipsesPool(argument, setDriveCount)));
}

export function hasEllipses(argument: string): boolean {
  return argument.includes("...") || argument.includes("{") || argument.includes("}");
}

function plainPool(args: readonly string[], setDriveCount: number): PoolLayout {
  const argument = args.join(" ");
  if (args.length === 1) return { argument, endpoints: args, setSize: 1, setCount: 1 };
  const setSize = setSizeOf(args.length, null, setDriveCount, argument);
  return { argument, endpoints: args, setSize, setCount: args.length / setSize };
}

function ellipsesPool(argument: string, setDriveCount: number): PoolLayout {
  const { endpoints, leftmostCount } = expandArgument(argument);
  const setSize = setSizeOf(endpoints.length, leftmostCount, setDriveCount, argument);
  return { argument, endpoints, setSize, setCount: endpoints.length / setSize };
}

function checked(pools: PoolLayout[]): PoolLayout[] {
  const seen = new Set<string>();
  for (const { endpoints } of pools) {
    for (const endpoint of endpoints) {
      const name = endpoint.replace(/(?<=[^/])\/+$/, "");
      if (name === "") fail("an endpoint is empty");
      if (seen.has(name)) fail(`the endpoint ${endpoint} is given twice`);
      seen.add(name);
    }
  }
  return pools;
}

// ---- expansion

interface Expansion {
  readonly endpoints: readonly string[];
  /** Values of the leftmost ellipsis. */
  readonly leftmostCount: number;
}

/** All values of an argument; the leftmost ellipsis varies fastest. */
export function expandArgument(argument: string): Expansion {
  const literals: string[] = [];
  const ranges: string[][] = [];
  let from = 0;
  for (const match of argument.matchAll(ELLIPSIS)) {
    literals.push(argument.slice(from, match.index));
    ranges.push(expandRange(match[1] ?? "", match[2] ?? "", argument));
    from = match.index + match[0].length;
  }
  literals.push(argument.slice(from));
  if (ranges.length === 0 || literals.some((text) => /[{}]|\.\.\./.test(text))) {
    fail(`${argument}: an ellipsis is written {1...4}`);
  }
  const total = ranges.reduce((product, range) => product * range.length, 1);
  if (total > ENDPOINT_COUNT_MAX) fail(`${argument}: ${total} endpoints are more than ${ENDPOINT_COUNT_MAX}`);
  const endpoints: string[] = [];
  for (let number = 0; number < total; number++) endpoints.push(endpointAt(literals, ranges, number));
  return { endpoints, leftmostCount: ranges[0]?.length ?? 0 };
}

function endpointAt(literals: readonly string[], ranges: readonly (readonly string[])[], number: number): string {
  let out = literals[0] ?? "";
  let rest = number;
  for (const [index, range] of ranges.entries()) {
    out += (range[rest % range.length] ?? "") + (literals[index + 1] ?? "");
    rest = Math.floor(rest / range.length);
  }
  return out;
}

function expandRange(start: string, end: string, argument: string): string[] {
  const first = boundOf(start);
  const last = boundOf(end);
  if (first === null || last === null) {
    fail(`${argument}: {${start}...${end}} is neither a decimal nor a hexadecimal range`);
  }
  const radix = isDecimal(start) && isDecimal(end) ? 10 : 16;
  if (first > last) fail(`${argument}: {${start}...${end}} runs backwards`);
  if (last - first >= ENDPOINT_COUNT_MAX) fail(`${argument}: {${start}...${end}} is too long`);
  const isPadded = (start.length > 1 && start.startsWith("0")) || end.startsWith("0");
  const width = isPadded ? end.length : 0;
  const values: string[] = [];
  for (let value = first; value <= last; value++) values.push(value.toString(radix).padStart(width, "0"));
  return values;
}

function isDecimal(bound: string): boolean {
  return /^\d{1,15}$/.test(bound);
}

/** Each bound alone is decimal if it can be, even beside a hexadecimal one: so does MinIO read `{10...1f}`. */
function boundOf(bound: string): number | null {
  if (isDecimal(bound)) return Number.parseInt(bound, 10);
  return /^[0-9a-f]{1,12}$/i.test(bound) ? Number.parseInt(bound, 16) : null;
}

// ---- set size

/** `leftmostCount`: values of the leftmost ellipsis, null without ellipses. */
export function setSizeOf(
  total: number,
  leftmostCount: number | null,
  setDriveCount: number,
  argument: string,
): number {
  const candidates: number[] = [];
  for (let size = SET_SIZE_MIN; size <= SET_SIZE_MAX; size++) if (total % size === 0) candidates.push(size);
  if (candidates.length === 0) {
    fail(`${argument}: ${total} drives cannot be divided into sets of ${SET_SIZE_MIN} to ${SET_SIZE_MAX}`);
  }
  if (setDriveCount > 0) {
    if (!candidates.includes(setDriveCount)) {
      fail(`${argument}: ${total} drives do not make sets of ${setDriveCount}; possible are ${candidates.join(", ")}`);
    }
    return setDriveCount;
  }
  const fitting = leftmostCount === null ? candidates : candidates.filter((size) => isSymmetric(size, leftmostCount));
  const largest = fitting.at(-1);
  if (largest === undefined) {
    fail(`${argument}: no set size divides ${total} drives evenly over ${leftmostCount} of the leftmost ellipsis`);
  }
  return largest;
}

function isSymmetric(size: number, leftmostCount: number): boolean {
  return leftmostCount > size ? leftmostCount % size === 0 : size % leftmostCount === 0;
}
