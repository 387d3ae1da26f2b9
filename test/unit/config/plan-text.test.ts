/** The text of `sherd plan`: usable bytes of drives that are equal, unequal, and on one file system. */
import { expect, test } from "bun:test";
import { layoutPools } from "../../../src/config/endpoints.ts";
import { bytesText, planText } from "../../../src/config/plan-text.ts";

const TIB = 1024 ** 4;

test("usable bytes follow the smallest drive of each set", () => {
  const text = planText(layoutPools(["/d{1...4}"]), { standardParity: 2, reducedParity: 1 }, (endpoint) => ({
    state: "empty",
    device: Number(endpoint.slice(2)),
    totalBytes: endpoint === "/d4" ? TIB : 2 * TIB,
    freeBytes: TIB,
  }));
  expect(text).toContain("2.0 TiB usable of 7.0 TiB, 2.0 TiB of it free");
  expect(text).toContain("of each set 2 drives may fail for reads, 1 for writes");
  expect(text).toContain("set 1: /d1 (empty) /d2 (empty)");
  expect(text).not.toContain("share a file system");
});

test("drives on one file system share its bytes, and that is said", () => {
  const same = { state: "not there", device: 7, totalBytes: 4 * TIB, freeBytes: TIB } as const;
  const text = planText(layoutPools(["/d{1...4}"]), { standardParity: 2, reducedParity: 1 }, () => same);
  expect(text).toContain("2.0 TiB usable of 4.0 TiB, 512 GiB of it free");
  expect(text).toContain("some drives share a file system");
});

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1536, "1.5 KiB"],
  [300 * 1024 ** 3, "300 GiB"],
])("%d bytes are %s", (bytes, text) => {
  expect(bytesText(bytes)).toBe(text);
});
