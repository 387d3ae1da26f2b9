/** What lies on drives, damaged in every way: each decoder gives a value that encodes again, or says FormatError. */
import { expect } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { decodeBucketMetadata, encodeBucketMetadata } from "../../src/bucket/metadata-format.ts";
import { defaultRetention } from "../../src/bucket/object-lock.ts";
import { parseStoredVersioning, storedVersioning } from "../../src/bucket/versioning.ts";
import { ChecksumError, decodeChecksumRecords, encodeChecksumRecords } from "../../src/codec/checksum.ts";
import { FormatError } from "../../src/core/format-error.ts";
import { formatRfc3339, parseRfc3339 } from "../../src/core/go-time.ts";
import { MsgpackReader } from "../../src/core/msgpack.ts";
import { decodePoolMeta, encodePoolMeta } from "../../src/erasure/pool-meta.ts";
import { parseFormat, serializeFormat } from "../../src/storage/format.ts";
import { decodePartMeta, encodePartMeta } from "../../src/storage/part-meta.ts";
import { decodeRecord, RecordWriter, sealRecords } from "../../src/storage/log-record.ts";
import { signatureOf } from "../../src/storage/xl-meta-signature.ts";
import { dataDirOf, decodeVersion, encodeVersion } from "../../src/storage/xl-meta-version.ts";
import { XlMeta } from "../../src/storage/xl-meta.ts";
import { takeoverDocuments, takeoverFiles } from "../unit/storage/takeover-drives.ts";
import { fixture } from "../unit/storage/xl-meta-fixtures.ts";
import { fuzz, samplesOf } from "./fuzz.ts";

const FIXTURES = process.env["SHERD_FIXTURES"] ?? "../shared/fixtures";
const hasFixtures = existsSync(join(FIXTURES, "xlmeta"));
if (!hasFixtures)
  console.log(`fuzz: no samples in ${FIXTURES}; set SHERD_FIXTURES. Only what we write ourselves is mutated.`);
const SAMPLE_BYTES_MAX = 32 * 1024;

/** Samples when the fixtures are there. */
function real(read: () => readonly Uint8Array[]): Uint8Array[] {
  return hasFixtures ? read().filter((bytes) => bytes.length <= SAMPLE_BYTES_MAX) : [];
}

const part = encodePartMeta({
  etag: "d41d8cd98f00b204e9800998ecf8427e",
  number: 3,
  sizeBytes: 5 << 20,
  actualBytes: 2 ** 40,
  modTime: 1_700_000_000_123_456_789n,
  index: new Uint8Array([1, 2, 3]),
  checksums: new Map([["CRC32C", "AAAAAA=="]]),
});

const xlMetas = real(() => [
  ...readdirSync(join(FIXTURES, "xlmeta"))
    .filter((name) => name.endsWith(".xl.meta"))
    .map(fixture),
  fixture("xl-meta-consist.zip!1/xl.meta"),
  fixture("xl-meta-consist.zip!5/xl.meta"),
  ...["old-2021-01-16", "old-2021-08-05", "old-2024-03-26", "set4"].flatMap((set) =>
    takeoverFiles(set, /xl\.meta$/)
      .slice(0, 40)
      .map(({ bytes }) => bytes),
  ),
]).concat(XlMeta.empty().encode());

/** Writes the checksum that belongs to the payload, so that what is behind it is reached. */
function withChecksum(bytes: Uint8Array): Uint8Array {
  const at = bytes[8] === 0xc6 ? 13 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(9) : -1;
  if (at < 0 || at + 5 > bytes.length || bytes[at] !== 0xce) return bytes;
  const sum = Number(BigInt.asUintN(32, Bun.hash.xxHash64(bytes.subarray(13, at))));
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(at + 1, sum);
  return bytes;
}

/** What a drive's reader asks of a file that decoded. */
function useXlMeta(bytes: Uint8Array): void {
  const meta = XlMeta.decode(bytes);
  const again = XlMeta.decode(meta.encode());
  expect(again.versions.map(({ header }) => header)).toEqual(meta.versions.map(({ header }) => header));
  for (const [i, { body, header }] of meta.versions.entries()) {
    expect(Buffer.compare(body, again.versions[i]?.body ?? new Uint8Array(0))).toBe(0);
    const inline = meta.inlineData(header.versionId);
    expect(again.inlineData(header.versionId)).toEqual(inline);
  }
  expect(meta.visibleCount).toBe(again.visibleCount);
  meta.latest();
  meta.dataDirs();
}

fuzz("xl.meta of all versions", {
  samples: xlMetas,
  errors: [FormatError],
  words: ["XL2 \x01\0\x03\0", "XL2 1   ", '{"version":"1.0.1","format":"xl"}', "Versions"],
  run: (bytes, chance) => useXlMeta(bytes.length > 13 && chance.below(4) > 0 ? withChecksum(bytes) : bytes),
});

const bodies = xlMetas.flatMap((bytes) => XlMeta.decode(bytes).versions.map(({ body }) => body)).slice(0, 200);
fuzz("the body of a version", {
  samples: bodies.length > 0 ? bodies : samplesOf("\x81\xa4Type\x01"),
  errors: [FormatError],
  words: [
    "\xa4Type",
    "\xa5V2Obj",
    "\xa6DelObj",
    "\xa5V1Obj",
    "\xa2ID",
    "\xc4\x10",
    "\xa7MetaSys",
    "\xa7MetaUsr",
    "\xdf\xff\xff\xff\xff",
  ],
  run(bytes) {
    // What is missing is written as what its absence means, so the second form is the one that stays.
    const written = encodeVersion(decodeVersion(bytes));
    expect(encodeVersion(decodeVersion(written))).toEqual(written);
    signatureOf(bytes);
    dataDirOf(bytes);
  },
});

fuzz("xl.json", {
  samples: samplesOf(
    '{"version":"1.0.1","format":"xl","stat":{"size":5,"modTime":"2020-01-02T03:04:05.6Z"},"erasure":{"algorithm":"rs-vandermonde","data":2,"parity":2,"blockSize":10485760,"index":1,"distribution":[1,2,3,4],"checksum":[{"name":"part.1","algorithm":"highwayhash256S","hash":""}]},"minio":{"release":"x"},"meta":{"etag":"x"},"parts":[{"number":1,"name":"part.1","etag":"x","size":5,"actualSize":5}]}',
  ),
  errors: [FormatError],
  words: ["1e400", "-1", "null", "[]", '"__proto__":{}', "1.5", '"index":', '"distribution":[', "9007199254740993"],
  run: useXlMeta,
});

fuzz("msgpack", {
  samples: [...xlMetas.slice(0, 8).map((bytes) => bytes.slice(8)), part, new Uint8Array([0xdd, 255, 255, 255, 255])],
  errors: [FormatError],
  words: [
    "\xdd\xff\xff\xff\xff",
    "\xdf\x7f\xff\xff\xff",
    "\xc6\xff\xff\xff\xff",
    "\xdb\xff\xff\xff\xff",
    "\xc9\xff\xff\xff\xff",
    "\xd3\x80\0\0\0\0\0\0\0",
  ],
  run(bytes, chance) {
    const reader = new MsgpackReader(bytes);
    const reads = [
      () => reader.skip(),
      () => reader.int(),
      () => reader.uint(),
      () => reader.int64(),
      () => reader.float64(),
      () => reader.bool(),
      () => reader.bin(),
      () => reader.str(),
      () => reader.arrayHeader(),
      () => reader.mapHeader(),
      () => reader.time(),
    ] as const;
    for (let before = -1; reader.remaining > 0 && reader.offset > before; ) {
      before = reader.offset;
      chance.pick(reads)();
      expect(reader.offset).toBeGreaterThan(before);
      expect(reader.offset).toBeLessThanOrEqual(bytes.length);
    }
  },
});

const bucketMetadata = real(() => [
  fixture("bucket-metadata.bin"),
  ...takeoverDocuments("set4", /\.metadata\.bin\/xl\.meta$/).values(),
]);
fuzz("bucket metadata", {
  samples: bucketMetadata.length > 0 ? bucketMetadata : samplesOf("\x01\0\x01\0\x80"),
  errors: [FormatError],
  words: ["\xa7Created", "\xabLockEnabled", "\xc7\x0c\x05", "\xdf\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff"],
  run(bytes) {
    const file = decodeBucketMetadata(bytes);
    expect(decodeBucketMetadata(encodeBucketMetadata(file))).toEqual(file);
  },
});

fuzz("stored versioning and default retention", {
  samples: samplesOf(
    "<VersioningConfiguration><Status>Enabled</Status><ExcludedPrefixes><Prefix>a&amp;*</Prefix></ExcludedPrefixes><ExcludeFolders>true</ExcludeFolders></VersioningConfiguration>",
    "<ObjectLockConfiguration><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>30</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
    "<ObjectLockConfiguration><Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Years>3</Years></DefaultRetention></Rule></ObjectLockConfiguration>",
  ),
  errors: [],
  words: [
    "<Days>99999999999</Days>",
    "<Years>999999999</Years>",
    "<Mode>",
    "&lt;",
    "&#xD800;",
    "&#1114112;",
    "<DefaultRetention>",
  ],
  run(bytes) {
    const versioning = parseStoredVersioning(bytes);
    expect(parseStoredVersioning(storedVersioning(versioning))).toEqual(versioning);
    for (const [, value] of defaultRetention(bytes, 1_700_000_000_000)) expect(value).not.toBe("");
  },
});

fuzz("part records", {
  samples: [part, ...real(() => takeoverFiles("old-2024-03-26", /part\.\d+\.meta$/).map(({ bytes }) => bytes))],
  errors: [FormatError],
  words: ["\x90", "\xdc\xff\xff", "\x91\x91\x91\x91"],
  run(bytes) {
    const record = decodePartMeta(bytes);
    expect(decodePartMeta(encodePartMeta(record))).toEqual(record);
  },
});

const poolBins = real(() =>
  ["pools", "pools-decom", "set4"].flatMap((set) => [
    ...takeoverDocuments(set, /\.minio\.sys\/pool\.bin\/xl\.meta$/).values(),
  ]),
);
fuzz("pool.bin", {
  samples:
    poolBins.length > 0
      ? poolBins
      : [encodePoolMeta([{ id: 0, argument: "d{1...4}", lastUpdate: 9n, decommission: null }])],
  errors: [FormatError],
  words: ["\xdf\xff\xff\xff\xff", "\xdd\xff\xff\xff\xff", "\xc0"],
  run(bytes) {
    const pools = decodePoolMeta(bytes);
    expect(decodePoolMeta(encodePoolMeta(pools))).toEqual(pools);
  },
});

const formats = real(() =>
  ["set4", "single", "old-2021-01-16"].flatMap((set) => takeoverFiles(set, /format\.json$/).map(({ bytes }) => bytes)),
);
fuzz("format.json", {
  samples:
    formats.length > 0
      ? formats
      : samplesOf(
          '{"version":"1","format":"xl","id":"x","xl":{"version":"3","this":"x","sets":[["x"]],"distributionAlgo":"SIPMOD+PARITY"}}',
        ),
  errors: [FormatError],
  words: ["null", "[]", "{}", '"__proto__"', '"sets":[', "1e999", "\\u0000", '"version":"2"', '"xl-single"'],
  run(bytes) {
    const parsed = parseFormat(bytes);
    if (parsed.format !== null && typeof parsed.format === "object")
      expect(parseFormat(serializeFormat(parsed.format)).format).toEqual(parsed.format);
  },
});

fuzz("checksum records", {
  samples: [
    "08a7fb3297",
    "1101020304",
    "80020102030405060708",
    "d001bbcd55bc019325344d",
    `42${"05".repeat(32)}ac02`,
    "c805bbcd55bc029325344d01020304",
  ].map((text) => new Uint8Array(Buffer.from(text, "hex"))),
  errors: [ChecksumError],
  words: ["\xff\xff\xff\x7f", "\xd0\x01"],
  run(bytes) {
    const records = decodeChecksumRecords(bytes);
    expect(decodeChecksumRecords(encodeChecksumRecords(records))).toEqual(records);
  },
});

const MARK = 0xc0ff_ee42;
/** Log records: what a crash or a stale segment leaves is a record that was written, or none. */
function logSample(image: Uint8Array | null, kind: "file" | "before" = "file"): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(2048));
  const prev = kind === "file" ? ({ kind, name: "image-1" } as const) : ({ kind } as const);
  const { padded } = new RecordWriter(bytes, MARK).write(
    {
      type: "commit",
      key: { bucket: "b", path: "k/ü" },
      stamp: 5n,
      prevStamp: 4n,
      image: image === null ? null : { kind: "bytes", bytes: image },
      prev,
      heals: false,
      newDirs: [{ name: "n", from: "f", keepParts: [1] }],
      oldDirs: ["o"],
    },
    0,
  );
  sealRecords(bytes, 9);
  return bytes.slice(0, padded);
}
fuzz("log record", {
  samples: [logSample(null), logSample(null, "before"), logSample(new Uint8Array(300).fill(3))],
  errors: [],
  words: ["\xff\xff\xff\xff", "\x02\0\0\0"],
  run(bytes) {
    const found = decodeRecord(bytes, 0, MARK);
    if (found?.record.type === "commit")
      expect([found.record.key, found.record.stamp]).toEqual([{ bucket: "b", path: "k/ü" }, 5n]);
    // With a checksum that is right, what is behind it is reached.
    if (bytes.length < 25) return;
    const sealed = new Uint8Array(bytes);
    sealRecords(sealed, 9);
    decodeRecord(sealed, 0, MARK);
  },
});

fuzz("RFC 3339 times", {
  samples: samplesOf("2024-02-29T23:59:60.123456789Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.9+14:00"),
  errors: [],
  words: ["Z", "+99:99", "-00:00", ".000000000"],
  run(bytes) {
    const time = parseRfc3339(Buffer.from(bytes).toString("latin1"));
    // A zone may lead out of the years of four digits.
    if (time !== null && time >= -62_135_596_800n * 10n ** 9n && time < 253_402_300_800n * 10n ** 9n)
      expect(parseRfc3339(formatRfc3339(time))).toBe(time);
  },
});
