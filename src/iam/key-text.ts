/** Access and secret keys as MinIO makes them: 20 characters of A-Z and 0-9, and 40 of base64 without "/" and "+". */
import type { Rng } from "../sys/rng.ts";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const ACCESS_KEY_CHARS = 20;
const SECRET_KEY_CHARS = 40;

export function newAccessKey(rng: Rng): string {
  // 252 = 7 × 36: what is above would prefer the first characters.
  let key = "";
  while (key.length < ACCESS_KEY_CHARS)
    for (const byte of rng.fill(new Uint8Array(ACCESS_KEY_CHARS)))
      if (byte < 252 && key.length < ACCESS_KEY_CHARS) key += ALPHABET[byte % ALPHABET.length];
  return key;
}

export function newSecretKey(rng: Rng): string {
  let key = "";
  while (key.length < SECRET_KEY_CHARS)
    key += Buffer.from(rng.fill(new Uint8Array(SECRET_KEY_CHARS)))
      .toString("base64")
      .replace(/[+/=]/g, "");
  return key.slice(0, SECRET_KEY_CHARS);
}
