/** Dates of headers, and which stored names are shown. */
import { expect, test } from "bun:test";
import { httpDate, objectHeaders } from "../../../src/s3/headers.ts";
import type { VersionInfo } from "../../../src/object/types.ts";

const MS = 1_000_000n;

test.each([0, 951_782_399_999, 1_700_000_000_000, 253_402_300_799_999, 253_402_300_800_000, -1, -62_135_596_800_000])(
  "an HTTP date is that of toUTCString: %d ms",
  (ms) => expect(httpDate(BigInt(ms) * MS)).toBe(new Date(ms).toUTCString()),
);

test("HTTP dates of all hours, days and months are those of toUTCString", () => {
  const step = 86_400_000 / 7 + 61_001; // meets every weekday, month, hour, minute and second
  for (let n = 0; n < 5_000; n++) {
    const ms = Math.floor(n * step * 3);
    expect(httpDate(BigInt(ms) * MS)).toBe(new Date(ms).toUTCString());
  }
});

test("metadata of clients, content headers and states are shown, what is internal or of encrypting clients is not", () => {
  const metadata = new Map([
    ["content-type", "text/plain"],
    ["Expires", "never"],
    ["etag", "e"],
    ["X-Amz-Meta-Color", "blue"],
    ["X-Minio-Meta-Size", "5"],
    ["X-Amz-Meta-X-Amz-Unencrypted-Content-Length", "9"],
    ["X-Amz-Object-Lock-Mode", "GOVERNANCE"],
    ["X-Amz-Website-Redirect-Location", "/there"],
    ["X-Amz-Replication-Status", "COMPLETED"],
    ["X-Amz-Restore", "r"],
    ["X-Amz-Restored", "no"],
    ["constructor", "no"],
  ]);
  const info: VersionInfo = {
    bucket: "b",
    key: "k",
    versionId: "null",
    isLatest: true,
    isDeleteMarker: false,
    modTimeNs: 0n,
    sizeBytes: 1,
    etag: "e",
    storageClass: "STANDARD",
    metadata,
    internal: new Map(),
    tagging: "",
    parts: [],
    isMultipart: false,
    checksum: null,
    encryption: null,
    partChecksums: [],
  };
  expect(objectHeaders(info).slice(3)).toEqual([
    ["Content-Type", "text/plain"],
    ["Expires", "never"],
    ["x-amz-meta-color", "blue"],
    ["x-minio-meta-size", "5"],
    ["x-amz-object-lock-mode", "GOVERNANCE"],
    ["x-amz-website-redirect-location", "/there"],
    ["x-amz-replication-status", "COMPLETED"],
    ["x-amz-restore", "r"],
  ]);
});
