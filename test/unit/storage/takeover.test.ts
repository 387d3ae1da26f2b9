import { expect, test } from "bun:test";
import { FormatError } from "../../../src/core/format-error.ts";
import { parseFormat, serializeFormat } from "../../../src/storage/format.ts";
import { decodePartMeta, encodePartMeta } from "../../../src/storage/part-meta.ts";
import { headerOf, sameHeader } from "../../../src/storage/xl-meta-header.ts";
import { decodeVersion, encodeVersion, isReadable } from "../../../src/storage/xl-meta-version.ts";
import { XlMeta } from "../../../src/storage/xl-meta.ts";
import { type DriveFile, takeoverFiles, takeoverSets } from "./takeover-drives.ts";

/** Files that the makers of the set damaged on purpose. */
const DAMAGED = new Set(["degraded d2/ver/many/inline/xl.meta", "degraded d3/plain/rrs/standard/xl.meta"]);

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** What is not as it should be with one xl.meta. */
function faultsOf({ path, bytes }: DriveFile): string[] {
  const meta = XlMeta.decode(bytes);
  const isCurrent = bytes[6] === 3 && bytes[13] === 3 && bytes[14] === 3;
  const faults: string[] = [];
  if (isCurrent && !equal(meta.encode(), bytes)) faults.push(`${path}: not written back byte for byte`);
  if (XlMeta.decode(meta.encode()).versions.length !== meta.versions.length) faults.push(`${path}: versions lost`);
  for (const { header, body } of meta.versions) {
    const version = decodeVersion(body);
    const derived = headerOf(version);
    if (!equal(encodeVersion(version), body)) faults.push(`${path}: body of ${header.versionId} changes`);
    if (isCurrent ? !sameHeader(derived, header) : derived.signature !== header.signature) {
      faults.push(`${path}: header of ${header.versionId} changes`);
    }
    if (version.type === 1 && !isReadable(version)) faults.push(`${path}: ${header.versionId} is not readable`);
  }
  return faults;
}

test.each(takeoverSets())(
  "every xl.meta, format.json and part record of %s is read and written back as MinIO did",
  (set) => {
    let count = 0;
    for (const file of takeoverFiles(set, /(xl\.meta|format\.json|part\.\d+\.meta)$/)) {
      const { path, bytes } = file;
      count++;
      if (DAMAGED.has(`${set} ${path}`)) expect(() => XlMeta.decode(bytes)).toThrow(FormatError);
      else if (path.endsWith("xl.meta")) expect(faultsOf(file)).toEqual([]);
      else if (path.endsWith("format.json")) {
        const written = new TextDecoder().decode(serializeFormat(parseFormat(bytes).format));
        expect(written).toBe(new TextDecoder().decode(bytes));
      } else {
        const part = decodePartMeta(bytes);
        expect(part.number).toBe(Number(/part\.(\d+)\.meta$/.exec(path)?.[1]));
        // A sealed ETag has 96 digits.
        expect([32, 96]).toContain(part.etag.length);
        // Releases of 2022-10 to 2024-03 wrote an array.
        if (bytes[0] !== 0xdc) expect(equal(encodePartMeta(part), bytes)).toBe(true);
      }
    }
    expect(count).toBeGreaterThan(10);
  },
  60_000,
);
