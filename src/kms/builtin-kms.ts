/**
 * BuiltinKms: one master key that the operator gives (`MINIO_KMS_SECRET_KEY`, `<id>:<base64 of 32 bytes>`). A sealed data key is
 * AES-256-GCM ciphertext and tag, 16 bytes of input to the sealing key, 12 of nonce: as MinIO's. The JSON form of older
 * releases is read. Source: on-disk-format.md §7.5.
 */
import { createHmac } from "node:crypto";
import type { Codec } from "../codec/native.ts";
import { openSmall, sealSmall, type SmallAead } from "../codec/small-aead.ts";
import type { Rng } from "../sys/rng.ts";
import { hchacha20 } from "./hchacha20.ts";
import { contextText, type DataKey, type Kms, type KmsContext, KmsError, type KmsStatus } from "./kms.ts";

const KEY_BYTES = 32;
const IV_BYTES = 16;
const NONCE_BYTES = 12;

export interface KmsMeans {
  readonly codec: Codec;
  readonly rng: Pick<Rng, "fill">;
}

export class BuiltinKms implements Kms {
  readonly kind = "builtin";

  private constructor(
    readonly defaultKeyId: string,
    private readonly master: Uint8Array,
    private readonly means: KmsMeans,
  ) {}

  /** Null: the text is not `<id>:<base64 of 32 bytes>`. */
  static parse(text: string, means: KmsMeans): BuiltinKms | null {
    const colon = text.indexOf(":");
    const encoded = text.slice(colon + 1);
    const key = new Uint8Array(Buffer.from(encoded, "base64"));
    if (colon <= 0 || key.length !== KEY_BYTES || Buffer.from(key).toString("base64") !== encoded) return null;
    return new BuiltinKms(text.slice(0, colon), key, means);
  }

  generateKey(keyId: string | null, context: KmsContext): Promise<DataKey> {
    if (keyId !== null && keyId !== this.defaultKeyId) return Promise.reject(this.unknown(keyId));
    const random = this.means.rng.fill(new Uint8Array(IV_BYTES + NONCE_BYTES));
    const plaintext = this.means.rng.fill(new Uint8Array(KEY_BYTES));
    const iv = random.subarray(0, IV_BYTES);
    const sealed = sealSmall(
      this.means.codec,
      { cipher: "AES-256-GCM", key: this.sealingKey(iv), nonce: random.subarray(IV_BYTES) },
      plaintext,
      Buffer.from(contextText(context)),
    );
    return Promise.resolve({ keyId: this.defaultKeyId, plaintext, ciphertext: Buffer.concat([sealed, random]) });
  }

  async decryptKey(keyId: string, ciphertext: Uint8Array, context: KmsContext): Promise<Uint8Array> {
    if (keyId !== this.defaultKeyId) throw this.unknown(keyId);
    const { aead, sealed } = this.parse(ciphertext);
    const key = openSmall(this.means.codec, aead, sealed, Buffer.from(contextText(context)));
    if (key === null || key.length !== KEY_BYTES)
      throw new KmsError("CannotDecrypt", `A data key does not open under the master key ${keyId}.`);
    return key;
  }

  createKey(keyId: string): Promise<void> {
    return Promise.reject(
      keyId === this.defaultKeyId
        ? new KmsError("KeyExists", `The master key ${keyId} exists.`)
        : new KmsError("NotSupported", "The built-in KMS has one master key; others need KES or Vault."),
    );
  }

  listKeys(prefix: string): Promise<readonly string[]> {
    return Promise.resolve(this.defaultKeyId.startsWith(prefix) ? [this.defaultKeyId] : []);
  }

  status(): Promise<KmsStatus> {
    return Promise.resolve({ kind: this.kind, endpoints: [{ endpoint: "127.0.0.1", online: true, reason: "" }] });
  }

  private parse(ciphertext: Uint8Array): { aead: SmallAead; sealed: Uint8Array } {
    const old = ciphertext[0] === 0x7b && ciphertext.at(-1) === 0x7d ? jsonForm(ciphertext) : null;
    if (old?.algorithm === "ChaCha20Poly1305")
      return {
        aead: { cipher: "ChaCha20-Poly1305", key: hchacha20(this.master, old.iv), nonce: old.nonce },
        sealed: old.bytes,
      };
    if (old !== null)
      return { aead: { cipher: "AES-256-GCM", key: this.sealingKey(old.iv), nonce: old.nonce }, sealed: old.bytes };
    const at = ciphertext.length - IV_BYTES - NONCE_BYTES;
    if (at < 0) throw new KmsError("CannotDecrypt", "A sealed data key is too short to be one.");
    const nonce = ciphertext.subarray(at + IV_BYTES);
    const key = this.sealingKey(ciphertext.subarray(at, at + IV_BYTES));
    return { aead: { cipher: "AES-256-GCM", key, nonce }, sealed: ciphertext.subarray(0, at) };
  }

  private sealingKey(iv: Uint8Array): Uint8Array {
    return createHmac("sha256", this.master).update(iv).digest();
  }

  private unknown(keyId: string): KmsError {
    return new KmsError("KeyNotFound", `The key ${keyId} does not exist.`);
  }
}

/** Null: a binary one that begins and ends like JSON by chance. */
function jsonForm(
  ciphertext: Uint8Array,
): { algorithm: string; iv: Uint8Array; nonce: Uint8Array; bytes: Uint8Array } | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(ciphertext).toString("utf8"));
  } catch {
    return null;
  }
  const { aead, iv, nonce, bytes } = (parsed ?? {}) as Record<string, unknown>;
  if (aead !== "AES-256-GCM-HMAC-SHA-256" && aead !== "ChaCha20Poly1305") return null;
  if (typeof iv !== "string" || typeof nonce !== "string" || typeof bytes !== "string") return null;
  const of = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));
  const form = { algorithm: aead, iv: of(iv), nonce: of(nonce), bytes: of(bytes) };
  return form.iv.length === IV_BYTES && form.nonce.length === NONCE_BYTES ? form : null;
}
