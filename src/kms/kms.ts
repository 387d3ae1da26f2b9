/**
 * Kms: who keeps the master keys. It makes data keys, each in the clear and sealed under a master key, and opens sealed ones;
 * master keys never leave it. The context (associated data) binds a sealed key to what it was made for. Keys are 32 bytes.
 * Errors are KmsError; secrets are in no message. Implementations lie beside this file. Source: on-disk-format.md §5.13, §7.5.
 */
import { OperatingError } from "../core/errors.ts";

export type KmsErrorCode =
  /** The master key is not there. */
  | "KeyNotFound"
  | "KeyExists"
  /** The sealed key was made under another key or context, or is damaged. */
  | "CannotDecrypt"
  /** The server is not reached, or answers what it must not. */
  | "Unavailable"
  /** The server refuses these credentials. */
  | "AccessDenied"
  | "NotSupported";

export class KmsError extends OperatingError<KmsErrorCode> {}

/** Names and values that a sealed key is bound to. */
export type KmsContext = ReadonlyMap<string, string>;

export interface DataKey {
  readonly keyId: string;
  /** 32 bytes; whoever asked for it wipes it. */
  readonly plaintext: Uint8Array;
  readonly ciphertext: Uint8Array;
}

export interface KmsStatus {
  readonly kind: Kms["kind"];
  readonly endpoints: readonly { readonly endpoint: string; readonly online: boolean; readonly reason: string }[];
}

export interface Kms {
  readonly kind: "builtin" | "kes" | "vault";
  readonly defaultKeyId: string;
  /** Under the named master key, or the default one. */
  generateKey(keyId: string | null, context: KmsContext): Promise<DataKey>;
  /** The data key in the clear: 32 bytes, a fresh array. */
  decryptKey(keyId: string, ciphertext: Uint8Array, context: KmsContext): Promise<Uint8Array>;
  createKey(keyId: string): Promise<void>;
  /** Names that start with `prefix`, sorted. */
  listKeys(prefix: string): Promise<readonly string[]>;
  /** Asks the server; never throws. */
  status(): Promise<KmsStatus>;
}

/** The canonical text of a context: a JSON object, names sorted as bytes, escaped as MinIO does. */
export function contextText(context: KmsContext): string {
  const sorted = [...context].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `{${sorted.map(([name, value]) => `${jsonText(name)}:${jsonText(value)}`).join(",")}}`;
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};
function jsonText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is escaped
  const escaped = text.toWellFormed().replace(/[\u0000-\u001f"\\<>&\u2028\u2029]/g, (c) => {
    return SHORT_ESCAPES[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  return `"${escaped}"`;
}
