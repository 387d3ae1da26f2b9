/**
 * The key of an encrypted object: made, sealed under the client's or the KMS's key into the version's metadata, and opened
 * again; and what is derived from it: part keys, the sealed ETag, checksums. Keys are 32 bytes and wiped by whoever holds
 * them. Source: on-disk-format.md §5.13.
 */
import { createHash, createHmac } from "node:crypto";
import { posix } from "node:path";
import { openStream, sealStream } from "../codec/dare.ts";
import { type KmsContext, KmsError } from "../kms/kms.ts";
import { ObjectError } from "./errors.ts";
import type { Transforms } from "./transforms.ts";
import type { Encryption, EncryptionKind } from "./types.ts";

const PREFIX = "X-Minio-Internal-Server-Side-Encryption-";
const IV = `${PREFIX}Iv`;
const ALGORITHM = `${PREFIX}Seal-Algorithm`;
export const KMS_KEY_ID = `${PREFIX}S3-Kms-Key-Id`;
const KMS_DATA_KEY = `${PREFIX}S3-Kms-Sealed-Key`;
export const KMS_CONTEXT = `${PREFIX}Context`;
export const ENCRYPTED_MULTIPART = "X-Minio-Internal-Encrypted-Multipart";
const SEALED_KEY: Readonly<Record<EncryptionKind, string>> = {
  "SSE-KMS": `${PREFIX}Kms-Sealed-Key`,
  "SSE-S3": `${PREFIX}S3-Sealed-Key`,
  "SSE-C": `${PREFIX}Sealed-Key`,
};
const SEAL = "DAREv2-HMAC-SHA256";
const OLD_SEAL = "DARE-SHA256";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const CONTEXT_BYTES_MAX = 16 * 1024;

type MetaSys = ReadonlyMap<string, Uint8Array>;
export interface Place {
  readonly bucket: string;
  readonly key: string;
  /** What the data key is bound to besides. */
  readonly bound?: KmsContext;
}

/** null = not encrypted. */
export function encryptionKind(metaSys: MetaSys): EncryptionKind | null {
  if (metaSys.has(SEALED_KEY["SSE-KMS"])) return "SSE-KMS";
  if (metaSys.has(SEALED_KEY["SSE-S3"])) return "SSE-S3";
  return metaSys.has(SEALED_KEY["SSE-C"]) ? "SSE-C" : null;
}

function text(metaSys: MetaSys, name: string): string {
  return Buffer.from(metaSys.get(name) ?? new Uint8Array(0)).toString("utf8");
}
function decoded(metaSys: MetaSys, name: string): Uint8Array {
  return new Uint8Array(Buffer.from(text(metaSys, name), "base64"));
}
function hmac(key: Uint8Array, ...parts: (string | Uint8Array)[]): Uint8Array {
  const mac = createHmac("sha256", key);
  for (const part of parts) mac.update(part);
  return new Uint8Array(mac.digest());
}

/** What a sealed key is bound to: the path, cleaned as MinIO cleans it. */
function pathOf({ bucket, key }: Place): string {
  return posix.join(bucket, key).replace(/(.)\/$/, "$1");
}

/** A new object key, and the metadata that hold it sealed. */
export async function newObjectKey(
  transforms: Transforms,
  place: Place,
  encryption: Encryption,
): Promise<{ readonly objectKey: Uint8Array; readonly metaSys: ReadonlyMap<string, Uint8Array> }> {
  const { rng, codec } = transforms;
  const data = encryption.kind === "SSE-C" ? null : await dataKey(transforms, place, encryption);
  const external = data?.plaintext ?? (encryption as Encryption & { kind: "SSE-C" }).key;
  const iv = rng.fill(new Uint8Array(KEY_BYTES));
  const objectKey = hmac(external, "object-encryption-key generation", rng.fill(new Uint8Array(KEY_BYTES)));
  const sealingKey = hmac(external, iv, encryption.kind, SEAL, pathOf(place));
  const sealed = sealStream(codec, sealingKey, rng.fill(new Uint8Array(NONCE_BYTES)), objectKey);
  sealingKey.fill(0);
  data?.plaintext.fill(0);
  const base64 = (bytes: Uint8Array): Uint8Array => Buffer.from(Buffer.from(bytes).toString("base64"));
  const metaSys = new Map<string, Uint8Array>([
    [ALGORITHM, Buffer.from(SEAL)],
    [IV, base64(iv)],
    [SEALED_KEY[encryption.kind], base64(sealed)],
  ]);
  if (data !== null) {
    metaSys.set(KMS_KEY_ID, Buffer.from(data.keyId));
    metaSys.set(KMS_DATA_KEY, base64(data.ciphertext));
  }
  if (encryption.kind === "SSE-KMS" && encryption.context !== "")
    metaSys.set(KMS_CONTEXT, Buffer.from(encryption.context));
  return { objectKey, metaSys };
}

async function dataKey(transforms: Transforms, place: Place, encryption: Exclude<Encryption, { kind: "SSE-C" }>) {
  const keyId = encryption.kind === "SSE-KMS" ? encryption.keyId : null;
  const given = encryption.kind === "SSE-KMS" ? encryption.context : "";
  const kms = kmsOf(transforms);
  const context = kmsContext(place, given);
  return await translated(() => kms.generateKey(keyId, context));
}

function kmsOf({ kms }: Transforms): NonNullable<Transforms["kms"]> {
  if (kms === null)
    throw new ObjectError("KmsNotConfigured", "Server side encryption specified but KMS is not configured.");
  return kms;
}

/** The client's context (base64 of JSON, "" = none) and the object's path. Throws InvalidArgument. */
export function kmsContext(place: Place, encoded: string): KmsContext {
  const context = new Map<string, string>();
  if (encoded !== "") {
    let parsed: unknown;
    try {
      parsed = JSON.parse(Buffer.from(encoded, "base64").toString("utf8"));
    } catch (cause) {
      throw new ObjectError("InvalidArgument", "The encryption context is not base64 of JSON.", {}, { cause });
    }
    if (typeof parsed !== "object" || parsed === null || encoded.length > CONTEXT_BYTES_MAX)
      throw new ObjectError("InvalidArgument", "The encryption context is not a JSON object of a reasonable size.");
    for (const [name, value] of Object.entries(parsed)) {
      if (typeof value !== "string")
        throw new ObjectError("InvalidArgument", "A value of the encryption context is not text.");
      context.set(name, value);
    }
  }
  for (const [name, value] of place.bound ?? []) context.set(name, value);
  if (!context.has(place.bucket)) context.set(place.bucket, pathOf(place));
  return context;
}

/** Opens the sealed object key. `customerKey`: what the client sent, for SSE-C. Throws ObjectError. */
export async function openObjectKey(
  transforms: Transforms,
  place: Place,
  metaSys: MetaSys,
  customerKey: Uint8Array | null,
): Promise<Uint8Array> {
  const kind = encryptionKind(metaSys);
  if (kind === null) throw new ObjectError("ObjectTampered", "The object's encryption metadata are incomplete.");
  if (kind === "SSE-C") {
    if (customerKey === null)
      throw new ObjectError(
        "InvalidRequest",
        "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.",
      );
    const key = unseal(transforms, place, metaSys, { kind, external: customerKey });
    if (key === null) throw new ObjectError("WrongKey", "Access Denied.");
    return key;
  }
  const external = await translated(() => openDataKey(kmsOf(transforms), place, metaSys, kind));
  const key = unseal(transforms, place, metaSys, { kind, external });
  external.fill(0);
  if (key === null) throw new ObjectError("ObjectTampered", "The object's sealed key does not open.");
  return key;
}

async function openDataKey(
  kms: NonNullable<Transforms["kms"]>,
  place: Place,
  metaSys: MetaSys,
  kind: EncryptionKind,
): Promise<Uint8Array> {
  const given = kind === "SSE-KMS" ? text(metaSys, KMS_CONTEXT) : "";
  const open = (context: string): Promise<Uint8Array> =>
    kms.decryptKey(text(metaSys, KMS_KEY_ID), decoded(metaSys, KMS_DATA_KEY), kmsContext(place, context));
  try {
    return await open(given);
  } catch (error) {
    if (given === "" || !(error instanceof KmsError) || error.code !== "CannotDecrypt") throw error;
    return await open(""); // copies that MinIO made of an object with a context kept it, but were sealed without
  }
}

function unseal(
  { codec }: Transforms,
  place: Place,
  metaSys: MetaSys,
  { kind, external }: { kind: EncryptionKind; external: Uint8Array },
): Uint8Array | null {
  const iv = decoded(metaSys, IV);
  const algorithm = text(metaSys, ALGORITHM);
  if (algorithm !== SEAL && algorithm !== OLD_SEAL) return null;
  const sealingKey =
    algorithm === SEAL
      ? hmac(external, iv, kind, SEAL, pathOf(place))
      : new Uint8Array(createHash("sha256").update(external).update(iv).digest());
  const key = openStream(codec, sealingKey, decoded(metaSys, SEALED_KEY[kind]));
  sealingKey.fill(0);
  return key?.length === KEY_BYTES ? key : null;
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof KmsError)) throw cause;
    if (cause.code === "KeyNotFound") throw new ObjectError("KmsKeyNotFound", cause.message, {}, { cause });
    if (cause.code === "CannotDecrypt") throw new ObjectError("ObjectTampered", cause.message, {}, { cause });
    throw new ObjectError("KmsUnavailable", cause.message, {}, { cause });
  }
}

// ---- derived from the object key

/** Of part `number` of a multipart object. */
export function partKey(objectKey: Uint8Array, number: number): Uint8Array {
  const id = new Uint8Array(4);
  new DataView(id.buffer).setUint32(0, number, true);
  return hmac(objectKey, id);
}

/**
 * Hex of an MD5 as stored: 96 hex digits. The nonce comes from the MD5 itself: a part that is sent twice keeps the ETag that its
 * client knows, and no nonce serves two plaintexts.
 */
export function sealEtag({ codec }: Transforms, objectKey: Uint8Array, md5: Uint8Array): string {
  const key = hmac(objectKey, "SSE-etag");
  return Buffer.from(sealStream(codec, key, hmac(key, md5).subarray(0, NONCE_BYTES), md5)).toString("hex");
}

export function isSealedEtag(etag: string): boolean {
  return etag.length === 96 && /^20[01]/.test(etag) && !etag.includes("-");
}

/** What a client may see of a sealed ETag without the key, and always of SSE-C and SSE-KMS. */
export function opaqueEtag(etag: string): string {
  return isSealedEtag(etag) ? etag.slice(-32) : etag;
}

/** What clients see: the MD5 for SSE-S3, else an opaque value. */
export function shownEtag(
  codec: Transforms["codec"],
  kind: EncryptionKind,
  objectKey: Uint8Array,
  etag: string,
): string {
  if (!isSealedEtag(etag) || kind !== "SSE-S3") return opaqueEtag(etag);
  const md5 = openStream(codec, hmac(objectKey, "SSE-etag"), Buffer.from(etag, "hex"));
  if (md5 === null) throw new ObjectError("ObjectTampered", "The object's sealed ETag does not open.");
  return Buffer.from(md5).toString("hex");
}

/** Small values that are stored encrypted beside an object. */
export type SideValue = "object-checksum" | "compression-index";
export function sealSide({ codec, rng }: Transforms, objectKey: Uint8Array, what: SideValue, plain: Uint8Array) {
  return sealStream(codec, hmac(objectKey, what), rng.fill(new Uint8Array(NONCE_BYTES)), plain);
}
/** null: it does not open. */
export function openSide(
  codec: Transforms["codec"],
  objectKey: Uint8Array,
  what: SideValue,
  sealed: Uint8Array,
): Uint8Array | null {
  return openStream(codec, hmac(objectKey, what), sealed);
}

/** Base64 of the MD5 of a client's key, as responses show it. */
export function keyMd5(key: Uint8Array): string {
  return createHash("md5").update(key).digest("base64");
}
