/** Files of the drive sets that MinIO servers of several years left, read from their archives. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeVersion } from "../../../src/storage/xl-meta-version.ts";
import { XlMeta } from "../../../src/storage/xl-meta.ts";

const ROOT = join(process.env["SHERD_FIXTURES"] ?? "../shared/fixtures", "takeover");

export interface DriveFile {
  /** From the drive's folder on: `d1/bucket/key/xl.meta`. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

export function takeoverSets(): string[] {
  return (existsSync(ROOT) ? readdirSync(ROOT) : [])
    .filter((name) => name.endsWith(".tar.gz"))
    .map((name) => name.slice(0, -7));
}

/** Files of a set whose path matches; knows plain, GNU long and pax path entries. */
export function takeoverFiles(set: string, wanted: RegExp): DriveFile[] {
  const tar = Buffer.from(Bun.gunzipSync(new Uint8Array(readFileSync(join(ROOT, `${set}.tar.gz`)))));
  const files: DriveFile[] = [];
  let longName = "";
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const header = tar.subarray(at, at + 512);
    const text = (from: number, length: number): string =>
      header.toString("utf8", from, from + length).replace(/\0.*$/s, "");
    const size = Number.parseInt(text(124, 12), 8) || 0;
    const data = tar.subarray(at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
    const kind = text(156, 1);
    if (kind === "L") longName = data.toString("utf8").replace(/\0.*$/s, "");
    else if (kind === "x") longName = /(?:^|\n)\d+ path=(.*)\n/.exec(data.toString("utf8"))?.[1] ?? "";
    else {
      const prefix =
        header.toString("latin1", 257, 263) === "ustar\0" && text(345, 155) !== "" ? `${text(345, 155)}/` : "";
      const name = longName || prefix + text(0, 100);
      longName = "";
      if (kind !== "5" && wanted.test(name))
        files.push({ path: name.replace(/^\.\//, ""), bytes: new Uint8Array(data) });
    }
  }
  return files;
}

/** Contents of small system documents (one inline block each), put together from the drives' data shards. */
export function takeoverDocuments(set: string, wanted: RegExp): Map<string, Uint8Array> {
  const shards = new Map<string, { parts: Map<number, Uint8Array>; dataShards: number; sizeBytes: number }>();
  for (const { path, bytes } of takeoverFiles(set, wanted)) {
    const meta = XlMeta.decode(bytes);
    const latest = meta.latest();
    const body = latest === undefined ? undefined : decodeVersion(latest.body);
    const data = latest === undefined ? undefined : meta.inlineData(latest.header.versionId);
    if (body?.type !== 1 || data === undefined) continue;
    const name = `${path.replace(/^d\d+\//, "")} ${body.modTime}`;
    const entry = shards.get(name) ?? {
      parts: new Map<number, Uint8Array>(),
      dataShards: body.dataShards,
      sizeBytes: body.sizeBytes,
    };
    entry.parts.set(body.erasureIndex, data.subarray(32));
    shards.set(name, entry);
  }
  const out = new Map<string, Uint8Array>();
  for (const [name, { parts, dataShards, sizeBytes }] of shards) {
    const data = Array.from({ length: dataShards }, (_, index) => parts.get(index + 1));
    const whole = data.filter((part) => part !== undefined);
    if (whole.length === dataShards) out.set(name, new Uint8Array(Buffer.concat(whole).subarray(0, sizeBytes)));
  }
  return out;
}
