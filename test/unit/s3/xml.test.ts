/** XML in and out: what is read, what is written, and what is refused as a document, never as a fault of ours. */
import { expect, test } from "bun:test";
import { WireError } from "../../../src/s3/wire-error.ts";
import { child, childrenOf, childText, parseXml, xmlDocument } from "../../../src/s3/xml.ts";

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

const parse = (text: string) => parseXml(new TextEncoder().encode(text), "Root");

test("elements are found by their local name, text is kept", () => {
  const root = parse(
    '<?xml version="1.0"?><x:Root xmlns:x="u" a="1"><A> b </A><A>&amp;&#65;&#x42;&lt;</A><B><C/></B></x:Root>',
  );
  expect(childrenOf(root, "A").map((e) => e.text)).toEqual([" b ", "&AB<"]);
  expect([childText(root, "A"), child(root, "None"), child(child(root, "B") ?? root, "C")?.text]).toEqual([
    "b",
    undefined,
    "",
  ]);
});

test.each([
  "",
  "<Root>",
  "<Other/>",
  "<Root/><Root/>",
  "<Root/>x",
  "<!DOCTYPE a><Root/>",
  '<!DOCTYPE a [<!ENTITY b "c">]><Root>&b;</Root>',
  "<Root><__proto__/></Root>",
  `<Root>${"<a>".repeat(40)}${"</a>".repeat(40)}</Root>`,
  `${"<Root>".repeat(100_000)}`,
])("document %# is refused", (text) => {
  expect(() => parse(text)).toThrow(expect.objectContaining({ code: "MalformedXML" }));
});

test("what is written reads back", () => {
  const text = "<a> & \"b\" 'c' é\u{1F600}\n";
  const document = xmlDocument("Root", [["A", text], null, ["B", 1], ["C", true]]);
  const root = parse(document);
  expect([childrenOf(root, "A")[0]?.text, childText(root, "B"), childText(root, "C")]).toEqual([text, "1", "true"]);
});
