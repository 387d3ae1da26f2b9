/** The native look at the files of one key, against the reader that takes everything. */
import { describe, expect, test } from "bun:test";
import type { Glance } from "../../../src/codec/glance.ts";
import { loadCodec } from "../../../src/codec/native.ts";
import { MsgpackReader } from "../../../src/core/msgpack.ts";
import { type AnyVersion, decodeVersion, readVersion } from "../../../src/storage/xl-meta-version.ts";
import { XlMeta } from "../../../src/storage/xl-meta.ts";

const { glance } = loadCodec();
const VERSION_ID = "11111111-1111-4111-8111-111111111111";
const DATA = Buffer.alloc(300, "shard");

function objectOf(erasureIndex: number, versionId = "null"): AnyVersion {
  return {
    type: 1,
    versionId,
    dataDir: "22222222-2222-4222-8222-222222222222",
    dataShards: 2,
    parityShards: 2,
    blockSizeBytes: 1 << 20,
    erasureIndex,
    distribution: [1, 2, 3, 4],
    partNumbers: [1],
    partEtags: null,
    partSizes: [500],
    partActualSizes: [500],
    partIndices: null,
    sizeBytes: 500,
    modTime: 1_700_000_000_123_456_789n,
    metaSys: new Map([["x-minio-internal-inline-data", Buffer.from("true")]]),
    metaUsr: new Map([
      ["etag", "d41d8cd98f00b204e9800998ecf8427e"],
      ["note", "\u00a7EcIndex \u{1f600}"],
    ]),
  };
}
function fileOf(version: AnyVersion, data: Uint8Array | null = DATA): Uint8Array {
  const meta = XlMeta.empty();
  meta.setVersion(version, data ?? undefined);
  return meta.encode();
}
function look(...files: Uint8Array[]): boolean {
  for (const [slot, file] of files.entries()) {
    glance.slots[slot]?.set(file);
    glance.setSize(slot, file.length);
  }
  return glance.look(files.length);
}
function bytesAt({ from, to }: Glance["body"]): Buffer {
  return Buffer.from(glance.lent.bytes.slice(from, to));
}

describe("files that are the same but for the shard's number", () => {
  test.each(["null", VERSION_ID])("are taken: version %s", (versionId) => {
    const files = [2, 4, 1].map((index) => fileOf(objectOf(index, versionId), Buffer.alloc(300, `${index}`)));
    expect(look(...files)).toBe(true);
    expect([0, 1, 2].map((slot) => glance.shardNumber(slot))).toEqual([2, 4, 1]);
    expect([0, 1, 2].map((slot) => bytesAt(glance.data(slot)).equals(Buffer.alloc(300, `${[2, 4, 1][slot]}`)))).toEqual(
      [true, true, true],
    );
    expect(glance.dataKey).toBe(versionId);
    expect(bytesAt(glance.body)).toEqual(Buffer.from(XlMeta.decode(files[0] as Uint8Array).versions[0]?.body ?? []));
    const { from, to } = glance.body;
    const read = readVersion(new MsgpackReader(glance.lent, from, to));
    glance.lent.bytes.fill(0, from, to); // nothing of it is a view
    expect(read).toEqual(decodeVersion(XlMeta.decode(files[0] as Uint8Array).versions[0]?.body ?? new Uint8Array(0)));
  });
  test("are taken without inline data, and alone", () => {
    expect(look(fileOf(objectOf(1), null), fileOf(objectOf(2), null))).toBe(true);
    expect(look(fileOf(objectOf(3)))).toBe(true);
    expect(glance.shardNumber(0)).toBe(0);
  });
  test("are taken of a delete marker", () => {
    const marker = fileOf({ type: 2, versionId: VERSION_ID, modTime: 5n, metaSys: new Map() }, null);
    expect(look(marker, marker)).toBe(true);
    expect([glance.shardNumber(0), glance.shardNumber(1)]).toEqual([0, 0]);
  });
});

describe("refused", () => {
  const good = fileOf(objectOf(1));
  const other = (change: Partial<AnyVersion>): Uint8Array => fileOf({ ...objectOf(2), ...change } as AnyVersion);
  test.each<[string, Uint8Array]>([
    ["another time", other({ modTime: 1_700_000_000_123_456_788n })],
    ["another version", fileOf(objectOf(2, VERSION_ID))],
    ["other metadata", other({ metaUsr: new Map([["etag", "0"]]) })],
    ["data under another version", withDataKey(good)],
    ["nothing", new Uint8Array(0)],
    ["two versions", withTwo()],
    ["no version", XlMeta.empty().encode()],
    ["something behind it", Buffer.concat([fileOf(objectOf(2)), Buffer.of(0)])],
  ])("%s", (_, file) => {
    expect(look(good, file)).toBe(false);
    expect(look(good, fileOf(objectOf(2)))).toBe(true);
  });
  test("a file that is cut anywhere", () => {
    const whole = fileOf(objectOf(1), null).length; // the same without data
    for (let bytes = 0; bytes < good.length; bytes++) expect(look(good.subarray(0, bytes))).toBe(bytes === whole);
  });
  test("a file with a wrong bit, unless the bit is one of its data", () => {
    const { from } = look(good) ? glance.data(0) : { from: 0 };
    for (let at = 0; at < from - 3; at++)
      for (let bit = 0; bit < 8; bit++) {
        const damaged = good.slice();
        damaged[at] = (damaged[at] as number) ^ (1 << bit);
        if (look(damaged)) expect(XlMeta.decode(damaged).versions).toHaveLength(1); // a bit of the data's key
        if (look(damaged, fileOf(objectOf(2)))) expect(at).toBe(-1);
      }
  });
});

/** The inline data's key is another id. */
function withDataKey(file: Uint8Array): Uint8Array {
  const changed = Buffer.from(file);
  changed.write("nulk", changed.lastIndexOf("null"), "latin1");
  return changed;
}
function withTwo(): Uint8Array {
  const meta = XlMeta.empty();
  meta.setVersion(objectOf(2));
  meta.setVersion(objectOf(2, VERSION_ID));
  return meta.encode();
}
