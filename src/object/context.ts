/** ObjectContext: what every operation of this folder works with. Built once, in server.ts. */
import type { Bucket, BucketCatalog } from "../bucket/catalog.ts";
import type { Codec } from "../codec/native.ts";
import { KeyLock } from "../core/key-lock.ts";
import type { Store } from "../erasure/store.ts";
import type { Clock } from "../sys/clock.ts";
import type { Rng } from "../sys/rng.ts";
import { ObjectError } from "./errors.ts";
import { checkBucketName } from "./names.ts";
import type { QuotaLedger } from "./quota.ts";
import type { Transforms } from "./transforms.ts";
import type { ChecksumName, PutObjectResult } from "./types.ts";

export interface ObjectContext {
  readonly store: Store;
  readonly buckets: BucketCatalog;
  readonly codec: Codec;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly transforms: Transforms;
  /** "" = unset. */
  readonly region: string;
  /** Uploads completed lately, so that a repeated Complete gets its first answer. */
  readonly completed: CompletedUploads;
  readonly quotas: QuotaLedger;
  /** Of uploads that bring no checksum; null = they get none. */
  readonly defaultChecksum: ChecksumName | null;
}

export class CompletedUploads {
  private readonly recent = new Map<string, PutObjectResult>();
  private readonly ending = new KeyLock();

  /** An upload ends once: whoever completes or aborts it waits for the others that do. */
  async end(upload: UploadName): Promise<Disposable> {
    return await this.ending.acquire(nameOf(upload));
  }
  remember(upload: UploadName, result: PutObjectResult): void {
    if (this.recent.size >= COMPLETED_MAX) this.recent.delete(this.recent.keys().next().value as string);
    this.recent.set(nameOf(upload), result);
  }
  get(upload: UploadName): PutObjectResult | undefined {
    return this.recent.get(nameOf(upload));
  }
}
const COMPLETED_MAX = 1000;
interface UploadName {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
}
/** An upload id means something only together with its key. */
function nameOf({ bucket, key, uploadId }: UploadName): string {
  return `${bucket}/${key}\0${uploadId}`;
}

/** The bucket, or NoSuchBucket. */
export async function bucketOf(ctx: ObjectContext, name: string): Promise<Bucket> {
  checkBucketName(name);
  const bucket = await ctx.buckets.get(name);
  if (bucket === null) throw new ObjectError("NoSuchBucket", "The specified bucket does not exist", { bucket: name });
  return bucket;
}

/** The same without waiting; null = it was not looked up a moment ago, or is not there. */
export function knownBucket(ctx: ObjectContext, name: string): Bucket | null {
  checkBucketName(name);
  return ctx.buckets.known(name);
}
