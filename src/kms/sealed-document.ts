/**
 * Sealed documents: small system objects (IAM, configuration) as MinIO stores them when it has a KMS: a header that names the
 * master key and holds the sealed data key, then the content in 16 KiB segments, each with a tag. Source: on-disk-format.md §7.5.
 */
import type { Codec } from "../codec/native.ts";
import type { CipherName } from "../codec/dare.ts";
import { openSmall, sealSmall, TAG_BYTES } from "../codec/small-aead.ts";
import type { Rng } from "../sys/rng.ts";
import { type Kms, type KmsContext, KmsError } from "./kms.ts";

const SEGMENT_BYTES = 16 * 1024;
const HEADER_MAX = 1024 * 1024;
const DOCUMENT_MAX = 64 * 1024 * 1024;
const NONCE_BYTES = 8;
const FORMAT = 1;
const LAST_SEGMENT = 0x80;
const NOTHING = new Uint8Array(0);

/** Is it in this format? (Text never begins with a byte 1.) */
export function isSealedDocument(bytes: Uint8Array): boolean {
  return bytes.length > 5 && bytes[0] === FORMAT;
}

/** `path` is below `.minio.sys`, e.g. "config/iam/users/x/identity.json". */
function contextOf(path: string, withRoot: boolean): KmsContext {
  return new Map([[".minio.sys", withRoot ? `.minio.sys/${path}` : path]]);
}

export async function sealDocument(
  kms: Kms,
  means: { readonly codec: Codec; readonly rng: Pick<Rng, "fill"> },
  path: string,
  plaintext: Uint8Array,
): Promise<Uint8Array> {
  const key = await kms.generateKey(null, contextOf(path, true));
  const nonce = means.rng.fill(new Uint8Array(NONCE_BYTES));
  try {
    const header = Buffer.from(
      JSON.stringify({
        keyid: key.keyId,
        kmskey: Buffer.from(key.ciphertext).toString("base64"),
        algorithm: "AES-256-GCM",
        nonce: Buffer.from(nonce).toString("base64"),
      }),
    );
    const start = Buffer.alloc(5);
    start[0] = FORMAT;
    start.writeUInt32LE(header.length, 1);
    const body = sealSegments(means.codec, { cipher: "AES-256-GCM", key: key.plaintext, nonce }, plaintext);
    return new Uint8Array(Buffer.concat([start, header, body]));
  } finally {
    key.plaintext.fill(0);
  }
}

/** Throws KmsError: CannotDecrypt when it is damaged or of another key. */
export async function openDocument(kms: Kms, codec: Codec, path: string, sealed: Uint8Array): Promise<Uint8Array> {
  const { keyId, kmsKey, cipher, nonce, body } = parse(sealed);
  const key = await openKey(kms, keyId, kmsKey, path);
  try {
    const plaintext = openSegments(codec, { cipher, key, nonce }, body);
    if (plaintext === null) throw damaged("its content is not authentic");
    return plaintext;
  } finally {
    key.fill(0);
  }
}

/** Older releases bound the data key to the path without its root. */
async function openKey(kms: Kms, keyId: string, kmsKey: Uint8Array, path: string): Promise<Uint8Array> {
  try {
    return await kms.decryptKey(keyId, kmsKey, contextOf(path, true));
  } catch (error) {
    if (!(error instanceof KmsError) || error.code !== "CannotDecrypt") throw error;
    return await kms.decryptKey(keyId, kmsKey, contextOf(path, false));
  }
}

function damaged(why: string): KmsError {
  return new KmsError("CannotDecrypt", `A sealed document does not open: ${why}.`);
}

interface ParsedDocument {
  readonly keyId: string;
  readonly kmsKey: Uint8Array;
  readonly cipher: CipherName;
  readonly nonce: Uint8Array;
  readonly body: Uint8Array;
}

function parse(sealed: Uint8Array): ParsedDocument {
  if (!isSealedDocument(sealed)) throw damaged("it is not in the format");
  const length = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.length).readUInt32LE(1);
  if (length > HEADER_MAX || sealed.length > DOCUMENT_MAX || 5 + length > sealed.length)
    throw damaged("its header is too long");
  let header: unknown;
  try {
    header = JSON.parse(Buffer.from(sealed.subarray(5, 5 + length)).toString("utf8"));
  } catch (cause) {
    throw new KmsError("CannotDecrypt", "A sealed document does not open: its header is no JSON.", {}, { cause });
  }
  const { keyid, kmskey, algorithm, nonce } = (header ?? {}) as Record<string, unknown>;
  if (typeof keyid !== "string" || typeof kmskey !== "string" || typeof nonce !== "string")
    throw damaged("its header lacks a field");
  if (algorithm !== "AES-256-GCM" && algorithm !== "ChaCha20-Poly1305") throw damaged("its cipher is not known");
  const nonceBytes = new Uint8Array(Buffer.from(nonce, "base64"));
  if (nonceBytes.length !== NONCE_BYTES) throw damaged("its nonce has a wrong length");
  return {
    keyId: keyid,
    kmsKey: new Uint8Array(Buffer.from(kmskey, "base64")),
    cipher: algorithm,
    nonce: nonceBytes,
    body: sealed.subarray(5 + length),
  };
}

export interface SegmentKey {
  readonly cipher: CipherName;
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** 8 bytes. */
  readonly nonce: Uint8Array;
}

function segmentNonce({ nonce }: SegmentKey, number: number): Uint8Array {
  const out = new Uint8Array(12);
  out.set(nonce);
  new DataView(out.buffer).setUint32(NONCE_BYTES, number, true);
  return out;
}

/** What each segment is bound to: the stream, and whether it is the last. */
function segmentAad(codec: Codec, stream: SegmentKey): Uint8Array {
  const aad = new Uint8Array(1 + TAG_BYTES);
  aad.set(sealSmall(codec, { ...stream, nonce: segmentNonce(stream, 0) }, NOTHING, NOTHING), 1);
  return aad;
}

/** The stream alone: also what MinIO's older, password-based form and its tools have after their own headers. */
export function sealSegments(codec: Codec, stream: SegmentKey, plaintext: Uint8Array): Uint8Array {
  const aad = segmentAad(codec, stream);
  const count = Math.max(1, Math.ceil(plaintext.length / SEGMENT_BYTES));
  const sealed: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    aad[0] = i === count - 1 ? LAST_SEGMENT : 0;
    const segment = plaintext.subarray(i * SEGMENT_BYTES, (i + 1) * SEGMENT_BYTES);
    sealed.push(sealSmall(codec, { ...stream, nonce: segmentNonce(stream, i + 1) }, segment, aad));
  }
  return new Uint8Array(Buffer.concat(sealed));
}

/** Null: not authentic. */
export function openSegments(codec: Codec, stream: SegmentKey, sealed: Uint8Array): Uint8Array | null {
  const aad = segmentAad(codec, stream);
  const step = SEGMENT_BYTES + TAG_BYTES;
  const count = Math.max(1, Math.ceil(sealed.length / step));
  const opened: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    aad[0] = i === count - 1 ? LAST_SEGMENT : 0;
    const segment = sealed.subarray(i * step, (i + 1) * step);
    const plaintext = openSmall(codec, { ...stream, nonce: segmentNonce(stream, i + 1) }, segment, aad);
    if (plaintext === null) return null;
    opened.push(plaintext);
  }
  return new Uint8Array(Buffer.concat(opened));
}
