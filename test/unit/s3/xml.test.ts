/** Documents that are refused as documents, never as a fault of ours. */
import { expect, test } from "bun:test";
import { WireError } from "../../../src/s3/wire-error.ts";
import { childText, parseXml } from "../../../src/s3/xml.ts";

test.each([200, 30_000])("a document %i elements deep is malformed", (depth) => {
  const document = `<Delete>${"<a>".repeat(depth)}${"</a>".repeat(depth)}</Delete>`;
  expect(() => parseXml(Buffer.from(document), "Delete")).toThrow(WireError);
});

test.each(["&#xD800;", "&#57343;", "&#x110000;", "&#9999999;"])(
  "the reference %s stands for no character",
  (reference) => {
    expect(() => parseXml(Buffer.from(`<Delete><Key>a${reference}</Key></Delete>`), "Delete")).toThrow(WireError);
  },
);

test("references to what characters there are become those", () => {
  const document = "<Delete><Key>&#x1F600;&#252;&#x1;&amp;</Key></Delete>";
  expect(childText(parseXml(Buffer.from(document), "Delete"), "Key")).toBe("\u{1f600}ü\u0001&");
});
