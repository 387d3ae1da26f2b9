/**
 * AppendObject: bytes at the end of the current version, as a new version of the whole. What was there is read, coded anew with the
 * client's bytes behind it, and committed only over the very version that was read: nobody's write is lost between. It costs
 * the old bytes once more, as a copy does; ETag and checksum are those of one PutObject of the whole. Metadata, tags, list, class
 * and encryption stay; where nothing is there yet they are the request's. Source: S3's PutObject with x-amz-write-offset-bytes.
 */
import { ACL_KEY } from "../bucket/acl.ts";
import type { Bucket } from "../bucket/catalog.ts";
import { withoutArn } from "../bucket/encryption.ts";
import { type ChecksumName, checksumAlgorithmOf, checksumToBase64, Digest, DIGEST } from "../codec/checksum.ts";
import type { StoredVersion } from "../erasure/store.ts";
import { step } from "../sys/disk.ts";
import { type Content, contentOf } from "./content.ts";
import { bucketOf, type ObjectContext } from "./context.ts";
import { copiedMetadata } from "./copy-object.ts";
import { ObjectError } from "./errors.ts";
import { expiryOfVersion } from "./expiry.ts";
import { checkKey } from "./names.ts";
import { encryptionKind } from "./object-key.ts";
import { type PipedContent, pipeContent } from "./pipe-content.ts";
import { putObject } from "./put-object.ts";
import type {
  AppendObjectRequest,
  AppendObjectResult,
  Digests,
  Encryption,
  NewMetadata,
  ObjectBody,
  PutObjectResult,
} from "./types.ts";
import { actualSize } from "./version-info.ts";

export async function appendObject(ctx: ObjectContext, request: AppendObjectRequest): Promise<AppendObjectResult> {
  checkKey(request.key);
  const bucket = await bucketOf(ctx, request.bucket);
  await using base = await openBase(ctx, bucket, request);
  if (request.offset !== base.sizeBytes) throw wrongOffset(base.sizeBytes);
  await using body = new AppendedBody(ctx, base, request.body);
  const { content } = base;
  const result: PutObjectResult = await putObject(ctx, {
    ...request,
    ...(content === null ? {} : keptOf(request, content)),
    body,
    demand(current) {
      if (isSame(current, base.seen)) return;
      const sizeBytes = current === null || current.isDeleteMarker ? 0 : actualSize(current);
      if (sizeBytes !== request.offset) throw wrongOffset(sizeBytes);
      throw new ObjectError("Conflict", "The object was changed while it was appended to. Please try again.");
    },
  });
  return { ...result, sizeBytes: body.sizeBytes };
}

function wrongOffset(sizeBytes: number): ObjectError {
  return new ObjectError(
    "InvalidWriteOffset",
    "The write offset value that you specified does not match the current object size.",
    { sizeBytes },
  );
}

/** What is appended to. */
interface Base extends AsyncDisposable {
  /** What the commit must find; null = no version. */
  readonly seen: StoredVersion | null;
  /** null = there is no object: nothing, a delete marker, or one that expired. */
  readonly content: Content | null;
  readonly sizeBytes: number;
}

async function openBase(ctx: ObjectContext, bucket: Bucket, request: AppendObjectRequest): Promise<Base> {
  const reader = await ctx.store.openVersion(request.bucket, request.key, undefined);
  if (reader === null) return absent(null);
  const { version } = reader;
  try {
    const due = expiryOfVersion(ctx, bucket, request.key, version);
    if (version.isDeleteMarker || (due !== null && due.atMs <= ctx.clock.nowMs())) {
      await reader[Symbol.asyncDispose]();
      return absent(version);
    }
    const { encryption } = request;
    if (encryption !== undefined && encryption.kind !== encryptionKind(version.metaSys))
      throw new ObjectError(
        "EncryptionMismatch",
        "The object is not encrypted in the way that the request asks for; what is appended is encrypted as the object is.",
      );
    const content = await contentOf(ctx, request, reader, encryption?.kind === "SSE-C" ? encryption.key : undefined);
    let isOpen = true;
    return {
      seen: version,
      content,
      sizeBytes: content.info.sizeBytes,
      async [Symbol.asyncDispose]() {
        if (!isOpen) return;
        isOpen = false;
        content.close();
        await reader[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await reader[Symbol.asyncDispose]();
    throw error;
  }
}

function absent(seen: StoredVersion | null): Base {
  return { seen, content: null, sizeBytes: 0, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** Of the object that is there. Throws when the request would change what an append does not change. */
function keptOf(request: AppendObjectRequest, { info }: Content): Omit<NewMetadata, "lock"> {
  const { storageClass } = info;
  if (
    request.tagging !== "" ||
    [...request.metadata.keys()].some((name) => /^x-(amz|minio)-meta-/i.test(name)) ||
    (request.storageClass !== "STANDARD" && request.storageClass !== storageClass)
  )
    throw new ObjectError(
      "InvalidRequest",
      "An append keeps the object's metadata, tags and storage class: the request must not give any.",
    );
  const acl = info.internal.get(ACL_KEY);
  return {
    metadata: copiedMetadata({ metaUsr: info.metadata }),
    tagging: info.tagging,
    storageClass: storageClass === "REDUCED_REDUNDANCY" ? storageClass : "STANDARD",
    encryption: encryptionOf(request, info.encryption),
    internal: new Map(acl === undefined ? [] : [[ACL_KEY, acl]]),
  };
}

function encryptionOf(
  { encryption: asked }: AppendObjectRequest,
  stored: Content["info"]["encryption"],
): Encryption | undefined {
  if (stored === null) return undefined;
  if (stored.kind === "SSE-C") return asked;
  if (stored.kind === "SSE-S3") return { kind: "SSE-S3" };
  return { kind: "SSE-KMS", keyId: withoutArn(stored.keyId), context: stored.context };
}

function isSame(a: StoredVersion | null, b: StoredVersion | null): boolean {
  if (a === null || b === null) return a === b;
  if (a.versionId !== b.versionId || a.modTimeNs !== b.modTimeNs) return false;
  if (a.metaUsr.size !== b.metaUsr.size || a.metaSys.size !== b.metaSys.size) return false;
  for (const [name, value] of a.metaUsr) if (b.metaUsr.get(name) !== value) return false;
  for (const [name, value] of a.metaSys) {
    const other = b.metaSys.get(name);
    if (other === undefined || Buffer.compare(value, other) !== 0) return false;
  }
  return true;
}

/** The bytes that were there, then the client's, which are digested by themselves too: its checksums are about these. */
class AppendedBody implements ObjectBody, AsyncDisposable {
  readonly sizeBytes: number;
  readonly digests: number;
  readonly declares: ChecksumName | null;
  private readonly digest: Digest;
  private readonly stored: PipedContent | null;
  private isStoredRead: boolean;
  /** Of the client's bytes. */
  private left: number;
  private digesting: Promise<unknown> = Promise.resolve();
  private whole: Digests | null = null;
  /** Of the object that is there; null = that of the request, if it has one. */
  private readonly algorithm: ChecksumName | null;

  constructor(
    private readonly ctx: ObjectContext,
    private readonly base: Base,
    private readonly body: ObjectBody,
  ) {
    const { content } = base;
    this.sizeBytes = base.sizeBytes + body.sizeBytes;
    this.algorithm = content?.info.checksum?.algorithm ?? null;
    this.declares = this.algorithm ?? body.declares;
    this.digests = body.digests | (this.algorithm === null ? 0 : checksumAlgorithmOf(this.algorithm).flag);
    this.digest = new Digest(ctx.codec, body.digests | DIGEST.md5);
    this.stored = content === null ? null : pipeContent(content, 0, base.sizeBytes);
    this.isStoredRead = this.stored === null;
    this.left = body.sizeBytes;
  }

  async next(): Promise<Uint8Array | null> {
    if (!this.isStoredRead) {
      const bytes = (await this.stored?.next()) ?? null;
      if (bytes !== null) return bytes;
      this.isStoredRead = true;
      await this.base[Symbol.asyncDispose](); // a slow client keeps nothing open
    }
    await this.digesting;
    const bytes = await this.body.next();
    if (bytes !== null && bytes.length > 0)
      this.digesting = this.ctx.transforms.jobs.run([step.digest(this.digest.state, bytes)]);
    this.left -= bytes?.length ?? 0;
    if (this.left === 0) await this.digesting; // nobody need ask once more
    return bytes;
  }

  verify(digests: Digests): void {
    this.body.verify(this.digest.final());
    this.whole = digests;
  }

  checksum(): ReturnType<ObjectBody["checksum"]> {
    const algorithm = this.algorithm ?? this.body.checksum()?.algorithm ?? null;
    if (algorithm === null || this.whole === null) return null;
    return { algorithm, value: checksumToBase64(this.whole[checksumAlgorithmOf(algorithm).digest]) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.digesting;
    await this.stored?.[Symbol.asyncDispose]();
  }
}
