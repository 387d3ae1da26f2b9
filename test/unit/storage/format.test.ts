import { describe, expect, test } from "bun:test";
import { FormatError } from "../../../src/core/format-error.ts";
import {
  type DriveFormat,
  formatAt,
  type FormatReading,
  freshFormats,
  judgeFormats,
  parseFormat,
  serializeFormat,
} from "../../../src/storage/format.ts";

const DEPLOYMENT = "f5c58c61-7175-4018-ab5e-a94fe9c2de4e";

function formats(setCount: number, setSize: number, salt = "0"): DriveFormat[] {
  let next = 0;
  const newId = (): string => `${salt.repeat(8)}-0000-4000-8000-${String(next++).padStart(12, "0")}`;
  return freshFormats(DEPLOYMENT, setCount, setSize, newId);
}
const bytesOf = (json: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(json));
const read = (format: DriveFormat): FormatReading => ({ kind: "format", format });
const EMPTY: FormatReading = { kind: "unformatted" };
const OFFLINE: FormatReading = { kind: "offline" };

describe("format.json", () => {
  test("of a fresh pool is compact JSON in MinIO's order, and read again", () => {
    const [first] = formats(2, 2) as [DriveFormat];
    const text = new TextDecoder().decode(serializeFormat(first));
    const [a, b, c, d] = first.sets.flat();
    expect(text).toBe(
      `{"version":"1","format":"xl","id":"${DEPLOYMENT}","xl":{"version":"3","this":"${a}","sets":[["${a}","${b}"],["${c}","${d}"]],"distributionAlgo":"SIPMOD+PARITY"}}`,
    );
    expect(parseFormat(new TextEncoder().encode(text))).toEqual({ format: first, version: 3 });
  });

  test("of one drive is xl-single", () => {
    const [only] = formats(1, 1) as [DriveFormat];
    expect(new TextDecoder().decode(serializeFormat(only))).toContain('"format":"xl-single"');
    expect(parseFormat(serializeFormat(only)).format).toEqual(only);
  });

  test("of version 1 is one set placed by CRC", () => {
    const [a, b] = formats(1, 2) as [DriveFormat, DriveFormat];
    const old = {
      version: "1",
      format: "xl",
      id: DEPLOYMENT,
      xl: { version: "1", drive: b.driveId, jbod: [a.driveId, b.driveId] },
    };
    expect(parseFormat(bytesOf(old))).toEqual({ format: { ...b, distribution: "CRCMOD" }, version: 1 });
  });

  test.each([
    ["nothing", new Uint8Array(0)],
    ["no JSON", bytesOf("x").subarray(1)],
    ["a list", bytesOf([])],
    ["another version", bytesOf({ version: "2", format: "xl" })],
    ["the fs backend", bytesOf({ version: "1", format: "fs", id: DEPLOYMENT })],
    ["no id", bytesOf({ version: "1", format: "xl", xl: {} })],
    [
      "no sets",
      bytesOf({
        version: "1",
        format: "xl",
        id: DEPLOYMENT,
        xl: { version: "3", this: DEPLOYMENT, distributionAlgo: "SIPMOD" },
      }),
    ],
    [
      "an unknown algorithm",
      bytesOf({
        version: "1",
        format: "xl",
        id: DEPLOYMENT,
        xl: { version: "3", this: DEPLOYMENT, sets: [[DEPLOYMENT]], distributionAlgo: "X" },
      }),
    ],
    [
      "a stranger's sets",
      bytesOf({
        version: "1",
        format: "xl",
        id: DEPLOYMENT,
        xl: { version: "3", this: DEPLOYMENT.replace("f", "a"), sets: [[DEPLOYMENT]], distributionAlgo: "SIPMOD" },
      }),
    ],
    [
      "a drive twice",
      bytesOf({
        version: "1",
        format: "xl",
        id: DEPLOYMENT,
        xl: { version: "3", this: DEPLOYMENT, sets: [[DEPLOYMENT, DEPLOYMENT]], distributionAlgo: "SIPMOD" },
      }),
    ],
    [
      "sets of two sizes",
      bytesOf({
        version: "1",
        format: "xl",
        id: DEPLOYMENT,
        xl: { version: "3", this: DEPLOYMENT, sets: [[DEPLOYMENT], []], distributionAlgo: "SIPMOD" },
      }),
    ],
  ])("with %s is refused", (_, bytes) => {
    expect(() => parseFormat(bytes)).toThrow(FormatError);
  });
});

describe("a pool's formats together", () => {
  const pool = formats(1, 4);
  const at = (index: number): FormatReading => read(pool[index] as DriveFormat);
  const strange = read(formats(1, 4, "7")[0] as DriveFormat);
  const broken: FormatReading = { kind: "corrupt", reason: "not JSON" };

  test.each([
    // drives                            verdict
    [[EMPTY, EMPTY, EMPTY, EMPTY], "fresh"],
    [[at(0), EMPTY, EMPTY, EMPTY], "wait"],
    [[OFFLINE, EMPTY, EMPTY, EMPTY], "wait"],
    [[OFFLINE, OFFLINE, OFFLINE, at(3)], "wait"],
    [[at(0), at(1), at(2), at(3)], "ready accepted accepted accepted accepted"],
    [[at(0), at(1), EMPTY, EMPTY], "ready accepted accepted heal heal"],
    [[at(0), at(1), EMPTY, OFFLINE], "ready accepted accepted heal offline"],
    [[at(0), at(1), strange, broken], "ready accepted accepted refused refused"],
    [[at(1), at(0), at(2), at(3)], "ready refused refused accepted accepted"],
  ])("%#: %#", (readings, expected) => {
    const verdict = judgeFormats(readings, 4);
    const shown =
      verdict.kind === "ready" ? ["ready", ...verdict.drives.map(({ kind }) => kind)].join(" ") : verdict.kind;
    expect(shown).toBe(expected);
  });

  test("a healed drive gets the very file that it lost", () => {
    const verdict = judgeFormats([at(0), EMPTY, at(2), at(3)], 4);
    const drive = verdict.kind === "ready" ? verdict.drives[1] : undefined;
    expect(drive?.kind === "heal" && serializeFormat(drive.format)).toEqual(serializeFormat(pool[1] as DriveFormat));
    expect(() => formatAt(pool[0] as DriveFormat, 4)).toThrow(FormatError);
  });

  test("a format of another size than the command line's is fatal", () => {
    expect(judgeFormats([at(0), at(1)], 2)).toMatchObject({ kind: "fatal" });
    expect(judgeFormats([at(0), at(1), at(2), at(3)], 2)).toMatchObject({ kind: "fatal" });
  });

  test("one drive alone decides for itself", () => {
    const [only] = formats(1, 1) as [DriveFormat];
    expect(judgeFormats([read(only)], 1)).toMatchObject({ kind: "ready" });
    expect(judgeFormats([OFFLINE], 1)).toMatchObject({ kind: "wait" });
  });
});
