import { describe, expect, test } from "bun:test";
import {
  distribution,
  drawPool,
  type PoolSpace,
  poolWeights,
  SetChooser,
  sipHash24,
} from "../../../src/erasure/placement.ts";
import { uuidBytes } from "../../../src/storage/uuid.ts";
import { fixtureJson, onFixtures, unhex } from "../storage/xl-meta-fixtures.ts";

interface Placement {
  readonly deploymentId: string;
  readonly cases: readonly {
    readonly nameHex: string;
    readonly sipmod200: number;
    readonly sipmod16: number;
    readonly crcmod200: number;
    readonly hashOrder16: readonly number[];
  }[];
}
const { deploymentId, cases } = fixtureJson<{ placement: Placement }>("vectors.json", {
  placement: { deploymentId: "11111111-2222-4333-8444-555555555555", cases: [] },
}).placement;

describe("placement of a name", () => {
  test.each(cases.map((row) => [row.nameHex, row] as const))("of bytes %s is MinIO's", (nameHex, row) => {
    const name = unhex(nameHex);
    expect(new SetChooser("SIPMOD+PARITY", deploymentId, 200).choose(name)).toBe(row.sipmod200);
    expect(new SetChooser("SIPMOD", deploymentId, 16).choose(name)).toBe(row.sipmod16);
    expect(new SetChooser("CRCMOD", deploymentId, 200).choose(name)).toBe(row.crcmod200);
    expect(distribution(name, 16)).toEqual([...row.hashOrder16]);
  });

  onFixtures("SipHash-2-4 gives the reference value and takes text and bytes alike", () => {
    const [high, low] = sipHash24(uuidBytes(deploymentId), new TextEncoder().encode("object"));
    expect([high.toString(16), low.toString(16)]).toEqual(["4f49d9e2", "772a878d"]);
    expect(new SetChooser("SIPMOD", deploymentId, 200).choose("SHØRT")).toBe(49);
  });

  test("SipHash of the reference key agrees with its published vectors for every length of tail", () => {
    const key = Uint8Array.from({ length: 16 }, (_, index) => index);
    const expected = [
      "726fdb47dd0e0e31",
      "74f839c593dc67fd",
      "0d6c8009d9a94f5a",
      "85676696d7fb7e2d",
      "cf2794e0277187b7",
      "18765564cd99a68d",
      "cbc9466e58fee3ce",
      "ab0200f58b01d137",
      "93f5f5799a932462",
      "9e0082df0ba9e4b0",
    ];
    const got = expected.map((_, length) => {
      const [high, low] = sipHash24(
        key,
        Uint8Array.from({ length }, (_unused, index) => index),
      );
      return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
    });
    expect(got).toEqual(expected);
  });

  test.each([
    ["testbucket/file", [2, 3, 4, 1]],
    ["testbucket/hosts", [1, 2, 3, 4]],
    ["mybucket/dir/obj.txt", [1, 2, 3, 4]],
    [".minio.sys/config/config.json", [4, 1, 2, 3]],
  ])("%s over four drives has distribution %j", (name, expected) => {
    expect(distribution(name, 4)).toEqual(expected);
  });

  test("one drive is the whole distribution and one set the only choice", () => {
    expect(distribution("b/k", 1)).toEqual([1]);
    expect(new SetChooser("SIPMOD", deploymentId, 1).choose("k")).toBe(0);
  });
});

const GIB = 1024 ** 3;
function pool(usedGib: number, changes: Partial<PoolSpace> = {}): PoolSpace {
  const drive = {
    totalBytes: 100 * GIB,
    usedBytes: usedGib * GIB,
    freeBytes: (100 - usedGib) * GIB,
    freeInodes: 1e6,
    totalInodes: 2e6,
  };
  return { drives: [drive, drive, drive, drive], setCount: 2, isExcluded: false, ...changes };
}

describe("choice of a pool", () => {
  test("free bytes of the set times the number of sets are the weight", () => {
    expect(poolWeights([pool(50), pool(80)], 1000, false)).toEqual([50 * 4 * 2 * GIB, 20 * 4 * 2 * GIB]);
  });

  test("pools that are drained, or known by too few drives, take nothing", () => {
    const drive = pool(50).drives[0] ?? null;
    expect(poolWeights([pool(10, { isExcluded: true })], 1, false)).toEqual([0]);
    expect(poolWeights([pool(10, { drives: [drive, null, null, null] })], 1, false)).toEqual([0]);
    expect(poolWeights([pool(10, { drives: [null, null, null, null] })], 1, false)).toEqual([0]);
    expect(poolWeights([pool(10, { drives: [drive, drive, null, null] })], 1, false)[0]).toBeGreaterThan(0);
  });

  test("a pool without room or inodes for the object takes nothing, except system objects", () => {
    expect(poolWeights([pool(50)], 100 * GIB, false)).toEqual([0]);
    expect(poolWeights([pool(50)], 100 * GIB, true)[0]).toBeGreaterThan(0);
    expect(poolWeights([pool(99.5)], 1, false)).toEqual([0]);
    const dry = { ...(pool(50).drives[0] as NonNullable<PoolSpace["drives"][number]>), freeInodes: 999 };
    expect(poolWeights([pool(50, { drives: [dry] })], 1, false)).toEqual([0]);
    expect(
      poolWeights([pool(50, { drives: [{ ...dry, totalInodes: 0, freeInodes: 0 }] })], 1, false)[0],
    ).toBeGreaterThan(0);
  });

  test("nearly full pools are used only when all are", () => {
    expect(poolWeights([pool(90), pool(20)], 1, false)[0]).toBe(0);
    expect(poolWeights([pool(90), pool(86)], 1, false)[0]).toBeGreaterThan(0);
  });

  test("the draw follows the weights", () => {
    expect(drawPool([0, 0], 0.5)).toBe(-1);
    expect(drawPool([1, 3], 0.24)).toBe(0);
    expect(drawPool([1, 3], 0.26)).toBe(1);
    expect(drawPool([0, 3, 0], 0.999999)).toBe(1);
  });
});
