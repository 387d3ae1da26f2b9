/**
 * Data sealed with a password: salt[32] ‖ algorithm[1] ‖ nonce[8] ‖ stream. The admin API sends and answers so, with the
 * requester's own secret key, and MinIO of before 2021 stored its configuration so, with the root credentials.
 * All three algorithms are read, 0 is written. Deriving a key takes 64 MiB and 0.1 s of a thread: authenticate first; how
 * many run at once is bounded here. Throws SealError. Source: admin API envelope, docs/format.md §7.5.
 */
import * as nodeCrypto from "node:crypto";
import type { CipherName } from "../codec/dare.ts";
import type { Codec } from "../codec/native.ts";
import { OperatingError } from "../core/errors.ts";
import { Semaphore } from "../core/semaphore.ts";
import { openSegments, sealSegments } from "../kms/sealed-document.ts";
import type { Rng } from "../sys/rng.ts";

export class SealError extends OperatingError<"Malformed" | "WrongKey" | "NoKey"> {}

const SALT_BYTES = 32;
const STREAM_NONCE_BYTES = 8;
const HEAD_BYTES = SALT_BYTES + 1 + STREAM_NONCE_BYTES;
const ARGON2_MEMORY_KIB = 65_536;
const PBKDF2_ROUNDS = 8192;
const KEY_BYTES = 32;
const ARGON2_GCM = 0;
const ARGON2_CHACHA = 1;
const PBKDF2_GCM = 2;
const DERIVATIONS_AT_ONCE = 2;

/** Not in the types yet. */
interface Argon2 {
  argon2(
    algorithm: "argon2id",
    parameters: {
      readonly message: Uint8Array;
      readonly nonce: Uint8Array;
      readonly parallelism: number;
      readonly tagLength: number;
      readonly memory: number;
      readonly passes: number;
    },
    done: (error: Error | null, key: Uint8Array) => void,
  ): void;
}

/** Is it of this form? Text never is. */
export function looksSealed(bytes: Uint8Array): boolean {
  return bytes.length > HEAD_BYTES && (bytes[SALT_BYTES] as number) <= PBKDF2_GCM;
}

export class PasswordEnvelope {
  private readonly slots = new Semaphore(DERIVATIONS_AT_ONCE);

  constructor(
    private readonly codec: Codec,
    private readonly rng: Rng,
  ) {}

  async seal(password: string, plain: Uint8Array): Promise<Uint8Array> {
    const head = this.rng.fill(new Uint8Array(HEAD_BYTES));
    head[SALT_BYTES] = ARGON2_GCM;
    return await this.sealWith(head, password, plain);
  }

  /** With a given head: salt, algorithm and nonce. */
  async sealWith(head: Uint8Array, password: string, plain: Uint8Array): Promise<Uint8Array> {
    const { key, cipher } = await this.derive(head, password);
    const sealed = sealSegments(this.codec, { cipher, key, nonce: head.subarray(SALT_BYTES + 1) }, plain);
    const out = new Uint8Array(HEAD_BYTES + sealed.length);
    out.set(head);
    out.set(sealed, HEAD_BYTES);
    return out;
  }

  async open(password: string, blob: Uint8Array): Promise<Uint8Array> {
    if (blob.length < HEAD_BYTES + 16) throw new SealError("Malformed", "an encrypted payload is cut short");
    const { key, cipher } = await this.derive(blob, password);
    const nonce = blob.subarray(SALT_BYTES + 1, HEAD_BYTES);
    const plain = openSegments(this.codec, { cipher, key, nonce }, blob.subarray(HEAD_BYTES));
    if (plain === null) throw new SealError("WrongKey", "it does not open with this password, or is damaged");
    return plain;
  }

  private async derive(head: Uint8Array, password: string): Promise<{ key: Uint8Array; cipher: CipherName }> {
    const salt = head.subarray(0, SALT_BYTES);
    const algorithm = head[SALT_BYTES];
    const cipher = algorithm === ARGON2_CHACHA ? "ChaCha20-Poly1305" : "AES-256-GCM";
    await this.slots.acquire(1);
    try {
      if (algorithm === ARGON2_GCM || algorithm === ARGON2_CHACHA) return { key: await argon2(password, salt), cipher };
      if (algorithm === PBKDF2_GCM) return { key: await pbkdf2(password, salt), cipher };
      throw new SealError("Malformed", "an encrypted payload has an unknown algorithm");
    } finally {
      this.slots.release(1);
    }
  }
}

function argon2(password: string, salt: Uint8Array): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const parameters = {
    message: Buffer.from(password),
    nonce: salt,
    parallelism: 4,
    tagLength: KEY_BYTES,
    memory: ARGON2_MEMORY_KIB,
    passes: 1,
  };
  (nodeCrypto as unknown as Argon2).argon2("argon2id", parameters, (error, key) =>
    error === null || error === undefined ? resolve(key) : reject(error),
  );
  return promise;
}

function pbkdf2(password: string, salt: Uint8Array): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  nodeCrypto.pbkdf2(password, salt, PBKDF2_ROUNDS, KEY_BYTES, "sha256", (error, key) =>
    error === null ? resolve(key) : reject(error),
  );
  return promise;
}
