/**
 * How MinIO's configuration documents lie on the drives: as text, sealed by the KMS when there is one, or, of releases of before
 * 2021, sealed with the root credentials. All three are read; written is the KMS form when a KMS is configured, else text.
 * Throws KmsError and SealError. Source: docs/format.md §7.5.
 */
import type { Codec } from "../codec/native.ts";
import type { Kms } from "../kms/kms.ts";
import { isSealedDocument, openDocument, sealDocument } from "../kms/sealed-document.ts";
import type { Rng } from "../sys/rng.ts";
import { looksSealed, type PasswordEnvelope, SealError } from "./password-envelope.ts";

export interface ConfigSealOptions {
  readonly codec: Codec;
  readonly rng: Rng;
  /** null = none is configured. */
  readonly kms: Kms | null;
  readonly envelope: PasswordEnvelope;
  readonly rootUser: string;
  readonly rootPassword: string;
}

export class ConfigSeal {
  constructor(private readonly options: ConfigSealOptions) {}

  /** `path`: of the document below `.minio.sys`. */
  async open(path: string, stored: Uint8Array): Promise<Uint8Array> {
    const { kms, codec, envelope, rootUser, rootPassword } = this.options;
    if (isText(stored)) return stored;
    if (hasKmsHead(stored)) {
      if (kms !== null) return await openDocument(kms, codec, path, stored);
      throw new SealError("NoKey", `${path} is sealed by a KMS: give the server the same (MINIO_KMS_…)`);
    }
    if (!looksSealed(stored)) throw new SealError("Malformed", `${path} is neither text nor sealed`);
    return await envelope.open(`${rootUser}:${rootPassword}`, stored);
  }

  async seal(path: string, plain: Uint8Array): Promise<Uint8Array> {
    const { kms, codec, rng } = this.options;
    return kms === null ? plain : await sealDocument(kms, { codec, rng }, path, plain);
  }
}

function isText(bytes: Uint8Array): boolean {
  if (isSealedDocument(bytes)) return false;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

/** A salt of the older form may begin with the same byte: the KMS's form goes on with JSON. */
function hasKmsHead(bytes: Uint8Array): boolean {
  return isSealedDocument(bytes) && bytes[5] === 0x7b;
}
