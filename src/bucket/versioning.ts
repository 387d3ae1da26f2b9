/**
 * Versioning rules of a bucket: pure. The document is stored as MinIO stores it; its extensions ExcludedPrefixes and
 * ExcludeFolders are honoured: keys under them get null versions. Source: s3-api.md §4.12, on-disk-format.md §7.2.
 */
import {
  allChildren,
  firstChild,
  parseXmlDocument,
  storedDocument,
  textOf,
  type XmlContent,
  type XmlElement,
} from "../core/xml.ts";
import { FormatError } from "../core/format-error.ts";
import { DocumentError } from "./document-error.ts";

const EXCLUDED_MAX = 10;
export type VersioningStatus = "" | "Enabled" | "Suspended";

export interface Versioning {
  readonly status: VersioningStatus;
  readonly excludedPrefixes: readonly string[];
  readonly excludeFolders: boolean;
}

export const NEVER_VERSIONED: Versioning = { status: "", excludedPrefixes: [], excludeFolders: false };

/** A document that a client sent, or that lies on the drives. Throws DocumentError. */
export function parseVersioning(root: XmlElement): Versioning {
  const status = textOf(root, "Status");
  if (status !== "Enabled" && status !== "Suspended") throw invalid("The status must be Enabled or Suspended.");
  const excludedPrefixes = allChildren(root, "ExcludedPrefixes").map((e) => firstChild(e, "Prefix")?.text ?? "");
  if (excludedPrefixes.length > EXCLUDED_MAX || excludedPrefixes.includes(""))
    throw invalid(`At most ${EXCLUDED_MAX} excluded prefixes, none of them empty.`);
  return { status, excludedPrefixes, excludeFolders: textOf(root, "ExcludeFolders") === "true" };
}

function invalid(message: string): DocumentError {
  return new DocumentError("IllegalVersioningConfiguration", message);
}

/** What lies on the drives; a document that cannot be read means that nothing was set. */
export function parseStoredVersioning(document: Uint8Array): Versioning {
  if (document.length === 0) return NEVER_VERSIONED;
  const text = new TextDecoder().decode(document);
  if (!text.includes("<Status>")) return NEVER_VERSIONED;
  try {
    return parseVersioning(parseXmlDocument(document, "VersioningConfiguration"));
  } catch (error) {
    if (error instanceof DocumentError || error instanceof FormatError) return NEVER_VERSIONED;
    throw error;
  }
}

export function storedVersioning(versioning: Versioning): Uint8Array {
  return storedDocument("VersioningConfiguration", [
    ["Status", versioning.status],
    ...versioning.excludedPrefixes.map((prefix): XmlContent => ["ExcludedPrefixes", [["Prefix", prefix]]]),
    versioning.excludeFolders ? ["ExcludeFolders", true] : null,
  ]);
}

/** How a write of this key is versioned. */
export function modeOf(versioning: Versioning, key: string): "unversioned" | "enabled" | "suspended" {
  if (versioning.status === "") return "unversioned";
  if (key.endsWith("/")) return "suspended"; // directory objects have only the null version
  if (versioning.status === "Suspended" || isExcluded(versioning, key)) return "suspended";
  return "enabled";
}

function isExcluded(versioning: Versioning, key: string): boolean {
  if (versioning.excludeFolders && key.endsWith("/")) return true;
  return versioning.excludedPrefixes.some((prefix) => matches(prefix, key));
}

/** A prefix pattern: `*` stands for any run of characters, and what follows the pattern does not matter. */
function matches(pattern: string, key: string): boolean {
  const pieces = pattern.split("*");
  if (!key.startsWith(pieces[0] as string)) return false;
  let at = (pieces[0] as string).length;
  for (const piece of pieces.slice(1)) {
    const found = key.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return true;
}
