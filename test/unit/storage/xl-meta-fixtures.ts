/** Reads the xl.meta samples and their expected decodings from the fixture folder (zip members and zstd included). */
import { test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";

const ROOT = join(process.env["SHERD_FIXTURES"] ?? "../shared/fixtures", "xlmeta");

/** They are not in this repository: where they are not, what needs them is skipped. */
const hasFixtures = existsSync(ROOT);
export const onFixtures = test.skipIf(!hasFixtures);

export interface ExpectedVersion {
  readonly versionId: string;
  readonly modTime: string;
  readonly signature: string;
  readonly type: number;
  readonly flags: number;
  readonly ecN?: number;
  readonly ecM?: number;
  readonly dataDir?: string;
  readonly size?: number;
  readonly ec?: readonly [number, number, number, readonly number[]];
  readonly parts?: number;
  readonly etag?: string;
  readonly metaSys?: Readonly<Record<string, string>>;
  readonly metaUsr?: Readonly<Record<string, string>>;
  readonly v?: number | null;
}
export interface ExpectedFile {
  readonly minor: number;
  readonly headerVersion?: number;
  readonly metaVersion?: number;
  readonly count: number;
  readonly versions: readonly ExpectedVersion[];
  readonly inline: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
}

/** `absent`: where there are none. */
export function fixtureJson<T>(name: string, absent: T): T {
  if (!hasFixtures) return absent;
  return JSON.parse(readFileSync(join(ROOT, name), "utf8")) as T;
}

/** Bytes of a fixture; `archive.zip!member` and `.zst` are unpacked. */
export function fixture(name: string): Uint8Array {
  const [file = "", member] = name.split("!");
  const bytes = new Uint8Array(readFileSync(join(ROOT, file)));
  if (member !== undefined) return zipMember(bytes, member);
  return file.endsWith(".zst") ? new Uint8Array(Bun.zstdDecompressSync(bytes)) : bytes;
}

/** Walks the central directory. */
function zipMember(zip: Uint8Array, name: string): Uint8Array {
  const buffer = Buffer.from(zip);
  const end = buffer.lastIndexOf(Buffer.from("PK\x05\x06", "latin1"));
  let at = buffer.readUInt32LE(end + 16);
  for (let left = buffer.readUInt16LE(end + 10); left > 0; left--) {
    const method = buffer.readUInt16LE(at + 10);
    const packed = buffer.readUInt32LE(at + 20);
    const nameLength = buffer.readUInt16LE(at + 28);
    const local = buffer.readUInt32LE(at + 42);
    const found = buffer.toString("utf8", at + 46, at + 46 + nameLength);
    if (found === name) {
      const data = local + 30 + buffer.readUInt16LE(local + 26) + buffer.readUInt16LE(local + 28);
      const raw = buffer.subarray(data, data + packed);
      return new Uint8Array(method === 0 ? raw : inflateRawSync(raw));
    }
    at += 46 + nameLength + buffer.readUInt16LE(at + 30) + buffer.readUInt16LE(at + 32);
  }
  throw new Error(`no ${name} in the archive`);
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export function unhex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}
