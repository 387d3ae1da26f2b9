/**
 * CachedKms: a KMS over the network whose opened data keys are remembered for a moment, so that reading an object in ranges, or a
 * page of objects, does not ask for each. Few, short, and wiped when they go. Revoking a master key takes effect when the last of its
 * data keys is forgotten, after TTL_MS at the latest.
 */
import type { Clock } from "../sys/clock.ts";
import { contextText, type DataKey, type Kms, type KmsContext, type KmsStatus } from "./kms.ts";

const KEYS_MAX = 1024;
const TTL_MS = 10_000;

interface Remembered {
  readonly plaintext: Uint8Array;
  readonly untilMs: number;
}

/** The built-in KMS is faster than a cache. */
export function withCache(kms: Kms | null, clock: Pick<Clock, "elapsedMs">): Kms | null {
  return kms === null || kms.kind === "builtin" ? kms : new CachedKms(kms, clock);
}

export class CachedKms implements Kms {
  /** The oldest first: all live equally long. */
  private readonly known = new Map<string, Remembered>();

  constructor(
    private readonly inner: Kms,
    private readonly clock: Pick<Clock, "elapsedMs">,
  ) {}

  get kind(): Kms["kind"] {
    return this.inner.kind;
  }
  get defaultKeyId(): string {
    return this.inner.defaultKeyId;
  }

  generateKey(keyId: string | null, context: KmsContext): Promise<DataKey> {
    return this.inner.generateKey(keyId, context);
  }

  async decryptKey(keyId: string, ciphertext: Uint8Array, context: KmsContext): Promise<Uint8Array> {
    const name = JSON.stringify([keyId, Buffer.from(ciphertext).toString("base64"), contextText(context)]);
    this.forgetOld();
    const found = this.known.get(name);
    if (found !== undefined) return found.plaintext.slice();
    const plaintext = await this.inner.decryptKey(keyId, ciphertext, context);
    if (this.known.size >= KEYS_MAX) this.forget(this.known.keys().next().value as string);
    this.forget(name); // asked for twice at the same time
    this.known.set(name, { plaintext: plaintext.slice(), untilMs: this.clock.elapsedMs() + TTL_MS });
    return plaintext;
  }

  createKey(keyId: string): Promise<void> {
    return this.inner.createKey(keyId);
  }
  listKeys(prefix: string): Promise<readonly string[]> {
    return this.inner.listKeys(prefix);
  }
  status(): Promise<KmsStatus> {
    return this.inner.status();
  }

  private forgetOld(): void {
    const now = this.clock.elapsedMs();
    for (const [name, { untilMs }] of this.known) {
      if (untilMs > now) return;
      this.forget(name);
    }
  }

  private forget(name: string): void {
    this.known.get(name)?.plaintext.fill(0);
    this.known.delete(name);
  }
}
