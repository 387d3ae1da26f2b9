/**
 * UUIDs as 16 raw bytes (xl.meta) and as lower-case text (paths, API). All zero bytes are the null version, text "null".
 * Throws FormatError on text that is no UUID.
 */
import { FormatError } from "../core/format-error.ts";

export const NULL_VERSION_ID = "null";
export const UUID_BYTES = 16;
const UUID_TEXT = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isUuidText(text: string): boolean {
  return UUID_TEXT.test(text);
}

/** Of exactly 16 bytes. */
export function uuidText(raw: Uint8Array): string {
  return uuidOfHex(raw.toHex());
}

/** Of 32 hexadecimal digits in lower case. */
export function uuidOfHex(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export function uuidBytes(text: string): Uint8Array {
  if (text.length !== 36) throw notUuid(text);
  const raw = new Uint8Array(UUID_BYTES);
  let at = 0;
  for (let index = 0; index < 36; index += 2) {
    if (index === 8 || index === 13 || index === 18 || index === 23) {
      if (text.charCodeAt(index) !== 0x2d) throw notUuid(text);
      index++;
    }
    const high = nibble(text.charCodeAt(index));
    const low = nibble(text.charCodeAt(index + 1));
    if (high < 0 || low < 0) throw notUuid(text);
    raw[at++] = (high << 4) | low;
  }
  return raw;
}

function notUuid(text: string): FormatError {
  return new FormatError(`not a UUID: ${JSON.stringify(text.slice(0, 64))}`);
}

/** Value of a hexadecimal digit, -1 if it is none. */
function nibble(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

export function isZeroUuid(raw: Uint8Array): boolean {
  for (let index = 0; index < UUID_BYTES; index++) if (raw[index] !== 0) return false;
  return true;
}

/** "null" or UUID text. */
export function versionIdText(raw: Uint8Array): string {
  return isZeroUuid(raw) ? NULL_VERSION_ID : uuidText(raw);
}

/** Of the null version; not to be written to. */
export const NULL_ID: Uint8Array = new Uint8Array(UUID_BYTES);

/** Raw id of "null", "" (null as well) or UUID text; not to be written to. */
export function versionIdBytes(text: string): Uint8Array {
  return text === NULL_VERSION_ID || text === "" ? NULL_ID : uuidBytes(text);
}
