/**
 * XML in and out. Parsing is fast-xml-parser's, without entities or DTDs; building is this small escaping writer.
 * Values are nested arrays of [name, text | children]; characters that XML 1.0 cannot hold become references.
 */
import { XMLParser, XMLValidator } from "fast-xml-parser";
import { WireError } from "./wire-error.ts";

export const S3_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/";
const DEPTH_MAX = 32;
export type XmlNode = readonly [name: string, content: string | number | boolean | readonly (XmlNode | null)[]];

export function xmlDocument(
  root: string,
  children: readonly (XmlNode | null)[],
  namespace: string | null = S3_NAMESPACE,
): string {
  const attribute = namespace === null ? "" : ` xmlns="${namespace}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root}${attribute}>${children.map(element).join("")}</${root}>`;
}

/** As xmlDocument, with elements that are XML already between `before` and `after`: for long lists. */
export function xmlListing(
  root: string,
  before: readonly (XmlNode | null)[],
  elements: string,
  after: readonly (XmlNode | null)[],
): string {
  const [head, tail] = [before.map(element).join(""), after.map(element).join("")];
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="${S3_NAMESPACE}">${head}${elements}${tail}</${root}>`;
}

function element(node: XmlNode | null): string {
  if (node === null) return "";
  const [name, content] = node;
  if (typeof content === "object") return `<${name}>${content.map(element).join("")}</${name}>`;
  return `<${name}>${escapeXml(String(content))}</${name}>`;
}

export function escapeXml(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped
  if (!/[&<>"'\u0000-\u001f\u007f]/.test(text)) return text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
  return text.replace(/[&<>"'\u0000-\u001f\u007f]/g, (c) => {
    switch (c) {
      case "&":
        return "&amp;";
      case "<":
        return "&lt;";
      case ">":
        return "&gt;";
      case '"':
        return "&#34;";
      case "'":
        return "&#39;";
      default:
        return `&#x${c.charCodeAt(0).toString(16).toUpperCase()};`;
    }
  });
}

/** An element: its text, or its children by local name. */
export interface XmlElement {
  readonly name: string;
  readonly text: string;
  readonly children: readonly XmlElement[];
}

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: true,
  removeNSPrefix: true,
  parseTagValue: false,
  trimValues: false,
  processEntities: false,
  htmlEntities: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
});

/** Parses a document whose root has this name. */
export function parseXml(bytes: Uint8Array, root: string): XmlElement {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new WireError("MalformedXML", "The document is not UTF-8.", {}, { cause });
  }
  if (text.includes("<!DOCTYPE") || text.includes("<!ENTITY") || XMLValidator.validate(text) !== true)
    throw new WireError(
      "MalformedXML",
      "The XML you provided was not well-formed or did not validate against our published schema.",
    );
  const roots = parsed(text)
    .map((node) => toElement(node, 1))
    .filter((e) => e.name !== "#text");
  const found = roots[0];
  // The parser drops what follows an empty root.
  if (!text.trimEnd().endsWith(">") || found === undefined || roots.length !== 1 || found.name !== root)
    throw new WireError("MalformedXML", `The document's root must be ${root}.`);
  return found;
}

/** The parser has opinions that the validator does not share, on depth for one. */
function parsed(text: string): readonly unknown[] {
  try {
    return parser.parse(text) as unknown[];
  } catch (cause) {
    throw new WireError("MalformedXML", "The XML you provided cannot be read.", {}, { cause });
  }
}

function toElement(node: unknown, depth: number): XmlElement {
  if (depth > DEPTH_MAX) throw new WireError("MalformedXML", "The document is nested too deeply.");
  const [name, content] = Object.entries(node as Record<string, unknown>).find(([k]) => k !== ":@") ?? ["#text", ""];
  if (name === "#text") return { name, text: decodeEntities(String(content)), children: [] };
  const children = (Array.isArray(content) ? content : []).map((inner) => toElement(inner, depth + 1));
  const text = children
    .filter((c) => c.name === "#text")
    .map((c) => c.text)
    .join("");
  return { name, text, children: children.filter((c) => c.name !== "#text") };
}

const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** The five named entities and character references; anything else cannot be, since DTDs are refused. */
function decodeEntities(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(
    /&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|([a-z]{2,4}));/g,
    (whole, decimal?: string, hex?: string, name?: string) => {
      if (name !== undefined) return NAMED[name] ?? whole;
      const code = decimal !== undefined ? Number(decimal) : Number.parseInt(hex as string, 16);
      if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        throw new WireError("MalformedXML", `The reference ${whole} stands for no character.`);
      return String.fromCodePoint(code);
    },
  );
}

export function child(parent: XmlElement, name: string): XmlElement | undefined {
  return parent.children.find((c) => c.name === name);
}
export function childText(parent: XmlElement, name: string): string | undefined {
  return child(parent, name)?.text.trim();
}
export function childrenOf(parent: XmlElement, name: string): XmlElement[] {
  return parent.children.filter((c) => c.name === name);
}
