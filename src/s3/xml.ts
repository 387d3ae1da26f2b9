/**
 * XML in and out of requests. Parsing is core/xml.ts, with the wire's error; building is this small escaping writer.
 * Values are nested arrays of [name, text | children]; characters that XML 1.0 cannot hold become references.
 */
import { FormatError } from "../core/format-error.ts";
import {
  allChildren,
  firstChild,
  parseXmlDocument,
  textOf,
  writeElement,
  type XmlContent,
  type XmlElement as Element,
} from "../core/xml.ts";
import { WireError } from "./wire-error.ts";

export const S3_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/";
export type XmlNode = XmlContent;

export function xmlDocument(
  root: string,
  children: readonly (XmlNode | null)[],
  namespace: string | null = S3_NAMESPACE,
): string {
  const attribute = namespace === null ? "" : ` xmlns="${namespace}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root}${attribute}>${children.map(writeElement).join("")}</${root}>`;
}

/** As xmlDocument, with elements that are XML already between `before` and `after`: for long lists. */
export function xmlListing(
  root: string,
  before: readonly (XmlNode | null)[],
  elements: string,
  after: readonly (XmlNode | null)[],
): string {
  const [head, tail] = [before.map(writeElement).join(""), after.map(writeElement).join("")];
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="${S3_NAMESPACE}">${head}${elements}${tail}</${root}>`;
}

/** Parses a document whose root has this name. */
export function parseXml(bytes: Uint8Array, root: string): XmlElement {
  try {
    return parseXmlDocument(bytes, root);
  } catch (cause) {
    if (cause instanceof FormatError) throw new WireError("MalformedXML", cause.message, {}, { cause });
    throw cause;
  }
}

/** Handlers know elements by these names. */
export type XmlElement = Element;
export const child = firstChild;
export const childText = textOf;
export const childrenOf = allChildren;
