/**
 * ProcessUsage: what this process and its machine use, from Linux's /proc, read off the JavaScript thread. Where a file
 * is not there or not as expected, its numbers are null and the metric is left out: never a made-up zero.
 * Bytes, seconds, counts. Source: proc(5).
 */
import { type Disk, type DiskResult, Ignore, step } from "../sys/disk.ts";

const FILE_BYTES = 16 * 1024;
const LISTING_BYTES = 512 * 1024;
/** USER_HZ: the unit of /proc/self/stat, 100 on every Linux that runs Bun. */
const TICKS_PER_SECOND = 100;
const FILES = [
  "/proc/self/stat",
  "/proc/self/status",
  "/proc/self/io",
  "/proc/self/limits",
  "/proc/meminfo",
  "/proc/loadavg",
] as const;

export interface ProcessUsage {
  readonly cpuSeconds: number | null;
  readonly residentBytes: number | null;
  readonly residentPeakBytes: number | null;
  readonly virtualBytes: number | null;
  readonly threads: number | null;
  readonly openFiles: number | null;
  readonly openFilesMax: number | null;
  /** Fields of /proc/self/io by their names there: rchar, wchar, syscr, syscw, read_bytes, write_bytes. */
  readonly io: ReadonlyMap<string, number>;
  /** Fields of /proc/meminfo by their names there, in bytes. */
  readonly memory: ReadonlyMap<string, number>;
  /** Of 1, 5 and 15 minutes. */
  readonly load: readonly number[];
}

export async function readProcessUsage(disk: Disk): Promise<ProcessUsage> {
  const buffers = FILES.map(() => new Uint8Array(new ArrayBuffer(FILE_BYTES)));
  const listing = new Uint8Array(new ArrayBuffer(LISTING_BYTES));
  const [files, descriptors] = await Promise.all([
    disk.run(FILES.map((path, i) => step.readFile(path, buffers[i] as Uint8Array, Ignore.any))),
    disk.run([step.readdir("/proc/self/fd", listing)]),
  ]);
  const texts = buffers.map((buffer, i) =>
    new TextDecoder().decode(buffer.subarray(0, lengthOf(files, i, FILE_BYTES))),
  );
  const [stat = "", status = "", io = "", limits = "", memory = "", load = ""] = texts;
  return { ...parseProcess({ stat, status, io, limits, memory, load }), openFiles: countEntries(descriptors, listing) };
}

export interface ProcessTexts {
  readonly stat: string;
  readonly status: string;
  readonly io: string;
  readonly limits: string;
  readonly memory: string;
  readonly load: string;
}

/** Pure; everything but the open files. */
export function parseProcess(texts: ProcessTexts): Omit<ProcessUsage, "openFiles"> {
  const fields = texts.stat.slice(texts.stat.lastIndexOf(")") + 2).split(" "); // the name before may hold spaces
  const [user, system, size] = [numberOf(fields[11]), numberOf(fields[12]), numberOf(fields[20])];
  const status = kilobytes(texts.status);
  const openFilesMax = numberOf(/^Max open files\s+(\d+)/m.exec(texts.limits)?.[1]);
  return {
    cpuSeconds: user === null || system === null ? null : (user + system) / TICKS_PER_SECOND,
    residentBytes: status.get("VmRSS") ?? null,
    residentPeakBytes: status.get("VmHWM") ?? null,
    virtualBytes: size,
    threads: numberOf(/^Threads:\s+(\d+)/m.exec(texts.status)?.[1]),
    openFilesMax,
    io: new Map([...texts.io.matchAll(/^(\w+): (\d+)$/gm)].map((m) => [m[1] as string, Number(m[2])])),
    memory: kilobytes(texts.memory),
    load: texts.load === "" ? [] : texts.load.split(" ").slice(0, 3).map(Number),
  };
}

function kilobytes(text: string): Map<string, number> {
  return new Map([...text.matchAll(/^([\w()]+):\s+(\d+) kB$/gm)].map((m) => [m[1] as string, Number(m[2]) * 1024]));
}

function numberOf(text: string | undefined): number | null {
  return text === undefined || !/^\d+$/.test(text) ? null : Number(text);
}

function lengthOf(result: DiskResult, index: number, most: number): number {
  return Math.min(most, Math.max(0, result.results[index] ?? 0));
}

/** Entries {u8 type, u16 LE length, name} of a readdir step. */
function countEntries(result: DiskResult, listing: Uint8Array): number | null {
  if (result.error !== 0) return null;
  const end = lengthOf(result, 0, listing.length);
  let count = 0;
  for (let at = 0; at + 3 <= end; count++) at += 3 + (listing[at + 1] as number) + 256 * (listing[at + 2] as number);
  return count;
}
