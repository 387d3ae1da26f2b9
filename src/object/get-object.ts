/** GetObject and HeadObject: find the version, judge the conditions, open it. Headers are known before bytes move. */
import type { Due } from "../bucket/lifecycle.ts";
import type { StoredVersion, VersionReader } from "../erasure/store.ts";
import { bucketOf, type ObjectContext } from "./context.ts";
import { notFound, ObjectError } from "./errors.ts";
import { demandAlive, expiryOfVersion } from "./expiry.ts";
import { checkKey } from "./names.ts";
import { judgeRead } from "./precondition.ts";
import type { OpenedObject, OpenObjectRequest, VersionInfo } from "./types.ts";
import { demandReadable, modTimeMs, versionInfo } from "./version-info.ts";

export async function openObject(ctx: ObjectContext, request: OpenObjectRequest): Promise<OpenedObject> {
  checkKey(request.key);
  const bucket = await bucketOf(ctx, request.bucket);
  const reader = await ctx.store.openVersion(request.bucket, request.key, request.versionId);
  if (reader === null) throw notFound(request.versionId);
  try {
    const info = versionInfo(request.bucket, request.key, reader.version);
    demandVisible(reader.version, request.versionId);
    const expiry = expiryOfVersion(ctx, bucket, request.key, reader.version);
    demandAlive(ctx, expiry, request.versionId);
    const verdict = judgeRead(request.conditions, { etag: info.etag, modTimeMs: modTimeMs(reader.version) });
    if (verdict === "failed")
      throw new ObjectError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold.", {
        info,
      });
    if (verdict === "not-modified") throw new ObjectError("NotModified", "Not Modified", { info });
    return opened(reader, info, expiry);
  } catch (error) {
    await reader[Symbol.asyncDispose]();
    throw error;
  }
}

function opened(reader: VersionReader, info: VersionInfo, expiry: Due | null): OpenedObject {
  return {
    info,
    expiry,
    get inline() {
      demandReadable(reader.version);
      return reader.inline;
    },
    stream(sink, offset, length) {
      demandReadable(reader.version);
      return reader.stream(sink, offset, length);
    },
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
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
