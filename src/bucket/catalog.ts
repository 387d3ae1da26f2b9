/**
 * BucketCatalog: buckets and their metadata files, cached for a moment (another node may change them later). Existence is
 * the directory on the drives; a missing or unreadable metadata file means defaults. Changes of one bucket go one after the
 * other, each on what the drives hold then. Source: on-disk-format.md §7.2.
 */
import { KeyLock } from "../core/key-lock.ts";
import { GO_ZERO_TIME } from "../core/go-time.ts";
import type { Store } from "../erasure/store.ts";
import type { Clock } from "../sys/clock.ts";
import {
  type BucketDocument,
  type BucketMetadataFile,
  decodeBucketMetadata,
  encodeBucketMetadata,
  newBucketMetadata,
  type OwnDocument,
  withDocument,
  withOwnDocument,
} from "./metadata-format.ts";
import { parseStoredVersioning, type Versioning } from "./versioning.ts";

const FRESH_MS = 2_000;
const CACHED_MAX = 10_000;

export interface Bucket {
  readonly name: string;
  readonly createdNs: bigint;
  readonly versioning: Versioning;
  readonly metadata: BucketMetadataFile;
}
interface Entry {
  readonly bucket: Promise<Bucket | null>;
  readonly untilMs: number;
}

export class BucketCatalog {
  private readonly cache = new Map<string, Entry>();
  private readonly changing = new KeyLock();

  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
  ) {}

  /** null = no such bucket. */
  async get(name: string): Promise<Bucket | null> {
    const now = this.clock.elapsedMs();
    const known = this.cache.get(name);
    if (known !== undefined && known.untilMs > now) return await known.bucket;
    const bucket = this.load(name);
    if (this.cache.size >= CACHED_MAX) this.cache.delete(this.cache.keys().next().value as string);
    this.cache.set(name, { bucket, untilMs: now + FRESH_MS });
    try {
      const found = await bucket;
      if (found === null) this.cache.delete(name);
      return found;
    } catch (error) {
      this.cache.delete(name);
      throw error;
    }
  }

  async list(): Promise<readonly Bucket[]> {
    const names = await this.store.listBuckets();
    const found = await Promise.all(names.map(({ name }) => this.get(name)));
    return found.filter((b) => b !== null);
  }

  /** False if it existed. */
  async create(name: string): Promise<boolean> {
    using _ = await this.changing.acquire(name);
    const made = await this.store.makeBucket(name);
    this.cache.delete(name);
    if (!made) return false;
    await this.store.writeDocument(
      documentPath(name),
      encodeBucketMetadata(newBucketMetadata(name, this.clock.nowNs())),
    );
    this.cache.delete(name);
    return true;
  }

  async remove(name: string): Promise<"gone" | "missing" | "not-empty"> {
    using _ = await this.changing.acquire(name);
    const outcome = await this.store.removeBucket(name);
    if (outcome === "gone") await this.store.removeDocument(documentPath(name));
    this.cache.delete(name);
    return outcome;
  }

  async setDocument(bucket: Bucket, which: BucketDocument, document: Uint8Array): Promise<void> {
    using _ = await this.changing.acquire(bucket.name);
    const current = (await this.load(bucket.name)) ?? bucket;
    const changed = withDocument(current.metadata, which, document, this.clock.nowNs());
    await this.store.writeDocument(documentPath(bucket.name), encodeBucketMetadata(changed));
    this.cache.delete(bucket.name);
  }

  async setOwnDocuments(bucket: Bucket, documents: ReadonlyMap<OwnDocument, Uint8Array>): Promise<void> {
    using _ = await this.changing.acquire(bucket.name);
    let changed = ((await this.load(bucket.name)) ?? bucket).metadata;
    for (const [which, document] of documents) changed = withOwnDocument(changed, which, document);
    await this.store.writeDocument(documentPath(bucket.name), encodeBucketMetadata(changed));
    this.cache.delete(bucket.name);
  }

  private async load(name: string): Promise<Bucket | null> {
    const listed = (await this.store.listBuckets()).find((b) => b.name === name);
    if (listed === undefined) return null;
    const bytes = await this.store.readDocument(documentPath(name));
    const metadata = bytes === null ? newBucketMetadata(name, listed.createdNs) : decodeBucketMetadata(bytes);
    const createdNs = metadata.created === GO_ZERO_TIME ? listed.createdNs : metadata.created;
    return { name, createdNs, metadata, versioning: parseStoredVersioning(metadata.documents.versioning) };
  }
}

function documentPath(bucket: string): string {
  return `buckets/${bucket}/.metadata.bin`;
}
