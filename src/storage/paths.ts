/**
 * Names on a drive: object keys and their paths, bucket names, the system bucket's folders, uploads. Pure text.
 * A key is what the client wrote; a path is its encoded form below `<drive>/<bucket>/`, whose directory holds xl.meta.
 * Source: docs/format.md §1, §1.5, §6.1.
 */
import { isUuidText } from "./uuid.ts";

export const SYSTEM_BUCKET = ".minio.sys";
export const META_FILE = "xl.meta";
/** xl.meta before 2020. */
export const OLD_META_FILE = "xl.json";

/** Below SYSTEM_BUCKET. */
export const SYSTEM_PATHS = {
  format: "format.json",
  tmp: "tmp",
  trash: "tmp/.trash",
  tmpOld: "tmp-old",
  multipart: "multipart",
  buckets: "buckets",
  config: "config",
  healing: "buckets/.healing.bin",
  /** Ours alone; MinIO ignores and keeps it. */
  sherd: "sherd",
} as const;

const DIRECTORY_SUFFIX = "__XLDIR__";
export const KEY_BYTES_MAX = 1024;
/** What file systems allow for one name. */
const NAME_BYTES_MAX = 255;

/** `a/b/` becomes `a/b__XLDIR__`; every other key is its own path. */
export function encodeKey(key: string): string {
  return key.endsWith("/") ? `${key.slice(0, -1)}${DIRECTORY_SUFFIX}` : key;
}

export function decodeKey(path: string): string {
  return path.endsWith(DIRECTORY_SUFFIX) ? `${path.slice(0, -DIRECTORY_SUFFIX.length)}/` : path;
}

/** Where a system document lies: path below SYSTEM_BUCKET of a bucket's metadata. */
export function bucketMetadataPath(bucket: string): string {
  return `${SYSTEM_PATHS.buckets}/${bucket}/.metadata.bin`;
}

export type KeyProblem = "empty" | "too-long" | "not-allowed";

/** Why a key cannot be stored; null = it can. */
export function keyProblem(key: string): KeyProblem | null {
  if (key === "") return "empty";
  if (Buffer.byteLength(key) > KEY_BYTES_MAX) return "too-long";
  if (key.startsWith("/") || key.includes("//") || key.includes("\0") || !key.isWellFormed()) return "not-allowed";
  for (const component of encodeKey(key).split("/")) {
    if (Buffer.byteLength(component) > NAME_BYTES_MAX) return "too-long";
  }
  for (const component of key.split(/[/\\]/)) {
    const bare = component.trim();
    if (bare === "." || bare === "..") return "not-allowed";
  }
  return null;
}

/** As keyProblem for a prefix of a listing, which may be empty. */
export function isListablePrefix(prefix: string): boolean {
  return prefix === "" || keyProblem(prefix) === null;
}

const BUCKET_NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
/** Names that older servers accepted: they are listed, but not created. */
const OLD_BUCKET_NAME = /^[A-Za-z0-9][A-Za-z0-9._:-]{1,61}[A-Za-z0-9]$/;
const IP_ADDRESS = /^(\d+\.){3}\d+$/;

function isReserved(name: string): boolean {
  return name === "minio" || name === SYSTEM_BUCKET || name === ".minio";
}

function hasBadDots(name: string): boolean {
  return name.includes("..") || name.includes(".-") || name.includes("-.") || IP_ADDRESS.test(name);
}

/** May a client create this bucket? */
export function isBucketName(name: string): boolean {
  return BUCKET_NAME.test(name) && !isReserved(name) && !hasBadDots(name);
}

/** Is this first-level directory of a drive a bucket? */
export function isBucketDirectory(name: string): boolean {
  return OLD_BUCKET_NAME.test(name) && !isReserved(name) && !hasBadDots(name);
}

// ---- uploads

const UPLOAD_DIR = /^([0-9a-f-]{36})(?:x(\d{1,19}))?$/i;

/** Folder of all uploads of a key; `key` as the client wrote it. */
export function uploadParent(bucket: string, key: string): string {
  return new Bun.CryptoHasher("sha256").update(`${bucket}/${key}`).digest("hex");
}

/** `initiatedNs`: ns since 1970. */
export function uploadDirName(uuid: string, initiatedNs: bigint): string {
  return `${uuid}x${initiatedNs}`;
}

/** Path of an upload below SYSTEM_BUCKET. */
export function uploadPath(bucket: string, key: string, uploadDir: string): string {
  return `${SYSTEM_PATHS.multipart}/${uploadParent(bucket, key)}/${uploadDir}`;
}

/** When an upload began, by its directory; null in names of before 2025, where only the staged xl.meta knows. */
export function uploadInitiatedNs(uploadDir: string): bigint | null {
  const nanoseconds = UPLOAD_DIR.exec(uploadDir)?.[2];
  return nanoseconds === undefined ? null : BigInt(nanoseconds);
}

/** The API's upload id. */
export function encodeUploadId(deploymentId: string, uploadDir: string): string {
  return Buffer.from(`${deploymentId}.${uploadDir}`, "utf8").toString("base64url");
}

/** The directory that an API upload id names; null if it cannot be one (then there is no such upload). */
export function decodeUploadId(uploadId: string): string | null {
  const decoded = Buffer.from(uploadId, "base64url").toString("latin1");
  const dot = decoded.indexOf(".");
  const name = dot < 0 ? uploadId : decoded.slice(dot + 1);
  const uuid = UPLOAD_DIR.exec(name)?.[1];
  return uuid !== undefined && isUuidText(uuid) ? name : null;
}
