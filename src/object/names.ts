/** What a bucket and a key may be called. Source: s3-api.md §1.5, §1.6. */
import { ObjectError } from "./errors.ts";

const BUCKET_NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const KEY_BYTES_MAX = 1024;
const COMPONENT_BYTES_MAX = 255;
/** What a key that ends with "/" ends with on the drives. */
const DIRECTORY_SUFFIX = "__XLDIR__";

export function checkBucketName(name: string): void {
  if (name === "minio" || name.startsWith(".minio.sys"))
    throw new ObjectError("ReservedBucket", "All access to this resource has been disabled.");
  if (!isBucketName(name))
    throw new ObjectError("InvalidBucketName", "The specified bucket is not valid.", { bucket: name });
}

export function isBucketName(name: string): boolean {
  if (!name.includes(".")) return BUCKET_NAME.test(name);
  return BUCKET_NAME.test(name) && !/\.\.|\.-|-\./.test(name) && !/^\d+\.\d+\.\d+\.\d+$/.test(name);
}

/** Can keys start like this? What cannot be part of a key lists nothing. */
export function isPrefix(prefix: string): boolean {
  return (
    !prefix.startsWith("/") &&
    !prefix.includes("//") &&
    !prefix.includes("\0") &&
    Buffer.byteLength(prefix) <= KEY_BYTES_MAX &&
    !hasDotSegment(prefix)
  );
}

/** A dot alone may still become a name: only whole segments count, the last one of a prefix is open. */
function hasDotSegment(prefix: string): boolean {
  return prefix
    .split("/")
    .slice(0, -1)
    .some((segment) => segment === "." || segment === "..");
}

/** Segments of plain characters, none of which begins with a dot: most keys, about which nothing below has anything to say. */
const PLAIN_KEY = /^[A-Za-z0-9][\w.=+@-]*(?:\/[A-Za-z0-9][\w.=+@-]*)*$/;

/** The key as it is stored; throws what a key may not be. */
export function checkKey(key: string): void {
  const isPlain = key.length <= COMPONENT_BYTES_MAX && PLAIN_KEY.test(key);
  if (isPlain && !key.includes("xl.meta") && !key.endsWith(DIRECTORY_SUFFIX)) return;
  if (key === "" || key.includes("\0") || key.includes("//") || key.startsWith("/") || !key.isWellFormed()) {
    throw new ObjectError("InvalidObjectName", "Object name contains unsupported characters.", { key });
  }
  if (Buffer.byteLength(key) > KEY_BYTES_MAX) throw new ObjectError("KeyTooLong", "Your key is too long.");
  if (key.endsWith(DIRECTORY_SUFFIX))
    throw new ObjectError("InvalidObjectName", `The suffix ${DIRECTORY_SUFFIX} is reserved.`, { key });
  if (key.split(/[/\\]/).some((segment) => /^\s*\.\.?\s*$/.test(segment)))
    throw new ObjectError("InvalidObjectName", 'An object name cannot have "." or ".." between slashes.', { key });
  const stored = key.endsWith("/") ? `${key.slice(0, -1)}${DIRECTORY_SUFFIX}` : key;
  for (const component of stored.split("/")) {
    if (Buffer.byteLength(component) > COMPONENT_BYTES_MAX)
      throw new ObjectError(
        "InvalidObjectName",
        "A part of the object name between slashes is longer than 255 bytes.",
        { key },
      );
    if (component === "xl.meta") throw new ObjectError("InvalidObjectName", "The name xl.meta is reserved.", { key });
  }
}
