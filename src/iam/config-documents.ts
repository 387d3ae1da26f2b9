/**
 * ConfigDocuments: the documents below `.minio.sys/config`, sealed as the deployment seals them. Paths are below `.minio.sys`.
 * Throws SealError when one cannot be opened, QuorumError when the drives cannot tell.
 */
import type { ConfigSeal } from "./config-seal.ts";

/** What is needed of the store. */
export interface SystemDocuments {
  readDocument(path: string): Promise<Uint8Array | null>;
  writeDocument(path: string, bytes: Uint8Array): Promise<void>;
  removeDocument(path: string): Promise<void>;
  listDocuments(prefix: string): Promise<readonly string[]>;
  readVersion(bucket: string, key: string): Promise<{ readonly modTimeNs: bigint } | null>;
}
const SYSTEM = ".minio.sys";

export class ConfigDocuments {
  constructor(
    private readonly store: SystemDocuments,
    private readonly seal: ConfigSeal,
  ) {}

  /** null = it is not there. */
  async read(path: string): Promise<Uint8Array | null> {
    const stored = await this.store.readDocument(path);
    return stored === null ? null : await this.seal.open(path, stored);
  }

  async write(path: string, plain: Uint8Array): Promise<void> {
    await this.store.writeDocument(path, await this.seal.seal(path, plain));
  }

  async remove(path: string): Promise<void> {
    await this.store.removeDocument(path);
  }

  /** When it was written, ns; null = it is not there. */
  async writtenNs(path: string): Promise<bigint | null> {
    return (await this.store.readVersion(SYSTEM, path))?.modTimeNs ?? null;
  }

  async list(prefix: string): Promise<readonly string[]> {
    return await this.store.listDocuments(prefix);
  }
}
