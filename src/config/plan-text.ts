/**
 * What `sherd plan` prints of each pool: sets, parity, usable bytes and what may fail. Pure: what the drives are comes as an
 * argument, so that nothing here can write. Sizes in bytes.
 */
import type { PoolLayout } from "./endpoints.ts";

/** What was found at a drive's path, without touching it. */
export interface DriveFacts {
  readonly state: "formatted" | "empty" | "not there";
  /** Of its file system, or of the one that its folder would be made on. */
  readonly device: number;
  readonly totalBytes: number;
  readonly freeBytes: number;
}

export interface PlanClasses {
  readonly standardParity: number;
  readonly reducedParity: number;
}

export function planText(
  layouts: readonly PoolLayout[],
  classes: PlanClasses,
  factsOf: (endpoint: string) => DriveFacts,
): string {
  const facts = new Map(layouts.flatMap((l) => l.endpoints).map((endpoint) => [endpoint, factsOf(endpoint)]));
  const onDevice = new Map<number, number>();
  for (const { device } of facts.values()) onDevice.set(device, (onDevice.get(device) ?? 0) + 1);
  const share = (endpoint: string, what: "totalBytes" | "freeBytes"): number => {
    const drive = facts.get(endpoint) as DriveFacts;
    return drive[what] / (onDevice.get(drive.device) ?? 1);
  };
  const states = (endpoints: readonly string[]): string =>
    endpoints.map((endpoint) => `${endpoint} (${facts.get(endpoint)?.state})`).join(" ");
  const lines: string[] = [];
  for (const [i, layout] of layouts.entries()) lines.push(...poolLines(i, layout, classes, { share, states }), "");
  if ([...onDevice.values()].some((drives) => drives > 1))
    lines.push("note: some drives share a file system: they fail together, and share its space", "");
  return lines.join("\n");
}

interface Means {
  /** A drive's part of the bytes of its file system. */
  readonly share: (endpoint: string, what: "totalBytes" | "freeBytes") => number;
  readonly states: (endpoints: readonly string[]) => string;
}

function poolLines(index: number, layout: PoolLayout, classes: PlanClasses, { share, states }: Means): string[] {
  const { setSize, setCount } = layout;
  const parity = classes.standardParity;
  const data = setSize - parity;
  const write = data === parity ? data + 1 : data;
  const sets = Array.from({ length: setCount }, (_, s) => layout.endpoints.slice(s * setSize, (s + 1) * setSize));
  // The smallest drive of a set fills first.
  const usable = (what: "totalBytes" | "freeBytes"): number =>
    sets.reduce((sum, set) => sum + data * Math.min(...set.map((endpoint) => share(endpoint, what))), 0);
  const raw = layout.endpoints.reduce((sum, endpoint) => sum + share(endpoint, "totalBytes"), 0);
  return [
    `pool ${index + 1}: ${layout.argument}`,
    `  ${layout.endpoints.length} drives, ${setCount} erasure set${setCount === 1 ? "" : "s"} of ${setSize}`,
    `  EC:${parity}: ${data} data + ${parity} parity shards, ${((100 * data) / setSize).toFixed(0)} % of the bytes usable (REDUCED_REDUNDANCY EC:${classes.reducedParity})`,
    `  ${bytesText(usable("totalBytes"))} usable of ${bytesText(raw)}, ${bytesText(usable("freeBytes"))} of it free`,
    `  of each set ${parity} drive${parity === 1 ? "" : "s"} may fail for reads, ${setSize - write} for writes`,
    ...sets.map((set, s) => `  set ${s + 1}: ${states(set)}`),
  ];
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024;
  return `${value.toFixed(unit === 0 || value >= 100 ? 0 : 1)} ${UNITS[unit]}`;
}
