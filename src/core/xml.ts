/**
 * XML documents that arrived or lie on a drive: fast-xml-parser's tree without entities or DTDs, as elements by local name.
 * Depth is bounded. Throws FormatError.
 */
import { XMLParser, XMLValidator } from "fast-xml-parser";
import { FormatError } from "./format-error.ts";

const DEPTH_MAX = 32;

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
export function parseXmlDocument(bytes: Uint8Array, root: string): XmlElement {
  const text = utf8(bytes);
  if (text.includes("<!DOCTYPE") || text.includes("<!ENTITY") || XMLValidator.validate(text) !== true)
    throw new FormatError("The XML you provided was not well-formed or did not validate against our published schema.");
  const roots = parsed(text)
    .map((node) => toElement(node, 1))
    .filter((e) => e.name !== "#text");
  const found = roots[0];
  // The parser drops what follows an empty root.
  if (!text.trimEnd().endsWith(">") || found === undefined || roots.length !== 1 || found.name !== root)
    throw new FormatError(`The document's root must be ${root}.`);
  return found;
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new FormatError("The document is not UTF-8.");
  }
}

/** The parser has opinions that the validator does not share, on depth for one. */
function parsed(text: string): readonly unknown[] {
  try {
    return parser.parse(text) as unknown[];
  } catch {
    throw new FormatError("The XML you provided cannot be read.");
  }
}

function toElement(node: unknown, depth: number): XmlElement {
  if (depth > DEPTH_MAX) throw new FormatError("The document is nested too deeply.");
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
        throw new FormatError(`The reference ${whole} stands for no character.`);
      return String.fromCodePoint(code);
    },
  );
}

export function firstChild(parent: XmlElement, name: string): XmlElement | undefined {
  return parent.children.find((c) => c.name === name);
}
export function textOf(parent: XmlElement, name: string): string | undefined {
  return firstChild(parent, name)?.text.trim();
}
export function allChildren(parent: XmlElement, name: string): XmlElement[] {
  return parent.children.filter((c) => c.name === name);
}

/** An element to write. */
export type XmlContent = readonly [name: string, content: string | number | boolean | readonly (XmlContent | null)[]];

export function writeElement(node: XmlContent | null): string {
  if (node === null) return "";
  const [name, content] = node;
  if (typeof content === "object") return `<${name}>${content.map(writeElement).join("")}</${name}>`;
  return `<${name}>${escapeXml(String(content))}</${name}>`;
}

/** An element as it came: the text of one without children is kept to the last blank. */
export function contentOf(element: XmlElement): XmlContent {
  return [element.name, element.children.length > 0 ? element.children.map(contentOf) : element.text];
}

/** A document as bucket settings are stored: with the namespace, without a declaration. */
export function storedDocument(root: string, children: readonly (XmlContent | null)[]): Uint8Array {
  const inner = children.map(writeElement).join("");
  return new TextEncoder().encode(`<${root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inner}</${root}>`);
}

/** Text as an element's content. Control characters become references. */
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
