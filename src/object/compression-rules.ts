/** Which new objects are compressed: by size, extension and content type, as MinIO's options say. Pure. Source: on-disk-format.md §5.12. */
const SIZE_MIN = 4096;
/** Compressed already: trying costs time and gains nothing. */
const NEVER_EXTENSIONS = [".gz", ".bz2", ".rar", ".zip", ".7z", ".xz", ".mp4", ".mkv", ".mov", ".jpg", ".png", ".gif"];
const NEVER_TYPES = [
  "video/*",
  "audio/*",
  "application/zip",
  "application/x-gzip",
  "application/x-zip-compressed",
  "application/x-compress",
  "application/x-spoon",
];

export interface CompressionRules {
  /** With the dot, any case; empty together with `types` = every object. */
  readonly extensions: readonly string[];
  /** `text/*` or whole. */
  readonly types: readonly string[];
  /** Also what is encrypted? Sizes of compressed plaintext tell something about it. */
  readonly encrypted: boolean;
}

export function isCompressed(
  rules: CompressionRules | null,
  object: {
    readonly key: string;
    readonly contentType: string;
    readonly sizeBytes: number;
    readonly isEncrypted: boolean;
  },
): boolean {
  if (rules === null || object.sizeBytes <= SIZE_MIN || (object.isEncrypted && !rules.encrypted)) return false;
  const key = object.key.toLowerCase();
  const type = object.contentType.toLowerCase();
  if (NEVER_EXTENSIONS.some((e) => key.endsWith(e)) || NEVER_TYPES.some((t) => matchesType(t, type))) return false;
  if (rules.extensions.length === 0 && rules.types.length === 0) return true;
  return (
    rules.extensions.some((e) => key.endsWith(e.toLowerCase())) ||
    rules.types.some((t) => matchesType(t.toLowerCase(), type))
  );
}

function matchesType(pattern: string, type: string): boolean {
  return pattern.endsWith("*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
}
