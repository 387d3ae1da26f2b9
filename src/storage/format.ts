/**
 * format.json: which drive this is, and where it stands in its pool. Parse, write, judge; no I/O.
 * All drives of a pool must tell the same story; the position in `sets` is authoritative. Throws FormatError on a file
 * that no drive of ours may have; what a whole pool's drives say together is a value (`judgeFormats`).
 * Source: docs/format.md §1.1, §1.2.
 */
import { FormatError } from "../core/format-error.ts";
import { isUuidText } from "./uuid.ts";

export type DistributionAlgorithm = "SIPMOD+PARITY" | "SIPMOD" | "CRCMOD";

export interface DriveFormat {
  /** UUID text, the same on every drive of every pool. */
  readonly deploymentId: string;
  /** This drive's UUID. */
  readonly driveId: string;
  /** Sets of drive UUIDs of this pool. */
  readonly sets: readonly (readonly string[])[];
  readonly distribution: DistributionAlgorithm;
}

/** Stands for a drive that is not there; never a drive's own id. */
export const OFFLINE_DRIVE_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff";

export interface ParsedFormat {
  readonly format: DriveFormat;
  /** Version that the file has; below 3 it wants `serializeFormat` and, from 2, the old multipart folder moved away. */
  readonly version: 1 | 2 | 3;
}

type Json = Readonly<Record<string, unknown>>;

function asObject(value: unknown, what: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new FormatError(`format.json: ${what} is missing`);
  return value as Json;
}

function asText(value: unknown, what: string): string {
  if (typeof value !== "string" || value === "") throw new FormatError(`format.json: ${what} is missing`);
  return value;
}

export function parseFormat(bytes: Uint8Array): ParsedFormat {
  let root: unknown;
  try {
    root = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new FormatError("format.json: not JSON", { cause });
  }
  const json = asObject(root, "the document");
  if (json["version"] !== "1") throw new FormatError(`format.json: version ${String(json["version"])} is not known`);
  const kind = json["format"];
  if (kind !== "xl" && kind !== "xl-single")
    throw new FormatError(`format.json: format ${String(kind)} is not erasure-coded`);
  const deploymentId = asText(json["id"], "the deployment id");
  const xl = asObject(json["xl"], "xl");
  const parsed = xl["version"] === "1" ? fromVersion1(deploymentId, xl) : fromSets(deploymentId, xl);
  validateFormat(parsed.format, kind === "xl-single");
  return parsed;
}

function fromSets(deploymentId: string, xl: Json): ParsedFormat {
  const version = xl["version"];
  if (version !== "2" && version !== "3")
    throw new FormatError(`format.json: xl version ${String(version)} is not known`);
  const sets = xl["sets"];
  if (!Array.isArray(sets)) throw new FormatError("format.json: sets are missing");
  const distribution = asText(xl["distributionAlgo"], "the distribution algorithm");
  if (distribution !== "SIPMOD+PARITY" && distribution !== "SIPMOD" && distribution !== "CRCMOD") {
    throw new FormatError(`format.json: distribution ${distribution} is not known`);
  }
  const driveId = asText(xl["this"], "this drive's id");
  return { format: { deploymentId, driveId, sets: sets.map(asIds), distribution }, version: version === "2" ? 2 : 3 };
}

/** One set, called jbod, and `drive` instead of `this`. */
function fromVersion1(deploymentId: string, xl: Json): ParsedFormat {
  const driveId = asText(xl["drive"], "this drive's id");
  return { format: { deploymentId, driveId, sets: [asIds(xl["jbod"])], distribution: "CRCMOD" }, version: 1 };
}

function asIds(value: unknown): string[] {
  if (!Array.isArray(value)) throw new FormatError("format.json: a set is no list");
  return value.map((id: unknown) => asText(id, "a drive id"));
}

/** The rules for one file. */
export function validateFormat(format: DriveFormat, isSingle = isSingleDrive(format)): void {
  const { sets, deploymentId, driveId } = format;
  if (!isUuidText(deploymentId)) throw new FormatError("format.json: the deployment id is no UUID");
  const setSize = sets[0]?.length ?? 0;
  if (setSize === 0) throw new FormatError("format.json: no drives");
  if (sets.some((set) => set.length !== setSize)) throw new FormatError("format.json: sets of different sizes");
  if (isSingle && !isSingleDrive(format)) throw new FormatError("format.json: a single drive with more than one drive");
  const ids = sets.flat();
  if (!ids.every(isUuidText)) throw new FormatError("format.json: a drive id is no UUID");
  if (new Set(ids).size !== ids.length) throw new FormatError("format.json: a drive occurs twice");
  if (driveId === OFFLINE_DRIVE_ID || !ids.includes(driveId))
    throw new FormatError("format.json: this drive is not in its sets");
}

function isSingleDrive(format: DriveFormat): boolean {
  return format.sets.length === 1 && format.sets[0]?.length === 1;
}

/** The file as MinIO writes it, always of the current version. */
export function serializeFormat(format: DriveFormat): Uint8Array {
  validateFormat(format);
  const json = {
    version: "1",
    format: isSingleDrive(format) ? "xl-single" : "xl",
    id: format.deploymentId,
    xl: { version: "3", this: format.driveId, sets: format.sets, distributionAlgo: format.distribution },
  };
  return new TextEncoder().encode(JSON.stringify(json));
}

/** Formats of a new pool, in the order of its endpoints. `newId` gives random UUID text. */
export function freshFormats(
  deploymentId: string,
  setCount: number,
  setSize: number,
  newId: () => string,
): DriveFormat[] {
  const sets = Array.from({ length: setCount }, () => Array.from({ length: setSize }, newId));
  return sets.flatMap((set) =>
    set.map((driveId) => ({ deploymentId, driveId, sets, distribution: "SIPMOD+PARITY" as const })),
  );
}

/** The format of one position, also when that drive has lost its own. */
export function formatAt(reference: DriveFormat, position: number): DriveFormat {
  const setSize = reference.sets[0]?.length ?? 1;
  const driveId = reference.sets[Math.floor(position / setSize)]?.[position % setSize];
  if (driveId === undefined) throw new FormatError(`format.json: no drive at position ${position}`);
  return { ...reference, driveId };
}

/** Position of a drive in the order of endpoints; -1 if it is not of this pool. */
export function positionOf(reference: DriveFormat, driveId: string): number {
  return reference.sets.flat().indexOf(driveId);
}

// ---- a pool's drives together

/** What reading one endpoint's format gave. */
export type FormatReading =
  | { readonly kind: "format"; readonly format: DriveFormat }
  /** The drive is there and holds no format.json. */
  | { readonly kind: "unformatted" }
  /** The drive cannot be reached or read now. */
  | { readonly kind: "offline" }
  /** format.json is there and says nothing usable. */
  | { readonly kind: "corrupt"; readonly reason: string };

export type DriveVerdict =
  | { readonly kind: "accepted"; readonly format: DriveFormat }
  /** Write `format` there, with a healing tracker. */
  | { readonly kind: "heal"; readonly format: DriveFormat }
  | { readonly kind: "offline" }
  /** Of another deployment, or at a wrong place: leave it alone and tell the operator. */
  | { readonly kind: "refused"; readonly reason: string };

export type PoolVerdict =
  /** Every drive is empty: the node with the first endpoint may format them. */
  | { readonly kind: "fresh" }
  /** Too few drives to know. */
  | { readonly kind: "wait"; readonly reason: string }
  | { readonly kind: "fatal"; readonly reason: string }
  | { readonly kind: "ready"; readonly reference: DriveFormat; readonly drives: readonly DriveVerdict[] };

/** Judges the formats of a pool with `setSize` drives a set; `readings` in the order of its endpoints. */
export function judgeFormats(readings: readonly FormatReading[], setSize: number): PoolVerdict {
  const total = readings.length;
  const unformatted = readings.filter(({ kind }) => kind === "unformatted").length;
  if (unformatted === total) return { kind: "fresh" };
  for (const reading of readings) {
    const reason = reading.kind === "format" ? misfit(reading.format, total, setSize) : null;
    if (reason !== null) return { kind: "fatal", reason };
  }
  const formatQuorum = Math.floor(total / 2) + 1;
  if (unformatted >= formatQuorum) return { kind: "wait", reason: `${unformatted} of ${total} drives are unformatted` };
  const reference = mostCommon(readings);
  const needed = Math.max(1, Math.floor(total / 2));
  if (reference === null || reference.count < needed) {
    return {
      kind: "wait",
      reason: `${reference?.count ?? 0} of ${total} drives agree on a format, ${needed} are needed`,
    };
  }
  const drives = readings.map((reading, position) => judgeDrive(reading, reference.format, position));
  return { kind: "ready", reference: reference.format, drives };
}

function misfit(format: DriveFormat, total: number, setSize: number): string | null {
  const drives = format.sets.length * (format.sets[0]?.length ?? 0);
  if (drives !== total) return `format.json describes ${drives} drives, the command line ${total}`;
  const found = format.sets[0]?.length ?? 0;
  return found === setSize
    ? null
    : `format.json describes sets of ${found} drives, the command line sets of ${setSize}`;
}

function layoutKey(format: DriveFormat): string {
  return JSON.stringify([format.deploymentId, format.distribution, format.sets]);
}

function mostCommon(readings: readonly FormatReading[]): { format: DriveFormat; count: number } | null {
  const counts = new Map<string, { format: DriveFormat; count: number }>();
  for (const reading of readings) {
    if (reading.kind !== "format") continue;
    const key = layoutKey(reading.format);
    const entry = counts.get(key) ?? { format: reading.format, count: 0 };
    entry.count++;
    counts.set(key, entry);
  }
  let best: { format: DriveFormat; count: number } | null = null;
  for (const entry of counts.values()) if (best === null || entry.count > best.count) best = entry;
  return best;
}

function judgeDrive(reading: FormatReading, reference: DriveFormat, position: number): DriveVerdict {
  if (reading.kind === "offline") return { kind: "offline" };
  if (reading.kind === "unformatted") return { kind: "heal", format: formatAt(reference, position) };
  if (reading.kind === "corrupt") return { kind: "refused", reason: reading.reason };
  if (layoutKey(reading.format) !== layoutKey(reference))
    return { kind: "refused", reason: "the drive belongs to another deployment or pool" };
  const own = positionOf(reference, reading.format.driveId);
  if (own !== position) return { kind: "refused", reason: `the drive belongs at position ${own}, not ${position}` };
  return { kind: "accepted", format: reading.format };
}
