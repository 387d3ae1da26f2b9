/**
 * Versioning rules of a bucket: pure. The document is stored as MinIO stores it; its extensions ExcludedPrefixes and
 * ExcludeFolders are honoured: keys under them get null versions. Source: s3-api.md §4.12, on-disk-format.md §7.2.
 */
export type VersioningStatus = "" | "Enabled" | "Suspended";

export interface Versioning {
  readonly status: VersioningStatus;
  readonly excludedPrefixes: readonly string[];
  readonly excludeFolders: boolean;
}

export const NEVER_VERSIONED: Versioning = { status: "", excludedPrefixes: [], excludeFolders: false };

/** Reads a stored document (ours or MinIO's: known to be well-formed). */
export function parseStoredVersioning(document: Uint8Array): Versioning {
  if (document.length === 0) return NEVER_VERSIONED;
  const text = new TextDecoder().decode(document);
  const status = /<Status>\s*(Enabled|Suspended)\s*<\/Status>/.exec(text)?.[1];
  const prefixes = [...text.matchAll(/<ExcludedPrefixes>\s*<Prefix>([^<]*)<\/Prefix>\s*<\/ExcludedPrefixes>/g)].map(
    (m) => unescapeXml(m[1] ?? ""),
  );
  return {
    status: status === "Enabled" || status === "Suspended" ? status : "",
    excludedPrefixes: prefixes,
    excludeFolders: /<ExcludeFolders>\s*true/.test(text),
  };
}

export function storedVersioning(versioning: Versioning): Uint8Array {
  const prefixes = versioning.excludedPrefixes
    .map((p) => `<ExcludedPrefixes><Prefix>${escapeXml(p)}</Prefix></ExcludedPrefixes>`)
    .join("");
  const folders = versioning.excludeFolders ? "<ExcludeFolders>true</ExcludeFolders>" : "";
  return new TextEncoder().encode(
    `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>${versioning.status}</Status>${prefixes}${folders}</VersioningConfiguration>`,
  );
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

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
function unescapeXml(text: string): string {
  return text
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#34;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&");
}
