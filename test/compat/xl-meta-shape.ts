/**
 * Prints as JSON what the xl.meta of the given drives hold, by drive and key, without what may differ between two servers that
 * took the same requests: times, ids, signatures and the writer's release (0 in an untagged build). Shards are shown by size and hash. For both-ways.py.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { decodeVersion } from "../../src/storage/xl-meta-version.ts";
import { XlMeta } from "../../src/storage/xl-meta.ts";

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\dZ:+-]*/g;
const TIMES_AND_IDS = new Set([
  "modTimeNs",
  "modTime",
  "signature",
  "writerRelease",
  "versionId",
  "dataDir",
  "partModTimes",
  "createdNs",
]);
const SYSTEM = ".minio.sys";

function hash(bytes: Uint8Array): string {
  return `${bytes.length} bytes ${createHash("sha256").update(bytes).digest("hex").slice(0, 16)}`;
}

function anonymous(text: string): string {
  return text.replaceAll(UUID, "<id>").replaceAll(TIME, "<time>");
}

function isNothing(value: unknown): boolean {
  return value === "" || value === 0n || value === undefined;
}

/** A decoded value as JSON shows it. */
function plain(value: unknown, name = ""): unknown {
  if (TIMES_AND_IDS.has(name)) return isNothing(value) && name !== "writerRelease" ? "none" : `<${name}>`;
  if (name === "id" && value instanceof Uint8Array) return value.every((byte) => byte === 0) ? "null" : "<id>";
  if (typeof value === "bigint") return value > 1_600_000_000_000_000_000n ? "<time>" : String(value);
  if (typeof value === "string") return anonymous(value);
  if (value instanceof Uint8Array) {
    const text = Buffer.from(value).toString("latin1");
    return /^[\x20-\x7e]*$/.test(text) ? anonymous(text) : hash(value);
  }
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([k, v]): [string, unknown] => [String(k), plain(v)]).sort());
  if (Array.isArray(value)) return value.map((item) => plain(item));
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([k, v]): [string, unknown] => [k, plain(v, k)]));
  return value;
}

function shapeOf(folder: string): unknown {
  const bytes = new Uint8Array(readFileSync(join(folder, "xl.meta")));
  const meta = XlMeta.decode(bytes);
  const dataDirs = readdirSync(folder, { withFileTypes: true }).filter((e) => e.isDirectory() && e.name.length === 36);
  const files = dataDirs
    .flatMap(({ name }) =>
      readdirSync(join(folder, name)).map((part) => [part, hash(readFileSync(join(folder, name, part)))]),
    )
    .sort();
  return {
    container: Buffer.from(bytes.subarray(0, 8))
      .toString("latin1")
      .replaceAll(/[^\x20-\x7e]/g, "."),
    versions: meta.versions.map((version) => {
      const inline = meta.inlineData(version.header.versionId);
      return {
        header: plain({ ...version.header }),
        body: plain(decodeVersion(version.body)),
        inline: inline === undefined ? null : hash(inline),
      };
    }),
    files,
  };
}

const found: Record<string, unknown> = {};
function walk(drive: string, path: string): void {
  for (const entry of readdirSync(join(drive, path), { withFileTypes: true })) {
    const below = path === "" ? entry.name : `${path}/${entry.name}`;
    if (entry.isDirectory() && below !== SYSTEM) walk(drive, below);
    if (entry.name === "xl.meta") found[`${basename(drive)}/${path}`] = shapeOf(join(drive, path));
  }
}
for (const drive of process.argv.slice(2)) walk(drive, "");
process.stdout.write(JSON.stringify(found));
