/** GetObject and HeadObject: find the version, judge the conditions, open it. Headers are known before bytes move. */
import { assert } from "../core/assert.ts";
import type { ByteSink } from "../core/byte-stream.ts";
import type { Due } from "../bucket/lifecycle.ts";
import type { StoredVersion, VersionReader } from "../erasure/store.ts";
import { type Content, contentOf } from "./content.ts";
import { bucketOf, knownBucket, type ObjectContext } from "./context.ts";
import { notFound, ObjectError } from "./errors.ts";
import { demandAlive, expiryOfVersion } from "./expiry.ts";
import { checkKey } from "./names.ts";
import { judgeRead } from "./precondition.ts";
import type { OpenedObject, OpenObjectRequest, VersionInfo } from "./types.ts";
import { modTimeMs } from "./version-info.ts";

export async function openObject(ctx: ObjectContext, request: OpenObjectRequest): Promise<OpenedObject> {
  checkKey(request.key);
  const bucket = knownBucket(ctx, request.bucket) ?? (await bucketOf(ctx, request.bucket));
  const { key, versionId } = request;
  const reader =
    request.withoutContent === true
      ? withoutData(await ctx.store.readVersion(request.bucket, key, versionId))
      : await ctx.store.openVersion(request.bucket, key, versionId);
  if (reader === null) throw notFound(versionId);
  try {
    demandVisible(reader.version, versionId);
    const expiry = expiryOfVersion(ctx, bucket, key, reader.version);
    demandAlive(ctx, expiry, versionId);
    const opening = contentOf(ctx, request, reader, request.customerKey);
    const content = opening instanceof Promise ? await opening : opening;
    demandConditions(request, content.info, reader.version);
    return new Opened(content, expiry, reader);
  } catch (error) {
    await reader[Symbol.asyncDispose]();
    throw error;
  }
}

function demandConditions({ conditions }: OpenObjectRequest, info: VersionInfo, version: StoredVersion): void {
  const verdict = judgeRead(conditions, { etag: info.etag, modTimeMs: modTimeMs(version) });
  if (verdict === "failed")
    throw new ObjectError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold.", {
      info,
    });
  if (verdict === "not-modified") throw new ObjectError("NotModified", "Not Modified", { info });
}

class Opened implements OpenedObject {
  constructor(
    private readonly content: Content,
    readonly expiry: Due | null,
    private readonly reader: VersionReader,
  ) {}

  get info(): VersionInfo {
    return this.content.info;
  }

  get inline(): Uint8Array | null {
    return this.content.inline;
  }

  stream(sink: ByteSink, offset: number, length: number): Promise<void> {
    return this.content.stream(sink, offset, length);
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    this.content.close();
    return this.reader[Symbol.asyncDispose]();
  }
}

/** As if it had been opened. */
function withoutData(version: StoredVersion | null): VersionReader | null {
  return version === null ? null : new VersionAlone(version);
}

class VersionAlone implements VersionReader {
  readonly inline = null;

  constructor(readonly version: StoredVersion) {}

  stream(): Promise<void> {
    assert(false, "the content was not asked for");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** Delete markers are not content; the wire says so with the marker's id. */
export function demandVisible(version: StoredVersion, versionId: string | undefined): void {
  if (!version.isDeleteMarker) return;
  throw new ObjectError(
    "DeleteMarker",
    versionId === undefined
      ? "The specified key does not exist."
      : "The specified method is not allowed against this resource.",
    {
      versionId: version.versionId,
      modTimeNs: version.modTimeNs,
      named: versionId !== undefined,
    },
  );
}
