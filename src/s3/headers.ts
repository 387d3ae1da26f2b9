/** Headers in and out: metadata of new objects, conditions, ranges, and what GET and HEAD show. Source: s3-api.md §4.1, §4.2, §4.4. */
import { checksumAlgorithmOf } from "../codec/checksum.ts";
import type { ChecksumName, ChecksumType, Conditions, NewMetadata, VersionInfo } from "../object/types.ts";
import { REDIRECT_LOCATION_KEY } from "../object/version-info.ts";
import type { Header } from "../sys/http.ts";
import type { Call } from "./call.ts";
import { encryptionFrom, encryptionHeaders } from "./encryption-headers.ts";
import { lockFrom } from "./lock-headers.ts";
import { parseQuery } from "./sigv4.ts";
import { WireError } from "./wire-error.ts";

const KEPT = [
  "content-type",
  "cache-control",
  "content-language",
  "content-encoding",
  "content-disposition",
  "expires",
] as const;
/** Of an append: the size of what is there. */
export const WRITE_OFFSET = "x-amz-write-offset-bytes";
const METADATA_BYTES_MAX = 2048;
const REDIRECT_BYTES_MAX = 2048;
const TAGS_MAX = 10;
/** What MinIO takes, on reading too: tags must mean the same on both. */
const TAG_TEXT = /^[a-zA-Z0-9 +\-=._:/@]*$/;
const SHOWN: ReadonlyMap<string, string> = new Map([
  ["content-type", "Content-Type"],
  ["cache-control", "Cache-Control"],
  ["content-language", "Content-Language"],
  ["content-encoding", "Content-Encoding"],
  ["content-disposition", "Content-Disposition"],
  ["expires", "Expires"],
]);

/** Refuses what would silently not be done. */
export function refuseUnsupported(call: Call, mayAppend = false): void {
  for (const name of call.request.headers.keys()) {
    if (name.startsWith("x-minio-internal-"))
      throw new WireError("InvalidArgument", "A header is reserved for internal use.");
  }
  if (!mayAppend && call.parameter(WRITE_OFFSET) !== undefined)
    throw new WireError("NotImplemented", "Only a plain PutObject can append to an object.");
}

export function newMetadata(call: Call, mayAppend = false): NewMetadata {
  refuseUnsupported(call, mayAppend);
  return {
    metadata: metadataFrom(call),
    tagging: taggingFrom(call.parameter("x-amz-tagging")),
    storageClass: storageClassFrom(call) ?? "STANDARD",
    encryption: encryptionFrom(call),
    lock: lockFrom(call),
  };
}

export function metadataFrom(call: Call): Map<string, string> {
  const metadata = new Map<string, string>();
  const { headers } = call.request;
  for (const name of KEPT) {
    const value = headers.get(name);
    if (value === undefined) continue;
    const kept = name === "content-encoding" ? withoutAwsChunked(value) : fromWire(value);
    if (kept !== "") metadata.set(name, kept);
  }
  const redirect = redirectLocationFrom(call);
  if (redirect !== null) metadata.set(REDIRECT_LOCATION_KEY, redirect);
  let bytes = 0;
  for (const name of headers.keys())
    if (isUserMetadata(name)) bytes += addUserMetadata(metadata, name, headers.get(name) as string);
  if (call.identity.isPresigned)
    for (const [name, value] of call.query)
      if (isUserMetadata(name.toLowerCase())) bytes += addUserMetadata(metadata, name.toLowerCase(), value);
  if (bytes > METADATA_BYTES_MAX)
    throw new WireError("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size.");
  return metadata;
}

function isUserMetadata(name: string): boolean {
  return name.startsWith("x-amz-meta-") || name.startsWith("x-minio-meta-");
}

/** Bytes of name and value. */
function addUserMetadata(metadata: Map<string, string>, name: string, value: string): number {
  if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name))
    throw new WireError("InvalidArgument", "A metadata name holds characters that a header name cannot.");
  const text = fromWire(value);
  metadata.set(canonicalHeader(name), text);
  return name.length + Buffer.byteLength(text);
}

/** `x-amz-website-redirect-location`: where a visitor of the bucket's website is sent instead of the content. */
export function redirectLocationFrom(call: Call): string | null {
  const value = call.parameter("x-amz-website-redirect-location");
  if (value === undefined || value === "") return null;
  if (!/^(?:\/|https?:\/\/)[\x21-\x7e]*$/.test(value) || value.length > REDIRECT_BYTES_MAX)
    throw new WireError(
      "InvalidRedirectLocation",
      "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
    );
  return value;
}

/** Metadata that an archive gives to a member; what is neither metadata nor a header of content is left out. */
export function memberMetadata(fields: ReadonlyMap<string, string>): Map<string, string> {
  const metadata = new Map<string, string>();
  let bytes = 0;
  for (const [name, value] of fields) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
    if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value))
      throw new WireError("InvalidArgument", "Metadata of a member holds characters that a header cannot.");
    if ((KEPT as readonly string[]).includes(name)) metadata.set(name, value);
    if (!/^x-amz-meta-[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name)) continue;
    bytes += name.length + Buffer.byteLength(value);
    metadata.set(canonicalHeader(name), value);
  }
  if (bytes > METADATA_BYTES_MAX)
    throw new WireError("MetadataTooLarge", "Metadata of a member exceed the maximum allowed metadata size.");
  return metadata;
}

/** Header values arrive as Latin-1; clients send UTF-8 raw or RFC 2047-encoded. */
function fromWire(value: string): string {
  const text = /[\u0080-\u00ff]/.test(value) ? utf8OrLatin1(value) : value;
  return text.includes("=?") ? decodeRfc2047(text) : text;
}
function utf8OrLatin1(value: string): string {
  const bytes = Buffer.from(value, "latin1");
  const text = bytes.toString("utf8");
  return text.includes("\ufffd") ? value : text;
}
function decodeRfc2047(text: string): string {
  return text.replace(/=\?utf-8\?([qb])\?([^?]*)\?=(?:\s+(?==\?))?/gi, (_, coding: string, data: string) => {
    if (coding.toLowerCase() === "b") return Buffer.from(data, "base64").toString("utf8");
    const raw = data
      .replaceAll("_", " ")
      .replace(/=([0-9A-F]{2})/gi, (__, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    return Buffer.from(raw, "latin1").toString("utf8");
  });
}
/** ASCII stays; other text is Q-encoded as MinIO does. */
export function toWire(text: string): string {
  if (/^[\u0020-\u007e]*$/.test(text)) return text;
  let out = "";
  for (const byte of Buffer.from(text, "utf8")) {
    const c = String.fromCharCode(byte);
    if (c === " ") out += "_";
    else if (byte > 0x20 && byte < 0x7f && c !== "=" && c !== "?" && c !== "_") out += c;
    else out += `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return `=?UTF-8?q?${out}?=`;
}

function withoutAwsChunked(value: string): string {
  if (!/aws-chunked/i.test(value)) return value;
  return value
    .split(",")
    .map((v) => v.trim())
    .filter((v) => v !== "" && v.toLowerCase() !== "aws-chunked")
    .join(", ");
}

function canonicalHeader(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
}

export function storageClassFrom(call: Call): string | null {
  const value = call.parameter("x-amz-storage-class");
  if (value === undefined || value === "") return null;
  if (value !== "STANDARD" && value !== "REDUCED_REDUNDANCY")
    throw new WireError("InvalidStorageClass", "Invalid storage class.");
  return value;
}

/** `x-amz-tagging`: checked, re-encoded as stored. */
export function taggingFrom(value: string | undefined): string {
  if (value === undefined || value === "") return "";
  let tags: [string, string][];
  try {
    tags = parseQuery(value);
  } catch (cause) {
    throw new WireError("InvalidTag", "The tag provided was not a valid tag.", {}, { cause });
  }
  checkTags(tags, TAGS_MAX);
  return encodeTags(tags);
}

export function checkTags(tags: readonly (readonly [string, string])[], max: number): void {
  if (tags.length > max) throw new WireError("BadRequest", `Object tags cannot be greater than ${max}`);
  const seen = new Set<string>();
  for (const [key, value] of tags) {
    if (key === "" || !TAG_TEXT.test(key) || [...key].length > 128)
      throw new WireError("InvalidTag", "The TagKey you have provided is invalid", { tagKey: key });
    if (!TAG_TEXT.test(value) || [...value].length > 256)
      throw new WireError("InvalidTag", "The TagValue you have provided is invalid", { tagKey: key, tagValue: value });
    if (seen.has(key))
      throw new WireError("InvalidTag", "Cannot provide multiple Tags with the same key", { tagKey: key });
    seen.add(key);
  }
}

export function encodeTags(tags: readonly (readonly [string, string])[]): string {
  return [...tags]
    .sort((a, b) => (a[0] < b[0] ? -1 : 1))
    .map(([k, v]) => `${queryEscape(k)}=${queryEscape(v)}`)
    .join("&");
}
/** As Go's url.QueryEscape, which wrote the stored form. */
export function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+");
}
export function decodeTags(tagging: string): [string, string][] {
  return parseQuery(tagging);
}

// ---- conditions

const NO_CONDITIONS: Conditions = {};

export function conditionsFrom(call: Call, prefix = ""): Conditions {
  const ifMatch = conditionOf(call, prefix, "if-match");
  const ifNoneMatch = conditionOf(call, prefix, "if-none-match");
  const modified = dateOf(conditionOf(call, prefix, "if-modified-since"));
  const unmodified = dateOf(conditionOf(call, prefix, "if-unmodified-since"));
  if (ifMatch === undefined && ifNoneMatch === undefined && modified === null && unmodified === null)
    return NO_CONDITIONS;
  return {
    ...(ifMatch === undefined ? {} : { ifMatch: etagList(ifMatch) }),
    ...(ifNoneMatch === undefined ? {} : { ifNoneMatch: etagList(ifNoneMatch) }),
    ...(modified === null ? {} : { ifModifiedSinceMs: modified }),
    ...(unmodified === null ? {} : { ifUnmodifiedSinceMs: unmodified }),
  };
}

function conditionOf(call: Call, prefix: string, name: string): string | undefined {
  return call.parameter(prefix === "" ? name : prefix + name);
}

function etagList(value: string): string[] {
  return value.split(",").map((etag) => etag.trim().replace(/^"(.*)"$/, "$1"));
}
function dateOf(value: string | undefined): number | null {
  if (value === undefined) return null;
  const ms = Date.parse(value);
  return Number.isNaN(ms) ? null : ms;
}

// ---- ranges

export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** null = no range, or one that is to be ignored. Throws InvalidRange. */
export function rangeFrom(header: string | undefined, sizeBytes: number): ByteRange | null {
  if (header === undefined) return null;
  const match = /^bytes=(\d*)-(\d*)$/.exec(header.trim());
  if (match === null || (match[1] === "" && match[2] === "")) return null;
  const [first, last] = [match[1] as string, match[2] as string];
  if (first !== "" && last !== "" && Number(last) < Number(first)) return null; // no range, says RFC 9110
  const unsatisfiable = (): WireError =>
    new WireError("InvalidRange", "The requested range is not satisfiable.", {
      actualObjectSize: sizeBytes,
      rangeRequested: header.trim().slice(6),
    });
  if (first === "") {
    const suffix = Number(last);
    if (suffix === 0 || sizeBytes === 0) throw unsatisfiable();
    return { first: Math.max(0, sizeBytes - suffix), last: sizeBytes - 1 };
  }
  const start = Number(first);
  if (start >= sizeBytes) throw unsatisfiable();
  return { first: start, last: last === "" ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1) };
}

// ---- answers

export function quoted(etag: string): string {
  return `"${etag}"`;
}
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/** 0 to 59, in two digits. */
const TWO_DIGITS = Array.from({ length: 60 }, (_, i) => String(i).padStart(2, "0"));

/** Date.toUTCString, at a third of its cost. */
export function httpDate(ns: bigint): string {
  const date = new Date(Number(ns / 1_000_000n));
  const year = date.getUTCFullYear();
  if (!(year >= 1000 && year <= 9999)) return date.toUTCString();
  const day = `${DAYS[date.getUTCDay()]}, ${TWO_DIGITS[date.getUTCDate()]} ${MONTHS[date.getUTCMonth()]} ${year}`;
  const [hours, minutes, seconds] = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()];
  return `${day} ${TWO_DIGITS[hours]}:${TWO_DIGITS[minutes]}:${TWO_DIGITS[seconds]} GMT`;
}
export function isoDate(ns: bigint): string {
  return new Date(Number(ns / 1_000_000n)).toISOString();
}

export function versionIdHeader(info: Pick<VersionInfo, "versionId">): string | null {
  return info.versionId === "null" ? null : info.versionId;
}

const ACCEPT_RANGES: Header = ["Accept-Ranges", "bytes"];

/** Headers of GET and HEAD but length and range. */
export function objectHeaders(info: VersionInfo): Header[] {
  const headers: Header[] = [["ETag", quoted(info.etag)], ["Last-Modified", httpDate(info.modTimeNs)], ACCEPT_RANGES];
  const id = versionIdHeader(info);
  if (id !== null) headers.push(["x-amz-version-id", id]);
  if (info.storageClass !== "STANDARD") headers.push(["x-amz-storage-class", info.storageClass]);
  if (info.tagging !== "") headers.push(["x-amz-tagging-count", String(decodeTags(info.tagging).length)]);
  for (const name of info.metadata.keys()) {
    const shown = shownAs(name.toLowerCase());
    if (shown !== null) headers.push([shown, toWire(info.metadata.get(name) as string)]);
  }
  if (info.encryption !== null) headers.push(...Object.entries(encryptionHeaders(info.encryption)));
  return headers;
}

/** What a stored name is called in an answer; null = it is not shown. */
function shownAs(lower: string): string | null {
  const known = SHOWN.get(lower);
  if (known !== undefined) return known;
  if (!lower.startsWith("x-")) return null;
  if (/^x-(amz|minio)-meta-/.test(lower))
    return lower.startsWith("x-amz-meta-x-amz-unencrypted-content-") ? null : lower;
  return /^x-amz-(replication-status|restore|object-lock-.*|website-redirect-location)$/.test(lower) ? lower : null;
}

export function checksumHeaders(
  checksum: {
    readonly algorithm: ChecksumName;
    readonly type?: ChecksumType;
    readonly value: string;
    readonly parts?: number;
  } | null,
): Record<string, string> {
  if (checksum === null) return {};
  const value =
    checksum.type === "COMPOSITE" && (checksum.parts ?? 0) > 0 ? `${checksum.value}-${checksum.parts}` : checksum.value;
  return {
    [checksumAlgorithmOf(checksum.algorithm).header]: value,
    ...(checksum.type === undefined ? {} : { "x-amz-checksum-type": checksum.type }),
  };
}

export function checksumNameFrom(value: string | undefined): ChecksumName | null {
  if (value === undefined || value === "") return null;
  const found = checksumAlgorithmOf(value);
  if (found === undefined)
    throw new WireError(
      "InvalidArgument",
      "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256, SHA512, XXHASH128, XXHASH3, XXHASH64]",
    );
  return found.name;
}
export function checksumTypeFrom(value: string | undefined): ChecksumType | null {
  if (value === undefined || value === "") return null;
  const upper = value.toUpperCase();
  if (upper !== "COMPOSITE" && upper !== "FULL_OBJECT")
    throw new WireError("InvalidArgument", "The checksum type must be COMPOSITE or FULL_OBJECT.");
  return upper;
}

/** `?versionId`: undefined, "null" or a UUID. */
export function versionIdFrom(value: string | undefined): string | undefined {
  if (value === undefined || value === "") return undefined;
  if (value === "null") return value;
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(value))
    throw new WireError("InvalidArgument", "Invalid version id specified.");
  return value.toLowerCase();
}

/** `x-amz-copy-source`. */
export function copySourceFrom(header: string): { bucket: string; key: string; versionId?: string } {
  const question = header.indexOf("?");
  const path = decodedSource(question < 0 ? header : header.slice(0, question)).replace(/^\/+/, "");
  const slash = path.indexOf("/");
  const key = path.slice(slash + 1).replace(/^\/+/, "");
  if (slash <= 0 || key === "")
    throw new WireError(
      "InvalidArgument",
      "Copy Source must mention the source bucket and key: sourcebucket/sourcekey.",
    );
  const versionId =
    question < 0 ? undefined : parseQuery(header.slice(question + 1)).find(([k]) => k === "versionId")?.[1];
  const id = versionId === undefined || versionId === "" ? undefined : versionIdOrMissing(versionId);
  return { bucket: path.slice(0, slash), key, ...(id === undefined ? {} : { versionId: id }) };
}
/** A key with a percent sign that is not escaped would be another key: refused, not guessed. */
function decodedSource(path: string): string {
  try {
    return decodeURIComponent(/[\u0080-\u00ff]/.test(path) ? utf8OrLatin1(path) : path);
  } catch (cause) {
    throw new WireError("InvalidArgument", "The copy source is not URL-encoded UTF-8.", {}, { cause });
  }
}
function versionIdOrMissing(value: string): string | undefined {
  try {
    return versionIdFrom(value);
  } catch (cause) {
    throw new WireError("NoSuchVersion", "The specified version does not exist.", {}, { cause });
  }
}

const INTEGER_MAX = 2_147_483_647;
export function integerFrom(
  value: string | undefined,
  name: string,
  fallback: number,
  bounds: { readonly min: number; readonly max: number },
): number {
  if (value === undefined || value === "") return fallback;
  const number = Number(value);
  if (!/^-?\d{1,15}$/.test(value) || number < bounds.min || number > INTEGER_MAX)
    throw new WireError(
      "InvalidArgument",
      `Argument ${name} must be an integer between ${bounds.min} and 2147483647.`,
      {
        argumentName: name,
        argumentValue: value,
      },
    );
  return Math.min(number, bounds.max);
}
