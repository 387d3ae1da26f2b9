/**
 * BucketCatalog: buckets and their metadata files, cached for a moment (another node may change them later). Existence is
 * the directory on the drives; a missing or unreadable metadata file means defaults. Changes of one bucket go one after the
 * other, each on what the drives hold then. Source: on-disk-format.md §7.2.
 */
import { KeyLock } from "../core/key-lock.ts";
import { QuorumError } from "../core/quorum-error.ts";
import { GO_ZERO_TIME } from "../core/go-time.ts";
import type { Store } from "../erasure/store.ts";
import type { Clock } from "../sys/clock.ts";
import { type CorsRule, parseStoredCors } from "./cors.ts";
import type { LifecycleRule } from "./lifecycle.ts";
import { parseStoredLifecycle } from "./lifecycle-document.ts";
import {
  type BucketDocument,
  type BucketMetadataFile,
  decodeBucketMetadata,
  encodeBucketMetadata,
  namesOwnDocuments,
  namingOwnDocuments,
  newBucketMetadata,
  type OwnDocuments,
  withDocument,
  withOwnDocument,
} from "./metadata-format.ts";
import { decodeOwnDocuments, encodeOwnDocuments, ownDocumentsPath } from "./own-documents.ts";
import { parseStoredVersioning, type Versioning } from "./versioning.ts";

const FRESH_MS = 2_000;
const CACHED_MAX = 10_000;

export interface Bucket {
  readonly name: string;
  readonly createdNs: bigint;
  readonly versioning: Versioning;
  readonly metadata: BucketMetadataFile;
  /** Creation time that the metadata file names; GO_ZERO_TIME = it names none, or there is no file. */
  readonly storedCreated: bigint;
  /** null = the bucket has none of its own. */
  readonly cors: readonly CorsRule[] | null;
  readonly lifecycle: readonly LifecycleRule[];
}
interface Entry {
  readonly loading: Promise<Bucket | null>;
  /** What was loaded; null = not yet. */
  bucket: Bucket | null;
  readonly untilMs: number;
}

export class BucketCatalog {
  private readonly cache = new Map<string, Entry>();
  private readonly changing = new KeyLock();

  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
  ) {}

  /** Of what was looked up a moment ago; null = ask `get`. */
  known(name: string): Bucket | null {
    const entry = this.cache.get(name);
    return entry !== undefined && entry.untilMs > this.clock.elapsedMs() ? entry.bucket : null;
  }

  /** null = no such bucket. */
  async get(name: string): Promise<Bucket | null> {
    const now = this.clock.elapsedMs();
    const known = this.cache.get(name);
    if (known !== undefined && known.untilMs > now) return await known.loading;
    const entry: Entry = { loading: this.load(name), bucket: null, untilMs: now + FRESH_MS };
    if (this.cache.size >= CACHED_MAX) this.cache.delete(this.cache.keys().next().value as string);
    this.cache.set(name, entry);
    try {
      entry.bucket = await entry.loading;
      if (entry.bucket === null) this.cache.delete(name);
      return entry.bucket;
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

  /** False if it existed. `documents` and `own`: what it starts with. */
  async create(
    name: string,
    documents: Partial<Record<BucketDocument, Uint8Array>> = {},
    own: OwnDocuments = new Map(),
  ): Promise<boolean> {
    using _ = await this.changing.acquire(name);
    const made = await this.store.makeBucket(name);
    this.cache.delete(name);
    if (!made) return false;
    const now = this.clock.nowNs();
    let metadata = newBucketMetadata(name, now);
    for (const [which, document] of Object.entries(documents))
      metadata = withDocument(metadata, which as BucketDocument, document, now);
    if (own.size > 0) metadata = namingOwnDocuments(metadata);
    await this.store.writeDocument(documentPath(name), encodeBucketMetadata(metadata));
    if (own.size > 0) await this.writeOwn(name, own, now);
    this.cache.delete(name);
    return true;
  }

  async remove(name: string): Promise<"gone" | "missing" | "not-empty"> {
    using _ = await this.changing.acquire(name);
    const outcome = await this.store.removeBucket(name);
    if (outcome === "gone") {
      await this.store.removeDocument(ownDocumentsPath(name));
      await this.store.removeDocument(documentPath(name));
    }
    this.cache.delete(name);
    return outcome;
  }

  /**
   * `own`: set together with it, and before it where one comes, so that a document that moves from one place to the other is
   * never in neither.
   */
  async setDocument(
    bucket: Bucket,
    which: BucketDocument,
    document: Uint8Array,
    own: OwnDocuments = new Map(),
  ): Promise<void> {
    using _ = await this.changing.acquire(bucket.name);
    const current = (await this.load(bucket.name)) ?? bucket;
    const comes = [...own.values()].some((ownDocument) => ownDocument.length > 0);
    const named = comes ? namingOwnDocuments(current.metadata) : current.metadata;
    const changed = withDocument(named, which, document, this.clock.nowNs());
    if (comes) await this.changeOwn(current, own);
    await this.store.writeDocument(documentPath(bucket.name), encodeBucketMetadata(changed));
    if (!comes) await this.changeOwn(current, own);
    this.cache.delete(bucket.name);
  }

  /** Several at once, by what is there then. `change` may throw, and is not repeated. */
  async changeDocuments(
    bucket: Bucket,
    change: (current: Bucket) => Promise<Partial<Readonly<Record<BucketDocument, Uint8Array>>>>,
  ): Promise<void> {
    using _ = await this.changing.acquire(bucket.name);
    const current = (await this.load(bucket.name)) ?? bucket;
    let { metadata } = current;
    for (const [which, document] of Object.entries(await change(current)))
      metadata = withDocument(metadata, which as BucketDocument, document, this.clock.nowNs());
    await this.store.writeDocument(documentPath(bucket.name), encodeBucketMetadata(metadata));
    this.cache.delete(bucket.name);
  }

  /** Empty ones are removed. */
  async setOwnDocuments(bucket: Bucket, documents: OwnDocuments): Promise<void> {
    using _ = await this.changing.acquire(bucket.name);
    await this.changeOwn((await this.load(bucket.name)) ?? bucket, documents);
    this.cache.delete(bucket.name);
  }

  private async changeOwn({ name, metadata, storedCreated }: Bucket, documents: OwnDocuments): Promise<void> {
    let changed = metadata;
    for (const [which, document] of documents) changed = withOwnDocument(changed, which, document);
    const isSame = [...documents].every(([which, document]) => document.length === 0 && !metadata.own.has(which));
    if (isSame) return;
    if (changed.own.size > 0 && !namesOwnDocuments(metadata))
      await this.store.writeDocument(documentPath(name), encodeBucketMetadata(namingOwnDocuments(metadata)));
    await this.writeOwn(name, changed.own, storedCreated);
  }

  private async writeOwn(name: string, own: OwnDocuments, created: bigint): Promise<void> {
    if (own.size > 0) await this.store.writeDocument(ownDocumentsPath(name), encodeOwnDocuments(own, created));
    else await this.store.removeDocument(ownDocumentsPath(name));
  }

  private async load(name: string): Promise<Bucket | null> {
    const listed = (await this.store.listBuckets()).find((b) => b.name === name);
    if (listed === undefined) return null;
    const bytes = await this.store.readDocument(documentPath(name));
    const metadata = bytes === null ? newBucketMetadata(name, listed.createdNs) : decodeBucketMetadata(bytes);
    const createdNs = metadata.created === GO_ZERO_TIME ? listed.createdNs : metadata.created;
    const ownBytes = await this.readOwnDocuments(name, metadata);
    const storedCreated = bytes === null ? GO_ZERO_TIME : metadata.created;
    const own: OwnDocuments = ownBytes === null ? new Map() : decodeOwnDocuments(ownBytes, storedCreated);
    const versioning = parseStoredVersioning(metadata.documents.versioning);
    const lifecycle = parseStoredLifecycle(metadata.documents.lifecycle);
    const cors = parseStoredCors(own.get("cors"));
    return { name, createdNs, metadata: { ...metadata, own }, storedCreated, cors, lifecycle, versioning };
  }

  /** With half of the drives gone nobody can tell that a file is not there: then the metadata tell whether it has to be. */
  private async readOwnDocuments(name: string, metadata: BucketMetadataFile): Promise<Uint8Array | null> {
    try {
      return await this.store.readDocument(ownDocumentsPath(name));
    } catch (error) {
      if (!(error instanceof QuorumError) || namesOwnDocuments(metadata)) throw error;
      return null;
    }
  }
}

function documentPath(bucket: string): string {
  return `buckets/${bucket}/.metadata.bin`;
}
