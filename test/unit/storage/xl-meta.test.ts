import { describe, expect, test } from "bun:test";
import { FormatError } from "../../../src/core/format-error.ts";
import type { XlVersion } from "../../../src/storage/xl-meta-container.ts";
import { headerOf, type XlHeader } from "../../../src/storage/xl-meta-header.ts";
import { signatureOf } from "../../../src/storage/xl-meta-signature.ts";
import {
  type AnyVersion,
  decodeVersion,
  encodeObjectVersion,
  encodeObjectVersionTemplate,
  encodeVersion,
  isReadable,
  type ObjectVersion,
} from "../../../src/storage/xl-meta-version.ts";
import { XlMeta } from "../../../src/storage/xl-meta.ts";
import { type ExpectedFile, type ExpectedVersion, fixture, fixtureJson, hex, onFixtures } from "./xl-meta-fixtures.ts";

const EXPECTED = Object.entries(fixtureJson<Record<string, ExpectedFile>>("expected.json", {}));
const CURRENT = EXPECTED.filter(([, file]) => file.headerVersion === 3).map(([name]) => name);

function idHex(text: string): string {
  return text === "null" ? "0".repeat(32) : text.replaceAll("-", "");
}

function signatureHex(value: number): string {
  return value.toString(16).padStart(8, "0");
}

function shown(version: XlVersion, expected: ExpectedVersion): Record<string, unknown> {
  const { header } = version;
  const out: Record<string, unknown> = {
    versionId: idHex(header.versionId),
    modTime: String(header.modTime),
    signature: signatureHex(header.signature),
    type: header.type,
    flags: header.flags,
  };
  if (expected.ecN !== undefined) Object.assign(out, { ecN: header.ecN, ecM: header.ecM });
  const body = decodeVersion(version.body);
  if (body.type === 3) throw new Error("no fixture has legacy versions");
  out["metaSys"] = Object.fromEntries([...body.metaSys].map(([key, value]) => [key, hex(value)]));
  out["v"] = body.writerRelease ?? null;
  if (body.type === 2) return out;
  return {
    ...out,
    dataDir: body.dataDir,
    size: body.sizeBytes,
    ec: [body.dataShards, body.parityShards, body.erasureIndex, body.distribution],
    parts: body.partNumbers.length,
    etag: body.metaUsr.get("etag"),
    metaUsr: Object.fromEntries(body.metaUsr),
  };
}

describe("files that MinIO wrote", () => {
  test.each(EXPECTED)("%s decodes to what is expected", (name, file) => {
    const meta = XlMeta.decode(fixture(name));
    expect(meta.versions.length).toBe(file.count);
    const all = meta.versions;
    const picked = file.count > 8 ? [all[0], all[1], all[all.length - 1]] : all;
    const result = picked.map((version, index) => shown(version as XlVersion, file.versions[index] as ExpectedVersion));
    expect(result).toEqual(file.versions as unknown as typeof result);
    for (const [key, { bytes, sha256 }] of Object.entries(file.inline)) {
      const data = meta.inlineData(key) as Uint8Array;
      expect(data.length).toBe(bytes);
      expect(new Bun.CryptoHasher("sha256").update(data).digest("hex")).toBe(sha256);
    }
  });

  test.each(EXPECTED)("%s has headers that its bodies give again", (name, file) => {
    for (const { header, body } of XlMeta.decode(fixture(name)).versions) {
      const derived = headerOf(decodeVersion(body));
      expect(signatureHex(derived.signature)).toBe(signatureHex(header.signature));
      expect([derived.type, derived.flags, derived.modTime, derived.versionId]).toEqual([
        header.type,
        header.flags,
        header.modTime,
        header.versionId,
      ]);
      if (file.headerVersion === 3) expect([derived.ecN, derived.ecM]).toEqual([header.ecN, header.ecM]);
    }
  });

  test.each(EXPECTED)("%s survives being written back", (name) => {
    const before = XlMeta.decode(fixture(name));
    const after = XlMeta.decode(before.encode());
    expect(after.versions.map(({ header, body }) => [header.versionId, header.signature, hex(body)])).toEqual(
      before.versions.map(({ header, body }) => [header.versionId, header.signature, hex(body)]),
    );
    for (const { header } of before.versions) {
      expect(after.inlineData(header.versionId)).toEqual(before.inlineData(header.versionId));
    }
  });

  test.each(CURRENT)("%s is written back byte for byte", (name) => {
    expect(hex(XlMeta.decode(fixture(name)).encode())).toBe(hex(fixture(name)));
  });

  test.each(CURRENT)("%s is byte for byte what its decoded fields give", (name) => {
    const meta = XlMeta.decode(fixture(name));
    const rebuilt = XlMeta.empty();
    for (const { header, body } of [...meta.versions].reverse()) {
      rebuilt.setVersion(decodeVersion(body), meta.inlineData(header.versionId));
    }
    expect(hex(rebuilt.encode())).toBe(hex(fixture(name)));
  });

  onFixtures("bodies of every fixture re-encode to the same bytes", () => {
    for (const [name] of EXPECTED) {
      for (const { body } of XlMeta.decode(fixture(name)).versions.slice(0, 20)) {
        expect(hex(encodeVersion(decodeVersion(body)))).toBe(hex(body));
      }
    }
  });

  onFixtures("the ten drives of one object agree, whatever container they wrote", () => {
    const signatures = new Set<number>();
    for (const [name] of EXPECTED.filter(([file]) => file.startsWith("xl-meta-consist"))) {
      for (const { header } of XlMeta.decode(fixture(name)).versions) signatures.add(header.signature);
    }
    expect(signatures.size).toBe(1);
  });
});

const ID = ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"] as const;
const DIR = ["aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"] as const;

function object(changes: Partial<ObjectVersion> = {}): ObjectVersion {
  return {
    type: 1,
    versionId: ID[0],
    dataDir: DIR[0],
    dataShards: 2,
    parityShards: 2,
    blockSizeBytes: 1 << 20,
    erasureIndex: 3,
    distribution: [2, 3, 4, 1],
    partNumbers: [1],
    partEtags: null,
    partSizes: [1000],
    partActualSizes: [1000],
    partIndices: null,
    sizeBytes: 1000,
    modTime: 1_700_000_000_000_000_000n,
    metaSys: new Map(),
    metaUsr: new Map([
      ["content-type", "text/plain"],
      ["etag", "d41d8cd98f00b204e9800998ecf8427e"],
    ]),
    ...changes,
  };
}

const INLINE_FLAG = new Map([["x-minio-internal-inline-data", new TextEncoder().encode("true")]]);
const marker = (versionId: string, modTime: bigint): AnyVersion => ({
  type: 2,
  versionId,
  modTime,
  metaSys: new Map(),
});

describe("changes", () => {
  test("every field of an object survives encoding, unknown keys and odd text included", () => {
    const version = object({
      versionId: "null",
      partNumbers: [1, 2, 10_000],
      partEtags: ["a", "", "c"],
      partSizes: [5 << 20, 2 ** 40, 0],
      partActualSizes: [-1, 2 ** 40, 0],
      partIndices: [new Uint8Array([1, 2]), new Uint8Array(0), new Uint8Array(300)],
      sizeBytes: 2 ** 45,
      metaSys: new Map([["x-minio-internal-crc", new Uint8Array([0, 255])]]),
      metaUsr: new Map([
        ["__proto__", "x"],
        ["X-Amz-Meta-Ü", "grüße ✓".repeat(40)],
        ["empty", ""],
      ]),
      writerRelease: null,
      unknownKeys: {
        wrapper: new Map([["zz", new Uint8Array([0x93, 1, 2, 3])]]),
        body: new Map([["new", new Uint8Array([0xc0])]]),
      },
    });
    expect(decodeVersion(encodeObjectVersion(version))).toEqual(version);
  });

  test("the order of keys in a body does not matter", () => {
    const body = Buffer.from(encodeObjectVersion(object()));
    const size = body.indexOf("a453697a65", 0, "hex");
    const time = body.indexOf("a54d54696d65", 0, "hex");
    const sys = body.indexOf("a74d6574615379", 0, "hex");
    const swapped = Buffer.concat([
      body.subarray(0, size),
      body.subarray(time, sys),
      body.subarray(size, time),
      body.subarray(sys),
    ]);
    expect(decodeVersion(swapped)).toEqual(decodeVersion(body));
    expect(swapped.equals(body)).toBe(false);
  });

  test("a template gives each drive its shard number and all the same signature", () => {
    const template = encodeObjectVersionTemplate(object());
    for (const erasureIndex of [1, 2, 16]) {
      const body = template.withIndex(erasureIndex);
      expect(hex(body)).toBe(hex(encodeObjectVersion(object({ erasureIndex }))));
      expect(signatureOf(body)).toBe(signatureOf(object()));
    }
  });

  test("versions are kept newest first and the latest is never a free version", () => {
    const meta = XlMeta.empty();
    expect(meta.latest()).toBeUndefined();
    meta.setVersion(object({ modTime: 20n }));
    meta.setVersion(object({ versionId: ID[1], modTime: 10n }));
    meta.setVersion({
      type: 2,
      versionId: DIR[0],
      modTime: 30n,
      metaSys: new Map([["x-minio-internal-free-version", new Uint8Array(0)]]),
    });
    const read = XlMeta.decode(meta.encode());
    expect(read.versions.map(({ header }) => header.modTime)).toEqual([30n, 20n, 10n]);
    expect(read.latest()?.header.versionId).toBe(ID[0]);
    expect(read.visibleCount).toBe(2);
  });

  test("a version with the same id replaces, and its data directory and inline data go", () => {
    const meta = XlMeta.empty();
    meta.setVersion(object({ versionId: "null", modTime: 1n }));
    meta.setVersion(object({ modTime: 2n, dataDir: DIR[1] }));
    const first = meta.setVersion(
      object({ versionId: "null", modTime: 3n, metaSys: INLINE_FLAG }),
      new Uint8Array([7]),
    );
    expect(first.freedDataDir).toBe("");
    expect(first.replaced?.header.modTime).toBe(1n);
    expect(meta.inlineData("null")).toEqual(new Uint8Array([7]));
    const second = meta.setVersion(object({ versionId: "null", modTime: 4n, dataDir: DIR[1] }));
    expect(second.freedDataDir).toBe("");
    expect(meta.inlineData("null")).toBeUndefined();
    expect(meta.versions.map(({ header }) => header.modTime)).toEqual([4n, 2n]);
    expect(meta.dataDirFreedBy("null")).toBe("");
    meta.removeVersion(ID[0]);
    expect(meta.dataDirFreedBy("null")).toBe(DIR[1]);
    expect([...meta.dataDirs()]).toEqual([DIR[1]]);
    expect(meta.setVersion(marker("null", 5n)).freedDataDir).toBe(DIR[1]);
    expect(meta.dataDirs().size).toBe(0);
  });

  test("removing gives what was removed and takes its inline data along", () => {
    const meta = XlMeta.empty();
    meta.setVersion(object({ metaSys: INLINE_FLAG }), new Uint8Array(300));
    meta.setVersion(marker(ID[1], 1_800_000_000_000_000_000n));
    expect(meta.dataDirFreedBy(ID[0])).toBe("");
    expect(meta.removeVersion(ID[0])?.header.type).toBe(1);
    expect(meta.removeVersion(ID[0])).toBeUndefined();
    const read = XlMeta.decode(meta.encode());
    expect(read.versions.length).toBe(1);
    expect(read.inlineData(ID[0])).toBeUndefined();
    read.removeVersion(ID[1]);
    expect(XlMeta.decode(read.encode()).versions).toEqual([]);
  });

  test("a patch merges metadata and leaves the rest and the inline data", () => {
    const meta = XlMeta.empty();
    meta.setVersion(object({ metaSys: INLINE_FLAG }), new Uint8Array([1]));
    const usr = new Map([
      ["X-Amz-Tagging", "a=b"],
      ["content-type", null],
    ]);
    const sys = new Map([["x-minio-internal-tagging-timestamp", new Uint8Array([50])]]);
    const old = meta.patchMeta(ID[0], usr, sys);
    const found = meta.find(ID[0]) as XlVersion;
    const body = decodeVersion(found.body) as ObjectVersion;
    expect([...body.metaUsr.keys()]).toEqual(["etag", "X-Amz-Tagging"]);
    expect([...body.metaSys.keys()]).toEqual(["x-minio-internal-inline-data", "x-minio-internal-tagging-timestamp"]);
    expect(found.header.signature).not.toBe(old?.header.signature as number);
    expect(found.header.modTime).toBe(old?.header.modTime as bigint);
    expect(meta.inlineData(ID[0])).toEqual(new Uint8Array([1]));
    expect(meta.patchMeta(ID[1], usr, sys)).toBeUndefined();
  });

  test("a version whose data lie in a tier has no data directory to free", () => {
    const metaSys = new Map([["x-minio-internal-transition-status", new TextEncoder().encode("complete")]]);
    const meta = XlMeta.empty();
    meta.setVersion(object({ metaSys }));
    expect(meta.versions[0]?.header.flags).toBe(0);
    expect(meta.dataDirFreedBy(ID[0])).toBe("");
    const metaUsr = new Map([
      ["x-amz-restore", 'ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"'],
    ]);
    expect(headerOf(object({ metaSys, metaUsr }), 1_356_047_999_000_000_000n).flags).toBe(2);
    expect(headerOf(object({ metaSys, metaUsr }), 1_356_048_000_000_000_000n).flags).toBe(0);
  });

  test("bodies are checked for what readers demand", () => {
    expect(isReadable(object())).toBe(true);
    expect(isReadable(object({ erasureIndex: 5 }))).toBe(false);
    expect(isReadable(object({ distribution: [1, 2, 3] }))).toBe(false);
    expect(isReadable(object({ dataShards: 1, parityShards: 3 }))).toBe(false);
    expect(isReadable(object({ partActualSizes: [] }))).toBe(false);
  });
});

describe("what older writers left", () => {
  test("local replication times of delete markers become UTC", () => {
    const key = "x-minio-internal-replica-timestamp";
    const old = XlMeta.empty();
    old.setVersion({
      type: 2,
      versionId: ID[0],
      modTime: 5n,
      metaSys: new Map([[key, new TextEncoder().encode("2022-03-20T17:15:01.50+02:00")]]),
    });
    const bytes = withMetaVersion(old.encode(), 1);
    const body = decodeVersion((XlMeta.decode(bytes).versions[0] as XlVersion).body);
    expect(body.type === 2 && Buffer.from(body.metaSys.get(key) as Uint8Array).toString()).toBe(
      "2022-03-20T15:15:01.5Z",
    );
  });

  test("indices of small compressed parts by certain releases are dropped", () => {
    const metaSys = new Map([["X-Minio-Internal-compression", new TextEncoder().encode("klauspost/compress/s2")]]);
    const index = new Uint8Array([9]);
    const sizes = {
      partNumbers: [1, 2],
      partSizes: [10, 10],
      partActualSizes: [9 << 20, 1 << 20],
      partIndices: [index, index],
    };
    const read = (version: ObjectVersion): ObjectVersion["partIndices"] => {
      const meta = XlMeta.empty();
      meta.setVersion(version);
      const found = decodeVersion((XlMeta.decode(withMetaVersion(meta.encode(), 2)).versions[0] as XlVersion).body);
      return found.type === 1 ? found.partIndices : null;
    };
    expect(read(object({ ...sizes, metaSys, writerRelease: 1_710_000_000 }))).toEqual([index, new Uint8Array(0)]);
    expect(read(object({ ...sizes, metaSys, writerRelease: 1_740_000_000 }))).toEqual([index, index]);
    expect(read(object({ ...sizes, partActualSizes: [1, 1], metaSys, writerRelease: 1_710_000_000 }))).toBeNull();
  });

  test.each([
    ["0001-01-01T00:00:00Z", -6_795_364_578_871_345_152n],
    ["2820-01-02T03:04:05.6Z", 8_376_751_771_890_448_384n],
  ])(
    "a legacy version of %s, beyond 64 bits of nanoseconds, has the same header before and after",
    (modTime, wrapped) => {
      const json = { version: "1.0.1", format: "xl", stat: { size: 5, modTime } };
      const meta = XlMeta.decode(new TextEncoder().encode(JSON.stringify(json)));
      expect(meta.versions[0]?.header.modTime).toBe(wrapped);
      expect(XlMeta.decode(meta.encode()).versions[0]?.header).toEqual(meta.versions[0]?.header as XlHeader);
    },
  );

  test("an xl.json becomes a legacy version that can be written as xl.meta", () => {
    const json = {
      version: "1.0.1",
      format: "xl",
      stat: { size: 5, modTime: "2019-01-02T03:04:05.000000006Z" },
      erasure: {
        algorithm: "klauspost/reedsolomon/vandermonde",
        data: 2,
        parity: 2,
        blockSize: 10485760,
        index: 1,
        distribution: [1, 2, 3, 4],
        checksum: [{ name: "part.1", algorithm: "highwayhash256S", hash: "" }],
      },
      minio: { release: "x" },
      meta: { etag: "abc" },
      parts: [{ number: 1, name: "part.1", etag: "", size: 5, actualSize: 5 }],
    };
    const meta = XlMeta.decode(XlMeta.decode(new TextEncoder().encode(JSON.stringify(json))).encode());
    const { header, body } = meta.versions[0] as XlVersion;
    expect([header.type, header.versionId, header.modTime]).toEqual([3, "null", 1_546_398_245_000_000_006n]);
    const version = decodeVersion(body);
    expect(version.type === 3 && [version.sizeBytes, version.parts[0]?.sizeBytes, version.meta.get("etag")]).toEqual([
      5,
      5,
      "abc",
    ]);
    expect(headerOf(version).signature).toBe(header.signature);
    expect(hex(encodeVersion(version))).toBe(hex(body));
  });
});

/** The same file under another meta version, its checksum made right again. */
function withMetaVersion(bytes: Uint8Array, metaVersion: number): Uint8Array {
  const out = bytes.slice();
  const view = new DataView(out.buffer);
  const length = view.getUint32(9);
  out[14] = metaVersion;
  view.setUint32(13 + length + 1, Number(BigInt.asUintN(32, Bun.hash.xxHash64(out.subarray(13, 13 + length)))));
  return out;
}

describe("damage", () => {
  const samples = [
    ...CURRENT,
    "v1.0-single.xl.meta",
    "xl-meta-merge.zip!xl1/testbucket/hosts/xl.meta",
    "xl-meta-consist.zip!1/xl.meta",
  ];

  /** Decodes everything there is; only FormatError may come out. */
  function readAll(bytes: Uint8Array): "read" | "refused" {
    try {
      const meta = XlMeta.decode(bytes);
      meta.encode();
      for (const { header, body } of meta.versions) {
        meta.inlineData(header.versionId);
        meta.dataDirFreedBy(header.versionId);
        decodeVersion(body);
      }
      return "read";
    } catch (error) {
      if (error instanceof FormatError) return "refused";
      throw error;
    }
  }

  onFixtures.each(samples)("%s cut anywhere in its metadata is refused, in its inline data is read", (name) => {
    const bytes = fixture(name);
    for (let length = 0; length < Math.min(bytes.length, 1200); length++) readAll(bytes.subarray(0, length));
    for (let length = 0; length < Math.min(bytes.length, 200); length++)
      expect(readAll(bytes.subarray(0, length))).toBe("refused");
  });

  onFixtures.each(samples)("%s with any byte changed is read or refused, never a crash", (name) => {
    const bytes = fixture(name).slice(0, 5000);
    let state = 12345;
    const next = (): number => (state = (Math.imul(state, 1103515245) + 12345) >>> 0);
    for (let round = 0; round < 1500; round++) {
      const copy = bytes.slice();
      for (let changes = 1 + (next() % 3); changes > 0; changes--)
        copy[(next() >>> 8) % Math.min(copy.length, 900)] = next() >>> 16;
      readAll(copy);
      if (copy[6] === 3) readAll(withMetaVersionOrSame(copy));
    }
  });

  onFixtures("a checksum that does not fit is refused", () => {
    const bytes = fixture("hv3-object_small_txt.xl.meta").slice();
    bytes[100] = (bytes[100] as number) ^ 1;
    expect(() => XlMeta.decode(bytes)).toThrow(FormatError);
  });

  onFixtures("newer container, header and meta versions are refused", () => {
    const good = fixture("hv3-object_small_txt.xl.meta");
    for (const [at, value] of [
      [4, 2],
      [6, 4],
    ] as const) {
      const bytes = good.slice();
      bytes[at] = value;
      expect(() => XlMeta.decode(bytes)).toThrow(/not known/);
    }
    expect(() => XlMeta.decode(withMetaVersion(good, 4))).toThrow(/meta version 4/);
  });

  test("an inline section with damage gives the entries before it", () => {
    const meta = XlMeta.empty();
    meta.setVersion(object({ metaSys: INLINE_FLAG }), new Uint8Array([1, 2, 3]));
    meta.setVersion(object({ versionId: ID[1], modTime: 9n, metaSys: INLINE_FLAG }), new Uint8Array([4, 5, 6]));
    const bytes = meta.encode();
    const read = XlMeta.decode(bytes.subarray(0, bytes.length - 2));
    expect(read.inlineData(ID[0])).toEqual(new Uint8Array([1, 2, 3]));
    expect(read.inlineData(ID[1])).toBeUndefined();
  });
});

/** Repairs the checksum if the container is long enough, so that damage reaches the index. */
function withMetaVersionOrSame(bytes: Uint8Array): Uint8Array {
  const length = new DataView(bytes.buffer).getUint32(9);
  return bytes.length >= 13 + length + 5 ? withMetaVersion(bytes, bytes[14] as number) : bytes;
}
